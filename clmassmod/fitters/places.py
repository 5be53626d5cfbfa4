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
    overshoot it: polynomials end before such nodes, and ``straight`` lines go on.
    """

    position: Array  # (place,) in steps of the nodes
    smooth: Array
    straight: Array

    @classmethod
    def at(cls, position: Array, n: int, points: int = SIX) -> Places:
        """Return the weights at positions (place,) in steps of n nodes, from so many neighbours."""
        smooth = np.ascontiguousarray(lagrange(position, n, points)[1].T)
        near = 1.0 - np.abs(position - np.arange(n)[:, np.newaxis])
        return cls(position, smooth, np.maximum(near, 0.0))

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
        start = (n * rows + flat[rows])[:, np.newaxis]
        chosen = np.flatnonzero(flat[rows, np.newaxis] + _BEYOND < n)
        put = (start + _BEYOND).ravel()[chosen]
        return Edges(beyond, slice(first, None), start + _BEFORE, put, chosen)

    def of(self, values: Array, edges: Edges | None) -> Array:
        """Return values (..., place) from those at the nodes (..., node)."""
        if edges is None:
            return np.asarray(values @ self.smooth)
        found = np.asarray(edges.continued(values) @ self.smooth)
        some = edges.places
        np.copyto(found[..., some], values @ self.straight[:, some], where=edges.beyond[..., some])
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


_BEFORE, _BEYOND = np.arange(-SIX, 0), np.arange(5)  # as many as polynomials through twelve nodes reach
_CONTINUE = lagrange(SIX + _BEYOND.astype(float), SIX)[1].T
