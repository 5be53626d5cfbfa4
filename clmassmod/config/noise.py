"""Noise of a profile beside the shape noise of its galaxies."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from clmassmod.config.base import Model
from clmassmod.config.sources import Pairs, Sources


class ProfileScatter(Model):
    """Scatter of haloes' profiles about the model, as a covariance that does not depend on the fit."""

    fraction: float = Field(gt=0, le=2, description="standard deviation in units of the reference profile")
    mass_msun: float = Field(
        2e14, gt=1e12, lt=1e16, description="mass of the reference profile, in the primary definition [Msun]"
    )
    correlation_ln_r: float = Field(
        0.0, ge=0, le=100, description="length in ln r over which bins scatter alike; 0: independently"
    )


class Noise(Model):
    """What is added to error^2 in every fitter's likelihood; nothing by default."""

    large_scale_structure: bool = Field(
        False, description="covariance of uncorrelated structure along the line of sight"
    )
    sources: Sources | None = Field(
        None,
        description="their redshifts, which it is computed for; null: a plane at the profile's own beta_s, "
        "whose noise is 10 to 16 % less than that of a broad distribution with this mean",
    )
    profile_scatter: ProfileScatter | None = None
    error_factor: Pairs | None = Field(
        None,
        description="pairs of lens redshift and factor of the profiles' errors, linear between them and "
        "constant beyond; for tables whose one shape noise does not hold at every redshift",
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.sources is not None and not self.large_scale_structure:
            raise ValueError("sources belong to large_scale_structure: true, which is not asked for")
        if self.error_factor is not None and any(factor <= 0 for _, factor in self.error_factor):
            raise ValueError("error_factor: factors must be above 0")
        return self
