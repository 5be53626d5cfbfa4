"""ln posterior density of a population model over unconstrained parameters, with its gradient."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clmassmod.core.likelihoods import LikelihoodTable
from clmassmod.ensemble.kernels import (
    KINDS,
    RESOLUTION,
    STUDENT,
    ln_likelihoods,
    student_columns,
)
from clmassmod.ensemble.models import EXTRA_PRIORS, POSITIVE, Model
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
    to the real line by a logistic function, z = ln(u / (1 - u)), whose Jacobian is u (1 - u); a deviate t of
    each parent with several projections is standard normal. Its projections have the mean plus sigma
    sqrt(rho) t, and a kernel of scale sigma sqrt(1 - rho) about it: the parent's part is normal for every
    kernel, so that with Student's t or a mixture the sum of both is not quite the kernel that a single halo
    has.

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
        self._design, self._kind = design, KINDS[model.kernel]
        sizes = np.diff([*group_starts, len(table)])
        shared = np.repeat(sizes > 1, sizes)
        self._group = np.where(shared, np.cumsum(np.repeat(sizes > 1, sizes) & _is_first(sizes)) - 1, -1)
        self._n_groups = int((sizes > 1).sum())
        extra = tuple(EXTRA_PRIORS[model.kernel])
        correlation = ("parent_correlation",) if self._n_groups else ()
        self.names = (*design.mean_names, *design.scatter_names, *extra, *correlation)
        ends = [_ends(name, prior) for name in self.names]
        self._low = np.array([low for low, _ in ends])
        self._width = np.array([high - low for low, high in ends])
        self._positive = np.array([name in POSITIVE for name in self.names])
        self._n = len(design.mean_names), len(design.scatter_names), len(extra)
        # half of the least scatter where projections share a part of it
        finest = least_scatter * (0.5 if self._n_groups else 1.0)
        step = min(finest, float(table.width.min())) / RESOLUTION[model.kernel]
        low, high = float(table.y_lo.min()), float(table.y_hi.max())
        y = np.linspace(low, high, int(np.ceil((high - low) / step)) + 1)
        self._least = RESOLUTION[model.kernel] * (y[1] - y[0])
        like = table(y)
        edges = np.column_stack([table.at_lo, table.at_hi])
        lattice = (float(y[0]), float(y[1] - y[0]), len(y))
        self._table = (like, lattice, _support(like), table.width, edges)

    def start(self, values: Mapping[str, float]) -> Array:
        """Return unconstrained parameters for values of some; the middle of the prior for the others."""
        share = np.full(len(self.names), 0.5)
        for i, name in enumerate(self.names):
            if name in values:
                value = math.log(values[name]) if name in POSITIVE else values[name]
                share[i] = np.clip((value - self._low[i]) / self._width[i], 0.02, 0.98)
        return np.concatenate([np.log(share / (1.0 - share)), np.zeros(self._n_groups)])

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
        n_mean, n_scatter, n_extra = self._n
        mean = self._design.mean @ value[:n_mean]
        wanted = np.exp(np.clip(self._design.ln_scatter @ value[n_mean : n_mean + n_scatter], -30.0, 30.0))
        extra = np.where(self._positive, np.exp(value), value)[
            n_mean + n_scatter : n_mean + n_scatter + n_extra
        ]
        rho = value[-1] if self._n_groups else 0.0
        share = np.where(self._group >= 0, rho, 0.0)
        own_share, common_share = np.sqrt(1.0 - share), np.sqrt(share)
        deviate = np.append(x[n:], 0.0)[self._group]
        own = wanted * own_share
        resolved = own > self._least
        centre, spread = mean + wanted * common_share * deviate, np.where(resolved, own, self._least)
        total, by_mean, by_own, by_extra = self._ln_likelihoods(centre, spread, extra)
        by_own = np.where(resolved, by_own, 0.0)
        by_value = np.zeros(n)
        by_value[:n_mean] = self._design.mean.T @ by_mean
        by_wanted = by_own * own_share + by_mean * common_share * deviate
        by_value[n_mean : n_mean + n_scatter] = self._design.ln_scatter.T @ (by_wanted * wanted)
        inner = slice(n_mean + n_scatter, n_mean + n_scatter + n_extra)
        by_value[inner] = by_extra[:n_extra] * np.where(self._positive[inner], extra, 1.0)
        if self._n_groups:
            grouped = self._group >= 0
            terms = by_mean * deviate / (2.0 * common_share.clip(1e-8)) - by_own / (
                2.0 * own_share.clip(1e-8)
            )
            by_value[-1] = float(np.sum((wanted * terms)[grouped]))
        by_deviate = np.bincount(
            self._group[self._group >= 0],
            (by_mean * wanted * common_share)[self._group >= 0],
            minlength=self._n_groups,
        ) if self._n_groups else np.zeros(0)  # fmt: skip
        ln_density += total - 0.5 * float(x[n:] @ x[n:])
        return ln_density, np.concatenate([gradient + by_value * slope, by_deviate - x[n:]])

    def _ln_likelihoods(self, mean: Array, scatter: Array, extra: Array) -> tuple[float, Array, Array, Array]:
        """Return the sum of ln L and its derivatives by mean and scatter (halo,) and by extra (3,)."""
        if self._kind == STUDENT and self._n[:2] == (1, 1) and not self._n_groups:
            return self._one_student(float(mean[0]), float(scatter[0]), float(extra[0]))
        padded = np.append(extra, np.zeros(3 - len(extra)))
        return ln_likelihoods(self._kind, *self._table, mean, scatter, padded)  # type: ignore[no-any-return]

    def _one_student(self, mean: float, scatter: float, nu: float) -> tuple[float, Array, Array, Array]:
        """Return the same for haloes that share mean and scatter: one matrix product."""
        like, lattice, _, _, edges = self._table
        kernel, tails, norm, norm_slope = student_columns(lattice, mean, scatter, nu)
        values = like @ kernel + edges @ tails
        total = np.maximum(values[:, 0], 1e-300)
        by_mean, by_scatter, by_nu = (values[:, 1:] / total[:, None]).T
        by_extra = np.array([by_nu.sum() + len(like) * norm_slope, 0.0, 0.0])
        return float(np.log(total).sum()) + len(like) * norm, by_mean, by_scatter, by_extra

    def expand(self, x: Array) -> dict[str, float]:
        """Return the named parameters of a draw, the scatter also by its logarithm."""
        value = self._constrained(x[: len(self.names)])[0]
        out = {}
        for name, number, positive in zip(self.names, value, self._positive, strict=True):
            if name == "scatter":
                out["ln_scatter"] = float(number)
            out[name] = math.exp(number) if positive else float(number)
        return out


def _support(like: Array) -> NDArray[np.intp]:
    """Return first and last node at which each likelihood is not negligible, (halo, 2)."""
    there = like > 1e-14
    last = like.shape[1] - 1
    return np.column_stack([np.argmax(there, axis=1), last - np.argmax(there[:, ::-1], axis=1)])


def _is_first(sizes: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return whether each halo is the first of its group."""
    first = np.zeros(int(sizes.sum()), dtype=bool)
    first[np.concatenate([[0], np.cumsum(sizes)[:-1]])] = True
    return first


def _ends(name: str, prior: Mapping[str, Range]) -> Range:
    if name == "parent_correlation":
        return 0.0, 1.0
    low, high = prior[name]
    return (math.log(low), math.log(high)) if name in POSITIVE else (low, high)
