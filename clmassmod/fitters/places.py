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

    ``smooth`` are polynomials through several nodes; where a model is strongly lensed
    (``fitters.observables``) its changes have kinks, and what is smooth elsewhere may overshoot by more than
    ln L falls: ``straight`` lines cannot.
    """

    smooth: Array
    straight: Array
    touched: Array  # 1 where a node is one of those of ``smooth``

    @classmethod
    def at(cls, position: Array, n: int, points: int = SIX) -> Places:
        """Return the weights at positions (place,) in steps of n nodes, from so many neighbours."""
        near = 1.0 - np.abs(position - np.arange(n)[:, np.newaxis])
        smooth = np.ascontiguousarray(lagrange(position, n, points)[1].T)
        return cls(smooth, np.maximum(near, 0.0), (smooth != 0.0).astype(float))

    def beside(self, strong: Flags, axis: int = -1) -> Beside:
        """Return the places that have a strongly lensed node among theirs; ``axis`` is that of the nodes."""
        flags = _along(axis, strong.astype(float), self.touched) > 0.0
        of_mass = flags.reshape(-1, flags.shape[-1]).any(axis=0)
        return Beside(slice(int(of_mass.argmax()), None), flags)

    def of(self, values: Array, beside: Beside | None, axis: int = -1) -> Array:
        """Return values at the places from those at the nodes, along the last ``axis`` or the one before."""
        found = _along(axis, values, self.smooth)
        if beside is not None:
            some = beside.columns
            straight = values @ self.straight[:, some] if axis == -1 else self.straight.T @ values[..., some]
            np.copyto(found[..., some], straight, where=beside.flags[..., some])
        return found


class Beside(NamedTuple):
    """Places with a strongly lensed node, (..., mass), and the masses that have any."""

    columns: slice
    flags: Flags


def _along(axis: int, values: Array, weights: Array) -> Array:
    return np.asarray(values @ weights if axis == -1 else weights.T @ values)
