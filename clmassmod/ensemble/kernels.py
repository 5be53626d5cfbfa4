"""Compiled ln likelihood of a population and its gradient, summed over haloes.

For a halo of mean m and scatter s about it, L = integral L(y) K((y - m) / s) dy / s on the lattice of its
tabulated likelihood; beyond the lattice L(y) is its edge value.

For Student's t all haloes of a call share the degrees of freedom nu, so that one table of the density f(r) =
(1 + r^2 / nu)^(-(nu + 1) / 2), of its derivative by nu and of the integrals of both from r to infinity serves
every node of every halo. Between nodes f is a cubic with the exact values and slopes at both ends (error
1e-8 of the peak), and the derivatives that are returned are those of this cubic, not of f: a sampler needs
a gradient that belongs to its density.

All is in one file, as numba's cache does not notice that a function of another file has changed. What a loop
over haloes calls is compiled into it: to hand ``packed`` over takes half as long as the sums of a halo.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from clmassmod.core.likelihoods import LN_FLOOR
from clmassmod.core.population import REACH, RESOLUTION, STUDENT_RESOLUTION
from clmassmod.ensemble.packed import Packed
from clmassmod.records import Array

RESOLUTIONS = {"normal": RESOLUTION, "mixture": RESOLUTION, "student": STUDENT_RESOLUTION}

_ANYWHERE = 1e6
_TINY = math.exp(LN_FLOOR)  # that a halo's likelihood counts as at least

_PER_STEP = 32.0
_R_STEP = 1.0 / _PER_STEP  # of the table of Student's t
_R_CELLS = 1280  # r up to 40; the few nodes beyond are computed
_TAIL_GROWTH = 1.06  # steps of the integral beyond
_TAIL_END = 1e4  # from where on f is a power of r to 1e-8
_NEGLIGIBLE = 1e-14
_PLATEAU = 1e-10  # of a likelihood's maximum, at an end of the lattice


@njit(cache=True, nogil=True, inline="always")
def _window(packed, i, s, low, high):  # type: ignore[no-untyped-def]  # pragma: no cover  compiled
    """Return the nodes of a halo's integral: stride, first one, number, and the first one's place in values.

    They are where the likelihood is not zero and y lies between low and high; every node where a plateau at
    an end of the lattice is among them, else as far apart as the narrower factor allows.
    """
    h = packed.step
    level = len(packed.strides) - 1
    allowed = min(s, packed.width[i]) / (RESOLUTION * h)
    if _reaches_end(packed, i, low, high):
        level = 0
    while level > 0 and packed.strides[level] > allowed:
        level -= 1
    stride = packed.strides[level]
    first_kept, last_kept, place = packed.place[level, i]
    first = max(first_kept, math.ceil((low - packed.first_y) / (h * stride)))
    last = min(last_kept, math.floor((high - packed.first_y) / (h * stride)))
    return stride, first, max(last - first + 1, 0), place + first - first_kept


@njit(cache=True, nogil=True, inline="always")
def _reaches_end(packed, i, low, high):  # type: ignore[no-untyped-def]  # pragma: no cover  compiled
    """Return whether an end of the lattice where the likelihood counts is one of a halo's nodes."""
    at_first = packed.edges[i, 0] > _PLATEAU and low <= packed.first_y
    end = packed.first_y + (packed.n_nodes - 1) * packed.step
    return at_first or (packed.edges[i, 1] > _PLATEAU and high >= end)


@njit(cache=True, nogil=True)
def _moments(like, k, nodes, r, step):  # type: ignore[no-untyped-def]  # pragma: no cover  compiled
    """Return the sums of L e, L e r and L e (r^2 - 1), e = exp(-r^2 / 2), over nodes from the k-th, at r, on.

    Exponentials by recurrence: two interleaved ones, as a processor works on both at once.
    """
    total, by_m, by_s, total_1, by_m_1, by_s_1 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    change = math.exp(-step * step)
    e, r_1, ratio = math.exp(-0.5 * r * r), r + step, math.exp(-step * (r + 0.5 * step))
    e_1, pair = e * ratio, ratio * ratio * change  # pair: from a node to the next but one
    pair_1, change_2 = pair * change * change, change**4
    for _ in range(nodes // 2):
        term, term_1 = like[k] * e, like[k + 1] * e_1
        total += term
        total_1 += term_1
        moment, moment_1 = term * r, term_1 * r_1
        by_m += moment
        by_m_1 += moment_1
        by_s += moment * r
        by_s_1 += moment_1 * r_1
        e *= pair
        e_1 *= pair_1
        pair *= change_2
        pair_1 *= change_2
        r += 2.0 * step
        r_1 += 2.0 * step
        k += 2
    if nodes % 2 == 1:
        term = like[k] * e
        total, by_m, by_s = total + term, by_m + term * r, by_s + term * r * r
    total += total_1
    return total, by_m + by_m_1, by_s + by_s_1 - total


@njit(cache=True, nogil=True, inline="always")
def _normal(packed, i, m, s):  # type: ignore[no-untyped-def]  # pragma: no cover  compiled
    """Return L of a halo and its derivatives by m and s for a normal kernel."""
    y0, h, n = packed.first_y, packed.step, packed.n_nodes
    stride, first, nodes, place = _window(packed, i, s, m - REACH * s, m + REACH * s)
    total, by_m, by_s = 0.0, 0.0, 0.0
    norm = 1.0 / (s * math.sqrt(2.0 * math.pi))
    step = stride * h
    if nodes > 0:
        total, by_m, by_s = _moments(packed.values, place, nodes, (y0 + first * step - m) / s, step / s)
        norm_h = norm * step
        total, by_m, by_s = total * norm_h, by_m * norm_h / s, by_s * norm_h / s
    for side in range(2):
        # beyond an end of the lattice L is its edge value; the node there counts by half
        sign, node = (-1.0, 0) if side == 0 else (1.0, n - 1)
        r = (y0 + node * h - m) / s
        if sign * r < REACH:
            edge = packed.edges[i, side]
            peak = norm * math.exp(-0.5 * r * r)
            there = nodes > 0 and (first == 0 if side == 0 else stride * (first + nodes - 1) == node)
            half = 0.5 * step * packed.values[place + side * (nodes - 1)] * peak if there else 0.0
            total += edge * 0.5 * math.erfc(sign * r / math.sqrt(2.0)) - half
            by_m += sign * edge * peak - half * r / s
            by_s += sign * edge * peak * r - half * (r * r - 1.0) / s
    return total, by_m, by_s


@njit(cache=True, nogil=True)
def _density(r, nu):  # type: ignore[no-untyped-def]  # pragma: no cover  compiled
    """Return f, df/dr, df/dnu and its derivative by r."""
    q = 1.0 + r * r / nu
    ln_q = math.log(q)
    f = math.exp(-0.5 * (nu + 1.0) * ln_q)
    pull = (nu + 1.0) * r / (nu * q)  # -d ln f / dr
    by_nu = 0.5 * (pull * r / nu - ln_q)  # d ln f / dnu
    by_nu_r = r * (1.0 - r * r) / (nu * q) ** 2  # and its derivative by r: r (1 - r^2) / (nu + r^2)^2
    return f, -f * pull, f * by_nu, f * (by_nu_r - pull * by_nu)


@njit(cache=True, nogil=True)
def _beyond(r, nu):  # type: ignore[no-untyped-def]  # pragma: no cover  compiled
    """Return the integrals of f and df/dnu from r above 0 to infinity: Simpson's rule in growing steps.

    Far out f = (r^2 / nu)^(-(nu + 1) / 2), whose integral is nu^((nu - 1) / 2) r^-nu.
    """
    total, by_nu, step = 0.0, 0.0, max(0.02 * r, _R_STEP)
    while r < _TAIL_END:
        for node in range(3):
            f, _, g, _ = _density(r + 0.5 * node * step, nu)
            weight = step * (4.0 if node == 1 else 1.0) / 6.0
            total += weight * f
            by_nu += weight * g
        r += step
        step *= _TAIL_GROWTH
    rest = math.exp(0.5 * (nu - 1.0) * math.log(nu) - nu * math.log(r))
    slope = rest * (0.5 * math.log(nu) + 0.5 * (nu - 1.0) / nu - math.log(r))
    return total + rest, by_nu + slope


@njit(cache=True, nogil=True)
def _student_table(nu):  # type: ignore[no-untyped-def]  # pragma: no cover  compiled
    """Return (cell, 10): coefficients of 1, t, t^2, t^3 of f and df/dnu; their integrals from the far end."""
    out = np.zeros((_R_CELLS, 10))
    total, total_nu = _beyond(_R_CELLS * _R_STEP, nu)
    f1, d1, g1, e1 = _density(_R_CELLS * _R_STEP, nu)
    for j in range(_R_CELLS - 1, -1, -1):
        f0, d0, g0, e0 = _density(j * _R_STEP, nu)
        row = out[j]
        row[8], row[9] = total, total_nu
        _cubic(row, 0, f0, _R_STEP * d0, f1, _R_STEP * d1)
        _cubic(row, 4, g0, _R_STEP * e0, g1, _R_STEP * e1)
        total += _R_STEP * (row[0] + row[1] / 2.0 + row[2] / 3.0 + row[3] / 4.0)
        total_nu += _R_STEP * (row[4] + row[5] / 2.0 + row[6] / 3.0 + row[7] / 4.0)
        f1, d1, g1, e1 = f0, d0, g0, e0
    return out


@njit(cache=True, nogil=True)
def _cubic(row, first, y0, d0, y1, d1):  # type: ignore[no-untyped-def]  # pragma: no cover  compiled
    row[first], row[first + 1] = y0, d0
    row[first + 2] = 3.0 * (y1 - y0) - 2.0 * d0 - d1
    row[first + 3] = d0 + d1 - 2.0 * (y1 - y0)


@njit(cache=True, nogil=True)
def _look_up(cells, r, nu):  # type: ignore[no-untyped-def]  # pragma: no cover  compiled
    """Return f, df/dr and df/dnu."""
    place = abs(r) * _PER_STEP
    j = int(place)
    if j >= _R_CELLS:
        f, d, g, _ = _density(r, nu)
        return f, d, g
    t = place - j
    c1, c2, c3 = cells[j, 1], cells[j, 2], cells[j, 3]
    f = cells[j, 0] + t * (c1 + t * (c2 + t * c3))
    d = (c1 + t * (2.0 * c2 + t * 3.0 * c3)) * _PER_STEP
    g = cells[j, 4] + t * (cells[j, 5] + t * (cells[j, 6] + t * cells[j, 7]))
    return f, (d if r >= 0.0 else -d), g


@njit(cache=True, nogil=True)
def _tail(cells, r, nu):  # type: ignore[no-untyped-def]  # pragma: no cover  compiled
    """Return the integrals of f and df/dnu from r, of either sign, to infinity."""
    a = abs(r)
    j = int(a / _R_STEP)
    if j >= _R_CELLS:
        above, above_nu = _beyond(a, nu)
    else:
        t = a / _R_STEP - j
        c = cells[j]
        above = c[8] + _R_STEP * _rest(c, 0, t)
        above_nu = c[9] + _R_STEP * _rest(c, 4, t)
    if r >= 0.0:
        return above, above_nu
    c = cells[0]
    half, half_nu = c[8] + _R_STEP * _rest(c, 0, 0.0), c[9] + _R_STEP * _rest(c, 4, 0.0)
    return 2.0 * half - above, 2.0 * half_nu - above_nu


@njit(cache=True, nogil=True)
def _rest(c, k, t):  # type: ignore[no-untyped-def]  # pragma: no cover  compiled
    """Return the integral of a cubic from t to 1."""
    whole = c[k] + c[k + 1] / 2.0 + c[k + 2] / 3.0 + c[k + 3] / 4.0
    return whole - t * (c[k] + t * (c[k + 1] / 2.0 + t * (c[k + 2] / 3.0 + t * c[k + 3] / 4.0)))


@njit(cache=True, nogil=True)
def _ln_norm(nu):  # type: ignore[no-untyped-def]  # pragma: no cover  compiled
    """Return ln of what f is multiplied by for a unit integral."""
    return math.lgamma(0.5 * (nu + 1.0)) - math.lgamma(0.5 * nu) - 0.5 * math.log(nu * math.pi)


@njit(cache=True, nogil=True)
def _ln_norm_slope(nu):  # type: ignore[no-untyped-def]  # pragma: no cover  compiled
    """Return its derivative by nu."""
    return (_ln_norm(nu * 1.0001) - _ln_norm(nu * 0.9999)) / (0.0002 * nu)


@njit(cache=True, nogil=True)
def _student(cells, nu, packed, i, m, s):  # type: ignore[no-untyped-def]  # pragma: no cover  compiled
    """Return the integral of L(y) f((y - m) / s) / s of a halo and its derivatives by m, s and nu."""
    # f has poles at r = +- i sqrt(nu): sums in steps h of r err by some exp(-2 pi sqrt(nu) / h), below 1e-5
    as_wide = s * min(RESOLUTION / (STUDENT_RESOLUTION * math.sqrt(2.0 / nu)), 1.0)
    stride, first, nodes, place = _window(packed, i, as_wide, -_ANYWHERE, _ANYWHERE)
    step = stride * packed.step
    total, by_m, by_s, by_nu = 0.0, 0.0, 0.0, 0.0
    start, inverse = (packed.first_y - m) / s, 1.0 / s
    for k in range(first, first + nodes):
        weight = packed.values[place + k - first]
        if k == 0 or k == packed.n_nodes - 1:
            weight *= 0.5
        r = start + k * step * inverse
        f, d, g = _look_up(cells, r, nu)
        total += weight * f
        by_m -= weight * d
        by_s -= weight * (d * r + f)
        by_nu += weight * g
    weight = step / s
    total, by_m, by_s, by_nu = total * weight, by_m * weight / s, by_s * weight / s, by_nu * weight
    for side in range(2):
        edge = packed.edges[i, side]
        if edge >= _NEGLIGIBLE:
            sign = -1.0 if side == 0 else 1.0
            r = start if side == 0 else start + (packed.n_nodes - 1) * packed.step * inverse
            above, above_nu = _tail(cells, sign * r, nu)
            f, _, _ = _look_up(cells, r, nu)
            total += edge * above
            by_m += edge * sign * f / s
            by_s += edge * sign * f * r / s
            by_nu += edge * above_nu
    return total, by_m, by_s, by_nu


def ln_likelihoods(
    kernel: str, packed: Packed, mean: Array, scatter: Array, extra: Array
) -> tuple[float, Array, Array, Array]:
    """Return the sum of ln L over haloes and its derivatives.

    Parameters
    ----------
    kernel : {"normal", "student", "mixture"}
    packed : Packed
        Likelihoods on a lattice.
    mean, scatter : array (halo,)
    extra : array (parameter,)
        student: nu; mixture: fraction, shift, ratio.

    Returns
    -------
    tuple
        Sum; derivatives by mean (halo,), by scatter (halo,), by extra (parameter,).
    """
    if kernel == "normal":
        return (*_normal_sum(packed, mean, scatter), np.zeros(0))
    if kernel == "student":
        total, by_mean, by_scatter, by_nu = _student_sum(packed, mean, scatter, extra[0])
        return total, by_mean, by_scatter, np.array([by_nu])
    return _mixture_sum(packed, mean, scatter, *extra)  # type: ignore[no-any-return]


@njit(cache=True, nogil=True)
def _normal_sum(packed, mean, scatter):  # type: ignore[no-untyped-def]  # pragma: no cover  compiled
    by_mean, by_scatter = np.empty(len(mean)), np.empty(len(mean))
    total = 0.0
    for i in range(len(mean)):
        value, a, b = _normal(packed, i, mean[i], scatter[i])
        if value < _TINY:
            value, a, b = _TINY, 0.0, 0.0
        total += math.log(value)
        by_mean[i], by_scatter[i] = a / value, b / value
    return total, by_mean, by_scatter


@njit(cache=True, nogil=True)
def _student_sum(packed, mean, scatter, nu):  # type: ignore[no-untyped-def]  # pragma: no cover  compiled
    n = len(mean)
    by_mean, by_scatter = np.empty(n), np.empty(n)
    total, by_nu = n * _ln_norm(nu), n * _ln_norm_slope(nu)
    cells = _student_table(nu)
    for i in range(n):
        value, a, b, c = _student(cells, nu, packed, i, mean[i], scatter[i])
        value = max(value, _TINY)
        total += math.log(value)
        by_mean[i], by_scatter[i] = a / value, b / value
        by_nu += c / value
    return total, by_mean, by_scatter, by_nu


@njit(cache=True, nogil=True)
def _mixture_sum(packed, mean, scatter, fraction, shift, ratio):  # type: ignore[no-untyped-def]  # pragma: no cover  compiled
    by_mean, by_scatter, by_extra = np.empty(len(mean)), np.empty(len(mean)), np.zeros(3)
    total = 0.0
    values, slopes = np.empty(2), np.empty((2, 2))  # of the two components
    for i in range(len(mean)):
        for k in range(2):
            m, s = mean[i] + k * shift, scatter[i] * (ratio if k == 1 else 1.0)
            values[k], slopes[k, 0], slopes[k, 1] = _normal(packed, i, m, s)
        value = (1.0 - fraction) * values[0] + fraction * values[1]
        if value < _TINY:
            total += LN_FLOOR
            by_mean[i], by_scatter[i] = 0.0, 0.0
            continue
        total += math.log(value)
        one, other = (1.0 - fraction) / value, fraction / value
        by_mean[i] = one * slopes[0, 0] + other * slopes[1, 0]
        by_scatter[i] = one * slopes[0, 1] + other * ratio * slopes[1, 1]
        by_extra[0] += (values[1] - values[0]) / value
        by_extra[1] += other * slopes[1, 0]
        by_extra[2] += other * slopes[1, 1] * scatter[i]
    return total, by_mean, by_scatter, by_extra
