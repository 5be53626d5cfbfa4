"""What a mock survey is: sources, noise, footprint, centre."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from clmassmod.config.base import Model
from clmassmod.registry import CENTRES


class Sources(Model):
    """Redshift distribution of the source galaxies."""

    distribution: Literal["plane", "smail", "chang13", "desc_srd"] = Field(
        "smail", description="plane: one redshift; smail: z^alpha exp(-(z/z0)^beta); published ones"
    )
    z: float | None = Field(None, gt=0, description="redshift of all sources, for distribution 'plane'")
    median_z: float | None = Field(None, gt=0, description="median redshift, for 'smail'")
    alpha: float = Field(2.0, ge=0, description="low-redshift slope, for 'smail'")
    beta: float = Field(1.5, gt=0, description="cut-off exponent, for 'smail'")
    year: Literal["Y1", "Y10"] = Field("Y10", description="of the LSST survey, for 'desc_srd'")
    z_max: float = Field(6.0, gt=0, le=50, description="no source lies beyond")
    behind_lens: float | None = Field(
        None, ge=0, description="keep sources with z > z_lens + this alone; null: keep all"
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.distribution == "plane" and self.z is None:
            raise ValueError("distribution 'plane' needs the key 'z'")
        if self.distribution == "smail" and self.median_z is None:
            raise ValueError("distribution 'smail' needs the key 'median_z'")
        return self


class Footprint(Model):
    """Part of the sky that is observed, about the assumed centre."""

    shape: Literal["circle", "annulus", "square", "rectangle"] = "circle"
    radius_arcmin: float | None = Field(None, gt=0, description="outer radius of circle and annulus")
    inner_radius_arcmin: float = Field(0.0, ge=0, description="inner radius of an annulus")
    width_arcmin: float | None = Field(None, gt=0, description="side of a square, width of a rectangle")
    height_arcmin: float | None = Field(None, gt=0, description="height of a rectangle")
    angle_deg: float = Field(0.0, description="position angle of a rectangle, from x to y")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needed = {
            "circle": ["radius_arcmin"],
            "annulus": ["radius_arcmin"],
            "square": ["width_arcmin"],
            "rectangle": ["width_arcmin", "height_arcmin"],
        }[self.shape]
        for key in needed:
            if getattr(self, key) is None:
                raise ValueError(f"shape {self.shape!r} needs the key {key!r}")
        if self.shape == "annulus" and not self.inner_radius_arcmin < (self.radius_arcmin or 0.0):
            raise ValueError("inner_radius_arcmin must be less than radius_arcmin")
        return self


class Centre(Model):
    """Offset of the assumed centre from the true one."""

    model: str = Field("none", description="name of a centre model, or path/to/file.py:function")
    parameters: dict[str, Any] = Field(default_factory=dict, description="the model's own parameters")

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.model != "none":
            CENTRES.check(self.model)
        return self


class Survey(Model):
    """A mock survey: maps become catalogues of source galaxies."""

    density_per_arcmin2: float = Field(gt=0, le=1000, description="source galaxies per square arcminute")
    shape_noise: float = Field(ge=0, le=1, description="standard deviation of one ellipticity component")
    sources: Sources
    footprint: Footprint
    centre: Centre = Centre()
    error_shape_noise: float | None = Field(
        None,
        gt=0,
        le=1,
        description="that the errors are computed from, for mocks without noise; null: shape_noise",
    )
    shear_m: float = Field(0.0, gt=-1, lt=1, description="multiplicative shear bias put into the mock")
    shear_c: tuple[float, float] = Field((0.0, 0.0), description="additive shear bias put into the mock")
