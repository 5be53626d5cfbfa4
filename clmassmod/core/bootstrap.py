"""Bootstrap over groups of values that belong together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Groups = NDArray[np.intp]


def group_counts(n_groups: int, n_samples: int, rng: np.random.Generator) -> Array:
    """Return how often each group is in each resampling with replacement, (sample, group).

    Efron 1979, Ann. Stat. 7, 1; whole groups are drawn, as their members are not independent. The variance of
    a mean over resamplings is (n - 1) / n of the unbiased one for n groups; one group alone has none.
    """
    return rng.multinomial(n_groups, np.full(n_groups, 1.0 / n_groups), size=n_samples).astype(np.float64)


def weighted_median(values: Array, weight: Array) -> float:
    """Return the median of values (n,) of which each counts ``weight`` times, a whole number."""
    order = np.argsort(values)
    total = np.cumsum(weight[order])
    half = 0.5 * total[-1]
    low = int(np.searchsorted(total, half, side="left"))
    high = int(np.searchsorted(total, half, side="right"))
    return float(0.5 * (values[order[low]] + values[order[min(high, len(order) - 1)]]))


def mean_with_error(values: Array, group: Groups, counts: Array) -> tuple[float, float]:
    """Return the mean of values (n,) and its error; ``group`` (n,) says which count of a sample each has.

    The error is the standard deviation over those resamplings that hold a value; NaN where all values are of
    one group, of which every resampling has the same mean.
    """
    if np.ptp(group) == 0:
        return float(values.mean()), float("nan")
    n = counts.shape[1]
    sums, sizes = (np.bincount(group, weights=w, minlength=n) for w in (values, np.ones(len(values))))
    held = counts @ sizes
    means = (counts @ sums)[held > 0] / held[held > 0]
    return float(values.mean()), float(means.std(ddof=1))


def median_with_error(values: Array, group: Groups, counts: Array) -> tuple[float, float]:
    """Return the median of values (n,) and its error, as of ``mean_with_error``."""
    if np.ptp(group) == 0:
        return float(np.median(values)), float("nan")
    order = np.argsort(values, kind="stable")
    ordered, of = values[order], group[order]
    medians = [weighted_median(ordered, row[of]) for row in counts if row[of].sum() > 0]
    return float(np.median(values)), float(np.std(medians, ddof=1))
