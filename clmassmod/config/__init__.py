"""Configuration: pydantic models, loading with clear errors, seeds."""

from clmassmod.config.analysis import Analysis, DensityModel, RadialBins
from clmassmod.config.base import Model
from clmassmod.config.campaign import json_schema, load_campaign
from clmassmod.config.load import build, content_hash, read_yaml
from clmassmod.config.models import Binning, CampaignConfig, Truth
from clmassmod.config.seeds import halo_rng
from clmassmod.config.survey import Centre, Footprint, Sources, Survey

__all__ = [
    "Analysis",
    "Binning",
    "CampaignConfig",
    "Centre",
    "DensityModel",
    "Footprint",
    "Model",
    "RadialBins",
    "Sources",
    "Survey",
    "Truth",
    "build",
    "content_hash",
    "halo_rng",
    "json_schema",
    "load_campaign",
    "read_yaml",
]
