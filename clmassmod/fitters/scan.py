"""The default fitter: ln L on a grid of ln M, exact and without any sampler."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from clmassmod.core.likelihoods import LN_FLOOR
from clmassmod.fitters.data import FitData
from clmassmod.fitters.grid import MASS_GRID_MSUN, place_of, to_mass_grid
from clmassmod.fitters.likelihood import LensModel
from clmassmod.fitters.marginal import Joint, joint_at_nodes, over_nodes
from clmassmod.fitters.result import best_model, describe, unusable
from clmassmod.fitters.summary import MassPrior, check_prior, matters, summarise_mass
from clmassmod.fitters.templates import Templates
from clmassmod.records import Array, HaloFit, ShearProfile


def fit(
    profiles: ShearProfile | Sequence[ShearProfile],
    model: LensModel,
    *,
    prior: MassPrior = "flat",
    rng: np.random.Generator | None = None,  # noqa: ARG001  no fitter but a sampler draws
) -> HaloFit:
    """Return the likelihood of a halo's mass, marginal over nuisance parameters, and what follows from it.

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
    data = model.prepare(profiles)
    if data.n_bins == 0:
        return unusable(data, model)
    found, terms = joint_at_nodes(model, data, model.primary)
    ln_like = {model.primary: to_mass_grid(over_nodes(terms))}
    for definition in model.mass_definitions[1:]:
        ln_like[definition] = to_mass_grid(over_nodes(joint_at_nodes(model, data, definition)[1]))
    return _result(data, model, found, terms, ln_like, prior)


def _result(
    data: FitData, model: LensModel, found: Joint, terms: Array, ln_like: dict[str, Array], prior: MassPrior
) -> HaloFit:
    positive = ln_like[model.primary]
    negative = _negative(found, float(positive.max()))
    summary = summarise_mass(MASS_GRID_MSUN, positive, negative, found.zero, prior)
    mass = summary["mass_ml_msun"]
    signal, concentration, chi2, n_fitted = _best(
        data, found, terms if mass >= 0 else found.terms(-1.0), mass
    )
    summary.update(describe(data, chi2, n_fitted), concentration_ml=concentration)
    return HaloFit(
        data.profiles[0].halo,
        model.primary,
        MASS_GRID_MSUN,
        {name: np.maximum(values, values.max() + LN_FLOOR) for name, values in ln_like.items()},
        summary=summary,
        best_fit={"mass_msun": mass, "concentration": concentration},
        profile=data.profiles[0],
        model=best_model(data, signal),
        diagnostics={"n_bins_unused": float(data.n_unused)},
        metadata=model.metadata("scan", prior),
    )


def _negative(found: Joint, top: float) -> Array | None:
    """Return ln L at -M on the mass grid; None where no estimate depends on it."""
    at_most = max(ln_weight + float((even - odd).max()) for ln_weight, even, odd in found.parts)
    return to_mass_grid(over_nodes(found.terms(-1.0))) if matters(at_most, found.zero, top) else None


def _best(data: FitData, found: Joint, terms: Array, mass_msun: float) -> tuple[Array, float, float, int]:
    """Return signal (bin,), concentration, chi squared and number of fitted parameters at the best mass.

    Means over concentration and offset there; the two-halo amplitude and the shear's calibration fit best.
    """
    made = found.made
    weight = found.shares(terms, abs(mass_msun))
    place, along = place_of(abs(mass_msun), found.mass_msun)
    by_concentration = weight.reshape(-1, len(made.concentration)).sum(axis=0)
    ln_c = float(by_concentration @ (np.log(made.concentration[:, place]) @ along))

    def mean(models: Array) -> Array:
        of_nodes = models.transpose(2, 0, 1, 3).reshape(len(weight), -1)
        return np.asarray(along @ (weight @ of_nodes).reshape(len(along), -1))

    signal, slope = found.models_at(place)
    signal, (calibration, sd) = math.copysign(1.0, mass_msun) * mean(signal), made.calibration
    steps = [sd * signal] if sd > 0 else []
    if slope is not None:
        steps.append(math.copysign(calibration, mass_msun) * mean(slope))
    signal, chi2 = _adjusted(data, calibration * signal, steps)
    added, known = _of_concentration(made, by_concentration)
    return signal, math.exp(ln_c), chi2 + added, 1 + known


def _of_concentration(made: Templates, weight: Array) -> tuple[float, int]:
    """Return what a normal prior of ln c adds to chi squared, and whether a flat one leaves it to the data.

    It counts as fitted where the data have made its variance less than half of the prior's. Weights are of
    the concentrations.
    """
    deviation = made.nodes.deviation()
    if deviation is None:
        return 0.0, 0
    x, flat = deviation
    mean = float(weight @ x)
    return (0.0, int(float(weight @ x**2) - mean**2 < 0.5)) if flat else (mean**2, 0)


def _adjusted(data: FitData, signal: Array, steps: list[Array]) -> tuple[Array, float]:
    """Return the signal after the best changes along steps, and its chi squared.

    x steps of one standard deviation of a normal prior have the least |r - U x|^2 + |x|^2, r and U whitened
    residuals and steps: chi squared with the prior. It is r . C^-1 r for the noise with the covariance of the
    steps (Woodbury's identity), and has a degree of freedom for each bin, as without them.
    """
    residual = data.whiten(data.value - signal)
    chi2 = float(residual @ residual)
    if not steps:
        return signal, chi2
    along = data.whiten(np.array(steps))
    overlap = along @ residual
    shift = np.linalg.solve(np.eye(len(steps)) + along @ along.T, overlap)
    return signal + shift @ np.array(steps), chi2 - float(overlap @ shift)
