"""The part of the sky that a survey observes, and what it leaves out."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from clmassmod.config.base import Model

Shape = Literal[
    "circle",
    "annulus",
    "square",
    "rectangle",
    "polygon",
    "stars",
    "acs",
    "acs_mosaic",
    "wfc3",
    "megacam",
    "lsst",
]

_NEEDS: dict[str, tuple[str, ...]] = {
    "circle": ("radius_arcmin",),
    "annulus": ("radius_arcmin",),
    "square": ("width_arcmin",),
    "rectangle": ("width_arcmin", "height_arcmin"),
    "polygon": ("vertices_arcmin",),
    "stars": ("density_per_arcmin2",),
}


class Footprint(Model):
    """One shape about the assumed centre; several in a list are applied in their order."""

    shape: Shape = Field(
        "circle",
        description="acs: 3.2' square; acs_mosaic: two by two of it; wfc3: 2.56' square at 45 deg; "
        "megacam: 25' square; lsst: circle of 1.75 deg; stars: circles at random places",
    )
    action: Literal["add", "remove", "keep"] = Field(
        "add",
        description="add to what the shapes before observe, remove from it, or keep what is inside alone",
    )
    radius_arcmin: float | None = Field(None, gt=0, description="outer radius of circle, annulus")
    inner_radius_arcmin: float = Field(0.0, ge=0, description="inner radius of an annulus")
    width_arcmin: float | None = Field(None, gt=0, description="side of a square, width of a rectangle")
    height_arcmin: float | None = Field(None, gt=0, description="height of a rectangle")
    vertices_arcmin: list[tuple[float, float]] | None = Field(
        None, min_length=3, description="corners of a polygon"
    )
    angle_deg: float = Field(0.0, description="position angle, from x to y")
    offset_arcmin: tuple[float, float] = Field(
        (0.0, 0.0), description="the shape's middle from the assumed centre"
    )
    random_offset_arcmin: float = Field(
        0.0, ge=0, description="a further offset in a random direction, for each halo"
    )
    random_angle: bool = Field(False, description="turn shape and offset by a random angle, for each halo")
    density_per_arcmin2: float | None = Field(None, gt=0, le=100, description="of stars")
    star_radius_arcmin: tuple[float, float] = Field(
        (0.1, 0.5), description="radii of stars' holes, uniform between"
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for key in _NEEDS.get(self.shape, ()):
            if getattr(self, key) is None:
                raise ValueError(f"shape {self.shape!r} needs the key {key!r}")
        if self.shape == "annulus" and not self.inner_radius_arcmin < (self.radius_arcmin or 0.0):
            raise ValueError("inner_radius_arcmin must be less than radius_arcmin")
        if self.shape == "stars" and self.action != "remove":
            raise ValueError("shape 'stars' makes holes: give action: remove")
        low, high = self.star_radius_arcmin
        if not 0 < low <= high:
            raise ValueError(f"star_radius_arcmin: {low:g} to {high:g} is not a range above 0")
        return self
