"""A concentration relation that is given as a table of mass, redshift and concentration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from clmassmod.errors import ConfigError, ReaderError
from clmassmod.records import Array

TABLE_SUFFIXES = (".csv", ".ecsv", ".h5", ".hdf5")
COLUMNS = ("mass_msun", "z", "concentration")


def read_relation(path: Path) -> Callable[[ArrayLike, float], Array]:
    """Return the relation of a table with columns mass_msun, z and concentration.

    Every redshift must have the same masses, in any order; with a single redshift the relation does not
    evolve. Interpolation is linear in ln M, ln(1 + z) and ln c, and holds the edges.

    Raises
    ------
    ConfigError
        Naming the file, if it is missing, lacks a column, or is not a full grid of positive numbers.
    """
    if not path.is_file():
        raise ConfigError(f"no file {path} with a concentration relation (looked in {Path.cwd()})")
    mass, z, c = _read_hdf5(path) if path.suffix in {".h5", ".hdf5"} else _read_text(path)
    masses, redshifts = np.unique(mass), np.unique(z)
    order = np.lexsort((mass, z))
    full = len(mass) == len(masses) * len(redshifts) and np.array_equal(
        mass[order], np.tile(masses, len(redshifts))
    )
    if not full:
        raise ConfigError(f"{path}: every redshift must have the same masses, each once")
    if not np.all(np.isfinite(c) & (c > 0)) or masses[0] <= 0 or redshifts[0] < 0:
        raise ConfigError(f"{path}: masses and concentrations must be finite and above 0, z not below 0")
    ln_c = np.log(c[order]).reshape(len(redshifts), len(masses))

    def relation(mass_msun: ArrayLike, z: float) -> Array:
        rows = np.array([np.interp(np.log(1.0 + z), np.log(1.0 + redshifts), column) for column in ln_c.T])
        ln_mass = np.log(np.asarray(mass_msun, dtype=float))
        return np.asarray(np.exp(np.interp(ln_mass, np.log(masses), rows)))

    return relation


def _read_text(path: Path) -> tuple[Array, Array, Array]:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    lines = [line for line in lines if not line.lstrip().startswith("#")]
    delimiter = "," if lines and "," in lines[0] else None
    names = [name.strip().strip('"') for name in lines[0].split(delimiter)] if lines else []
    _check_columns(path, names)
    try:
        rows = np.array([[float(cell) for cell in line.split(delimiter)] for line in lines[1:]])
        values = rows.reshape(-1, len(names))
    except ValueError as error:
        raise ConfigError(f"{path}: not a table of numbers: {error}") from None
    if not len(values):
        raise ConfigError(f"{path}: the table has no rows")
    return tuple(values[:, names.index(name)] for name in COLUMNS)  # type: ignore[return-value]


def _read_hdf5(path: Path) -> tuple[Array, Array, Array]:
    from clmassmod.hdf5 import as_floats, columns, open_hdf5

    try:
        with open_hdf5(path) as file:
            there = columns(file, path)
            _check_columns(path, list(there))
            found = [as_floats(there[name], path) for name in COLUMNS]
    except ReaderError as error:
        raise ConfigError(str(error)) from None
    if len({len(column) for column in found}) != 1:
        raise ConfigError(f"{path}: mass_msun, z and concentration must have one length")
    return found[0], found[1], found[2]


def _check_columns(path: Path, names: list[str]) -> None:
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise ConfigError(f"{path}: no column {', '.join(missing)} (found: {', '.join(names) or 'none'})")
