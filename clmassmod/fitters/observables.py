"""From surface densities to what the bins of a profile show.

The reduced shear g = gamma / (1 - kappa) has a pole at large mass and changes its sign beyond. From |g| = 1
on a model goes on such that it rises with the mass and likelihoods can be interpolated,

    g = gamma / D,  D = 1 - kappa             for |gamma| <= 1 - kappa ,
    g = +-2 - gamma / D,  D = 2 |gamma| - (1 - kappa)  beyond, with the sign of gamma ,

with values and slopes that meet at 1, and 2 as limit. Both have
dg = ((1 - kappa) dgamma + gamma dkappa) / D^2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from clmassmod.core.projected import Projected
from clmassmod.records import Array, ShearProfile


def observable(profile: ShearProfile, used: NDArray[np.bool_], surface: Projected) -> Array:
    """Return what bins show, (..., bin): reduced shear, excess surface density, or convergence."""
    if profile.observable == "delta_sigma":
        return surface.delta_sigma
    beta, ratio = _scales(profile, used)
    if profile.observable == "kappa":
        return surface.sigma * beta
    shear, _, strong = _reduced(surface.delta_sigma * beta, 1.0 - surface.sigma * ratio)
    return _beyond(shear, strong)


def observable_and_slope(
    profile: ShearProfile,
    used: NDArray[np.bool_],
    surface: Projected,
    step: Projected,
    out: tuple[Array, Array],
) -> None:
    """Put ``observable`` and its derivative along an addition to the surface densities into ``out``.

    The sums of many nodes of nuisance parameters take most of a fit's time: each number is touched as few
    times as can be.

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
    beta, ratio = _scales(profile, used)
    below = np.multiply(surface.sigma, -ratio, out=surface.sigma)
    below += 1.0
    gamma = np.multiply(surface.delta_sigma, beta, out=surface.delta_sigma)
    _, below, strong = _reduced(gamma, below, value)
    np.multiply(value, ratio * step.sigma, out=slope)
    along = beta * step.delta_sigma
    slope += along if strong is None else np.where(strong, 2.0 * np.abs(value) - 1.0, 1.0) * along
    slope /= below
    _beyond(value, strong)


def _scales(profile: ShearProfile, used: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Return shear and convergence of a unit surface density (bin,): <beta_s> and <beta_s^2> / <beta_s>.

    Applegate et al. 2014 (MNRAS 439, 48), as in ``core.shear.reduced_shear``.
    """
    beta_s, beta_s2 = profile.beta_s[used], profile.beta_s2[used]
    ratio = np.divide(beta_s2, beta_s, out=np.zeros_like(beta_s), where=beta_s > 0)
    return beta_s / profile.sigma_crit_inf_msun_mpc2, ratio / profile.sigma_crit_inf_msun_mpc2


def _reduced(
    gamma: Array, below: Array, out: Array | None = None
) -> tuple[Array, Array, NDArray[np.bool_] | None]:
    """Return gamma / D, D, and where g is beyond 1 (None: nowhere), from gamma and 1 - kappa, (..., bin)."""
    if below.size and below.min() > 0.0:
        value = np.divide(gamma, below, out=out)
        if value.max() <= 1.0 and value.min() >= -1.0:
            return value, below, None
    size = np.abs(gamma)
    strong = size > below
    below = np.where(strong, 2.0 * size - below, below)
    return np.divide(gamma, below, out=out), below, strong


def _beyond(value: Array, strong: NDArray[np.bool_] | None) -> Array:
    """Turn gamma / D into g, in place."""
    if strong is not None:
        np.subtract(np.copysign(2.0, value), value, out=value, where=strong)
    return value
