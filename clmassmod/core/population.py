"""Likelihood of a population of haloes, marginal over each halo's own lensing mass.

For a halo of reference mass M_ref (its true mass, or a pivot),

    L_i(b, sigma) = integral L_i(M_ref e^y) N(y | ln b, sigma) dy .

On an equally spaced lattice in y this is one row of a matrix product. The trapezoid rule converges
exponentially for such integrands: with a step of at most sigma / 1.2 and of the narrowest likelihood's
width / 1.2 its error is below 1e-7.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from clmassmod.core.gridstats import normal_cdf, normal_pdf
from clmassmod.core.likelihoods import LN_FLOOR, LikelihoodTable

Array = NDArray[np.float64]

REACH = float(np.sqrt(-2.0 * LN_FLOOR))  # sigmas beyond which a normal density is below a likelihood's floor
RESOLUTION = 1.2  # nodes per standard deviation of the narrowest factor
BLOCK = 2000  # haloes a matrix product


def ln_population(table: LikelihoodTable, ln_bias: Array, sigma: Array) -> Array:
    """Return the sum over haloes of ln L_i(b, sigma) on a grid.

    Parameters
    ----------
    table : LikelihoodTable
    ln_bias : array (b,)
        Increasing.
    sigma : array (sigma,)
        Increasing, positive.

    Returns
    -------
    array (b, sigma)
        Relative to the product of the haloes' largest likelihoods.
    """
    out = np.empty((len(ln_bias), len(sigma)))
    for band in _bands(sigma):
        y, kernel = _lattice_and_kernel(table, ln_bias, sigma[band])
        out[:, band] = _sum_of_logs(table, y, kernel, ln_bias, sigma[band])
    return out


def ln_each(table: LikelihoodTable, ln_bias: Array, sigma: float) -> Array:
    """Return ln L_i(b, sigma) of each halo, shape (halo, b), for one sigma."""
    width = np.array([sigma])
    y, kernel = _lattice_and_kernel(table, ln_bias, width)
    values = table(y) @ kernel + _tails(table, y, ln_bias, width)
    return np.maximum(np.log(np.maximum(values, np.finfo(float).tiny)), LN_FLOOR)


def ln_grouped(table: LikelihoodTable, starts: Array, ln_bias: Array, own: float, shared: float) -> Array:
    """Return the ln likelihood of groups of haloes that share a random effect.

    Members of a group scatter about the group's own mean with standard deviation ``own``, and the means
    about ln b with standard deviation ``shared``:
    L_g(b) = integral N(u | 0, shared) prod_i [ integral L_i(y) N(y | ln b + u, own) dy ] du .

    Parameters
    ----------
    table : LikelihoodTable
        Members of a group follow one another.
    starts : array (group,)
        Place of each group's first member.
    ln_bias : array (b,)
    own, shared : float

    Returns
    -------
    array (b,)
        Sum over groups.
    """
    largest = float(np.max(np.diff([*starts, len(table)])))
    width = np.hypot(own, float(table.width.min())) / np.sqrt(largest)
    step = min(shared, width) / RESOLUTION
    x = _lattice(ln_bias[0] - REACH * shared, ln_bias[-1] + REACH * shared, step)
    members = ln_each(table, x, own)
    product = np.add.reduceat(members, starts.astype(int), axis=0)  # (group, x)
    top = product.max(axis=1, keepdims=True)
    kernel = normal_pdf((x[:, None] - ln_bias) / shared) * ((x[1] - x[0]) / shared)
    values = np.exp(product - top) @ kernel
    return np.asarray((np.log(np.maximum(values, np.finfo(float).tiny)) + top).sum(axis=0))


def _bands(sigma: Array) -> Iterator[slice]:
    """Split the widths so that those of a band differ by a factor of 4 at most, and share a lattice."""
    first = 0
    while first < len(sigma):
        last = int(np.searchsorted(sigma, 4.0 * sigma[first], side="right"))
        yield slice(first, last)
        first = last


def _lattice(low: float, high: float, step: float) -> Array:
    count = max(int(np.ceil((high - low) / step)), 1) + 1
    return np.linspace(low, high, count)


def _lattice_and_kernel(table: LikelihoodTable, ln_bias: Array, sigma: Array) -> tuple[Array, Array]:
    """Return the lattice (y,) and N(y | ln b, sigma) times the quadrature weights, (y, b * sigma)."""
    reach = REACH * sigma[-1]
    stored_low, stored_high = float(table.y_lo.min()), float(table.y_hi.max())
    low = float(np.clip(ln_bias[0] - reach, stored_low, stored_high - 0.1))
    high = float(np.clip(ln_bias[-1] + reach, low + 0.1, max(stored_high, low + 0.1)))
    step = min(float(sigma[0]), float(table.width.min())) / RESOLUTION
    y = _lattice(low, high, step)
    kernel = normal_pdf((y[:, None, None] - ln_bias[:, None]) / sigma) / sigma
    weights = np.full(len(y), y[1] - y[0])
    weights[[0, -1]] *= 0.5
    return y, (kernel * weights[:, None, None]).reshape(len(y), -1)


def _tails(table: LikelihoodTable, y: Array, ln_bias: Array, sigma: Array) -> Array:
    """Return the integral beyond the lattice, where a likelihood is its edge value, (halo, b * sigma)."""
    below = normal_cdf((y[0] - ln_bias[:, None]) / sigma).ravel()
    above = normal_cdf((ln_bias[:, None] - y[-1]) / sigma).ravel()
    return np.outer(table.at_lo, below) + np.outer(table.at_hi, above)


def _sum_of_logs(table: LikelihoodTable, y: Array, kernel: Array, ln_bias: Array, sigma: Array) -> Array:
    total = np.zeros(kernel.shape[1])
    for first in range(0, len(table), BLOCK):
        rows = np.arange(first, min(first + BLOCK, len(table)))
        block = table if len(rows) == len(table) else table.take(rows)
        values = block(y) @ kernel
        if table.y_lo.min() >= y[0] or table.y_hi.max() <= y[-1]:
            values += _tails(block, y, ln_bias, sigma)
        np.maximum(values, np.exp(LN_FLOOR), out=values)
        # Eight floors multiply to 1e-278: logarithms of products are a fraction of the logarithms.
        for start in range(0, len(values), 8):
            total += np.log(np.multiply.reduce(values[start : start + 8], axis=0))
    return total.reshape(len(ln_bias), len(sigma))
