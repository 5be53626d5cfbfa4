"""The steps of single haloes, mock and fit: what a job does for each halo of its shard."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from clmassmod.errors import FitError
from clmassmod.fitters.likelihood import LensModel
from clmassmod.readers.common import open_reader
from clmassmod.records import HaloFit, HaloInfo, LensingMap, ShearProfile, SourceCatalog
from clmassmod.steps import chain
from clmassmod.steps.guard import Guard
from clmassmod.steps.paths import Campaign
from clmassmod.steps.population import save_population
from clmassmod.steps.rows import Rows
from clmassmod.steps.shards import run_shard
from clmassmod.store import check_origin, load_catalog, load_fit, read_tree, save_catalog, save_fit
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
        save_catalog(campaign.mock_file(survey, halo.halo_id), catalog, provenance, flush=False)
        return "ok"

    run_shard(guard, shard, valid, work, report)


def fit_shard(campaign: Campaign, analysis: str, shard: str, report: Callable[[str], None]) -> None:
    """Fit the haloes of a shard with one analysis."""
    inputs = Inputs(campaign)
    guard = Guard(campaign, "fit", analysis)
    config_hash = campaign.hash("fit", analysis)
    provenance = provenance_of(campaign, config_hash)
    fitter = HaloFitter(inputs, analysis)
    rows = Rows([h.halo_id for h in campaign.shard_halos(shard)]) if campaign.shard_size > 1 else None

    def keep(fit: HaloFit) -> str:
        if rows is not None:
            rows.put(fit)
        return fit.status

    def valid(halo_id: str) -> str:
        return keep(load_fit(campaign.fit_file(analysis, halo_id), halo_id, config_hash))

    def work(halo: HaloInfo) -> str:
        fit = fitter.fit(halo)
        guard.check()
        save_fit(campaign.fit_file(analysis, halo.halo_id), fit, provenance, flush=False)
        return keep(fit)

    def finish(halo_ids: Sequence[str]) -> None:
        if rows is not None and halo_ids:
            save_population(campaign.shard_file(analysis, shard), rows.population(halo_ids), provenance)

    run_shard(guard, shard, valid, work, report, finish)


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
        """Return the profile of a catalogue or map, or a profile itself, in the analysis' radial range."""
        config = self.inputs.campaign.config
        analysis = config.analyses[self.analysis]
        return chain.analysis_profile(record, analysis, self.inputs.tables, config.seed)

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
