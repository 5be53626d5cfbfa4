"""Convergence spectra of structure before a sample of sources, tabulated for lenses of any redshift.

The mean shear of a profile's bin is a weighted mean over sources, and so is the part of it that structure
along the line of sight makes: its power spectrum is that of a sample with the same weights. For g_t the
weights are those of the sample; an excess surface density, sum(w Sigma_crit gamma) / sum(w) with
w = Sigma_crit^-2, has the weights beta_s, and is Sigma_crit(infinity) <beta_s> / <beta_s^2> times a shear.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from clmassmod.core.interpolate import bicubic, cubic
from clmassmod.cosmology.lss import convergence_power
from clmassmod.cosmology.model import Cosmology
from clmassmod.errors import ConfigError
from clmassmod.records import Array

PLANE = "plane"  # the sample that is one plane; its spectra are tabulated over the plane's redshift
LN_ELL = np.linspace(0.0, np.log(3e6), 160)
_LN_1PZ_PLANE = np.linspace(np.log(1.04), np.log(11.0), 130)
_LENS_STEP = 0.02  # in ln(1 + z)

Sample = Callable[[float], tuple[ArrayLike, ArrayLike]]
"""Redshifts and weights (source,) of a sample behind, and before, a lens at a redshift."""


class Spectrum(NamedTuple):
    """Convergence power (ell,) that the shear of a profile sees, and the observable of a unit shear."""

    power: Array
    scale: float  # in units of Sigma_crit(infinity) for an excess surface density


def spectra(
    cosmology: Cosmology,
    power: Mapping[str, Any],
    samples: Mapping[str, Sample | None],
    z_range: tuple[float, float],
    beta: Callable[[ArrayLike, ArrayLike], Array],
) -> dict[str, Any]:
    """Return the tables of all samples.

    Parameters
    ----------
    cosmology, power
        Cosmology and its ``power_table``.
    samples
        By name; None is the plane.
    z_range
        Lowest and highest redshift of a lens.
    beta
        D_ls / D_s of broadcasting source and lens redshifts, 0 before the lens.

    Raises
    ------
    ConfigError
        If a sample has no source behind a lens.
    """
    tree: dict[str, Any] = {}
    for name, sample in samples.items():
        if sample is None:
            z = np.expm1(_LN_1PZ_PLANE)
            one = np.ones(1)
            rows = [_power(cosmology, power, np.array([float(v)]), one, beta) for v in z]
            tree[name] = {"ln_1pz": _LN_1PZ_PLANE.copy(), "ln_power": np.log(rows)}
        else:
            tree[name] = _of_sample(cosmology, power, sample, z_range, beta)
    return tree


def _of_sample(
    cosmology: Cosmology,
    power: Mapping[str, Any],
    sample: Sample,
    z_range: tuple[float, float],
    beta: Callable[[ArrayLike, ArrayLike], Array],
) -> dict[str, Any]:
    low, high = np.log1p(z_range)
    high = max(high, low + 1e-3)
    x = np.linspace(low, high, max(4, int(np.ceil((high - low) / _LENS_STEP)) + 1))
    shear, excess, scale = [], [], []
    for z_lens in np.expm1(x):
        z, w = (np.asarray(v, dtype=float) for v in sample(float(z_lens)))
        b = beta(z, z_lens) / float(beta(np.inf, z_lens))
        if not np.sum(w * b) > 0:
            raise ConfigError(f"noise.sources: no source lies behind a lens at z = {z_lens:.3g}")
        shear.append(_power(cosmology, power, z, w, beta))
        excess.append(_power(cosmology, power, z, w * b, beta))
        scale.append(float(np.sum(w * b) / np.sum(w * b * b)))
    return {
        "ln_1pz": x,
        "g_t": {"ln_power": np.log(shear)},
        "delta_sigma": {"ln_power": np.log(excess), "ln_scale": np.log(scale)},
    }


def _power(cosmology: Cosmology, power: Mapping[str, Any], z: Array, w: Array, beta: Any) -> Array:
    return convergence_power(cosmology, power, np.exp(LN_ELL), z, w, beta=beta)


def plane_spectra(table: Mapping[str, Any], z_source: Array, ln_ell: Array) -> Array:
    """Return convergence power for source planes (plane,), (plane, ell)."""
    x = np.asarray(table["ln_1pz"])
    start, step = (float(x[0]), 0.0), (float(x[1] - x[0]), float(LN_ELL[1]))
    ln_power = np.asarray(table["ln_power"])
    return np.array([np.exp(bicubic(np.log1p(z), ln_ell, start, step, ln_power)) for z in z_source])


def sample_spectrum(table: Mapping[str, Any], observable: str, z_lens: float, ln_ell: Array) -> Spectrum:
    """Return the convergence power (ell,) of a sample for one lens."""
    x, chosen = np.asarray(table["ln_1pz"]), table[observable]
    position = float(np.log1p(z_lens))
    if not x[0] - 1e-9 <= position <= x[-1] + 1e-9:
        raise ConfigError(
            f"the tables hold noise of structure for z = {np.expm1(x[0]):.4g} to {np.expm1(x[-1]):.4g}, "
            f"not for {z_lens:.4g}: build them again for the haloes' redshifts"
        )
    start, step = (float(x[0]), 0.0), (float(x[1] - x[0]), float(LN_ELL[1]))
    power = np.exp(bicubic(position, ln_ell, start, step, np.asarray(chosen["ln_power"])))
    scale = 1.0
    if "ln_scale" in chosen:
        scale = float(np.exp(cubic(position, start[0], step[0], np.asarray(chosen["ln_scale"]))))
    return Spectrum(power, scale)
