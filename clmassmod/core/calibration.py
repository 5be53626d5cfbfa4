"""Tests of stated uncertainties: pulls, coverage, uniformity of probabilities and of ranks.

A probability integral transform (PIT) is the value of a stated distribution function at the truth. If the
statement is right it is uniform between 0 and 1 (Dawid 1984, J. R. Stat. Soc. A 147, 278).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clmassmod.core.gridstats import normal_cdf

Array = NDArray[np.float64]

LEVELS = (0.68, 0.95)
_LEAST = 1e-300  # a probability of 0 or 1 would make every statistic infinite


class Coverage(NamedTuple):
    """How often equal-tailed intervals held the truth."""

    level: float  # stated
    share: float  # found
    error: float  # binomial standard deviation of the share, were the statement right
    n: int


class Goodness(NamedTuple):
    """Kolmogorov-Smirnov and Anderson-Darling tests against a distribution that was fixed beforehand."""

    n: int
    ks: float
    ks_p: float
    anderson: float
    anderson_p: float


class RankTest(NamedTuple):
    """Chi squared of a histogram of ranks about uniformity."""

    counts: NDArray[np.intp]  # (bin,)
    chi2: float
    p: float


def pulls(estimate: ArrayLike, error: ArrayLike, truth: ArrayLike) -> Array:
    """Return (estimate - truth) / error, (halo,); standard normal if the errors are right and normal.

    NaN where the error is not above 0: such a halo says nothing of its errors.
    """
    difference = np.asarray(estimate, dtype=np.float64) - np.asarray(truth, dtype=np.float64)
    stated = np.asarray(error, dtype=np.float64)
    return np.asarray(difference / np.where(stated > 0, stated, np.nan))


def coverage(pit: Array, levels: tuple[float, ...] = LEVELS) -> tuple[Coverage, ...]:
    """Return how often equal-tailed intervals of each probability hold the truth.

    Such an interval holds it when its PIT is within level / 2 of 1/2.

    Parameters
    ----------
    pit : array (n,)
        Values that are not finite do not count.
    levels : tuple of float
    """
    used = pit[np.isfinite(pit)]
    n = len(used)
    found = []
    for level in levels:
        share = float(np.mean(np.abs(used - 0.5) <= 0.5 * level)) if n else math.nan
        found.append(Coverage(level, share, math.sqrt(level * (1.0 - level) / n) if n else math.nan, n))
    return tuple(found)


def goodness_uniform(values: Array) -> Goodness:
    """Test that values (n,) are uniform between 0 and 1; those that are not finite do not count."""
    used = np.sort(values[np.isfinite(values)])
    n = len(used)
    if n == 0:
        return Goodness(0, math.nan, math.nan, math.nan, math.nan)
    from scipy.stats import kstest

    found = kstest(used, "uniform")
    squared = anderson_darling(used)
    return Goodness(n, float(found.statistic), float(found.pvalue), squared, anderson_darling_p(squared, n))


def goodness_normal(values: Array) -> Goodness:
    """Test that values (n,), such as pulls, are standard normal; only finite ones count."""
    return goodness_uniform(normal_cdf(values[np.isfinite(values)]))


def anderson_darling(ordered: Array) -> float:
    """Return A^2 of increasing values (n,) about the uniform distribution.

    Anderson & Darling 1954, J. Am. Stat. Assoc. 49, 765: A^2 = -n - sum (2i - 1)
    [ln u_i + ln(1 - u_(n+1-i))] / n.
    """
    n = len(ordered)
    odd = 2.0 * np.arange(1, n + 1) - 1.0
    low, high = np.maximum(ordered, _LEAST), np.maximum(1.0 - ordered[::-1], _LEAST)
    return float(-n - odd @ (np.log(low) + np.log(high)) / n)


def anderson_darling_p(squared: float, n: int) -> float:
    """Return the probability of a larger A^2 for n values of a distribution that is fully known.

    Marsaglia & Marsaglia 2004, J. Stat. Softw. 9, 2: to 1e-6 of the limit for large n, and 1e-4 for small.
    """
    z = max(squared, 1e-3)
    if z < 2.0:
        series = (2.00012, 0.247105, -0.0649821, 0.0347962, -0.011672, 0.00168691)
        limit = math.exp(-1.2337141 / z) / math.sqrt(z) * _polynomial(series, z)
    else:
        series = (1.0776, -2.30695, 0.43424, -0.082433, 0.008056, -0.0003146)
        limit = math.exp(-math.exp(_polynomial(series, z))) if z < 30.0 else 1.0
    return min(max(1.0 - limit - _finite_n(n, limit), 0.0), 1.0)


def _finite_n(n: int, x: float) -> float:
    if x > 0.8:
        series = (-130.2137, 745.2337, -1705.091, 1950.646, -1116.360, 255.7844)
        return _polynomial(series, x) / n
    corner = 0.01265 + 0.1757 / n
    if x < corner:
        t = x / corner
        return math.sqrt(t) * (1.0 - t) * (49.0 * t - 102.0) * (0.0037 / n**2 + 0.00078 / n + 0.00006) / n
    series = (-0.00022633, 6.54034, -14.6538, 14.458, -8.259, 1.91864)
    return _polynomial(series, (x - corner) / (0.8 - corner)) * (0.04213 + 0.01365 / n) / n


def _polynomial(coefficients: tuple[float, ...], x: float) -> float:
    return float(sum(c * x**k for k, c in enumerate(coefficients)))


def rank_test(ranks: ArrayLike, n_draws: int, n_bins: int = 20) -> RankTest:
    """Test that ranks of truths among posterior draws are uniform.

    Simulation-based calibration: Talts et al. 2018, arXiv:1804.06788, algorithm 1.

    Parameters
    ----------
    ranks : array (simulation,)
        Number of the independent draws below the truth, 0 to ``n_draws``.
    n_draws : int
        ``n_draws + 1`` is a multiple of ``n_bins``, so that all bins hold as many ranks.
    n_bins : int
        Fewer than a fifth of the simulations.
    """
    if (n_draws + 1) % n_bins:
        raise ValueError(f"{n_draws} draws have {n_draws + 1} ranks, which {n_bins} bins do not divide")
    from scipy.stats import chisquare

    place = np.asarray(ranks, dtype=np.intp) * n_bins // (n_draws + 1)
    counts = np.bincount(place, minlength=n_bins)
    found = chisquare(counts)
    return RankTest(counts, float(found.statistic), float(found.pvalue))
