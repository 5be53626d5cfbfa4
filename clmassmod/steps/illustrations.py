"""What the report shows beside the results: example haloes on the sky, mean profiles of bins, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from clmassmod.bias.statistics import Calibration, calibration
from clmassmod.core.fields import MapField
from clmassmod.core.units import ARCMIN_RAD
from clmassmod.errors import ClmassmodError, FitError
from clmassmod.fitters.likelihood import LensModel
from clmassmod.posterior import Posterior
from clmassmod.records import HaloFit, LensingMap, SourceCatalog
from clmassmod.report.binprofiles import MOST_STACKED, bin_profile
from clmassmod.report.inputs import BinProfile, Scene
from clmassmod.steps import chain
from clmassmod.steps.halos import Inputs
from clmassmod.steps.listing import read_halos
from clmassmod.steps.paths import Campaign
from clmassmod.steps.rows import Population
from clmassmod.store import load_catalog, load_fit

MOST_SCENES = 3  # examples with a map and a catalogue, which are the heavy pictures
MOST_CALIBRATED = 3000  # haloes of a bin
_PIXELS, _SUB = 80, 3  # of a map along a side, and samples of each


@dataclass(frozen=True)
class Illustrations:
    """Reads what the figures of a campaign's analyses need; the tables and the reader are opened once."""

    campaign: Campaign

    @cached_property
    def _inputs(self) -> Inputs:
        return Inputs(self.campaign)

    def scenes(self, analysis: str, examples: Sequence[HaloFit]) -> dict[str, Scene]:
        """Return what the first of the examples look like, those that can still be read."""
        found = {}
        for fit in examples[:MOST_SCENES]:
            scene = self._scene(analysis, fit)
            if scene.kappa_inf is not None or len(scene.x_mpc):
                found[fit.halo_id] = scene
        return found

    def _scene(self, analysis: str, fit: HaloFit) -> Scene:
        rings = self.campaign.config.analyses[analysis].radius_mpc
        survey = self.campaign.survey_of(analysis)
        record = self._record(fit.halo_id)
        catalogue = record if survey is None else self._mock(survey, fit.halo_id)
        scene = Scene(fit.halo_id, survey or "", 1.25 * rings[1], rings)
        if isinstance(catalogue, SourceCatalog):
            scene = _with_catalogue(scene, catalogue)
        if record is not None and (isinstance(record, LensingMap) or hasattr(record, "covers")):
            scene = replace(scene, kappa_inf=_convergence(scene, record))
        return scene

    def _record(self, halo_id: str) -> Any:
        """Return what the simulation holds of a halo; None if its files are no longer there."""
        try:
            (halo,) = read_halos(self.campaign.halos_file, [halo_id])
            return self._inputs.read(halo)
        except (ClmassmodError, OSError):
            return None

    def _mock(self, survey: str, halo_id: str) -> SourceCatalog | None:
        try:
            return load_catalog(self.campaign.mock_file(survey, halo_id), halo_id)
        except (ClmassmodError, OSError):
            return None

    def profiles(
        self, analysis: str, population: Population, bins: Mapping[str, Posterior], members: Mapping[str, Any]
    ) -> dict[str, BinProfile]:
        """Return the mean profile of each bin that has an ensemble, with the ensemble's prediction."""
        model = self._model(analysis)
        usable = set(population.halo_id[population.status == "ok"])
        loaded: dict[str, HaloFit] = {}
        found = {}
        for label, posterior in bins.items():
            ids = [h for h in members[label] if h in usable]
            chosen = spread(ids, MOST_STACKED)
            for halo_id in chosen:
                if halo_id not in loaded:
                    loaded[halo_id] = load_fit(self.campaign.fit_file(analysis, halo_id), halo_id)
            profiles = [p for h in chosen if (p := loaded[h].profile) is not None]
            profile = bin_profile(profiles, model, posterior, len(ids)) if profiles else None
            if profile is not None:
                found[label] = profile
        return found

    def _model(self, analysis: str) -> LensModel:
        return chain.lens_model(self.campaign.config.analyses[analysis], self._inputs.tables)

    def calibrations(
        self,
        analysis: str,
        population: Population,
        comparisons: Mapping[str, Posterior],
        members: Mapping[str, Any],
        truth: Mapping[str, float],
    ) -> dict[str, Calibration]:
        """Return the calibration of each bin that was compared; of many haloes, of some evenly chosen."""
        config = self.campaign.config
        if config.truth is None:
            return {}
        usable = set(population.halo_id[population.status == "ok"])
        found = {}
        for label, posterior in comparisons.items():
            ids = spread([h for h in members[label] if h in usable and h in truth], MOST_CALIBRATED)
            try:
                found[label] = calibration(
                    population.fits(ids),
                    {h: truth[h] for h in ids},
                    posterior=posterior,
                    mass_definition=config.truth.mass_definition,
                    prior=config.analyses[analysis].prior,
                    n_bootstrap=20,  # of older estimates of the bias, which the report does not show
                    seed=config.seed,
                )
            except FitError:
                continue  # none with a likelihood and a true mass
        return found


def spread(ids: Sequence[str], most: int) -> list[str]:
    """Return at most so many of the haloes, evenly over their order."""
    if len(ids) <= most:
        return list(ids)
    return [ids[i] for i in np.linspace(0, len(ids) - 1, most).astype(int)]


def _with_catalogue(scene: Scene, catalogue: SourceCatalog) -> Scene:
    scale = catalogue.d_lens_mpc * ARCMIN_RAD
    x, y = catalogue.x_arcmin * scale, catalogue.y_arcmin * scale
    inside = (np.abs(x) < scene.half_mpc) & (np.abs(y) < scene.half_mpc)
    dx, dy = catalogue.offset_mpc
    return replace(
        scene,
        true_centre_mpc=(0.0 - dx, 0.0 - dy),
        x_mpc=x[inside],
        y_mpc=y[inside],
        e1=catalogue.e1[inside],
        e2=catalogue.e2[inside],
    )


def _convergence(scene: Scene, record: Any) -> np.ndarray:
    """Return mean convergence in the pixels of the picture, (y, x), NaN where the simulation has none."""
    n = _PIXELS * _SUB
    edge = np.linspace(-scene.half_mpc, scene.half_mpc, n + 1)
    middle = 0.5 * (edge[1:] + edge[:-1])
    x, y = (part.ravel() for part in np.meshgrid(middle, middle))
    x, y = x - scene.true_centre_mpc[0], y - scene.true_centre_mpc[1]
    field = record
    if isinstance(record, LensingMap):
        field = MapField(record, scene.half_mpc + max(map(abs, scene.true_centre_mpc)))
    known = field.covers(x, y)
    kappa = np.full(x.size, np.nan)
    kappa[known] = field.at(x[known], y[known])[0]
    mean: np.ndarray = kappa.reshape(_PIXELS, _SUB, _PIXELS, _SUB).mean(axis=(1, 3))
    return mean
