"""Synthetic results, with everything that goes wrong on real ones."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from clmassmod.bias.statistics import calibration
from clmassmod.posterior import Marginal, Posterior
from clmassmod.records import HaloFit, HaloInfo, ShearProfile
from clmassmod.report import AnalysisResult, ReportInput
from clmassmod.report.inputs import BinProfile, Scene

LN_BIAS, SCATTER = -0.08, 0.25
EDGES = (1e14, 2e14, 4e14, 2e15)
CAVEAT = "where noise grows with mass the mean of a wide bin is low by up to 14 %"


def posterior(rng, centre, width, names, warnings=(), **metadata):
    marginals = {
        name: Marginal.from_samples(name, rng.normal(x, s, 1000))
        for name, x, s in zip(names, centre, width, strict=True)
    }
    return Posterior(marginals, warnings=warnings, metadata=metadata)


def at_the_edge(comparison, low=0.01, high=0.3):
    """Return a comparison whose scatter is uniform in its logarithm down to the prior's edge."""
    x = np.linspace(np.log(low), np.log(high), 101)
    density = np.where(x < x[-1], 1.0, 0.0)
    draws = np.random.default_rng(8).uniform(x[0], x[-1], 1000)
    ln_scatter = Marginal.from_density("ln_scatter", x, density, draws)
    scatter = {"ln_scatter": ln_scatter, "scatter": ln_scatter.exponential("scatter")}
    edge = ("the posterior of scatter touches the lower edge of its prior, 0.01",)
    return replace(comparison, marginals={**comparison.marginals, **scatter}, warnings=edge)


def example(halo_id, rng, observable="g_t"):
    radius = np.linspace(0.5, 2.5, 10)
    scale = 1.0 if observable == "g_t" else 3e15
    model = 0.06 * scale / radius
    error = np.full(10, 0.012 * scale)
    value = model + rng.normal(0, error)
    value[3] = np.nan  # a bin without galaxies
    profile = ShearProfile(
        halo=HaloInfo(halo_id, 0.25),
        observable=observable,
        radius_mpc=radius,
        value=value,
        error=error,
        cross=rng.normal(0, error),
        n_gal=np.where(np.isnan(value), 0, 50),
        beta_s=np.full(10, 0.6),
        beta_s2=np.full(10, 0.4),
        d_lens_mpc=800.0,
        sigma_crit_inf_msun_mpc2=2e15,
    )
    good = np.isfinite(value)
    return HaloFit(
        halo=profile.halo,
        mass_definition="200c",
        mass_msun=np.geomspace(1e12, 2e16, 400),
        ln_like={"200c": np.zeros(400)},
        profile=profile,
        model={"radius_mpc": radius[good], "value": model[good]},
    )


def analysis(name="shape", n=240, seed=1, truth=True, definition="200c"):
    rng = np.random.default_rng(seed)
    true_mass = 1e14 * np.exp(rng.exponential(0.6, n))
    lens = true_mass * np.exp(rng.normal(LN_BIAS, SCATTER, n))
    error = np.full(n, 0.9e14)
    best = lens + rng.normal(0, error)
    best[0] = -3e13  # noise may turn the sign
    status = np.full(n, "ok", dtype=object)
    reason = np.full(n, "", dtype=object)
    status[5], reason[5] = "unusable", "no bin with a finite value in 0.5-2.5 Mpc"
    best[5] = error[5] = np.nan
    ids = np.array([f"nb{i:04d}.p{i % 3}" for i in range(n)], dtype=object)
    table = {
        "halo_id": ids,
        "parent": np.array([f"nb{i // 3:04d}" for i in range(n)], dtype=object),
        "z": rng.uniform(0.2, 1.0, n),
        "status": status,
        "reason": reason,
        "mass_ml_msun": best,
        "mass_err_msun": error,
        "snr": best / error,
        "p_value": rng.uniform(size=n),
    }
    bins = {"all": ids}
    bins |= {
        label: ids[(table["z"] >= lo) & (table["z"] < hi)]
        for label, lo, hi in (("z0.2-0.5", 0.2, 0.5), ("z0.5-1.0", 0.5, 1.0))
    }
    edges = list(pairwise(EDGES))
    true_bins = {
        f"true_mass_{i}": ids[(true_mass >= lo) & (true_mass < hi)] for i, (lo, hi) in enumerate(edges)
    }
    ensembles = {
        label: posterior(
            rng,
            (33.0, 0.5),
            (0.03, 0.04),
            ("mean_ln_mass", "scatter"),
            mass_definition=definition,
            caveat=CAVEAT,
        )
        for label in bins
    }
    names, comparisons = ("ln_bias", "scatter"), {}
    if truth:
        bins |= true_bins
        for label in bins:
            comparisons[label] = posterior(
                rng, (LN_BIAS, SCATTER), (0.02, 0.03), names, mass_definition=definition
            )
        comparisons["z0.5-1.0"] = at_the_edge(comparisons["z0.5-1.0"])
    return AnalysisResult(
        name=name,
        config={
            "survey": "ground",
            "radius_mpc": [0.5, 2.5],
            "mass_definition": definition,
            "model": {"profile": "nfw", "concentration": 4.0 if seed == 1 else "diemer19"},
            "options": {},
        },
        table=table,
        bins=bins,
        ensembles=ensembles,
        comparisons=comparisons,
        true_mass_msun=dict(zip(ids.tolist(), true_mass.tolist(), strict=True)) if truth else {},
        examples=[
            example(str(i), rng, o) for i, o in zip(ids[:3], ("g_t", "g_t", "delta_sigma"), strict=True)
        ],
        failed=[{"halo_id": "nb9999.p0", "reason": "ReaderError: map holds NaN"}],
    )


def campaign(*analyses, **changes):
    analyses = analyses or (analysis(),)
    binning = {label: "redshift" for label in ("z0.2-0.5", "z0.5-1.0")}
    binning |= {f"true_mass_{i}": "true mass" for i in range(3)} | {"all": "all"}
    fields = {
        "title": "N-body haloes at z = 0.25",
        "campaign": "default",
        "notes": ["The core of haloes at z > 0.6 is not resolved by this simulation."],
        "config": {
            "campaign": "default",
            "seed": 42,
            "cosmology": {"H0": 70.0, "Om0": 0.3, "Ode0": None},
            "simulation": {"reader": "grid", "path": "workflow/resources/nbody_haloes_z0.25.h5"},
            "truth": {"mass": "m200c", "mass_definition": "200c"},
        },
        "provenance": {"clmassmod": "0.1.0", "seed": 42, "configuration": "0123456789abcdef"},
        "selection": {"in the simulation": 246, "selected": 241},
        "analyses": list(analyses),
        "binning_of": binning,
    }
    return ReportInput(**{**fields, **changes})


def with_bins(result, *labels, examples=0):
    """Return a result cut down to some bins and examples, for what does not depend on their number."""

    def cut(mapping):
        return {label: mapping[label] for label in labels if label in mapping}

    return replace(
        result,
        bins=cut(result.bins),
        ensembles=cut(result.ensembles),
        comparisons=cut(result.comparisons),
        examples=result.examples[:examples],
    )


def with_trend(result):
    """Return a result whose bin of all haloes was compared by a model with trends."""
    names = (
        "ln_bias",
        "ln_bias_mass",
        "ln_bias_z",
        "ln_scatter",
        "ln_scatter_mass",
        "ln_scatter_z",
        "scatter",
    )
    found = posterior(
        np.random.default_rng(4),
        (-0.05, -0.2, 0.1, -1.5, 0.3, -0.4, 0.22),
        (0.02, 0.03, 0.2, 0.1, 0.1, 0.3, 0.02),
        names,
        mass_definition="200c",
        mass_pivot_msun=3e14,
        z_pivot=0.5,
    )
    return replace(result, comparisons={**result.comparisons, "all": found})


def illustrated(result):
    """Return a result with a scene, a mean profile and a calibration of its first bin."""
    rng = np.random.default_rng(5)
    x, y = rng.uniform(-3, 3, (2, 4000))
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    shear = 0.1 / np.maximum(radius, 0.3)
    kappa = np.fromfunction(lambda i, j: 0.1 / (0.2 + np.hypot(i - 20, j - 20) * 0.15), (41, 41))
    first = result.examples[0].halo_id
    scene = Scene(
        first,
        "ground",
        3.0,
        (0.5, 2.5),
        (0.2, -0.1),
        kappa,
        x,
        y,
        -shear * np.cos(2 * angle) + rng.normal(0, 0.02, 4000),
        -shear * np.sin(2 * angle) + rng.normal(0, 0.02, 4000),
    )
    r = np.geomspace(0.5, 2.5, 6)
    value = 6e13 / r
    profile = BinProfile(r, value, 0.1 * value, np.stack([0.9 * value, value, 1.1 * value]), 200, 239)
    ids = [h for h in result.true_mass_msun if h != "nb0005.p2"][:200]
    fits = [likelihood(h, result, rng) for h in ids]
    found = calibration(fits, result.true_mass_msun, posterior=result.comparisons["all"], n_bootstrap=10)
    return replace(result, scenes={first: scene}, profiles={"all": profile}, calibrations={"all": found})


def likelihood(halo_id, result, rng):
    """Return a fit whose likelihood is normal about the halo's biased and scattered mass."""
    mass = np.geomspace(1e12, 3e16, 300)
    lens = result.true_mass_msun[halo_id] * np.exp(rng.normal(LN_BIAS, SCATTER))
    best, error = lens + rng.normal(0, 0.9e14), 0.9e14
    ln_like = -0.5 * ((mass - best) / error) ** 2
    return replace(
        HaloFit.from_likelihood(halo_id, 0.25, mass, ln_like),
        summary={"mass_ml_msun": best, "mass_err_msun": error},
    )


def two_analyses():
    """Return a campaign whose second analysis has but one bin, and the first has all kinds of figures."""
    return campaign(illustrated(analysis()), with_bins(analysis("diemer", seed=2), "all"))
