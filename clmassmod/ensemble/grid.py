"""Posterior of location and scatter on an adaptive grid: exact, the default."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from clmassmod.core.likelihoods import LikelihoodTable
from clmassmod.core.population import ln_grouped, ln_population
from clmassmod.core.zoom import Box, LnDensity, evaluate, locate, widened
from clmassmod.errors import ConfigError
from clmassmod.posterior import Marginal, PosteriorGrid, from_grid
from clmassmod.records import Array

SEARCH = (17, 17)
FINE = (49, 49)
SEARCH_GROUPED = (9, 9)
FINE_GROUPED = (33, 21)
CELLS = 20  # of a third parameter, about where the density is
_DEPTH = 12.0  # ln of density below the peak: 4.9 standard deviations

Range = tuple[float, float]


def grid_posterior(
    table: LikelihoodTable,
    group_starts: NDArray[np.intp],
    location: str,
    prior: Mapping[str, Range],
    rng: np.random.Generator,
    student: bool = False,
) -> tuple[dict[str, Marginal], PosteriorGrid]:
    """Return the posterior of the mean of ln M - ln M_reference and of the scatter about it.

    Priors are uniform in the mean and in ln scatter. Haloes that share a parent share a random effect:
    of the variance sigma^2 a part rho is the parent's and 1 - rho each projection's, with rho uniform in
    0 to 1 (the parameter ``parent_correlation``, there only if a parent has several projections).

    Parameters
    ----------
    table : LikelihoodTable
        Members of a parent follow one another.
    group_starts : array (parent,)
        Place of the first member of each parent.
    location : str
        Name of the mean.
    prior : mapping
        Ranges of ``location`` and of ``scatter``.
    rng : numpy.random.Generator
        For the draws.
    student : bool
        Student's t about the mean, with ``student_nu`` degrees of freedom, uniform in their logarithm.

    Raises
    ------
    ConfigError
        For Student's t and projections together, which take the sampler.
    """
    edges, box = locate_normal(table, location, prior)
    third: dict[str, Array] = {}
    cells: dict[str, float] = {}
    if len(group_starts) == len(table) and not student:
        found = evaluate(_normal(table), box, FINE)
    else:
        if not student:
            name, density = "parent_correlation", _grouped(table, group_starts)
            box, ends = _narrowed(density, (0.0, 1.0), edges, widened(box, 1.5, edges), SEARCH_GROUPED)
        elif len(group_starts) == len(table):
            name, density = "ln_student_nu", partial(_student, table)
            box, ends = locate_student(table, prior, edges, box)
        else:
            raise ConfigError("model 'student' with projections of one parent needs method 'nuts'")
        third[name], cells[name] = _centres(ends, CELLS), (ends[1] - ends[0]) / CELLS
        found = evaluate(density(third[name]), box, FINE_GROUPED)
    axes = {location: found.x, "ln_scatter": found.y, **third}
    marginals, grid = from_grid(axes, found.ln_density, rng, cells=cells)
    if student:
        marginals["student_nu"] = marginals.pop("ln_student_nu").exponential("student_nu")
    marginals["scatter"] = marginals["ln_scatter"].exponential("scatter")
    return marginals, grid


def locate_normal(table: LikelihoodTable, location: str, prior: Mapping[str, Range]) -> tuple[Box, Box]:
    """Return the prior's edges, and where a normal distribution of independent haloes has its posterior."""
    low, high = prior["scatter"]
    edges = Box(prior[location], (float(np.log(low)), float(np.log(high))))
    return edges, locate(_normal(table), edges, SEARCH, _first_look(table, edges))


def locate_student(
    table: LikelihoodTable, prior: Mapping[str, Range], edges: Box, box: Box
) -> tuple[Box, Range]:
    """Return where Student's t has its posterior, and its ln nu, from where the normal distribution is."""
    low, high = prior["student_nu"]
    ends = float(np.log(low)), float(np.log(high))
    return _narrowed(partial(_student, table), ends, edges, widened(box, 1.5, edges), SEARCH)


def _narrowed(
    density: Callable[[Array], LnDensity], ends: Range, edges: Box, box: Box, nodes: tuple[int, int]
) -> tuple[Box, Range]:
    """Return where a density of three parameters lives: the box of two, and the range of the third.

    Parameters
    ----------
    density : callable
        Of values of the third parameter (cell,), to the density (x, y, cell).
    ends : (float, float)
        Of the third parameter's prior.
    edges, box : Box
        Of the prior of the other two, and where to look first.
    nodes : (int, int)
        Of the grids of the search.
    """
    for _ in range(8):
        box = locate(density(_centres(ends, 4)), edges, nodes, box)
        found = evaluate(density(_centres(ends, CELLS)), box, nodes).ln_density.max(axis=(0, 1))
        inside = np.flatnonzero(found > found.max() - _DEPTH)
        cell = (ends[1] - ends[0]) / CELLS
        low, high = ends[0] + cell * max(inside[0] - 1, 0), ends[0] + cell * min(inside[-1] + 2, CELLS)
        share, ends = (high - low) / (ends[1] - ends[0]), (float(low), float(high))
        if share > 0.6:
            break
    return box, ends


def _first_look(table: LikelihoodTable, edges: Box) -> Box:
    """Return where posteriors mostly are; the search moves on from there as it must."""
    middle = float(np.clip(np.median(table.peak), *edges.x))
    x = (max(middle - 0.4, edges.x[0]), min(middle + 0.4, edges.x[1]))
    y = (max(float(np.log(0.06)), edges.y[0]), min(0.0, edges.y[1]))
    return Box(x, y if y[0] < y[1] else edges.y)


def _centres(ends: Range, n: int) -> Array:
    return ends[0] + (ends[1] - ends[0]) * (np.arange(n) + 0.5) / n


def _normal(table: LikelihoodTable) -> LnDensity:
    """Return ln likelihood (x, y)."""
    return lambda x, y: ln_population(table, x, np.exp(y))


def _student(table: LikelihoodTable, ln_nu: Array) -> LnDensity:
    """Return ln likelihood (x, y, nu)."""

    def ln_density(x: Array, y: Array) -> Array:
        return np.stack([ln_population(table, x, np.exp(y), float(np.exp(v))) for v in ln_nu], axis=-1)

    return ln_density


def _grouped(table: LikelihoodTable, starts: NDArray[np.intp]) -> Callable[[Array], LnDensity]:
    """Return ln likelihood (x, y, rho) by correlations (rho,), with single haloes and groups told apart."""
    sizes = np.diff([*starts, len(table)])
    alone = starts[sizes == 1]
    singles = table.take(alone) if len(alone) else None
    joined = np.concatenate([np.arange(a, a + n) for a, n in zip(starts, sizes, strict=True) if n > 1])
    groups = table.take(joined)
    group_starts = np.concatenate([[0], np.cumsum(sizes[sizes > 1])[:-1]]).astype(np.intp)
    # A member's own scatter far below its likelihood's width is as good as none.
    least = 0.02 * float(groups.width.min())

    def ln_density(correlations: Array, x: Array, y: Array) -> Array:
        out = np.zeros((len(x), len(y), len(correlations)))
        if singles is not None:
            out += ln_population(singles, x, np.exp(y))[:, :, None]
        for j, sigma in enumerate(np.exp(y)):
            for k, rho in enumerate(correlations):
                own = max(sigma * np.sqrt(1.0 - rho), least)
                out[:, j, k] += ln_grouped(groups, group_starts, x, own, sigma * np.sqrt(rho))
        return out

    return lambda correlations: partial(ln_density, correlations)
