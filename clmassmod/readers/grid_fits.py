"""Maps in FITS: one halo a file, images in extensions, pixel scale from the WCS."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clmassmod.errors import ReaderError
from clmassmod.readers.common import missing_name, texts
from clmassmod.readers.fits import header_value, image, open_fits
from clmassmod.records import Array

if TYPE_CHECKING:
    from clmassmod.readers.grid import GridOptions


class FitsImages:
    """Maps of one or several FITS files."""

    def __init__(self, source: Path, files: list[Path], options: GridOptions) -> None:
        self.source = source
        self.options = options
        self._files = files
        self.attributes: dict[str, Any] = {}
        self.ids: list[str] = []
        self.parents: list[str] = []
        z: list[float] = []
        extra: dict[str, list[float]] = {name: [] for name in options.extra}
        for path in files:
            with open_fits(path) as hdus:
                name = header_value(hdus, options.halo_id)
                parent = header_value(hdus, options.parent_id) if options.parent_id else None
                self.ids.append(path.name.partition(".fit")[0] if name is None else texts([name])[0])
                self.parents.append("" if parent is None else texts([parent])[0])
                z.append(self._number(hdus, options.z, path))
                for key in options.extra:
                    extra[key].append(self._number(hdus, key, path))
                self.attributes |= {
                    key: header_value(hdus, key)
                    for key in ("H0", "Om0", "Ode0")
                    if header_value(hdus, key) is not None
                }
        self.z = np.asarray(z)
        self.extra = {name: np.asarray(values) for name, values in extra.items()}

    @staticmethod
    def _number(hdus: Any, name: str | float, path: Path) -> float:
        if not isinstance(name, str):
            return float(name)
        value = header_value(hdus, name)
        if value is None:
            raise missing_name(path, "header key", name, list(hdus[0].header))
        try:
            return float(value)
        except (TypeError, ValueError):
            raise ReaderError(f"{path}: header key {name!r} is {value!r}, not a number") from None

    def image(self, row: int, name: str) -> Array:
        """Return one map, (y, x)."""
        with open_fits(self._files[row]) as hdus:
            return image(hdus, name, self._files[row], only=name == self.options.map)[0]

    def unit(self, row: int) -> str | None:
        """Return BUNIT of the map's extension."""
        with open_fits(self._files[row]) as hdus:
            header = image(hdus, self.options.map, self._files[row], only=True)[1]
            return str(header["BUNIT"]) if "BUNIT" in header else None

    def pixel(self, row: int) -> tuple[float, str | None]:
        """Return the pixel's side from options, a header key or the WCS."""
        path = self._files[row]
        if not isinstance(self.options.pixel, str):
            return float(self.options.pixel), None
        with open_fits(path) as hdus:
            value = header_value(hdus, self.options.pixel)
            if value is not None:
                return float(value), None
            header = image(hdus, self.options.map, path, only=True)[1]
            if "CD1_1" in header:
                side = math.hypot(header["CD1_1"], header.get("CD2_1", 0.0))
                other = math.hypot(header.get("CD1_2", 0.0), header["CD2_2"])
            elif "CDELT1" in header:
                side, other = abs(header["CDELT1"]), abs(header.get("CDELT2", header["CDELT1"]))
            else:
                raise ReaderError(
                    f"{path}: no header key {self.options.pixel!r}, CD1_1 or CDELT1 gives the pixel's side"
                )
            if not math.isclose(side, other, rel_tol=1e-6):
                raise ReaderError(f"{path}: pixels of {side:g} by {other:g} are not square")
            return side, str(header.get("CUNIT1", "deg")).strip() or "deg"
