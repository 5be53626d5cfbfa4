"""Convergence power spectrum of large-scale structure before a distribution of sources.

Limber's approximation with k = (ell + 1/2) / f_K(chi) (LoVerde & Afshordi 2008, PRD 78, 123506):

    P_kappa(ell) = integral of d(chi) q(chi)^2 P(k, z),   q = 3/2 Omega_m (H0 / c)^2 (1 + z) <beta>(chi),

where <beta> is the mean of D_ls / D_s over the sources for a lens there, 0 for those before it (Bartelmann &
Schneider 2001, Phys. Rep. 340, 291, sect. 6.4).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from clmassmod.core.interpolate import bicubic, cubic
from clmassmod.core.lss import multipoles, shear_covariance
from clmassmod.core.quadrature import unit_nodes
from clmassmod.core.units import C_KM_S
from clmassmod.cosmology.halofit import nonlinear_power, wave_numbers
from clmassmod.cosmology.model import (
    Cosmology,
    angular_diameter_distance_mpc,
    comoving_distance_mpc,
    hubble_km_s_mpc,
)
from clmassmod.cosmology.model import beta as exact_beta
from clmassmod.cosmology.structure import growth, linear_power_mpc3
from clmassmod.records import Array

_LN_K = np.linspace(np.log(1e-4), np.log(1e3), 260)  # 1/Mpc
_Z_MAX = 6.0  # structure beyond bends the light of no source that is observed
_Z_NODES = 61
_LENSES = 64
_SMOOTH = 128  # multipoles at which the spectrum is integrated; between them its logarithm is interpolated

Beta = Callable[[Array, Array], Array]


def power_table(cosmology: Cosmology) -> dict[str, Array]:
    """Return the nonlinear power spectrum on a grid.

    Returns
    -------
    dict
        ``ln_k`` (k,) of 1/Mpc and ``ln_1pz`` (z,), both equally spaced, and ``ln_power`` (z, k) of
        comoving Mpc3.
    """
    ln_1pz = np.linspace(0.0, np.log1p(_Z_MAX), _Z_NODES)
    z = np.expm1(ln_1pz)
    k = np.exp(_LN_K)
    today, today_on_grid = linear_power_mpc3(cosmology, k), linear_power_mpc3(cosmology, wave_numbers())
    factor = growth(cosmology, z) ** 2
    rows = [
        nonlinear_power(cosmology, float(zi), k, f * today, f * today_on_grid)
        for zi, f in zip(z, factor, strict=True)
    ]
    return {"ln_k": _LN_K.copy(), "ln_1pz": ln_1pz, "ln_power": np.log(rows)}


def convergence_power(
    cosmology: Cosmology,
    table: Mapping[str, Any],
    ell: ArrayLike,
    z_source: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    beta: Beta | None = None,
) -> Array:
    """Return the convergence power spectrum of a source sample, (ell,).

    Parameters
    ----------
    cosmology, table
        Cosmology and its ``power_table``.
    ell
        Multipoles, (ell,).
    z_source, weight
        Redshifts and weights of galaxies or of quadrature nodes, (source,).
    beta
        D_ls / D_s of broadcasting source and lens redshifts; by default computed from the cosmology.
    """
    z_s = np.asarray(z_source, dtype=float)
    w = np.ones_like(z_s) if weight is None else np.asarray(weight, dtype=float)
    ln_1pz, ln_k = np.asarray(table["ln_1pz"]), np.asarray(table["ln_k"])
    end = min(np.log1p(float(z_s.max())), float(ln_1pz[-1]))
    u, w_u = unit_nodes(_LENSES)
    x = end * u
    z = np.expm1(x)
    ratio = partial(exact_beta, cosmology) if beta is None else beta
    mean_beta = ratio(z_s, z[:, np.newaxis]) @ w / w.sum()
    slope = C_KM_S * (1.0 + z) / hubble_km_s_mpc(cosmology, z)  # d(chi) / d ln(1 + z)
    q = 1.5 * cosmology.Om0 * (cosmology.H0 / C_KM_S) ** 2 * (1.0 + z) * mean_beta
    distance = comoving_distance_mpc(cosmology, 0.0, z)
    ln_wave = np.log((np.asarray(ell, dtype=float) + 0.5) / distance[:, np.newaxis])
    start = (float(ln_1pz[0]), float(ln_k[0]))
    step = (float(ln_1pz[1] - ln_1pz[0]), float(ln_k[1] - ln_k[0]))
    ln_power = bicubic(x[:, np.newaxis], ln_wave, start, step, np.asarray(table["ln_power"]))
    # beyond the table: primordial slope below, and the steepening of small scales above
    ln_power += np.minimum(ln_wave - ln_k[0], 0.0) - 2.5 * np.maximum(ln_wave - ln_k[-1], 0.0)
    return np.asarray((end * w_u * slope * q**2) @ np.exp(ln_power))


def lss_covariance(
    cosmology: Cosmology,
    edges_mpc: ArrayLike,
    z_lens: float,
    z_source: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    table: Mapping[str, Any] | None = None,
    beta: Beta | None = None,
) -> Array:
    """Return the covariance of the tangential shear from structure along the line of sight, (bin, bin).

    Parameters
    ----------
    cosmology
        With sigma8, ns and Ob0.
    edges_mpc
        Edges of the radial bins at the lens, physical, (bin + 1,).
    z_lens
        Redshift at which an angle is a radius; the structure is at all redshifts.
    z_source, weight
        Redshifts and weights of the sources or of quadrature nodes, (source,). A lens before all of
        them sees the shear of just these sources: for a sample that is diluted with sources before
        the lens, give those too.
    table
        ``power_table(cosmology)``, if it is at hand.
    beta
        As for ``convergence_power``.
    """
    edges = np.asarray(edges_mpc, dtype=float)
    angle = edges / float(angular_diameter_distance_mpc(cosmology, 0.0, z_lens))
    ell = multipoles(angle)
    ln_ell = np.linspace(np.log(ell[0]), np.log(ell[-1]), _SMOOTH)
    power = convergence_power(
        cosmology,
        power_table(cosmology) if table is None else table,
        np.exp(ln_ell),
        z_source,
        weight,
        beta=beta,
    )
    fine = cubic(np.log(ell), float(ln_ell[0]), float(ln_ell[1] - ln_ell[0]), np.log(power))
    return shear_covariance(ell, np.exp(fine), angle)
