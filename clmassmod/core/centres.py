"""Centre models: the offset of the assumed centre from the true one.

A centre model is a function ``(rng, halo, environment, **parameters) -> (dx_mpc, dy_mpc)``, physical
Mpc. One with an attribute ``takes_catalogue`` is called as ``(catalogue, **parameters)`` instead, with
a catalogue about a first centre, and returns the further offset from that one.
"""
# ruff: noqa: ARG001  (one signature for all models)

from __future__ import annotations

import math

import numpy as np

from clmassmod.core.radial import tangential_cross
from clmassmod.core.units import ARCMIN_RAD
from clmassmod.errors import ConfigError
from clmassmod.records import Array, HaloEnvironment, HaloInfo, SourceCatalog

Offset = tuple[float, float]


def isotropic(rng: np.random.Generator, radius_mpc: float) -> Offset:
    """Return an offset of this length in a random direction."""
    angle = 2.0 * np.pi * rng.random()
    return float(radius_mpc * np.cos(angle)), float(radius_mpc * np.sin(angle))


def gaussian(
    rng: np.random.Generator, halo: HaloInfo, environment: HaloEnvironment, *, sigma_mpc: float
) -> Offset:
    """Return an offset with an independent normal component along each axis."""
    x, y = rng.normal(0.0, sigma_mpc, 2)
    return float(x), float(y)


def rayleigh(
    rng: np.random.Generator, halo: HaloInfo, environment: HaloEnvironment, *, scale_mpc: float
) -> Offset:
    """Return an offset whose length follows r / s^2 exp(-r^2 / 2 s^2).

    Johnston et al. 2007 (arXiv:0709.1159).
    """
    return isotropic(rng, float(rng.rayleigh(scale_mpc)))


def gamma(
    rng: np.random.Generator,
    halo: HaloInfo,
    environment: HaloEnvironment,
    *,
    scale_mpc: float,
    shape: float = 2.0,
) -> Offset:
    """Return an offset whose length follows r / s^2 exp(-r / s) (McClintock et al. 2019, MNRAS 482, 1352).

    ``shape`` 2 is that of the formula; the length is in general a gamma variate.
    """
    return isotropic(rng, float(rng.gamma(shape, scale_mpc)))


def lognormal(
    rng: np.random.Generator,
    halo: HaloInfo,
    environment: HaloEnvironment,
    *,
    median_mpc: float,
    sigma_ln: float,
) -> Offset:
    """Return an offset with a normal logarithm of its length; X-ray to BCG in SPT: exp(-2.625), 1.413."""
    return isotropic(rng, float(median_mpc * math.exp(sigma_ln * rng.standard_normal())))


def sz(
    rng: np.random.Generator,
    halo: HaloInfo,
    environment: HaloEnvironment,
    *,
    beam_arcmin: float = 1.2,
    core_arcmin: float | str = "core_arcmin",
    significance: float | str = "xi",
) -> Offset:
    """Return the offset of a matched-filter SZ detection.

    Each component has the standard deviation sqrt(beam^2 + core^2) / significance (Story et al. 2011,
    ApJ 735, L36; Ivison et al. 2007, MNRAS 380, 199). ``core_arcmin`` and ``significance`` may name
    observables of the halo.
    """
    core, xi = (observable(halo, v) for v in (core_arcmin, significance))
    if not xi > 0:
        raise ConfigError(
            f"centre model 'sz': halo {halo.halo_id!r} has significance {xi:g}; it must be above 0"
        )
    sigma = math.hypot(beam_arcmin, max(core, 0.0)) / xi * ARCMIN_RAD * environment.d_lens_mpc
    x, y = rng.normal(0.0, sigma, 2)
    return float(x), float(y)


def observable(halo: HaloInfo, value: float | str) -> float:
    """Return a number, or the halo's observable of this name."""
    if not isinstance(value, str):
        return float(value)
    if value not in halo.extra:
        known = ", ".join(halo.extra) or "none"
        raise ConfigError(
            f"centre model: halo {halo.halo_id!r} has no observable {value!r} (known: {known}); "
            "give a number, or name the column in simulation.options.extra"
        )
    return float(halo.extra[value])


def shear_peak(
    catalogue: SourceCatalog, *, search_mpc: float = 0.5, aperture_mpc: float = 1.5, step_mpc: float = 0.05
) -> Offset:
    """Return the place of the highest aperture mass of a noisy catalogue, from its assumed centre.

    The filter is Schirmer et al. 2004 (A&A 420, 75), which follows the shear of an NFW halo, with
    x_c = 0.15. The maximum is searched on a grid and refined to a hundredth of its step.

    Parameters
    ----------
    catalogue
        Galaxies about the first centre.
    search_mpc
        The peak lies within this distance of it.
    aperture_mpc
        Radius of the filter.
    step_mpc
        Of the first grid.
    """
    scale = catalogue.d_lens_mpc * ARCMIN_RAD
    x, y = catalogue.x_arcmin * scale, catalogue.y_arcmin * scale
    near = x * x + y * y < (search_mpc + aperture_mpc) ** 2
    galaxies = (x[near], y[near], catalogue.e1[near], catalogue.e2[near], catalogue.weight[near])
    if not near.any():
        return 0.0, 0.0
    axis = np.arange(-math.floor(search_mpc / step_mpc), math.floor(search_mpc / step_mpc) + 1) * step_mpc
    grid_x, grid_y = (v.ravel() for v in np.meshgrid(axis, axis))
    inside = np.hypot(grid_x, grid_y) <= search_mpc
    best = _highest(galaxies, grid_x[inside], grid_y[inside], aperture_mpc)
    step = step_mpc
    while step > 0.01 * step_mpc:
        around = step * np.linspace(-1.0, 1.0, 5)
        grid_x, grid_y = (v.ravel() for v in np.meshgrid(best[0] + around, best[1] + around))
        best = _highest(galaxies, grid_x, grid_y, aperture_mpc)
        step *= 0.4
    return best


shear_peak.takes_catalogue = True  # type: ignore[attr-defined]


def _highest(galaxies: tuple[Array, ...], grid_x: Array, grid_y: Array, aperture_mpc: float) -> Offset:
    x, y, e1, e2, weight = galaxies
    value = np.empty(grid_x.size)
    for i, (a, b) in enumerate(zip(grid_x, grid_y, strict=True)):
        u = np.hypot(x - a, y - b) / aperture_mpc
        e_t, _ = tangential_cross(e1, e2, x - a, y - b)
        q = np.tanh(u / 0.15) / np.maximum(u / 0.15, 1e-9)
        q /= (
            1.0 + np.exp(np.clip(6.0 - 150.0 * u, None, 60.0)) + np.exp(np.clip(-47.0 + 50.0 * u, None, 60.0))
        )
        value[i] = np.sum(weight * e_t * q) / np.sqrt(np.sum((weight * q) ** 2))
    best = int(np.argmax(value))
    return float(grid_x[best]), float(grid_y[best])
