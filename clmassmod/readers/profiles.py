"""Reader `profiles`: measured profiles of excess surface density or reduced shear, one a halo."""

from __future__ import annotations

from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from clmassmod.config import Model
from clmassmod.cosmology import Cosmology, angular_diameter_distance_mpc
from clmassmod.errors import ReaderError
from clmassmod.readers.common import CommonOptions, check_cosmology, make_halos, need_path
from clmassmod.readers.profile_folder import FILE_ID, open_folder, read_redshifts, redshift_file
from clmassmod.readers.profile_table import ProfileTable
from clmassmod.readers.table import open_table
from clmassmod.records import Array, HaloInfo, ShearProfile
from clmassmod.tables import Tables


class Columns(Model):
    """Names of columns; a number may stand for a column where one value holds for all."""

    halo_id: str | None = Field("halo_id", description="null: one halo a file, its name is the identifier")
    z: str | float = Field("z", description="redshift of the lens")
    radius: str = Field("radius", description="of the bin")
    value: str = Field("ds_t", description="excess surface density or reduced tangential shear")
    cross: str | None = Field(None, description="the same of the component at 45 degrees")
    weight: str | None = Field(
        None, description="sum of weights: the variance is shape_noise^2 / weight; 0: no galaxy"
    )
    error: str | None = Field(None, description="standard deviation by shape noise")
    n_gal: str | None = Field(None, description="number of galaxies; 0: the bin is empty")
    beta_s: str | float | None = Field(None, description="mean of beta / beta(infinity)")
    beta_s2: str | float | None = Field(None, description="mean of its square; null: beta_s squared")
    beta: str | float | None = Field(None, description="mean of D_ls / D_s, instead of beta_s")
    beta2: str | float | None = Field(None, description="mean of the square of beta; null: beta squared")
    z_source: str | float | None = Field(None, description="redshift of a source plane, instead of beta_s")
    parent_id: str | None = Field(None, description="of what the row is a projection of")

    @model_validator(mode="after")
    def _one_error(self) -> Self:
        if (self.weight is None) == (self.error is None):
            raise ValueError("give either 'weight' or 'error'")
        if sum(v is not None for v in (self.beta_s, self.beta, self.z_source)) > 1:
            raise ValueError("give one of 'beta_s', 'beta' and 'z_source'")
        return self


class Units(Model):
    """Units that the file does not state, or states wrongly; such as 'h Msun / pc2', 'Mpc/h comoving'."""

    radius: str | None = Field(None, description="of the radius")
    value: str | None = Field(None, description="of value, cross and error")
    weight: str | None = Field(None, description="of the weight")


class ProfilesOptions(CommonOptions):
    """What the table holds."""

    observable: Literal["delta_sigma", "g_t"] = Field(
        "delta_sigma", description="excess surface density, or reduced tangential shear"
    )
    columns: Columns = Columns(cross="ds_x", weight="w")
    units: Units = Units()
    group: str | None = Field(None, description="HDF5 group, or FITS extension")
    shape_noise: float | None = Field(
        None,
        gt=0,
        description="of one component, with 'weight'; null: estimated from the cross components of all rows",
    )
    extra: list[str] = Field(default_factory=list, description="columns with observables of haloes")
    source_redshifts: str | None = Field(
        None,
        pattern=r"\{halo_id\}",
        description="file beside the profiles with columns z_source and count, such as '{halo_id}_nz.csv'",
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        c = self.columns
        if c.weight is not None and self.shape_noise is None and c.cross is None:
            raise ValueError(
                "with columns.weight give columns.cross or shape_noise, which the errors come from"
            )
        given = (c.beta_s, c.beta, c.z_source, self.source_redshifts)
        if self.observable == "g_t" and all(v is None for v in given):
            raise ValueError(
                "observable 'g_t' needs columns.beta_s, columns.beta or columns.z_source, or source_redshifts"
            )
        return self


class Reader:
    """Profiles of one table: a row a halo with columns (row, bin), or a row a bin."""

    kind = "profile"
    Options = ProfilesOptions

    def __init__(self, path: Path | None, options: ProfilesOptions, cosmology: Cosmology, seed: int) -> None:  # noqa: ARG002
        self.path = need_path(path, "profiles")
        self.options = options
        self.cosmology = cosmology

    @cached_property
    def profiles(self) -> ProfileTable:
        """The open table."""
        options = self.options
        if self.path.is_dir() or options.columns.halo_id is None:
            table = open_folder(self.path, options)
            columns = options.columns.model_copy(update={"halo_id": FILE_ID})
            options = options.model_copy(update={"columns": columns})
        else:
            table = open_table(self.path, options.group)
        if options.check_cosmology:
            check_cosmology(table.attributes, self.cosmology, self.path)
        distance = partial(angular_diameter_distance_mpc, self.cosmology, 0.0)
        return ProfileTable(table, options, self.cosmology.h, distance)

    def halos(self) -> list[HaloInfo]:
        """Return all haloes in the file's order; the whole table is checked.

        Raises
        ------
        ReaderError
            Names file, column and halo of a value that is missing, NaN or negative.
        """
        profiles = self.profiles
        options = self.options
        halos = make_halos(
            self.path,
            profiles.ids,
            profiles.by_halo(options.columns.z, "simulation.options.columns.z"),
            profiles.parents,
            {name: profiles.by_halo(name, "simulation.options.extra") for name in options.extra},
        )
        profiles.check()
        return halos

    def prepare(self) -> dict[str, Array]:
        """Return the shape noise of one component where the errors come from weights."""
        if self.options.columns.weight is None:
            return {}
        if self.options.shape_noise is not None:
            return {"shape_noise": np.array(self.options.shape_noise)}
        return {"shape_noise": np.array(self.profiles.shape_noise())}

    def read(self, halo: HaloInfo, tables: Tables, prepared: dict[str, Any]) -> ShearProfile:
        """Return the profile of one halo, physical Mpc and Msun.

        Raises
        ------
        ReaderError
            Names file, column and halo.
        """
        profiles, environment = self.profiles, tables.environment(halo.z)
        row = profiles.row(halo.halo_id)
        radius, value, cross = (profiles.physical(name, row, halo.z) for name in ("radius", "value", "cross"))
        weight, error = (profiles.physical(name, row, halo.z) for name in ("weight", "error"))
        n_gal = profiles.physical("n_gal", row, halo.z)
        if value is None or radius is None:
            raise ReaderError(f"{self.path}: halo {halo.halo_id!r} has no radius or value")
        profiles.check_row(halo.halo_id, radius, value, weight, error)
        with np.errstate(divide="ignore", invalid="ignore"):
            if weight is not None:
                error = float(prepared["shape_noise"]) / np.sqrt(weight)
                n_gal = np.where(weight > 0, 1.0 if n_gal is None else n_gal, 0.0)
        if error is None:
            raise ReaderError(f"{self.path}: halo {halo.halo_id!r} has neither weight nor error")
        n_gal = np.where(np.isfinite(value), 1.0 if n_gal is None else n_gal, 0.0)
        empty = ~(n_gal > 0)
        beta_s, beta_s2 = self._beta(row, halo, tables, value.size)
        return ShearProfile(
            halo=halo,
            observable=self.options.observable,
            radius_mpc=radius,
            value=np.where(empty, np.nan, value),
            error=np.where(empty, np.nan, error),
            cross=np.full(value.size, np.nan) if cross is None else np.where(empty, np.nan, cross),
            n_gal=n_gal,
            beta_s=beta_s,
            beta_s2=beta_s2,
            d_lens_mpc=environment.d_lens_mpc,
            sigma_crit_inf_msun_mpc2=environment.sigma_crit_inf_msun_mpc2,
        )

    def _beta(self, row: Any, halo: HaloInfo, tables: Tables, n_bins: int) -> tuple[Array, Array]:
        """Return <beta_s> and <beta_s^2> of each bin; NaN where the file does not say."""
        c, profiles = self.options.columns, self.profiles
        file = redshift_file(self.path, self.options, halo.halo_id)
        if file is not None:
            z, count = read_redshifts(file)
            each = tables.beta_s(z, halo.z)
            means = [np.average(v, weights=count) for v in (each, each**2)]
            return np.full(n_bins, means[0]), np.full(n_bins, means[1])
        if c.z_source is not None:
            beta_s = tables.beta_s(profiles.values(c.z_source, row), halo.z)
            return np.broadcast_to(beta_s, n_bins), np.broadcast_to(beta_s**2, n_bins)
        mean, square, unit = c.beta_s, c.beta_s2, 1.0
        if c.beta is not None:
            mean, square = c.beta, c.beta2
            unit = float(tables.beta(np.inf, halo.z))
        if mean is None:
            return np.full(n_bins, np.nan), np.full(n_bins, np.nan)
        beta_s = np.broadcast_to(profiles.values(mean, row) / unit, n_bins)
        beta_s2 = (
            beta_s**2 if square is None else np.broadcast_to(profiles.values(square, row) / unit**2, n_bins)
        )
        return beta_s, beta_s2
