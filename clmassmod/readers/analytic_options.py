"""Options of reader `analytic`: the population, and what its haloes look like."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from clmassmod.config import Model
from clmassmod.config.values import MassDefinition, PositiveInterval
from clmassmod.readers.halo_list import ListColumns
from clmassmod.registry import PROFILES


class Triaxial(Model):
    """Shapes of haloes."""

    distribution: Literal["jing_suto02", "fixed"] = Field(
        "jing_suto02", description="measured by Jing & Suto 2002"
    )
    axis_ratios: tuple[float, float] | None = Field(
        None, description="intermediate and minor over major axis, for 'fixed'"
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.distribution == "fixed":
            if self.axis_ratios is None:
                raise ValueError("distribution 'fixed' needs the key 'axis_ratios'")
            if not 0 < self.axis_ratios[1] <= self.axis_ratios[0] <= 1:
                raise ValueError("axis_ratios must satisfy 0 < minor <= intermediate <= 1")
        return self


class Subhaloes(Model):
    """Part of the halo's mass in subhaloes."""

    fraction: float = Field(0.1, gt=0, le=0.5, description="of the mass, on average")
    smallest: float = Field(3e-3, ge=1e-4, lt=0.1, description="mass of the smallest one over the halo's")
    largest: float = Field(
        0.2, ge=0.1, le=0.5, description="mass of the largest one; larger ones are mergers"
    )


class LineOfSight(Model):
    """Structure along the line of sight that has nothing to do with the halo, a Gaussian random field."""

    z_source: float = Field(1.0, gt=0, description="redshift whose sources see the field's power spectrum")
    size_arcmin: float = Field(128.0, gt=1, le=1000, description="side of the square, which repeats beyond")
    pixel_arcmin: float = Field(0.25, gt=0.01, le=5, description="side of the random field's pixels")


class Baryons(Model):
    """Gas, stars and relaxed dark matter instead of gravity-only haloes.

    Schneider et al. 2019 (JCAP 03, 020). The true mass stays that of the gravity-only halo, a truncated
    NFW profile.
    """

    gravity_only: bool = Field(
        False, description="the truncated halo before the correction, which the other is compared with"
    )
    m_c_msun_h: float = Field(6.6e13, gt=0, description="haloes of this mass have lost part of their gas")
    mu: float = Field(0.21, ge=0, description="how the slope of the gas depends on mass")
    theta_ej: float = Field(4.0, gt=0, description="reach of ejected gas, in virial radii")
    theta_co: float = Field(0.1, gt=0, description="core of the gas, in virial radii")
    a_star: float = Field(0.09, ge=0, description="fraction of stars at m_star")
    m_star_msun_h: float = Field(2.5e11, gt=0, description="mass at which stars have the fraction a_star")
    eta: float = Field(0.32, ge=0, description="slope of the fraction of all stars with mass")
    eta_cga: float = Field(0.6, ge=0, description="slope of that of the central galaxy")


class AnalyticOptions(Model):
    """The population, and what its haloes look like."""

    n_halos: int = Field(
        100, ge=1, le=10_000_000, description="number of haloes; not with a list (simulation.path)"
    )
    z: float | PositiveInterval = Field(0.25, description="redshift, or a range in which it is uniform")
    mass_msun: PositiveInterval = Field((1e14, 2e15), description="range of true masses")
    mass_function: str = Field(
        "tinker08", description="'flat' in ln M, or a mass function that colossus knows"
    )
    mass_definition: MassDefinition = "200c"
    profile: str = Field("nfw", description="name of a density profile, or path/to/file.py:function")
    parameters: dict[str, Any] = Field(default_factory=dict, description="the profile's own parameters")
    concentration: str | float = Field(
        "diemer19", description="relation, number, table, or path/to/file.py:function"
    )
    concentration_scatter: float = Field(
        0.0, ge=0, le=2, description="standard deviation of ln c about the relation"
    )
    projections: int = Field(
        1, ge=1, le=1000, description="lines of sight to each halo, in random directions"
    )
    triaxial: Triaxial | None = None
    subhaloes: Subhaloes | None = None
    two_halo: bool = Field(False, description="add the correlated matter round the halo, by linear theory")
    line_of_sight: LineOfSight | None = None
    baryons: Baryons | None = None
    columns: ListColumns = ListColumns()

    @model_validator(mode="after")
    def _known(self) -> Self:
        PROFILES.check(self.profile)
        if not isinstance(self.z, tuple) and not 0 < self.z < 20:
            raise ValueError(f"z: {self.z:g} is not a redshift of a lens")
        if self.baryons is not None and (self.profile != "nfw" or self.parameters):
            raise ValueError("baryons: the correction replaces profile 'nfw' without parameters alone")
        if self.baryons is not None and self.mass_definition != "200c":
            raise ValueError("baryons: the correction takes masses of the definition 200c")
        return self
