"""Shapes on the sky: which positions are observed. Angles are arcmin, position angles degrees from x to y."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Mask = NDArray[np.bool_]


def circle(x: ArrayLike, y: ArrayLike, radius: float, inner_radius: float = 0.0) -> Mask:
    """Return which positions lie within a circle or annulus about the origin."""
    r2 = np.square(x) + np.square(y)
    mask = r2 <= radius**2
    return np.asarray(mask & (r2 >= inner_radius**2) if inner_radius > 0 else mask)


def rectangle(x: ArrayLike, y: ArrayLike, width: float, height: float, angle_deg: float = 0.0) -> Mask:
    """Return which positions lie within a rectangle about the origin, its width at an angle to x."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if angle_deg:
        cosine, sine = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
        x, y = x * cosine + y * sine, y * cosine - x * sine
    return np.asarray((np.abs(x) <= 0.5 * width) & (np.abs(y) <= 0.5 * height))


def polygon(x: ArrayLike, y: ArrayLike, vertices: ArrayLike) -> Mask:
    """Return which positions lie within a closed polygon, by the even-odd rule.

    Parameters
    ----------
    x, y
        Positions, (source,).
    vertices
        Corners in order, (corner, 2); the last is joined to the first. Sides may cross.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    corners = np.asarray(vertices, dtype=float)
    inside = np.zeros(x.shape, dtype=bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        crosses = (y0 > y) != (y1 > y)
        inside ^= crosses & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return inside


def discs(x: ArrayLike, y: ArrayLike, x0: ArrayLike, y0: ArrayLike, radius: ArrayLike) -> Mask:
    """Return which positions lie within any of several circles, (source,)."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    inside = np.zeros(x.shape, dtype=bool)
    for a, b, r in zip(np.asarray(x0), np.asarray(y0), np.asarray(radius), strict=True):
        near = np.abs(x - a) <= r
        inside[near] |= np.square(x[near] - a) + np.square(y[near] - b) <= r * r
    return inside
