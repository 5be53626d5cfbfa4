"""What may change under a job: its inputs, its configuration, the run that waits for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import Any

from clmassmod.config import CampaignConfig, Model
from clmassmod.errors import ClmassmodError, InputChangedError, OutdatedError
from clmassmod.steps.lock import check_still_wanted
from clmassmod.steps.paths import Campaign
from clmassmod.steps.sources import files_in, fingerprint, stamp_of

_FROZEN = ("config.yaml", "campaign.json")
_QUICK_SECONDS = 2e-3  # for a look at the inputs before each halo


def check_inputs(campaign: Campaign, files: Iterable[str]) -> None:
    """Raise InputChangedError unless these files are what they were when the campaign was prepared.

    Size and time are compared; where the time alone differs, the content decides.
    """
    for path in files:
        known = campaign.state["fingerprints"][path]
        try:
            stamp = stamp_of(path)
            same = stamp == known["stamp"] or (
                [size for size, _ in stamp] == [size for size, _ in known["stamp"]]
                and fingerprint(path, None)["sha256"] == known["sha256"]
            )
        except OSError as error:
            raise InputChangedError(
                f"{path}: cannot be read any more ({error.strerror or error}); restore it and run again"
            ) from None
        if not same:
            raise InputChangedError(
                f"{path}: changed since this campaign was prepared; nothing of the new file was used. "
                "Restore it, or run snakemake again, which redoes what depends on it"
            )


@dataclass
class Guard:
    """One job of a campaign; ``check`` before each halo, and between a result and its file.

    Attributes
    ----------
    campaign : Campaign
        As the job opened it.
    step, name : str
        mock and survey, fit and analysis …: what ``Campaign.hash`` takes.
    sparse : bool
        Whether the inputs are looked at now and then, and not at every check.
    """

    campaign: Campaign
    step: str
    name: str
    sparse: bool = False
    _seen: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Take the configuration as it is for the one that the job opened a moment ago."""
        self._seen["configuration"] = self._frozen()

    @cached_property
    def files(self) -> list[str]:
        """The files from outside that the step reads, plug-ins included."""
        parts = self._parts(self.campaign.config)
        found = [file for part in parts for file in files_in(part.model_dump(mode="json"))]
        return [file for file in dict.fromkeys(found) if file in self.campaign.state["fingerprints"]]

    def _parts(self, config: CampaignConfig) -> list[Model]:
        if self.step == "mock":
            return [config.simulation, config.surveys[self.name]]
        if self.step == "fit":
            return [config.simulation, config.analyses[self.name]]
        if self.step == "tables":
            return [config.simulation, *config.surveys.values(), *config.analyses.values()]
        if self.step == "bins":
            return list(config.bins.values())
        return [config.simulation, *([] if config.truth is None else [config.truth])]

    def check(self, *, last: bool = False) -> bool:
        """Raise OutdatedError if something changed that the job's results depend on, or nobody wants them.

        A look at the inputs that takes long, at a folder of many files, is repeated in a twentieth of the
        time at most, and then ``sparse`` is true; ``last`` looks in any case, before a job says that it is
        done. Returns whether it looked.
        """
        check_still_wanted(self.campaign.folder)
        self._check_configuration()
        begin = monotonic()
        if not last and begin < self._seen.get("next look", 0.0):
            return False
        stamps = self._stamps()
        if stamps is None or stamps != self._seen.get("stamps"):
            check_inputs(self.campaign, self.files)
            self._seen["stamps"] = stamps
        took = monotonic() - begin
        self.sparse = took > _QUICK_SECONDS
        self._seen["next look"] = begin + (20.0 * took if self.sparse else 0.0)
        return True

    def _stamps(self) -> Any:
        try:
            return [stamp_of(path) for path in self.files]
        except OSError:
            return None  # `check_inputs` says which

    def _check_configuration(self) -> None:
        stamp = self._frozen()
        if stamp == self._seen.get("configuration"):
            return
        try:
            same = Campaign.open(self.campaign.folder).hash(self.step, self.name) == self.campaign.hash(
                self.step, self.name
            )
        except (ClmassmodError, KeyError):
            same = False
        if not same:
            raise OutdatedError(
                f"{self.campaign.folder}: the configuration of {self.step} {self.name} changed while this "
                "job ran; this job ends, run snakemake again"
            )
        self._seen["configuration"] = stamp

    def _frozen(self) -> Any:
        return [_stat(self.campaign.folder / name) for name in _FROZEN]


def _stat(path: Path) -> Any:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
