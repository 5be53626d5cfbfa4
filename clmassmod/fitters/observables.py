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

from clmassmod.core.projected import Projected
from clmassmod.fitters.places import Flags
from clmassmod.records import Array, ShearProfile

_FEW = 4000  # numbers: to look for strong ones would take longer than to treat all alike


def observable(profile: ShearProfile, used: Flags, surface: Projected) -> Array:
    """Return what bins show, (..., bin): reduced shear, excess surface density, or convergence."""
    unit = units(profile, used)
    if profile.observable == "delta_sigma":
        return surface.delta_sigma
    if profile.observable == "kappa":
        return surface.sigma * unit.sigma
    gamma, below = surface.delta_sigma * unit.delta_sigma, 1.0 - surface.sigma * unit.sigma
    return _extended(gamma, below, np.abs(gamma) > below)[0]


def units(profile: ShearProfile, used: Flags) -> Projected:
    """Return what a unit of the surface densities shows in each bin, (bin,).

    Of a reduced shear they are the terms of Applegate et al. 2014 (MNRAS 439, 48), as in
    ``core.shear.reduced_shear``: <beta_s^2> / <beta_s> for the convergence, <beta_s> for the shear.
    """
    beta_s = profile.beta_s[used]
    if profile.observable == "delta_sigma":
        return Projected(np.ones_like(beta_s), np.ones_like(beta_s))
    beta = beta_s / profile.sigma_crit_inf_msun_mpc2
    if profile.observable == "kappa":
        return Projected(beta, beta)
    beta_s2 = profile.beta_s2[used] / profile.sigma_crit_inf_msun_mpc2
    return Projected(np.divide(beta_s2, beta_s, out=np.zeros_like(beta_s), where=beta_s > 0), beta)


def shown(profile: ShearProfile, lens: Projected, strong: Flags) -> Array:
    """Return ``observable`` from surface densities in ``units``, (concentration, mass, offset, bin).

    Parameters
    ----------
    profile : ShearProfile
    lens : Projected
        Its arrays are used up.
    strong : array (concentration, mass, offset)
        Made true where |g| is beyond 1 in any bin.
    """
    if profile.observable != "g_t":
        return lens.sigma if profile.observable == "kappa" else lens.delta_sigma
    gamma, below = lens.delta_sigma, np.subtract(1.0, lens.sigma, out=lens.sigma)
    beyond = np.abs(gamma) > below
    if gamma.size < _FEW:
        np.any(beyond, axis=-1, out=strong)
        return _extended(gamma, below, beyond)[0]
    some = _masses_with(beyond)
    shear = gamma / below
    if some is not None:
        shear[:, some] = _extended(gamma[:, some], below[:, some], beyond[:, some])[0]
        np.any(beyond[:, some], axis=-1, out=strong[:, some])
    return shear


def shown_and_slope(
    profile: ShearProfile, lens: Projected, step: Projected, out: tuple[Array, Array], strong: Flags
) -> None:
    """Put ``shown`` and its derivative along an addition to the surface densities into ``out``.

    The sums of many nodes of nuisance parameters take most of a fit's time: each number is touched as few
    times as can be.

    Parameters
    ----------
    profile : ShearProfile
    lens : Projected
        Arrays (concentration, mass, offset, bin) in ``units``, which are used up.
    step : Projected
        The addition, in ``units``.
    out : tuple of array (concentration, mass, offset, bin)
    strong : array (concentration, mass, offset)
        Made true where |g| is beyond 1 in any bin.
    """
    value, slope = out
    if profile.observable != "g_t":
        value[...], slope[...] = shown(profile, lens, strong), shown(profile, step, strong)
        return
    gamma, below = lens.delta_sigma, np.subtract(1.0, lens.sigma, out=lens.sigma)
    np.divide(gamma, below, out=value)
    np.multiply(value, step.sigma, out=slope)
    slope += step.delta_sigma
    slope /= below
    beyond = np.abs(gamma) > below
    some = _masses_with(beyond)
    if some is not None:
        gamma, below, beyond = gamma[:, some], below[:, some], beyond[:, some]
        value[:, some], divisor = _extended(gamma, below, beyond)
        slope[:, some] = below * step.delta_sigma[:, some] + gamma * step.sigma[:, some]
        slope[:, some] /= divisor**2
        np.any(beyond, axis=-1, out=strong[:, some])


def _masses_with(beyond: Flags) -> slice | None:
    """Return the masses of flags (concentration, mass, ...) between which some are true, if any."""
    rows = beyond.reshape(*beyond.shape[:2], -1).any(axis=-1).any(axis=0)
    found = np.flatnonzero(rows)
    return slice(int(found[0]), int(found[-1]) + 1) if found.size else None


def _extended(gamma: Array, below: Array, beyond: Flags) -> tuple[Array, Array]:
    """Return g and D from gamma, 1 - kappa, and where g is beyond 1 or -1."""
    divisor = np.where(beyond, 2.0 * np.abs(gamma) - below, below)
    shear = gamma / divisor
    np.subtract(np.copysign(2.0, gamma), shear, out=shear, where=beyond)
    return shear, divisor
