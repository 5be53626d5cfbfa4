"""Positions of galaxies in a survey's footprint, about the assumed centre."""

from __future__ import annotations

import math

import numpy as np

from clmassmod.config.survey import Footprint
from clmassmod.core import footprints
from clmassmod.records import Array


def half_size_arcmin(footprint: Footprint) -> float:
    """Return the half side of a square about the centre that holds the footprint."""
    if footprint.shape in ("circle", "annulus"):
        return float(footprint.radius_arcmin or 0.0)
    width = float(footprint.width_arcmin or 0.0)
    if footprint.shape == "square" and footprint.angle_deg == 0:
        return 0.5 * width
    height = width if footprint.shape == "square" else float(footprint.height_arcmin or 0.0)
    return 0.5 * math.hypot(width, height)


def contains(footprint: Footprint, x_arcmin: Array, y_arcmin: Array) -> footprints.Mask:
    """Return which positions the survey observes, (source,)."""
    if footprint.shape in ("circle", "annulus"):
        inner = footprint.inner_radius_arcmin if footprint.shape == "annulus" else 0.0
        return footprints.circle(x_arcmin, y_arcmin, footprint.radius_arcmin or 0.0, inner)
    width = footprint.width_arcmin or 0.0
    height = width if footprint.shape == "square" else footprint.height_arcmin or 0.0
    return footprints.rectangle(x_arcmin, y_arcmin, width, height, footprint.angle_deg)


def draw_positions(footprint: Footprint, density: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return positions in arcmin of a Poisson number of galaxies of this density per arcmin2, (source,)."""
    half = half_size_arcmin(footprint)
    number = int(rng.poisson(density * (2.0 * half) ** 2))
    x, y = half * (2.0 * rng.random((2, number)) - 1.0)
    keep = contains(footprint, x, y)
    return x[keep], y[keep]
