"""Lenses of galaxy catalogues: identifier, redshift and position, from wherever they are given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydantic import Field

from clmassmod.config import Model
from clmassmod.errors import ReaderError
from clmassmod.readers.common import missing_name, texts
from clmassmod.readers.table import Table, open_table
from clmassmod.records import Array


class LensOptions(Model):
    """Redshift and position of lenses: numbers, or names.

    A name is a column of the table ``path``, where that is given; otherwise an attribute of the
    galaxies' file (FITS header, ECSV meta), or a column of it that repeats the lens's value.
    """

    path: str | None = Field(None, description="table with one row a lens")
    halo_id: str | None = Field("halo_id", description="column of 'path', or attribute; else the file's name")
    z: str | float = Field("z_lens", description="redshift")
    ra: str | float = Field("ra_lens", description="degrees")
    dec: str | float = Field("dec_lens", description="degrees")


class Lenses:
    """Where each lens's galaxies are, its redshift and, when asked, its position."""

    def __init__(
        self,
        files: list[Path],
        open_file: Callable[[Path], Table],
        options: LensOptions,
        id_column: str | None,
    ) -> None:
        self._open, self._options = open_file, options
        self._table = None if options.path is None else open_table(Path(options.path))
        self._places: dict[str, tuple[Path, Array | None]] = {}
        for file in files:
            for halo_id, rows in self._split(file, id_column):
                if halo_id in self._places:
                    raise ReaderError(
                        f"{file}: halo id {halo_id!r} is given twice, also by {self._places[halo_id][0]}"
                    )
                self._places[halo_id] = (file, rows)
        self._rows: dict[str, int] = {}
        if self._table is not None:
            names = texts(
                self._table.column(options.halo_id or "halo_id", "simulation.options.lens.halo_id").raw()
            )
            self._rows = {name: row for row, name in enumerate(names)}
        self.ids = list(self._places)
        self.z = np.asarray([self._value(halo_id, options.z, "z") for halo_id in self.ids])

    def _split(self, file: Path, id_column: str | None) -> list[tuple[str, Array | None]]:
        if id_column is None:
            name = None
            if self._table is None and self._options.halo_id is not None:
                name = self._open(file).attributes.get(self._options.halo_id)
            return [(file.name.partition(".")[0] if name is None else texts([name])[0], None)]
        ids = np.asarray(
            texts(self._open(file).column(id_column, "simulation.options.columns.halo_id").raw())
        )
        names, first, group = np.unique(ids, return_index=True, return_inverse=True)
        order = np.argsort(group, kind="stable")
        parts = np.split(order, np.cumsum(np.bincount(group))[:-1])
        return [(str(names[i]), parts[i]) for i in np.argsort(first)]

    def place(self, halo_id: str) -> tuple[Path, Array | None]:
        """Return a lens's file and its rows there, None for all."""
        if halo_id not in self._places:
            raise ReaderError(f"no lens {halo_id!r} in {next(iter(self._places.values()))[0].parent}")
        return self._places[halo_id]

    def position(self, halo_id: str) -> tuple[float, float]:
        """Return right ascension and declination of a lens in degrees."""
        return self._value(halo_id, self._options.ra, "ra"), self._value(halo_id, self._options.dec, "dec")

    def _value(self, halo_id: str, name: str | float, key: str) -> float:
        if not isinstance(name, str):
            return float(name)
        purpose = f"simulation.options.lens.{key}"
        if self._table is not None:
            if halo_id not in self._rows:
                raise ReaderError(f"{self._table.path}: no row for lens {halo_id!r}")
            return float(self._table.column(name, purpose).numbers()[self._rows[halo_id]])
        file, rows = self._places[halo_id]
        table = self._open(file)
        if name in table.attributes:
            try:
                return float(table.attributes[name])
            except (TypeError, ValueError):
                raise ReaderError(f"{file}: attribute {name!r} is not a number") from None
        if not table.has(name):
            known = [*table.attributes, *table.columns]
            raise missing_name(file, f"attribute or column (for {purpose}; a number does too)", name, known)
        values = table.columns[name].numbers()
        values = values if rows is None else values[rows]
        if values.size == 0 or np.any(values != values[0]):
            raise ReaderError(f"{file}: column {name!r} must repeat one value for lens {halo_id!r}")
        return float(values[0])
