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


def locate(ln_density: LnDensity, prior: Box, nodes: tuple[int, int], start: Box | None = None) -> Box:
    """Return the part of ``prior`` that holds the mass of a density with one region of interest.

    Parameters
    ----------
    ln_density : callable (x,), (y,) -> (x, y) or (x, y, further)
        The largest value along a further axis guides the search.
    prior : Box
        The density is zero outside.
    nodes : (int, int)
        Along x and y, of each of the grids on which it is searched.
    start : Box, optional
        Where to look first; the box moves and grows as the density asks.
    """
    box = prior if start is None else start
    for _ in range(20):
        found = _bounding(evaluate(ln_density, box, nodes), box, prior)
        shares = [_length(new) / _length(old) for new, old in zip(found, box, strict=True)]
        moved = any(new[0] < old[0] or new[1] > old[1] for new, old in zip(found, box, strict=True))
        box = found
        if not moved and min(shares) > 0.6:
            break
    return box


def evaluate(ln_density: LnDensity, box: Box, nodes: tuple[int, int]) -> Tabulated:
    """Return the density on an equally spaced grid over a box."""
    x, y = np.linspace(*box.x, nodes[0]), np.linspace(*box.y, nodes[1])
    return Tabulated(x, y, ln_density(x, y))


def widened(box: Box, factor: float, prior: Box) -> Box:
    """Return a box ``factor`` times as wide about the same centre, inside ``prior``."""
    ends = []
    for (low, high), limits in zip(box, prior, strict=True):
        middle, half = 0.5 * (low + high), 0.5 * factor * (high - low)
        ends.append((max(middle - half, limits[0]), min(middle + half, limits[1])))
    return Box(ends[0], ends[1])


def _length(ends: tuple[float, float]) -> float:
    return ends[1] - ends[0]


def _bounding(table: Tabulated, box: Box, prior: Box) -> Box:
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
