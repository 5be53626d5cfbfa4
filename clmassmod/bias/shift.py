"""Shift of ln b between two analyses of the same haloes, whose common noise and scatter cancel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from clmassmod.bias.fit import match
from clmassmod.bias.truth import TrueMasses
from clmassmod.core.likelihoods import LikelihoodTable
from clmassmod.core.population import each, each_grouped
from clmassmod.ensemble.members import Fits, gather
from clmassmod.errors import ConfigError
from clmassmod.posterior import Posterior, PosteriorGrid
from clmassmod.records import Array

AXES = ("ln_bias", "ln_scatter")


class Shift(NamedTuple):
    """Difference of ln b of one analysis and another.

    Attributes
    ----------
    value : float
        Difference of the posterior means.
    error : float
        Its standard error, with all that the haloes have in common taken out.
    correlation : float
        Of the two analyses' ln b over samples of haloes.
    n_parents : int
        Haloes, counted once whatever their projections.
    """

    value: float
    error: float
    correlation: float
    n_parents: int


def influence(
    fits: Fits,
    truth: TrueMasses,
    posterior: Posterior,
    *,
    mass_definition: str | None = None,
    allow_missing: bool = False,
) -> dict[str, float]:
    """Return how much each halo moves the posterior mean of ln b, by parent.

    I_p = Cov(ln b, ln L_p) under the posterior is the derivative of the mean of ln b by the weight of the
    parent's likelihood. The sum of its squares about their mean, times n / (n - 1) for n parents, is the
    variance of the mean over samples of haloes, without any assumption on the scatter's shape: the Bayesian
    infinitesimal jackknife (Giordano & Broderick 2023, arXiv:2305.06466; Efron & Stein 1981, Ann. Stat. 9,
    586, for the jackknife). Two analyses of the same haloes have a difference whose variance is that of I_p -
    J_p.

    Parameters
    ----------
    fits, truth, mass_definition, allow_missing
        As in ``bias.fit``.
    posterior : Posterior
        Of ``bias.fit`` with these, model ``constant``, method ``grid``.

    Raises
    ------
    ConfigError
        For a posterior of another model or method.
    """
    grid = posterior.grid
    if grid is None or tuple(grid.axes)[:2] != AXES or "ln_student_nu" in grid.axes:
        raise ConfigError("the influence of haloes needs a posterior of model 'constant', method 'grid'")
    members, ln_true, _ = match(gather(fits, mass_definition), truth, allow_missing)
    table, starts = LikelihoodTable(members.curves, ln_true), members.group_starts
    weight = _weight(grid)
    x = grid.axes["ln_bias"]
    deviation = x - float(weight.sum(axis=tuple(range(1, weight.ndim))) @ x)
    total = np.zeros(len(starts))
    for j, sigma in enumerate(np.exp(grid.axes["ln_scatter"])):
        if "parent_correlation" not in grid.axes:
            total += np.log(each(table, x, float(sigma))) @ (deviation * weight[:, j])
            continue
        for k, rho in enumerate(grid.axes["parent_correlation"]):
            own = max(sigma * math.sqrt(1.0 - rho), 0.02 * float(table.width.min()))
            values = each_grouped(table, starts, x, own, sigma * math.sqrt(rho))
            total += values @ (deviation * weight[:, j, k])
    parents = [members.fits[i].parent for i in starts]
    return dict(zip(parents, total.tolist(), strict=True))


def _weight(grid: PosteriorGrid) -> Array:
    """Return the probability of each node; end nodes of the first two axes stand for half a cell."""
    weight = np.exp(grid.ln_density - grid.ln_density.max())
    for axis in (0, 1):
        for end in (0, -1):
            weight[(slice(None),) * axis + (end,)] *= 0.5
    return np.asarray(weight / weight.sum())


def shift(
    ln_bias: float, of: Mapping[str, float], ln_bias_against: float, against: Mapping[str, float]
) -> Shift:
    """Return the shift of one analysis' ln b against another's, with the error of paired haloes.

    Parameters
    ----------
    ln_bias, ln_bias_against : float
        Posterior means.
    of, against : mapping of parent to float
        Of ``influence``. A parent in one of them alone counts with 0 in the other.

    Returns
    -------
    Shift
        Its error is NaN for one parent alone.
    """
    parents = sorted({*of, *against})
    n = len(parents)
    one, other = (np.array([part.get(p, 0.0) for p in parents]) for part in (of, against))
    one, other = one - one.mean(), other - other.mean()
    factor = n / (n - 1) if n > 1 else math.nan
    norm = float(np.sqrt((one @ one) * (other @ other)))
    return Shift(
        ln_bias - ln_bias_against,
        math.sqrt(factor * float(np.sum((one - other) ** 2))),
        float(one @ other) / norm if norm > 0 else math.nan,
        n,
    )
