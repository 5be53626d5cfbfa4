"""Likelihoods at more places of a parameter than the models that they are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clmassmod.core.interpolate import lagrange
from clmassmod.records import Array

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Places:
    """Weights that lead from equally spaced nodes of a parameter to places between them, (place, node).

    ``smooth`` takes six nodes; where a model is strongly lensed (``fitters.observables``) its changes have
    kinks, and what is smooth elsewhere may overshoot by more than ln L falls: ``straight`` lines cannot.
    """

    smooth: Array
    straight: Array

    @classmethod
    def at(cls, position: Array, n: int) -> Places:
        """Return the weights at positions (place,) in steps of n nodes."""
        near = 1.0 - np.abs(position[:, np.newaxis] - np.arange(n))
        return cls(lagrange(position, n)[1], np.maximum(near, 0.0))

    def beside(self, strong: Flags) -> tuple[slice, Flags] | None:
        """Return the masses from the first that has a strongly lensed node, and which places are beside one.

        Parameters
        ----------
        strong : array (node, mass)
        """
        if not strong.any():
            return None
        masses = slice(int(strong.any(axis=0).argmax()), None)
        return masses, (self.smooth != 0).astype(float) @ strong[:, masses] > 0.0

    def of(self, values: Array, beside: tuple[slice, Flags] | None) -> Array:
        """Return values (place, mass) from those at nodes (node, mass)."""
        found = self.smooth @ values
        if beside is not None:
            masses, flags = beside
            np.copyto(found[:, masses], self.straight @ values[:, masses], where=flags)
        return found
