"""Configuration of the notebook: the workflow's keys, two of which are enough."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import Field

from clmassmod.config.analysis import Analysis, DensityModel
from clmassmod.config.base import Model
from clmassmod.config.load import build
from clmassmod.config.models import CampaignConfig, CosmologyConfig
from clmassmod.config.survey import Footprint, Sources, Survey
from clmassmod.config.values import PositiveInterval
from clmassmod.errors import ConfigError
from clmassmod.registry import suggest

MAP_RADIUS_MPC = (0.5, 2.5)  # of profiles that are measured from maps, unless a range is given
EVERY_RADIUS_MPC = (1e-6, 1e6)  # measured profiles are fitted as they are

DEFAULT_SURVEY = Survey(
    density_per_arcmin2=20.0,
    shape_noise=0.25,
    sources=Sources(distribution="smail", median_z=1.0, alpha=2.0, beta=1.5, z_max=5.0),
    footprint=Footprint(shape="circle", radius_arcmin=12.0),
)


class Origin(Model):
    """The campaign that a notebook's keys were taken from, so that its fits are the campaign's own."""

    file: str | None = Field(None, description="the campaign's configuration; null: there is none")
    campaign: str = Field("notebook", description="its name")
    survey: str = Field("survey", description="its name, from which the draws of mocks come")
    analysis: str = Field("analysis", description="its name, from which the draws of samplers come")


class NotebookConfig(Analysis):
    """What ``CLMassMod`` needs to know; ``cosmology`` and ``model`` are enough.

    The keys of an analysis stand beside them.
    """

    cosmology: CosmologyConfig
    survey: Survey = Field(DEFAULT_SURVEY, description="that observes maps")  # type: ignore[assignment]
    radius_mpc: PositiveInterval | None = Field(  # type: ignore[assignment]
        None, description="radial range of the fit [Mpc]; null: 0.5 to 2.5 for maps, all of measured profiles"
    )
    seed: int = Field(0, ge=0, lt=2**63, description="of all random draws")
    origin: Origin = Origin()


class CallParameters(Model):
    """Keys of ``calc_params`` that are none of the analysis' own."""

    draws: int | None = Field(None, ge=1, description="of samplers; other fitters draw nothing")
    seed: int | None = Field(None, ge=0, lt=2**63, description="of this call's draws")
    n_jobs: int = Field(1, ge=-1, description="processes; -1: one for each core")


class ModelInfo(dict[str, Any]):
    """Model and its parameters as a dictionary, for ``CLMassMod``; change what you like before it is used."""

    @property
    def name(self) -> str:
        """Name of the density profile."""
        return str(self["model"]["profile"])

    def __repr__(self) -> str:
        """Return the keys that are there, as YAML."""
        return f"ModelInfo {self.name!r}\n" + yaml.safe_dump(dict(self), sort_keys=False).rstrip()


def model_info(data: dict[str, Any], source: str, analysis: str | None = None) -> ModelInfo:
    """Return the notebook's keys from those of a notebook or of a campaign.

    Parameters
    ----------
    data
        As the file has them.
    source
        The file, for messages.
    analysis
        Which analysis of a campaign; needed if there are several.

    Raises
    ------
    ConfigError
        Names the wrong key and the nearest right one.
    """
    if "analyses" in data or "simulation" in data:
        return _from_campaign(build(CampaignConfig, data, source), source, analysis)
    if analysis is not None:
        raise ConfigError(f"{source}: holds no analyses, so that {analysis!r} is none of them")
    build(NotebookConfig, data, source)
    return ModelInfo(data)


def _from_campaign(config: CampaignConfig, source: str, analysis: str | None) -> ModelInfo:
    names = list(config.analyses)
    if analysis is None and len(names) > 1:
        raise ConfigError(f"{source}: several analyses: {', '.join(names)}; choose one with analysis=...")
    name = analysis or names[0]
    if name not in config.analyses:
        raise ConfigError(f"{source}: no analysis {name!r}{suggest(name, names)}")
    chosen = config.analyses[name]
    data = chosen.model_dump(mode="json", exclude={"survey"})
    origin = {"file": source, "campaign": config.campaign, "analysis": name}
    if chosen.survey is not None:
        data["survey"] = config.surveys[chosen.survey].model_dump(mode="json")
        origin["survey"] = chosen.survey
    cosmology = config.cosmology.model_dump(mode="json")
    head = {"cosmology": cosmology, "model": data.pop("model")}
    return ModelInfo({**head, **data, "seed": config.seed, "origin": origin})


MODEL_KEYS = tuple(DensityModel.model_fields)  # profile, concentration, parameters, nuisance
ANALYSIS_KEYS = tuple(k for k in Analysis.model_fields if k not in ("survey", "model", "method", "options"))


def analysis_of(
    config: NotebookConfig, parameters: Mapping[str, Any], method: str, options: Mapping[str, Any]
) -> Analysis:
    """Return the analysis of one call: the configuration with ``calc_params`` in its place.

    Parameters
    ----------
    config
        What the object was made with.
    parameters
        Some of ``MODEL_KEYS`` and ``ANALYSIS_KEYS``.
    method, options
        Name of a fitter and its own options.
    """
    model = {**config.model.model_dump(), **{k: v for k, v in parameters.items() if k in MODEL_KEYS}}
    chosen = {key: parameters.get(key, getattr(config, key)) for key in ANALYSIS_KEYS}
    chosen["radius_mpc"] = chosen["radius_mpc"] or MAP_RADIUS_MPC
    plain = {k: v.model_dump() if isinstance(v, Model) else v for k, v in chosen.items()}
    data = {**plain, "model": model, "method": method, "options": dict(options)}
    return build(Analysis, data, "fit_mass_profiles", "calc_params")
