"""Profile of Diemer & Kravtsov 2014 (ApJ 789, 1), eq. 4 and 6: Einasto, steepening, and outer terms.

    rho_inner = rho_s exp(-(2 / alpha) [(r / r_s)^alpha - 1]) [1 + (r / r_t)^beta]^(-gamma / beta)
    rho_outer = rho_mean * outer_norm / (1 / 1000 + (r / (5 R200m))^outer_slope)  (+ rho_mean)

with alpha = 0.155 + 0.0095 nu^2 (Gao et al. 2008), beta = 4, gamma = 8 and r_t = (1.9 - 0.18 nu) R200m for
haloes selected by mass. The outer term is left out unless its norm is given.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from clmassmod.core.profiles.outer import Outer
from clmassmod.core.profiles.splashback import (
    SMALLEST_TRUNCATION,
    Inner,
    PeakHeight,
    Solved,
    profile_of,
    solve,
    truncation_by_accretion,
)
from clmassmod.errors import ConfigError
from clmassmod.records import Array, HaloEnvironment


def _inner(alpha: float | None, beta: float, gamma: float, truncation: float | None) -> Inner:
    def inner(r: Array, r_s: Array, r_200m: Array, nu: Array) -> Array:
        a = 0.155 + 0.0095 * nu**2 if alpha is None else alpha
        ratio = np.maximum(1.9 - 0.18 * nu, SMALLEST_TRUNCATION) if truncation is None else truncation
        einasto = np.exp(-2.0 / a * ((r / r_s) ** a - 1.0))
        return np.asarray(einasto * (1.0 + (r / (ratio * r_200m)) ** beta) ** (-gamma / beta))

    return inner


def haloes(
    mass_msun: ArrayLike,
    concentration: ArrayLike,
    density_msun_mpc3: ArrayLike,
    environment: HaloEnvironment | None = None,
    *,
    peak_height: PeakHeight = None,
    alpha: float | None = None,
    beta: float | None = None,
    gamma: float | None = None,
    truncation: float | None = None,
    accretion_rate: float | None = None,
    outer_norm: float = 0.0,
    outer_slope: float = 1.5,
    outer_max: float = 1000.0,
    mean: bool = False,
) -> Solved:
    """Return haloes with all parameters known.

    Parameters
    ----------
    mass_msun, concentration, density_msun_mpc3, environment
        As for ``core.nfw.projected``; the environment gives the mean matter density.
    peak_height
        Function from M200m in Msun to nu, or nu itself, scalar or (mass,). Needed unless both ``alpha``
        and ``truncation`` (or ``accretion_rate``) are given.
    alpha, beta, gamma, truncation
        Shape, and r_t / R200m, in place of the calibrated ones.
    accretion_rate
        Mass accretion rate Gamma; chooses the calibration of haloes selected by it (beta = 6, gamma = 4).
    outer_norm, outer_slope, outer_max
        Power-law outer term: norm (0: none), slope, and largest density in units of norm times the mean.
    mean
        Whether the mean matter density counts in densities and masses; it is never projected.

    Raises
    ------
    ConfigError
        For a missing peak height, or a halo that does not exist.
    """
    selected = accretion_rate is not None
    if selected and truncation is None and environment is not None:
        truncation = truncation_by_accretion(environment, float(accretion_rate or 0.0))
    if peak_height is None and (alpha is None or truncation is None):
        raise ConfigError("profile dk14 needs peak_height, or both of its parameters alpha and truncation")
    inner = _inner(
        alpha,
        (6.0 if selected else 4.0) if beta is None else beta,
        (4.0 if selected else 8.0) if gamma is None else gamma,
        truncation,
    )
    # outer_max limits the bracket: delta_max = norm * outer_max
    outer = Outer(outer_norm, outer_slope, max(outer_norm, 1e-300) * outer_max, 1.0, 5.0, mean)
    return solve(mass_msun, concentration, density_msun_mpc3, environment, peak_height, inner, outer, "dk14")


PROFILE = profile_of(haloes, needs=("peak_height",))
