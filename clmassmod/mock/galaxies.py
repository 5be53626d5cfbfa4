"""The galaxies of a mock while it is made, and how their redshifts and magnitudes are drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from clmassmod.config.survey import Survey
from clmassmod.errors import ConfigError
from clmassmod.mock.positions import Positions
from clmassmod.mock.sources import draw_magnitudes, draw_redshifts, fainter_farther, photometric
from clmassmod.records import Array

_ROUNDS = 200


@dataclass(frozen=True)
class Galaxies:
    """Arrays of (source,); positions in arcmin about the assumed centre."""

    x: Array
    y: Array
    z: Array
    z_observed: Array
    magnitude: Array | None = None
    member: np.ndarray | None = None  # of the cluster; None: no galaxy is

    def kept(self, mask: np.ndarray) -> Galaxies:
        """Return the galaxies of a mask (source,)."""
        values = {k: None if v is None else v[mask] for k, v in vars(self).items()}
        return Galaxies(**values)  # type: ignore[arg-type]

    def joined(self, other: Galaxies) -> Galaxies:
        """Return these and other galaxies; both know the same things."""
        values = {
            k: None if v is None else np.concatenate([v, vars(other)[k]]) for k, v in vars(self).items()
        }
        return Galaxies(**values)  # type: ignore[arg-type]


def draw_galaxies(
    survey: Survey,
    z_lens: float,
    positions: Positions,
    rng: np.random.Generator,
    photo_rng: np.random.Generator,
) -> Galaxies:
    """Return galaxies with redshifts and magnitudes at given positions.

    Where the observer keeps galaxies behind the lens alone, those that would not be kept are drawn again, so
    that the density is that of the galaxies that are used. Redshifts of a table are cut instead.
    """
    size = positions.x.size
    plain = survey.photo_z is None and survey.magnitudes is None and positions.group is None
    if plain and positions.z is None:
        z = draw_redshifts(survey.sources, z_lens, rng, size)
        return Galaxies(positions.x, positions.y, z, z)
    found = _draw(survey, z_lens, size, rng, photo_rng, positions.z, positions.group)
    found = replace(found, x=positions.x, y=positions.y)
    limit = _limit(survey, z_lens)
    if limit is None:
        return found
    if positions.z is not None:
        return found.kept(found.z_observed > limit)
    for _ in range(_ROUNDS):
        bad = np.flatnonzero(found.z_observed <= limit)
        if bad.size == 0:
            return found
        again = _draw(survey, z_lens, bad.size, rng, photo_rng, None, None)
        for name in ("z", "z_observed", "magnitude"):
            old, new = getattr(found, name), getattr(again, name)
            if old is not None:
                old[bad] = new
    raise ConfigError(
        f"sources.behind_lens: hardly any source has an observed redshift beyond {limit:g}; "
        "lower behind_lens or take deeper sources"
    )


def _limit(survey: Survey, z_lens: float) -> float | None:
    return None if survey.sources.behind_lens is None else z_lens + survey.sources.behind_lens


def _draw(
    survey: Survey,
    z_lens: float,
    size: int,
    rng: np.random.Generator,
    photo_rng: np.random.Generator,
    given: Array | None,
    group: np.ndarray | None,
) -> Galaxies:
    z = draw_redshifts(survey.sources, z_lens, rng, size, cut=False) if given is None else given.astype(float)
    if group is not None and survey.clustering is not None and survey.clustering.same_redshift and size:
        grouped = group >= 0
        z[grouped] = draw_redshifts(survey.sources, z_lens, rng, int(group.max()) + 1, cut=False)[
            group[grouped]
        ]
    magnitude = None
    if survey.magnitudes is not None:
        magnitude = draw_magnitudes(survey.magnitudes, rng, size)
        if survey.magnitudes.z_slope != 0.0 and given is None:
            z = fainter_farther(z, magnitude, survey.magnitudes)
    observed = z.copy() if survey.photo_z is None else photometric(z, survey.photo_z, photo_rng)
    return Galaxies(np.zeros(size), np.zeros(size), z, observed, magnitude)
