"""Source galaxies: redshifts, magnitudes, and what an observer makes of them."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from clmassmod.config.base import Model


def _table(pairs: list[tuple[float, float]]) -> list[tuple[float, float]]:
    if any(b[0] <= a[0] for a, b in pairwise(pairs)):
        raise ValueError("the first numbers of the pairs must increase")
    return pairs


Pairs = Annotated[list[tuple[float, float]], Field(min_length=1), AfterValidator(_table)]


class Sources(Model):
    """Redshift distribution of the source galaxies."""

    distribution: Literal["plane", "smail", "chang13", "desc_srd", "histogram"] = Field(
        "smail", description="plane: one redshift; smail: z^alpha exp(-(z/z0)^beta); published ones; a table"
    )
    z: float | None = Field(None, gt=0, description="redshift of all sources, for distribution 'plane'")
    median_z: float | None = Field(None, gt=0, description="median redshift, for 'smail'")
    alpha: float = Field(2.0, ge=0, description="low-redshift slope, for 'smail'")
    beta: float = Field(1.5, gt=0, description="cut-off exponent, for 'smail'")
    year: Literal["Y1", "Y10"] = Field("Y10", description="of the LSST survey, for 'desc_srd'")
    path: str | None = Field(None, description="table of 'histogram', with columns z_source and count")
    z_max: float = Field(6.0, gt=0, le=50, description="no source lies beyond")
    behind_lens: float | None = Field(
        None, ge=0, description="keep sources with (observed) z > z_lens + this alone; null: keep all"
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for distribution, key in (("plane", "z"), ("smail", "median_z"), ("histogram", "path")):
            if self.distribution == distribution and getattr(self, key) is None:
                raise ValueError(f"distribution {distribution!r} needs the key {key!r}")
        return self


class Magnitudes(Model):
    """Magnitudes of sources and what depends on them."""

    bright: float = Field(20.0, description="brightest magnitude")
    faint: float = Field(25.0, description="limit of the survey")
    slope: float = Field(0.3, ge=0, le=1, description="d log10 N / d magnitude")
    z_slope: float = Field(
        0.0, ge=-0.5, le=0.5, description="d ln z / d magnitude: fainter galaxies lie farther away"
    )
    shape_noise: Pairs | None = Field(
        None, description="pairs of magnitude and shape noise, linear between them"
    )
    shear_m: Pairs | None = Field(None, description="pairs of magnitude and multiplicative shear bias")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.bright < self.faint:
            raise ValueError(f"bright = {self.bright:g} must be less than faint = {self.faint:g}")
        return self


class PhotoZ(Model):
    """Photometric redshifts: what the observer takes for the sources' redshifts."""

    scatter: float = Field(0.0, ge=0, le=1, description="standard deviation of (z_phot - z) / (1 + z)")
    bias: float = Field(0.0, gt=-1, lt=1, description="mean of the same")
    outlier_fraction: float = Field(0.0, ge=0, le=1, description="of sources with a redshift from outlier_z")
    outlier_z: tuple[float, float] = Field(
        (0.0, 3.0), description="range of the outliers' redshifts, uniform"
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not 0 <= self.outlier_z[0] < self.outlier_z[1]:
            raise ValueError("outlier_z must be an increasing range from 0 or above")
        return self


class Clustering(Model):
    """Sources in groups (a Thomas process), as the sky has them."""

    fraction: float = Field(0.5, ge=0, le=1, description="of galaxies in groups")
    members: float = Field(5.0, gt=0, description="mean number in a group")
    size_arcmin: float = Field(
        0.5, gt=0, description="standard deviation of members about the group's middle"
    )
    same_redshift: bool = Field(True, description="members share the redshift of their group")


class Members(Model):
    """Cluster members among the sources: galaxies without shear that pass for background."""

    fraction: float = Field(gt=0, lt=20, description="members per background galaxy at the scale radius")
    scale_mpc: float = Field(1.0, gt=0, description="radius at which 'fraction' holds")
    shape: Literal["exponential", "isothermal"] = Field(
        "exponential", description="exp(1 - r / scale), or scale / r"
    )
    correct: bool = Field(
        False, description="multiply the shear by 1 + members per background galaxy, as observers do"
    )
    assumed_fraction: float | None = Field(
        None, ge=0, lt=20, description="that the correction takes; null: the true one"
    )


class Magnification(Model):
    """Lensing changes the number of galaxies above the limit by mu^(2.5 slope - 1)."""

    slope: float | None = Field(
        None, ge=0, le=3, description="d log10 N / d magnitude; null: that of magnitudes"
    )
    largest: float = Field(3.0, gt=1, le=100, description="no place gains more than this factor")


class NoiseProfile(Model):
    """Measured noise: rows of r [Mpc], g_t, sigma, g_x, sigma_x, <beta>, <beta^2>, magnitude bin."""

    path: str = Field(description="text file of the rows")
    bin_width_mpc: float = Field(0.1, gt=0, description="of the measured profile's bins")
    galaxies_per_bin: int = Field(
        200, ge=4, le=100_000, description="that the mock takes to sample the shear"
    )


class Conditions(Model):
    """A list of real clusters' observations: cluster, zcluster, ndensity, beta, core, coreindex, xi."""

    path: str = Field(description="text file; its first line, after #, names the columns")
    cluster: str | None = Field(
        None, description="observe all haloes as this one; null: as one drawn for each halo"
    )
    rescale_z: bool = Field(True, description="move haloes to the cluster's redshift")
