"""Fits of many haloes as columns, filled a halo or a shard at a time; no list of fits is ever held."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from clmassmod.errors import FitError
from clmassmod.records import HaloFit, HaloInfo


@dataclass(frozen=True)
class Population:
    """Fits of one analysis as columns; arrays are (halo,) and ``ln_like`` is (halo, mass)."""

    mass_definition: str
    mass_msun: np.ndarray
    halo_id: np.ndarray
    parent: np.ndarray
    z: np.ndarray
    status: np.ndarray
    reason: np.ndarray
    ln_like: Mapping[str, np.ndarray]
    summary: Mapping[str, np.ndarray]
    extra: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        """Return the number of haloes."""
        return len(self.halo_id)

    @cached_property
    def _row(self) -> dict[str, int]:
        return {str(h): i for i, h in enumerate(self.halo_id)}

    def rows(self, halo_ids: Iterable[str]) -> np.ndarray:
        """Return the row of each halo."""
        return np.array([self._row[h] for h in halo_ids], dtype=int)

    def fits(self, halo_ids: Iterable[str] | None = None) -> list[HaloFit]:
        """Return the fits of some haloes or all, without their profiles; they are views of the columns."""
        rows = range(len(self)) if halo_ids is None else self.rows(halo_ids)
        return [self._fit(int(i)) for i in rows]

    def _fit(self, i: int) -> HaloFit:
        parent = "" if self.parent[i] == self.halo_id[i] else str(self.parent[i])
        usable = self.status[i] == "ok"
        return HaloFit(
            halo=HaloInfo(str(self.halo_id[i]), float(self.z[i]), parent, Row(self.extra, i)),
            mass_definition=self.mass_definition,
            mass_msun=self.mass_msun,
            ln_like={k: v[i] for k, v in self.ln_like.items()} if usable else {},
            status="ok" if usable else "unusable",
            reason=str(self.reason[i]),
            summary=Row(self.summary, i),
        )

    def table(self) -> dict[str, np.ndarray]:
        """Return one column a quantity, without the likelihoods."""
        columns = {"halo_id": self.halo_id, "parent": self.parent, "z": self.z}
        columns |= {"status": self.status, "reason": self.reason}
        return {**columns, **self.extra, **self.summary}


class Row(Mapping[str, float]):
    """One row of some columns, as a mapping of name to number."""

    __slots__ = ("_columns", "_row")

    def __init__(self, columns: Mapping[str, np.ndarray], row: int) -> None:
        self._columns, self._row = columns, row

    def __getitem__(self, name: str) -> float:
        """Return the number in a column."""
        return float(self._columns[name][self._row])

    def __iter__(self) -> Iterator[str]:
        """Iterate over the columns' names."""
        return iter(self._columns)

    def __len__(self) -> int:
        """Return the number of columns."""
        return len(self._columns)

    def __repr__(self) -> str:
        """Return it as a dictionary looks."""
        return repr(dict(self))


class Rows:
    """A population in the making.

    Parameters
    ----------
    halo_ids : sequence of str
        All haloes that may come, in the order of the rows.
    """

    def __init__(self, halo_ids: Sequence[str]) -> None:
        self._row = {h: i for i, h in enumerate(halo_ids)}
        self._parts: dict[str, dict[str, np.ndarray]] = {"ln_like": {}, "summary": {}, "extra": {}}
        self._texts: dict[str, list[str]] = {k: [""] * len(halo_ids) for k in ("parent", "status", "reason")}
        self._z = np.full(len(halo_ids), np.nan)
        self._first: HaloFit | None = None  # that is usable, if one is

    def put(self, fit: HaloFit) -> None:
        """Take the fit of one halo.

        Raises
        ------
        FitError
            If its masses are not those of the others.
        """
        self._check(fit)
        i = self._row[fit.halo_id]
        texts = {"parent": fit.parent, "status": fit.status, "reason": fit.reason}
        for name, text in texts.items():
            self._texts[name][i] = text
        self._z[i] = fit.z
        for part, values in (("summary", fit.summary), ("extra", fit.halo.extra)):
            for name, value in values.items():
                self._column(part, name, ())[i] = float(value)
        if fit.status == "ok":
            assert self._first is not None
            for definition in self._first.ln_like:
                self._column("ln_like", definition, fit.mass_msun.shape)[i] = fit.ln_like[definition]

    def put_all(self, population: Population, chosen: Sequence[int]) -> None:
        """Take some rows of a population, such as a shard's."""
        i = [self._row[str(population.halo_id[k])] for k in chosen]
        usable = np.flatnonzero(population.status == "ok")
        self._check(population.fits([str(population.halo_id[usable[0] if usable.size else 0])])[0])
        for name, texts in self._texts.items():
            column = getattr(population, name)
            for row, k in zip(i, chosen, strict=True):
                texts[row] = str(column[k])
        self._z[i] = population.z[chosen]
        for part in self._parts:
            for name, values in getattr(population, part).items():
                self._column(part, name, values.shape[1:])[i] = values[chosen]

    def _check(self, fit: HaloFit) -> None:
        first = self._first
        if first is None or (first.status != "ok" and fit.status == "ok"):
            self._first = fit
        elif fit.status == "ok" and not np.array_equal(fit.mass_msun, first.mass_msun):
            raise FitError(
                f"halo {fit.halo_id}: its mass grid differs from that of {first.halo_id}; fit both alike"
            )

    def _column(self, part: str, name: str, shape: tuple[int, ...]) -> np.ndarray:
        columns = self._parts[part]
        if name not in columns:
            columns[name] = np.full((len(self._row), *shape), np.nan)
        return columns[name]

    def population(self, halo_ids: Sequence[str]) -> Population:
        """Return the population of these haloes, all of which were given."""
        assert self._first is not None
        kept = [self._row[h] for h in halo_ids]
        everything = len(kept) == len(self._row)

        def take(values: np.ndarray) -> np.ndarray:
            return values if everything else values[kept]

        def text(name: str) -> np.ndarray:
            return np.array([self._texts[name][i] for i in kept])

        def columns(part: str) -> Mapping[str, np.ndarray]:
            return {name: take(values) for name, values in self._parts[part].items()}

        return Population(
            mass_definition=self._first.mass_definition,
            mass_msun=self._first.mass_msun,
            halo_id=np.array(list(halo_ids)),
            parent=text("parent"),
            z=take(self._z),
            status=text("status"),
            reason=text("reason"),
            ln_like=columns("ln_like"),
            summary=columns("summary"),
            extra=columns("extra"),
        )
