"""The sampling fitter against quadrature, and its mark on chains that must not be used."""

from dataclasses import replace

import numpy as np
import pytest
from lenses import empty_profile, make_tables, model_signal, numeric_gradient

from clmassmod.core import cores
from clmassmod.fitters import nuts, sampler, scan
from clmassmod.fitters.data import as_profiles, prepare
from clmassmod.fitters.density import HaloDensity
from clmassmod.fitters.likelihood import LensModel

pytestmark = pytest.mark.inference

FULL = {
    "concentration": {"scatter": 0.3},
    "miscentring": {"scale_mpc": 0.2, "fraction": 0.6},
    "two_halo": {"mean": 1.0, "sd": 0.4},
    "shear_bias": {"sd": 0.05},
}


@pytest.fixture(scope="module")
def tables():
    return make_tables(structure=True)


@pytest.fixture(scope="module")
def profile(tables):
    model = LensModel.build(tables, concentration="duffy08")
    empty = empty_profile(tables, error=0.02)
    noise = np.random.default_rng(1).normal(size=12)
    return replace(empty, value=model_signal(model, empty, 7e14) + 0.02 * noise)


@pytest.mark.parametrize("observed", ["g_t", "delta_sigma"])
@pytest.mark.parametrize(
    "nuisance",
    [
        {},
        FULL,
        {"concentration": {"range": (1, 12)}, "miscentring": {"distribution": "gamma", "scale_mpc": 0.1}},
    ],
)
def test_gradient_is_that_of_the_density(tables, profile, nuisance, observed):
    if observed == "delta_sigma":
        unit = profile.sigma_crit_inf_msun_mpc2 / 0.6
        profile = replace(
            profile, observable="delta_sigma", value=profile.value * unit, error=profile.error * unit
        )
    model = LensModel.build(tables, concentration="duffy08", nuisance=nuisance)
    density = HaloDensity(model, prepare(as_profiles(profile)), "flat")
    rng = np.random.default_rng(2)
    for _ in range(5):
        x = density.start(5e14) + 0.3 * rng.normal(size=len(density.names))
        value, gradient = density(x)
        assert np.isfinite(value)
        assert gradient == pytest.approx(numeric_gradient(density, x, 1e-6), rel=1e-4, abs=1e-4)


def test_density_is_the_likelihood_of_the_scan(tables, profile):
    model = LensModel.build(tables, concentration="duffy08")
    density = HaloDensity(model, prepare(as_profiles(profile)), "log")
    masses = np.array([1e14, 5e14, 2e15])
    found = []
    for mass in masses:
        x = density.start(mass)
        logistic = -abs(x[0]) - 2 * np.log1p(np.exp(-abs(x[0])))
        found.append(density(x)[0] - logistic)
    assert found == pytest.approx(model.ln_likelihood(profile, masses), abs=1e-3)


@pytest.mark.parametrize("nuisance", [{}, FULL])
@pytest.mark.parametrize("prior", ["flat", "log"])
def test_draws_have_the_posterior_of_the_scan(tables, profile, nuisance, prior):
    model = LensModel.build(tables, concentration="duffy08", nuisance=nuisance)
    rng = np.random.default_rng(3)
    fit = nuts.fit(profile, model, prior=prior, rng=rng)
    exact = scan.fit(profile, model, prior=prior)
    assert fit.diagnostics["converged"] == 1.0, fit.metadata["problems"]
    assert np.array_equal(fit.ln_like["200c"], exact.ln_like["200c"])
    like = np.exp(exact.ln_like["200c"]) * (exact.mass_msun if prior == "flat" else 1.0)
    x = np.log(exact.mass_msun)
    mean = like @ x / like.sum()
    sd = np.sqrt(like @ (x - mean) ** 2 / like.sum())
    drawn = fit.posterior["ln_mass"]
    assert drawn.shape == (4, 1000)
    error = sd / np.sqrt(fit.diagnostics["ess_bulk"])
    print(f"mean off by {(drawn.mean() - mean) / sd:+.3f} sd, sd by {drawn.std() / sd - 1:+.3f}")
    assert abs(drawn.mean() - mean) < 4 * error
    assert drawn.std() == pytest.approx(sd, rel=0.08)
    for name in ("mass_mean_msun", "mass_median_msun", "mass_hdi68_lo_msun", "mass_hdi68_hi_msun"):
        assert abs(fit.summary[name] - exact.summary[name]) < 0.2 * exact.summary["mass_err_msun"]


def test_pymc_samples_the_same(tables, profile, monkeypatch):
    monkeypatch.setattr(sampler.importlib.util, "find_spec", lambda name: None)
    model = LensModel.build(tables, concentration="duffy08", nuisance={"concentration": {"scatter": 0.3}})
    fit = nuts.fit(profile, model, prior="log", rng=np.random.default_rng(4))
    exact = scan.fit(profile, model, prior="log")
    assert fit.diagnostics["converged"] == 1.0
    assert abs(fit.summary["mass_median_msun"] - exact.summary["mass_median_msun"]) < (
        0.1 * exact.summary["mass_err_msun"]
    )


def test_short_chains_are_marked(tables, profile):
    model = LensModel.build(tables, concentration="duffy08")
    fit = nuts.fit(profile, model, draws=40, tune=100, chains=2, rng=np.random.default_rng(5))
    assert fit.diagnostics["converged"] == 0.0
    assert "effective sample size" in fit.metadata["problems"]


def test_same_seed_same_draws(tables, profile):
    model = LensModel.build(tables, concentration="duffy08")
    first, second = (nuts.fit(profile, model, draws=50, rng=np.random.default_rng(6)) for _ in range(2))
    assert np.array_equal(first.posterior["mass_msun"], second.posterior["mass_msun"])


def test_number_of_processes_changes_no_draw(monkeypatch):
    """PyMC's chains in one process and in several: a job draws the same on every machine."""
    monkeypatch.setattr(sampler.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(cores, "available_cores", lambda: 8)
    processes, drawn = [], []
    for allowed in ("1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", allowed)
        processes.append(cores.cores_for(4))
        drawn.append(
            sampler.sample(
                lambda x: (-0.5 * float(x @ x), -x),
                lambda x: {"a": float(x[0]), "b": float(x[1])},
                np.array([0.1, 0.2]),
                seed=7, draws=50, tune=50,
            ).values
        )  # fmt: skip
    assert processes == [1, 3]
    assert all(np.array_equal(drawn[0][name], drawn[1][name]) for name in ("a", "b"))
    assert len(np.unique(drawn[0]["a"])) > 100


def test_workers_that_end_with_their_parent_start_no_processes(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    monkeypatch.setattr(cores, "available_cores", lambda: 8)
    assert cores.cores_for(4) == 4
    monkeypatch.setattr(cores.multiprocessing.current_process(), "_config", {"daemon": True})
    assert cores.cores_for(4) == 1


def test_halo_without_data_is_not_sampled(tables, profile):
    model = LensModel.build(tables, concentration="duffy08")
    assert nuts.fit(replace(profile, value=np.full(12, np.nan)), model).status == "unusable"
