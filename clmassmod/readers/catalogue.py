"""Reader `catalogue`: galaxies with measured or simulated shapes, FITS, HDF5, ECSV or CSV.

The galaxies of CLMM's GalaxyCluster, written as a table, are read with the defaults.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from clmassmod.config import Model
from clmassmod.core.sky import offsets_arcmin
from clmassmod.core.units import ARCMIN_RAD
from clmassmod.cosmology import Cosmology
from clmassmod.errors import ReaderError
from clmassmod.readers.catalogue_lenses import Lenses, LensOptions
from clmassmod.readers.common import CommonOptions, check_cosmology, make_halos, need_path
from clmassmod.readers.table import FITS_SUFFIXES, HDF5_SUFFIXES, Table, open_table
from clmassmod.readers.units import parse_unit
from clmassmod.records import Array, HaloInfo, SourceCatalog
from clmassmod.tables import Tables

_SUFFIXES = (*HDF5_SUFFIXES, *FITS_SUFFIXES, ".ecsv", ".csv")


class GalaxyColumns(Model):
    """Names of the galaxies' columns."""

    ra: str | None = Field("ra", description="degrees; with 'dec', unless 'x' and 'y' are given")
    dec: str | None = Field("dec", description="degrees")
    x: str | None = Field(None, description="position from the lens, with 'position_unit'")
    y: str | None = Field(None, description="position from the lens, with 'x'")
    e1: str = Field("e1", description="ellipticity along x, an estimate of the reduced shear")
    e2: str = Field("e2", description="ellipticity along x = y")
    z: str | float | None = Field("z", description="redshift, or one for all sources")
    beta_s: str | None = Field(None, description="instead of redshifts")
    weight: str | None = Field(None, description="of the ellipticity; null: all alike")
    shear_m: str | None = Field(
        None, description="multiplicative bias, which the ellipticity is divided by (1 + m)"
    )
    halo_id: str | None = Field(None, description="lens of each row, where a file has several")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.x is None) != (self.y is None):
            raise ValueError("give both 'x' and 'y'")
        if self.x is None and (self.ra is None or self.dec is None):
            raise ValueError("give 'ra' and 'dec', or 'x' and 'y'")
        if self.z is None and self.beta_s is None:
            raise ValueError("give 'z' or 'beta_s'")
        return self


class CatalogueOptions(CommonOptions):
    """What the files hold."""

    columns: GalaxyColumns = GalaxyColumns()
    lens: LensOptions = LensOptions()
    group: str | None = Field(None, description="HDF5 group, or FITS extension")
    position_unit: str = Field("arcmin", description="of x and y: an angle, or a physical length such as Mpc")
    coordinate_system: Literal["auto", "euclidean", "celestial"] = Field(
        "auto",
        description="e1 > 0 along west (euclidean, as in CLMM) or east; auto: the table's word, or euclidean",
    )
    shape_noise: float | None = Field(
        None, ge=0, le=2, description="of one component; null: rms of each lens's ellipticities"
    )
    responsivity: float = Field(
        1.0, gt=0, description="ellipticities are divided by it to estimate the shear"
    )
    reduced: bool = Field(
        True, description="false: the columns are shears, not reduced shears or ellipticities"
    )
    behind_lens: float | None = Field(None, description="keep galaxies with z > z_lens + this; null: all")


class Reader:
    """Galaxies of one file, of one or many lenses, or of a folder with a file a lens."""

    kind = "catalog"
    Options = CatalogueOptions

    def __init__(self, path: Path | None, options: CatalogueOptions, cosmology: Cosmology, seed: int) -> None:  # noqa: ARG002
        self.path = need_path(path, "catalogue")
        self.options = options
        self.cosmology = cosmology
        self._open = lru_cache(maxsize=2)(self._open_once)

    def _open_once(self, file: Path) -> Table:
        table = open_table(file, self.options.group)
        if self.options.check_cosmology:
            check_cosmology(table.attributes, self.cosmology, file)
        return table

    @cached_property
    def _lenses(self) -> Lenses:
        files = [self.path]
        if self.path.is_dir():
            files = sorted(p for p in self.path.iterdir() if p.name.lower().endswith(_SUFFIXES))
            if not files:
                raise ReaderError(f"{self.path}: the folder holds no table ({' '.join(_SUFFIXES)})")
        return Lenses(files, self._open, self.options.lens, self.options.columns.halo_id)

    def halos(self) -> list[HaloInfo]:
        """Return one halo a lens."""
        lenses = self._lenses
        halos = make_halos(self.path, lenses.ids, lenses.z)
        self._galaxies(halos[0])
        return halos

    def prepare(self) -> dict[str, Array]:
        """Return nothing: each lens stands alone."""
        return {}

    def _galaxies(self, halo: HaloInfo) -> dict[str, Array]:
        """Return checked columns of one lens's galaxies."""
        c = self.options.columns
        file, rows = self._lenses.place(halo.halo_id)
        table = self._open(file)
        found: dict[str, Array] = {}
        for key in ("ra", "dec", "x", "y", "e1", "e2", "z", "beta_s", "weight", "shear_m"):
            name = getattr(c, key)
            if (
                name is None
                or (key in ("ra", "dec") and c.x is not None)
                or (key == "z" and c.beta_s is not None)
            ):
                continue
            if not isinstance(name, str):
                found[key] = np.full(len(found["e1"]), float(name))
                continue
            values = table.column(name, f"simulation.options.columns.{key}").numbers()
            found[key] = values if rows is None else values[rows]
        size = len(found["e1"])
        if size == 0:
            raise ReaderError(f"{file}: lens {halo.halo_id!r} has no galaxy")
        for key, values in found.items():
            if values.shape != (size,):
                raise ReaderError(
                    f"{file}: column {getattr(c, key)!r} has shape {values.shape}, not ({size},)"
                )
            wrong = ~np.isfinite(values) | ((values < 0) if key in ("weight", "beta_s") else False)
            if wrong.any():
                where = f"row {int(np.argmax(wrong))} of lens {halo.halo_id!r}"
                raise ReaderError(f"{file}: column {getattr(c, key)!r}: {where} is {values[wrong][0]:g}")
        return found

    def read(self, halo: HaloInfo, tables: Tables, prepared: dict[str, Any]) -> SourceCatalog:  # noqa: ARG002
        """Return the galaxies of one lens.

        Raises
        ------
        ReaderError
            Names file, column and lens.
        """
        o, environment = self.options, tables.environment(halo.z)
        galaxies = self._galaxies(halo)
        if o.behind_lens is not None and "z" in galaxies:
            behind = galaxies["z"] > halo.z + o.behind_lens
            galaxies = {key: values[behind] for key, values in galaxies.items()}
        x, y = self._positions(galaxies, halo, environment.d_lens_mpc)
        scale = 1.0 / (o.responsivity * (1.0 + galaxies.get("shear_m", np.zeros(1))))
        e1, e2 = galaxies["e1"] * scale, galaxies["e2"] * scale
        weight = galaxies.get("weight", np.ones(e1.size))
        beta_s = galaxies["beta_s"] if "beta_s" in galaxies else tables.beta_s(galaxies["z"], halo.z)
        noise = o.shape_noise
        if noise is None:
            noise = (
                float(np.sqrt(0.5 * np.average(e1**2 + e2**2, weights=weight))) if weight.sum() > 0 else 0.0
            )
        return SourceCatalog(
            halo=halo,
            x_arcmin=x,
            y_arcmin=y,
            e1=e1,
            e2=e2,
            z_source=galaxies.get("z", np.full(e1.size, np.nan)),
            beta_s=beta_s,
            weight=weight,
            d_lens_mpc=environment.d_lens_mpc,
            sigma_crit_inf_msun_mpc2=environment.sigma_crit_inf_msun_mpc2,
            shape_noise=noise,
            extra={} if o.reduced else {"beta_s2": np.zeros(e1.size)},
        )

    def _positions(
        self, galaxies: dict[str, Array], halo: HaloInfo, d_lens_mpc: float
    ) -> tuple[Array, Array]:
        o = self.options
        if "x" in galaxies:
            unit = parse_unit(o.position_unit)
            if unit.angle:
                factor = unit.to_internal(self.cosmology.h, halo.z, angle=1) / ARCMIN_RAD
            else:
                factor = unit.to_internal(self.cosmology.h, halo.z, length=1) / (d_lens_mpc * ARCMIN_RAD)
            return galaxies["x"] * factor, galaxies["y"] * factor
        east, north = offsets_arcmin(galaxies["ra"], galaxies["dec"], *self._lenses.position(halo.halo_id))
        system = o.coordinate_system
        if system == "auto":
            file, _ = self._lenses.place(halo.halo_id)
            system = self._open(file).attributes.get("coordinate_system", "euclidean")
        return (-east if system == "euclidean" else east), north
