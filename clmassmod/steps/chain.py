"""From a halo's lensing to its fit: the functions that the workflow's jobs and the notebook both call.

Random draws come from the campaign's seed, the halo's id and the name of survey or analysis alone.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from functools import cache
from importlib import metadata
from typing import Any

from clmassmod.config import Analysis, Survey, halo_rng
from clmassmod.core.fields import LensingField
from clmassmod.errors import ReaderError
from clmassmod.fitters.data import as_profiles
from clmassmod.fitters.likelihood import LensModel, select_bins
from clmassmod.fitters.result import condensed
from clmassmod.fitters.summary import with_summary
from clmassmod.measure import measure
from clmassmod.mock import observe
from clmassmod.pixels import measure_pixels
from clmassmod.records import HaloFit, LensingMap, ShearProfile, SourceCatalog
from clmassmod.registry import FITTERS
from clmassmod.tables import Tables


def mock_catalog(
    lensing: LensingMap | LensingField, survey: Survey, name: str, tables: Tables, seed: int
) -> SourceCatalog:
    """Return the catalogue of one halo as a survey would see it; draws come from the name."""
    rng = halo_rng(seed, lensing.halo.halo_id, f"mock/{name}")
    return observe(lensing, survey, tables, rng)


def analysis_profile(
    record: LensingMap | LensingField | SourceCatalog | ShearProfile,
    analysis: Analysis,
    tables: Tables,
    seed: int,
    draws: str = "pixels",
) -> ShearProfile:
    """Return the profile of a catalogue or of a map's pixels, or a profile itself, in the analysis' range.

    Pixels' noise comes from the seed, the halo and the name ``draws`` of the map alone, so that all analyses
    see the same map (of haloes that are formulae: those with the same outer radius).

    Raises
    ------
    ReaderError
        For a map, which a survey has to observe first unless its pixels are fitted.
    """
    if isinstance(record, SourceCatalog):
        return measure(record, analysis.radius_mpc, analysis.radial_bins, tables=tables)
    if isinstance(record, ShearProfile):
        return select_bins(record, analysis.radius_mpc)
    if analysis.pixels is None:
        raise ReaderError(
            f"halo {record.halo.halo_id}: a map cannot be fitted before a survey has observed it; "
            "name a survey, or give pixels"
        )
    rng = halo_rng(seed, record.halo.halo_id, draws)
    return measure_pixels(
        record, analysis.radius_mpc, analysis.pixels, analysis.radial_bins, tables=tables, rng=rng
    )


def lens_model(analysis: Analysis, tables: Tables, **instead: Any) -> LensModel:
    """Return the lens model of an analysis; ``instead`` replaces arguments of ``LensModel.build``."""
    arguments: dict[str, Any] = {
        "profile": analysis.model.profile,
        "concentration": analysis.model.concentration,
        "parameters": analysis.model.parameters,
        "mass_definitions": (analysis.mass_definition, *analysis.more_mass_definitions),
        "nuisance": analysis.model.nuisance,
        "noise": analysis.noise,
    }
    return LensModel.build(tables, **{**arguments, **instead})


def fit_profiles(
    profiles: ShearProfile | Sequence[ShearProfile],
    model: LensModel,
    analysis: Analysis,
    name: str,
    seed: int,
    fitter: Callable[..., HaloFit] | None = None,
) -> HaloFit:
    """Return the fit of one halo's profile, or of several jointly, by the analysis of this name.

    Parameters
    ----------
    profiles
        One profile, or several of one halo.
    model
        Of ``lens_model``.
    analysis
        Method, its options, and the prior of the summaries.
    name, seed
        Of the analysis and the campaign, for the draws of samplers.
    fitter
        A function instead of the analysis' method.
    """
    first = profiles if isinstance(profiles, ShearProfile) else profiles[0]
    rng = halo_rng(seed, first.halo.halo_id, f"fit/{name}")
    fit = fitter or FITTERS.load(analysis.method)
    result: HaloFit = fit(profiles, model, prior=analysis.prior, rng=rng, **analysis.options)
    if analysis.radial_bins.spacing == "unbinned":
        result = condensed(result, as_profiles(profiles))
    return with_summary(result, analysis.prior)


@cache
def versions() -> dict[str, str]:
    """Return the versions that numbers depend on beside our own, which the store adds."""
    return {
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("numpy", "scipy")},
    }


def provenance(campaign: str, config_hash: str, seed: int) -> dict[str, Any]:
    """Return what every result file says of its origin."""
    return {"campaign": campaign, "config_hash": config_hash, "seed": seed, **versions()}
