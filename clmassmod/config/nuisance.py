"""Nuisance parameters of a lens model and their priors, over which a fit is marginalised."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from clmassmod.config.base import Model


class ConcentrationPrior(Model):
    """Concentration of the single halo: scatter about the relation, or free in a range."""

    scatter: float | None = Field(
        None, gt=0, le=2, description="standard deviation of ln c about the relation"
    )
    range: tuple[float, float] | None = Field(
        None, description="lowest and highest c, flat in ln c in between"
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.scatter is None) == (self.range is None):
            raise ValueError("give either 'scatter' or 'range'")
        if self.range is not None and not 0.1 <= self.range[0] < self.range[1] <= 100:
            raise ValueError("range must increase and lie inside 0.1 to 100")
        return self


class MiscentringPrior(Model):
    """Offset between the assumed and the halo's own centre."""

    distribution: Literal["rayleigh", "gamma"] = Field("rayleigh", description="of the length of the offset")
    scale_mpc: float = Field(gt=0, le=5, description="its scale [Mpc]")
    fraction: float = Field(1.0, gt=0, le=1, description="share of haloes that are off centre at all")


class TwoHaloPrior(Model):
    """Amplitude of the two-halo term, in units of linear theory with the bias of the halo's mass."""

    mean: float = Field(1.0, description="of the normal prior")
    sd: float = Field(ge=0, description="0: fixed at the mean")


class ShearBiasPrior(Model):
    """Multiplicative bias m of the measured shear, g -> (1 + m) g."""

    mean: float = Field(0.0, gt=-1, lt=1, description="of the normal prior")
    sd: float = Field(ge=0, lt=1, description="0: fixed at the mean")


class Nuisance(Model):
    """What is marginalised over, beside the mass; keys that are left out are fixed."""

    concentration: ConcentrationPrior | None = None
    miscentring: MiscentringPrior | None = None
    two_halo: TwoHaloPrior | None = None
    shear_bias: ShearBiasPrior | None = None
