"""Redshifts and magnitudes of source galaxies, and what an observer takes for their redshifts."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from clmassmod.config.sources import Magnitudes, PhotoZ, Sources
from clmassmod.core.redshifts import (
    CHANG13,
    DESC_SRD,
    RedshiftDistribution,
    smail_distribution,
    smail_scale,
)
from clmassmod.errors import ConfigError
from clmassmod.mock.files import cached_file
from clmassmod.readers.table import open_table
from clmassmod.records import Array


def distribution(sources: Sources) -> RedshiftDistribution:
    """Return the redshift distribution that a configuration describes; not for a single plane."""
    return _histogram(str(sources.path)) if sources.distribution == "histogram" else _formula(sources)


@lru_cache(maxsize=16)
def _formula(sources: Sources) -> RedshiftDistribution:
    if sources.distribution == "chang13":
        return smail_distribution(**CHANG13, z_max=sources.z_max)
    if sources.distribution == "desc_srd":
        return smail_distribution(**DESC_SRD[sources.year], z_max=sources.z_max)
    if sources.median_z is None:
        raise ConfigError(f"sources.distribution {sources.distribution!r} is no distribution")
    z0 = smail_scale(sources.median_z, sources.alpha, sources.beta)
    return smail_distribution(sources.alpha, sources.beta, z0, sources.z_max)


@cached_file("sources.path")
def _histogram(path: str) -> RedshiftDistribution:
    """Return the distribution of a table of bins: middles and counts; redshifts are uniform in each bin."""
    table = open_table(Path(path))
    middle = table.column("z_source", "sources.path").numbers()
    count = table.column("count", "sources.path").numbers()
    if middle.size < 2 or np.any(np.diff(middle) <= 0) or not np.all(count >= 0) or not count.sum() > 0:
        raise ConfigError(f"{path}: needs two or more increasing z_source with counts of 0 or more")
    inner = 0.5 * (middle[1:] + middle[:-1])
    edges = np.concatenate([[max(0.0, 2.0 * middle[0] - inner[0])], inner, [2.0 * middle[-1] - inner[-1]]])
    return RedshiftDistribution.from_bins(edges, count)


def draw_redshifts(
    sources: Sources, z_lens: float, rng: np.random.Generator, size: int, cut: bool = True
) -> Array:
    """Return redshifts of ``size`` galaxies, (source,); with ``cut`` of those behind the lens."""
    if sources.distribution == "plane":
        return np.full(size, sources.z)
    z_min = z_lens + sources.behind_lens if cut and sources.behind_lens is not None else None
    return distribution(sources).draw(rng, size, z_min)


def draw_magnitudes(magnitudes: Magnitudes, rng: np.random.Generator, size: int) -> Array:
    """Return magnitudes, (source,), of counts that grow as 10^(slope m) up to the limit."""
    u = rng.random(size)
    if magnitudes.slope == 0:
        return magnitudes.bright + (magnitudes.faint - magnitudes.bright) * u
    low, high = 10.0 ** (magnitudes.slope * (magnitudes.bright - magnitudes.faint)), 1.0
    return np.asarray(magnitudes.faint + np.log10(low + (high - low) * u) / magnitudes.slope)


def fainter_farther(z: Array, magnitude: Array, magnitudes: Magnitudes) -> Array:
    """Return redshifts scaled by exp(z_slope (m - <m>)), <m> the mean magnitude of the counts."""
    m = np.linspace(magnitudes.bright, magnitudes.faint, 513)
    weight = 10.0 ** (magnitudes.slope * (m - magnitudes.faint))
    mean = float(np.sum(weight * m) / np.sum(weight))
    return np.asarray(z * np.exp(magnitudes.z_slope * (magnitude - mean)))


def photometric(z: Array, photo_z: PhotoZ, rng: np.random.Generator) -> Array:
    """Return photometric redshifts of galaxies at ``z``, (source,), never below 0."""
    scatter, outlier, where = rng.standard_normal(z.size), rng.random(z.size), rng.random(z.size)
    found = z + (1.0 + z) * (photo_z.bias + photo_z.scatter * scatter)
    low, high = photo_z.outlier_z
    found = np.where(outlier < photo_z.outlier_fraction, low + (high - low) * where, found)
    return np.maximum(found, 0.0)
