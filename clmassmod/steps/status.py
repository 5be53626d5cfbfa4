"""What a campaign has done, what failed and why, and what repeats just that."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from clmassmod.errors import ConfigError, StoreError
from clmassmod.steps import layout
from clmassmod.steps.lock import running
from clmassmod.steps.markers import marked_states
from clmassmod.steps.paths import Campaign
from clmassmod.store import load_catalog, load_fit

NAMED = 20  # failures that `status` names unless asked for all
FOLLOWS = "no mock of survey"  # how the reason of a fit begins whose mock failed


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
        for record in layout.failure_records(folder):
            try:
                reason = str(json.loads(record.read_text(encoding="utf-8"))["reason"])
            except (ValueError, KeyError, TypeError):
                reason = "the record itself is damaged"
            yield Failure(step, name, record.name.removesuffix(layout.FAILURE), reason, record)


def halo_states(campaign: Campaign, step: str, name: str, folder: Path) -> dict[str, str]:
    """Return how each halo ended in a step: ok, unusable or failed; those still to do are left out.

    Markers say it of finished shards. Files of shards under way are looked into, and those of another
    configuration do not count.
    """
    ids = set(campaign.halo_ids)
    there = {entry.name for entry in layout.entries(folder)}
    marked = {
        h: s
        for h, s in marked_states(campaign, step, name).items()
        if h in ids and h + (layout.FAILURE if s == "failed" else layout.RESULT) in there
    }
    wanted = campaign.hash(step.removesuffix("s"), name)
    states = {}
    for halo_id in ids:
        if halo_id in marked:
            states[halo_id] = marked[halo_id]
        elif halo_id + layout.RESULT in there:
            with suppress(StoreError, OSError):
                states[halo_id] = _verified_state(campaign, step, name, halo_id, wanted)
        elif halo_id + layout.FAILURE in there:
            states[halo_id] = "failed"
    return states


def _verified_state(campaign: Campaign, step: str, name: str, halo_id: str, wanted: str) -> str:
    path = _result(campaign, step, name, halo_id)
    if wanted.encode() not in path.read_bytes():  # ten times as fast as to load it
        raise StoreError(f"{path}: made with another configuration")
    if step == "mocks":
        load_catalog(path, halo_id, wanted)
        return "ok"
    return load_fit(path, halo_id, wanted).status


def _result(campaign: Campaign, step: str, name: str, halo_id: str) -> Path:
    return campaign.mock_file(name, halo_id) if step == "mocks" else campaign.fit_file(name, halo_id)


def status_lines(campaign: Campaign, all_of_them: bool = False) -> list[str]:
    """Return the state of a campaign in lines for the terminal; ``all_of_them``: name every failure."""
    total = campaign.n_halos
    who = running(campaign.folder)
    lines = [f"{campaign.root}: {total} haloes" + (f"; run by {who}" if who is not None else "")]
    unusable: list[str] = []
    for step, name, folder in campaign.halo_folders():
        states = halo_states(campaign, step, name, folder)
        n = Counter(states.values())
        lines.append(
            f"  {step:5s} {name:20s} {n['ok']} done, {n['unusable']} unusable, {n['failed']} failed, "
            f"{total - len(states)} to do"
        )
        unusable += [f"{name} {h}" for h in campaign.halo_ids if states.get(h) == "unusable"]
    if unusable:
        more = f" and {len(unusable) - 3} more" if len(unusable) > 3 else ""
        lines.append(f"unusable, which needs no repeating: {', '.join(unusable[:3])}{more}")
    return lines + _failure_lines(campaign, all_of_them)


def _failure_lines(campaign: Campaign, all_of_them: bool) -> list[str]:
    found = list(failures(campaign))
    own = [f for f in found if not f.reason.startswith(FOLLOWS)]
    shown = own if all_of_them else own[:NAMED]
    shards = {h: shard for shard, members in campaign.members.items() for h in members}
    lines = []
    for failure in shown:
        log = campaign.log_file(failure.step, failure.name, shards.get(failure.halo_id, ""))
        where = f"log: {log}, " if log.is_file() else ""
        lines.append(
            f"failed: {failure.step} {failure.name} {failure.halo_id}: {failure.reason} "
            f"({where}traceback: {failure.record})"
        )
    if len(own) > len(shown):
        lines.append(f"… and {len(own) - len(shown)} more failures; --all names them")
    if len(found) > len(own):
        lines.append(f"{len(found) - len(own)} fits failed because their mocks did")
    if found:
        halos = list(dict.fromkeys(f.halo_id for f in found))
        named = " ".join(["", *halos]) if len(halos) <= NAMED else ""
        lines.append(f"repeat just these: clmassmod retry {campaign.root}{named}")
    return lines


def forget_failures(campaign: Campaign, halo_ids: Sequence[str], dry_run: bool = False) -> list[Failure]:
    """Remove the records of failed haloes, so that the next run repeats just them; return what failed.

    A mock that a fit found damaged is removed with them.

    Parameters
    ----------
    halo_ids : sequence of str
        Just these; empty: all that failed.
    dry_run : bool
        Return them, and remove nothing.

    Raises
    ------
    ConfigError
        Names a halo that the campaign does not have.
    """
    unknown = sorted(set(halo_ids) - set(campaign.halo_ids))
    if unknown:
        raise ConfigError(f"{campaign.root}: no halo {', '.join(unknown)}; see {campaign.halos_file}")
    forgotten = [f for f in failures(campaign) if not halo_ids or f.halo_id in halo_ids]
    for failure in [] if dry_run else forgotten:
        failure.record.unlink(missing_ok=True)
        survey = campaign.survey_of(failure.name) if failure.step == "fits" else None
        if survey is not None:
            mock = campaign.mock_file(survey, failure.halo_id)
            try:
                load_catalog(mock, failure.halo_id, campaign.hash("mock", survey))
            except StoreError:
                mock.unlink(missing_ok=True)
    return forgotten
