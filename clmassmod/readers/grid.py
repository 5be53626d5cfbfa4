"""Reader `grid`: pixel maps of surface density or convergence, with or without shears, HDF5 or FITS."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from pydantic import Field

from clmassmod.cosmology import Cosmology, beta_s
from clmassmod.errors import ReaderError
from clmassmod.readers.common import CommonOptions, check_cosmology, make_halos, need_path
from clmassmod.readers.units import Unit, parse_unit
from clmassmod.records import Array, HaloInfo, LensingMap
from clmassmod.tables import Tables


class GridOptions(CommonOptions):
    """Names in the file; the defaults fit a stack of maps as the default campaign has it."""

    map: str = Field(
        "sigma", description="dataset (HDF5) or extension (FITS) of surface density or convergence"
    )
    quantity: Literal["auto", "sigma", "kappa"] = Field(
        "auto", description="what the map holds; auto: by its unit"
    )
    gamma1: str | None = Field(None, description="dataset or extension of the first shear component")
    gamma2: str | None = Field(None, description="of the second")
    shear_sign: tuple[Literal[-1, 1], Literal[-1, 1]] = Field(
        (1, 1), description="to positive = along x, along x = y"
    )
    unit: str | None = Field(
        None, description="of the map, where the file does not say, such as 'Msun / Mpc2'"
    )
    pixel: str | float = Field(
        "pixel_mpc", description="attribute or dataset with the pixel's side, or a number"
    )
    pixel_unit: str | None = Field(
        None, description="such as 'kpc/h comoving' or 'arcsec'; null: Mpc, or FITS WCS"
    )
    halo_id: str = Field("halo_id", description="dataset or header key of the identifier")
    parent_id: str | None = Field(
        "parent_id", description="of what the map is a projection of; may be missing"
    )
    z: str | float = Field("z", description="attribute, dataset or header key of the redshift, or a number")
    z_source: float | None = Field(None, gt=0, description="of the plane that kappa is for; null: infinite")
    subtract_mean: bool = Field(False, description="take the map's mean off, for maps of all matter in a box")
    centre_mpc: tuple[float, float] = Field((0.0, 0.0), description="the halo, from the middle of the map")
    extra: list[str] = Field(
        default_factory=list, description="datasets or header keys with observables of haloes"
    )


class Images(Protocol):
    """Maps of one format."""

    source: Path
    ids: list[str]
    parents: list[str]
    z: Array
    extra: dict[str, Array]
    attributes: dict[str, Any]

    def image(self, row: int, name: str) -> Array:
        """Return one map, (y, x)."""

    def unit(self, row: int) -> str | None:
        """Return the unit of the map of surface density or convergence, if the file says."""

    def pixel(self, row: int) -> tuple[float, str | None]:
        """Return the pixel's side and its unit, if the file says."""


class Reader:
    """Lensing maps of one file or folder."""

    kind = "map"
    Options = GridOptions

    def __init__(self, path: Path | None, options: GridOptions, cosmology: Cosmology, seed: int) -> None:  # noqa: ARG002
        self.path = need_path(path, "grid")
        self.options = options
        self.cosmology = cosmology

    @cached_property
    def images(self) -> Images:
        """The open file or files."""
        files = [self.path]
        if self.path.is_dir():
            files = sorted(
                p
                for p in self.path.iterdir()
                if p.name.endswith((".fits", ".fits.gz", ".fit", ".h5", ".hdf5"))
            )
            if not files:
                raise ReaderError(f"{self.path}: the folder holds no .fits or .h5 file")
        images: Images
        if files[0].name.endswith((".fits", ".fits.gz", ".fit")):
            from clmassmod.readers.grid_fits import FitsImages

            images = FitsImages(self.path, files, self.options)
        else:
            from clmassmod.readers.grid_hdf5 import Hdf5Images

            images = Hdf5Images(self.path, files, self.options)
        if self.options.check_cosmology:
            check_cosmology(images.attributes, self.cosmology, self.path)
        return images

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {halo_id: row for row, halo_id in enumerate(self.images.ids)}

    def halos(self) -> list[HaloInfo]:
        """Return all haloes, checked, in the file's order."""
        images = self.images
        halos = make_halos(images.source, images.ids, images.z, images.parents, images.extra)
        self._unit(0)
        size, unit = images.pixel(0)
        self._parse(self.options.pixel_unit or unit or "Mpc", "the pixel's side")
        if not size > 0:
            raise ReaderError(f"{self.path}: the pixel's side is {size:g}")
        return halos

    def prepare(self) -> dict[str, Array]:
        """Return nothing: each map stands alone."""
        return {}

    def read(self, halo: HaloInfo, tables: Tables, prepared: dict[str, Any]) -> LensingMap:  # noqa: ARG002
        """Return one map for sources at infinite redshift.

        Raises
        ------
        ReaderError
            Names file, dataset and halo.
        """
        row = self._rows.get(halo.halo_id)
        if row is None:
            raise ReaderError(f"{self.path}: no halo {halo.halo_id!r}")
        options, environment = self.options, tables.environment(halo.z)
        kappa = self._map(row, options.map, halo)
        if options.subtract_mean:
            kappa -= kappa.mean()
        unit = self._unit(row)
        rescale = 1.0
        if unit.mass:
            rescale = (
                unit.to_internal(self.cosmology.h, halo.z, mass=1, length=-2)
                / environment.sigma_crit_inf_msun_mpc2
            )
        elif options.z_source is not None:
            rescale = self._to_infinity(halo)
        kappa *= rescale
        gammas: list[Array | None] = [None, None]
        if options.gamma1 is not None and options.gamma2 is not None:
            names, shear_scale = (options.gamma1, options.gamma2), 1.0 if unit.mass else rescale
            gammas = [
                self._map(row, n, halo) * (s * shear_scale)
                for n, s in zip(names, options.shear_sign, strict=True)
            ]
        return LensingMap(
            halo,
            self._pixel_mpc(row, halo, environment.d_lens_mpc),
            kappa,
            gammas[0],
            gammas[1],
            options.centre_mpc,
        )

    def _map(self, row: int, name: str, halo: HaloInfo) -> Array:
        image = self.images.image(row, name)
        if image.ndim != 2 or min(image.shape) < 8:
            raise ReaderError(
                f"{self.path}: {name!r} of halo {halo.halo_id!r} has shape {image.shape}, not (y, x)"
            )
        if not np.isfinite(image.sum()):
            raise ReaderError(f"{self.path}: {name!r} of halo {halo.halo_id!r} holds NaN or infinity")
        return image

    def _unit(self, row: int) -> Unit:
        text = self.options.unit if self.options.unit is not None else self.images.unit(row)
        quantity = self.options.quantity
        if text is None and quantity != "kappa":
            raise ReaderError(
                f"{self.path}: {self.options.map!r} states no unit; set simulation.options.unit, such as "
                "'Msun / Mpc2', or simulation.options.quantity: kappa"
            )
        unit = self._parse(text or "", f"{self.options.map!r}")
        if (quantity == "sigma") != (unit.mass == 1) and quantity != "auto":
            raise ReaderError(
                f"{self.path}: {self.options.map!r} is in {text!r}, which does not fit quantity {quantity!r}"
            )
        if (unit.mass, unit.length, unit.angle) not in ((1, -2, 0), (0, 0, 0)):
            raise ReaderError(
                f"{self.path}: {self.options.map!r} is in {text!r}, neither surface density nor convergence"
            )
        return unit

    def _parse(self, text: str, what: str) -> Unit:
        try:
            return parse_unit(text)
        except ReaderError as error:
            raise ReaderError(f"{self.path}: {what}: {error}") from None

    def _to_infinity(self, halo: HaloInfo) -> float:
        share = float(beta_s(self.cosmology, self.options.z_source or np.inf, halo.z))
        if share <= 0:
            raise ReaderError(
                f"{self.path}: simulation.options.z_source = {self.options.z_source:g} is not behind halo "
                f"{halo.halo_id!r} at z = {halo.z:g}"
            )
        return 1.0 / share

    def _pixel_mpc(self, row: int, halo: HaloInfo, d_lens_mpc: float) -> float:
        size, text = self.images.pixel(row)
        unit = self._parse(self.options.pixel_unit or text or "Mpc", "the pixel's side")
        if unit.angle:
            factor = unit.to_internal(self.cosmology.h, halo.z, angle=1) * d_lens_mpc
        else:
            factor = unit.to_internal(self.cosmology.h, halo.z, length=1)
        if not 0 < size * factor < 100:
            raise ReaderError(
                f"{self.path}: a pixel of {size * factor:g} Mpc is not possible; check its unit"
            )
        return size * factor
