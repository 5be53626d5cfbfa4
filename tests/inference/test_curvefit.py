"""The least-squares fitter against scipy and the scan."""

from dataclasses import replace

import numpy as np
import pytest
from lenses import empty_profile, make_tables, model_signal
from scipy.optimize import least_squares

from clmassmod.errors import ConfigError
from clmassmod.fitters import curvefit, scan
from clmassmod.fitters.likelihood import LensModel
from clmassmod.fitters.observables import observable


@pytest.fixture(scope="module")
def tables():
    return make_tables(structure=True)


@pytest.fixture(scope="module")
def fixed(tables):
    return LensModel.build(tables, concentration="duffy08", mass_definitions=("200c", "500c"))


def noisy(model, tables, mass, error=0.02, seed=1, **options):
    profile = empty_profile(tables, error=error, **options)
    signal = np.sign(mass) * model_signal(model, profile, abs(mass))
    return replace(profile, value=signal + error * np.random.default_rng(seed).normal(size=len(signal)))


def test_best_mass_is_that_of_the_scan(fixed, tables):
    for mass, seed in ((8e14, 1), (2e14, 2), (-5e14, 3), (1e14, 4)):
        profile = noisy(fixed, tables, mass, seed=seed)
        point, exact = curvefit.fit(profile, fixed), scan.fit(profile, fixed)
        assert point.diagnostics["converged"] == 1.0
        assert point.summary["mass_ml_msun"] == pytest.approx(
            exact.summary["mass_ml_msun"], abs=0.003 * exact.summary["mass_err_msun"]
        )
        assert point.summary["chi2"] == pytest.approx(exact.summary["chi2"], abs=1e-4)
        assert point.summary["snr"] == pytest.approx(exact.summary["snr"], abs=1e-3)


@pytest.mark.parametrize("sd", [0.0, 0.5])
def test_haloes_near_zero_mass_converge(tables, sd):
    """A two-halo term changes its sign with the mass: derivatives there are taken away from zero."""
    model = LensModel.build(tables, concentration="duffy08", nuisance={"two_halo": {"mean": 1.0, "sd": sd}})
    empty = empty_profile(tables, radius=np.geomspace(0.5, 10.0, 10), error=0.01)
    rng = np.random.default_rng(1)
    for _ in range(200):
        fit = curvefit.fit(replace(empty, value=0.01 * rng.normal(size=10)), model)
        assert (fit.status, fit.diagnostics["converged"]) == ("ok", 1.0)
        assert 3e12 < fit.summary["mass_err_msun"] < 3e14


@pytest.mark.parametrize("start", [(-1.2, 1.0), (-3.0, 5.0)])
def test_a_curved_valley_is_followed_to_its_end(start):
    """Rosenbrock's (1960, Computer Journal 3, 175), in which steps are damped on the way to (1, 1)."""

    class Valley:
        low, high = np.full(2, -np.inf), np.full(2, np.inf)

        def start(self):
            return np.array(start)

        def linearise(self, x):
            return np.array([10 * (x[1] - x[0] ** 2), 1 - x[0]]), np.array([[-20 * x[0], 10.0], [-1.0, 0.0]])

    found = curvefit._minimise(Valley())
    assert found.converged
    assert found.point == pytest.approx([1.0, 1.0], abs=1e-5)


def test_free_concentration_as_scipy_has_it(tables):
    model = LensModel.build(
        tables, concentration="duffy08", nuisance={"concentration": {"range": (1.0, 15.0)}}
    )
    profile = noisy(model, tables, 8e14, error=0.01)
    environment = model.environment(profile)
    everywhere = np.ones(12, bool)

    def residuals(p):
        surface = model.surface(
            profile.radius_mpc, environment, np.array([1e14 * p[0]]), np.array([np.exp(p[1])])
        )
        return (profile.value - observable(profile, everywhere, surface)[0]) / profile.error

    found = least_squares(
        residuals, [5.0, 1.4], bounds=([0.01, 0.0], [100, np.log(15)]), xtol=1e-12, ftol=1e-12
    )
    covariance = np.linalg.inv(found.jac.T @ found.jac)
    fit = curvefit.fit(profile, model)
    assert fit.best_fit["mass_msun"] == pytest.approx(1e14 * found.x[0], rel=1e-4)
    assert fit.best_fit["concentration"] == pytest.approx(np.exp(found.x[1]), rel=1e-4)
    assert fit.best_fit["mass_msun_err"] == pytest.approx(1e14 * np.sqrt(covariance[0, 0]), rel=1e-3)
    assert fit.best_fit["ln_concentration_err"] == pytest.approx(np.sqrt(covariance[1, 1]), rel=1e-3)
    assert fit.summary["chi2"] == pytest.approx(2 * found.cost, abs=1e-6)


def test_bounds_are_reported_when_touched(tables):
    model = LensModel.build(tables, concentration=4.0, nuisance={"concentration": {"range": (2.0, 5.0)}})
    profile = empty_profile(tables, error=0.005)
    profile = replace(profile, value=model_signal(model, profile, 6e14, concentration=8.0))
    fit = curvefit.fit(profile, model)
    assert fit.diagnostics["at_bound_ln_concentration"] == 1.0
    assert fit.best_fit["concentration"] == pytest.approx(5.0)
    assert np.isnan(fit.best_fit["ln_concentration_err"])
    assert fit.summary["mass_err_msun"] > 0
    low = curvefit.fit(profile, model, max_mass_msun=3e14)
    assert low.best_fit["mass_msun"] == pytest.approx(3e14)
    assert low.status == "unusable"
    assert "no finite error" in low.reason


def test_normal_priors_pull_like_data(tables):
    nuisance = {
        "concentration": {"scatter": 0.2},
        "two_halo": {"sd": 0.3},
        "shear_bias": {"mean": 0.0, "sd": 0.04},
    }
    model = LensModel.build(tables, concentration="duffy08", nuisance=nuisance)
    profile = noisy(model, tables, 8e14, error=0.02)
    fit = curvefit.fit(profile, model)
    exact = scan.fit(profile, model)
    assert fit.diagnostics["converged"] == 1.0
    assert fit.summary["mass_ml_msun"] == pytest.approx(
        exact.summary["mass_ml_msun"], abs=0.3 * exact.summary["mass_err_msun"]
    )
    assert fit.summary["mass_err_msun"] == pytest.approx(exact.summary["mass_err_msun"], rel=0.2)
    assert fit.best_fit["shear_bias_err"] <= 0.04


def test_likelihood_is_normal_in_mass_and_says_so(fixed, tables):
    fit = curvefit.fit(noisy(fixed, tables, 8e14), fixed)
    mass, error = fit.summary["mass_ml_msun"], fit.summary["mass_err_msun"]
    some = fit.mass_msun[[250, 280]]
    assert fit.ln_like["200c"][[250, 280]] == pytest.approx(-0.5 * ((some - mass) / error) ** 2, abs=1e-3)
    assert "normal in M" in fit.metadata["likelihood"]
    assert set(fit.ln_like) == {"200c", "500c"}


def test_what_cannot_be_fitted_is_refused(tables, fixed):
    model = LensModel.build(tables, concentration=4.0, nuisance={"miscentring": {"scale_mpc": 0.2}})
    with pytest.raises(ConfigError, match="cannot marginalise over miscentring"):
        curvefit.fit(empty_profile(tables), model)
    assert curvefit.fit(replace(empty_profile(tables), n_gal=np.zeros(12)), fixed).status == "unusable"
