"""What a campaign has done, what failed and why, and the command that repeats just that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clmassmod.errors import ConfigError
from clmassmod.steps.layout import FAILURE, counts, failure_records
from clmassmod.steps.paths import Campaign


@dataclass(frozen=True)
class Failure:
    """A halo that raised in one step."""

    step: str
    name: str
    halo_id: str
    reason: str
    record: Path


def failures(campaign: Campaign) -> Iterator[Failure]:
    """Yield the recorded failures, in the order of steps and haloes."""
    for step, name, folder in campaign.halo_folders():
        for record in failure_records(folder):
            try:
                reason = str(json.loads(record.read_text(encoding="utf-8"))["reason"])
            except (ValueError, KeyError):
                reason = "the record itself is damaged"
            yield Failure(step, name, record.name.removesuffix(FAILURE), reason, record)


def status_lines(campaign: Campaign) -> list[str]:
    """Return the state of a campaign in lines for the terminal."""
    total = len(campaign.state["halo_ids"])
    lines = [f"{campaign.root}: {total} haloes"]
    for step, name, folder in campaign.halo_folders():
        done, failed = counts(folder)
        lines.append(
            f"  {step:10s} {name:20s} {done} done, {failed} failed, {max(0, total - done - failed)} to do"
        )
    found = list(failures(campaign))
    for failure in found:
        lines.append(
            f"failed: {failure.step} {failure.name} {failure.halo_id}: {failure.reason} "
            f"(record: {failure.record})"
        )
    if found:
        lines.append(f"retry just these: clmassmod retry {campaign.root}, then snakemake again")
    return lines


def forget_failures(campaign: Campaign, halo_ids: list[str]) -> list[str]:
    """Remove the records of failed haloes, so that the next run repeats just them; return their ids.

    Parameters
    ----------
    halo_ids : list of str
        Just these; empty: all that failed.

    Raises
    ------
    ConfigError
        Names a halo that the campaign does not have.
    """
    unknown = sorted(set(halo_ids) - set(campaign.state["halo_ids"]))
    if unknown:
        raise ConfigError(f"{campaign.root}: no halo {', '.join(unknown)}; see {campaign.halos_file}")
    forgotten = []
    for failure in list(failures(campaign)):
        if not halo_ids or failure.halo_id in halo_ids:
            failure.record.unlink(missing_ok=True)
            forgotten.append(failure.halo_id)
    return list(dict.fromkeys(forgotten))
