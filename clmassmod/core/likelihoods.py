"""Likelihoods of many haloes, tabulated in ln M, seen as functions of y = ln M - ln M_reference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rows = NDArray[np.intp]

_BLOCK = 4096  # haloes whose widths are found at once
_CACHED = 64  # haloes whose likelihoods are interpolated at once
_KEPT = 4_000_000  # values of one lattice that are kept
_LATTICES = 16

# Below a likelihood's maximum: in place of zero, a finite logarithm. So a halo whose likelihood is more than
# 12.6 standard deviations from all of a population counts as one that is so far away.
LN_FLOOR = -80.0


def _floor(ln_like: Array) -> Array:
    """Return ln L - max ln L (halo, mass), not below the floor; in place, for those of many haloes are large.

    At least one value of each must be finite, which ``HaloFit.from_likelihood`` sees to.
    """
    with np.errstate(invalid="ignore"):
        ln_like -= np.max(ln_like, axis=-1, keepdims=True)
        return np.maximum(ln_like, LN_FLOOR, out=ln_like)


class _Group:
    """Haloes whose likelihoods are tabulated at the same masses; the array is the group's own."""

    def __init__(self, rows: Rows, mass_msun: Array, ln_like: Array) -> None:
        self.rows = rows  # places in the table
        self.mass, self.ln_mass = mass_msun, np.log(mass_msun)
        self.ln_like = _floor(ln_like)
        steps, ln_steps = np.diff(mass_msun), np.diff(self.ln_mass)
        # A likelihood on a linear grid is smooth in M, whose first steps are coarse in ln M.
        self.linear = bool(np.ptp(steps) / steps.mean() < np.ptp(ln_steps) / ln_steps.mean())
        self.scale = float(mass_msun[0])
        self.node = mass_msun / self.scale if self.linear else self.ln_mass
        node_steps = np.diff(self.node)
        even = bool(np.ptp(node_steps) < 1e-9 * node_steps.mean())
        self.step = float(node_steps.mean()) if even else None

    def take(self, rows: Rows, places: Rows) -> _Group:
        """Return some of the haloes, at other places of another table; a view where they are neighbours."""
        part = copy(self)
        part.rows = rows
        neighbours = len(places) > 0 and bool(np.all(np.diff(places) == 1))
        part.ln_like = self.ln_like[places[0] : places[-1] + 1] if neighbours else self.ln_like[places]
        return part

    def widths(self) -> Array:
        """Return the integral of L / max L over ln M by sqrt(2 pi), (halo,): the sd of a normal one."""
        blocks = range(0, len(self.ln_like), _BLOCK)
        return np.concatenate([self._widths(self.ln_like[i : i + _BLOCK]) for i in blocks])

    def _widths(self, ln_like: Array) -> Array:
        like = np.exp(ln_like)
        area = 0.5 * (like[:, 1:] + like[:, :-1]) @ np.diff(self.ln_mass)
        # A likelihood between two nodes is not resolved better than they are apart.
        peak = np.clip(np.argmax(like, axis=1), 1, len(self.ln_mass) - 1)
        return np.asarray(np.maximum(area / np.sqrt(2 * np.pi), 0.5 * np.diff(self.ln_mass)[peak - 1]))

    def evaluate(self, y: Array, reference: Array, out: Array) -> None:
        """Put ln L (halo, y) at ln masses y + reference into the group's rows of a table's array.

        Beyond the edges it is the edge value. A few haloes at a time, whose temporaries the cache holds.
        """
        for i in range(0, len(self.rows), _CACHED):
            rows = self.rows[i : i + _CACHED]
            out[rows] = self._evaluate(y[rows] + reference[rows, None], self.ln_like[i : i + _CACHED])

    def _evaluate(self, ln_mass: Array, ln_like: Array) -> Array:
        x = np.clip(ln_mass, self.ln_mass[0], self.ln_mass[-1])
        if self.linear:
            x = np.exp(x) / self.scale
        left, weights, share = self._stencil(x)
        flat = ln_like.ravel()
        place = left + (np.arange(len(ln_like)) * len(self.node))[:, None]
        first = np.clip(left - 1, 0, len(self.node) - 4) - left
        place_first = place + first
        f = [flat.take(place_first + k) for k in range(4)]
        out = f[0] * weights[0] + f[1] * weights[1] + f[2] * weights[2] + f[3] * weights[3]
        # The corner where a likelihood meets its floor would make the cubic overshoot.
        cornered = np.minimum(np.minimum(f[0], f[1]), np.minimum(f[2], f[3])) <= LN_FLOOR
        low, high = flat.take(place[cornered]), flat.take(place[cornered] + 1)
        out[cornered] = low + (high - low) * share[cornered]
        return np.clip(out, LN_FLOOR, 1.0, out=out)

    def _stencil(self, x: Array) -> tuple[Rows, list[Array], Array]:
        """Return the node left of x, the weights of the four nodes about x, and (x - left) / step."""
        node, n = self.node, len(self.node)
        if self.step is not None:
            position = (x - node[0]) / self.step
            left = np.clip(position.astype(np.intp), 0, n - 2)
            t = position - np.clip(left - 1, 0, n - 4)
            a, b, c, d = t, t - 1, t - 2, t - 3
            bc, ad = b * c, a * d
            return left, [bc * d / -6, ad * c / 2, ad * b / -2, a * bc / 6], position - left
        left = np.clip(np.searchsorted(node, x, side="right") - 1, 0, n - 2)
        first = np.clip(left - 1, 0, n - 4)
        at = [node[first + k] for k in range(4)]
        weights = []
        for k in range(4):
            others = [at[j] for j in range(4) if j != k]
            numerator = (x - others[0]) * (x - others[1]) * (x - others[2])
            weights.append(numerator / ((at[k] - others[0]) * (at[k] - others[1]) * (at[k] - others[2])))
        return left, weights, (x - node[left]) / (node[left + 1] - node[left])


class LikelihoodTable:
    """Likelihoods L(y) / max L of haloes, y = ln M - ln M_reference; max L the largest that is stored.

    Between the stored masses ln L is interpolated by cubics through four nodes, in ln M, or in M for a
    grid that is linear in M. Beyond the stored masses the edge value goes on: exact towards M = 0, where
    the lensing signal and so the likelihood become constant; on the other side the value is the floor
    for any halo whose data exclude such a mass.

    Parameters
    ----------
    curves : sequence of (mass_msun, ln_like)
        One pair of arrays (mass,) a halo; masses increase and are positive, at least 4 of them.
    ln_mass_reference : array (halo,)
        ln of the true mass, or one pivot for all.
    """

    def __init__(self, curves: Sequence[tuple[Array, Array]], ln_mass_reference: Array) -> None:
        self.reference = np.asarray(ln_mass_reference, dtype=float)
        by_grid: dict[bytes, list[int]] = {}
        for i, (mass, _) in enumerate(curves):
            by_grid.setdefault(np.ascontiguousarray(mass, dtype=float).tobytes(), []).append(i)
        self._tabulated: dict[float, Array] = {}
        self._groups = []
        for rows in by_grid.values():
            mass = np.asarray(curves[rows[0]][0], dtype=float)
            self._groups.append(
                _Group(np.array(rows), mass, np.array([curves[i][1] for i in rows], dtype=float))
            )
        n = len(curves)
        self.width, self.y_lo, self.y_hi = np.empty(n), np.empty(n), np.empty(n)
        self.at_lo, self.at_hi, self.peak = np.empty(n), np.empty(n), np.empty(n)
        self._group_of, self._place_of = np.empty(n, dtype=int), np.empty(n, dtype=int)
        for number, group in enumerate(self._groups):
            places = group.rows
            self._group_of[places], self._place_of[places] = number, np.arange(len(places))
            self.width[places] = group.widths()
            self.y_lo[places] = group.ln_mass[0] - self.reference[places]
            self.y_hi[places] = group.ln_mass[-1] - self.reference[places]
            self.peak[places] = group.ln_mass[np.argmax(group.ln_like, axis=1)] - self.reference[places]
            self.at_lo[places], self.at_hi[places] = np.exp(group.ln_like[:, 0]), np.exp(group.ln_like[:, -1])

    def __len__(self) -> int:
        """Return the number of haloes."""
        return len(self.reference)

    def ln_like(self, y: Array) -> Array:
        """Return ln(L / max L) (halo, y) at y (y,) common to all or (halo, y)."""
        y = np.broadcast_to(y, (len(self), np.shape(y)[-1]))
        out = np.empty(y.shape)
        for group in self._groups:
            group.evaluate(y, self.reference, out)
        return out

    def __call__(self, y: Array) -> Array:
        """Return L / max L (halo, y)."""
        found = self.ln_like(y)
        return np.asarray(np.exp(found, out=found))

    def lattice(self, step: float, low: float, high: float) -> tuple[Array, Array | None]:
        """Return nodes y (y,) at multiples of a step from low to high, and L / max L (halo, y) there.

        The step is the largest of a fixed series that is not above ``step``, so that repeated calls find
        what was tabulated before; too many haloes to keep in memory get None.
        """
        step = 2.0 ** (0.5 * math.floor(2.0 * math.log2(step)))
        first, last = int(np.floor(low / step)), int(np.ceil(high / step))
        y = step * np.arange(first, last + 1, dtype=float)
        start = int(np.floor(float(self.y_lo.min()) / step))
        stop = int(np.ceil(float(self.y_hi.max()) / step))
        if len(self) * (stop - start) > _KEPT or first < start or last > stop:
            return y, None
        if step not in self._tabulated:
            if len(self._tabulated) >= _LATTICES:
                self._tabulated.pop(next(iter(self._tabulated)))
            self._tabulated[step] = self(step * np.arange(start, stop + 1, dtype=float))
        return y, self._tabulated[step][:, first - start : last - start + 1]

    def take(self, rows: Rows) -> LikelihoodTable:
        """Return the table of the haloes ``rows`` (index,)."""
        part = copy(self)
        part._tabulated, part._groups = {}, []
        for name in ("reference", "width", "y_lo", "y_hi", "at_lo", "at_hi", "peak"):
            setattr(part, name, getattr(self, name)[rows])
        group_of, place_of = self._group_of[rows], self._place_of[rows]
        part._group_of, part._place_of = np.empty_like(group_of), np.empty_like(place_of)
        for number in np.unique(group_of):
            inside = np.flatnonzero(group_of == number)
            part._group_of[inside], part._place_of[inside] = len(part._groups), np.arange(len(inside))
            part._groups.append(self._groups[number].take(inside, place_of[inside]))
        return part
