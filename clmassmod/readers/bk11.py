"""Reader `bk11`: lensing Jacobians of Becker & Kravtsov 2011 (ApJ 740, 25), one FITS table a halo.

The first index of each matrix of 512 x 512 values runs along x, as the first index of the Jacobian does.
The columns M200C and M500C are true masses for a campaign whose ``truth`` names no table.
"""

from __future__ import annotations

import math
import re
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from clmassmod.config import Model
from clmassmod.cosmology import Cosmology, beta_s
from clmassmod.cosmology.model import line_of_sight_distance_mpc
from clmassmod.errors import ReaderError
from clmassmod.readers.common import make_halos, missing_name, need_path
from clmassmod.readers.fits import open_fits
from clmassmod.readers.units import mass_unit_msun
from clmassmod.records import Array, HaloInfo, LensingMap
from clmassmod.tables import Tables

_MATRICES = ("A00", "A01", "A10", "A11")
_NUMBERS = ("BOXWIDTHCOMOVINGHINVMPC", "BOXLENGTHCOMOVINGHINVMPC", "ZLENS", "ZSOURCE")


class Bk11Options(Model):
    """How files are named, and the order of the pixels."""

    pattern: str = Field(
        r"(?:haloid)?(?P<halo>\d+)(?:_.*)?",
        description="regular expression of file names; its group 'halo' is the id",
    )
    first_index: Literal["x", "y"] = Field("x", description="axis of the slower index of the matrices")
    mass_definition: Literal["200c", "500c"] = Field("200c", description="of the true masses that files give")
    mass_unit: str | None = Field(
        None, description="of M200C and M500C, which the files do not state, such as 'Msun/h'"
    )


class Reader:
    """Jacobians of one file, or of all files of a folder."""

    kind = "map"
    Options = Bk11Options

    def __init__(self, path: Path | None, options: Bk11Options, cosmology: Cosmology, seed: int) -> None:  # noqa: ARG002
        self.path = need_path(path, "bk11")
        self.options = options
        self.cosmology = cosmology
        self.truth_mass_definition = options.mass_definition

    @cached_property
    def _files(self) -> dict[str, Path]:
        files = [self.path]
        if self.path.is_dir():
            files = sorted(
                p for p in self.path.iterdir() if p.name.endswith((".fit", ".fits", ".fits.gz", ".fit.gz"))
            )
        found: dict[str, Path] = {}
        for file in files:
            stem = re.sub(r"\.fits?(\.gz)?$", "", file.name)
            match = re.fullmatch(self.options.pattern, stem)
            halo_id = match["halo"] if match and "halo" in match.groupdict() else stem
            if halo_id in found:
                raise ReaderError(
                    f"{file}: halo id {halo_id!r} is given twice, also by {found[halo_id].name}"
                )
            found[halo_id] = file
        if not found:
            raise ReaderError(f"{self.path}: the folder holds no .fits or .fit file")
        return found

    def halos(self) -> list[HaloInfo]:
        """Return one halo a file."""
        files = self._files
        z = [_read(file, ("ZLENS",))["ZLENS"] for file in files.values()]
        return make_halos(self.path, list(files), np.asarray([float(v.flat[0]) for v in z]))

    def prepare(self) -> dict[str, Array]:
        """Return nothing: each file stands alone."""
        return {}

    def read(self, halo: HaloInfo, tables: Tables, prepared: dict[str, Any]) -> LensingMap:  # noqa: ARG002
        """Return convergence and shear of one halo for sources at infinite redshift.

        Raises
        ------
        ReaderError
            Names file and column.
        """
        if halo.halo_id not in self._files:
            raise ReaderError(f"{self.path}: no halo {halo.halo_id!r}")
        file = self._files[halo.halo_id]
        row = _read(file, (*_MATRICES, *_NUMBERS))
        a00, a01, a10, a11 = (self._square(row[name], name, file) for name in _MATRICES)
        width, length, z_lens, z_source = (float(row[name].flat[0]) for name in _NUMBERS)
        share = float(beta_s(self.cosmology, z_source, z_lens))
        if not share > 0:
            raise ReaderError(f"{file}: ZSOURCE = {z_source:g} is not behind ZLENS = {z_lens:g}")
        if not (width > 0 and length >= 0):
            raise ReaderError(f"{file}: box of width {width:g} and length {length:g} Mpc/h")
        h = self.cosmology.h
        distance = float(line_of_sight_distance_mpc(self.cosmology, 0.0, z_lens)) + 0.5 * length / h
        angle = math.atan2(width / h, distance) / a00.shape[0]
        return LensingMap(
            halo,
            angle * tables.environment(halo.z).d_lens_mpc,
            0.5 * (2.0 - a00 - a11) / share,
            0.5 * (a11 - a00) / share,
            -0.5 * (a01 + a10) / share,
        )

    def truth(self) -> dict[str, float]:
        """Return each halo's mass in Msun, of ``truth_mass_definition``; one of 0 or less is not known."""
        column = f"M{self.truth_mass_definition.upper()}"
        unit = mass_unit_msun(self.options.mass_unit, self.path, self.cosmology.h)
        masses = {
            halo_id: unit * float(_read(file, (column,))[column].flat[0])
            for halo_id, file in self._files.items()
        }
        return {halo_id: mass for halo_id, mass in masses.items() if 0 < mass < math.inf}

    def _square(self, values: np.ndarray, name: str, file: Path) -> Array:
        n = math.isqrt(values.size)
        if n < 8 or n * n != values.size:
            raise ReaderError(f"{file}: column {name!r} has {values.size} values, not a square number")
        if not np.all(np.isfinite(values)):
            raise ReaderError(f"{file}: column {name!r} holds NaN or infinity")
        matrix = values.reshape(n, n).astype(float)
        return np.ascontiguousarray(matrix.T if self.options.first_index == "x" else matrix)


def _read(file: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    with open_fits(file) as hdus:
        tables = [hdu for hdu in hdus if hasattr(hdu, "columns")]
        if not tables or len(tables[0].data) < 1:
            raise ReaderError(f"{file}: holds no table with a row")
        known = {c.upper(): c for c in tables[0].columns.names}
        for name in names:
            if name not in known:
                raise missing_name(file, "column", name, known)
        return {name: np.asarray(tables[0].data[known[name]])[0].reshape(-1) for name in names}
