"""Positions on the sphere relative to a centre."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from clmassmod.core.units import ARCMIN_RAD
from clmassmod.records import Array


def offsets_arcmin(
    ra_deg: ArrayLike, dec_deg: ArrayLike, ra0_deg: float, dec0_deg: float
) -> tuple[Array, Array]:
    """Return offsets from a centre towards east and north in arcmin, (source,).

    The length is the great-circle distance, exact at any distance; the direction is that of the great
    circle from the centre as it arrives *at the source*, so that components of shear given along the
    source's own east and north turn into exact tangential ones (Vincenty 1975 for the distance).
    """
    ra, dec = np.radians(np.asarray(ra_deg, dtype=float)), np.radians(np.asarray(dec_deg, dtype=float))
    ra0, dec0 = np.radians(ra0_deg), np.radians(dec0_deg)
    delta = ra - ra0
    sin_delta, cos_delta = np.sin(delta), np.cos(delta)
    sin_dec, cos_dec, sin0, cos0 = np.sin(dec), np.cos(dec), np.sin(dec0), np.cos(dec0)
    # the way on from the source, away from the centre, along the source's east and north
    east = cos0 * sin_delta
    north = np.sin(dec - dec0) - cos0 * sin_dec * 2.0 * np.sin(0.5 * delta) ** 2
    length = np.hypot(east, north)
    angle = np.arctan2(length, sin0 * sin_dec + cos0 * cos_dec * cos_delta)
    scale = np.divide(angle, length, out=np.ones_like(length), where=length > 0) / ARCMIN_RAD
    return east * scale, north * scale
