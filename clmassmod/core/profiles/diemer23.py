"""Profile of Diemer 2023 (MNRAS 519, 3292): orbiting matter with an exponential truncation, and infall.

    rho_orbiting  = rho_s exp(-(2 / alpha) [(r / r_s)^alpha - 1] - [(r / r_t)^beta - (r_s / r_t)^beta] / beta)
    rho_infalling = rho_mean outer_norm
                    * [(outer_norm / outer_max)^(1 / zeta) + (r / R200m)^(outer_slope / zeta)]^-zeta

with alpha = 0.18, beta = 3 and r_t = (1.4 - 0.21 nu) R200m for haloes selected by mass: model A, with the
calibration that colossus has. ``eta`` gives model B, whose slope at r_s is -2 exactly. The infalling term is
left out unless its norm is given.
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


def _inner(alpha: float, beta: float, eta: float | None, truncation: float | None) -> Inner:
    def inner(r: Array, r_s: Array, r_200m: Array, nu: Array) -> Array:
        ratio = np.maximum(1.4 - 0.21 * nu, SMALLEST_TRUNCATION) if truncation is None else truncation
        r_t = ratio * r_200m
        steepening = (r_s / r_t) ** beta
        x = r / r_s
        exponent = -2.0 / alpha * (x**alpha - 1.0) - ((r / r_t) ** beta - steepening) / beta
        if eta is not None:
            exponent = exponent + steepening / eta * (x**eta - 1.0)
        return np.asarray(np.exp(exponent))

    return inner


def haloes(
    mass_msun: ArrayLike,
    concentration: ArrayLike,
    density_msun_mpc3: ArrayLike,
    environment: HaloEnvironment | None = None,
    *,
    peak_height: PeakHeight = None,
    alpha: float = 0.18,
    beta: float = 3.0,
    eta: float | None = None,
    truncation: float | None = None,
    accretion_rate: float | None = None,
    outer_norm: float = 0.0,
    outer_slope: float = 1.5,
    outer_max: float = 100.0,
    zeta: float = 0.5,
    mean: bool = False,
) -> Solved:
    """Return haloes with all parameters known.

    Parameters
    ----------
    mass_msun, concentration, density_msun_mpc3, environment
        As for ``core.nfw.projected``; the environment gives the mean matter density.
    peak_height
        Function from M200m in Msun to nu, or nu itself, scalar or (mass,). Needed unless ``truncation``
        or ``accretion_rate`` is given.
    alpha, beta
        Shape of the Einasto part and sharpness of the truncation.
    eta
        Correction of model B, 0.1 in the paper; None: model A.
    truncation
        r_t / R200m in place of the calibrated one.
    accretion_rate
        Mass accretion rate Gamma, from which the truncation follows for haloes selected by it.
    outer_norm, outer_slope, outer_max, zeta
        Infalling term: overdensity at R200m (0: none), slope, overdensity at the centre, sharpness.
    mean
        Whether the mean matter density counts in densities and masses; it is never projected.

    Raises
    ------
    ConfigError
        For a missing peak height, or a halo that does not exist.
    """
    if accretion_rate is not None and truncation is None and environment is not None:
        truncation = truncation_by_accretion(environment, accretion_rate)
    if peak_height is None and truncation is None:
        raise ConfigError("profile diemer23 needs peak_height, or its parameter truncation")
    inner = _inner(alpha, beta, eta, truncation)
    outer = Outer(outer_norm, outer_slope, outer_max, zeta, 1.0, mean)
    return solve(
        mass_msun, concentration, density_msun_mpc3, environment, peak_height, inner, outer, "diemer23"
    )


PROFILE = profile_of(haloes, needs=("peak_height",))
