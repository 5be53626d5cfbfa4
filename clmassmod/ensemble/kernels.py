"""Compiled ln likelihood of a population and its gradient, summed over haloes.

For a halo of mean m and scatter s about it, L = integral L(y) K((y - m) / s) dy / s on the lattice of its
tabulated likelihood; beyond the lattice L(y) is its edge value.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

NORMAL, STUDENT, MIXTURE = 0, 1, 2
KINDS = {"normal": NORMAL, "student": STUDENT, "mixture": MIXTURE}

RESOLUTION = {"normal": 1.2, "mixture": 1.2, "student": 2.0}  # nodes a standard deviation
_NORMAL_RESOLUTION, _STUDENT_RESOLUTION = 1.2, 2.0

_REACH = 9.0  # sigmas to which a normal kernel is followed
_TAIL_GROWTH = 1.06  # steps of the tail of Student's t, beyond the lattice
_TAIL_END = 3000.0
_NEGLIGIBLE = 1e-14
_ANYWHERE = 1e6


@njit(cache=True, nogil=True)
def _window(lattice, support, width, s, resolution, low, high):  # type: ignore[no-untyped-def]  # pragma: no cover  compiled
    """Return first, last and stride of the nodes that an integral needs.

    They are where the likelihood is not zero and y lies between low and high; every node where an end of
    the lattice is among them, else as far apart as the narrower factor allows.
    """
    y0, h, n = lattice
    first = max(support[0], math.ceil((low - y0) / h))
    last = min(support[1], math.floor((high - y0) / h))
    if first <= 0 or last >= n - 1:
        return max(first, 0), min(last, n - 1), 1
    return first, last, max(1, int(min(s, width) / (resolution * h)))


@njit(cache=True, nogil=True)
def _normal(like, lattice, support, width, edges, m, s):  # type: ignore[no-untyped-def]  # pragma: no cover  compiled
    """Return L and its derivatives by m and s for a normal kernel; exponentials by recurrence."""
    y0, h, n = lattice
    first, last, stride = _window(
        lattice, support, width, s, _NORMAL_RESOLUTION, m - _REACH * s, m + _REACH * s
    )
    total, by_m, by_s = 0.0, 0.0, 0.0
    norm = 1.0 / (s * math.sqrt(2.0 * math.pi))
    if last >= first:
        r, step = (y0 + first * h - m) / s, stride * h / s
        value, ratio, change = (
            math.exp(-0.5 * r * r),
            math.exp(-step * (r + 0.5 * step)),
            math.exp(-step * step),
        )
        for k in range(first, last + 1, stride):
            term = like[k] * value
            if k == 0 or k == n - 1:
                term *= 0.5
            total += term
            by_m += term * r
            by_s += term * (r * r - 1.0)
            value *= ratio
            ratio *= change
            r += step
        norm_h = norm * h * stride
        total, by_m, by_s = total * norm_h, by_m * norm_h / s, by_s * norm_h / s
    r_low, r_high = (y0 - m) / s, (y0 + (n - 1) * h - m) / s
    if r_low > -_REACH:
        peak = norm * math.exp(-0.5 * r_low * r_low)
        total += edges[0] * 0.5 * math.erfc(-r_low / math.sqrt(2.0))
        by_m -= edges[0] * peak
        by_s -= edges[0] * peak * r_low
    if r_high < _REACH:
        peak = norm * math.exp(-0.5 * r_high * r_high)
        total += edges[1] * 0.5 * math.erfc(r_high / math.sqrt(2.0))
        by_m += edges[1] * peak
        by_s += edges[1] * peak * r_high
    return total, by_m, by_s


@njit(cache=True, nogil=True)
def _ln_norm(nu):  # type: ignore[no-untyped-def]  # pragma: no cover  compiled
    return math.lgamma(0.5 * (nu + 1.0)) - math.lgamma(0.5 * nu) - 0.5 * math.log(nu * math.pi)


@njit(cache=True, nogil=True)
def _add_student(out, weight, r, nu):  # type: ignore[no-untyped-def]  # pragma: no cover  compiled
    """Add weight times Student's t (without its norm) and its derivatives by m, s and nu."""
    q = 1.0 + r * r / nu
    ln_q = math.log(q)
    term = weight * math.exp(-0.5 * (nu + 1.0) * ln_q)
    pull = (nu + 1.0) * r / (nu * q)
    out[0] += term
    out[1] += term * pull
    out[2] += term * (pull * r - 1.0)
    out[3] += term * 0.5 * (pull * r / nu - ln_q)


@njit(cache=True, nogil=True)
def _student(like, lattice, support, width, edges, m, s, nu):  # type: ignore[no-untyped-def]  # pragma: no cover  compiled
    """Return L and its derivatives by m, s and nu for Student's t."""
    y0, h, n = lattice
    norm = math.exp(_ln_norm(nu)) / s
    slope_norm = (_ln_norm(nu * 1.0001) - _ln_norm(nu * 0.9999)) / (0.0002 * nu)
    first, last, stride = _window(lattice, support, width, s, _STUDENT_RESOLUTION, -_ANYWHERE, _ANYWHERE)
    out = np.zeros(4)
    for k in range(first, last + 1, stride):
        weight = like[k] * h * stride
        if k == 0 or k == n - 1:
            weight *= 0.5
        _add_student(out, weight, (y0 + k * h - m) / s, nu)
    for side in range(2):
        if edges[side] < _NEGLIGIBLE:
            continue
        start = y0 if side == 0 else y0 + (n - 1) * h
        step = 0.3 * max(s, h)
        while step < _TAIL_END * s:
            end = start - step if side == 0 else start + step
            for node in range(3):  # Simpson's rule in each step
                weight = edges[side] * step * (4.0 if node == 1 else 1.0) / 6.0
                _add_student(out, weight, (start + 0.5 * node * (end - start) - m) / s, nu)
            start = end
            step *= _TAIL_GROWTH
    return norm * out[0], norm * out[1] / s, norm * out[2] / s, norm * (out[3] + slope_norm * out[0])


@njit(cache=True, nogil=True)
def ln_likelihoods(kind, like, lattice, support, width, edges, mean, scatter, extra):  # type: ignore[no-untyped-def]  # pragma: no cover  compiled
    """Return the sum of ln L over haloes and its derivatives.

    Parameters
    ----------
    kind : int
        NORMAL, STUDENT (extra: nu) or MIXTURE (extra: fraction, shift, ratio).
    like : array (halo, y)
        L / max L on the lattice.
    lattice : (float, float, int)
        First y, step and number of nodes.
    support : array (halo, 2)
        First and last node at which L is not negligible.
    width : array (halo,)
        Of each likelihood in y.
    edges : array (halo, 2)
        L / max L below and above the lattice.
    mean, scatter : array (halo,)
    extra : array (3,)

    Returns
    -------
    tuple
        Sum; derivatives by mean (halo,), by scatter (halo,), by extra (3,).
    """
    n = like.shape[0]
    by_mean, by_scatter, by_extra = np.zeros(n), np.zeros(n), np.zeros(3)
    total = 0.0
    for i in range(n):
        m, s = mean[i], scatter[i]
        if kind == STUDENT:
            value, a, b, c = _student(like[i], lattice, support[i], width[i], edges[i], m, s, extra[0])
            by_extra[0] += c / max(value, 1e-300)
        else:
            value, a, b = _normal(like[i], lattice, support[i], width[i], edges[i], m, s)
        if kind == MIXTURE:
            w, ratio = extra[0], extra[2]
            other, c, d = _normal(like[i], lattice, support[i], width[i], edges[i], m + extra[1], s * ratio)
            mixed = max((1.0 - w) * value + w * other, 1e-300)
            by_extra[0] += (other - value) / mixed
            by_extra[1] += w * c / mixed
            by_extra[2] += w * d * s / mixed
            value, a, b = mixed, (1.0 - w) * a + w * c, (1.0 - w) * b + w * ratio * d
        value = max(value, 1e-300)
        total += math.log(value)
        by_mean[i], by_scatter[i] = a / value, b / value
    return total, by_mean, by_scatter, by_extra
