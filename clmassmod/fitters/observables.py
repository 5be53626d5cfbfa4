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


def observable_and_slope(
    profile: ShearProfile,
    used: NDArray[np.bool_],
    surface: Projected,
    step: Projected,
    out: tuple[Array, Array],
) -> None:
    """Put ``observable`` and its derivative along an addition to the surface densities into ``out``.

    For g = b gamma / (1 - k kappa) it is b gamma' / (1 - k kappa) + k kappa' g / (1 - k kappa), with
    b = <beta_s> and k = <beta_s^2> / <beta_s>, and zero where g is capped. The sums of many nodes of nuisance
    parameters take most of a fit's time: each number is touched as few times as can be.

    Parameters
    ----------
    profile : ShearProfile
    used : array (bin,)
    surface : Projected
        Arrays (..., bin), which are used up.
    step : Projected
        The addition.
    out : tuple of array (..., bin)
    """
    value, slope = out
    if profile.observable != "g_t":
        value[...] = observable(profile, used, surface)
        slope[...] = observable(profile, used, step)
        return
    beta = profile.beta_s[used] / profile.sigma_crit_inf_msun_mpc2
    ratio = profile.beta_s2[used] / profile.beta_s[used] / profile.sigma_crit_inf_msun_mpc2
    below = np.multiply(surface.sigma, -ratio, out=surface.sigma)
    below += 1.0
    np.multiply(surface.delta_sigma, beta, out=value)
    value /= below
    np.multiply(value, ratio * step.sigma, out=slope)
    slope += beta * step.delta_sigma
    slope /= below
    if value.size and not (below.min() > 0.0 and value.max() < MAX_SHEAR):
        capped = (value >= MAX_SHEAR) | ((below <= 0.0) & (surface.delta_sigma > 0))
        value[capped], slope[capped] = MAX_SHEAR, 0.0
