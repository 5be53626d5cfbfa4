"""Einasto profile, rho = rho_s exp(-(2 / alpha) [(r / r_s)^alpha - 1]).

Source: Einasto 1965 (Trudy Inst. Astrofiz. Alma-Ata 5, 87); Navarro et al. 2004 (MNRAS 349, 1039). The
concentration is r_delta / r_s, where r_s is the radius of logarithmic slope -2.
"""

from __future__ import annotations

import numpy as np

from clmassmod.core.profiles.scale_free import scale_free
from clmassmod.errors import ConfigError
from clmassmod.records import Array


def shape(x: Array, *, alpha: float = 0.18) -> Array:
    """Return the density at x = r / r_s in units of that at r_s; ``alpha`` from 0.05 to 5."""
    return np.asarray(np.exp(-2.0 / alpha * (x**alpha - 1.0)))


def reach(*, alpha: float = 0.18) -> float:
    """Return the radius in r_s beyond which density times radius is below 1e-16 of that at r_s."""
    _check(alpha)
    return float((1.0 + 25.0 * alpha) ** (1.0 / alpha))


def _cusp(*, alpha: float = 0.18) -> float:
    _check(alpha)
    return 0.0


def _check(alpha: float) -> None:
    if not 0.05 <= alpha <= 5:
        raise ConfigError(f"profile einasto: alpha = {alpha!r} must lie between 0.05 and 5")


PROFILE = scale_free(shape, reach=reach, cusp=_cusp)
