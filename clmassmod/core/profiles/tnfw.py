"""Truncated NFW profile, rho = rho_s / (x (1 + x)^2) * [tau^2 / (tau^2 + x^2)]^n, x = r / r_s, n = 1 or 2.

Source: Baltz, Marshall & Oguri 2009 (JCAP 01, 015), appendix A. The truncation radius is
tau r_s. The mass is that inside r_delta of the truncated profile itself, not of its untruncated twin.

Their closed forms lose digits as x^-2 towards the centre and as x^3 far outside the truncation; there
the same integrals are done by quadrature.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from clmassmod.core import nfw, quadrature
from clmassmod.core.profile import Profile
from clmassmod.core.projected import Projected, columns, overdensity_radius_mpc
from clmassmod.errors import ConfigError
from clmassmod.records import Array, HaloEnvironment

_INNER = 0.05  # quadrature below, in units of r_s and of the truncation radius
_OUTER = {1: 50.0, 2: 12.0}  # and beyond so many truncation radii
_REACH = 1e6  # in units of r_s and of the truncation radius: the density falls as r^-5 or r^-7
_NODES = 96


def shape(x: Array, tau: Array, n: int) -> Array:
    """Return the density in units of rho_s."""
    return np.asarray((tau**2 / (tau**2 + x**2)) ** n / (x * (1.0 + x) ** 2))


def mass_shape(x: Array, tau: Array, n: int) -> Array:
    """Return the mass inside x in units of 4 pi rho_s r_s^3 (appendix A, in another order)."""
    t2 = tau**2
    log = np.log1p(x) - 0.5 * np.log1p(x**2 / t2)
    arctan, nfw_part = np.arctan(x / tau), x / (1.0 + x)
    if n == 1:
        bracket = 2.0 * tau * arctan + (t2 - 1.0) * log - (t2 + 1.0) * nfw_part
        value = t2 / (t2 + 1.0) ** 2 * bracket
    else:
        bracket = 2.0 * (3.0 * t2 - 1.0) / tau * arctan + 2.0 * (t2 - 3.0) * log - 2.0 * (t2 + 1.0) * nfw_part
        bracket += (2.0 * (t2 + 1.0) * x - (t2 - 1.0 / t2) * x**2) / (t2 + x**2)
        value = t2**2 / (2.0 * (t2 + 1.0) ** 3) * bracket
    series = nfw.mass_shape(x) * (1.0 - 0.5 * n * x**2 / t2)
    return np.asarray(np.where(x < 1e-4, series, value))


def _closed_form(x: Array, tau: Array, n: int) -> tuple[Array, Array]:
    """Return surface density and mean surface density in units of rho_s r_s, appendix A."""
    nfw_sigma, _ = nfw.shapes(x)  # 2 (1 - F) / (x^2 - 1)
    f = 1.0 - 0.5 * nfw_sigma * (x**2 - 1.0)
    t2, square = tau**2, tau**2 + x**2
    root = np.sqrt(square)
    log = np.log(x / (root + tau))
    if n == 1:
        factor = t2 / (t2 + 1.0) ** 2
        sigma = 0.5 * (t2 + 1.0) * nfw_sigma + 2.0 * f - np.pi / root + (t2 - 1.0) / (tau * root) * log
        mass = (t2 + 1.0 + 2.0 * (x**2 - 1.0)) * f - np.pi * x**2 / (root + tau)
        mass += (t2 - 1.0) * (np.log(tau) + root / tau * log)
        return 2.0 * factor * sigma, 4.0 * factor * mass / x**2
    factor = t2**2 / (2.0 * (t2 + 1.0) ** 3)
    rest = square * (3.0 * t2**2 - 6.0 * t2 - 1.0)
    sigma = (t2 + 1.0) * nfw_sigma + 8.0 * f + (t2**2 - 1.0) / (t2 * square)
    sigma += (
        -np.pi * (4.0 * square + t2 + 1.0) / root**3 + (t2 * (t2**2 - 1.0) + rest) / (tau * root) ** 3 * log
    )
    mass = 2.0 * (t2 + 1.0 + 4.0 * (x**2 - 1.0)) * f + np.pi * (3.0 * t2 - 1.0) / tau
    mass += 2.0 * (t2 - 3.0) * np.log(tau) - np.pi * (4.0 * square - t2 - 1.0) / root
    mass += (rest - t2 * (t2**2 - 1.0)) / (tau**3 * root) * log
    return 2.0 * factor * sigma, 4.0 * factor * mass / x**2


def shapes(x: Array, tau: Array, n: int) -> tuple[Array, Array]:
    """Return surface density and excess surface density in units of rho_s r_s; ``tau`` of the shape of x."""
    x, tau = (np.array(a) for a in np.broadcast_arrays(x, tau))
    sigma, mean = _closed_form(x, tau, n)
    delta_sigma = mean - sigma
    poor = (x < _INNER * np.minimum(tau, 1.0)) | (x > _OUTER[n] * tau)
    if poor.any():
        xp, tp = x[poor], tau[poor]
        reach = _REACH * np.maximum(tp, 1.0)
        sigma[poor], delta_sigma[poor] = quadrature.surface_densities(
            lambda y: shape(y, tp[:, np.newaxis], n), xp, np.minimum(tp, 1.0), reach, cusp=1.0, nodes=_NODES
        )
    return sigma, delta_sigma


def _scale(
    mass_msun: ArrayLike,
    concentration: ArrayLike,
    density_msun_mpc3: ArrayLike,
    n: int,
    tau: ArrayLike | None,
    truncation_mpc: ArrayLike | None,
) -> tuple[Array, Array, Array]:
    """Return r_s in Mpc, rho_s in Msun / Mpc3 and tau, each (mass, 1)."""
    if n not in {1, 2}:
        raise ConfigError(f"profile tnfw: n = {n!r} must be 1 or 2")
    if (tau is None) == (truncation_mpc is None):
        raise ConfigError(
            "profile tnfw needs either parameter tau (truncation radius / r_s) or truncation_mpc"
        )
    mass, c, radius = columns(mass_msun, concentration, overdensity_radius_mpc(mass_msun, density_msun_mpc3))
    r_s = radius / c
    ratio = columns(tau)[0] if tau is not None else columns(truncation_mpc)[0] / r_s  # type: ignore[arg-type]
    if not np.all(ratio > 0):
        raise ConfigError("profile tnfw: the truncation radius must be above 0")
    return r_s, mass / (4.0 * np.pi * r_s**3 * mass_shape(c, ratio, n)), ratio


def density(
    radius_mpc: ArrayLike,
    mass_msun: ArrayLike,
    concentration: ArrayLike,
    density_msun_mpc3: ArrayLike,
    environment: HaloEnvironment | None = None,  # noqa: ARG001  one signature for all profiles
    *,
    tau: ArrayLike | None = None,
    truncation_mpc: ArrayLike | None = None,
    n: int = 1,
) -> Array:
    """Return the density in Msun / Mpc3, (mass, bin); parameters as for ``projected``."""
    r_s, rho_s, ratio = _scale(mass_msun, concentration, density_msun_mpc3, n, tau, truncation_mpc)
    return rho_s * shape(np.asarray(radius_mpc, dtype=float) / r_s, ratio, n)


def enclosed_mass(
    radius_mpc: ArrayLike,
    mass_msun: ArrayLike,
    concentration: ArrayLike,
    density_msun_mpc3: ArrayLike,
    environment: HaloEnvironment | None = None,  # noqa: ARG001  one signature for all profiles
    *,
    tau: ArrayLike | None = None,
    truncation_mpc: ArrayLike | None = None,
    n: int = 1,
) -> Array:
    """Return the mass inside a sphere in Msun, (mass, bin); parameters as for ``projected``."""
    r_s, rho_s, ratio = _scale(mass_msun, concentration, density_msun_mpc3, n, tau, truncation_mpc)
    return 4.0 * np.pi * rho_s * r_s**3 * mass_shape(np.asarray(radius_mpc, dtype=float) / r_s, ratio, n)


def projected(
    radius_mpc: ArrayLike,
    mass_msun: ArrayLike,
    concentration: ArrayLike,
    density_msun_mpc3: ArrayLike,
    environment: HaloEnvironment | None = None,  # noqa: ARG001  one signature for all profiles
    *,
    tau: ArrayLike | None = None,
    truncation_mpc: ArrayLike | None = None,
    n: int = 1,
) -> Projected:
    """Return the surface densities of truncated NFW haloes, Msun / Mpc2, (mass, bin).

    Parameters
    ----------
    radius_mpc, mass_msun, concentration, density_msun_mpc3
        As for ``core.nfw.projected``.
    environment
        Not used.
    tau
        Truncation radius in units of r_s, scalar or (mass,).
    truncation_mpc
        Truncation radius in Mpc instead, scalar or (mass,).
    n
        Steepness of the truncation: the density falls as r^-5 (n = 1) or r^-7 (n = 2).

    Raises
    ------
    ConfigError
        Unless exactly one of ``tau`` and ``truncation_mpc`` is given, above 0, and n is 1 or 2.
    """
    r_s, rho_s, ratio = _scale(mass_msun, concentration, density_msun_mpc3, n, tau, truncation_mpc)
    sigma, delta_sigma = shapes(np.asarray(radius_mpc, dtype=float) / r_s, ratio, n)
    return Projected(rho_s * r_s * sigma, rho_s * r_s * delta_sigma)


PROFILE = Profile(projected, density, enclosed_mass)
