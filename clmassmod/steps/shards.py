"""One job: the haloes of a shard, one after the other, each with its own file, nothing lost.

Every halo whose file is valid is left alone. A halo that raises is recorded beside its would-be file and the
others go on; what concerns the machine rather than the halo (disk full, memory) ends the job, which the
workflow repeats. The files reach the disk together, before the marker that says so.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic

from clmassmod.errors import ClmassmodError, InputChangedError, OutdatedError, StoreError
from clmassmod.records import HaloInfo
from clmassmod.steps.guard import Guard
from clmassmod.steps.markers import write_marker
from clmassmod.store import sync_files, write_text

Report = Callable[[str], None]
STEPS = {"mock": "mocks", "fit": "fits"}  # of a guard, to its folder
PROGRESS_SECONDS = 20.0


@dataclass
class Progress:
    """Lines for a job's log, one in many seconds: how far it is, and how long it will take."""

    total: int
    report: Report
    clock: Callable[[], float] = monotonic
    _done: int = 0
    _start: float = field(init=False)
    _said: float = field(init=False)

    def __post_init__(self) -> None:
        """Start the clock."""
        self._start = self._said = self.clock()

    def advance(self) -> None:
        """Count one more halo."""
        self._done += 1
        now = self.clock()
        if now - self._said >= PROGRESS_SECONDS and self._done < self.total:
            left = (now - self._start) / self._done * (self.total - self._done)
            self.report(f"{self._done} of {self.total} haloes, {_duration(left)} left")
            self._said = now


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def run_shard(
    guard: Guard,
    shard: str,
    valid: Callable[[str], str],
    work: Callable[[HaloInfo], str],
    report: Report,
    finish: Callable[[Sequence[str]], None] | None = None,
) -> None:
    """Do what is missing of a shard and write its marker.

    Parameters
    ----------
    guard : Guard
        Of the campaign, and of the step and the survey or analysis.
    shard : str
    valid : callable
        Takes a halo's id, returns how it ended before; raises StoreError without a right file.
    work : callable
        Makes a halo's file and returns how it ended.
    report : callable
        Takes a line of the log.
    finish : callable, optional
        Takes the ids of the haloes that have a file, when all are there and before the marker is.
    """
    campaign, step, name = guard.campaign, STEPS[guard.step], guard.name
    halos = campaign.shard_halos(shard)
    states: dict[str, str] = {}
    for halo in halos:
        with suppress(StoreError):
            states[halo.halo_id] = valid(halo.halo_id)
    missing = [halo for halo in halos if halo.halo_id not in states]
    progress = Progress(len(missing), report)
    unsure: list[str] = []  # made since the inputs were last seen unchanged
    try:
        for halo in missing:
            if guard.check():
                unsure.clear()
            try:
                # made meanwhile, by a job of a run that was killed
                states[halo.halo_id] = valid(halo.halo_id)
            except StoreError:
                if guard.sparse:
                    unsure.append(halo.halo_id)
                states[halo.halo_id] = _do(guard, halo, work, report)
            progress.advance()
        guard.check(last=True)
    except InputChangedError:
        for halo_id in unsure:
            campaign.halo_file(step, name, halo_id).unlink(missing_ok=True)
        raise
    done = [halo.halo_id for halo in halos if states[halo.halo_id] != "failed"]
    sync_files([campaign.halo_file(step, name, halo_id) for halo_id in done])
    if finish is not None:
        finish(done)
    config_hash = campaign.hash(guard.step, name)
    write_marker(campaign, step, name, shard, config_hash, {h.halo_id: states[h.halo_id] for h in halos})


def _do(guard: Guard, halo: HaloInfo, work: Callable[[HaloInfo], str], report: Report) -> str:
    campaign, step, name = guard.campaign, STEPS[guard.step], guard.name
    record = campaign.failure_file(step, name, halo.halo_id)
    try:
        state = work(halo)
    except (OSError, MemoryError, OutdatedError):
        raise  # the machine's fault, not the halo's: the workflow repeats the job
    except Exception as error:
        guard.check()  # nor is it the halo's fault when its file changes under the reader
        # a result of an older configuration must not be taken for this one's
        campaign.halo_file(step, name, halo.halo_id).unlink(missing_ok=True)
        write_text(record, _failure(halo.halo_id, step, error, campaign.hash(guard.step, name)))
        report(f"halo {halo.halo_id} failed: {_reason(error)}")
        return "failed"
    record.unlink(missing_ok=True)
    return state


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, ClmassmodError) else f"{type(error).__name__}: {error}"


def _failure(halo_id: str, step: str, error: Exception, config_hash: str) -> str:
    content = {
        "halo_id": halo_id,
        "step": step,
        "reason": _reason(error),
        "traceback": "".join(traceback.format_exception(error)),
        "config_hash": config_hash,
    }
    return json.dumps(content, indent=1, sort_keys=True)
