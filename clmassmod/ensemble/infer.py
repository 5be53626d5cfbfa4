"""Posterior of a population model, by grid or sampler: what ``ensemble`` and ``bias`` share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from clmassmod.core.likelihoods import LikelihoodTable
from clmassmod.ensemble.density import Design
from clmassmod.ensemble.grid import grid_posterior
from clmassmod.ensemble.members import Members
from clmassmod.ensemble.models import EXTRA_PRIORS, POSITIVE, Model, Range, parse
from clmassmod.ensemble.prior import complete_prior, describe_prior
from clmassmod.errors import ConfigError
from clmassmod.plain import whole_number
from clmassmod.posterior import Posterior, edge_warnings
from clmassmod.records import Array
from clmassmod.registry import suggest

METHODS = ("grid", "nuts")
_CUT = float(np.exp(-2.0))  # of a likelihood's maximum, at its largest mass
_SPREAD = 1e-3  # of a regressor, below which a trend with it is left out


def infer(
    members: Members,
    ln_reference: Array,
    location: str,
    regressors: Mapping[str, Array],
    *,
    model: str,
    method: str,
    default_prior: Mapping[str, Range],
    prior: Mapping[str, Range] | None,
    seed: int,
    metadata: Mapping[str, Any],
) -> Posterior:
    """Return the posterior of the mean of ln M - ln M_reference, of the scatter, and of what models add.

    Parameters
    ----------
    members : Members
    ln_reference : array (halo,)
    location : str
        Name of the mean.
    regressors : mapping of name to array (halo,)
        Of a trend: mean and ln scatter get a slope ``<location>_<name>`` and ``ln_scatter_<name>``.
    model, method : str
    default_prior, prior : mapping
        Ranges of all parameters of all models, and those given in their place.
    seed : int
    metadata : mapping
        What else the posterior carries along.

    Raises
    ------
    ConfigError
        For an unknown name, and a model that the grid cannot do.
    """
    seed = whole_number(seed, "seed")
    parsed = check(location, list(regressors), default_prior, model, method, prior)
    kept, dropped = _varying(regressors if parsed.trend else {})
    of_model = _of_model(default_prior, location, parsed, kept)
    ranges = complete_prior(of_model, {k: v for k, v in (prior or {}).items() if not _left_out(k, dropped)})
    table = LikelihoodTable(members.curves, ln_reference)
    notes = {
        **members.describe(),
        "model": model,
        "method": method,
        "prior": describe_prior(ranges),
        "seed": seed,
        "left_out_trends": ", ".join(dropped),
        **metadata,
    }
    open_ended = _open_ended(table)
    if method == "grid":
        rng = np.random.default_rng(seed)
        student = parsed.kernel == "student"
        marginals, grid = grid_posterior(table, members.group_starts, location, ranges, rng, student)
        touched = edge_warnings(marginals, ranges, POSITIVE)
        return Posterior(marginals, grid, warnings=open_ended + touched, metadata=notes)
    from clmassmod.ensemble.nuts import CHAINS, nuts_posterior

    design = _design(location, kept, len(members.fits))
    marginals, diagnostics, problems = nuts_posterior(
        table, members.group_starts, design, parsed, ranges, seed
    )
    unusable = tuple(f"the chains must not be used: {p}" for p in problems)
    warnings = unusable + open_ended + edge_warnings(marginals, ranges, POSITIVE)
    return Posterior(
        marginals, None, n_chains=CHAINS, warnings=warnings, diagnostics=diagnostics, metadata=notes
    )


def check(
    location: str,
    regressors: list[str],
    default_prior: Mapping[str, Range],
    model: str,
    method: str,
    prior: Mapping[str, Range] | None,
) -> Model:
    """Return the model of a name; ConfigError for what cannot be inferred, before any halo is looked at."""
    parsed = parse(model)
    if method not in METHODS:
        raise ConfigError(f"unknown method {method!r}{suggest(method, list(METHODS))}")
    if method == "grid" and (parsed.trend or parsed.kernel == "mixture"):
        raise ConfigError(f"model {model!r} has too many parameters for method 'grid'; use method 'nuts'")
    complete_prior(_of_model(default_prior, location, parsed, regressors if parsed.trend else []), prior)
    return parsed


def _open_ended(table: LikelihoodTable) -> tuple[str, ...]:
    """Return a sentence on likelihoods that are cut off by their largest mass."""
    n = int((table.at_hi > _CUT).sum())
    if n == 0:
        return ()
    return (
        f"the likelihoods of {n} of {len(table)} haloes have not died away at their largest mass, "
        "beyond which they count as constant; give larger masses",
    )


def _varying(regressors: Mapping[str, Array]) -> tuple[dict[str, Array], list[str]]:
    """Return the regressors that vary over the haloes, and the names of those that do not."""
    kept = {name: values for name, values in regressors.items() if np.ptp(values) > _SPREAD}
    return kept, [name for name in regressors if name not in kept]


def _left_out(name: str, dropped: list[str]) -> bool:
    """Return whether a prior belongs to a trend that is left out."""
    return any(name.endswith(f"_{regressor}") for regressor in dropped)


def _of_model(
    default: Mapping[str, Range], location: str, model: Model, regressors: Iterable[str]
) -> dict[str, Range]:
    slopes = [f"{stem}_{name}" for stem in (location, "ln_scatter") for name in regressors]
    prior = {name: default[name] for name in (location, "scatter", *slopes)}
    return prior | EXTRA_PRIORS[model.kernel]


def _design(location: str, regressors: Mapping[str, Array], n: int) -> Design:
    columns = np.column_stack([np.ones(n), *regressors.values()])
    return Design(
        columns,
        (location, *(f"{location}_{name}" for name in regressors)),
        columns,
        ("scatter", *(f"ln_scatter_{name}" for name in regressors)),
    )
