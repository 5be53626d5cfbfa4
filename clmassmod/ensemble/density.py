"""ln posterior density of a population model over unconstrained parameters, with its gradient."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clmassmod.core.likelihoods import LikelihoodTable
from clmassmod.ensemble.kernels import RESOLUTIONS, ln_likelihoods
from clmassmod.ensemble.models import EXTRA_PRIORS, POSITIVE, Model
from clmassmod.ensemble.packed import pack
from clmassmod.ensemble.parents import Parents
from clmassmod.records import Array

Range = tuple[float, float]


@dataclass(frozen=True)
class Design:
    """Regressors of mean and ln scatter, (halo, coefficient), and the coefficients' names.

    The first coefficient of the mean is its value where all regressors are zero, that of the scatter the
    parameter ``scatter``, whose logarithm it is.
    """

    mean: Array
    mean_names: tuple[str, ...]
    ln_scatter: Array
    scatter_names: tuple[str, ...]


class PopulationDensity:
    """Callable: unconstrained parameters (parameter,) to ln density and gradient (parameter,).

    Every parameter has a uniform prior between two ends (in the logarithm, for positive ones) and is mapped
    to the real line by a logistic function, z = ln(u / (1 - u)), whose Jacobian is u (1 - u); a deviate of
    each parent with several projections (see ``Parents``) is standard normal.

    Parameters
    ----------
    table : LikelihoodTable
        Members of a parent follow one another.
    design : Design
    model : Model
    prior : mapping
        Range of every parameter.
    group_starts : array (parent,)
    least_scatter : float
        No smaller scatter needs to be resolved: one below it (below half of it, with projections) has the
        likelihood of that.
    """

    def __init__(
        self,
        table: LikelihoodTable,
        design: Design,
        model: Model,
        prior: Mapping[str, Range],
        group_starts: NDArray[np.intp],
        least_scatter: float,
    ) -> None:
        self._design, self._kernel = design, model.kernel
        self._parents = Parents.of(group_starts, len(table))
        extra = tuple(EXTRA_PRIORS[model.kernel])
        correlation = ("parent_correlation",) if self._parents.n else ()
        self.names = (*design.mean_names, *design.scatter_names, *extra, *correlation)
        ends = [_ends(name, prior) for name in self.names]
        self._low = np.array([low for low, _ in ends])
        self._width = np.array([high - low for low, high in ends])
        self._positive = np.array([name in POSITIVE for name in self.names])
        n_mean, n_scatter = len(design.mean_names), len(design.scatter_names)
        self._of_mean = slice(0, n_mean)
        self._of_scatter = slice(n_mean, n_mean + n_scatter)
        self._of_extra = slice(n_mean + n_scatter, n_mean + n_scatter + len(extra))
        self._tabulate(table, model, least_scatter)

    def _tabulate(self, table: LikelihoodTable, model: Model, least_scatter: float) -> None:
        # half of the least scatter where projections share a part of it
        finest = least_scatter * (0.5 if self._parents.n else 1.0)
        resolution = RESOLUTIONS[model.kernel]
        step = min(finest, float(table.width.min())) / resolution
        low, high = float(table.y_lo.min()), float(table.y_hi.max())
        y = np.linspace(low, high, int(np.ceil((high - low) / step)) + 1)
        first, step = float(y[0]), float(y[1] - y[0])
        self._least = resolution * step
        edges = np.column_stack([table.at_lo, table.at_hi])
        self._packed = pack(first, step, table(y), table.width, edges)

    def start(self, values: Mapping[str, float]) -> Array:
        """Return unconstrained parameters for values of some; the middle of the prior for the others."""
        share = np.full(len(self.names), 0.5)
        for i, name in enumerate(self.names):
            if name in values:
                value = math.log(values[name]) if name in POSITIVE else values[name]
                share[i] = np.clip((value - self._low[i]) / self._width[i], 0.02, 0.98)
        return np.concatenate([np.log(share / (1.0 - share)), np.zeros(self._parents.n)])

    def _constrained(self, z: Array) -> tuple[Array, Array, float, Array]:
        """Return parameters (logarithms of positive ones), slopes, ln Jacobian and its gradient."""
        u = 0.5 * (1.0 + np.tanh(0.5 * z))
        size = np.abs(z)
        ln_jacobian = float(np.sum(-size - 2.0 * np.log1p(np.exp(-size))))
        return self._low + self._width * u, self._width * u * (1.0 - u), ln_jacobian, 1.0 - 2.0 * u

    def __call__(self, x: Array) -> tuple[float, Array]:
        """Return ln density and gradient."""
        n = len(self.names)
        value, slope, ln_density, gradient = self._constrained(x[:n])
        mean = self._design.mean @ value[self._of_mean]
        ln_scatter = self._design.ln_scatter @ value[self._of_scatter]
        scatter = np.exp(np.minimum(np.maximum(ln_scatter, -30.0), 30.0))
        extra = np.where(self._positive, np.exp(value), value)[self._of_extra]
        by_value = np.zeros(n)
        if self._parents.n:
            rho, deviate = float(value[-1]), x[n:]
            centre, own = self._parents.split(mean, scatter, rho, deviate)
            total, by_mean, by_own, by_extra = self._ln_likelihoods(centre, own, extra)
            by_scatter, by_value[-1], by_deviate = self._parents.gradient(
                scatter, rho, deviate, by_mean, by_own
            )
            ln_density -= 0.5 * float(deviate @ deviate)
            by_deviate -= deviate
        else:
            total, by_mean, by_scatter, by_extra = self._ln_likelihoods(mean, scatter, extra)
            by_deviate = np.zeros(0)
        by_value[self._of_mean] = by_mean @ self._design.mean
        by_value[self._of_scatter] = (by_scatter * scatter) @ self._design.ln_scatter
        by_value[self._of_extra] = by_extra * np.where(self._positive[self._of_extra], extra, 1.0)
        return ln_density + total, np.concatenate([gradient + by_value * slope, by_deviate])

    def _ln_likelihoods(self, mean: Array, scatter: Array, extra: Array) -> tuple[float, Array, Array, Array]:
        """Return the sum of ln L and its derivatives by mean and scatter (halo,) and by extra.

        Below the least scatter that the lattice resolves it is that of the least.
        """
        resolved = scatter > self._least
        scatter = np.maximum(scatter, self._least)
        found = ln_likelihoods(self._kernel, self._packed, mean, scatter, extra)
        total, by_mean, by_scatter, by_extra = found
        return total, by_mean, by_scatter * resolved, by_extra

    def expand(self, x: Array) -> dict[str, float]:
        """Return the named parameters of a draw, the scatter also by its logarithm."""
        value = self._constrained(x[: len(self.names)])[0]
        out = {}
        for name, number, positive in zip(self.names, value, self._positive, strict=True):
            if name == "scatter":
                out["ln_scatter"] = float(number)
            out[name] = math.exp(number) if positive else float(number)
        return out


def _ends(name: str, prior: Mapping[str, Range]) -> Range:
    if name == "parent_correlation":
        return 0.0, 1.0
    low, high = prior[name]
    return (math.log(low), math.log(high)) if name in POSITIVE else (low, high)
