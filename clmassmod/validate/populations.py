"""Populations of haloes with normal likelihoods in ln M, whose posteriors are known in closed form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from clmassmod.posterior import Posterior
from clmassmod.records import Array, HaloFit

GRID_MSUN = np.geomspace(1e12, 2e16, 400)


@dataclass(frozen=True)
class Population:
    """Haloes; arrays are (halo,)."""

    fits: list[HaloFit]
    truth: Mapping[str, float]
    ln_true: Array
    z: Array
    offset: Array  # centre of each likelihood minus ln of the true mass
    noise: Array  # its width


def draw(
    n: int,
    *,
    ln_bias: float = 0.0,
    scatter: float = 0.22,
    noise: tuple[float, float] = (0.2, 0.6),
    seed: int = 1,
    slope: tuple[float, float] = (0.0, 0.0),
    scatter_slope: float = 0.0,
    shapes: Array | None = None,
    projections: int = 1,
    correlation: float = 0.0,
    spread: float = 0.5,
) -> Population:
    """Return haloes whose lensing masses scatter about b times the true ones.

    Parameters
    ----------
    ln_bias, scatter
        At 2e14 Msun and z = 0.35.
    noise
        Range of the width of the likelihoods in ln M.
    slope, scatter_slope
        d ln b / d ln M and d ln b / d ln (1 + z); d ln scatter / d ln M.
    shapes
        Deviates of unit scale in place of normal ones, (halo,).
    projections, correlation
        Haloes of one parent, and the part of the scatter's variance that they share.
    spread
        Scale of the exponential distribution of ln M above 1e14 Msun.
    """
    rng = np.random.default_rng(seed)
    parent = np.arange(n) // projections
    groups = int(parent[-1]) + 1
    ln_true = np.log(1e14) + rng.exponential(spread, groups)[parent]
    z = rng.uniform(0.2, 0.5, groups)[parent]
    shared, own = rng.normal(size=groups)[parent], rng.normal(size=n)
    deviate = np.sqrt(correlation) * shared + np.sqrt(1.0 - correlation) * own if shapes is None else shapes
    x_m, x_z = ln_true - np.log(2e14), np.log1p(z) - np.log(1.35)
    mean = ln_bias + slope[0] * x_m + slope[1] * x_z
    width = rng.uniform(*noise, n)
    centre = ln_true + mean + scatter * np.exp(scatter_slope * x_m) * deviate + width * rng.normal(size=n)
    x = np.log(GRID_MSUN)
    fits = [
        HaloFit.from_likelihood(
            f"h{i:05d}",
            float(z[i]),
            GRID_MSUN,
            -0.5 * ((x - centre[i]) / width[i]) ** 2,
            parent=f"p{parent[i]:05d}" if projections > 1 else None,
        )
        for i in range(n)
    ]
    truth = {fit.halo_id: float(np.exp(m)) for fit, m in zip(fits, ln_true, strict=True)}
    return Population(fits, truth, ln_true, z, centre - ln_true, width)


def exact_moments(
    values: Array, noise: Array, location: tuple[float, float], scatter: tuple[float, float]
) -> dict[str, tuple[float, float]]:
    """Return mean and standard deviation of location and ln scatter, priors uniform in both, by sums.

    values ~ N(location, scatter^2 + noise^2).

    Parameters
    ----------
    values, noise : array (halo,)
    location, scatter : (low, high)
        Ends of the sums: those of the prior, or where the posterior is nothing.
    """
    x = np.linspace(*location, 401)
    s = np.linspace(float(np.log(scatter[0])), float(np.log(scatter[1])), 301)
    variance = np.exp(2.0 * s)[:, np.newaxis] + noise**2
    ln_density = np.array(
        [(-0.5 * (values - v) ** 2 / variance - 0.5 * np.log(variance)).sum(axis=1) for v in x]
    )
    density = np.exp(ln_density - ln_density.max())
    found = {}
    for name, nodes, weight in (("location", x, density.sum(axis=1)), ("ln_scatter", s, density.sum(axis=0))):
        mean = float(weight @ nodes / weight.sum())
        found[name] = (mean, float(np.sqrt(weight @ (nodes - mean) ** 2 / weight.sum())))
    return found


def shift(posterior: Posterior, location: str, want: Mapping[str, tuple[float, float]]) -> float:
    """Return the largest difference of a mean, or relative one of a width, in standard deviations."""
    worst = 0.0
    for name, key in ((location, "location"), ("ln_scatter", "ln_scatter")):
        mean, sd = want[key]
        worst = max(worst, abs(posterior.mean[name] - mean) / sd, abs(posterior.sd[name] / sd - 1.0))
    return worst
