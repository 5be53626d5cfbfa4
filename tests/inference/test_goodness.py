"""Chi squared of the best model has its distribution, whatever was marginalised over."""

from dataclasses import replace

import numpy as np
import pytest
from lenses import empty_profile, make_tables, model_signal
from scipy import stats

from clmassmod.core.projected import Projected
from clmassmod.fitters import curvefit, scan
from clmassmod.fitters.likelihood import LensModel
from clmassmod.fitters.observables import observable

pytestmark = pytest.mark.inference

TWO_HALO, SHEAR = {"mean": 1.0, "sd": 1.5}, {"mean": 0.02, "sd": 0.1}
N, N_BINS, ERROR, MASS_MSUN = 300, 14, 0.001, 4e14


@pytest.fixture(scope="module")
def tables():
    return make_tables(structure=True)


@pytest.fixture(scope="module")
def haloes(tables):
    """Haloes whose two-halo amplitude and calibration are draws of their priors, with normal noise."""
    rng = np.random.default_rng(4)
    model = LensModel.build(tables, concentration="duffy08")
    empty = empty_profile(tables, radius=np.geomspace(0.3, 15.0, N_BINS), error=ERROR)
    environment, mass = model.environment(empty), np.array([MASS_MSUN])
    one = model.surface(empty.radius_mpc, environment, mass, model.concentration(mass, environment.z))
    two = model.two_halo(empty.radius_mpc, environment.z, mass)
    made = []
    for _ in range(N):
        a, m = rng.normal(TWO_HALO["mean"], TWO_HALO["sd"]), rng.normal(SHEAR["mean"], SHEAR["sd"])
        surface = Projected(one.sigma + a * two.sigma, one.delta_sigma + a * two.delta_sigma)
        signal = (1.0 + m) * observable(empty, np.ones(N_BINS, bool), surface)[0]
        made.append(replace(empty, value=signal + ERROR * rng.normal(size=N_BINS)))
    return made


def probabilities(fitter, tables, haloes, **nuisance):
    model = LensModel.build(tables, concentration="duffy08", nuisance=nuisance)
    summaries = [fitter.fit(profile, model).summary for profile in haloes]
    print(f"{fitter.__name__}: mean chi2 {np.mean([s['chi2'] for s in summaries]):.2f}")
    assert {s["dof"] for s in summaries} == {N_BINS - 1.0}
    return np.array([s["p_value"] for s in summaries])


@pytest.mark.parametrize("fitter", [scan, curvefit])
def test_chi_squared_has_its_distribution_under_normal_priors(fitter, tables, haloes):
    """Each prior is one more datum: n - 1 degrees of freedom. Fixed at the means of the priors it fails."""
    right = probabilities(fitter, tables, haloes, two_halo=TWO_HALO, shear_bias=SHEAR)
    assert stats.kstest(right, "uniform").pvalue > 0.01
    fixed = {"two_halo": {**TWO_HALO, "sd": 0.0}, "shear_bias": {**SHEAR, "sd": 0.0}}
    assert stats.kstest(probabilities(fitter, tables, haloes, **fixed), "uniform").pvalue < 1e-6


def test_the_best_model_follows_the_data(tables, haloes):
    """The amplitude that the data ask for, not the prior's mean: the same model as that of least squares."""
    model = LensModel.build(tables, concentration="duffy08", nuisance={"two_halo": TWO_HALO})
    for profile in haloes[:20]:
        exact, point = scan.fit(profile, model), curvefit.fit(profile, model)
        assert np.abs(exact.model["value"] - point.model["value"]).max() < 0.3 * ERROR
        assert exact.summary["chi2"] == pytest.approx(point.summary["chi2"], abs=0.2)


def test_a_concentration_that_is_free_is_a_parameter_where_the_data_know_it(tables, haloes):
    model = LensModel.build(tables, nuisance={"concentration": {"range": (1.0, 15.0)}})
    assert curvefit.fit(haloes[0], model).summary["dof"] == N_BINS - 2
    assert scan.fit(haloes[0], model).summary["dof"] == N_BINS - 2
    noisy = replace(haloes[0], error=100.0 * haloes[0].error)
    assert scan.fit(noisy, model).summary["dof"] == N_BINS - 1


@pytest.mark.parametrize("prior", [{"scatter": 0.35}, {"range": (1.0, 15.0)}])
def test_chi_squared_where_the_concentration_is_marginalised(tables, prior):
    """Drawn from the prior at a signal-to-noise ratio of 50, where the data know the concentration."""
    rng = np.random.default_rng(5)
    model = LensModel.build(tables, concentration=4.0, nuisance={"concentration": prior})
    empty = empty_profile(tables, radius=np.geomspace(0.3, 3.0, N_BINS), error=0.005)
    found = []
    for _ in range(N):
        c = 4.0 * np.exp(0.35 * rng.normal()) if "scatter" in prior else 15.0 ** rng.uniform()
        signal = model_signal(model, empty, 8e14, concentration=c)
        profile = replace(empty, value=signal + 0.005 * rng.normal(size=N_BINS))
        found.append(scan.fit(profile, model).summary["p_value"])
    assert stats.kstest(found, "uniform").pvalue > 0.01
