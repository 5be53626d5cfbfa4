"""Markers: what says that a shard is done, and whether it still holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from clmassmod.steps import layout
from clmassmod.steps.paths import Campaign
from clmassmod.store import write_text


def stale_markers(campaign: Campaign) -> Iterator[Path]:
    """Yield the markers of shards whose results are gone or belong to another configuration."""
    for step, name, results in campaign.halo_folders():
        yield from _stale(campaign, step, name, results)


def _stale(campaign: Campaign, step: str, name: str, results: Path) -> Iterator[Path]:
    folder = campaign.folder / "markers" / step / name
    if not folder.is_dir():
        return
    wanted_hash = campaign.hash(step.removesuffix("s"), name)
    present = {entry.name for entry in layout.entries(results)}
    known = set(campaign.shards)
    for marker in sorted(folder.glob("*.json")):
        if not (marker.stem in known and _marker_holds(marker, wanted_hash, present)):
            yield marker


def _marker_holds(marker: Path, wanted_hash: str, present: set[str]) -> bool:
    try:
        content = json.loads(marker.read_text(encoding="utf-8"))
        halos = content["halos"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    if content.get("hash") != wanted_hash:
        return False
    return all(h + (layout.FAILURE if s == "failed" else layout.RESULT) in present for h, s in halos.items())


def write_marker(
    campaign: Campaign, step: str, name: str, shard: str, config_hash: str, halos: dict[str, str]
) -> None:
    """Say that a shard is done, and how each of its haloes ended."""
    text = json.dumps({"hash": config_hash, "halos": halos}, sort_keys=True)
    write_text(campaign.marker_file(step, name, shard), text)
