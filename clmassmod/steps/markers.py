"""Markers: what says that a shard is done, and whether it still holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
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
    members = campaign.members
    for marker in sorted(folder.glob("*.json")):
        if not _marker_holds(marker, members.get(marker.stem), wanted_hash, present):
            yield marker


def _marker_holds(marker: Path, members: list[str] | None, wanted_hash: str, present: set[str]) -> bool:
    try:
        content = json.loads(marker.read_text(encoding="utf-8"))
        halos = content["halos"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    if content.get("hash") != wanted_hash or members is None or halos.keys() != set(members):
        return False  # the latter where the haloes were put into other shards
    return all(h + (layout.FAILURE if s == "failed" else layout.RESULT) in present for h, s in halos.items())


def marked_states(campaign: Campaign, step: str, name: str) -> dict[str, str]:
    """Return how each halo of the finished shards ended, as the markers of this configuration say."""
    wanted_hash = campaign.hash(step.removesuffix("s"), name)
    states: dict[str, str] = {}
    for marker in (campaign.folder / "markers" / step / name).glob("*.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            content = json.loads(marker.read_text(encoding="utf-8"))
            if content["hash"] == wanted_hash:
                states |= content["halos"]
    return states


def write_marker(
    campaign: Campaign, step: str, name: str, shard: str, config_hash: str, halos: dict[str, str]
) -> None:
    """Say that a shard is done, and how each of its haloes ended."""
    text = json.dumps({"hash": config_hash, "halos": halos}, sort_keys=True)
    write_text(campaign.marker_file(step, name, shard), text)
