"""Redshift distributions of source galaxies, and draws from them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from clmassmod.errors import ConfigError
from clmassmod.records import Array

_GRID = 4097


def smail(z: ArrayLike, alpha: float, beta: float, z0: float) -> Array:
    """Return z^alpha exp(-(z / z0)^beta), not normalised: Smail, Ellis & Fitchett 1994 (MNRAS 270, 245)."""
    z = np.asarray(z, dtype=float)
    return np.asarray(z**alpha * np.exp(-((z / z0) ** beta)))


def smail_scale(median_z: float, alpha: float, beta: float) -> float:
    """Return the z0 of a Smail distribution with this median redshift (not cut at any redshift)."""
    # in t = (z / z0)^beta the tail falls as exp(-t), whatever the exponents
    z = np.linspace(0.0, (40.0 + 10.0 * (alpha + 1.0) / beta) ** (1.0 / beta), 200_001)
    cumulative = _cumulative(z, smail(z, alpha, beta, 1.0))
    return float(median_z / np.interp(0.5, cumulative, z))


CHANG13 = {"alpha": 1.24, "beta": 1.01, "z0": 0.51}
"""LSST sources: Chang et al. 2013 (MNRAS 434, 2121), fiducial selection."""

DESC_SRD = {
    "Y1": {"alpha": 2.0, "beta": 0.78, "z0": 0.13},
    "Y10": {"alpha": 2.0, "beta": 0.68, "z0": 0.11},
}
"""LSST sources after one and ten years: DESC Science Requirements Document (arXiv:1809.01669), app. D2.1."""


class RedshiftDistribution:
    """Draws from a tabulated density of redshifts, linear between its nodes' cumulative values.

    Parameters
    ----------
    z, density
        Nodes, increasing, and density at them, (node,); it need not be normalised.

    Raises
    ------
    ConfigError
        Unless the density is finite, nowhere negative and somewhere positive.
    """

    def __init__(self, z: ArrayLike, density: ArrayLike) -> None:
        self.z = np.asarray(z, dtype=float)
        density = np.asarray(density, dtype=float)
        if (
            self.z.ndim != 1
            or self.z.size < 2
            or self.z.shape != density.shape
            or np.any(np.diff(self.z) <= 0)
        ):
            raise ConfigError(
                "a redshift distribution needs two or more increasing redshifts, each with a density"
            )
        if not (np.all(np.isfinite(density)) and np.all(density >= 0) and np.any(density > 0)):
            raise ConfigError("a redshift distribution's density must be finite, >= 0 and somewhere > 0")
        self._cumulative = _cumulative(self.z, density)

    @classmethod
    def from_bins(cls, edges: ArrayLike, count: ArrayLike) -> RedshiftDistribution:
        """Return the distribution of a histogram, uniform in each bin; edges (bin + 1,), counts (bin,)."""
        edges, count = np.asarray(edges, dtype=float), np.asarray(count, dtype=float)
        made = cls(edges, np.ones_like(edges))
        total = np.concatenate([[0.0], np.cumsum(count)])
        made._cumulative = total / total[-1]
        return made

    def draw(self, rng: np.random.Generator, size: int, z_min: float | None = None) -> Array:
        """Return redshifts, (size,), all above ``z_min`` if that is given."""
        low = 0.0 if z_min is None else float(np.interp(z_min, self.z, self._cumulative))
        if low >= 1.0:
            raise ConfigError(f"no source of this redshift distribution lies beyond z = {z_min:g}")
        return np.asarray(np.interp(low + (1.0 - low) * rng.random(size), self._cumulative, self.z))

    def fraction_beyond(self, z_min: float) -> float:
        """Return the fraction of sources above ``z_min``."""
        return 1.0 - float(np.interp(z_min, self.z, self._cumulative))


def smail_distribution(alpha: float, beta: float, z0: float, z_max: float) -> RedshiftDistribution:
    """Return a Smail distribution cut at ``z_max``."""
    z = np.linspace(0.0, z_max, _GRID)
    return RedshiftDistribution(z, smail(z, alpha, beta, z0))


def _cumulative(z: Array, density: Array) -> Array:
    steps = 0.5 * (density[1:] + density[:-1]) * np.diff(z)
    total = np.concatenate([[0.0], np.cumsum(steps)])
    return np.asarray(total / total[-1])
