"""Find where a density of two parameters lives, and tabulate it there."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LnDensity = Callable[[Array, Array], Array]

DEPTH = 18.0  # ln of density below the peak beyond which nothing is kept: 6 standard deviations


class Box(NamedTuple):
    """Range of the two parameters."""

    x: tuple[float, float]
    y: tuple[float, float]


class Tabulated(NamedTuple):
    """A density on a grid; ``ln_density`` is (x, y) or (x, y, further)."""

    x: Array
    y: Array
    ln_density: Array


def tabulate(ln_density: LnDensity, prior: Box, coarse: tuple[int, int], fine: tuple[int, int]) -> Tabulated:
    """Return the density on a grid of ``fine`` nodes over the part of ``prior`` that holds the mass.

    Parameters
    ----------
    ln_density : callable (x,), (y,) -> (x, y) or (x, y, further)
        A further axis is kept in the result, and its largest value guides the search.
    prior : Box
        The density is zero outside.
    coarse, fine : (int, int)
        Nodes along x and y while searching, and of the result.
    """
    box = prior
    for _ in range(16):
        found = _shrink(_evaluate(ln_density, box, coarse), box, prior)
        shares = [_length(new) / _length(old) for new, old in zip(found, box, strict=True)]
        moved = any(new[0] < old[0] or new[1] > old[1] for new, old in zip(found, box, strict=True))
        box = found
        if not moved and min(shares) > 0.6:
            break
    return _evaluate(ln_density, box, fine)


def _length(ends: tuple[float, float]) -> float:
    return ends[1] - ends[0]


def _evaluate(ln_density: LnDensity, box: Box, nodes: tuple[int, int]) -> Tabulated:
    x, y = np.linspace(*box.x, nodes[0]), np.linspace(*box.y, nodes[1])
    return Tabulated(x, y, ln_density(x, y))


def _shrink(table: Tabulated, box: Box, prior: Box) -> Box:
    """Return the bounding box of what is not negligible, one cell wider; it may also grow."""
    values = table.ln_density
    if values.ndim == 3:
        values = values.max(axis=2)
    kept = values > values.max() - DEPTH
    ends = []
    for axis, (nodes, limits, old) in enumerate(zip((table.x, table.y), prior, box, strict=True)):
        inside = np.flatnonzero(kept.any(axis=1 - axis))
        cell = nodes[1] - nodes[0]
        low, high = nodes[inside[0]] - cell, nodes[inside[-1]] + cell
        # A box that cuts the density grows: its edge was drawn on a grid too coarse to see it.
        if inside[0] == 0 and old[0] > limits[0]:
            low = old[0] - 0.5 * _length(old)
        if inside[-1] == len(nodes) - 1 and old[1] < limits[1]:
            high = old[1] + 0.5 * _length(old)
        ends.append((max(float(low), limits[0]), min(float(high), limits[1])))
    return Box(ends[0], ends[1])
