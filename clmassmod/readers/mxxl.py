"""Reader `mxxl`: binary maps of convergence and shear, as cut out of the Millennium-XXL simulation.

Each halo and projection has ``{base}.convergence_map``, ``{base}.shear_1_map``, ``{base}.shear_2_map``
for sources at D_ls / D_s = 1: a header without padding (two doubles of the lower and two of the upper
corner in arcsec, double plane angle, double redshift, float particle mass, two ints of pixels), then
floats in C order, the first index along x (Hilbert et al. 2009, A&A 499, 31, for the ray-tracing).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator

from clmassmod.config import Model
from clmassmod.core.units import ARCSEC_RAD
from clmassmod.cosmology import Cosmology
from clmassmod.errors import ReaderError
from clmassmod.readers.common import check_finite, make_halos, need_path
from clmassmod.records import Array, HaloInfo, LensingMap
from clmassmod.tables import Tables

_HEADER = "2d2dddf2i"
_SUFFIXES = (".convergence_map", ".shear_1_map", ".shear_2_map")


class MxxlOptions(Model):
    """How files are named, and what their numbers mean."""

    pattern: str = Field(
        r"halo_(?P<snapshot>\d+)_(?P<halo>\d+)_(?P<projection>\d+)",
        description="regular expression of file names without suffix; its names serve the two templates",
    )
    halo_id: str = Field("{halo}_{projection}", description="identifier, as tables of true masses have it")
    parent_id: str = Field("{halo}", description="what the projections of one halo share")
    shear_sign: tuple[Literal[-1, 1], Literal[-1, 1]] = Field(
        (1, 1), description="factors of the components, to positive = along x, along x = y"
    )
    first_index: Literal["x", "y"] = Field("x", description="axis of the slower index of the maps")

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, text: str) -> str:
        try:
            re.compile(text)
        except re.error as error:
            raise ValueError(f"{text!r} is not a regular expression: {error}") from None
        return text


@dataclass(frozen=True)
class _Header:
    lower_arcsec: tuple[float, float]
    upper_arcsec: tuple[float, float]
    plane_angle: float
    redshift: float
    particle_mass: float
    pixels: tuple[int, int]
    order: str


def read_header(path: Path) -> _Header:
    """Return the header of one map, in this machine's byte order or the other."""
    size = struct.calcsize("=" + _HEADER)
    try:
        with path.open("rb") as handle:
            raw = handle.read(size)
        length = path.stat().st_size
    except OSError as error:
        raise ReaderError(f"{path}: {error.strerror or error}") from None
    if len(raw) < size:
        raise ReaderError(f"{path}: {len(raw)} bytes are less than a header of {size}")
    for order in ("=", "<", ">"):
        v = struct.unpack(order + _HEADER, raw)
        n = (v[7], v[8])
        if 0 < n[0] < 100_000 and 0 < n[1] < 100_000 and length == size + 4 * n[0] * n[1]:
            return _Header((v[0], v[1]), (v[2], v[3]), v[4], v[5], v[6], n, order)
    v = struct.unpack("=" + _HEADER, raw)
    raise ReaderError(
        f"{path}: truncated or not a map: header says {v[7]} x {v[8]} pixels, the file has {length} bytes"
    )


def read_map(path: Path) -> tuple[_Header, Array]:
    """Return header and values of one map, (first index, second index)."""
    header = read_header(path)
    offset = struct.calcsize("=" + _HEADER)
    dtype = np.dtype(f"{header.order}f4")
    return header, np.fromfile(path, dtype, offset=offset).astype(float).reshape(header.pixels)


class Reader:
    """Maps of all haloes and projections of a folder."""

    kind = "map"
    Options = MxxlOptions

    def __init__(self, path: Path | None, options: MxxlOptions, cosmology: Cosmology, seed: int) -> None:  # noqa: ARG002
        self.path = need_path(path, "mxxl")
        self.options = options
        self.cosmology = cosmology

    @cached_property
    def _bases(self) -> dict[str, tuple[Path, str]]:
        """Identifier to base of the file names and parent."""
        found: dict[str, tuple[Path, str]] = {}
        if not self.path.is_dir():
            raise ReaderError(f"{self.path}: reader 'mxxl' needs the folder of the maps")
        for file in sorted(self.path.glob(f"*{_SUFFIXES[0]}")):
            base = file.name.removesuffix(_SUFFIXES[0])
            match = re.fullmatch(self.options.pattern, base)
            if match is None:
                continue
            try:
                halo_id, parent = (
                    t.format(**match.groupdict()) for t in (self.options.halo_id, self.options.parent_id)
                )
            except (KeyError, IndexError) as error:
                raise ReaderError(
                    f"{self.path}: simulation.options.pattern has no group {error} for the templates"
                ) from None
            if halo_id in found:
                raise ReaderError(
                    f"{file}: halo id {halo_id!r} is given twice, also by {found[halo_id][0].name}"
                )
            found[halo_id] = (file.with_name(base), parent)
        return found

    def halos(self) -> list[HaloInfo]:
        """Return one halo for each projection; the redshifts are those of the maps' headers."""
        bases = self._bases
        if not bases:
            raise ReaderError(f"{self.path}: no file matches {self.options.pattern!r}{_SUFFIXES[0]}")
        z = [read_header(_file(base, 0)).redshift for base, _ in bases.values()]
        return make_halos(self.path, list(bases), z, [parent for _, parent in bases.values()])

    def prepare(self) -> dict[str, Array]:
        """Return nothing: each map stands alone."""
        return {}

    def read(self, halo: HaloInfo, tables: Tables, prepared: dict[str, Any]) -> LensingMap:  # noqa: ARG002
        """Return the maps of one projection for sources at infinite redshift.

        Raises
        ------
        ReaderError
            Names the file that is missing, truncated or does not fit the others.
        """
        if halo.halo_id not in self._bases:
            raise ReaderError(f"{self.path}: no halo {halo.halo_id!r}")
        base, _ = self._bases[halo.halo_id]
        environment, beta_inf = tables.environment(halo.z), float(tables.beta(np.inf, halo.z))
        header: _Header | None = None
        images = []
        for i in range(3):
            file = _file(base, i)
            own, values = read_map(file)
            check_finite(values, "the map", file, halo.halo_id)
            if header is not None and (own.pixels, own.lower_arcsec, own.upper_arcsec) != (
                header.pixels, header.lower_arcsec, header.upper_arcsec,
            ):  # fmt: skip
                raise ReaderError(f"{file}: pixels or corners differ from those of {_file(base, 0).name}")
            header = own
            images.append(beta_inf * (values.T if self.options.first_index == "x" else values))
        assert header is not None
        pixel, centre = _geometry(header, _file(base, 0), self.options.first_index)
        scale = ARCSEC_RAD * environment.d_lens_mpc
        s1, s2 = self.options.shear_sign
        kappa, gamma1, gamma2 = (np.ascontiguousarray(image) for image in images)
        centre_mpc = (centre[0] * scale, centre[1] * scale)
        return LensingMap(halo, pixel * scale, kappa, s1 * gamma1, s2 * gamma2, centre_mpc)


def _file(base: Path, i: int) -> Path:
    return base.with_name(base.name + _SUFFIXES[i])


def _geometry(header: _Header, file: Path, first: str) -> tuple[float, tuple[float, float]]:
    """Return the pixel's side and the origin's place from the middle of the map, arcsec."""
    sides = [
        (u - lo) / n for lo, u, n in zip(header.lower_arcsec, header.upper_arcsec, header.pixels, strict=True)
    ]
    if min(sides) <= 0 or abs(sides[0] / sides[1] - 1.0) > 1e-6:
        raise ReaderError(f"{file}: pixels of {sides[0]:g} by {sides[1]:g} arcsec are not squares")
    middle = [-0.5 * (lo + u) for lo, u in zip(header.lower_arcsec, header.upper_arcsec, strict=True)]
    x, y = middle if first == "x" else middle[::-1]
    return sides[0], (x, y)
