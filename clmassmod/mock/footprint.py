"""What a survey observes about the assumed centre of one halo, random parts drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from clmassmod.config.footprint import Footprint
from clmassmod.core import footprints
from clmassmod.core.footprints import Mask
from clmassmod.records import Array

_SQUARES = {"acs": (3.2, 0.0), "acs_mosaic": (6.4, 0.0), "wfc3": (2.56, 45.0), "megacam": (25.0, 0.0)}
_CIRCLES = {"lsst": 105.0}


@dataclass(frozen=True)
class _Placed:
    """One shape with the offset and angle that it has for this halo."""

    shape: Footprint
    x: float
    y: float
    angle_deg: float
    stars: tuple[Array, Array, Array] | None = None

    @property
    def reach(self) -> float:
        """Distance from the assumed centre that the shape reaches."""
        s, offset = self.shape, float(np.hypot(self.x, self.y))
        if s.shape in _CIRCLES:
            return offset + _CIRCLES[s.shape]
        if s.shape in _SQUARES:
            return offset + _SQUARES[s.shape][0] * math.sqrt(0.5)
        if s.shape in ("circle", "annulus"):
            return offset + (s.radius_arcmin or 0.0)
        if s.shape == "polygon":
            return offset + float(np.max(np.hypot(*np.asarray(s.vertices_arcmin).T)))
        width, height = _sides(s)
        return offset + 0.5 * float(np.hypot(width, height))

    def contains(self, x: Array, y: Array) -> Mask:
        """Return which positions lie inside, (source,)."""
        s = self.shape
        if self.x or self.y:
            x, y = x - self.x, y - self.y
        if self.stars is not None:
            return footprints.discs(x, y, *self.stars)
        if s.shape in _CIRCLES:
            return footprints.circle(x, y, _CIRCLES[s.shape])
        if s.shape in ("circle", "annulus"):
            inner = s.inner_radius_arcmin if s.shape == "annulus" else 0.0
            return footprints.circle(x, y, s.radius_arcmin or 0.0, inner)
        if s.shape == "polygon":
            a = np.radians(self.angle_deg)
            turned = np.asarray(s.vertices_arcmin) @ [[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]]
            return footprints.polygon(x, y, turned)
        width, height = _sides(s)
        own_angle = _SQUARES[s.shape][1] if s.shape in _SQUARES else 0.0
        return footprints.rectangle(x, y, width, height, self.angle_deg + own_angle)


def _sides(shape: Footprint) -> tuple[float, float]:
    if shape.shape in _SQUARES:
        return (_SQUARES[shape.shape][0],) * 2
    width = shape.width_arcmin or 0.0
    return width, width if shape.shape == "square" else shape.height_arcmin or 0.0


@dataclass(frozen=True)
class Region:
    """The observed part of the sky, arcmin about the assumed centre."""

    parts: tuple[_Placed, ...]
    half_arcmin: float = field(default=0.0)

    def contains(self, x_arcmin: Array, y_arcmin: Array) -> Mask:
        """Return which positions are observed, (source,)."""
        inside = self.parts[0].contains(x_arcmin, y_arcmin)
        for part in self.parts[1:]:
            own = part.contains(x_arcmin, y_arcmin)
            action = part.shape.action
            inside = inside | own if action == "add" else inside & own if action == "keep" else inside & ~own
        return inside


def draw_region(shapes: list[Footprint], rng: np.random.Generator) -> Region:
    """Return the region of one halo; random offsets, angles and stars are drawn shape by shape."""
    parts = []
    half = 0.0
    for shape in shapes:
        x, y, angle = *shape.offset_arcmin, shape.angle_deg
        if shape.random_angle:
            turn = 2.0 * np.pi * rng.random()
            x, y = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
            angle += float(np.degrees(turn))
        if shape.random_offset_arcmin > 0:
            direction = 2.0 * np.pi * rng.random()
            x += shape.random_offset_arcmin * np.cos(direction)
            y += shape.random_offset_arcmin * np.sin(direction)
        stars = _draw_stars(shape, half, rng) if shape.shape == "stars" else None
        parts.append(_Placed(shape, float(x), float(y), angle, stars))
        if shape.action == "add":
            half = max(half, float(parts[-1].reach))
    return Region(tuple(parts), half)


def _draw_stars(shape: Footprint, half: float, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    low, high = shape.star_radius_arcmin
    side = 2.0 * (half + high)
    number = int(rng.poisson((shape.density_per_arcmin2 or 0.0) * side**2))
    x, y = side * (rng.random((2, number)) - 0.5)
    return x, y, rng.uniform(low, high, number)
