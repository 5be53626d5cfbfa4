"""Profiles of any table or array, for the notebook: columns found by usual names, units stated or given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from clmassmod.config import build
from clmassmod.errors import ConfigError, ReaderError
from clmassmod.plain import filled
from clmassmod.readers.columns import find_columns, suffix_unit
from clmassmod.readers.observed import Kind, ObservedProfiles, halo_of_file
from clmassmod.readers.profiles import ProfilesOptions
from clmassmod.readers.table import Column, Table, open_table

_OBSERVABLE = {"gamma_theta": "g_t", "delta_sigma": "delta_sigma"}
_UNIT_KEYS = ("radius", "value", "weight")
_SCALED = {"scale_factor", "add_offset"}


def load_profiles(
    source: Any,
    kind: Kind,
    *,
    halo_id: str | None = None,
    z: float | None = None,
    columns: Mapping[str, str | float] | None = None,
    units: Mapping[str, str] | None = None,
    names: Sequence[str] | None = None,
    group: str | None = None,
    shape_noise: float | None = None,
    extra: Sequence[str] = (),
    check_cosmology: bool = True,
) -> ObservedProfiles:
    """Return the profiles of a file, an ``astropy.table.Table`` or a mapping of arrays.

    ``utils.load_delta_sigma`` explains the arguments.

    Raises
    ------
    ReaderError, ConfigError
        One line that names file, column and remedy.
    """
    observable = _OBSERVABLE[kind]
    table = _open(source, names, group)
    _refuse_units(table, units or {})
    found = find_columns(table, observable, dict(columns or {}) | ({} if z is None else {"z": z}))
    if "z" not in found:
        raise ReaderError(f"{table.path}: no redshift of the lens in columns or header; give z=...")
    if "error" not in found and "weight" not in found:
        raise ReaderError(
            f"{table.path}: no column of errors or weights is known; name it: columns={{'error': ...}}"
        )
    if observable == "g_t" and not found.keys() & {"beta_s", "beta", "z_source"}:
        raise ReaderError(
            f"{table.path}: nothing says how far the sources are: give columns={{'z_source': 1.0}}, or a "
            "number or column for 'beta_s' with 'beta_s2', or 'beta' with 'beta2'"
        )
    if halo_id is not None or "halo_id" not in found:
        name = halo_id or str(table.attributes.get("halo_id", halo_of_file(table.path)))
        table = _with_id(table, name, str(found["value"]))
        found["halo_id"] = "halo_id"
    data = {
        "observable": observable,
        "columns": _one_distance(found),
        "units": _units(table, found, units or {}),
        "shape_noise": shape_noise,
        "extra": list(extra),
        "check_cosmology": check_cosmology,
    }
    options = build(ProfilesOptions, data, str(table.path))
    loaded = ObservedProfiles(kind, str(table.path), options, table)
    try:
        _ = loaded.halos
    except ReaderError as error:
        raise ReaderError(str(error).replace("simulation.options.", "")) from None
    return loaded


def _open(source: Any, names: Sequence[str] | None, group: str | None) -> Table:
    if isinstance(source, str | Path):
        return (
            _in_memory(open_table(Path(source), group)) if names is None else _headless(Path(source), names)
        )
    if hasattr(source, "colnames"):  # astropy
        columns = {n: _column(n, source[n]) for n in source.colnames}
        return Table(Path("(table)"), columns, dict(source.meta))
    if hasattr(source, "items"):  # mapping of arrays, or a pandas.DataFrame
        return Table(Path("(arrays)"), {str(n): _column(str(n), v) for n, v in source.items()}, {})
    raise ConfigError(
        f"profiles cannot be loaded from a {type(source).__name__}; give a file's path, an astropy Table "
        "or a mapping of arrays"
    )


def _in_memory(table: Table) -> Table:
    """Return the table with all columns read, so that its file is free to be changed."""
    columns, files = {}, set()
    for name, column in table.columns.items():
        values = column.values
        if isinstance(values, h5py.Dataset):
            files.add(values.file)
            values = column.numbers() if _SCALED & set(values.attrs) else column.raw()
        columns[name] = Column(name, column.path, values, column.unit)
    for file in files:
        file.close()
    return Table(table.path, columns, table.attributes)


def _column(name: str, values: Any) -> Column:
    unit = getattr(values, "unit", None)
    return Column(
        name, Path("(table)"), np.asarray(filled(values)), None if unit is None else str(unit) or None
    )


def _headless(path: Path, names: Sequence[str]) -> Table:
    """Return a text table that has no line of names."""
    try:
        values = np.loadtxt(path, dtype=str, comments="#", ndmin=2, delimiter=None)
    except (OSError, ValueError) as error:
        raise ReaderError(f"{path}: not a table of text ({' '.join(str(error).split())})") from None
    if values.shape[1] != len(names):
        raise ReaderError(f"{path}: {values.shape[1]} columns, but {len(names)} names were given")
    columns = {n: Column(n, path, values[:, i], None) for i, n in enumerate(names)}
    return Table(path, columns, {})


def _with_id(table: Table, halo_id: str, value: str) -> Table:
    """Return the table with one identifier for all its rows."""
    n_rows = table.columns[value].shape[0]
    ids = Column("halo_id", table.path, np.full(n_rows, halo_id), None)
    return Table(table.path, {**table.columns, "halo_id": ids}, table.attributes)


def _one_distance(found: dict[str, Any]) -> dict[str, Any]:
    """Keep the most exact of several ways in which a table says how far the sources are."""
    kept = {"weight": None, "cross": None, **found}
    order = [name for name in ("beta_s", "beta", "z_source") if name in kept]
    for name in order[1:]:
        kept.pop(name)
    if order and order[0] != "beta_s":
        kept.pop("beta_s2", None)
    if order and order[0] != "beta":
        kept.pop("beta2", None)
    return kept


def _refuse_units(table: Table, units: Mapping[str, str]) -> None:
    for key in units:
        if key not in _UNIT_KEYS:
            raise ReaderError(f"{table.path}: units: no quantity {key!r} (known: {', '.join(_UNIT_KEYS)})")


def _units(table: Table, found: Mapping[str, Any], units: Mapping[str, str]) -> dict[str, str]:
    """Return the units that the user gave, or that a column's name states where the file does not."""
    stated = dict(units)
    for key in _UNIT_KEYS:
        name = str(found.get(key, ""))
        if key not in stated and name in table.columns and not table.columns[name].unit:
            unit = suffix_unit(name)
            if unit is not None:
                stated[key] = unit
    return stated
