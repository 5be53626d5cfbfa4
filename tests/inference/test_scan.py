"""The scan fitter against published reference values, brute force and identities."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from lenses import COSMOLOGY, empty_profile, make_tables, model_signal
from scipy import integrate
from scipy.stats import chi2 as chi2_distribution
from scipy.stats import norm

from clmassmod.core.gridstats import Axis, cumulative, summarise
from clmassmod.core.likelihoods import LN_FLOOR
from clmassmod.core.units import G_MPC_KM2_S2_MSUN
from clmassmod.cosmology import Cosmology
from clmassmod.errors import ConfigError, FitError
from clmassmod.fitters import check_options, scan
from clmassmod.fitters.likelihood import MASS_GRID_MSUN, LensModel, select_bins
from clmassmod.fitters.summary import chi2_probability, posterior_summary


@pytest.fixture(scope="module")
def model(tables):
    return LensModel.build(tables, concentration="duffy08", mass_definitions=("200c", "500c"))


def noisy(model, tables, mass, error=0.02, seed=1, **options):
    profile = empty_profile(tables, error=error, **options)
    signal = math.copysign(1, mass) * model_signal(model, profile, abs(mass))
    noise = np.random.default_rng(seed).normal(size=len(signal)) * profile.error
    return replace(profile, value=signal + noise)


def test_statistical_power_of_the_first_clmassmod(shared):
    """Expected error of M200c from noise-free profiles, to the grid's precision."""
    reference = json.loads((shared / "reference/statistical_power.json").read_text())
    config = reference["config"]
    cosmology = Cosmology(H0=70, Om0=0.3, Ob0=0.049, sigma8=0.81, ns=0.95)
    tables = make_tables(cosmology, z=(0.3, 0.6))
    model = LensModel.build(tables, concentration="duffy08")
    masses = np.arange(-5.05e14, 3e15, 1e13)
    for row in reference["rows"]:
        radius = np.array(row["r_mpc"])
        profile = replace(
            empty_profile(tables, z=row["z"], radius=radius, beta_s=config["beta_s"]),
            beta_s2=np.full(len(radius), config["beta_s"] ** 2),
            value=np.array(row["g_true"]),
            error=np.array(row["g_err"]),
        )
        assert model_signal(model, profile, row["true_mass"]) == pytest.approx(row["g_true"], rel=5e-4)
        ln_like = model.ln_likelihood(profile, masses)
        p = np.exp(ln_like - ln_like.max())
        p /= p.sum()
        mean = p @ masses
        # G differs by 2e-4, and so do the masses
        assert mean == pytest.approx(row["mean"], rel=1e-3)
        assert np.sqrt(p @ (masses - mean) ** 2) == pytest.approx(row["std_m200"], rel=1e-3)


def test_stored_likelihood_is_that_of_a_direct_calculation(model, tables):
    profile = noisy(model, tables, 8e14)
    fit = scan.fit(profile, model)
    some = MASS_GRID_MSUN[[5, 100, 201, 302, 333, 398]]
    direct = []
    for mass in some:
        residual = (profile.value - model_signal(model, profile, mass)) / profile.error
        direct.append(-0.5 * residual @ residual)
    stored = np.interp(some, fit.mass_msun, fit.ln_like["200c"])
    assert stored == pytest.approx(np.maximum(direct, fit.ln_like["200c"].max() + LN_FLOOR), abs=2e-5)
    assert fit.status == "ok"
    assert fit.mass_definition == "200c"


def test_other_mass_definition_is_the_same_halo(model, tables):
    profile = noisy(model, tables, 8e14)
    fit = scan.fit(profile, model)
    m500, _ = tables.convert_mass(3e14, model.concentration(np.array([3e14]), 0.3), "200c", "500c", 0.3)
    first = np.interp(np.log(3e14), np.log(fit.mass_msun), fit.ln_like["200c"])
    second = np.interp(np.log(m500), np.log(fit.mass_msun), fit.ln_like["500c"])
    # both by linear interpolation in steps of 0.025
    assert second == pytest.approx(first, abs=0.02)


def test_estimates_agree_with_a_fine_scan(model, tables):
    profile = noisy(model, tables, 6e14, error=0.03)
    fit = scan.fit(profile, model, prior="flat")
    masses = np.geomspace(1e12, 2e16, 40_001)
    ln_like = model.ln_likelihood(profile, masses)
    best = masses[np.argmax(ln_like)]
    assert fit.summary["mass_ml_msun"] == pytest.approx(best, rel=2e-4)
    inside = masses[ln_like > ln_like.max() - 0.5]
    assert fit.summary["mass_err_msun"] == pytest.approx(0.5 * (inside[-1] - inside[0]), rel=5e-3)
    density = np.exp(ln_like - ln_like.max())
    weight = density * np.gradient(masses)
    assert fit.summary["mass_mean_msun"] == pytest.approx(weight @ masses / weight.sum(), rel=1e-3)
    cdf = np.cumsum(weight) / weight.sum()
    assert fit.summary["mass_median_msun"] == pytest.approx(np.interp(0.5, cdf, masses), rel=1e-3)
    low, high = fit.summary["mass_hdi68_lo_msun"], fit.summary["mass_hdi68_hi_msun"]
    held = np.interp([low, high], masses, cdf)
    assert held[1] - held[0] == pytest.approx(0.6827, abs=2e-3)
    assert np.interp(low, masses, density) == pytest.approx(np.interp(high, masses, density), rel=0.02)
    assert fit.summary["chi2"] == pytest.approx(-2 * ln_like.max(), abs=1e-3)
    zero = profile.value @ (profile.value / profile.error**2)
    assert fit.summary["snr"] == pytest.approx(np.sqrt(zero + 2 * ln_like.max()), rel=1e-4)


def test_prior_is_flat_in_mass_or_its_logarithm_and_named(model, tables):
    profile = noisy(model, tables, 6e14, error=0.03)
    flat, log = scan.fit(profile, model, prior="flat"), scan.fit(profile, model, prior="log")
    assert flat.metadata["mass_prior"] == "flat in M"
    assert log.metadata["mass_prior"] == "flat in ln M"
    assert np.array_equal(flat.ln_like["200c"], log.ln_like["200c"])
    like = np.exp(log.ln_like["200c"])
    ln_mass = np.log(log.mass_msun)
    mean = np.trapezoid(like * log.mass_msun, ln_mass) / np.trapezoid(like, ln_mass)
    assert log.summary["mass_mean_msun"] == pytest.approx(mean, rel=1e-9)
    assert flat.summary["mass_mean_msun"] > log.summary["mass_mean_msun"]
    with pytest.raises(ConfigError, match="neither 'flat'"):
        scan.fit(profile, model, prior="jeffreys")


def test_mirrored_profile_gives_the_mirrored_mass(model, tables):
    profile = noisy(model, tables, 6e14)
    mirrored = replace(profile, value=-profile.value)
    up, down = scan.fit(profile, model), scan.fit(mirrored, model)
    assert down.summary["mass_ml_msun"] == pytest.approx(-up.summary["mass_ml_msun"], rel=1e-12)
    assert down.summary["snr"] == pytest.approx(-up.summary["snr"], rel=1e-12)
    assert down.model["value"] == pytest.approx(-up.model["value"])
    # what an ensemble is given is the likelihood of positive masses all the same
    assert np.argmax(down.ln_like["200c"]) == 0


def test_maximum_likelihood_masses_of_noise_are_not_cut_at_zero(model, tables):
    masses = [
        scan.fit(noisy(model, tables, 1e9, error=0.05, seed=s), model).summary["mass_ml_msun"]
        for s in range(40)
    ]
    assert 8 < np.sum(np.array(masses) < 0) < 32
    assert np.isfinite(masses).all()


def test_magnitude_bins_and_observables_add_up(model, tables):
    shear = noisy(model, tables, 7e14)
    surface = noisy(model, tables, 7e14, observable="delta_sigma", error=3e13, seed=2)
    far = replace(noisy(model, tables, 7e14, seed=3), beta_s=np.full(12, 0.8), beta_s2=np.full(12, 0.66))
    joint = scan.fit([shear, surface, far], model)
    alone = [model.ln_likelihood(p, MASS_GRID_MSUN) for p in (shear, surface, far)]
    total = np.sum(alone, axis=0)
    expected = np.maximum(total, total.max() + LN_FLOOR)
    assert joint.ln_like["200c"] == pytest.approx(expected, abs=1e-4)
    assert joint.summary["n_bins"] == 36
    # rows of two magnitude bins in one profile, at the same radii
    stacked = {
        name: np.concatenate([getattr(shear, name), getattr(far, name)])
        for name in ("radius_mpc", "value", "error", "cross", "n_gal", "beta_s", "beta_s2")
    }
    rows = scan.fit(replace(shear, **stacked), model)
    assert rows.ln_like["200c"] == pytest.approx(scan.fit([shear, far], model).ln_like["200c"])


def test_covariance_adds_to_the_errors(model, tables):
    profile = noisy(model, tables, 7e14)
    rng = np.random.default_rng(5)
    factor = 0.02 * rng.normal(size=(12, 3))
    covariance = factor @ factor.T
    fit = scan.fit(replace(profile, covariance=covariance), model)
    inverse = np.linalg.inv(np.diag(profile.error**2) + covariance)
    for mass, value in zip(MASS_GRID_MSUN[[200, 260]], fit.ln_like["200c"][[200, 260]], strict=True):
        residual = profile.value - model_signal(model, profile, mass)
        assert value == pytest.approx(-0.5 * residual @ inverse @ residual, abs=2e-5)
    cut = select_bins(replace(profile, covariance=covariance), (0.5, 2.0))
    assert cut.covariance.shape == (len(cut.radius_mpc),) * 2
    with pytest.raises(FitError, match="positive definite"):
        scan.fit(replace(profile, covariance=-np.eye(12)), model)
    with pytest.raises(FitError, match="has shape"):
        scan.fit(replace(profile, covariance=np.eye(3)), model)


def test_empty_bins_are_not_fitted_and_a_halo_without_any_is_marked(model, tables):
    profile = noisy(model, tables, 7e14)
    holes = np.arange(12) % 3 == 0
    gappy = replace(profile, value=np.where(holes, np.nan, profile.value), n_gal=np.where(holes, 0.0, 9.0))
    fit = scan.fit(gappy, model)
    assert (fit.summary["n_bins"], fit.diagnostics["n_bins_unused"]) == (8, 4)
    assert len(fit.model["value"]) == 8
    kept = select_bins(profile, (0.0, 9.0))
    whole = replace(
        kept,
        **{
            n: getattr(kept, n)[~holes]
            for n in ("radius_mpc", "value", "error", "cross", "n_gal", "beta_s", "beta_s2")
        },
    )
    assert fit.ln_like["200c"] == pytest.approx(scan.fit(whole, model).ln_like["200c"])
    nothing = scan.fit(replace(profile, value=np.full(12, np.nan)), model)
    assert nothing.status == "unusable"
    assert "none of 12 radial bins" in nothing.reason
    assert (
        scan.fit(select_bins(profile, (8.0, 9.0)), model).reason == "no radial bin lies in the fitted range"
    )
    one = scan.fit(select_bins(profile, (0.29, 0.31)), model)
    assert (one.status, one.summary["dof"]) == ("ok", 0.0)
    assert math.isnan(one.summary["p_value"])


def test_strong_lensing_does_not_break_the_likelihood(tables):
    """The reduced shear has a pole and turns negative beyond: the likelihood must not come back there."""
    model = LensModel.build(tables, concentration=6.0)
    profile = empty_profile(tables, radius=np.geomspace(0.05, 1.0, 8), error=0.05, beta_s=1.0)
    profile = replace(profile, value=model_signal(model, profile, 6e14))
    fit = scan.fit(profile, model)
    best = int(np.argmax(fit.ln_like["200c"]))
    assert np.all(np.diff(fit.ln_like["200c"][best:]) <= 0)
    assert np.isfinite(fit.ln_like["200c"]).all()


def test_goodness_of_fit_probability():
    for dof in (1, 2, 3, 8, 9, 40):
        for chi2 in (0.3, 5.0, 30.0):
            assert chi2_probability(chi2, dof) == pytest.approx(chi2_distribution.sf(chi2, dof), rel=1e-10)
    for dof in (1499, 1500, 20_001):  # galaxies, where exp(-chi2 / 2) is no number
        for chi2 in (dof - 3.0 * dof**0.5, float(dof), dof + 8.0 * dof**0.5):
            assert chi2_probability(chi2, dof) == pytest.approx(chi2_distribution.sf(chi2, dof), rel=1e-9)
    assert chi2_probability(0.0, 3) == 1.0


def test_mean_under_a_prior_flat_in_ln_mass_does_not_depend_on_the_steps_of_the_masses():
    ends, grids = (1e13, 1e15), {}
    for name, mass in (("ln", np.geomspace(*ends, 2000)), ("linear", np.linspace(*ends, 4000))):
        ln_like = -0.5 * ((mass - 1e14) / 2e14) ** 2
        grids[name] = posterior_summary(mass, ln_like, "log")["mass_mean_msun"]
    weight = integrate.quad(lambda m: np.exp(-0.5 * ((m - 1e14) / 2e14) ** 2) / m, *ends, epsrel=1e-9)[0]
    first = integrate.quad(lambda m: np.exp(-0.5 * ((m - 1e14) / 2e14) ** 2), *ends, epsrel=1e-9)[0]
    for mean in grids.values():
        assert mean == pytest.approx(first / weight, rel=1e-4)  # trapezoids in ln M of steps up to 0.025


@pytest.mark.parametrize("error", [8e-3, 3e-3, 1.5e-3, 7e-4, 3e-4])
def test_estimates_of_sharp_likelihoods(model, tables, error):
    """At signal-to-noise ratios of 24 to 600, where the peak lies between nodes: against 4,001 masses."""
    profile = noisy(model, tables, 8e14, error=error)
    found = scan.fit(profile, model).summary
    best, spread = found["mass_ml_msun"], found["mass_err_msun"]
    mass = best + spread * np.linspace(-8.0, 8.0, 4001)
    ln_like = model.ln_likelihood(profile, mass)
    like = np.exp(ln_like - ln_like.max())
    mean = like @ mass / like.sum()
    sd = np.sqrt(like @ (mass - mean) ** 2 / like.sum())
    inside = mass[ln_like > ln_like.max() - 0.5]
    assert spread == pytest.approx(0.5 * (inside[-1] - inside[0]), rel=0.01)
    assert found["mass_hdi68_hi_msun"] - found["mass_hdi68_lo_msun"] == pytest.approx(2 * sd, rel=0.01)
    for name in ("mass_mean_msun", "mass_ml_msun"):
        assert found[name] == pytest.approx(mean if "mean" in name else mass[ln_like.argmax()], abs=0.01 * sd)


@pytest.mark.parametrize("significance", [0.08, 0.09096, 0.1344, 0.2, 1.0, 3.0])
def test_highest_density_interval_of_a_plateau_holds_its_probability(significance):
    """Flat in ln M a faint halo has a plateau, through which the level moves the interval's end far."""
    mass, error = np.geomspace(1e12, 2e16, 400), 6.26e14
    density = np.exp(-0.5 * (mass / error - significance) ** 2)
    found = summarise(Axis(np.log(mass)), density)
    ends = np.interp([found.hdi_lo, found.hdi_hi], np.log(mass), cumulative(np.log(mass), density))
    assert ends[1] - ends[0] == pytest.approx(0.6827, abs=3e-4)  # the search's tolerance


def test_highest_density_interval_spans_the_peaks_that_it_needs():
    x = np.linspace(-10.0, 10.0, 4001)
    for height, held in ((0.6, (0.6827, 0.8)), (0.2, (0.6824, 0.683))):
        density = norm.pdf(x, -3.0, 0.5) + height * norm.pdf(x, 3.0, 0.5)
        found = summarise(Axis(x), density)
        low, high = np.interp([found.hdi_lo, found.hdi_hi], x, cumulative(x, density))
        assert held[0] <= high - low < held[1]
        assert (found.hdi_hi > 2.5) == (height > 0.5)


def test_models_are_checked(tables):
    with pytest.raises(ConfigError, match="density profile"):
        LensModel.build(tables, profile="nwf")
    with pytest.raises(ConfigError, match="mass definition"):
        LensModel.build(tables, mass_definitions=("200x",))
    model = LensModel.build(tables, concentration=lambda mass, z: 0 * mass)
    with pytest.raises(ConfigError, match="no positive numbers"):
        scan.fit(empty_profile(tables), model)
    with pytest.raises(ConfigError, match="has no option 'nodes'"):
        check_options("scan", {"nodes": 3})


def test_profiles_of_two_haloes_are_not_mixed(model, tables):
    with pytest.raises(FitError, match="several haloes"):
        scan.fit([empty_profile(tables), empty_profile(tables, halo_id="h2")], model)


def test_user_relation_and_cosmology(tables):
    assert tables.cosmology == COSMOLOGY
    by_function = LensModel.build(tables, concentration=lambda mass, z: 4.0 + 0 * mass)
    by_number = LensModel.build(tables, concentration=4.0)
    profile = noisy(by_number, tables, 5e14)
    assert scan.fit(profile, by_function).ln_like["200c"] == pytest.approx(
        scan.fit(profile, by_number).ln_like["200c"]
    )


RELATIONS = {"c4": 4.0, "duffy08": "duffy08", "diemer15": "diemer15_orig"}


def test_analytic_bias_of_the_first_clmassmod(shared):
    """NFW fits to Diemer-Kravtsov haloes: best masses and posteriors over the true mass.

    Masses in Msun / h; a step of the reference's mass grid is 1e12, and its G is 4.3e-9.
    """
    reference = json.loads((shared / "reference/analytic_bias.json").read_text())
    settings = reference["cosmology"]
    true = np.array(reference["m200_true"])
    grid = np.arange(1.01e13, 4e15, 1e12)
    for name, run in reference["runs"].items():
        background = settings[run["cosmology"]]
        h = background["h"]
        cosmology = Cosmology(100 * h, background["Om"], settings["Ob"], settings["sigma8"], settings["ns"])
        wanted = [(relation, "200c") for relation in RELATIONS.values()]
        tables = make_tables(cosmology, z=(run["z"], run["z"] + 0.01), relations=wanted)
        radius = np.array(run["radii_kpch"]) / 1000 / h
        empty = empty_profile(tables, z=run["z"], radius=radius, beta_s=run["beta_s"])
        empty = replace(empty, error=np.array(run["noise"]), beta_s2=empty.beta_s**2)
        scale = 4.3e-9 / G_MPC_KM2_S2_MSUN / h
        for relation, fits in run["fits"]["independent"].items():
            model = LensModel.build(tables, concentration=RELATIONS[relation])
            for i, (mass, truth) in enumerate(zip(true, run["truth"].values(), strict=True)):
                profile = replace(empty, value=np.array(truth["g"]))
                best = scan.fit(profile, model).summary["mass_ml_msun"] / scale
                assert best / mass == pytest.approx(
                    fits["maxlike_ratio_interp"][i], abs=2e12 / mass + 1e-3
                ), name
                ln_like = model.ln_likelihood(profile, grid * scale)
                p = np.exp(ln_like - ln_like.max())
                p /= p.sum()
                mean = p @ grid
                assert mean / mass == pytest.approx(fits["posterior_mean_ratio"][i], rel=2e-3), name
                sd = np.sqrt(p @ (grid - mean) ** 2)
                assert sd / mass == pytest.approx(fits["posterior_sd_ratio"][i], rel=4e-3), name
