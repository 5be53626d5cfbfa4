"""A table of profiles: rows of haloes, or rows of bins; units, checks and the shape noise of the whole."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clmassmod.errors import ReaderError
from clmassmod.readers.common import texts
from clmassmod.readers.table import Column, Table
from clmassmod.readers.units import Unit, parse_unit
from clmassmod.records import Array

if TYPE_CHECKING:
    from clmassmod.readers.profiles import ProfilesOptions

Row = int | slice
_DIMENSIONS = {
    "radius": {"length": 1},
    "delta_sigma": {"mass": 1, "length": -2},
    "g_t": {},
    "weight_delta_sigma": {"mass": -2, "length": 4},
    "weight_g_t": {},
}


class ProfileTable:
    """The profiles of a table.

    Columns (row, bin) hold a halo a row; where the value's column is (row,), each row is a bin, and the
    rows of a halo stand together. Radii may be angles where ``distance_mpc`` gives the angular-diameter
    distance at a redshift.
    """

    def __init__(
        self,
        table: Table,
        options: ProfilesOptions,
        h: float,
        distance_mpc: Callable[[ArrayLike], Array] | None = None,
    ) -> None:
        self.table, self.options, self.h, self._distance_mpc = table, options, h, distance_mpc
        self.path = table.path
        value = self._column("value")
        self.wide = len(value.shape) == 2
        if len(value.shape) not in (1, 2):
            raise ReaderError(
                f"{self.path}: column {value.name!r} has shape {value.shape}, not (halo, bin) or (bin,)"
            )
        row_ids = texts(
            table.column(str(options.columns.halo_id), "simulation.options.columns.halo_id").raw()
        )
        self._check_shapes(value, len(row_ids))
        if self.wide:
            self.ids = row_ids
            self._first = np.arange(len(row_ids))
        else:
            changes = [i for i, v in enumerate(row_ids) if i == 0 or v != row_ids[i - 1]]
            self._first = np.asarray(changes, dtype=int)
            self.ids = [row_ids[i] for i in changes]
        self._n_rows = len(row_ids)

    def _column(self, name: str) -> Column:
        key = getattr(self.options.columns, name)
        return self.table.column(key, f"simulation.options.columns.{name}")

    def _check_shapes(self, value: Column, n_rows: int) -> None:
        for name in ("value", "radius", "cross", "weight", "error", "n_gal"):
            key = getattr(self.options.columns, name)
            if key is None:
                continue
            column = self._column(name)
            common = name == "radius" and self.wide and column.shape == value.shape[1:]
            if column.shape != value.shape and not common:
                raise ReaderError(
                    f"{self.path}: column {column.name!r} has shape {column.shape}, "
                    f"but {value.name!r} has {value.shape}"
                )
        if value.shape[0] != n_rows:
            raise ReaderError(
                f"{self.path}: {value.shape[0]} rows in {value.name!r}, "
                f"{n_rows} in {self.options.columns.halo_id!r}"
            )

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {halo_id: i for i, halo_id in enumerate(self.ids)}

    @property
    def parents(self) -> list[str] | None:
        """Identifiers of parents, (halo,), if the table has them."""
        name = self.options.columns.parent_id
        if name is None:
            return None
        all_rows = texts(self.table.column(name, "simulation.options.columns.parent_id").raw())
        return [all_rows[i] for i in self._first]

    def by_halo(self, name: str | float, purpose: str) -> Array:
        """Return a quantity of haloes, (halo,): of each one's first row, or one number for all."""
        if not isinstance(name, str):
            return np.full(len(self.ids), float(name))
        values = self.table.column(name, purpose).numbers()
        if values.ndim != 1 or values.size != self._n_rows:
            raise ReaderError(f"{self.path}: column {name!r} has shape {values.shape}, not ({self._n_rows},)")
        return np.asarray(values[self._first])

    def row(self, halo_id: str) -> Row:
        """Return where the halo stands."""
        i = self._rows.get(halo_id)
        if i is None:
            raise ReaderError(f"{self.path}: no halo {halo_id!r}")
        if self.wide:
            return i
        end = int(self._first[i + 1]) if i + 1 < self._first.size else self._n_rows
        return slice(int(self._first[i]), end)

    def values(self, name: str | float, row: Row) -> Array:
        """Return a column's values of one halo, or a number as it is."""
        if not isinstance(name, str):
            return np.asarray(float(name))
        return self.table.column(name, "simulation.options.columns").numbers(row)

    def physical(self, name: str, row: Row, z: float) -> Array | None:
        """Return a quantity of one halo in Mpc and Msun, (bin,), or None where the options name no column."""
        if getattr(self.options.columns, name) is None:
            return None
        column = self._column(name)
        values = (
            column.numbers()
            if name == "radius" and self.wide and len(column.shape) == 1
            else column.numbers(row)
        )
        return values if name == "n_gal" else values * self._factor(name, z)

    def _factor(self, name: str, z: ArrayLike) -> Array:
        observable = self.options.observable
        units = self.options.units
        stated = units.radius if name == "radius" else units.weight if name == "weight" else units.value
        kind = name if name == "radius" else f"weight_{observable}" if name == "weight" else observable
        unit = self._unit(name, stated, name == "weight" or (observable == "g_t" and name != "radius"))
        if unit is None:
            return np.asarray(1.0)
        try:
            if name == "radius" and unit.angle and self._distance_mpc is not None:
                return unit.factors(self.h, z, angle=1) * self._distance_mpc(z)
            return unit.factors(self.h, z, **_DIMENSIONS[kind])
        except ReaderError as error:
            raise ReaderError(f"{self.path}: column {self._column(name).name!r}: {error}") from None

    def _unit(self, name: str, stated: str | None, optional: bool) -> Unit | None:
        column = self._column(name)
        text = column.unit if stated is None else stated
        if not text:
            if optional:
                return None
            key = "radius" if name == "radius" else "value"
            raise ReaderError(
                f"{self.path}: column {column.name!r} states no unit; set simulation.options.units.{key}, "
                "such as 'Msun / Mpc2' or 'Mpc/h comoving'"
            )
        try:
            return parse_unit(text)
        except ReaderError as error:
            raise ReaderError(f"{self.path}: column {column.name!r}: {error}") from None

    def check(self) -> None:
        """Look at the whole table: refuse NaN and negative weights or errors, and wrong radii."""
        for name in ("weight", "error"):
            if getattr(self.options.columns, name) is not None:
                column = self._column(name)
                values = column.numbers()
                wrong = ~(np.isfinite(values) & (values >= 0))
                if name == "error":
                    wrong = values <= 0
                self._refuse(
                    wrong, column, "is NaN, infinite or negative" if name == "weight" else "is not above 0"
                )
        radius = self._column("radius")
        values = radius.numbers()
        if values.ndim == len(self._column("value").shape):
            used = self._used()
            self._refuse(used & ~((values > 0) & np.isfinite(values)), radius, "is not above 0")
            value = self._column("value")
            self._refuse(used & np.isinf(value.numbers()), value, "is infinite")
            if self.options.columns.weight is not None:
                self._refuse(used & np.isnan(value.numbers()), value, "is NaN though its weight is not 0")
        weighted = self.options.columns.weight is not None
        for name in ("radius", "value", *(["weight"] if weighted else [])):
            self._factor(name, 0.5)

    def _used(self) -> NDArray[np.bool_]:
        """Return which bins hold galaxies, of the value's shape."""
        if self.options.columns.weight is not None:
            return np.asarray(self._column("weight").numbers() > 0)
        return np.asarray(np.isfinite(self._column("value").numbers()))

    def _refuse(self, wrong: NDArray[np.bool_], column: Column, reason: str) -> None:
        if not wrong.any():
            return
        place = np.argwhere(wrong)[0]
        halo = int(np.searchsorted(self._first, place[0], side="right") - 1)
        where = f"row {place[0]}" + (f", bin {place[1]}" if place.size > 1 else "")
        raise ReaderError(f"{self.path}: column {column.name!r}: {where} (halo {self.ids[halo]!r}) {reason}")

    def check_row(
        self, halo_id: str, radius: Array, value: Array, weight: Array | None, error: Array | None
    ) -> None:
        """Refuse one halo's wrong numbers, where the table changed after it was checked."""
        columns = self.options.columns
        used = np.isfinite(value) if weight is None else weight > 0
        bad = {
            columns.weight: weight is not None and not np.all(np.isfinite(weight) & (weight >= 0)),
            columns.error: error is not None and not np.all(error[used] > 0),
            columns.radius: not np.all(radius[used] > 0),
            columns.value: bool(np.any(np.isinf(value))),
        }
        for name, wrong in bad.items():
            if wrong:
                raise ReaderError(
                    f"{self.path}: column {name!r} of halo {halo_id!r} holds a value that is not allowed"
                )

    def shape_noise(self) -> float:
        """Return the noise of one component, rms of cross * sqrt(weight) over all bins with galaxies."""
        z = self.by_halo(self.options.columns.z, "simulation.options.columns.z")
        cross, weight = self._column("cross").numbers(), self._column("weight").numbers()
        lengths = np.diff(np.append(self._first, self._n_rows))
        z = z[:, np.newaxis] if self.wide else np.repeat(z, lengths)
        used = weight > 0
        scaled = np.square(cross * self._factor("cross", z)) * weight * self._factor("weight", z)
        if np.count_nonzero(used) < 10:
            raise ReaderError(
                f"{self.path}: {np.count_nonzero(used)} bins with galaxies are too few to estimate the shape "
                "noise from; set simulation.options.shape_noise"
            )
        self._refuse(used & ~np.isfinite(cross), self._column("cross"), "is NaN though its weight is not 0")
        return float(np.sqrt(np.mean(scaled[used])))
