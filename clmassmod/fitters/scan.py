"""The default fitter: ln L on a grid of ln M, exact and without any sampler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from clmassmod.core.likelihoods import LN_FLOOR
from clmassmod.fitters.data import FitData, as_profiles, prepare
from clmassmod.fitters.likelihood import MASS_GRID_MSUN, LensModel, gaussian_terms
from clmassmod.fitters.result import best_model, unusable
from clmassmod.fitters.summary import (
    PRIORS,
    MassPrior,
    check_prior,
    chi2_probability,
    maximum,
    posterior_summary,
    significance,
)
from clmassmod.records import Array, HaloEnvironment, HaloFit, ShearProfile


def fit(
    profiles: ShearProfile | Sequence[ShearProfile],
    model: LensModel,
    *,
    prior: MassPrior = "flat",
    rng: np.random.Generator | None = None,  # noqa: ARG001  no fitter but a sampler draws
) -> HaloFit:
    """Return the likelihood of a halo's mass and what follows from it.

    Parameters
    ----------
    profiles : ShearProfile or several of one halo
        Log-likelihoods add; bins without galaxy or finite number are not used.
    model : LensModel
    prior : {"flat", "log"}
        Of the posterior summaries: flat in mass, or in its logarithm. The stored likelihood has none.
    rng : numpy.random.Generator
        Not used: nothing is drawn.

    Returns
    -------
    HaloFit
        With status "unusable" when no bin can be fitted.
    """
    check_prior(prior)
    given = as_profiles(profiles)
    data = prepare(given)
    if data.n_bins == 0:
        return unusable(data, model)
    environment = model.environment(given[0].halo.z)
    ln_like = {}
    for definition in model.mass_definitions:
        mass = model.primary_masses(definition, environment, MASS_GRID_MSUN)
        concentration = model.concentration(mass, environment.z)
        signal = model.signal(data, environment, mass, concentration)
        cross, square, zero = gaussian_terms(data, signal)
        ln_like[definition] = cross - 0.5 * square - 0.5 * zero
        if definition == model.mass_definitions[0]:
            summary = _summary(
                data, ln_like[definition], -cross - 0.5 * square - 0.5 * zero, -0.5 * zero, prior
            )
    return _result(data, model, environment, ln_like, summary, prior)


def _summary(
    data: FitData, positive: Array, negative: Array, zero: float, prior: MassPrior
) -> dict[str, float]:
    best = maximum(MASS_GRID_MSUN, positive, negative, zero)
    chi2, dof = -2.0 * best.ln_like, data.n_bins - 1
    return {
        "mass_ml_msun": best.mass_msun,
        "mass_err_msun": best.error_msun,
        **posterior_summary(MASS_GRID_MSUN, positive, prior),
        "snr": significance(best.ln_like, zero, best.mass_msun),
        "chi2": chi2,
        "dof": float(dof),
        "p_value": chi2_probability(chi2, dof),
        "n_bins": float(data.n_bins),
    }


def _result(
    data: FitData,
    model: LensModel,
    environment: HaloEnvironment,
    ln_like: dict[str, Array],
    summary: dict[str, float],
    prior: MassPrior,
) -> HaloFit:
    mass = summary["mass_ml_msun"]
    size = np.array([max(abs(mass), MASS_GRID_MSUN[0])])
    concentration = model.concentration(size, environment.z)
    summary["concentration_ml"] = float(concentration[0])
    metadata: dict[str, Any] = {"fitter": "scan", "mass_prior": PRIORS[prior], **model.description}
    return HaloFit(
        data.profiles[0].halo,
        model.mass_definitions[0],
        MASS_GRID_MSUN,
        {name: np.maximum(values, values.max() + LN_FLOOR) for name, values in ln_like.items()},
        summary=summary,
        best_fit={"mass_msun": mass, "concentration": float(concentration[0])},
        profile=data.profiles[0],
        model=best_model(data, np.sign(mass) * model.signal(data, environment, size, concentration)[0]),
        diagnostics={"n_bins_unused": float(data.n_unused)},
        metadata=metadata,
    )
