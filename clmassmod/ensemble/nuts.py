"""Posterior of a population model by the no-U-turn sampler."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from clmassmod.core.likelihoods import LikelihoodTable
from clmassmod.core.zoom import Box
from clmassmod.ensemble.density import Design, PopulationDensity
from clmassmod.ensemble.grid import locate_normal, locate_student
from clmassmod.ensemble.models import Model
from clmassmod.fitters.sampler import sample
from clmassmod.posterior import Marginal, stack_draws

Range = tuple[float, float]

DRAWS, TUNE, CHAINS = 1000, 600, 4


def nuts_posterior(
    table: LikelihoodTable,
    group_starts: NDArray[np.intp],
    design: Design,
    model: Model,
    prior: Mapping[str, Range],
    seed: int,
) -> tuple[dict[str, Marginal], dict[str, float], tuple[str, ...]]:
    """Return marginals, diagnostics, and what is wrong with the chains.

    Chains start near the peak of the posterior of the constant model.

    Parameters
    ----------
    table : LikelihoodTable
        Members of a parent follow one another.
    group_starts : array (parent,)
    design : Design
    model : Model
    prior : mapping
        Range of every parameter.
    seed : int
    """
    location = design.mean_names[0]
    edges, box = locate_normal(table, location, prior)
    least = max(prior["scatter"][0], _least_scatter(table, model, prior, edges, box))
    density = PopulationDensity(table, design, model, prior, group_starts, least)
    start = {location: 0.5 * sum(box.x), "scatter": float(np.exp(0.3 * box.y[0] + 0.7 * box.y[1]))}
    start |= {name: 0.0 for name in (*design.mean_names[1:], *design.scatter_names[1:])}
    drawn = sample(
        density, density.expand, density.start(start), seed=seed, draws=DRAWS, tune=TUNE, chains=CHAINS
    )
    values = stack_draws(drawn.values)
    marginals = {name: Marginal.from_samples(name, draws) for name, draws in values.items()}
    return marginals, dict(drawn.diagnostics), drawn.problems


def _least_scatter(
    table: LikelihoodTable, model: Model, prior: Mapping[str, Range], edges: Box, box: Box
) -> float:
    """Return a scatter that few draws are below, from where the constant normal model has its posterior.

    Trends make some haloes scatter half as much as the mean. A heavy-tailed kernel has a core that is
    narrower than a normal one: Student's t is looked for on its own, and of a mixture the first component
    is up to 7 times as narrow as both together (half of the haloes with 10 times its scatter).
    """
    if model.kernel == "mixture":
        return 0.1 * float(np.exp(box.y[0]))
    if model.kernel == "student":
        box, _ = locate_student(table, prior, edges, box)
    return 0.5 * float(np.exp(box.y[0]))
