"""All fits of an analysis in one file, so that each gather reads one file and not one a halo."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from clmassmod.errors import FitError, StoreError
from clmassmod.records import HaloFit, HaloInfo
from clmassmod.steps.paths import Campaign
from clmassmod.store import check_origin, load_fit, read_tree, write_tree


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

    @cached_property
    def _row(self) -> dict[str, int]:
        return {str(h): i for i, h in enumerate(self.halo_id)}

    def rows(self, halo_ids: Iterable[str]) -> np.ndarray:
        """Return the row of each halo."""
        return np.array([self._row[h] for h in halo_ids], dtype=int)

    def fits(self, halo_ids: Iterable[str]) -> list[HaloFit]:
        """Return the fits of some haloes, without their profiles."""
        return [self._fit(i) for i in self.rows(halo_ids)]

    def _fit(self, i: int) -> HaloFit:
        extra = {k: float(v[i]) for k, v in self.extra.items()}
        parent = "" if self.parent[i] == self.halo_id[i] else str(self.parent[i])
        usable = self.status[i] == "ok"
        return HaloFit(
            halo=HaloInfo(str(self.halo_id[i]), float(self.z[i]), parent, MappingProxyType(extra)),
            mass_definition=self.mass_definition,
            mass_msun=self.mass_msun,
            ln_like={k: v[i] for k, v in self.ln_like.items()} if usable else {},
            status="ok" if usable else "unusable",
            reason=str(self.reason[i]),
            summary={k: float(v[i]) for k, v in self.summary.items()},
        )

    def table(self) -> dict[str, np.ndarray]:
        """Return one column a quantity, without the likelihoods."""
        columns = {"halo_id": self.halo_id, "parent": self.parent, "z": self.z}
        columns |= {"status": self.status, "reason": self.reason}
        return {**columns, **self.extra, **self.summary}


def gather_population(campaign: Campaign, analysis: str) -> tuple[Population, list[dict[str, str]]]:
    """Read every fit of an analysis; return the population and the records of failed haloes.

    Raises
    ------
    FitError
        If more haloes failed than ``allow_missing``; the message names them and what retries them.
    StoreError
        If a file is damaged, or missing without a record.
    """
    config_hash = campaign.hash("fit", analysis)
    fits: list[HaloFit] = []
    failed: list[dict[str, str]] = []
    for halo_id in campaign.state["halo_ids"]:
        record = campaign.failure_file("fits", analysis, halo_id)
        path = campaign.fit_file(analysis, halo_id)
        if path.is_file() or not record.is_file():
            fits.append(load_fit(path, halo_id, config_hash))
        else:
            failed.append({"halo_id": halo_id, "reason": _reason(record)})
    allowed = campaign.config.allow_missing
    if len(failed) > allowed:
        named = "; ".join(f"{f['halo_id']} ({f['reason']})" for f in failed[:3])
        more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""
        raise FitError(
            f"analysis {analysis}: {len(failed)} of {len(fits) + len(failed)} haloes failed, "
            f"allow_missing is {allowed}: {named}{more}; see `clmassmod status {campaign.root}`, "
            f"retry just them with `clmassmod retry {campaign.root}`"
        )
    if not fits:
        raise FitError(f"analysis {analysis}: no halo was fitted")
    return _columns(fits), failed


def _reason(record: Path) -> str:
    try:
        return str(json.loads(record.read_text(encoding="utf-8"))["reason"])
    except (ValueError, KeyError) as error:
        raise StoreError(f"{record}: damaged ({error}); remove it and run again") from None


def _columns(fits: list[HaloFit]) -> Population:
    usable = [f for f in fits if f.status == "ok"]
    first = usable[0] if usable else fits[0]
    for fit in usable:
        if not np.array_equal(fit.mass_msun, first.mass_msun):
            raise FitError(
                f"halo {fit.halo_id}: its mass grid differs from that of {first.halo_id}; fit both alike"
            )
    n_mass = len(first.mass_msun)
    ln_like = {}
    for definition in first.ln_like:
        rows = [f.ln_like[definition] if f.status == "ok" else np.full(n_mass, np.nan) for f in fits]
        ln_like[definition] = np.array(rows)
    return Population(
        mass_definition=first.mass_definition,
        mass_msun=first.mass_msun,
        halo_id=np.array([f.halo_id for f in fits]),
        parent=np.array([f.parent for f in fits]),
        z=np.array([f.z for f in fits]),
        status=np.array([f.status for f in fits]),
        reason=np.array([f.reason for f in fits]),
        ln_like=ln_like,
        summary=_mapping_columns([f.summary for f in fits]),
        extra=_mapping_columns([f.halo.extra for f in fits]),
    )


def _mapping_columns(mappings: list[Mapping[str, float]]) -> dict[str, np.ndarray]:
    names = dict.fromkeys(name for m in mappings for name in m)
    return {n: np.array([float(m.get(n, np.nan)) for m in mappings]) for n in names}


def save_population(path: Path, population: Population, provenance: Mapping[str, Any]) -> None:
    """Write a population."""
    tree = {k: getattr(population, k) for k in Population.__dataclass_fields__}
    write_tree(path, "population", tree, provenance)


def load_population(path: Path, config_hash: str | None = None) -> Population:
    """Return a population; StoreError if the file is damaged, or of another configuration than asked."""
    tree = read_tree(path, "population")
    check_origin(path, tree.pop("provenance"), {"config_hash": config_hash})
    return Population(**tree)
