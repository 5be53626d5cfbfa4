"""Parts of a halo's result that all fitters write alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clmassmod.core.likelihoods import LikelihoodTable
from clmassmod.errors import FitError
from clmassmod.fitters.data import FitData, groups, joined, usable_bins
from clmassmod.fitters.grid import MASS_GRID_MSUN
from clmassmod.fitters.likelihood import LensModel
from clmassmod.fitters.summary import chi2_probability
from clmassmod.records import Array, HaloFit, ShearProfile


def ln_likelihood(fit: HaloFit, mass_msun: ArrayLike, mass_definition: str | None = None) -> Array:
    """Return ln(L / max L) of a fit at any positive masses, (mass,).

    By cubics between the stored masses, which is what ensembles use: for a mass known to 5 % better than
    1e-4 of the peak, where straight lines err by 3 %. L is a density in data: without any prior, and the
    posterior density in M for a flat one.

    Parameters
    ----------
    fit : HaloFit
    mass_msun : array (mass,)
    mass_definition : str, optional
        One that was fitted; the primary one by default.

    Raises
    ------
    FitError
        For a definition that was not fitted, or masses that are not above 0.
    """
    definition = mass_definition or fit.mass_definition
    if definition not in fit.ln_like:
        known = ", ".join(fit.ln_like) or f"none: {fit.reason}"
        raise FitError(f"halo {fit.halo_id!r} has no likelihood of {definition} masses (there is {known})")
    mass = np.atleast_1d(np.asarray(mass_msun, dtype=float))
    if not np.all(mass > 0):
        raise FitError("ln_likelihood takes masses above 0 Msun; a likelihood in ln M has no others")
    table = LikelihoodTable([(fit.mass_msun, fit.ln_like[definition])], np.zeros(1))
    return np.asarray(table.ln_like(np.log(mass))[0])


def unusable(data: FitData, model: LensModel) -> HaloFit:
    """Return the record of a halo that has nothing to fit."""
    total = sum(len(profile.value) for profile in data.profiles)
    if total == 0:
        reason = "no radial bin lies in the fitted range"
    else:
        reason = f"none of {total} radial bins has galaxies, finite values and a positive error"
    return HaloFit(
        data.profiles[0].halo,
        model.primary,
        MASS_GRID_MSUN,
        {},
        status="unusable",
        reason=reason,
        profile=data.profiles[0],
        diagnostics={"n_bins_unused": float(data.n_unused)},
    )


def describe(data: FitData, chi2: float, n_fitted: int = 1) -> dict[str, float]:
    """Return how well the best model fits.

    Parameters
    ----------
    data : FitData
    chi2 : float
        With what normal priors of nuisance parameters add, each of which is as good as one more datum.
    n_fitted : int
        Parameters without such a prior: the mass, and others that a best fit chooses.
    """
    dof = data.n_bins - n_fitted
    return {
        "chi2": chi2,
        "dof": float(dof),
        "p_value": chi2_probability(chi2, dof),
        "n_bins": float(data.n_bins),
    }


def best_model(data: FitData, signal: Array) -> dict[str, Array]:
    """Return the best model (bin,) at the bins that were fitted, all profiles one after the other."""
    radius = [p.radius_mpc[used] for p, used in zip(data.profiles, data.used, strict=True)]
    return {"radius_mpc": joined(radius), "value": signal}


def condensed(fit: HaloFit, profiles: Sequence[ShearProfile]) -> HaloFit:
    """Return the fit of unbinned galaxies with means of neighbours in place of its data and its model.

    For files and figures: likelihood and summaries stay those of the galaxies.

    Parameters
    ----------
    fit : HaloFit
    profiles : sequence of ShearProfile
        What was fitted; galaxies in the order of their radii.
    """
    if fit.status != "ok":
        return replace(fit, profile=None)
    shown, first = [], 0
    values = []
    for profile in profiles:
        used = np.flatnonzero(usable_bins(profile))
        if used.size:
            shown.append(_means(profile, used))
            weight = profile.error[used] ** -2.0
            values.append(_group_means(fit.model["value"][first : first + used.size], weight))
            first += used.size
    radius = np.concatenate([p.radius_mpc for p in shown])
    model = {**fit.model, "radius_mpc": radius, "value": np.concatenate(values)}
    return replace(fit, profile=shown[0], model=model, metadata={**fit.metadata, "unbinned": first})


def _means(profile: ShearProfile, used: NDArray[np.intp]) -> ShearProfile:
    """Return the profile of groups of neighbours, of these rows."""
    weight = profile.error[used] ** -2.0
    columns = (profile.radius_mpc, profile.value, profile.cross, profile.beta_s, profile.beta_s2)
    radius, value, cross, beta_s, beta_s2 = (_group_means(column[used], weight) for column in columns)
    start = groups(used.size)
    return replace(
        profile, radius_mpc=radius, value=value, error=np.add.reduceat(weight, start) ** -0.5, cross=cross,
        n_gal=np.add.reduceat(profile.n_gal[used], start), beta_s=beta_s, beta_s2=beta_s2,
        covariance=None, edges_mpc=None,
    )  # fmt: skip


def _group_means(column: Array, weight: Array) -> Array:
    start = groups(len(column))
    return np.asarray(np.add.reduceat(weight * column, start) / np.add.reduceat(weight, start))
