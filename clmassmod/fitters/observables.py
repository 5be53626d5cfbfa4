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

_FEW = 4000  # numbers: to look for strong ones would take longer than to treat all alike


def observable(profile: ShearProfile, used: NDArray[np.bool_], surface: Projected) -> Array:
    """Return what bins show, (..., bin): reduced shear, excess surface density, or convergence."""
    if profile.observable == "delta_sigma":
        return surface.delta_sigma
    beta, ratio = _scales(profile, used)
    if profile.observable == "kappa":
        return surface.sigma * beta
    gamma, below = surface.delta_sigma * beta, 1.0 - surface.sigma * ratio
    if gamma.size < _FEW:
        return _beyond(gamma, below)[0]
    shear = gamma / below
    strong = _strong_rows(shear, below)
    if strong is not None:
        shear[..., strong, :] = _beyond(gamma[..., strong, :], below[..., strong, :])[0]
    return shear


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
    np.divide(gamma, below, out=value)
    np.multiply(value, ratio * step.sigma, out=slope)
    slope += beta * step.delta_sigma
    slope /= below
    strong = _strong_rows(value, below)
    if strong is not None:
        rows = (..., strong, slice(None))
        along, across = (beta * step.delta_sigma)[rows], (ratio * step.sigma)[rows]
        value[rows], divisor = _beyond(gamma[rows], below[rows])
        slope[rows] = (below[rows] * along + gamma[rows] * across) / divisor**2


def _scales(profile: ShearProfile, used: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Return shear and convergence of a unit surface density (bin,): <beta_s> and <beta_s^2> / <beta_s>.

    Applegate et al. 2014 (MNRAS 439, 48), as in ``core.shear.reduced_shear``.
    """
    beta_s, beta_s2 = profile.beta_s[used], profile.beta_s2[used]
    ratio = np.divide(beta_s2, beta_s, out=np.zeros_like(beta_s), where=beta_s > 0)
    return beta_s / profile.sigma_crit_inf_msun_mpc2, ratio / profile.sigma_crit_inf_msun_mpc2


def _strong_rows(shear: Array, below: Array) -> slice | None:
    """Return the masses of arrays (..., mass, bin) between which some |g| is beyond 1; None: there is none.

    Reductions over the first axes are fast, and most masses need no more.
    """
    first = tuple(range(shear.ndim - 2))
    reach = np.maximum(shear.max(axis=first, initial=0.0), -shear.min(axis=first, initial=0.0))
    flags = ((reach > 1.0) | (below.min(axis=first, initial=1.0) <= 0.0)).any(axis=-1)
    rows = np.flatnonzero(flags)
    return slice(int(rows[0]), int(rows[-1]) + 1) if rows.size else None


def _beyond(gamma: Array, below: Array) -> tuple[Array, Array]:
    """Return g and D from gamma and 1 - kappa."""
    size = np.abs(gamma)
    strong = size > below
    if not strong.any():
        return gamma / below, below
    divisor = np.where(strong, 2.0 * size - below, below)
    shear = gamma / divisor
    np.subtract(np.copysign(2.0, gamma), shear, out=shear, where=strong)
    return shear, divisor
