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


class DensitySummary(NamedTuple):
    """Moments and quantiles of a one-dimensional density."""

    mean: float
    sd: float
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
    """Invert a distribution function; flat stretches are skipped."""
    rising = np.concatenate([[True], np.diff(cdf) > 0])
    return np.asarray(np.interp(p, cdf[rising], x[rising]))


def summarise(x: Array, density: Array, probability: float = 0.6827) -> DensitySummary:
    """Summarise a density (n,) on an increasing grid (n,), which need not be normalised.

    Moments by the trapezoid rule, quantiles on straight lines between the nodes' cumulative sums, the mode
    from a parabola through the highest node. The highest-density interval lies between the outermost points
    where the density has one level, such that the range between them holds ``probability`` (to 3e-4). For a
    density of one peak that is the shortest interval with this probability. With several peaks it spans the
    valleys between them, and holds more than the probability where a further peak is needed to reach it.

    Parameters
    ----------
    x : array (n,)
        Increasing, in any steps.
    density : array (n,)
        Not negative, and not zero everywhere.
    probability : float
        Of the highest-density interval; 0.6827 is that within one standard deviation of a normal density.
    """
    step = x[1:] - x[:-1]
    mass = density * x
    cdf = np.empty_like(x)
    cdf[0] = 0.0
    np.cumsum((density[1:] + density[:-1]) * step, out=cdf[1:])
    total = float(cdf[-1])
    cdf *= 1.0 / total
    mean = float((mass[1:] + mass[:-1]) @ step) / total
    square = density * (x - mean) ** 2
    sd = math.sqrt(max(float((square[1:] + square[:-1]) @ step) / total, 0.0))
    peak = int(density.argmax())
    # what is below exp(-18) of the peak, outside of all that is above, concerns neither quantiles nor levels
    high = np.flatnonzero(density >= 1e-8 * density[peak])
    kept = slice(max(int(high[0]) - 1, 0), int(high[-1]) + 2)
    nodes, shares = x[kept].tolist(), cdf[kept].tolist()
    lo, hi = _highest(nodes, density[kept], shares, peak - kept.start, probability)
    return DensitySummary(mean, sd, _line(0.5, shares, nodes), _vertex(x, density, peak), lo, hi)


def _line(at: float, x: Sequence[float], y: Sequence[float]) -> float:
    """Return y(at) on straight lines between nodes (n,), x not falling: ``np.interp`` for one number."""
    i = bisect_left(x, at)
    if i == 0:
        return y[0]
    if i == len(x):
        return y[-1]
    return y[i - 1] + (at - x[i - 1]) / (x[i] - x[i - 1]) * (y[i] - y[i - 1])


def _highest(
    nodes: list[float], density: Array, cdf: list[float], peak: int, probability: float
) -> tuple[float, float]:
    """Find the level above which the density holds the probability: a secant search in its sigmas.

    Levels are peak density * exp(-t^2 / 2), so that t is 1 at once for a normal density. Where the secants do
    not get there the bracket is halved.
    """
    # the outermost crossing of a level on either side of the peak: of the running maximum from outside
    rising, left = np.maximum.accumulate(density[: peak + 1]).tolist(), nodes[: peak + 1]
    outside = slice(None, peak - 1 if peak else None, -1)
    falling, right = np.maximum.accumulate(density[outside]).tolist(), nodes[outside]
    top = rising[-1]

    def held(t: float) -> tuple[float, float, float]:
        level = top * math.exp(-0.5 * t * t)
        lo, hi = _line(level, rising, left), _line(level, falling, right)
        return _line(hi, nodes, cdf) - _line(lo, nodes, cdf) - probability, lo, hi

    low, high = 0.0, 6.0
    excess_low, excess_high = -probability, 1.0 - probability
    t = 1.0
    for _ in range(12):
        excess, lo, hi = held(t)
        if abs(excess) < 3e-4:
            return lo, hi
        if excess < 0:
            low, excess_low, excess_high = t, excess, 0.7 * excess_high  # Illinois: no end is kept for long
        else:
            high, excess_high, excess_low = t, excess, 0.7 * excess_low
        t = low + (high - low) * excess_low / (excess_low - excess_high) if high < 6 else 1.3 * t
    for _ in range(50):  # a plateau or a further peak, which a tiny change of the level lets in
        t = 0.5 * (low + high)
        excess, lo, hi = held(t)
        if abs(excess) < 3e-4:
            return lo, hi
        low, high = (t, high) if excess < 0 else (low, t)
    return held(high)[1:]


def _vertex(x: Array, density: Array, peak: int) -> float:
    """Return the top of the parabola through the highest node and its neighbours."""
    if peak in (0, len(x) - 1):
        return float(x[peak])
    x0, x1, x2 = (float(v) for v in x[peak - 1 : peak + 2])
    f0, f1, f2 = (float(v) for v in density[peak - 1 : peak + 2])
    left, right = (f1 - f0) / (x1 - x0), (f2 - f1) / (x2 - x1)
    curvature = (right - left) / (x2 - x0)
    if curvature >= 0:
        return x1
    slope = left + curvature * (x1 - x0)
    return min(max(x1 - 0.5 * slope / curvature, x0), x2)
