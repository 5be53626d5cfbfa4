"""Surface density from particles on a grid of pixels."""

from __future__ import annotations

from typing import Literal

import numpy as np

from clmassmod.errors import ConfigError
from clmassmod.records import Array

Assignment = Literal["ngp", "cic", "tsc"]


def _weights(position: Array, assignment: Assignment) -> tuple[np.ndarray, list[Array]]:
    """Return the first pixel that a particle touches and its share in that and the following ones."""
    if assignment == "ngp":
        return np.floor(position + 0.5).astype(np.intp), [np.ones_like(position)]
    if assignment == "cic":
        first = np.floor(position).astype(np.intp)
        t = position - first
        return first, [1.0 - t, t]
    if assignment == "tsc":
        nearest = np.floor(position + 0.5).astype(np.intp)
        t = position - nearest
        return nearest - 1, [0.5 * (0.5 - t) ** 2, 0.75 - t * t, 0.5 * (0.5 + t) ** 2]
    raise ConfigError(f"assignment {assignment!r} is not ngp, cic or tsc")


def surface_density(
    x_mpc: Array,
    y_mpc: Array,
    mass_msun: Array | float,
    n_pixels: int,
    pixel_mpc: float,
    assignment: Assignment = "cic",
) -> Array:
    """Return the surface density of particles in Msun / Mpc2, (y, x).

    Hockney & Eastwood 1988, Computer Simulation Using Particles, sec. 5-2: nearest grid point,
    cloud-in-cell and triangular-shaped cloud.

    Parameters
    ----------
    x_mpc, y_mpc
        Positions from the middle of the map, (particle,); those outside do not count.
    mass_msun
        Mass of each particle, (particle,), or of all.
    n_pixels
        Pixels along each side.
    pixel_mpc
        Side of a pixel.
    assignment
        How a particle's mass is shared between pixels.
    """
    middle = 0.5 * (n_pixels - 1)
    x0, share_x = _weights(np.asarray(x_mpc, dtype=float) / pixel_mpc + middle, assignment)
    y0, share_y = _weights(np.asarray(y_mpc, dtype=float) / pixel_mpc + middle, assignment)
    mass = np.broadcast_to(np.asarray(mass_msun, dtype=float), x0.shape)
    total = np.zeros(n_pixels * n_pixels)
    for j, w_y in enumerate(share_y):
        for i, w_x in enumerate(share_x):
            column, row = x0 + i, y0 + j
            inside = (column >= 0) & (column < n_pixels) & (row >= 0) & (row < n_pixels)
            flat = row[inside] * n_pixels + column[inside]
            total += np.bincount(flat, weights=(mass * w_x * w_y)[inside], minlength=total.size)
    return np.asarray(total.reshape(n_pixels, n_pixels) / pixel_mpc**2)
