"""Observing conditions of real clusters, given to each halo."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clmassmod.config.sources import Conditions
from clmassmod.errors import ConfigError, ReaderError
from clmassmod.mock.files import cached_file

_COLUMNS = ("cluster", "zcluster", "ndensity", "beta", "core", "coreindex", "xi")


@dataclass(frozen=True)
class Observation:
    """How one real cluster was observed."""

    cluster: str
    z: float
    density_per_arcmin2: float | None
    beta: float  # mean of D_ls / D_s
    core_arcmin: float
    xi: float  # significance of the SZ detection

    @property
    def observables(self) -> dict[str, float]:
        """What centre models may ask for."""
        return {"core_arcmin": self.core_arcmin, "xi": self.xi}


@cached_file("conditions.path")
def read_conditions(path: str) -> tuple[Observation, ...]:
    """Return the rows of a list; its first line, after #, names the columns.

    Densities of 0 or less mean that the survey's own holds; cores of 0 or less are (coreindex + 1) / 4
    arcmin.

    Raises
    ------
    ReaderError
        Names file, row and column.
    """
    lines = [line for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip()]
    names = lines[0].lstrip("# ").split() if lines else []
    missing = [name for name in _COLUMNS if name not in names]
    if missing:
        raise ReaderError(
            f"{path}: the first line names no column {missing[0]!r} (it must have {' '.join(_COLUMNS)})"
        )
    found = []
    for number, line in enumerate(lines[1:]):
        row = dict(zip(names, line.split(), strict=False))
        try:
            z, density, beta, core, index, xi = (float(row[name]) for name in _COLUMNS[1:])
        except (KeyError, ValueError):
            raise ReaderError(
                f"{path}: row {number}: {line.strip()[:60]!r} does not fit the columns"
            ) from None
        if not (z > 0 and 0 < beta < 1 and xi > 0):
            raise ReaderError(
                f"{path}: row {number}: zcluster and xi must be above 0 and beta between 0 and 1"
            )
        core = core if core > 0 else 0.25 * (index + 1.0)
        found.append(Observation(row["cluster"], z, density if density > 0 else None, beta, core, xi))
    if not found:
        raise ReaderError(f"{path}: holds no cluster")
    return tuple(found)


def choose(conditions: Conditions, rng: np.random.Generator) -> Observation:
    """Return the observation of the named cluster, or of one drawn for this halo."""
    rows = read_conditions(conditions.path)
    if conditions.cluster is None:
        return rows[int(rng.integers(len(rows)))]
    for row in rows:
        if row.cluster == conditions.cluster:
            return row
    known = ", ".join(row.cluster for row in rows)
    raise ConfigError(f"conditions.cluster: {conditions.path} has no {conditions.cluster!r} (known: {known})")
