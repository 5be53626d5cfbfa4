"""Navarro–Frenk–White profile, rho = rho_s / (x (1 + x)^2), x = r / r_s.

Sources: Navarro, Frenk & White 1997 (ApJ 490, 493); projection by Bartelmann 1996 (A&A 313, 697) and
Wright & Brainerd 2000 (ApJ 534, 34, eq. 11–16).

With t = (1 - x) / (1 + x) and h(t) = artanh(sqrt t) / sqrt t (arctan for t < 0) both shapes are smooth:

    sigma      = 2 rho_s r_s * 2 [1 / (1 + t) + (h - 1) / t] / (1 + x)^3
    mean sigma = 4 rho_s r_s * (ln(x / 2) + 2 h / (1 + x)) / x^2

A power series of h round t = 0 replaces the textbook form, which loses all digits at x = 1, and an
expansion in x^2 and ln x replaces the second where ln(x / 2) cancels (x < 0.1).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from clmassmod.core.profile import Profile
from clmassmod.core.projected import Projected, columns, overdensity_radius_mpc
from clmassmod.records import Array, HaloEnvironment

_SERIES_T = 0.006  # |x - 1| < 0.012: nine terms leave 1e-21
_SERIES_X = 0.1  # eight terms in x^2 leave 1e-16
_SERIES_MASS = 0.02

_ARTANH = np.asarray(1.0 / (2.0 * np.arange(10) + 3.0))  # (h - 1) / t = sum t^k / (2 k + 3)
_CENTRAL = np.cumprod(np.concatenate([[1.0], (2.0 * np.arange(1, 11) - 1.0) / (2.0 * np.arange(1, 11))]))
_MASS_TERMS = np.array([(-1.0) ** k * (k - 1.0) / k for k in range(2, 12)])
_LOG_TERMS = _CENTRAL[1:]  # coefficients of x^(2 k) ln(2 / x) in (a - ln(2 / x)) / x^2
_RATIONAL_TERMS = np.array(
    [sum(_CENTRAL[k - j] * _CENTRAL[j] / (2.0 * j) for j in range(1, k + 1)) for k in range(1, 11)]
)


def polynomial(coefficients: Array, x: Array) -> Array:
    """Return sum of coefficients[k] x^k."""
    value = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value *= x
        value += coefficient
    return value


def artanh_ratio(x: Array, t: Array) -> Array:
    """Return (h(t) - 1) / t at t = (1 - x) / (1 + x), smooth at t = 0; see the head of the module."""
    s = np.sqrt(np.abs(t))
    # artanh s in a form that does not cancel as x -> 0, where 1 - s = 2 x / ((1 + x) (1 + s))
    angle = np.where(t > 0, np.log((1.0 + s) * np.sqrt((1.0 + x) / (2.0 * x))), np.arctan(s))
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = (angle / s - 1.0) / t
    near = np.abs(t) < _SERIES_T
    if near.any():
        ratio[near] = polynomial(_ARTANH, t[near])
    return ratio


def shapes(x: ArrayLike) -> tuple[Array, Array]:
    """Return the dimensionless surface density and mean surface density at x = R / r_s > 0.

    Units of rho_s r_s; the shape of ``x``, relative error below 2e-12 for 1e-8 < x < 1e8.
    """
    x = np.atleast_1d(np.asarray(x, dtype=float))
    t = (1.0 - x) / (1.0 + x)
    ratio = artanh_ratio(x, t)
    one = 1.0 / (1.0 + x)
    sigma = 4.0 * (0.5 * (1.0 + x) + ratio) * one**3  # 1 / (1 + t) = (1 + x) / 2
    mean = 4.0 * (np.log(0.5 * x) + 2.0 * (1.0 + t * ratio) * one) / (x * x)
    small = x < _SERIES_X
    if small.any():
        x2 = x[small] ** 2
        log = -np.log(0.5 * x[small])
        mean[small] = 4.0 * (log * polynomial(_LOG_TERMS, x2) - polynomial(_RATIONAL_TERMS, x2))
    return sigma, mean


def mass_shape(x: ArrayLike) -> Array:
    """Return ln(1 + x) - x / (1 + x), the enclosed mass in units of 4 pi rho_s r_s^3."""
    x = np.asarray(x, dtype=float)
    value = np.asarray(np.log1p(x) - x / (1.0 + x))
    if not (x < _SERIES_MASS).any():
        return value
    series = x * x * polynomial(_MASS_TERMS, np.minimum(x, 1.0))
    return np.asarray(np.where(x < _SERIES_MASS, series, value))


def scale(
    mass_msun: ArrayLike, concentration: ArrayLike, density_msun_mpc3: ArrayLike
) -> tuple[Array, Array]:
    """Return the scale radius in Mpc and rho_s in Msun / Mpc3, of the shape of mass and concentration."""
    c = np.asarray(concentration, dtype=float)
    radius = overdensity_radius_mpc(mass_msun, density_msun_mpc3)
    rho_s = np.asarray(density_msun_mpc3) / 3.0 * (c * c * c) / mass_shape(c)
    r_s = radius / c
    return r_s, rho_s if rho_s.shape == r_s.shape else np.broadcast_to(rho_s, r_s.shape)


def density(
    radius_mpc: ArrayLike,
    mass_msun: ArrayLike,
    concentration: ArrayLike,
    density_msun_mpc3: ArrayLike,
    environment: HaloEnvironment | None = None,  # noqa: ARG001  one signature for all profiles
) -> Array:
    """Return the density in Msun / Mpc3, (mass, bin); arguments as for ``projected``."""
    r_s, rho_s = columns(*scale(mass_msun, concentration, density_msun_mpc3))
    x = np.asarray(radius_mpc, dtype=float) / r_s
    return rho_s / (x * (1.0 + x) ** 2)


def enclosed_mass(
    radius_mpc: ArrayLike,
    mass_msun: ArrayLike,
    concentration: ArrayLike,
    density_msun_mpc3: ArrayLike,
    environment: HaloEnvironment | None = None,  # noqa: ARG001  one signature for all profiles
) -> Array:
    """Return the mass inside a sphere in Msun, (mass, bin); arguments as for ``projected``."""
    r_s, rho_s = columns(*scale(mass_msun, concentration, density_msun_mpc3))
    return 4.0 * np.pi * rho_s * r_s**3 * mass_shape(np.asarray(radius_mpc, dtype=float) / r_s)


def projected(
    radius_mpc: ArrayLike,
    mass_msun: ArrayLike,
    concentration: ArrayLike,
    density_msun_mpc3: ArrayLike,
    environment: HaloEnvironment | None = None,  # noqa: ARG001  one signature for all profiles
) -> Projected:
    """Return the surface density of NFW haloes.

    Parameters
    ----------
    radius_mpc
        Projected physical radii, (bin,), or (mass, bin).
    mass_msun, concentration
        Spherical-overdensity mass and concentration r_delta / r_s, (mass,) or scalars.
    density_msun_mpc3
        Mean density inside r_delta: the threshold of the mass definition.
    environment
        Not used.

    Returns
    -------
    Projected
        Surface density and excess surface density, Msun / Mpc2, (mass, bin), or (bin,) for scalars.

    Examples
    --------
    A halo of 1e15 Msun with c = 4, where 200 times the critical density is 3.3e13 Msun / Mpc3:

    >>> found = projected([0.5, 1.0, 2.0], 1e15, 4.0, 3.3e13)
    >>> print((found.delta_sigma / 1e14).round(3))
    [2.313 1.393 0.69 ]

    The mean inside a circle exceeds the density on it:

    >>> bool((found.mean_sigma > found.sigma).all())
    True
    """
    r_s, rho_s = columns(*scale(mass_msun, concentration, density_msun_mpc3))
    sigma, mean = shapes(np.asarray(radius_mpc, dtype=float) / r_s)
    amplitude = rho_s * r_s
    return Projected(amplitude * sigma, amplitude * (mean - sigma))


PROFILE = Profile(projected, density, enclosed_mass)
