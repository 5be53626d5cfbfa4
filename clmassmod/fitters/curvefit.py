"""Point fitter: least squares in mass, and in the nuisance parameters that have a prior.

Levenberg-Marquardt (Marquardt 1963, SIAM J. 11, 431) on whitened residuals; normal priors are residuals of
their own, a flat range is a bound. All derivatives of a step come from one call of the density profile.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clmassmod.core.likelihoods import LN_FLOOR
from clmassmod.errors import ConfigError
from clmassmod.fitters.grid import MASS_GRID_MSUN
from clmassmod.fitters.likelihood import LensModel
from clmassmod.fitters.residuals import MASS_UNIT_MSUN, Residuals
from clmassmod.fitters.result import best_model, describe, unusable
from clmassmod.fitters.summary import MassPrior, check_prior, posterior_summary, refined, significance
from clmassmod.records import Array, HaloFit, ShearProfile

Flags = NDArray[np.bool_]


def fit(
    profiles: ShearProfile | Sequence[ShearProfile],
    model: LensModel,
    *,
    prior: MassPrior = "flat",
    rng: np.random.Generator | None = None,  # noqa: ARG001  nothing is drawn
    max_mass_msun: float = 2e16,
) -> HaloFit:
    """Return the least-squares mass, which may be negative, with its error from the covariance matrix.

    The likelihood that goes with it is the normal distribution in M that a point estimate with an error
    stands for: an approximation, which ``metadata["likelihood"]`` states; ``scan`` has the exact one.

    Parameters
    ----------
    profiles : ShearProfile or several of one halo
    model : LensModel
        Its concentration, two-halo amplitude and shear calibration may have priors; its centre may not.
    prior : {"flat", "log"}
        Of the posterior summaries.
    rng : numpy.random.Generator
        Not used.
    max_mass_msun : float
        Bound of the mass on either side.

    Returns
    -------
    HaloFit
        ``best_fit`` holds parameters and errors; ``diagnostics`` the number of steps, whether they
        converged, and for each bound that the result touches an entry ``at_bound_<parameter>``.
    """
    check_prior(prior)
    if model.nuisance.offset is not None:
        raise ConfigError(
            "fitter 'curvefit' cannot marginalise over miscentring; use 'scan', or fix offset_mpc"
        )
    data = model.prepare(profiles)
    if data.n_bins == 0:
        return unusable(data, model)
    problem = Residuals(model, data, max_mass_msun)
    found = _minimise(problem)
    return _result(problem, found, prior)


@dataclass(frozen=True)
class _Found:
    point: Array
    covariance: Array
    at_bound: Flags  # (parameter,)
    steps: int
    converged: bool


def _minimise(problem: Residuals, max_steps: int = 60, tolerance: float = 1e-3) -> _Found:
    """Descend from the best start; parameters at a bound that pulls outwards stay there.

    A last step of less than 1e-3 standard deviations leaves 1e-6, as convergence is quadratic.
    """
    point, damping, steps = problem.start(), 1e-4, 0
    residual, jacobian = problem.linearise(point)
    cost = float(residual @ residual)
    converged = False
    while steps < max_steps:
        steps += 1
        gradient, normal = jacobian.T @ residual, jacobian.T @ jacobian
        free = ~_held(problem, point, gradient)
        if not free.any():
            converged = True
            break
        matrix = normal if free.all() else normal[np.ix_(free, free)]
        scale = np.maximum(matrix.diagonal(), 1e-300)
        matrix.flat[:: len(scale) + 1] += damping * scale
        move = np.zeros_like(point)
        move[free] = -np.linalg.solve(matrix, gradient[free])
        trial = np.minimum(np.maximum(point + move, problem.low), problem.high)
        small = float(np.max(np.abs(trial - point)[free] * np.sqrt(scale))) < tolerance
        if small:  # the derivatives at its start are as good as those at its end
            point, converged = trial, True
            break
        new_residual, new_jacobian = problem.linearise(trial)
        new_cost = float(new_residual @ new_residual)
        if new_cost <= cost:
            point, residual, jacobian, cost = trial, new_residual, new_jacobian, new_cost
            damping = max(damping / 10.0, 1e-12)
        else:
            damping = min(damping * 10.0, 1e12)
    free = ~_held(problem, point, jacobian.T @ residual)
    return _Found(
        point, _covariance(jacobian, free), (point <= problem.low) | (point >= problem.high), steps, converged
    )


def _held(problem: Residuals, point: Array, gradient: Array) -> Flags:
    found: Flags = ((point <= problem.low) & (gradient > 0)) | ((point >= problem.high) & (gradient < 0))
    return found


def _covariance(jacobian: Array, free: Flags) -> Array:
    """Return the inverse of J^T J, NaN for parameters that a bound holds or the data do not constrain."""
    out = np.full((len(free), len(free)), np.nan)
    if free.any():
        inner = jacobian[:, free]
        try:
            out[np.ix_(free, free)] = np.linalg.inv(inner.T @ inner)
        except np.linalg.LinAlgError:
            return out
    return out


def _result(problem: Residuals, found: _Found, prior: MassPrior) -> HaloFit:
    data, model = problem.data, problem.model
    signal, concentration = (part[0] for part in problem.signal(found.point[np.newaxis]))
    errors = np.sqrt(np.diag(found.covariance))
    mass, error = MASS_UNIT_MSUN * float(found.point[0]), MASS_UNIT_MSUN * float(errors[0])
    residual = problem.target - data.whiten(signal)
    cost = float(residual @ residual + np.sum(((found.point - problem.centre) / problem.sd) ** 2))
    zero = float(problem.target @ problem.target)
    ln_like = _normal_likelihoods(problem, mass, error)
    names = [{"mass": "mass_msun", "ln_c": "ln_concentration"}.get(n, n) for n in problem.names]
    best = {"mass_msun": mass, "concentration": float(concentration)}
    best |= {f"{name}_err": float(e) for name, e in zip(names[1:], errors[1:], strict=True)}
    best |= {
        name: float(v) for name, v in zip(problem.names[1:], found.point[1:], strict=True) if name != "ln_c"
    }
    touched = {f"at_bound_{name}": 1.0 for name, at in zip(names, found.at_bound, strict=True) if at}
    summary = {
        "mass_ml_msun": mass,
        "mass_err_msun": error,
        **_posterior(ln_like.get(model.primary), prior),
        "snr": significance(-0.5 * cost, -0.5 * zero, mass),
        **describe(data, cost, int(np.isinf(problem.sd).sum())),
        "concentration_ml": float(concentration),
    }
    return HaloFit(
        data.profiles[0].halo,
        model.primary,
        MASS_GRID_MSUN,
        ln_like,
        status="ok" if ln_like else "unusable",
        reason="" if ln_like else "the least-squares mass has no finite error",
        summary=summary,
        best_fit={**best, "mass_msun_err": error},
        profile=data.profiles[0],
        model={**best_model(data, signal), "covariance": _in_msun(found.covariance)},
        diagnostics={
            "n_bins_unused": float(data.n_unused),
            "n_steps": float(found.steps),
            "converged": float(found.converged),
            **touched,
        },
        metadata={
            **model.metadata("curvefit", prior),
            "likelihood": "normal in M about the least-squares mass",
            "parameters": names,
        },
    )


def _in_msun(covariance: Array) -> Array:
    """Return the covariance (parameter, parameter) with the mass, which is the first, in Msun."""
    unit = np.ones(len(covariance))
    unit[0] = MASS_UNIT_MSUN
    return covariance * np.outer(unit, unit)


def _posterior(ln_like: Array | None, prior: MassPrior) -> dict[str, float]:
    if ln_like is None:
        return {}
    return posterior_summary(*refined(MASS_GRID_MSUN, ln_like), prior)


def _normal_likelihoods(problem: Residuals, mass: float, error: float) -> dict[str, Array]:
    """Return ln L on the mass grid of each definition: the same halo's mass there, scaled."""
    if not (math.isfinite(error) and error > 0):
        return {}
    out = {}
    for definition in problem.model.mass_definitions:
        primary = problem.model.primary_masses(definition, problem.environment, MASS_GRID_MSUN)
        values = -0.5 * ((primary - mass) / error) ** 2
        out[definition] = np.maximum(values, values.max() + LN_FLOOR)
    return out
