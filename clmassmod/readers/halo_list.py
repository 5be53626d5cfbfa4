"""Lists of halo masses, as simulations publish them: identifier, mass, concentration, redshift."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from pydantic import Field

from clmassmod.config import Model
from clmassmod.cosmology import Cosmology
from clmassmod.errors import ReaderError
from clmassmod.readers.common import check_cosmology, texts
from clmassmod.readers.table import open_table
from clmassmod.readers.units import parse_unit


class ListColumns(Model):
    """Columns of a list of haloes (simulation.path); values of -1 and 0 mean not known."""

    halo_id: str = Field("id", description="identifier")
    mass: str = Field("m200", description="true mass")
    mass_unit: str | None = Field(None, description="null: 'Msun/h' if the file's comment says so, or Msun")
    concentration: str | None = Field("concen", description="null or not known: from the relation")
    z: str = Field("redshift", description="redshift of the halo")
    z_decimals: int | None = Field(
        6, ge=0, le=12, description="redshifts of one snapshot may differ in the last digits"
    )
    parent_separator: str | None = Field("_", description="an id is parent, separator, projection")
    check_cosmology: bool = Field(True, description="refuse a list that was made with another cosmology")


class HaloList:
    """A list of haloes; those of unknown mass are left out and counted in ``n_unknown``."""

    def __init__(self, path: Path, columns: ListColumns, cosmology: Cosmology) -> None:
        table = open_table(path)
        if columns.check_cosmology:
            check_cosmology(table.attributes, cosmology, path)
        ids = texts(table.column(columns.halo_id, "simulation.options.columns.halo_id").raw())
        column = table.column(columns.mass, "simulation.options.columns.mass")
        mass = column.numbers()
        z = table.column(columns.z, "simulation.options.columns.z").numbers()
        concentration = np.zeros(len(ids))
        if columns.concentration is not None and table.has(columns.concentration):
            concentration = table.columns[columns.concentration].numbers()
        known = mass > 0
        if not known.any():
            raise ReaderError(f"{path}: column {columns.mass!r} knows no mass")
        unit = columns.mass_unit or column.unit or ("Msun/h" if _says_per_h(path) else "Msun")
        factor = parse_unit(unit).to_internal(cosmology.h, 0.0, mass=1)
        self.n_unknown = int(np.count_nonzero(~known))
        self.ids = [i for i, k in zip(ids, known, strict=True) if k]
        self.mass_msun = mass[known] * factor
        self.z = z[known] if columns.z_decimals is None else np.round(z[known], columns.z_decimals)
        self.concentration = np.nan_to_num(concentration[known])
        mark = columns.parent_separator
        self.parents = [i.rpartition(mark)[0] if mark and mark in i else "" for i in self.ids]


def _says_per_h(path: Path) -> bool:
    """Return whether the comment at the head of a text table gives masses in Msun/h."""
    if path.suffix.lower() not in (".csv", ".txt", ".dat"):
        return False
    with path.open(encoding="utf-8") as handle:
        first = handle.readline()
    return (
        first.startswith("#")
        and re.search(r"m(sun|sol)\s*/\s*h|h\^?-1\s*msun", first, re.IGNORECASE) is not None
    )
