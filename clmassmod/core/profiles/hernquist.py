"""Hernquist profile, rho = rho_s / (x (1 + x)^3), x = r / r_s.

Source: Hernquist 1990 (ApJ 356, 359), eq. 2, 3 and 32. The concentration is r_delta / r_s with the scale
radius above, as in CLMM, and the mass that inside r_delta. Its mean surface density has the shape of the
NFW profile's surface density. ``t`` and ``h`` are those of ``core.nfw``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from clmassmod.core.nfw import artanh_ratio, polynomial
from clmassmod.core.profiles.scale_free import of_shapes
from clmassmod.core.projected import Projected, columns, overdensity_radius_mpc
from clmassmod.records import Array

_K = np.arange(10.0)
_SERIES = np.asarray(3.0 / (2.0 * _K + 5.0) + 2.0 / (2.0 * _K + 3.0) + 3.0 / (2.0 * _K + 1.0))


def shapes(x: ArrayLike) -> tuple[Array, Array]:
    """Return the dimensionless surface density and mean surface density at x = R / r_s > 0.

    Units of rho_s r_s: [(2 + x^2) a - 3] / (x^2 - 1)^2 and 2 (1 - a) / (x^2 - 1) with a = arcosh(1/x) /
    sqrt(1 - x^2), written without their cancellation at x = 1.
    """
    x = np.atleast_1d(np.asarray(x, dtype=float))
    t = (1.0 - x) / (1.0 + x)
    ratio = artanh_ratio(x, t)
    with np.errstate(invalid="ignore", divide="ignore"):
        bracket = 3.0 * (ratio - 1.0 / 3.0) / t + 2.0 * ratio + 3.0 * (1.0 + t * ratio)
    near = np.abs(t) < 0.006  # the same terms as power series
    bracket[near] = polynomial(_SERIES, t[near])
    one = 1.0 / (1.0 + x)
    sigma = 0.5 * bracket * one**3  # (1 + t)^3 / 16
    mean = 4.0 * (0.5 * (1.0 + x) + ratio) * one**3
    return sigma, mean


def _scale(
    mass_msun: ArrayLike, concentration: ArrayLike, density_msun_mpc3: ArrayLike
) -> tuple[Array, Array]:
    mass, c, radius = columns(mass_msun, concentration, overdensity_radius_mpc(mass_msun, density_msun_mpc3))
    r_s = radius / c
    return r_s, mass / (r_s**3 * _mass(c))


def _density(x: Array) -> Array:
    return 1.0 / (x * (1.0 + x) ** 3)


def _mass(x: Array) -> Array:
    return 2.0 * np.pi * (x / (1.0 + x)) ** 2


def _surface(x: Array) -> Projected:
    sigma, mean = shapes(x)
    return Projected(sigma, mean - sigma)


PROFILE = of_shapes(_scale, _density, _mass, _surface)
