"""Maps whose pixels are fitted themselves: against textbook NFW, sums written out, and many noisy maps."""

from dataclasses import replace

import numpy as np
import pytest
from lenses import COSMOLOGY, empty_profile, make_tables, model_signal, numeric_gradient
from numpy.testing import assert_allclose
from scipy import integrate, stats

from clmassmod.config import Analysis, RadialBins, build
from clmassmod.config.analysis import MapPixels
from clmassmod.config.noise import Noise
from clmassmod.core.units import ARCMIN_RAD
from clmassmod.errors import ConfigError, FitError, ReaderError
from clmassmod.fitters import curvefit, nuts, scan
from clmassmod.fitters.data import as_profiles, prepare
from clmassmod.fitters.density import HaloDensity
from clmassmod.fitters.grid import MASS_GRID_MSUN
from clmassmod.fitters.likelihood import LensModel
from clmassmod.fitters.noise import noise_samples
from clmassmod.pixels import measure_pixels
from clmassmod.records import HaloInfo, LensingMap
from clmassmod.report import figures
from clmassmod.stack import stack_delta_sigma
from clmassmod.steps import chain
from clmassmod.tables import Tables
from clmassmod.tables import build as build_tables

pytestmark = pytest.mark.inference

Z, MASS, C = 0.3, 6e14, 4.0
RANGE = (0.3, 2.5)
EXACT = MapPixels(noise=0.05, beta_s=0.6, noisy=True)


@pytest.fixture(scope="module")
def model(tables):
    return LensModel.build(tables, concentration=C)


def surface_density(radius_mpc, mass, c, critical):
    """Bartelmann 1996, A&A 313, 697, eq. 7-8, by his formulae: Sigma of an NFW halo, M and c of 200c."""
    r_s = (mass / (4 / 3 * np.pi * 200 * critical)) ** (1 / 3) / c
    rho_s = 200 / 3 * c**3 / (np.log1p(c) - c / (1 + c)) * critical
    x = radius_mpc / r_s
    f = np.where(
        x < 1,
        1 - 2 / np.sqrt(np.abs(1 - x * x)) * np.arctanh(np.sqrt(np.abs(1 - x) / (1 + x))),
        1 - 2 / np.sqrt(np.abs(x * x - 1)) * np.arctan(np.sqrt(np.abs(x - 1) / (1 + x))),
    )
    return 2 * rho_s * r_s * f / (x * x - 1)


def nfw_map(tables, mass=MASS, n=256, pixel=0.025, centre=(0.0, 0.0), constant=0.0):
    """A map whose pixels are values at their middles."""
    environment = tables.environment(Z)
    x = (np.arange(n) - 0.5 * (n - 1)) * pixel
    radius = np.hypot(x - centre[0], x[:, np.newaxis] - centre[1])
    sigma = surface_density(radius, mass, C, environment.rho_crit_msun_mpc3)
    kappa = sigma / environment.sigma_crit_inf_msun_mpc2 + constant
    return LensingMap(HaloInfo("h1", Z), pixel, kappa, centre_mpc=centre)


def measured(tables, lensing, pixels=EXACT, seed=0, **bins):
    rng = np.random.default_rng(seed)
    return measure_pixels(lensing, RANGE, pixels, RadialBins(**bins), tables=tables, rng=rng)


@pytest.mark.parametrize("fitter", [scan, curvefit])
def test_map_without_noise_gives_its_mass(tables, model, fitter):
    """Bins know the map's mean to 0.2 %, pixels one by one to the interpolation between radii."""
    lensing = nfw_map(tables, centre=(0.31, -0.17))
    for bins, tolerance in (
        ({"n": 10}, 3e-3),
        ({"n": 8, "spacing": "log"}, 3e-3),
        ({"spacing": "unbinned"}, 3e-4),
    ):
        fit = fitter.fit(measured(tables, lensing, **bins), model)
        assert fit.summary["mass_ml_msun"] == pytest.approx(MASS, rel=tolerance), bins
    wrong = fitter.fit(measured(tables, replace(lensing, centre_mpc=(0.0, 0.0)), n=10), model)
    assert abs(wrong.summary["mass_ml_msun"] / MASS - 1) > 0.05  # the centre counts


def test_values_are_means_of_pixels(tables):
    lensing = nfw_map(tables, n=128, pixel=0.05)
    profile = measured(tables, lensing, edges_mpc=[0.3, 0.7, 1.5, 2.5], n=10)
    x = (np.arange(128) - 63.5) * 0.05
    radius = np.hypot(x, x[:, None])
    side_arcmin = 0.05 / tables.environment(Z).d_lens_mpc / ARCMIN_RAD
    for i, (low, high) in enumerate([(0.3, 0.7), (0.7, 1.5), (1.5, 2.5)]):
        within = (radius >= low) & (radius < high)
        assert profile.n_gal[i] == within.sum()
        assert_allclose(profile.value[i], 0.6 * lensing.kappa_inf[within].mean(), rtol=1e-12)
        assert_allclose(profile.error[i], 0.05 / side_arcmin / np.sqrt(within.sum()), rtol=1e-12)
    assert profile.observable == "kappa"
    assert_allclose(profile.beta_s, 0.6)
    few = measured(tables, lensing, edges_mpc=[0.3, 0.34, 2.5], n=10, min_galaxies=40)
    assert np.isnan(few.value[0])
    assert np.isfinite(few.value[1])


def test_masked_pixels_are_not_there(tables, model):
    lensing = nfw_map(tables)
    masked = lensing.kappa_inf.copy()
    masked[:, 140:180] = np.nan
    whole, holes = measured(tables, lensing), measured(tables, replace(lensing, kappa_inf=masked))
    assert np.all(holes.n_gal < whole.n_gal)
    assert scan.fit(holes, model).summary["mass_ml_msun"] == pytest.approx(MASS, rel=3e-3)


def test_stacks_of_shears_refuse_convergence(tables):
    with pytest.raises(FitError, match="'h1': a profile of convergence has no place in a stack"):
        stack_delta_sigma([measured(tables, nfw_map(tables))], [0.3, 1.0, 2.5])


def test_likelihood_is_the_sum_over_pixels(tables, model):
    profile = measured(tables, nfw_map(tables, n=96, pixel=0.05), replace_noise(1.0), 3, spacing="unbinned")
    found = scan.fit(profile, model).ln_like["200c"]
    environment = tables.environment(Z)
    unit = 0.6 / environment.sigma_crit_inf_msun_mpc2
    kappa = unit * surface_density(
        profile.radius_mpc, MASS_GRID_MSUN[:, None], C, environment.rho_crit_msun_mpc3
    )
    written = -0.5 * np.sum(((profile.value - kappa) / profile.error) ** 2, axis=1)
    near = written > written.max() - 8
    difference = (found - found[near].max()) - (written - written[near].max())
    assert np.abs(difference[near]).max() < 1e-3
    assert near.sum() > 5


def replace_noise(noise, **changes):
    return MapPixels(**{"noise": noise, "beta_s": 0.6, **changes})


def test_noise_is_what_is_said(tables, model):
    """300 noisy maps: chi squared of the truth, and 2 ln L_best / L_true, have their distributions."""
    lensing = nfw_map(tables, n=128, pixel=0.05)
    exact = measured(tables, lensing, n=8)
    chi2, ratio = [], []
    for seed in range(300):
        profile = measured(tables, lensing, replace_noise(0.1), seed, n=8)
        chi2.append(np.sum(((profile.value - exact.value) / profile.error) ** 2))
        fit = scan.fit(profile, model)
        ln_like = fit.ln_like["200c"]
        ratio.append(2 * (ln_like.max() - np.interp(np.log(MASS), np.log(MASS_GRID_MSUN), ln_like)))
    assert stats.kstest(chi2, stats.chi2(8).cdf).pvalue > 0.01
    # on the grid of masses the maximum is missed by little: 0.025 in ln M where the width is 0.05
    assert np.mean(ratio) == pytest.approx(1.0, abs=3 * np.sqrt(2 / 300))


def test_unknown_sheet_is_marginalised(tables, model):
    """A constant is harmless where its size is unknown, and moves the mass where it is not (control)."""
    flat, raised = nfw_map(tables), nfw_map(tables, constant=0.02)
    free = replace_noise(0.05, noisy=True, sheet=10.0)
    one, other = (scan.fit(measured(tables, m, free, n=10), model) for m in (flat, raised))
    assert_allclose(other.summary["mass_ml_msun"], one.summary["mass_ml_msun"], rtol=1e-4)
    assert (
        one.summary["mass_err_msun"]
        > 1.3 * scan.fit(measured(tables, flat, n=10), model).summary["mass_err_msun"]
    )
    moved = scan.fit(measured(tables, raised, n=10), model).summary["mass_ml_msun"]
    assert moved > 1.1 * MASS
    # against an integral over the constant
    profile = measured(tables, raised, replace_noise(0.05, noisy=True, sheet=0.03), n=10)
    masses = np.array([4e14, 6e14, 8e14])
    signals = [model_signal(model, profile, m) for m in masses]

    def integrand(s, m):
        return np.exp(-0.5 * np.sum(((profile.value - m - s) / profile.error) ** 2) - 0.5 * (s / 0.03) ** 2)

    written = [
        np.log(integrate.quad(integrand, -0.1, 0.1, args=(m,), epsabs=0, epsrel=1e-9, points=[0, 0.02])[0])
        for m in signals
    ]
    found = model.ln_likelihood(profile, masses)
    assert_allclose(found - found[1], np.array(written) - written[1], atol=1e-5)


NUISANCE = {
    "concentration": {"scatter": 0.3},
    "miscentring": {"scale_mpc": 0.2, "fraction": 0.3},
    "two_halo": {"mean": 1.0, "sd": 0.5},
    "shear_bias": {"mean": 0.0, "sd": 0.02},
}


def test_nuisance_parameters_by_sums_and_by_sampling():
    tables = make_tables(structure=True)
    model = LensModel.build(tables, concentration="duffy08", nuisance=NUISANCE)
    empty = empty_profile(tables, observable="kappa", error=0.01)
    truth = LensModel.build(tables, concentration="duffy08")
    profile = replace(empty, value=model_signal(truth, empty, MASS))
    exact = scan.fit(profile, model, prior="log")
    drawn = nuts.fit(profile, model, prior="log", rng=np.random.default_rng(3))
    assert drawn.diagnostics["converged"] == 1.0
    for name in ("mass_mean_msun", "mass_median_msun"):
        assert abs(drawn.summary[name] - exact.summary[name]) < 0.1 * exact.summary["mass_err_msun"]
    density = HaloDensity(model, prepare(as_profiles(profile)), "log")
    x = density.start(MASS) + 0.2 * np.random.default_rng(1).normal(size=len(density.names))
    _, gradient = density(x)
    assert gradient == pytest.approx(numeric_gradient(density, x, 1e-5), rel=1e-4, abs=1e-4)


def test_log_likelihoods_of_map_and_shear_add(tables, model):
    kappa = measured(tables, nfw_map(tables), replace_noise(0.1), 5, n=8)
    shear = empty_profile(tables)
    shear = replace(
        shear, value=model_signal(model, shear, MASS) + 0.02 * np.random.default_rng(2).normal(size=12)
    )
    masses = np.geomspace(2e14, 1e15, 7)
    parts = [model.ln_likelihood(p, masses) for p in (kappa, shear)]
    assert_allclose(model.ln_likelihood([kappa, shear], masses), sum(parts), rtol=1e-12)
    fits = [scan.fit(p, model).summary["mass_err_msun"] for p in (kappa, shear, [kappa, shear])]
    assert fits[2] < min(fits[:2])


def test_figure_of_a_joint_fit_shows_the_map_alone(tables, model):
    kappa = measured(tables, nfw_map(tables), replace_noise(0.1), 5, n=8)
    shear = empty_profile(tables)
    shear = replace(shear, value=model_signal(model, shear, MASS))
    axes = figures.shear_profile(scan.fit([kappa, shear], model)).axes[0]
    labels = axes.get_legend_handles_labels()[1]
    assert labels == ["best fit", "map"]
    assert "convergence" in axes.get_ylabel()
    line = next(entry for entry in axes.lines if entry.get_label() == "best fit")
    assert line.get_xdata()[-1] == pytest.approx(kappa.radius_mpc[-1])


def test_formula_and_map_show_the_same(tables):
    class Field:
        halo = HaloInfo("h1", Z)

        def covers(self, x, y):
            return x > -2.0  # a part is not known

        def at(self, x, y):
            environment = tables.environment(Z)
            sigma = surface_density(np.hypot(x, y), MASS, C, environment.rho_crit_msun_mpc3)
            return sigma / environment.sigma_crit_inf_msun_mpc2, 0 * x, 0 * x

    field, lensing = measured(tables, Field(), n=6), measured(tables, nfw_map(tables), n=6)
    assert_allclose(field.value[:4], lensing.value[:4], rtol=1e-12)  # bins within what is known
    assert field.radius_mpc[5] != lensing.radius_mpc[5]
    for profile in (field, lensing):  # the radius of a bin is that of its pixels, where some are missing too
        kappa = 0.6 * Field().at(profile.radius_mpc, 0.0)[0]
        assert_allclose(profile.value[3:], kappa[3:], rtol=5e-4)
    assert field.n_gal[-1] < 0.95 * np.pi * (2.5**2 - field.edges_mpc[-2] ** 2) / 0.025**2


def test_noise_of_a_map_is_drawn_once(tables):
    lensing = nfw_map(tables)
    data = {"radius_mpc": RANGE, "pixels": {"noise": 0.1}}
    one, other = (
        build(Analysis, {**data, "radial_bins": {"n": n}}, "campaign.yaml", "analyses.a") for n in (10, 10)
    )
    first, second = (chain.analysis_profile(lensing, a, tables, 7) for a in (one, other))
    assert np.array_equal(first.value, second.value)
    edges = {"radial_bins": {"edges_mpc": [0.7, 1.0, 1.5]}}
    near, far = (
        build(Analysis, {**data, **edges, "radius_mpc": r}, "campaign.yaml", "analyses.a")
        for r in ([0.5, 1.6], [0.1, 2.9])
    )
    inner, whole = (chain.analysis_profile(lensing, a, tables, 7) for a in (near, far))
    assert np.array_equal(inner.value, whole.value)
    assert not np.array_equal(first.value, chain.analysis_profile(lensing, one, tables, 8).value)
    assert not np.array_equal(first.value, chain.analysis_profile(lensing, one, tables, 7, "kappa").value)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"survey": "wide"}, "which no survey observes"),
        ({"radial_bins": {"observable": "delta_sigma"}}, "radial_bins.observable is of galaxies"),
        ({"radial_bins": {"errors": "bootstrap"}}, "radial_bins.errors is of galaxies"),
        ({"noise": {"large_scale_structure": True}}, "noise.large_scale_structure is that of shears"),
        ({"pixels": {"noise": 0.1, "sheet": 1.0}, "radial_bins": {"spacing": "unbinned"}}, "use bins"),
        ({"pixels": {"noise": 0}}, "pixels.noise"),
        ({"pixels": {"noise": 0.1, "beta_s": 1.2}}, "pixels.beta_s"),
    ],
)
def test_what_pixels_cannot_have_is_refused(change, text):
    data = {"radius_mpc": RANGE, "pixels": {"noise": 0.1}, **change}
    with pytest.raises(ConfigError, match=text):
        build(Analysis, data, "campaign.yaml", "analyses.a")


def test_what_a_map_lacks_is_said(tables):
    with pytest.raises(ReaderError, match=r"h1: its map has no pixel from 0\.3 to 2\.5 Mpc"):
        measured(tables, nfw_map(tables, n=4))
    with pytest.raises(ConfigError, match="fewer than two edges"):
        measured(tables, nfw_map(tables), edges_mpc=[0.1, 0.5, 9.0])
    analysis = build(Analysis, {"radius_mpc": RANGE}, "campaign.yaml", "analyses.a")
    with pytest.raises(ReaderError, match="or give pixels"):
        chain.analysis_profile(nfw_map(tables), analysis, tables, 0)
    noise = Noise(large_scale_structure=True)
    structure = Tables(
        build_tables(COSMOLOGY, z_range=(0.25, 0.6), relations=(), noise_samples=noise_samples([noise]))
    )
    model = LensModel.build(structure, concentration=C, noise=noise)
    with pytest.raises(FitError, match="not of a map's convergence"):
        scan.fit(measured(tables, nfw_map(tables)), model)


def test_cosmology_of_the_textbook_is_that_of_the_tables(tables):
    """The map's critical density is the Friedmann equation's, written out: 3 H^2 / (8 pi G)."""
    h2 = (COSMOLOGY.H0 * 1e3) ** 2 * (COSMOLOGY.Om0 * (1 + Z) ** 3 + 1 - COSMOLOGY.Om0)
    critical = 3 * h2 / (8 * np.pi * 6.6743e-11) * 3.0857e22 / 1.98841e30
    assert tables.environment(Z).rho_crit_msun_mpc3 == pytest.approx(critical, rel=1e-3)
