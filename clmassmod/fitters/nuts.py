"""Sampling fitter: draws of a halo's mass and nuisance parameters by the no-U-turn sampler.

The likelihood is that of ``scan``. Surface densities are tabulated once a halo over ln M, the concentration
and the centre's offset, and interpolated by cubics, so that every density profile can be sampled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from clmassmod.core.gridstats import Axis, summarise
from clmassmod.fitters import scan
from clmassmod.fitters.density import HaloDensity
from clmassmod.fitters.likelihood import LensModel
from clmassmod.fitters.sampler import Draws, sample
from clmassmod.fitters.summary import MassPrior
from clmassmod.plain import whole_number
from clmassmod.records import Array, HaloFit, ShearProfile

_ACCEPT = 0.9  # posteriors end at the edges of the tabulated offsets and concentrations


def fit(
    profiles: ShearProfile | Sequence[ShearProfile],
    model: LensModel,
    *,
    prior: MassPrior = "flat",
    rng: np.random.Generator | None = None,
    draws: int = 1000,
    tune: int = 600,
    chains: int = 4,
) -> HaloFit:
    """Return draws of a halo's parameters; the likelihood that is stored is that of ``scan``.

    Parameters
    ----------
    profiles : ShearProfile or several of one halo
    model : LensModel
    prior : {"flat", "log"}
        Of the mass that is sampled, between the ends of the mass grid: flat in mass, or in its logarithm.
    rng : numpy.random.Generator
        Seeds the chains; a fixed seed without it.
    draws, tune, chains : int
        Draws a chain that are kept, and that are spent on tuning.

    Returns
    -------
    HaloFit
        ``posterior`` holds the draws (chain, draw); posterior estimates are theirs. ``diagnostics`` holds
        R-hat, effective sample sizes, divergences, and ``converged``: 0 for chains that must not be used
        (R-hat above 1.01, bulk ESS below 400, divergences), which ``metadata["problems"]`` explains.
    """
    draws, chains = whole_number(draws, "draws", 1), whole_number(chains, "chains", 1)
    tune = whole_number(tune, "tune")
    found = scan.fit(profiles, model, prior=prior)
    if found.status != "ok":
        return found
    data = model.prepare(profiles)
    start_mass = float(np.clip(found.summary["mass_median_msun"], 2e12, 1e16))
    density = HaloDensity(model, data, prior)
    seed = int((rng or np.random.default_rng(0)).integers(2**32))
    drawn = sample(
        density,
        density.expand,
        density.start(start_mass),
        seed=seed,
        draws=draws,
        tune=tune,
        chains=chains,
        target_accept=_ACCEPT,
    )
    problems = drawn.problems
    return replace(
        found,
        summary={**found.summary, **_estimates(drawn, prior)},
        diagnostics={**found.diagnostics, **drawn.diagnostics, "converged": float(not problems)},
        posterior=dict(drawn.values),
        metadata={**found.metadata, "fitter": "nuts", "problems": "; ".join(problems)},
    )


def _estimates(drawn: Draws, prior: MassPrior) -> dict[str, float]:
    """Return mean, median, mode and 68 % highest-density interval of the mass, those of ln M for "log"."""
    mass = drawn.values["mass_msun"].ravel()
    nodes, density = _smooth(np.sort(np.log(mass) if prior == "log" else mass))
    shape = summarise(Axis(nodes), density)
    values = np.array([shape.mode, shape.hdi_lo, shape.hdi_hi])
    mode, low, high = (float(v) for v in (np.exp(values) if prior == "log" else values))
    return {
        "mass_mean_msun": float(mass.mean()),
        "mass_median_msun": float(np.median(mass)),
        "mass_mode_msun": mode,
        "mass_hdi68_lo_msun": low,
        "mass_hdi68_hi_msun": high,
    }


def _smooth(values: Array) -> tuple[Array, Array]:
    """Return a kernel density estimate of sorted values, with Silverman's width."""
    quartiles = np.quantile(values, [0.25, 0.75])
    width = 0.9 * min(values.std(), (quartiles[1] - quartiles[0]) / 1.34) * len(values) ** -0.2
    x = np.linspace(values[0], values[-1], 512)
    counts, edges = np.histogram(values, bins=2048)
    centres = 0.5 * (edges[1:] + edges[:-1])
    return x, np.exp(-0.5 * ((x[:, np.newaxis] - centres) / width) ** 2) @ counts
