"""All fits of an analysis in one file, so that each gather reads one file and not one a halo."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from clmassmod.errors import FitError, StoreError
from clmassmod.steps import layout
from clmassmod.steps.paths import Campaign
from clmassmod.steps.rows import Population, Rows
from clmassmod.store import check_item, check_origin, load_fit, open_tree, read_group, room_of, write_tree

BLOCK = 4096  # rows of the likelihoods that are read at once


def gather_population(campaign: Campaign, analysis: str) -> tuple[Population, list[dict[str, str]]]:
    """Read every fit of an analysis; return the population and the records of failed haloes.

    The fits of a shard are read from the shard's own file where that is there and right; the others, and
    those of shards of one halo, from the haloes' files.

    Raises
    ------
    FitError
        If more haloes failed than ``allow_missing``; the message names them and what retries them.
    StoreError
        If a file is damaged, or missing without a record.
    """
    present = {entry.name for entry in layout.entries(campaign.folder / "fits" / analysis)}
    config_hash = campaign.hash("fit", analysis)
    rows = Rows(campaign.halo_ids)
    done: list[str] = []
    failed: list[dict[str, str]] = []
    for shard, members in _shards(campaign):
        known = _put_shard(campaign, analysis, shard, members, rows, present)
        for halo_id in members:
            if halo_id in known:
                done.append(halo_id)
            elif halo_id + layout.RESULT in present or halo_id + layout.FAILURE not in present:
                rows.put(load_fit(campaign.fit_file(analysis, halo_id), halo_id, config_hash))
                done.append(halo_id)
            else:
                record = campaign.failure_file("fits", analysis, halo_id)
                failed.append({"halo_id": halo_id, "reason": _reason(record)})
    allowed = campaign.config.allow_missing
    if len(failed) > allowed:
        named = "; ".join(f"{f['halo_id']} ({f['reason']})" for f in failed[:3])
        more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""
        raise FitError(
            f"analysis {analysis}: {len(failed)} of {len(done) + len(failed)} haloes failed, "
            f"allow_missing is {allowed}: {named}{more}; see `clmassmod status {campaign.root}`, "
            f"retry just them with `clmassmod retry {campaign.root}`"
        )
    if not done:
        raise FitError(f"analysis {analysis}: no halo was fitted")
    return rows.population(done), failed


def _shards(campaign: Campaign) -> Iterator[tuple[str, list[str]]]:
    size = campaign.shard_size
    for i, shard in enumerate(campaign.shards):
        yield shard, campaign.halo_ids[i * size : (i + 1) * size]


def _put_shard(
    campaign: Campaign, analysis: str, shard: str, members: list[str], rows: Rows, present: set[str]
) -> set[str]:
    """Take what a shard's own file says of haloes whose files are there; return their ids."""
    if campaign.shard_size == 1:
        return set()
    with suppress(StoreError):
        population = load_population(campaign.shard_file(analysis, shard), campaign.hash("fit", analysis))
        wanted = set(members)
        ids = [str(h) for h in population.halo_id]
        chosen = [k for k, h in enumerate(ids) if h in wanted and h + layout.RESULT in present]
        if chosen:
            rows.put_all(population, chosen)
        return {ids[k] for k in chosen}
    return set()


def _reason(record: Path) -> str:
    try:
        return str(json.loads(record.read_text(encoding="utf-8"))["reason"])
    except (ValueError, KeyError) as error:
        raise StoreError(f"{record}: damaged ({error}); remove it and run again") from None


def save_population(path: Path, population: Population, provenance: Mapping[str, Any]) -> None:
    """Write a population."""
    tree = {k: getattr(population, k) for k in Population.__dataclass_fields__}
    write_tree(path, "population", tree, provenance)


def load_population(
    path: Path,
    config_hash: str | None = None,
    halo_ids: Sequence[str] | None = None,
    definitions: Sequence[str] | None = None,
) -> Population:
    """Return a population, or a part of it; the file is verified as a whole and never held as a whole.

    Parameters
    ----------
    path
    config_hash
        What the file must have been made with, if given.
    halo_ids
        Just these haloes, in this order; None: all.
    definitions
        Likelihoods of these mass definitions alone, where they are held; None: of all.

    Raises
    ------
    StoreError
        If the file is damaged, or holds something else.
    """
    with open_tree(path, "population") as file:
        tree = read_group(file, path, leave=("ln_like",))
        check_origin(path, tree.pop("provenance"), {"config_hash": config_hash})
        rows = None
        if halo_ids is not None:
            place = {str(h): i for i, h in enumerate(tree["halo_id"])}
            rows = np.array([place[h] for h in halo_ids], dtype=int)
        room = room_of(file)
        stored = check_item(file, "ln_like", path, room)
        wanted = [name for name in stored if definitions is None or name in definitions]
        ln_like = {name: _read_rows(check_item(stored, name, path, room, 1), rows) for name in wanted}
    if rows is not None:
        tree = {name: _take(value, rows) for name, value in tree.items() if name != "mass_msun"} | {
            "mass_msun": tree["mass_msun"]
        }
    return Population(**{"summary": {}, "extra": {}, **tree}, ln_like=ln_like)


def _take(value: Any, rows: np.ndarray) -> Any:
    if isinstance(value, dict):
        return {name: _take(part, rows) for name, part in value.items()}
    return value[rows] if isinstance(value, np.ndarray) else value


def _read_rows(stored: Any, rows: np.ndarray | None) -> np.ndarray:
    """Return rows of a dataset (halo, mass), read a block at a time."""
    if rows is None:
        return np.asarray(stored[()])
    values = np.empty((len(rows), *stored.shape[1:]), dtype=stored.dtype)
    for start in range(0, stored.shape[0], BLOCK):
        inside = np.flatnonzero((rows >= start) & (rows < start + BLOCK))
        if inside.size:
            values[inside] = stored[start : start + BLOCK][rows[inside] - start]
    return values
