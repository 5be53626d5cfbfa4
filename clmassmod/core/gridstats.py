"""Statistics of a density that is tabulated on an equally spaced grid."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_SQRT_2PI = float(np.sqrt(2.0 * np.pi))
_SLOPE = 0.484  # of the probability within t standard deviations of a normal density, at t = 1
_TOLERANCE = 3e-4  # of the probability of an interval
_SECANTS = 12  # after so many steps of a search the bracket is halved


class Axis:
    """Nodes (n,) of tabulated densities, and what sums over them need: made once where many share them.

    Parameters
    ----------
    nodes : array (n,)
        Increasing, in any steps.
    """

    def __init__(self, nodes: Array) -> None:
        self.listed = nodes.tolist()
        self.step = nodes[1:] - nodes[:-1]
        self.weight = np.zeros(len(nodes))  # of the trapezoid rule, twice
        self.weight[1:] += self.step
        self.weight[:-1] += self.step
        self.moment = self.weight * nodes


class DensitySummary(NamedTuple):
    """Mean, quantiles and mode of a one-dimensional density."""

    mean: float
    median: float
    mode: float
    hdi_lo: float
    hdi_hi: float


def normal_pdf(x: Array) -> Array:
    """Return the standard normal density."""
    return np.exp(-0.5 * x * x) / _SQRT_2PI


def normal_cdf(x: Array) -> Array:
    """Return the standard normal distribution function."""
    from scipy.special import ndtr

    return np.asarray(ndtr(x), dtype=np.float64)


def student_pdf(x: Array, nu: float) -> Array:
    """Return the density of Student's t with nu degrees of freedom."""
    ln_norm = math.lgamma(0.5 * (nu + 1.0)) - math.lgamma(0.5 * nu) - 0.5 * math.log(nu * math.pi)
    return np.asarray(np.exp(ln_norm - 0.5 * (nu + 1.0) * np.log1p(x * x / nu)))


def student_cdf(x: Array, nu: float) -> Array:
    """Return the distribution function of Student's t with nu degrees of freedom."""
    from scipy.special import stdtr

    return np.asarray(stdtr(nu, x), dtype=np.float64)


def refine(values: Array, factor: int) -> Array:
    """Interpolate along the first axis of an equally spaced grid onto one ``factor`` times finer.

    Cubic through the four nearest nodes, and linear where one of them is not finite.

    Parameters
    ----------
    values : array (n, ...)
        n of at least 4.
    factor : int
        Shape returned: ((n - 1) * factor + 1, ...).
    """
    n = values.shape[0]
    position = np.arange((n - 1) * factor + 1) / factor
    first = np.clip(np.floor(position).astype(int) - 1, 0, n - 4)
    t = (position - first).reshape(-1, *([1] * (values.ndim - 1)))
    stencil = [values[first + k] for k in range(4)]
    with np.errstate(invalid="ignore"):
        cubic = (
            stencil[0] * (t - 1) * (t - 2) * (t - 3) / -6
            + stencil[1] * t * (t - 2) * (t - 3) / 2
            + stencil[2] * t * (t - 1) * (t - 3) / -2
            + stencil[3] * t * (t - 1) * (t - 2) / 6
        )
        left = np.clip(np.floor(position).astype(int), 0, n - 2)
        u = (position - left).reshape(t.shape)
        low, high = values[left], values[left + 1]
        linear = np.where(u == 0, low, np.where(u == 1, high, (1 - u) * low + u * high))
    return np.asarray(np.where(np.isfinite(cubic), cubic, linear))


def cumulative(x: Array, density: Array) -> Array:
    """Return the distribution function (n,) at the nodes, 0 at the first and 1 at the last."""
    steps = 0.5 * (density[1:] + density[:-1]) * np.diff(x)
    total = np.concatenate([[0.0], np.cumsum(steps)])
    return np.asarray(total / total[-1], dtype=np.float64)


def quantile(x: Array, cdf: Array, p: float | Array) -> Array:
    """Invert a distribution function; of flat stretches both ends count."""
    rises = np.diff(cdf) > 0
    kept = np.concatenate([[True], rises]) | np.concatenate([rises, [True]])
    return np.asarray(np.interp(p, cdf[kept], x[kept]))


def summarise(axis: Axis, density: Array, probability: float = 0.6827) -> DensitySummary:
    """Summarise a density (n,) on an increasing grid, which need not be normalised.

    The mean by the trapezoid rule, quantiles on straight lines between the nodes' cumulative sums, the mode
    from a parabola through the highest node. The highest-density interval lies between the outermost points
    where the density has one level, such that the range between them holds ``probability`` (to 3e-4). For a
    density of one peak that is the shortest interval with this probability. With several peaks it spans the
    valleys between them, and holds more than the probability where a further peak is needed to reach it, or
    where the top is flat.

    Parameters
    ----------
    axis : Axis
    density : array (n,)
        Not negative, and not zero everywhere.
    probability : float
        Of the highest-density interval; 0.6827 is that within one standard deviation of a normal density.
    """
    sums = density[1:] + density[:-1]
    sums *= axis.step
    sums = sums.cumsum()  # twice the integral from the first node to all others
    total = float(sums[-1])
    peak = int(density.argmax())
    # what is below exp(-18) of the peak, outside of all that is above, concerns neither quantiles nor levels
    high = density >= 1e-8 * density[peak]
    first = max(int(high.argmax()) - 1, 0)
    stop = len(density) - max(int(high[::-1].argmax()) - 1, 0)
    nodes, inside = axis.listed[first:stop], sums[max(first - 1, 0) : stop - 1].tolist()
    cdf = inside if first else [0.0, *inside]
    median = _at(_place(0.5 * total, cdf), nodes)
    lo, hi = _highest(density[first:stop], cdf, peak - first, probability, total)
    return DensitySummary(
        float(density @ axis.moment) / total,
        median,
        _vertex(axis.listed, density, peak),
        _at(lo, nodes),
        _at(hi, nodes),
    )


def _place(level: float, rising: Sequence[float]) -> float:
    """Return where values (n,) that do not fall reach a level, in nodes, on straight lines between them."""
    i = bisect_left(rising, level)
    if i == 0 or i == len(rising):
        return float(max(i - 1, 0))
    return i - 1 + (level - rising[i - 1]) / (rising[i] - rising[i - 1])


def _at(place: float, values: Sequence[float]) -> float:
    """Return the value at a place between nodes."""
    i = int(place)
    share = place - i
    return values[i] if share == 0.0 else values[i] + share * (values[i + 1] - values[i])


def _highest(
    density: Array, cdf: list[float], peak: int, probability: float, total: float
) -> tuple[float, float]:
    """Return the places, in nodes, of the level above which the density holds a share of the total.

    A secant search in the level's sigmas: levels are peak density * exp(-t^2 / 2), so that t is 1 at once for
    a normal density. Where the secants do not get there the bracket is halved.
    """
    # the outermost crossing of a level on either side of the peak: of the running maximum from outside
    rising = np.maximum.accumulate(density[: peak + 1]).tolist()
    falling = np.maximum.accumulate(density[slice(None, peak - 1 if peak else None, -1)]).tolist()
    top, end = rising[-1], len(cdf) - 1

    def held(t: float) -> tuple[float, float, float]:
        level = top * math.exp(-0.5 * t * t)
        lo, hi = _place(level, rising), end - _place(level, falling)
        return (_at(hi, cdf) - _at(lo, cdf)) / total - probability, lo, hi

    low, high, t, slope = 0.0, 6.0, 1.0, _SLOPE
    last = None
    for step in range(60):
        excess, lo, hi = held(t)
        if abs(excess) < _TOLERANCE:
            return lo, hi
        low, high = (t, high) if excess < 0 else (low, t)
        if last is not None:
            slope = (excess - last[1]) / (t - last[0])
        last = t, excess
        guess = t - excess / slope if slope > 0 and step < _SECANTS else low
        # halved: a plateau or a further peak, which a tiny change of the level lets in
        t = guess if low < guess < high else 0.5 * (low + high)
        if not low < t < high:
            break
    return held(high)[1:]


def _vertex(x: list[float], density: Array, peak: int) -> float:
    """Return the top of the parabola through the highest node and its neighbours."""
    if peak in (0, len(x) - 1):
        return x[peak]
    x0, x1, x2 = x[peak - 1 : peak + 2]
    f0, f1, f2 = (float(v) for v in density[peak - 1 : peak + 2])
    left, right = (f1 - f0) / (x1 - x0), (f2 - f1) / (x2 - x1)
    curvature = (right - left) / (x2 - x0)
    if curvature >= 0:
        return x1
    slope = left + curvature * (x1 - x0)
    return min(max(x1 - 0.5 * slope / curvature, x0), x2)
