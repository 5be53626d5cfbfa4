"""How well stated uncertainties hold against truth, and the biases that papers quote beside the posterior.

The bias of this package is the joint posterior of ``bias.fit``. Means and medians of point estimates and the
maximum of the stacked likelihood are older habits; each has a bias of its own, which its name says below.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from clmassmod.bias.truth import TrueMasses, true_masses
from clmassmod.core.bootstrap import group_counts, mean_with_error, median_with_error
from clmassmod.core.calibration import Coverage, Goodness, coverage, goodness_normal, goodness_uniform, pulls
from clmassmod.core.gridstats import cumulative, normal_cdf, normal_pdf
from clmassmod.core.likelihoods import LikelihoodTable
from clmassmod.core.pullfits import DistributionFit, fit_pulls
from clmassmod.ensemble.members import Fits, Members, gather
from clmassmod.fitters.summary import MassPrior, check_prior, refined
from clmassmod.plain import whole_number
from clmassmod.posterior import Posterior
from clmassmod.records import Array, HaloFit

LN_RATIO = np.linspace(-2.0, 2.0, 801)  # where the stacked likelihood is searched
_SIGMAS = np.linspace(-8.0, 8.0, 321)
_BLOCK = 2000  # haloes at once


class Estimate(NamedTuple):
    """A bias with its bootstrap error, over parents; NaN for the haloes of one parent alone."""

    value: float
    error: float
    n: int  # haloes that count
    n_left_out: int


@dataclass(frozen=True)
class Calibration:
    """Calibration of the haloes of an ensemble against truth; arrays are (halo,).

    Attributes
    ----------
    halo_ids : tuple of str
    pull : array
        (M_ML - M_true) / error. It has the bias and the intrinsic scatter in it.
    pit : array
        Posterior probability, halo by halo, of a mass below the true one.
    population_pit : array, empty without posterior
        Of lensing masses about the population that was inferred: uniform if scatter is normal and
        independent of everything.
    coverage : tuple of Coverage
        Of the equal-tailed intervals of each halo's posterior.
    pull_normal, pit_uniform, population_uniform : Goodness
    pull_fits : tuple of DistributionFit
        Normal, Student, Voigt.
    biases : mapping of name to Estimate
        ``stack``: b that maximises prod L_i(b M_true,i), a weighted mean if there is no scatter.
        ``mean_ratio``, ``median_ratio``: of M_ML / M_true, negative ones included. ``mean_ln_ratio``:
        exp of the mean of its logarithm over positive ones alone, which noise biases.
    """

    halo_ids: tuple[str, ...]
    pull: Array
    pit: Array
    population_pit: Array
    coverage: tuple[Coverage, ...]
    pull_normal: Goodness
    pit_uniform: Goodness
    population_uniform: Goodness
    pull_fits: tuple[DistributionFit, ...]
    biases: Mapping[str, Estimate]

    def numbers(self) -> dict[str, Any]:
        """Return everything but the arrays, as plain nested mappings."""
        tests = {"pull": self.pull_normal, "pit": self.pit_uniform, "population": self.population_uniform}
        return {
            "coverage": {f"{c.level:g}": c._asdict() for c in self.coverage},
            "goodness": {name: test._asdict() for name, test in tests.items()},
            "pull_fits": {
                f.name: {"parameters": dict(f.parameters), "errors": dict(f.errors), "aic": f.aic}
                for f in self.pull_fits
            },
            "biases": {name: estimate._asdict() for name, estimate in self.biases.items()},
        }


def calibration(
    fits: Fits,
    truth: TrueMasses,
    *,
    posterior: Posterior | None = None,
    mass_definition: str | None = None,
    prior: MassPrior = "flat",
    n_bootstrap: int = 1000,
    seed: int = 0,
    allow_missing: bool = False,
) -> Calibration:
    """Return pulls, PIT, coverage, tests, fits of the pulls' distribution, and other estimates of bias.

    Parameters
    ----------
    fits : iterable of HaloFit or path
    truth : mapping of halo id to Msun, or callable
    posterior : Posterior, optional
        Of ``bias.fit`` with model "constant", for the PIT of the population.
    mass_definition : str, optional
        Of the true masses. Point estimates exist for the primary definition of the fits alone.
    prior : {"flat", "log"}
        Of each halo's posterior: flat in mass, or in its logarithm, between the ends of its grid.
    n_bootstrap : int
        Resamplings of parents.
    seed : int
    allow_missing : bool
        Leave out haloes without true mass.

    Raises
    ------
    TruthError
        For haloes without true mass.
    FitError
        Without usable halo.
    """
    check_prior(prior)
    seed, n_bootstrap = whole_number(seed, "seed"), whole_number(n_bootstrap, "n_bootstrap")
    definition = mass_definition or getattr(truth, "mass_definition", None)
    members = gather(fits, definition)
    masses = true_masses(truth, members.fits, members.mass_definition, allow_missing)
    kept = [fit for fit, known in zip(members.fits, np.isfinite(masses), strict=True) if known]
    members = Members(kept, members.mass_definition, members.n_unusable, members.n_unselected)
    masses = masses[np.isfinite(masses)]
    rng, rng_pit = np.random.default_rng(seed).spawn(2)
    table = LikelihoodTable(members.curves, np.log(masses))
    best, error = _point_estimates(members)
    pull, pit = pulls(best, error, masses), halo_pit(members.fits, masses, members.mass_definition, prior)
    latent = np.empty(0)
    if posterior is not None and posterior.metadata.get("model", "constant") == "constant":
        latent = population_pit(table, posterior.mean["ln_bias"], posterior.mean["scatter"], rng_pit)
    return Calibration(
        tuple(fit.halo_id for fit in members.fits),
        pull,
        pit,
        latent,
        coverage(pit),
        goodness_normal(pull),
        goodness_uniform(pit),
        goodness_uniform(latent),
        fit_pulls(pull),
        _biases(members, table, best / masses, n_bootstrap, rng),
    )


def _point_estimates(members: Members) -> tuple[Array, Array]:
    """Return best masses and errors [Msun], (halo,); NaN for another definition than the fits' own."""
    own = [fit.mass_definition == members.mass_definition for fit in members.fits]
    columns = [
        [
            fit.summary.get(name, math.nan) if same else math.nan
            for fit, same in zip(members.fits, own, strict=True)
        ]
        for name in ("mass_ml_msun", "mass_err_msun")
    ]
    return np.array(columns[0], dtype=float), np.array(columns[1], dtype=float)


def halo_pit(fits: list[HaloFit], true_msun: Array, mass_definition: str, prior: MassPrior = "flat") -> Array:
    """Return the posterior probability of a mass below the true one, (halo,).

    Parameters
    ----------
    fits : list of HaloFit
    true_msun : array (halo,)
    mass_definition : str
    prior : {"flat", "log"}
    """
    found = np.empty(len(fits))
    for i, (fit, truth) in enumerate(zip(fits, true_msun, strict=True)):
        ln_like = fit.ln_like[mass_definition]
        mass, ln_like = refined(fit.mass_msun, ln_like)
        x, at = (mass, truth) if prior == "flat" else (np.log(mass), math.log(truth))
        found[i] = np.interp(at, x, cumulative(x, np.exp(ln_like - ln_like.max())))
    return found


def population_pit(table: LikelihoodTable, ln_bias: float, scatter: float, rng: np.random.Generator) -> Array:
    """Return Phi((y - ln b) / sigma) for a draw y = ln(M / M_true) of each halo's posterior, (halo,).

    The draw is from L_i(y) N(y | ln b, sigma). Over haloes it is distributed as the population, whatever
    the noise, if the model holds (Cook, Gelman & Rubin 2006, J. Comput. Graph. Stat. 15, 675, for a
    parameter with a proper prior), so that this is uniform. Where noise is small, b and sigma that were
    fitted to the same haloes make it more uniform than chance would, and tests of it reject too seldom.

    Parameters
    ----------
    table : LikelihoodTable
        About the true masses.
    ln_bias, scatter : float
    rng : numpy.random.Generator
    """
    ticks = rng.random(len(table))
    found = np.empty(len(table))
    for first in range(0, len(table), _BLOCK):
        rows = np.arange(first, min(first + _BLOCK, len(table)))
        density = table.take(rows)(ln_bias + scatter * _SIGMAS) * normal_pdf(_SIGMAS)
        for row, values in zip(rows, density, strict=True):
            found[row] = np.interp(ticks[row], cumulative(_SIGMAS, values), _SIGMAS)
    return normal_cdf(found)


def _biases(
    members: Members, table: LikelihoodTable, ratio: Array, n_bootstrap: int, rng: np.random.Generator
) -> dict[str, Estimate]:
    starts = members.group_starts
    group = np.searchsorted(starts, np.arange(len(ratio)), side="right") - 1
    counts = group_counts(len(starts), n_bootstrap, rng)
    n = len(ratio)
    out = {"stack": stacked(table, starts, counts)}
    known = np.isfinite(ratio)
    positive = known & (ratio > 0)
    if known.sum() > 1:
        for name, function in (("mean_ratio", mean_with_error), ("median_ratio", median_with_error)):
            value, error = function(ratio[known], group[known], counts)
            out[name] = Estimate(value, error, int(known.sum()), n - int(known.sum()))
    if positive.sum() > 1:
        value, error = mean_with_error(np.log(ratio[positive]), group[positive], counts)
        scale = math.exp(value)
        out["mean_ln_ratio"] = Estimate(scale, scale * error, int(positive.sum()), n - int(positive.sum()))
    return out


def stacked(table: LikelihoodTable, starts: NDArray[np.intp], counts: Array) -> Estimate:
    """Return the b that maximises the product of all L_i(b M_true,i), with its bootstrap error.

    Parameters
    ----------
    table : LikelihoodTable
        About the true masses; members of a parent follow one another.
    starts : array (parent,)
        Place of each parent's first member.
    counts : array (sample, parent)
        How often each parent is in each resampling.

    Returns
    -------
    Estimate
        NaN where the maximum is not inside a factor e^2 of one; the error also for one parent alone. The
        likelihood of a halo has its floor, so that none can veto the others.
    """
    size = np.diff([*starts, len(table)])
    parents = np.zeros((len(starts), len(LN_RATIO)))
    for first in range(0, len(starts), _BLOCK):
        last = min(first + _BLOCK, len(starts))
        rows = np.arange(starts[first], starts[last - 1] + size[last - 1])
        parents[first:last] = np.add.reduceat(
            table.take(rows).ln_like(LN_RATIO), starts[first:last] - starts[first], axis=0
        )
    value = math.exp(_peak(parents.sum(axis=0)))
    drawn = np.exp([_peak(row) for row in counts @ parents])
    known = len(starts) > 1 and int(np.isfinite(drawn).sum()) > 1
    return Estimate(value, float(np.nanstd(drawn, ddof=1)) if known else math.nan, len(table), 0)


def _peak(ln_like: Array) -> float:
    """Return the top of the parabola through the largest of values at ``LN_RATIO``; NaN at an end."""
    i = int(np.argmax(ln_like))
    if i in (0, len(ln_like) - 1):
        return math.nan
    left, middle, right = ln_like[i - 1 : i + 2]
    bend = left - 2.0 * middle + right
    step = LN_RATIO[1] - LN_RATIO[0]
    return float(LN_RATIO[i] + (0.5 * step * (left - right) / bend if bend < 0 else 0.0))
