"""Simulation-based calibration and coverage of the halo's and the ensemble's posteriors.

Truths are drawn from the prior, data from the truths: then ranks of the truths among posterior draws are
uniform, and intervals hold the truth as often as they say (Talts et al. 2018, arXiv:1804.06788). The same
tests see what is wrong with a posterior that has a prior left in it, or counts projections as haloes.
"""

from dataclasses import replace

import numpy as np
import pytest
from lenses import empty_profile, make_tables, model_signal

from clmassmod import bias
from clmassmod.config import RadialBins
from clmassmod.core.calibration import coverage, rank_test
from clmassmod.core.gridstats import cumulative
from clmassmod.core.miscentring import miscentring
from clmassmod.core.projected import Projected
from clmassmod.core.units import ARCMIN_RAD
from clmassmod.fitters import scan
from clmassmod.fitters.likelihood import LensModel
from clmassmod.fitters.observables import observable
from clmassmod.measure import measure
from clmassmod.records import HaloFit, HaloInfo, SourceCatalog

pytestmark = pytest.mark.inference

P_LEAST = 0.01  # of chi squared of the ranks
N_DRAWS, N_BINS = 199, 20
LN_MEAN, LN_SD = np.log(4e14), 0.6  # of the haloes' masses


def halo_rank(fit, truth, rng, tilt=0.0):
    """Return the rank of a true mass among draws of L(ln M) N(ln M | LN_MEAN, LN_SD) M^tilt."""
    x = np.log(fit.mass_msun)
    ln_density = fit.ln_like["200c"] + tilt * x - 0.5 * ((x - LN_MEAN) / LN_SD) ** 2
    cdf = cumulative(x, np.exp(ln_density - ln_density.max()))
    return int(np.sum(np.interp(rng.random(N_DRAWS), cdf, x) < np.log(truth)))


def describe(label, ranks, n_draws=N_DRAWS):
    """Print and return p of uniform ranks, and coverage of the intervals they stand for."""
    found = rank_test(ranks, n_draws, N_BINS)
    held = coverage((np.asarray(ranks) + 0.5) / (n_draws + 1))
    shares = ", ".join(f"{c.level:.0%}: {c.share:.3f} +- {c.error:.3f}" for c in held)
    print(f"{label}: {len(ranks)} simulations, chi2 = {found.chi2:.1f} (p = {found.p:.3f}); held by {shares}")
    return found.p, held


def assert_calibrated(label, ranks, n_draws=N_DRAWS):
    p, held = describe(label, ranks, n_draws)
    assert p > P_LEAST
    for c in held:
        assert abs(c.share - c.level) < 3 * c.error


@pytest.fixture(scope="module")
def tables():
    return make_tables(structure=True)


@pytest.mark.parametrize("error", [0.02, 0.06])
def test_halo_posterior_with_fixed_concentration(tables, error):
    rng = np.random.default_rng([1, int(1000 * error)])
    model = LensModel.build(tables, concentration="duffy08")
    empty = empty_profile(tables, error=error)
    ranks, tilted = [], []
    for _ in range(2000):
        mass = float(np.exp(LN_MEAN + LN_SD * rng.normal()))
        signal = model_signal(model, empty, mass)
        fit = scan.fit(replace(empty, value=signal + error * rng.normal(size=len(signal))), model)
        ranks.append(halo_rank(fit, mass, rng))
        tilted.append(halo_rank(fit, mass, rng, tilt=1.0))
    assert_calibrated(f"p(M), noise {error}", ranks)
    # control: a posterior flat in M, taken for one flat in ln M, is not calibrated
    assert describe("with M left in", tilted)[0] < 1e-6


NUISANCE = {
    "concentration": {"scatter": 0.3},
    "miscentring": {"scale_mpc": 0.2, "fraction": 0.3},
    "two_halo": {"mean": 1.0, "sd": 0.5},
    "shear_bias": {"mean": 0.0, "sd": 0.05},
}


def simulated(model, empty, mass, rng):
    """Return the signal of a halo whose nuisance parameters are drawn from their priors."""
    size, environment = np.array([mass]), model.environment(empty)
    c = model.concentration(size, environment.z) * np.exp(0.3 * rng.normal())
    offset = 0.2 * np.hypot(*rng.normal(size=2)) if rng.random() < 0.3 else 0.0

    def centred(radius):
        return model.surface(radius, environment, size, c)

    radius = empty.radius_mpc
    base = miscentring(radius, "fixed", offset)(centred) if offset > 0 else centred(radius)
    term, amplitude = model.two_halo(radius, environment.z, size), 1.0 + 0.5 * rng.normal()
    whole = Projected(base.sigma + amplitude * term.sigma, base.delta_sigma + amplitude * term.delta_sigma)
    return (1.0 + 0.05 * rng.normal()) * observable(empty, np.ones(len(radius), bool), whole)[0]


@pytest.mark.long
def test_halo_posterior_with_four_nuisance_parameters(tables):
    rng = np.random.default_rng(2)
    fixed = LensModel.build(tables, concentration="duffy08")
    model = LensModel.build(tables, concentration="duffy08", nuisance=NUISANCE)
    empty = empty_profile(tables, error=0.02)
    ranks, ignored = [], []
    for _ in range(1500):
        mass = float(np.exp(LN_MEAN + LN_SD * rng.normal()))
        signal = simulated(fixed, empty, mass, rng)
        profile = replace(empty, value=signal + 0.02 * rng.normal(size=len(signal)))
        ranks.append(halo_rank(scan.fit(profile, model), mass, rng))
        ignored.append(halo_rank(scan.fit(profile, fixed), mass, rng))
    assert_calibrated("p(M) over c, offset, two-halo, shear bias", ranks)
    # control: the same haloes with their nuisance parameters ignored
    assert describe("nuisance parameters ignored", ignored)[0] < 1e-6


# ensembles

PRIOR = {"ln_bias": (-0.5, 0.5), "scatter": (0.08, 0.6)}
GRID = np.geomspace(1e12, 2e16, 200)


def ensemble(rng, n=60, ln_bias=None, scatter=None, noise=(0.3, 1.0), tilt=0.0):
    """Return fits whose likelihoods are normal in M, truths, and the ln b and sigma they were drawn with."""
    ln_bias = rng.uniform(*PRIOR["ln_bias"]) if ln_bias is None else ln_bias
    scatter = np.exp(rng.uniform(*np.log(PRIOR["scatter"]))) if scatter is None else scatter
    true = 2e14 * np.exp(rng.exponential(0.5, n))
    lens = true * np.exp(ln_bias + scatter * rng.normal(size=n))
    error = 2e14 * rng.uniform(*noise, n)
    best = lens + error * rng.normal(size=n)
    ln_like = -0.5 * ((GRID - best[:, None]) / error[:, None]) ** 2 + tilt * np.log(GRID)
    fits = [
        replace(
            HaloFit.from_likelihood(f"h{i:04d}", 0.4, GRID, row),
            summary={"mass_ml_msun": best[i], "mass_err_msun": error[i], "snr": best[i] / error[i]},
        )
        for i, row in enumerate(ln_like)
    ]
    return fits, {f"h{i:04d}": float(m) for i, m in enumerate(true)}, ln_bias, scatter


def ensemble_ranks(n_ensembles, seed, **options):
    """Return the ranks of ln b and of sigma among the draws of their joint posterior, (ensemble,)."""
    ranks = {"ln_bias": [], "scatter": []}
    for i in range(n_ensembles):
        rng = np.random.default_rng([seed, i])
        fits, truth, ln_bias, scatter = ensemble(rng, **options)
        post = bias.fit(fits, truth, prior=PRIOR, seed=i)
        for name, value in (("ln_bias", ln_bias), ("scatter", scatter)):
            ranks[name].append(int(np.sum(post.samples[name][:3999] < value)))
    return ranks


@pytest.mark.parametrize("n_ensembles", [100, pytest.param(600, marks=pytest.mark.long)])
def test_ensemble_posterior(n_ensembles):
    """(ln b, sigma) of 60 haloes each, of which one in twelve has a negative best mass."""
    for name, ranks in ensemble_ranks(n_ensembles, seed=3).items():
        assert_calibrated(name, ranks, 3999)


@pytest.mark.long
def test_ensemble_coverage_at_one_truth():
    """Intervals of one population, 500 times: Bayesian ones cover to 1 / n_halos."""
    for name, ranks in ensemble_ranks(500, seed=4, n=150, ln_bias=np.log(0.93), scatter=0.22).items():
        _, held = describe(f"{name} at b = 0.93, sigma = 0.22", ranks, 3999)
        for c in held:
            assert abs(c.share - c.level) < 3 * c.error


def test_control_prior_left_in_is_not_calibrated():
    found = ensemble_ranks(60, seed=5, tilt=1.0)
    p, held = describe("ln b, flat-in-M posteriors taken for densities in ln M", found["ln_bias"], 3999)
    assert p < 1e-6
    assert held[1].share < 0.85


def shift(fits, truth, ln_bias):
    """Return ln b minus the truth, its error, and the number of haloes."""
    post = bias.fit(fits, truth)
    return post.ln_bias.mean - ln_bias, post.ln_bias.sd, len(fits)


def test_control_selection_by_what_was_measured():
    """Haloes dropped for a negative mass, or a low S/N, are those that scattered down: the rest is biased."""
    ln_bias = np.log(0.93)
    fits, truth, *_ = ensemble(
        np.random.default_rng(6), n=1500, ln_bias=ln_bias, scatter=0.22, noise=(0.6, 1.5)
    )
    kept = {"all": fits}
    kept["M > 0"] = [f for f in fits if f.summary["mass_ml_msun"] > 0]
    kept |= {f"S/N > {s}": [f for f in fits if f.summary["snr"] > s] for s in (1, 2)}
    found = {label: shift(some, truth, ln_bias) for label, some in kept.items()}
    for label, (off, sd, n) in found.items():
        print(f"{label}: {n} haloes, ln b off by {off:+.3f} +- {sd:.3f}")
    pulls = {label: off / sd for label, (off, sd, _) in found.items()}
    assert abs(pulls["all"]) < 3.5
    assert pulls["M > 0"] > 4
    assert pulls["S/N > 1"] > 10
    assert found["S/N > 2"][0] > found["S/N > 1"][0] > found["M > 0"][0]


def test_control_cut_point_estimates():
    """The same cut in the mean of point estimates, which is right without it."""
    fits, truth, *_ = ensemble(np.random.default_rng(7), n=1500, ln_bias=0.0, scatter=0.2, noise=(0.6, 1.5))
    mean = float(np.exp(0.5 * 0.2**2))  # of a log-normal ratio of median 1
    whole = bias.calibration(fits, truth).biases["mean_ratio"]
    cut = bias.calibration([f for f in fits if f.summary["mass_ml_msun"] > 0], truth).biases["mean_ratio"]
    print(f"mean ratio {whole.value:.3f} +- {whole.error:.3f}, of positive masses {cut.value:.3f}")
    assert abs(whole.value - mean) < 3.5 * whole.error
    assert cut.value > mean + 4 * cut.error


def noiseless_catalogue(model, empty, mass, n, rng):
    """Return n galaxies from 0.3 to 2.5 Mpc with the exact shear of a halo; noise is in the weights alone."""
    r, phi = np.sqrt(rng.uniform(0.3**2, 2.5**2, n)), rng.uniform(0.0, 2.0 * np.pi, n)
    ones = np.ones(n)
    bins = dict.fromkeys(("error", "n_gal"), ones) | dict.fromkeys(("value", "cross"), 0 * r)
    at = replace(empty, radius_mpc=r, beta_s=0.6 * ones, beta_s2=0.36 * ones, **bins)
    g = model_signal(model, at, mass)
    per_mpc = 1.0 / (empty.d_lens_mpc * ARCMIN_RAD)
    return SourceCatalog(
        HaloInfo("h", 0.3), per_mpc * r * np.cos(phi), per_mpc * r * np.sin(phi),
        -g * np.cos(2 * phi), -g * np.sin(2 * phi), ones, 0.6 * ones, ones,
        empty.d_lens_mpc, empty.sigma_crit_inf_msun_mpc2, 0.25,
    )  # fmt: skip


def test_control_equal_count_bins_at_low_density(tables):
    """Few galaxies make equal-count bins wide: the shear at their mean radius is not their mean shear."""
    model, empty = LensModel.build(tables, concentration="duffy08"), empty_profile(tables)
    off = {}
    for label, bins in (
        ("linear bins", RadialBins(n=10)),
        ("equal counts, effective radius", RadialBins(n=5, spacing="equal_count")),
        ("equal counts, mean radius", RadialBins(n=5, spacing="equal_count", radius="mean")),
    ):
        rng = np.random.default_rng(8)
        ratios = []
        for _ in range(60):
            profile = measure(noiseless_catalogue(model, empty, 1e15, 100, rng), (0.3, 2.5), bins)
            ratios.append(scan.fit(profile, model).summary["mass_ml_msun"] / 1e15)
        off[label], error = float(np.mean(ratios)) - 1.0, float(np.std(ratios) / np.sqrt(60))
        print(f"{label}: mass off by {100 * off[label]:+.2f} +- {100 * error:.2f} %")
    assert abs(off["linear bins"]) < 0.003
    assert abs(off["equal counts, effective radius"]) < 0.02
    assert off["equal counts, mean radius"] > 0.03
