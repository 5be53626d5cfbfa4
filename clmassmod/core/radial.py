"""Tangential and cross components, radial bins and means in them."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clmassmod.errors import ConfigError
from clmassmod.records import Array

Spacing = Literal["linear", "log", "equal_count"]


def tangential_cross(e1: ArrayLike, e2: ArrayLike, x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    """Return tangential and cross components about the origin, (source,).

    e_t = -(e1 cos 2phi + e2 sin 2phi), positive round a mass; e_x = e1 sin 2phi - e2 cos 2phi
    (Bartelmann & Schneider 2001, Phys. Rep. 340, 291, sec. 4.2). A galaxy at the origin gives zero.

    Examples
    --------
    A galaxy on the y axis that is elongated along x lies tangentially:

    >>> e_t, e_x = tangential_cross([0.1], [0.0], [0.0], [1.0])
    >>> print(f"{e_t[0]:.2f} {abs(e_x[0]):.2f}")
    0.10 0.00
    """
    e1, e2 = np.asarray(e1, dtype=float), np.asarray(e2, dtype=float)
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    r2 = x * x + y * y
    inverse = np.divide(1.0, r2, out=np.zeros_like(r2), where=r2 > 0)
    cosine, sine = (x * x - y * y) * inverse, 2.0 * x * y * inverse
    return -(e1 * cosine + e2 * sine), e1 * sine - e2 * cosine


def bin_edges(
    radius_range: tuple[float, float], n_bins: int, spacing: Spacing = "linear", radius: Array | None = None
) -> Array:
    """Return n_bins + 1 edges between the ends of ``radius_range``, in its units.

    Parameters
    ----------
    radius_range
        Inner and outer edge.
    n_bins
        Number of bins.
    spacing
        Equal widths, equal widths of the logarithm, or equal numbers of the given radii.
    radius
        Radii of the galaxies, (source,), for ``equal_count``; those out of range do not count.

    Raises
    ------
    ConfigError
        For a range that is not increasing and positive, or an unknown spacing.
    """
    low, high = radius_range
    if not 0 <= low < high or (spacing == "log" and low == 0):
        raise ConfigError(f"radial range {low:g} to {high:g} is not increasing and positive")
    if n_bins < 1:
        raise ConfigError(f"{n_bins} radial bins: at least one is needed")
    if spacing == "linear":
        return np.linspace(low, high, n_bins + 1)
    if spacing == "log":
        return np.geomspace(low, high, n_bins + 1)
    if spacing != "equal_count":
        raise ConfigError(f"spacing {spacing!r} of radial bins is not linear, log or equal_count")
    if radius is None:
        raise ConfigError("spacing 'equal_count' needs the galaxies' radii")
    used = np.sort(radius[(radius >= low) & (radius <= high)])
    if used.size < n_bins:
        return np.linspace(low, high, n_bins + 1)  # too few to divide: the bins stay, mostly empty
    inner = np.interp(np.arange(1, n_bins) * (used.size / n_bins) - 0.5, np.arange(used.size), used)
    return np.concatenate([[low], inner, [high]])


def edges_within(edges: ArrayLike, radius_range: tuple[float, float]) -> Array:
    """Return those of the given edges that lie in a range, both ends included.

    Raises
    ------
    ConfigError
        For fewer than two.
    """
    low, high = radius_range
    given = np.asarray(edges, dtype=float)
    inside = given[(given >= low) & (given <= high)]
    if inside.size < 2:
        raise ConfigError(
            f"radial_bins.edges_mpc: fewer than two edges lie inside radius_mpc, {low:g} to {high:g} Mpc"
        )
    return inside


def assign(radius: Array, edges: Array) -> NDArray[np.intp]:
    """Return each radius's bin, (source,); -1 outside. The outermost edge belongs to the last bin."""
    index = np.searchsorted(edges, radius, side="right") - 1
    n_bins = edges.size - 1
    index[radius == edges[-1]] = n_bins - 1
    index[(index >= n_bins) | (index < 0)] = -1
    return np.asarray(index, dtype=np.intp)


def bin_sums(index: NDArray[np.intp], n_bins: int, *values: Array) -> Array:
    """Return the sum of each array of ``values`` (source,) in each bin, (value, bin)."""
    return np.stack([np.bincount(index, weights=value, minlength=n_bins) for value in values])
