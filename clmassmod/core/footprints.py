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
