"""Redshift distributions of sources as quadratures, and what a mean over them gives.

A distribution is nodes and weights: means over it of functions that bend at the lens redshift are exact to
quadrature because the integral begins there. Shapes of the families are those of ``core.redshifts``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from clmassmod.core.quadrature import unit_nodes
from clmassmod.core.redshifts import CHANG13, DESC_SRD, smail, smail_scale
from clmassmod.errors import ConfigError
from clmassmod.records import Array

_NODES = {"smooth": 24, "piecewise": 6}
_PANELS = 24
_TAKES = {
    "smail": "alpha, beta, and z0 or median_z (and z_max)",
    "chang13": "no parameter but z_max",
    "desc_srd": "year and z_max",
}


@dataclass(frozen=True)
class SourceDistribution:
    """Density of source redshifts between breakpoints (break,), smooth between each two of them."""

    breaks: Array
    density: Callable[[Array], Array]
    nodes_per_panel: int = _NODES["smooth"]

    def quadrature(self, z_min: float = 0.0) -> tuple[Array, Array]:
        """Return redshifts above ``z_min`` and weights that sum to the fraction of sources there, (node,).

        Raises
        ------
        ConfigError
            If no source lies beyond ``z_min``.
        """
        whole = self._integral(self.breaks)[1].sum()
        inner = self.breaks[self.breaks > z_min]
        if not inner.size:
            raise ConfigError(f"no source of this redshift distribution lies beyond z = {z_min:g}")
        z, w = self._integral(np.concatenate([[max(z_min, self.breaks[0])], inner]))
        if not w.sum() > 0:
            raise ConfigError(f"no source of this redshift distribution lies beyond z = {z_min:g}")
        return z, w / whole

    def _integral(self, breaks: Array) -> tuple[Array, Array]:
        low, width = breaks[:-1, np.newaxis], np.diff(breaks)[:, np.newaxis]
        u, w = unit_nodes(self.nodes_per_panel)
        z = low + width * u
        return z.ravel(), (width * w * self.density(z)).ravel()


def smail_sources(alpha: float, beta: float, z0: float, z_max: float = 10.0) -> SourceDistribution:
    """Return z^alpha exp(-(z / z0)^beta) cut at ``z_max``: Smail, Ellis & Fitchett 1994 (MNRAS 270, 245)."""
    if not (alpha > -1 and beta > 0 and z0 > 0 and z_max > 0):
        raise ConfigError(f"a Smail distribution needs alpha > -1 and beta, z0 > 0, found {alpha, beta, z0}")
    # panels narrow towards 0, where powers of z are not smooth
    breaks = z_max * np.linspace(0.0, 1.0, _PANELS + 1) ** 3
    return SourceDistribution(breaks, lambda z: smail(z, alpha, beta, z0))


def histogram_sources(edges: ArrayLike, counts: ArrayLike) -> SourceDistribution:
    """Return a distribution that is constant inside each bin, (bin + 1,) edges and (bin,) counts."""
    e, n = np.asarray(edges, dtype=float), np.asarray(counts, dtype=float)
    if e.ndim != 1 or e.shape != (n.size + 1,) or np.any(np.diff(e) <= 0) or e[0] < 0:
        raise ConfigError("a histogram of source redshifts needs increasing edges, one more than counts")
    if not (np.all(np.isfinite(n) & (n >= 0)) and n.sum() > 0):
        raise ConfigError("a histogram of source redshifts needs finite counts of 0 or more, not all 0")
    height = n / np.diff(e)
    last = len(n) - 1

    def density(z: Array) -> Array:
        return height[np.clip(np.searchsorted(e, z, side="right") - 1, 0, last)]

    return SourceDistribution(e, density, _NODES["piecewise"])


def tabulated_sources(z: ArrayLike, density: ArrayLike) -> SourceDistribution:
    """Return a distribution that is linear between the nodes (node,) of a table, such as a measured n(z)."""
    node, p = np.asarray(z, dtype=float), np.asarray(density, dtype=float)
    if node.ndim != 1 or node.size < 2 or node.shape != p.shape or np.any(np.diff(node) <= 0) or node[0] < 0:
        raise ConfigError(
            "a table of source redshifts needs two or more increasing ones, each with a density"
        )
    if not (np.all(np.isfinite(p) & (p >= 0)) and p.sum() > 0):
        raise ConfigError("a table of source redshifts needs finite densities of 0 or more, not all 0")
    return SourceDistribution(node, lambda x: np.interp(x, node, p), _NODES["piecewise"])


def named_sources(name: str, **parameters: Any) -> SourceDistribution:
    """Return one of the published families by name.

    Parameters
    ----------
    name
        "smail" with alpha, beta and z0 or median_z; "chang13" (LSST, Chang et al. 2013); "desc_srd"
        with year "Y1" or "Y10".
    parameters
        Those, and ``z_max``.

    Raises
    ------
    ConfigError
        For an unknown name, year or parameter, or one that is missing.
    """
    z_max = float(parameters.pop("z_max", 10.0))
    scale = {"z0", "median_z"} & set(parameters) or {"z0"}
    takes = {"smail": {"alpha", "beta", *scale}, "chang13": set(), "desc_srd": {"year"}}.get(name, set())
    if name in ("smail", "chang13", "desc_srd") and (
        not set(parameters) <= takes or (name == "smail" and (len(scale) > 1 or not takes <= set(parameters)))
    ):
        raise ConfigError(
            f"distribution {name} takes {_TAKES[name]}, found {', '.join(sorted(parameters)) or 'none'}"
        )
    if name == "smail":
        median = parameters.pop("median_z", None)
        if median is not None:
            parameters["z0"] = smail_scale(float(median), parameters["alpha"], parameters["beta"])
        return smail_sources(z_max=z_max, **parameters)
    if name == "chang13":
        return smail_sources(**CHANG13, z_max=z_max)
    if name == "desc_srd":
        year = str(parameters.get("year", "Y10"))
        if year not in DESC_SRD:
            raise ConfigError(
                f"unknown year {year!r} of distribution desc_srd (known: {', '.join(DESC_SRD)})"
            )
        return smail_sources(**DESC_SRD[year], z_max=z_max)
    raise ConfigError(f"unknown redshift distribution {name!r} (known: chang13, desc_srd, smail)")


def beta_moments(beta_s: ArrayLike, weight: ArrayLike | None = None) -> tuple[float, float]:
    """Return weighted <beta_s> and <beta_s^2> of galaxies or quadrature nodes, (source,)."""
    b = np.asarray(beta_s, dtype=float)
    w = np.ones_like(b) if weight is None else np.asarray(weight, dtype=float)
    return float(w @ b / w.sum()), float(w @ b**2 / w.sum())


def beta_statistics(
    distribution: SourceDistribution,
    z_lens: float,
    beta_s: Callable[[Array, float], Array],
    *,
    behind: float | None = None,
) -> tuple[float, float]:
    """Return <beta_s> and <beta_s^2> of a redshift distribution for one lens.

    Parameters
    ----------
    distribution
        Of the sources.
    z_lens
        Redshift of the lens.
    beta_s
        Function of source redshifts and lens redshift: ``Tables.beta_s``, or that of ``cosmology``
        with its first argument bound.
    behind
        Only sources beyond z_lens + this are in the sample; None: all are, those before the lens with
        beta_s = 0.
    """
    z, w = distribution.quadrature(z_lens + (behind or 0.0))
    b = beta_s(z, z_lens)
    whole = 1.0 if behind is None else w.sum()
    return float(w @ b / whole), float(w @ b**2 / whole)
