"""Galaxies that are fitted one by one: against sums written out, in closed form, and where bins are off."""

from dataclasses import replace

import numpy as np
import pytest
from lenses import empty_profile, make_tables, model_signal
from numpy.testing import assert_allclose
from scipy import stats

from clmassmod.config import Analysis, RadialBins, build
from clmassmod.core.miscentring import at_offsets
from clmassmod.core.units import ARCMIN_RAD
from clmassmod.errors import ConfigError
from clmassmod.fitters import curvefit, marginal, scan
from clmassmod.fitters.grid import MASS_GRID_MSUN
from clmassmod.fitters.likelihood import LensModel
from clmassmod.fitters.observables import observable
from clmassmod.measure import measure
from clmassmod.records import HaloInfo, SourceCatalog
from clmassmod.report import figures
from clmassmod.steps import chain
from clmassmod.store import load_fit, save_fit

pytestmark = pytest.mark.inference

RANGE = (0.3, 2.5)
UNBINNED = RadialBins(spacing="unbinned")
NOISE = 0.25


def galaxies(tables, model, mass, n, rng, noise=NOISE, **changes):
    """Return n galaxies of many redshifts and weights behind a halo, a tenth of them in front of it."""
    empty = empty_profile(tables)
    r, phi = np.sqrt(rng.uniform(RANGE[0] ** 2, RANGE[1] ** 2, n)), rng.uniform(0.0, 2.0 * np.pi, n)
    beta = np.where(rng.uniform(size=n) < 0.1, 0.0, rng.uniform(0.3, 0.8, n))
    at = replace(
        empty, radius_mpc=r, value=0 * r, error=0 * r + 1, cross=0 * r, n_gal=0 * r + 1,
        beta_s=beta, beta_s2=beta**2,
    )  # fmt: skip
    g = model_signal(model, at, mass) if mass else 0.0 * r
    e1, e2 = noise * rng.normal(size=(2, n))
    per_mpc = 1.0 / (empty.d_lens_mpc * ARCMIN_RAD)
    catalogue = SourceCatalog(
        HaloInfo("h", 0.3), per_mpc * r * np.cos(phi), per_mpc * r * np.sin(phi),
        -g * np.cos(2 * phi) + e1, -g * np.sin(2 * phi) + e2, np.ones(n), beta, np.ones(n),
        empty.d_lens_mpc, empty.sigma_crit_inf_msun_mpc2, NOISE,
    )  # fmt: skip
    return replace(catalogue, **changes)


def brute_ln_like(model, profile, mass, concentration=None):
    """Return the sum over galaxies of -1/2 ((e - g) / error)^2, of each mass."""
    residual = [profile.value - model_signal(model, profile, m, concentration) for m in mass]
    return -0.5 * np.sum((np.array(residual) / profile.error) ** 2, axis=1)


@pytest.mark.parametrize("observable", ["g_t", "delta_sigma"])
def test_rows_and_their_noise(tables, model, observable):
    rng = np.random.default_rng(3)
    catalogue = galaxies(tables, model, 8e14, 900, rng)
    catalogue = replace(catalogue, weight=rng.uniform(0, 2, 900))
    each = measure(catalogue, RANGE, UNBINNED.model_copy(update={"observable": observable}))
    behind = catalogue.beta_s > 0
    assert len(each.value) == behind.sum()
    phi = np.arctan2(catalogue.y_arcmin, catalogue.x_arcmin)
    e_t = -catalogue.e1 * np.cos(2 * phi) - catalogue.e2 * np.sin(2 * phi)
    radius = np.hypot(catalogue.x_arcmin, catalogue.y_arcmin) * ARCMIN_RAD * catalogue.d_lens_mpc
    order = np.flatnonzero(behind)[np.argsort(radius[behind])]
    unit = 1.0 if observable == "g_t" else catalogue.sigma_crit_inf_msun_mpc2 / catalogue.beta_s[order]
    assert_allclose(each.value, e_t[order] * unit, rtol=1e-10, atol=1e-14)
    assert_allclose(each.radius_mpc, radius[order], rtol=1e-12)
    # the mean of all has the error that it has as one bin of those behind the lens
    binned = measure(
        replace(catalogue, weight=np.where(behind, catalogue.weight, 0.0)),
        RANGE,
        RadialBins(n=1, observable=observable),
    )
    assert_allclose(np.sum(each.error**-2) ** -0.5, binned.error[0], rtol=1e-10)
    assert_allclose(np.average(each.value, weights=each.error**-2), binned.value[0], rtol=1e-9)


def test_galaxies_with_a_noise_of_their_own(tables, model):
    noise = np.linspace(0.2, 0.5, 400)
    catalogue = galaxies(tables, model, 8e14, 400, np.random.default_rng(4), extra={"shape_noise": noise})
    each = measure(catalogue, RANGE, RadialBins(spacing="unbinned", weights="inverse_variance"))
    assert_allclose(np.sort(each.error), noise[catalogue.beta_s > 0], rtol=1e-12)


def test_likelihood_against_a_sum_over_galaxies(tables, model):
    profile = measure(galaxies(tables, model, 8e14, 700, np.random.default_rng(5)), RANGE, UNBINNED)
    fit = scan.fit(profile, model)
    mass = MASS_GRID_MSUN[200:330:10]
    brute = brute_ln_like(model, profile, mass)
    found = fit.ln_like["200c"][200:330:10]
    assert_allclose(found - found.max(), brute - brute.max(), atol=2e-4)


def test_scatter_of_the_concentration_against_a_sum(tables):
    """Mean and width of ln M; 0.02 standard deviations is what nodes are chosen for."""
    scattered = LensModel.build(tables, concentration=4.0, nuisance={"concentration": {"scatter": 0.3}})
    profile = measure(galaxies(tables, scattered, 8e14, 700, np.random.default_rng(6)), RANGE, UNBINNED)
    mass = np.geomspace(5e13, 5e15, 120)
    nodes = np.linspace(-4, 4, 41)
    terms = [brute_ln_like(scattered, profile, mass, 4.0 * np.exp(0.3 * x)) - 0.5 * x * x for x in nodes]
    brute = np.logaddexp.reduce(terms, axis=0)
    assert_same_mean_and_width(scan.fit(profile, scattered), mass, brute)


@pytest.mark.parametrize("profile", ["nfw", "einasto"])
def test_wrong_centres_against_a_sum(tables, profile):
    """Offsets, Rayleigh distributed in half of all haloes, summed at 40 equal probabilities."""
    prior = {"miscentring": {"distribution": "rayleigh", "scale_mpc": 0.2, "fraction": 0.5}}
    modelled = LensModel.build(tables, profile=profile, concentration=4.0, nuisance=prior)
    centred = LensModel.build(tables, profile=profile, concentration=4.0)
    data = measure(galaxies(tables, centred, 1e15, 500, np.random.default_rng(13)), RANGE, UNBINNED)
    mass = np.geomspace(8e13, 4e15, 30)
    terms = [np.log(0.5) + brute_ln_like(centred, data, mass)]
    environment = centred.environment(data)
    used = np.ones(len(data.value), bool)
    for u in (np.arange(40) + 0.5) / 40:
        operator = at_offsets(data.radius_mpc, 0.2 * np.sqrt(-2.0 * np.log(u)))
        surface = operator(lambda r: centred.surface(r, environment, mass, np.full(len(mass), 4.0)))
        residual = (data.value - observable(data, used, surface)) / data.error
        terms.append(np.log(0.5 / 40) - 0.5 * np.sum(residual**2, axis=1))
    brute = np.logaddexp.reduce(terms, axis=0)
    assert_same_mean_and_width(scan.fit(data, modelled), mass, brute)


@pytest.mark.parametrize(("profile", "parameters"), [("einasto", {}), ("tnfw", {"tau": 14.0, "n": 2})])
def test_profiles_between_radii_that_are_computed(tables, profile, parameters):
    """Of hundreds of galaxies a few dozen radii are computed: against all of them."""
    other = LensModel.build(tables, profile=profile, concentration=4.0, parameters=parameters)
    data = measure(galaxies(tables, other, 1e15, 500, np.random.default_rng(14)), RANGE, UNBINNED)
    mass = MASS_GRID_MSUN[230:300:10]
    brute = brute_ln_like(other, data, mass)
    fit = scan.fit(data, other)
    found = fit.ln_like["200c"][230:300:10]
    assert_allclose(found - found.max(), brute - brute.max(), atol=2e-4)
    least_squares = curvefit.fit(data, other).summary["mass_ml_msun"]
    assert_allclose(least_squares, fit.summary["mass_ml_msun"], rtol=2e-3)


def assert_same_mean_and_width(fit, mass, brute):
    found = np.interp(np.log(mass), np.log(fit.mass_msun), fit.ln_like["200c"])
    (m0, s0), (m1, s1) = (moments(np.log(mass), v) for v in (brute, found))
    print(f"mean off by {(m1 - m0) / s0:+.4f} sd, width by {s1 / s0 - 1:+.4f}")
    assert abs(m1 - m0) < 0.02 * s0
    assert abs(s1 / s0 - 1) < 0.02


def moments(x, ln_like):
    weight = np.exp(ln_like - ln_like.max())
    mean = np.average(x, weights=weight)
    return mean, np.average((x - mean) ** 2, weights=weight) ** 0.5


def test_few_galaxies_without_noise_give_the_mass_where_bins_do_not(tables, model):
    """Thirty galaxies: wide bins of equal counts are off by several per cent, single galaxies by nothing."""
    rng = np.random.default_rng(7)
    off = {"unbinned": [], "equal_count": []}
    for _ in range(20):
        catalogue = galaxies(tables, model, 1e15, 30, rng, noise=0.0)
        for spacing, ratios in off.items():
            bins = RadialBins(spacing=spacing) if spacing == "unbinned" else RadialBins(n=4, spacing=spacing)
            profile = measure(catalogue, RANGE, bins)
            ratios.append(scan.fit(profile, model).summary["mass_ml_msun"] / 1e15 - 1.0)
    print({k: f"{np.mean(v):+.4f}, largest {np.abs(v).max():.4f}" for k, v in off.items()})
    # the mass is read off a likelihood on a grid with steps of 0.025 in ln M
    assert np.abs(off["unbinned"]).max() < 2e-3
    assert np.abs(off["equal_count"]).max() > 0.02


def test_likelihood_ratio_at_the_truth_follows_chi_squared(tables, model):
    """2 ln(L_best / L_true) of 300 noisy haloes is chi-squared of one degree of freedom (Wilks 1938)."""
    rng = np.random.default_rng(8)
    ratios = []
    for _ in range(300):
        fit = scan.fit(measure(galaxies(tables, model, 1e15, 1500, rng), RANGE, UNBINNED), model)
        values = fit.ln_like["200c"]
        ratios.append(2.0 * (values.max() - np.interp(np.log(1e15), np.log(fit.mass_msun), values)))
    test = stats.kstest(ratios, "chi2", args=(1,))
    print(f"mean {np.mean(ratios):.3f} +- {np.sqrt(2 / 300):.3f}, KS p = {test.pvalue:.3f}")
    assert abs(np.mean(ratios) - 1.0) < 3.0 * np.sqrt(2.0 / 300.0)
    assert test.pvalue > 0.01


def test_both_fitters_find_the_same(tables, model):
    profile = measure(galaxies(tables, model, 1e15, 600, np.random.default_rng(9)), RANGE, UNBINNED)
    one, other = scan.fit(profile, model), curvefit.fit(profile, model)
    assert_allclose(one.summary["mass_ml_msun"], other.summary["mass_ml_msun"], rtol=2e-3)
    assert_allclose(one.summary["chi2"], other.summary["chi2"], rtol=1e-4)


def test_log_likelihoods_of_galaxies_and_of_a_profile_add(tables, model):
    profile = measure(galaxies(tables, model, 1e15, 600, np.random.default_rng(10)), RANGE, UNBINNED)
    other = empty_profile(tables, observable="delta_sigma", error=5e13, halo_id="h")
    other = replace(other, value=model_signal(model, other, 9e14))
    alone = [scan.fit(p, model).ln_like["200c"] for p in (profile, other)]
    both = scan.fit([profile, other], model).ln_like["200c"]
    near = both > both.max() - 10
    total = (alone[0] + alone[1])[near]
    assert_allclose(both[near] - both.max(), total - total.max(), atol=2e-3)


def test_noise_alone_has_no_significance(tables, model):
    """Noise of thousands of galaxies must not pass for signal: the nodes of nuisance parameters follow it."""
    rng = np.random.default_rng(11)
    profiles = [measure(galaxies(tables, model, 0, 3000, rng), RANGE, UNBINNED) for _ in range(20)]
    found = [model.prepare(p).significance for p in profiles]
    assert np.mean(found) < 3.0
    strong = measure(galaxies(tables, model, 1e15, 3000, rng), RANGE, UNBINNED)
    expected = np.sqrt(np.sum((model_signal(model, strong, 1e15) / strong.error) ** 2))
    assert abs(model.prepare(strong).significance - expected) < 3.0


def test_file_and_figure_show_means_of_neighbours(tables, model, tmp_path):
    analysis = build(
        Analysis,
        {"survey": "s", "radius_mpc": list(RANGE), "radial_bins": {"spacing": "unbinned"}},
        "a.yaml",
        "analyses.a",
    )
    profile = chain.analysis_profile(
        galaxies(tables, model, 1e15, 2000, np.random.default_rng(12)), analysis, tables, 0
    )
    fit = chain.fit_profiles(profile, model, analysis, "a", 1)
    assert fit.summary["n_bins"] == len(profile.value)
    assert len(fit.profile.value) == len(fit.model["value"]) == 12
    assert fit.profile.n_gal.sum() == len(profile.value)
    residual = (fit.profile.value - fit.model["value"]) / fit.profile.error
    assert np.sum(residual**2) < 32.9  # 1 in 1,000 for 12
    path = tmp_path / "h.h5"
    save_fit(path, fit, chain.provenance("c", "x", 1))
    assert path.stat().st_size < 60_000
    assert_allclose(load_fit(path, "h").profile.value, fit.profile.value)
    figures.shear_profile(fit, (4, 3))


def test_halo_without_galaxies_is_unusable(tables, model):
    analysis = build(
        Analysis,
        {"survey": "s", "radius_mpc": [5.0, 6.0], "radial_bins": {"spacing": "unbinned"}},
        "a.yaml",
        "analyses.a",
    )
    profile = chain.analysis_profile(
        galaxies(tables, model, 1e15, 50, np.random.default_rng(1)), analysis, tables, 0
    )
    assert chain.fit_profiles(profile, model, analysis, "a", 1).status == "unusable"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"radial_bins": {"spacing": "unbinned", "n": 12}}, "n is of bins"),
        ({"radial_bins": {"spacing": "unbinned", "errors": "bootstrap"}}, "errors is of bins"),
        ({"method": "nuts"}, "'nuts' fits no unbinned galaxies"),
        ({"noise": {"profile_scatter": {"fraction": 0.2}}}, "unbinned galaxies has no covariance"),
    ],
)
def test_what_needs_bins_is_refused(changes, message):
    given = {"survey": "s", "radius_mpc": list(RANGE), "radial_bins": {"spacing": "unbinned"}, **changes}
    with pytest.raises(ConfigError, match=message):
        build(Analysis, given, "a.yaml", "analyses.a")


def test_sums_in_parts_are_the_whole(tables, monkeypatch):
    """Memory does not grow with galaxies times nodes: models are made and summed in parts."""
    structure = make_tables(structure=True)
    nuisance = {
        "concentration": {"scatter": 0.3},
        "miscentring": {"scale_mpc": 0.2, "fraction": 0.3},
        "two_halo": {"mean": 1.0, "sd": 0.5},
        "shear_bias": {"mean": 0.0, "sd": 0.02},
    }
    model = LensModel.build(structure, concentration="duffy08", nuisance=nuisance)
    rng = np.random.default_rng(5)
    catalogues = [
        galaxies(tables, LensModel.build(tables, concentration="duffy08"), 1e15, n, rng) for n in (700, 90)
    ]
    profiles = [measure(c, RANGE, UNBINNED) for c in catalogues]
    found = []
    for numbers in (10**9, 10**5):
        monkeypatch.setattr(marginal, "_NUMBERS", numbers)
        found.append(scan.fit(profiles, model))
    whole, parts = found
    # up to 200 galaxies have surface densities at their own radii, more of them between nodes in ln R
    assert_allclose(parts.ln_like["200c"], whole.ln_like["200c"], atol=1e-3)
    assert_allclose(parts.model["value"], whole.model["value"], rtol=2e-4)
    assert len(parts.model["value"]) == sum(len(p.value) for p in profiles)
    data = model.prepare(profiles)
    sizes = [part.n_bins for part in data.parts(100)]
    assert max(sizes) <= 100
    assert sum(sizes) == data.n_bins
