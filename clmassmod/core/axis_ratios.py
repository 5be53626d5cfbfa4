"""Axis ratios of dark-matter haloes: their measured distribution, and what they do to a mass."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from clmassmod.core.projected import overdensity_radius_mpc
from clmassmod.records import Array

_MEAN, _SD = 0.54, 0.113


def draw_jing_suto(
    mass_over_characteristic: Array, omega_m_z: Array, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Return intermediate over major and minor over major axis, (halo,): Jing & Suto 2002 (ApJ 574, 538).

    The minor axis over the major one, times (M / M*)^(0.07 Omega_m(z)^0.7), is normal with mean 0.54 and
    standard deviation 0.113; the minor over the intermediate axis follows their parabola.

    Parameters
    ----------
    mass_over_characteristic
        M / M*, (halo,), M* of peak height 1 at the halo's redshift.
    omega_m_z
        Matter density at that redshift in units of the critical one, (halo,).
    """
    power = 0.07 * omega_m_z**0.7
    scale = mass_over_characteristic**-power
    minor = np.zeros_like(scale)
    todo = np.arange(scale.size)
    while todo.size:  # the tails beyond 0.1 and 1, drawn again
        minor[todo] = (_MEAN + _SD * rng.standard_normal(todo.size)) * scale[todo]
        todo = todo[(minor[todo] < 0.1) | (minor[todo] > 1.0)]
    # p(r) is a parabola between r_min and 1 with its top in the middle: a cubic distribution function
    low = np.maximum(minor, 0.5)
    t = _parabola(rng.random(scale.size))
    minor_over_middle = low + (1.0 - low) * t
    return minor / minor_over_middle, minor


def _parabola(u: Array) -> Array:
    """Return t in 0 to 1 with density 6 t (1 - t), where its distribution 3 t^2 - 2 t^3 equals u."""
    return np.asarray(0.5 - np.sin(np.arcsin(1.0 - 2.0 * u) / 3.0))


def mass_inside_ellipsoid(
    enclosed_mass: Callable[[Array, Array], Array],
    mass_msun: Array,
    density_msun_mpc3: Array,
    middle: Array,
    minor: Array,
) -> Array:
    """Return by what the mass inside an ellipsoid exceeds the spherical-overdensity mass, (halo,).

    A halo of density rho(m) on ellipsoids of unit product of axes has inside the sphere r the mass
    <M(r s) / s^3> over all directions, M(r) that of the spherical halo and m = r s in that direction.

    Parameters
    ----------
    enclosed_mass
        Mass of the spherical haloes inside radii (halo, node), given their masses (halo,).
    mass_msun
        Spherical-overdensity masses that are wanted, (halo,).
    density_msun_mpc3
        Threshold of the mass definition, (halo,).
    middle, minor
        Intermediate and minor over major axis, (halo,).
    """
    s, weight = _directions(middle, minor)
    radius = overdensity_radius_mpc(mass_msun, density_msun_mpc3)[:, np.newaxis]
    factor = np.ones_like(mass_msun)
    for _ in range(60):
        found = (enclosed_mass(radius * s, factor * mass_msun) / s**3) @ weight
        step = mass_msun / found
        factor = factor * step
        if np.all(np.abs(step - 1.0) < 1e-10):
            break
    return np.asarray(factor)


def _directions(middle: Array, minor: Array) -> tuple[Array, Array]:
    """Return m / r in directions of one octant, (halo, node), and their weights, (node,)."""
    x, w = np.polynomial.legendre.leggauss(12)
    mu, phi = 0.5 * (x + 1.0), 0.25 * np.pi * (x + 1.0)
    mu, phi = (v.ravel() for v in np.meshgrid(mu, phi))
    weight = np.outer(0.5 * w, 0.5 * w).ravel()
    sine2 = 1.0 - mu**2
    a, b, c = (v[:, np.newaxis] for v in (minor, middle, np.ones_like(minor)))
    unit = np.cbrt(a * b) ** 2  # axes are divided by the cube root of their product
    s2 = unit * (sine2 * np.cos(phi) ** 2 / a**2 + sine2 * np.sin(phi) ** 2 / b**2 + mu**2 / c**2)
    return np.sqrt(s2), weight
