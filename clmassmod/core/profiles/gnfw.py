"""Generalised NFW profile with free inner slope, outer slope and sharpness between them.

    rho = rho_s x^-inner (1 + x^transition)^(-(outer - inner) / transition),  x = r / r_s

Source: Zhao 1996 (MNRAS 278, 488), eq. 1; the defaults outer = 3 and transition = 1 give the generalised NFW
profile of Wyithe, Turner & Spergel 2001 (ApJ 555, 504). The concentration is r_delta / r_s with the r_s
above; the logarithmic slope is -2 at r_s (2 - inner), not at r_s, unless inner = 1.
"""

from __future__ import annotations

import numpy as np

from clmassmod.core.profiles.scale_free import POWER_LAW_REACH, scale_free
from clmassmod.errors import ConfigError
from clmassmod.records import Array


def shape(x: Array, *, inner_slope: float = 1.0, outer_slope: float = 3.0, transition: float = 1.0) -> Array:
    """Return the density at x = r / r_s in units of rho_s."""
    bracket = (1.0 + x**transition) ** ((inner_slope - outer_slope) / transition)
    return np.asarray(x**-inner_slope * bracket)


def _check(inner_slope: float, outer_slope: float, transition: float) -> None:
    if not 0 <= inner_slope <= 2.5:
        raise ConfigError(f"profile gnfw: inner_slope = {inner_slope!r} must lie between 0 and 2.5")
    if not 2.5 <= outer_slope <= 10:
        raise ConfigError(f"profile gnfw: outer_slope = {outer_slope!r} must lie between 2.5 and 10")
    if not 0.2 <= transition <= 5:
        raise ConfigError(f"profile gnfw: transition = {transition!r} must lie between 0.2 and 5")


def _reach(*, inner_slope: float = 1.0, outer_slope: float = 3.0, transition: float = 1.0) -> float:
    _check(inner_slope, outer_slope, transition)
    return POWER_LAW_REACH


def _cusp(*, inner_slope: float = 1.0, outer_slope: float = 3.0, transition: float = 1.0) -> float:
    _check(inner_slope, outer_slope, transition)
    return inner_slope


PROFILE = scale_free(shape, reach=_reach, cusp=_cusp, nodes=96)
