"""Tables in HDF5, FITS, ECSV or CSV: named columns with units, read row by row where the format allows."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from clmassmod.errors import ReaderError
from clmassmod.hdf5 import columns as hdf5_columns
from clmassmod.hdf5 import find, load, open_hdf5, text_of
from clmassmod.plain import filled
from clmassmod.readers.common import missing_name
from clmassmod.readers.hdf5 import attribute, scaled

HDF5_SUFFIXES = (".h5", ".hdf5", ".hdf")
FITS_SUFFIXES = (".fits", ".fit", ".fits.gz")


@dataclass(frozen=True)
class Column:
    """One column: (row,) or (row, bin)."""

    name: str
    path: Path
    values: Any  # ndarray, or a dataset that is read when asked
    unit: str | None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole column."""
        return tuple(self.values.shape)

    def raw(self) -> np.ndarray:
        """Return the column as it is stored, for identifiers."""
        return np.asarray(
            load(self.values, self.path) if isinstance(self.values, h5py.Dataset) else self.values
        )

    def numbers(self, row: int | slice | tuple[()] = ()) -> np.ndarray:
        """Return the column, or one row or range of it, as floats."""
        if isinstance(self.values, h5py.Dataset):
            if self.values.dtype.kind not in "iufb":
                raise ReaderError(f"{self.path}: column {self.name!r} is not numeric")
            return scaled(load(self.values, self.path, row), self.values)
        try:
            if self.values.dtype.kind == "U":  # of a text table
                return np.asarray([_number(text) for text in np.atleast_1d(self.values[row]).tolist()])
            return np.asarray(self.values[row], dtype=float)
        except (TypeError, ValueError):
            raise ReaderError(f"{self.path}: column {self.name!r} is not numeric") from None


@dataclass(frozen=True)
class Table:
    """Columns of one file and what the file says of itself."""

    path: Path
    columns: Mapping[str, Column]
    attributes: Mapping[str, Any]

    def column(self, name: str, purpose: str) -> Column:
        """Return a column; ``purpose`` names the option that asks for it."""
        if name not in self.columns:
            raise missing_name(self.path, f"column (for {purpose})", name, self.columns)
        return self.columns[name]

    def has(self, name: str | None) -> bool:
        """Return whether there is such a column."""
        return name is not None and name in self.columns


def open_table(path: Path, group: str | None = None) -> Table:
    """Return a table, by the file's suffix.

    Parameters
    ----------
    path
        HDF5 (each dataset of a group is a column), FITS (binary table), ECSV or CSV (a header line;
        lines that begin with # are comments).
    group
        Group of an HDF5 file, or name or number of a FITS extension; its root, or its first table.

    Raises
    ------
    ReaderError
        Names the file, and what is wrong with it.
    """
    name = path.name.lower()
    if not path.is_file():
        raise ReaderError(f"{path}: no such file")
    if name.endswith(HDF5_SUFFIXES):
        return _hdf5(path, group)
    if name.endswith(FITS_SUFFIXES):
        return _fits(path, group)
    if name.endswith(".ecsv"):
        return _ecsv(path)
    if name.endswith((".csv", ".txt", ".dat")):
        return _text(path)
    raise ReaderError(
        f"{path}: not a table that is known by its suffix (.h5 .hdf5 .fits .ecsv .csv .txt .dat)"
    )


def _hdf5(path: Path, group: str | None) -> Table:
    file = open_hdf5(path)
    holder = file if group is None else find(file, group, path)
    attributes = dict(file.attrs)
    if isinstance(holder, h5py.Dataset) and holder.dtype.names:  # a compound table
        values = load(holder, path)
        units = {n: attribute((holder,), f"{n}_unit") for n in holder.dtype.names}
        columns = {n: Column(n, path, _native(values[n]), units[n]) for n in holder.dtype.names}
        return Table(path, columns, attributes | dict(holder.attrs))
    if not isinstance(holder, h5py.Group):
        raise missing_name(path, "group", str(group), list(file))
    columns = {}
    for name, item in hdf5_columns(holder, path).items():
        unit = next((item.attrs[key] for key in ("unit", "units") if key in item.attrs), None)
        columns[name] = Column(name, path, item, None if unit is None else text_of(unit))
    return Table(path, columns, attributes | dict(holder.attrs))


def _fits(path: Path, group: str | None) -> Table:
    from clmassmod.readers.fits import open_fits

    with open_fits(path) as hdus:
        tables = [h for i, h in enumerate(hdus) if hasattr(h, "columns") and group in (None, h.name, str(i))]
        if not tables:
            raise missing_name(path, "table extension", str(group or "(any)"), [h.name for h in hdus])
        hdu = tables[0]
        columns = {
            c.name: Column(c.name, path, _native(hdu.data[c.name]), c.unit or None) for c in hdu.columns
        }
        attributes = {k: v for h in (hdus[0], hdu) for k, v in h.header.items()}
        attributes |= {k.lower(): v for k, v in attributes.items()}  # FITS knows capitals alone
    return Table(path, columns, attributes)


def _ecsv(path: Path) -> Table:
    from astropy.table import Table as AstropyTable

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = AstropyTable.read(path, format="ascii.ecsv")
    except Exception as error:  # astropy's parsers raise many kinds
        raise ReaderError(f"{path}: not a whole ECSV file ({' '.join(str(error).split())[:200]})") from None
    columns = {}
    for name in table.colnames:
        column = table[name]
        unit = getattr(column, "unit", None)
        columns[name] = Column(
            name, path, _native(np.asarray(filled(column))), None if unit is None else str(unit)
        )
    return Table(path, columns, dict(table.meta))


def _text(path: Path) -> Table:
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise ReaderError(f"{path}: not a text file in UTF-8") from None
    body = [line for line in lines if not line.lstrip().startswith("#")]
    if not body:
        raise ReaderError(f"{path}: holds no table")
    rows = list(csv.reader(body)) if "," in body[0] else [line.split() for line in body]
    names = [name.strip() for name in rows[0]]
    for number, row in enumerate(rows[1:]):
        if len(row) != len(names):
            raise ReaderError(f"{path}: row {number}: {len(row)} values for {len(names)} columns")
    columns = {}
    for i, name in enumerate(names):
        columns[name] = Column(name, path, np.asarray([row[i].strip() for row in rows[1:]]), None)
    return Table(path, columns, _comment_values(lines))


def _number(text: str) -> float:
    """Return a number, NaN for an empty field; Python would take 1_0 for 10."""
    if "_" in text:
        raise ValueError(text)
    return float(text) if text else np.nan


def _comment_values(lines: list[str]) -> dict[str, Any]:
    """Return the ``key=value`` pairs with a number in the comments of a text table."""
    found: dict[str, Any] = {}
    for line in lines:
        if not line.lstrip().startswith("#"):
            continue
        for word in line.replace(",", " ").replace(";", " ").split():
            key, separator, value = word.lstrip("#").partition("=")
            if separator:
                try:
                    found[key] = float(value)
                except ValueError:
                    found[key] = value
    return found


def _native(values: np.ndarray) -> np.ndarray:
    """Return the values in the machine's byte order."""
    values = np.asarray(values)
    return values.astype(values.dtype.newbyteorder("=")) if values.dtype.byteorder == ">" else values


def _text_of(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
