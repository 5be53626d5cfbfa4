"""The steps of single haloes, mock and fit: a shard of haloes, one file each, nothing lost.

Within a shard every halo whose file is valid is left alone. A halo that raises is recorded beside its
would-be file and the others go on; what concerns the machine rather than the halo (disk full, memory)
ends the job, which the workflow repeats.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from clmassmod.errors import ClmassmodError, FitError, OutdatedError, StoreError
from clmassmod.fitters.likelihood import LensModel
from clmassmod.readers.common import open_reader
from clmassmod.records import HaloFit, HaloInfo, LensingMap, ShearProfile, SourceCatalog
from clmassmod.steps import chain
from clmassmod.steps.campaign import read_halos, shard_members
from clmassmod.steps.guard import Guard
from clmassmod.steps.markers import write_marker
from clmassmod.steps.paths import Campaign
from clmassmod.store import (
    check_origin,
    load_catalog,
    load_fit,
    read_tree,
    save_catalog,
    save_fit,
    write_text,
)
from clmassmod.tables import Tables


@dataclass(frozen=True)
class Inputs:
    """What all haloes of a job share, opened when first needed."""

    campaign: Campaign
    survey: str | None = None  # that sees the haloes, if one does

    @cached_property
    def _tree(self) -> dict[str, Any]:
        path = self.campaign.tables_file
        tree = read_tree(path, "tables")
        check_origin(path, tree["provenance"], {"config_hash": self.campaign.hash("tables")})
        return tree

    @cached_property
    def tables(self) -> Tables:
        """Distances, concentrations and the like."""
        return Tables(self._tree["tables"])

    @cached_property
    def prepared(self) -> dict[str, Any]:
        """What the reader computed once."""
        of_surveys = self._tree.get("reader_of", {})
        return dict(of_surveys.get(self.survey or "", self._tree.get("reader", {})))

    @cached_property
    def reader(self) -> Any:
        """The reader of the simulation."""
        config = self.campaign.config
        return open_reader(config.simulation_of(self.survey), config.cosmology.build(), config.seed)

    def read(self, halo: HaloInfo) -> Any:
        """Return what the simulation holds of one halo: a map, a field, a catalogue or a profile."""
        return self.reader.read(halo, self.tables, self.prepared)


def mock_shard(campaign: Campaign, survey: str, shard: str, report: Callable[[str], None]) -> None:
    """Observe the haloes of a shard with one survey."""
    inputs = Inputs(campaign, survey)
    guard = Guard(campaign, "mock", survey)
    config_hash = campaign.hash("mock", survey)
    provenance = provenance_of(campaign, config_hash)

    def valid(halo_id: str) -> str:
        load_catalog(campaign.mock_file(survey, halo_id), halo_id, config_hash)
        return "ok"

    def work(halo: HaloInfo) -> str:
        catalog = mock_halo(inputs, survey, halo)
        guard.check()
        save_catalog(campaign.mock_file(survey, halo.halo_id), catalog, provenance)
        return "ok"

    _run(guard, ("mocks", survey, shard, config_hash), valid, work, report)


def fit_shard(campaign: Campaign, analysis: str, shard: str, report: Callable[[str], None]) -> None:
    """Fit the haloes of a shard with one analysis."""
    inputs = Inputs(campaign)
    guard = Guard(campaign, "fit", analysis)
    config_hash = campaign.hash("fit", analysis)
    provenance = provenance_of(campaign, config_hash)
    fitter = HaloFitter(inputs, analysis)

    def valid(halo_id: str) -> str:
        return load_fit(campaign.fit_file(analysis, halo_id), halo_id, config_hash).status

    def work(halo: HaloInfo) -> str:
        fit = fitter.fit(halo)
        guard.check()
        save_fit(campaign.fit_file(analysis, halo.halo_id), fit, provenance)
        return fit.status

    _run(guard, ("fits", analysis, shard, config_hash), valid, work, report)


def mock_halo(inputs: Inputs, survey: str, halo: HaloInfo) -> SourceCatalog:
    """Return the catalogue of one halo as a survey would see it; the inputs are those of the survey."""
    config = inputs.campaign.config
    settings = config.surveys[survey]
    draws = settings.draws_of or survey
    return chain.mock_catalog(inputs.read(halo), settings, draws, inputs.tables, config.seed)


@dataclass(frozen=True)
class HaloFitter:
    """One analysis, ready to fit any of the campaign's haloes."""

    inputs: Inputs
    analysis: str

    @cached_property
    def model(self) -> LensModel:
        """The lens model, shared by all haloes."""
        return chain.lens_model(self.inputs.campaign.config.analyses[self.analysis], self.inputs.tables)

    @cached_property
    def _mock_hash(self) -> str:
        campaign = self.inputs.campaign
        return campaign.hash("mock", campaign.survey_of(self.analysis) or "")

    def profile(self, halo: HaloInfo) -> ShearProfile:
        """Return the profile of one halo, from its mock or as the simulation holds it."""
        campaign = self.inputs.campaign
        config = campaign.config.analyses[self.analysis]
        if config.survey is None:
            return self.measure(self.inputs.read(halo))
        return self.measure(self._mock(config.survey, halo.halo_id))

    def _mock(self, survey: str, halo_id: str) -> SourceCatalog:
        campaign = self.inputs.campaign
        failed = campaign.failure_file("mocks", survey, halo_id)
        if failed.is_file():
            reason = json.loads(failed.read_text(encoding="utf-8"))["reason"]
            raise FitError(f"no mock of survey {survey}: {reason}")
        return load_catalog(campaign.mock_file(survey, halo_id), halo_id, self._mock_hash)

    def measure(self, record: LensingMap | SourceCatalog | ShearProfile) -> ShearProfile:
        """Return the profile of a catalogue, or a profile itself, in the analysis' radial range."""
        analysis = self.inputs.campaign.config.analyses[self.analysis]
        return chain.analysis_profile(record, analysis, self.inputs.tables)

    def fit(self, halo: HaloInfo) -> HaloFit:
        """Return the fit of one halo."""
        return self.fit_profile(self.profile(halo))

    def fit_profile(self, profile: ShearProfile) -> HaloFit:
        """Return the fit of one profile."""
        config = self.inputs.campaign.config
        return chain.fit_profiles(
            profile, self.model, config.analyses[self.analysis], self.analysis, config.seed
        )


def provenance_of(campaign: Campaign, config_hash: str) -> dict[str, Any]:
    """Return what every result file says of its origin."""
    return chain.provenance(campaign.config.campaign, config_hash, campaign.config.seed)


def _run(
    guard: Guard,
    job: tuple[str, str, str, str],
    valid: Callable[[str], str],
    work: Callable[[HaloInfo], str],
    report: Callable[[str], None],
) -> None:
    campaign = guard.campaign
    step, name, shard, config_hash = job
    members = shard_members(campaign, shard)
    states: dict[str, str] = {}
    for halo_id in members:
        with suppress(StoreError):
            states[halo_id] = valid(halo_id)
    for halo in read_halos(campaign, _without(members, states)):
        guard.check()
        with suppress(StoreError):  # made meanwhile, by a job of a run that was killed
            states[halo.halo_id] = valid(halo.halo_id)
            continue
        record = campaign.failure_file(step, name, halo.halo_id)
        try:
            states[halo.halo_id] = work(halo)
        except (OSError, MemoryError, OutdatedError):
            raise  # the machine's fault, not the halo's: the workflow repeats the job
        except Exception as error:
            guard.check()  # nor is it the halo's fault when its file changes under the reader
            states[halo.halo_id] = "failed"
            # a result of an older configuration must not be taken for this one's
            (record.parent / f"{halo.halo_id}.h5").unlink(missing_ok=True)
            write_text(record, _failure(halo.halo_id, step, error, config_hash))
            report(f"halo {halo.halo_id} failed: {_reason(error)}")
        else:
            record.unlink(missing_ok=True)
    write_marker(campaign, step, name, shard, config_hash, {h: states[h] for h in members})


def _without(members: Iterable[str], states: dict[str, str]) -> list[str]:
    return [h for h in members if h not in states]


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
