"""Masses at which likelihoods are stored, and the coarser nodes at which models are computed."""

from __future__ import annotations

import math

import numpy as np

from clmassmod.core.interpolate import lagrange, scalar_stencil
from clmassmod.records import Array

FACTOR = 3
MASS_GRID_MSUN: Array = np.geomspace(1e12, 2e16, 400)
NODES_MSUN: Array = MASS_GRID_MSUN[::FACTOR].copy()  # (134,), the last one included
_LN_LOWEST, _LN_STEP = math.log(NODES_MSUN[0]), math.log(NODES_MSUN[1] / NODES_MSUN[0])

for _array in (MASS_GRID_MSUN, NODES_MSUN):
    _array.setflags(write=False)


# from the nodes to all masses, (node, mass)
_TO_MASS_GRID = np.ascontiguousarray(lagrange(np.arange(len(MASS_GRID_MSUN)) / FACTOR, len(NODES_MSUN))[1].T)


def to_mass_grid(values: Array) -> Array:
    """Interpolate ln L (134,) at ``NODES_MSUN`` to ``MASS_GRID_MSUN``, (400,).

    Sixth order in steps of 0.074 in ln M: the error of ln L is below 1e-5 within 6 standard deviations of
    the maximum for a signal-to-noise ratio of 30.
    """
    return np.asarray(values @ _TO_MASS_GRID)


def place_of(mass_msun: float) -> tuple[slice, Array]:
    """Return four neighbouring ``NODES_MSUN`` and their interpolation weights (4,) at one mass.

    Beyond the nodes it is the place of the edge.
    """
    ln_mass = math.log(max(mass_msun, 1.0))
    first, weights = scalar_stencil(ln_mass, _LN_LOWEST, _LN_STEP, len(NODES_MSUN))
    return slice(first, first + 4), np.array(weights)
