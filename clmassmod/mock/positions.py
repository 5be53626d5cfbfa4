"""Where source galaxies are: at random, in groups, at pixels, or as a table says."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from clmassmod.config.sources import Clustering
from clmassmod.errors import ReaderError
from clmassmod.mock.footprint import Region
from clmassmod.readers.table import open_table
from clmassmod.records import Array

Box = tuple[float, float, float, float]
"""x from, x to, y from, y to, arcmin."""


class Positions(NamedTuple):
    """Positions in arcmin, (source,); the group of each galaxy, or -1; given redshifts, if any."""

    x: Array
    y: Array
    group: np.ndarray | None = None
    z: Array | None = None

    def kept(self, mask: np.ndarray) -> Positions:
        """Return the positions of a mask (source,)."""
        return Positions(*(None if v is None else v[mask] for v in self))  # type: ignore[arg-type]


def uniform(region: Region, box: Box, density: float, rng: np.random.Generator) -> Positions:
    """Return a Poisson number of galaxies of this density per arcmin2."""
    x0, x1, y0, y1 = box
    number = int(rng.poisson(density * (x1 - x0) * (y1 - y0)))
    x, y = rng.random((2, number))
    found = Positions(x0 + (x1 - x0) * x, y0 + (y1 - y0) * y)
    return found.kept(region.contains(found.x, found.y))


def clustered(
    region: Region, box: Box, density: float, clustering: Clustering, rng: np.random.Generator
) -> Positions:
    """Return galaxies of which a fraction stands in groups (Thomas 1949, Biometrika 36, 18)."""
    field_rng, group_rng = rng.spawn(2)
    single = uniform(region, box, density * (1.0 - clustering.fraction), field_rng)
    x0, x1, y0, y1 = box
    edge = 5.0 * clustering.size_arcmin
    area = (x1 - x0 + 2.0 * edge) * (y1 - y0 + 2.0 * edge)
    groups = int(group_rng.poisson(density * clustering.fraction / clustering.members * area))
    middle_x = x0 - edge + (x1 - x0 + 2.0 * edge) * group_rng.random(groups)
    middle_y = y0 - edge + (y1 - y0 + 2.0 * edge) * group_rng.random(groups)
    group = np.repeat(np.arange(groups), group_rng.poisson(clustering.members, groups))
    scatter = clustering.size_arcmin * group_rng.standard_normal((2, group.size))
    x, y = middle_x[group] + scatter[0], middle_y[group] + scatter[1]
    inside = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1) & region.contains(x, y)
    return Positions(
        np.concatenate([single.x, x[inside]]),
        np.concatenate([single.y, y[inside]]),
        np.concatenate([np.full(single.x.size, -1), group[inside]]),
    )


def pixels(region: Region, x: Array, y: Array, density: float | None, rng: np.random.Generator) -> Positions:
    """Return the middles of pixels inside the region: all, or a random part of this density."""
    found = Positions(x, y)
    found = found.kept(region.contains(x, y))
    if density is None:
        return found
    side = abs(float(x[1] - x[0])) if x.size > 1 else 1.0
    share = density * side**2
    if share > 1.0:
        raise ReaderError(
            f"density_per_arcmin2 = {density:g} is more than the map's {1 / side**2:.3g} pixels per arcmin2; "
            "lower it or use positions 'uniform'"
        )
    return found.kept(rng.random(found.x.size) < share)


def from_table(path: str, region: Region) -> Positions:
    """Return the positions, and redshifts if there are any, of a table."""
    table = open_table(Path(path))
    x, y = (table.column(name, "positions_path").numbers() for name in ("x_arcmin", "y_arcmin"))
    z = table.columns["z_source"].numbers() if table.has("z_source") else None
    if not (np.all(np.isfinite(x)) and np.all(np.isfinite(y))):
        raise ReaderError(f"{path}: a position is NaN or infinite")
    found = Positions(x, y, None, z)
    return found.kept(region.contains(x, y))
