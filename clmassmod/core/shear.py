"""From surface densities to convergence, shear and reduced shear.

Quantities of a source at infinite redshift carry ``_inf``; beta_s = beta(z_s) / beta(infinity) with
beta = D_ls / D_s scales them to a source at z_s.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from clmassmod.core.units import C_KM_S, G_MPC_KM2_S2_MSUN
from clmassmod.records import Array


def sigma_crit_msun_mpc2(
    d_lens_mpc: ArrayLike, beta: ArrayLike, gravitational_constant: float = G_MPC_KM2_S2_MSUN
) -> Array:
    """Return the critical surface density c2 / (4 pi G D_l beta) in Msun / Mpc2; infinite where beta <= 0.

    Parameters
    ----------
    d_lens_mpc
        Angular-diameter distance of the lens.
    beta
        D_ls / D_s of the source.
    gravitational_constant
        In Mpc (km/s)2 / Msun.
    """
    beta = np.clip(np.asarray(beta, dtype=float), 0.0, None)
    with np.errstate(divide="ignore"):
        c2_4pig = C_KM_S**2 / (4.0 * np.pi * gravitational_constant)  # Msun / Mpc
        return np.asarray(c2_4pig / (np.asarray(d_lens_mpc, dtype=float) * beta))


def reduced_shear(
    sigma_msun_mpc2: ArrayLike,
    delta_sigma_msun_mpc2: ArrayLike,
    sigma_crit_inf_msun_mpc2: ArrayLike,
    beta_s: ArrayLike,
    beta_s2: ArrayLike,
) -> Array:
    """Return the mean reduced tangential shear of a source sample, (..., bin).

    <beta_s> gamma_inf / (1 - <beta_s^2> / <beta_s> kappa_inf): Applegate et al. 2014 (MNRAS 439, 48),
    after Seitz & Schneider 1997 (A&A 318, 687). Exact for a single source plane
    (``beta_s2 = beta_s**2``). Zero where ``beta_s`` is zero.

    Examples
    --------
    gamma_inf = 0.1 and kappa_inf = 0.2, for sources at one redshift with beta_s = 0.5:

    >>> print(f"{reduced_shear(2e14, 1e14, 1e15, 0.5, 0.25):.4f}")
    0.0556
    """
    beta_s = np.asarray(beta_s, dtype=float)
    beta_s2 = np.asarray(beta_s2, dtype=float)
    lensed = beta_s > 0
    if lensed.all():
        ratio = beta_s2 / beta_s
    else:
        shape = np.broadcast_shapes(beta_s.shape, beta_s2.shape)
        ratio = np.divide(beta_s2, beta_s, out=np.zeros(shape), where=lensed)
    # few and in-place operations: arrays of all masses and nuisance parameters are large
    denominator = np.asarray(sigma_msun_mpc2, dtype=float) * (ratio / sigma_crit_inf_msun_mpc2)
    denominator = np.subtract(1.0, denominator, out=denominator if denominator.ndim else None)
    shear = np.asarray(delta_sigma_msun_mpc2, dtype=float) * (beta_s / sigma_crit_inf_msun_mpc2)
    in_place = shear.ndim > 0 and shear.shape == denominator.shape
    return np.asarray(np.divide(shear, denominator, out=shear if in_place else None))


def exact_reduced_shear(
    sigma_msun_mpc2: ArrayLike,
    delta_sigma_msun_mpc2: ArrayLike,
    sigma_crit_inf_msun_mpc2: float,
    beta_s: ArrayLike,
    weight: ArrayLike | None = None,
) -> Array:
    """Return the weighted mean over sources of beta_s gamma_inf / (1 - beta_s kappa_inf), (..., bin).

    Parameters
    ----------
    sigma_msun_mpc2, delta_sigma_msun_mpc2
        Surface densities, (..., bin).
    sigma_crit_inf_msun_mpc2
        Critical surface density for a source at infinite redshift.
    beta_s
        Of each source, (source,).
    weight
        Of each source, (source,); equal weights by default.
    """
    beta = np.asarray(beta_s, dtype=float)
    w = np.ones_like(beta) if weight is None else np.asarray(weight, dtype=float)
    kappa = np.asarray(sigma_msun_mpc2, dtype=float)[..., np.newaxis] / sigma_crit_inf_msun_mpc2
    gamma = np.asarray(delta_sigma_msun_mpc2, dtype=float) / sigma_crit_inf_msun_mpc2
    return np.asarray(gamma * ((beta / (1.0 - beta * kappa)) @ w) / w.sum())
