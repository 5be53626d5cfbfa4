"""From surface densities to what the bins of a profile show."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from clmassmod.core.projected import Projected
from clmassmod.core.shear import reduced_shear
from clmassmod.records import Array, ShearProfile

MAX_SHEAR = 1.0  # a reduced shear has a pole at large mass and changes sign beyond: the model stops there


def observable(profile: ShearProfile, used: NDArray[np.bool_], surface: Projected) -> Array:
    """Return what bins show, (..., bin): capped reduced shear, excess surface density, or convergence."""
    if profile.observable == "delta_sigma":
        return surface.delta_sigma
    if profile.observable == "kappa":
        return surface.sigma * (profile.beta_s[used] / profile.sigma_crit_inf_msun_mpc2)
    shear = reduced_shear(
        surface.sigma,
        surface.delta_sigma,
        profile.sigma_crit_inf_msun_mpc2,
        profile.beta_s[used],
        profile.beta_s2[used],
    )
    if shear.size and not (shear.min() >= 0.0 and shear.max() <= MAX_SHEAR):
        shear[(shear > MAX_SHEAR) | ((shear < 0) & (surface.delta_sigma > 0))] = MAX_SHEAR
    return shear


def observable_slope(
    profile: ShearProfile, used: NDArray[np.bool_], surface: Projected, value: Array, term: Projected
) -> Array:
    """Return the derivative of ``observable`` along an addition to the surface densities, (..., bin).

    For g = b gamma / (1 - k kappa) it is b gamma' / (1 - k kappa) + k kappa' g / (1 - k kappa), with
    b = <beta_s> and k = <beta_s^2> / <beta_s>, and zero where g is capped.
    """
    if profile.observable == "delta_sigma":
        return np.broadcast_to(term.delta_sigma, value.shape).copy()
    if profile.observable == "kappa":
        return np.broadcast_to(observable(profile, used, term), value.shape).copy()
    beta = profile.beta_s[used] / profile.sigma_crit_inf_msun_mpc2
    ratio = profile.beta_s2[used] / profile.beta_s[used] / profile.sigma_crit_inf_msun_mpc2
    slope = value * (ratio * term.sigma)
    slope += beta * term.delta_sigma
    below = surface.sigma * -ratio
    below += 1.0
    slope /= below
    if value.size and value.max() >= MAX_SHEAR:
        slope[value >= MAX_SHEAR] = 0.0
    return slope
