"""Redshifts of source galaxies as the configuration describes them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from clmassmod.config.survey import Sources
from clmassmod.core.redshifts import (
    CHANG13,
    DESC_SRD,
    RedshiftDistribution,
    smail_distribution,
    smail_scale,
)
from clmassmod.records import Array


@lru_cache(maxsize=16)
def distribution(sources: Sources) -> RedshiftDistribution:
    """Return the redshift distribution that a configuration describes; not for a single plane."""
    if sources.distribution == "chang13":
        return smail_distribution(**CHANG13, z_max=sources.z_max)
    if sources.distribution == "desc_srd":
        return smail_distribution(**DESC_SRD[sources.year], z_max=sources.z_max)
    if sources.median_z is None:
        raise ValueError("a Smail distribution needs a median redshift")
    z0 = smail_scale(sources.median_z, sources.alpha, sources.beta)
    return smail_distribution(sources.alpha, sources.beta, z0, sources.z_max)


def draw_redshifts(sources: Sources, z_lens: float, rng: np.random.Generator, size: int) -> Array:
    """Return redshifts of ``size`` galaxies, (source,)."""
    if sources.distribution == "plane":
        return np.full(size, sources.z)
    z_min = None if sources.behind_lens is None else z_lens + sources.behind_lens
    return distribution(sources).draw(rng, size, z_min)
