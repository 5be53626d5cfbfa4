"""A survey of galaxies that a simulation has already placed and sheared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from clmassmod.config.survey import Survey
from clmassmod.core.units import ARCMIN_RAD
from clmassmod.errors import ConfigError
from clmassmod.mock import centre
from clmassmod.mock.footprint import draw_region
from clmassmod.mock.shapes import ellipticities
from clmassmod.mock.sources import photometric
from clmassmod.mock.streams import Streams
from clmassmod.records import SourceCatalog
from clmassmod.tables import Tables

_NOT_HERE = (
    "magnitudes",
    "magnification",
    "members",
    "clustering",
    "noise_profile",
    "conditions",
    "rescale_z",
)


def observe_catalogue(
    catalogue: SourceCatalog, survey: Survey, tables: Tables, streams: Streams
) -> SourceCatalog:
    """Return what the survey would see of these galaxies: their own positions, redshifts and shears.

    ``survey.sources`` gives ``behind_lens`` alone. A density thins the galaxies out to that number per
    area of the footprint.

    Raises
    ------
    ConfigError
        For parts of a survey that the simulation's galaxies already are, and for a density above theirs.
    """
    for name in _NOT_HERE:
        if getattr(survey, name) is not None:
            raise ConfigError(f"{name}: the simulation's own galaxies cannot be given this; remove the key")
    halo, environment = catalogue.halo, tables.environment(catalogue.halo.z)
    scale = environment.d_lens_mpc * ARCMIN_RAD
    offset = (0.0, 0.0)
    if survey.centre.model != "none" and not centre.takes_catalogue(survey.centre):
        offset = centre.draw_centre(survey.centre, halo, environment, streams["centre"], _no_angle)
    x, y = catalogue.x_arcmin - offset[0] / scale, catalogue.y_arcmin - offset[1] / scale
    region = draw_region(survey.footprint, streams["region"])
    keep = region.contains(x, y)
    z, beta_s = catalogue.z_source, catalogue.beta_s
    if survey.photo_z is not None:
        z = photometric(z, survey.photo_z, streams["photo_z"])
        beta_s = tables.beta_s(z, halo.z)
    if survey.sources.behind_lens is not None:
        keep &= z > halo.z + survey.sources.behind_lens
    if survey.density_per_arcmin2 is not None:
        keep &= _thinned(keep, x, y, region.half_arcmin, survey.density_per_arcmin2, streams["positions"])
    e1, e2 = ellipticities(survey, catalogue.e1[keep], catalogue.e2[keep], None, None, streams["shapes"])
    extra = {name: values[keep] for name, values in catalogue.extra.items()}
    if survey.photo_z is not None:
        extra["z_true"] = catalogue.z_source[keep]
    noise = survey.shape_noise if survey.error_shape_noise is None else survey.error_shape_noise
    found = replace(
        catalogue,
        x_arcmin=x[keep],
        y_arcmin=y[keep],
        e1=e1,
        e2=e2,
        z_source=z[keep],
        beta_s=beta_s[keep],
        weight=catalogue.weight[keep],
        shape_noise=float(np.hypot(catalogue.shape_noise, noise)) if survey.shape_noise else noise,
        offset_mpc=offset,
        extra=extra,
    )
    if not centre.takes_catalogue(survey.centre):
        return found
    dx, dy = centre.call(survey.centre, found)
    return replace(
        found, x_arcmin=found.x_arcmin - dx / scale, y_arcmin=found.y_arcmin - dy / scale, offset_mpc=(dx, dy)
    )


def _no_angle() -> float:
    raise ConfigError("centre.alignment: galaxies do not tell the halo's long axis")


def _thinned(
    keep: np.ndarray, x: np.ndarray, y: np.ndarray, half: float, density: float, rng: np.random.Generator
) -> np.ndarray:
    """Return a random selection that leaves this density, judged in the largest circle that all fill."""
    radius = min(half, float(np.max(np.hypot(x, y), initial=0.0)) / np.sqrt(2.0))
    r2 = np.square(x) + np.square(y)
    there = np.count_nonzero(keep & (r2 <= radius**2)) / (np.pi * radius**2) if radius > 0 else 0.0
    if density > there:
        raise ConfigError(
            f"density_per_arcmin2 = {density:g} is more than the simulation's {there:.3g} galaxies per "
            "arcmin2; lower it, or set null for all"
        )
    return np.asarray(rng.random(x.size) < density / there)
