"""Likelihood of a population of haloes, marginal over each halo's own lensing mass.

For a halo of reference mass M_ref (its true mass, or a pivot),

    L_i(b, sigma) = integral L_i(M_ref e^y) N(y | ln b, sigma) dy ,

L_i(M) a density in the data (not in M, so that no Jacobian enters) and N(y | m, s) the normal density in y of
mean m and standard deviation s.

On an equally spaced lattice in y this is one row of a matrix product. The trapezoid rule converges
exponentially for such integrands: its relative error is 2 exp(-2 pi^2 s^2 / h^2) for a step h and a product
L_i N that is normal with standard deviation s (Poisson's sum formula; Trefethen & Weideman 2014, SIAM Rev.
56, 385). With a step of at most sigma / 1.2 and of the narrowest likelihood's width w / 1.2, where 1 / s^2 =
1 / sigma^2 + 1 / w^2, that is 1.4e-6 for sigma = w and below 1e-9 where they differ twofold. Beyond the
lattice a likelihood is its edge value, times the normal distribution function; where such a plateau is not
negligible its end at r sigmas from ln b adds (h / sigma)^2 r phi(r) / 12 times its height, phi the standard
normal density.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from clmassmod.core.gridstats import normal_cdf, normal_pdf, student_cdf, student_pdf
from clmassmod.core.likelihoods import LN_FLOOR, LikelihoodTable

Array = NDArray[np.float64]

REACH = float(np.sqrt(-2.0 * LN_FLOOR))  # sigmas beyond which a normal density is below a likelihood's floor
RESOLUTION = 1.2  # nodes per standard deviation of the narrowest factor
STUDENT_RESOLUTION = 2.0  # Student's t is not as smooth
BLOCK = 2000  # haloes a matrix product
FACTORS = 8  # so many floors multiply to 1e-278, still a number


def ln_population(table: LikelihoodTable, ln_bias: Array, sigma: Array, nu: float | None = None) -> Array:
    """Return the sum over haloes of ln L_i(b, sigma) on a grid.

    Parameters
    ----------
    table : LikelihoodTable
    ln_bias : array (b,)
        Increasing.
    sigma : array (sigma,)
        Increasing, positive.
    nu : float, optional
        Student's t with so many degrees of freedom and scale sigma, instead of a normal distribution.

    Returns
    -------
    array (b, sigma)
        Relative to the product of the haloes' largest likelihoods.
    """
    out = np.empty((len(ln_bias), len(sigma)))
    for band in _bands(sigma):
        out[:, band] = _sum_of_logs(table, ln_bias, sigma[band], nu)
    return out


def ln_grouped(
    table: LikelihoodTable, starts: NDArray[np.intp], ln_bias: Array, own: float, shared: float
) -> Array:
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
    return np.asarray(each_grouped(table, starts, ln_bias, own, shared).sum(axis=0))


def each_grouped(
    table: LikelihoodTable, starts: NDArray[np.intp], ln_bias: Array, own: float, shared: float
) -> Array:
    """Return the ln likelihood of each group, (group, b); see ``ln_grouped``."""
    largest = int(np.max(np.diff([*starts, len(table)])))
    width = np.hypot(own, float(table.width.min())) / np.sqrt(largest)
    step = min(shared, width) / RESOLUTION
    count = int(np.ceil((ln_bias[-1] - ln_bias[0] + 2 * REACH * shared) / step)) + 1
    x = np.linspace(ln_bias[0] - REACH * shared, ln_bias[-1] + REACH * shared, count)
    members = each(table, x, own)
    if largest <= FACTORS:
        product, ln_top = np.multiply.reduceat(members, starts, axis=0), 0.0
    else:
        ln_product = np.add.reduceat(np.log(members), starts, axis=0)
        ln_top = ln_product.max(axis=1, keepdims=True)
        product = np.exp(ln_product - ln_top)
    kernel = normal_pdf((x[:, None] - ln_bias) / shared) * ((x[1] - x[0]) / shared)
    values = np.maximum(product @ kernel, np.finfo(float).tiny)
    return np.asarray(np.log(values) + ln_top)


def each(table: LikelihoodTable, ln_bias: Array, sigma: float) -> Array:
    """Return L_i(b, sigma) of each halo for one sigma, (halo, b), relative to its largest likelihood."""
    width = np.array([sigma])
    y, like = _lattice(table, ln_bias, width)
    kernel = _kernel(y, ln_bias, width)
    values = (table(y) if like is None else like) @ kernel
    _add_tails(values, table, y, ln_bias, width)
    return np.asarray(np.maximum(values, np.exp(LN_FLOOR), out=values))


def _bands(sigma: Array) -> Iterator[slice]:
    """Split the widths so that those of a band differ by a factor of 4 at most, and share a lattice."""
    first = 0
    while first < len(sigma):
        last = int(np.searchsorted(sigma, 4.0 * sigma[first], side="right"))
        yield slice(first, last)
        first = last


def _lattice(
    table: LikelihoodTable, ln_bias: Array, sigma: Array, nu: float | None = None
) -> tuple[Array, Array | None]:
    """Return the lattice (y,) for a grid of ln b and sigma and, where kept, the likelihoods on it."""
    reach = REACH * sigma[-1] if nu is None else np.inf
    stored_low, stored_high = float(table.y_lo.min()), float(table.y_hi.max())
    low = min(max(ln_bias[0] - reach, stored_low), stored_high - 0.1)
    high = max(min(ln_bias[-1] + reach, stored_high), low + 0.1)
    resolution = RESOLUTION if nu is None else STUDENT_RESOLUTION
    return table.lattice(min(float(sigma[0]), float(table.width.min())) / resolution, low, high)


def _kernel(y: Array, ln_bias: Array, sigma: Array, nu: float | None = None) -> Array:
    """Return the distribution of y about ln b times the quadrature weights, (y, b * sigma)."""
    r = (y[:, None, None] - ln_bias[:, None]) / sigma
    kernel = (normal_pdf(r) if nu is None else student_pdf(r, nu)) / sigma
    weights = np.full(len(y), y[1] - y[0])
    weights[[0, -1]] *= 0.5
    return np.asarray((kernel * weights[:, None, None]).reshape(len(y), -1))


def _add_tails(
    values: Array, table: LikelihoodTable, y: Array, ln_bias: Array, sigma: Array, nu: float | None = None
) -> None:
    """Add the integral beyond the lattice, where a likelihood is its edge value, to (halo, b * sigma)."""
    ends = (y[0] - ln_bias[:, None]) / sigma, (ln_bias[:, None] - y[-1]) / sigma
    below, above = ((normal_cdf(r) if nu is None else student_cdf(r, nu)).ravel() for r in ends)
    for edge, share in ((table.at_lo, below), (table.at_hi, above)):
        if share.max() > np.exp(LN_FLOOR):
            values += np.outer(edge, share)


def _sum_of_logs(table: LikelihoodTable, ln_bias: Array, sigma: Array, nu: float | None) -> Array:
    y, like = _lattice(table, ln_bias, sigma, nu)
    kernel = _kernel(y, ln_bias, sigma, nu)
    total = np.zeros(kernel.shape[1])
    for first in range(0, len(table), BLOCK):
        rows = np.arange(first, min(first + BLOCK, len(table)))
        block = table if len(rows) == len(table) else table.take(rows)
        values = (block(y) if like is None else like[rows]) @ kernel
        _add_tails(values, block, y, ln_bias, sigma, nu)
        np.maximum(values, np.exp(LN_FLOOR), out=values)
        # logarithms of products cost a fraction of the logarithms
        for start in range(0, len(values), FACTORS):
            total += np.log(np.multiply.reduce(values[start : start + FACTORS], axis=0))
    return total.reshape(len(ln_bias), len(sigma))
