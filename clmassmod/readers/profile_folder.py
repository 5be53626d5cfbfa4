"""A folder with one profile a file, joined into one table with a row a bin."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clmassmod.errors import ReaderError
from clmassmod.readers.common import missing_name
from clmassmod.readers.table import FITS_SUFFIXES, HDF5_SUFFIXES, Column, Table, open_table
from clmassmod.records import Array

if TYPE_CHECKING:
    from clmassmod.readers.profiles import ProfilesOptions

FILE_ID = "halo_id"
_SUFFIXES = (*HDF5_SUFFIXES, *FITS_SUFFIXES, ".ecsv", ".csv")


def open_folder(path: Path, options: ProfilesOptions) -> Table:
    """Return the profiles of a folder, or of one file, whose names are the haloes' identifiers.

    A column that a file lacks may be a value in its header or comments, such as its redshift.

    Raises
    ------
    ReaderError
        Names the file and the column that it lacks.
    """
    files = [path]
    if path.is_dir():
        known = sorted(p for p in path.iterdir() if p.name.lower().endswith(_SUFFIXES))
        others = {redshift_file(path, options, name_of(p)) for p in known}
        files = [p for p in known if p not in others]
    if not files:
        raise ReaderError(f"{path}: the folder holds no table ({' '.join(_SUFFIXES)})")
    tables = [open_table(file, options.group) for file in files]
    columns = options.columns
    wanted = [v for k, v in vars(columns).items() if isinstance(v, str) and k != "halo_id"]
    wanted += options.extra
    sizes = [_size(table, columns.value) for table in tables]
    joined = {FILE_ID: Column(FILE_ID, path, np.repeat([name_of(file) for file in files], sizes), None)}
    for name in dict.fromkeys(wanted):
        parts = [_values(table, name, size) for table, size in zip(tables, sizes, strict=True)]
        units = {table.columns[name].unit for table in tables if table.has(name)}
        if len(units) > 1:
            raise ReaderError(f"{path}: column {name!r} has different units in different files")
        joined[name] = Column(name, path, np.concatenate(parts), next(iter(units), None))
    attributes: dict[str, Any] = {}
    for table in tables:
        attributes |= table.attributes
    return Table(path, joined, attributes)


def name_of(file: Path) -> str:
    """Return the identifier that a file's name gives: all before its suffix."""
    lower = file.name.lower()
    suffix = next((s for s in sorted(_SUFFIXES, key=len, reverse=True) if lower.endswith(s)), file.suffix)
    return file.name[: len(file.name) - len(suffix)]


def redshift_file(path: Path, options: ProfilesOptions, halo_id: str) -> Path | None:
    """Return the file with the source redshifts of a halo, if the options say that there is one."""
    if options.source_redshifts is None:
        return None
    folder = path if path.is_dir() else path.parent
    return folder / options.source_redshifts.replace("{halo_id}", halo_id)


def read_redshifts(file: Path) -> tuple[Array, Array]:
    """Return redshifts and counts of a table with columns z_source and count."""
    table = open_table(file)
    z = table.column("z_source", "simulation.options.source_redshifts").numbers()
    count = table.column("count", "simulation.options.source_redshifts").numbers()
    if not (np.all(np.isfinite(z)) and np.all(count >= 0) and count.sum() > 0):
        raise ReaderError(f"{file}: z_source must be finite, and count 0 or more and somewhere above 0")
    return z, count


def _size(table: Table, value: str) -> int:
    shape = table.column(value, "simulation.options.columns.value").shape
    if len(shape) != 1:
        raise ReaderError(f"{table.path}: column {value!r} has shape {shape}, not (bin,)")
    return int(shape[0])


def _values(table: Table, name: str, size: int) -> Array:
    if table.has(name):
        return table.columns[name].numbers()
    if name not in table.attributes:
        raise missing_name(
            table.path, "column or value in its head", name, [*table.columns, *table.attributes]
        )
    try:
        return np.full(size, float(table.attributes[name]))
    except (TypeError, ValueError):
        raise ReaderError(f"{table.path}: {name!r} is {table.attributes[name]!r}, not a number") from None
