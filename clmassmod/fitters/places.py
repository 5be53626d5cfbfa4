"""Likelihoods at more places of a parameter than the models that they are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clmassmod.core.interpolate import SIX, lagrange
from clmassmod.records import Array

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Places:
    """Weights that lead from equally spaced nodes of a parameter to places between them, (node, place).

    ``smooth`` are polynomials through several nodes. Where a model is strongly lensed
    (``fitters.observables``) its changes have kinks, and ln L, which is far below its maximum there, may
    overshoot it: polynomials end before such nodes, and ``straight`` lines go on. Just before, ln L may
    plunge: ``bounded`` polynomials do not exceed their two nodes by more than 2, and twice as much as a
    parabola with the least second difference of both nodes and the one before.
    """

    position: Array  # (place,) in steps of the nodes
    left: NDArray[np.intp]  # (place,): the node before
    smooth: Array
    straight: Array
    bounded: bool

    @classmethod
    def at(cls, position: Array, n: int, points: int = SIX, *, bounded: bool) -> Places:
        """Return the weights at positions (place,) in steps of n nodes, from so many neighbours."""
        smooth = np.ascontiguousarray(lagrange(position, n, points)[1].T)
        near = 1.0 - np.abs(position - np.arange(n)[:, np.newaxis])
        left = np.minimum(position.astype(np.intp), n - 2)
        return cls(position, left, smooth, np.maximum(near, 0.0), bounded)

    def edges(self, strong: Flags) -> Edges | None:
        """Return where polynomials end, of rows (..., node) with strongly lensed nodes; None: none is.

        They are the nodes from some one on: concentration and mass both make shears larger.
        """
        flagged = strong.any(axis=-1)
        if not flagged.any():
            return None
        n = strong.shape[-1]
        weak = np.where(flagged, strong.argmax(axis=-1), n)
        weak[weak < SIX] = 0
        beyond = self.position > weak[..., np.newaxis] - 1
        first = int(np.searchsorted(self.position, weak.min() - 1, side="right"))
        flat = weak.ravel()
        rows = np.flatnonzero((flat > 0) & (flat < n))
        start = n * rows[:, np.newaxis] + flat[rows, np.newaxis]
        chosen = np.flatnonzero(flat[rows, np.newaxis] + _BEYOND < n)
        after = (start + _BEYOND).ravel()[chosen]
        return Edges(beyond, slice(first, None), start + _BEFORE, after, chosen)

    def of(self, values: Array, edges: Edges | None) -> Array:
        """Return values (..., place) from those at the nodes (..., node)."""
        if edges is None:
            return np.asarray(values @ self.smooth)
        found = np.asarray(edges.continued(values) @ self.smooth)
        if self.bounded:
            np.minimum(found, _bounds(values).take(self.left, axis=-1), out=found)
        some = edges.places
        np.copyto(found[..., some], values @ self.straight[:, some], where=edges.beyond[..., some])
        return found


def _bounds(values: Array) -> Array:
    """Return what values between two nodes are not above, (..., interval)."""
    bend = values[..., 2:] - 2.0 * values[..., 1:-1]
    bend += values[..., :-2]
    found = np.empty((*values.shape[:-1], values.shape[-1] - 1))
    found[..., 0], found[..., 1:] = bend[..., 0], bend
    np.maximum(found[..., :-1], bend, out=found[..., :-1])
    np.maximum(found[..., 2:], bend[..., :-1], out=found[..., 2:])
    np.minimum(found, 0.0, out=found)
    found *= -0.25
    found += np.maximum(values[..., :-1], values[..., 1:])
    found += _LITTLE
    return found


class Edges(NamedTuple):
    """Where the polynomials of rows (...) end, each at a first strongly lensed node."""

    beyond: Flags  # (..., place): past the last node before it
    places: slice  # from the first such place on
    before: NDArray[np.intp]  # (row, 6): indices of the last weak nodes of rows that have so many
    after: NDArray[np.intp]  # of the nodes that follow
    chosen: NDArray[np.intp]  # of their values among those of all rows

    def continued(self, values: Array) -> Array:
        """Return values (..., node) in which the polynomial of the last six weak nodes goes on beyond them.

        So that polynomials through nodes on both sides of the last weak one are that one.
        """
        flat = values.flatten()
        flat[self.after] = (flat[self.before] @ _CONTINUE).take(self.chosen)
        return flat.reshape(values.shape)


_LITTLE = 2.0  # in ln L: what does not make a maximum of a place far below it
_BEFORE, _BEYOND = np.arange(-SIX, 0), np.arange(5)  # as many as polynomials through twelve nodes reach
_CONTINUE = lagrange(SIX + _BEYOND.astype(float), SIX)[1].T
