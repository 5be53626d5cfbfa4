"""Stacks against direct averages, bootstrap against repetition, and what each method does to mixed masses."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from clmassmod.core.massdef import threshold_density_msun_mpc3
from clmassmod.errors import ConfigError, FitError
from clmassmod.fitters import curvefit, scan
from clmassmod.fitters.likelihood import LensModel
from clmassmod.records import HaloInfo, ShearProfile
from clmassmod.stack import member_model, nfw_prediction, stack_delta_sigma, stack_scaled, stacked_profile

C = 4.0
RADIUS = np.geomspace(0.3, 3.0, 14)


def profile(
    tables, mass, z, observable="delta_sigma", rng=None, relative=0.0, error=None, name="a", radius=RADIUS
):
    """An NFW cluster, with noise if a generator is given."""
    environment = tables.environment(z)
    n = len(radius)
    beta_s = 0.6
    empty = ShearProfile(
        halo=HaloInfo(name, z),
        observable=observable,
        radius_mpc=radius,
        value=np.zeros(n),
        error=np.ones(n),
        cross=np.zeros(n),
        n_gal=np.ones(n),
        beta_s=np.full(n, beta_s),
        beta_s2=np.full(n, beta_s**2),
        d_lens_mpc=environment.d_lens_mpc,
        sigma_crit_inf_msun_mpc2=environment.sigma_crit_inf_msun_mpc2,
    )
    signal = prediction(tables, empty, mass).observable
    noise = relative * np.abs(signal) if error is None else np.full(n, error)
    value = signal if rng is None else signal + noise * rng.normal(size=n)
    return ShearProfile(**{**vars(empty), "value": value, "error": noise})


def prediction(tables, cluster, mass):
    density = threshold_density_msun_mpc3("200c", tables.environment(cluster.halo.z))
    return nfw_prediction(cluster, mass, C, density)


@pytest.fixture
def clusters(tables):
    rng = np.random.default_rng(2)
    masses = rng.uniform(3e14, 1.5e15, 12)
    return [
        profile(tables, m, z, rng=rng, error=e, name=f"c{i}", radius=np.sort(rng.uniform(0.3, 3.0, 9)))
        for i, (m, z, e) in enumerate(
            zip(masses, rng.uniform(0.15, 0.6, 12), rng.uniform(1e13, 6e13, 12), strict=True)
        )
    ], masses


def test_stack_is_the_direct_weighted_mean(clusters):
    profiles, _ = clusters
    edges = np.array([0.4, 0.9, 1.7, 2.6])
    value, error, position = stack = stack_delta_sigma(profiles, edges)
    for k in range(3):
        sums = np.zeros(3)
        for p in profiles:
            for r, v, e in zip(p.radius_mpc, p.value, p.error, strict=True):
                if edges[k] <= r < edges[k + 1]:
                    sums += np.array([1.0, v, r]) / e**2
        assert_allclose(
            [error[k], value[k], position[k]], [sums[0] ** -0.5, sums[1] / sums[0], sums[2] / sums[0]]
        )
    assert stack.details.n_clusters.max() <= 12
    assert_allclose(stack.details.weight, error**-2)


def test_shear_becomes_excess_surface_density(tables):
    weak = profile(tables, 1e13, 0.3, "g_t", relative=0.1)
    exact = profile(tables, 1e13, 0.3, relative=0.1)
    edges = np.append(RADIUS, 4.0)
    # kappa of this halo is below 0.01
    assert_allclose(stack_delta_sigma([weak], edges).value, exact.value, rtol=0.012)
    strong, massive = (
        profile(tables, 1e15, 0.3, "g_t", relative=0.1),
        profile(tables, 1e15, 0.3, relative=0.1),
    )
    corrected = stack_delta_sigma([strong], edges, predictions=[prediction(tables, strong, 1e15)])
    assert_allclose(corrected.value, massive.value, rtol=1e-12)


def test_analytic_errors_are_those_of_repetitions(tables):
    rng = np.random.default_rng(5)
    edges = [0.3, 0.8, 3.01]
    runs = [
        stack_delta_sigma([profile(tables, 5e14, 0.3, rng=rng, error=2e13) for _ in range(5)], edges)
        for _ in range(600)
    ]
    spread = np.std([r.value for r in runs], axis=0)
    assert_allclose(spread, runs[0].error, rtol=0.1)  # 600 repetitions: 3 % at one sd


def test_bootstrap_holds_the_scatter_of_clusters(tables):
    rng = np.random.default_rng(6)
    edges = [0.3, 3.01]

    def draw():
        masses = 5e14 * np.exp(0.4 * rng.normal(size=40))
        return [profile(tables, m, 0.3, rng=rng, error=5e12, name=str(i)) for i, m in enumerate(masses)]

    runs = [stack_delta_sigma(draw(), edges, error="bootstrap", n_bootstrap=300, seed=1) for _ in range(150)]
    spread = np.std([r.value for r in runs])
    assert_allclose(np.mean([r.error for r in runs]), spread, rtol=0.15)
    assert spread > 3 * runs[0].details.error_analytic[0]
    again = stack_delta_sigma(draw(), edges, error="bootstrap", n_bootstrap=300, seed=1)
    assert again.error.shape == (1,)


def test_scatter_of_clusters_beyond_noise(tables):
    rng = np.random.default_rng(7)
    factors = 1 + 0.2 * rng.normal(size=300)
    profiles, predictions = [], []
    for i, f in enumerate(factors):
        p = profile(tables, 5e14, 0.3, relative=0.3, name=str(i))
        noisy = f * p.value + p.error * rng.normal(size=len(RADIUS))
        profiles.append(ShearProfile(**{**vars(p), "value": noisy}))
        predictions.append(prediction(tables, p, 5e14))
    made = stack_scaled(profiles, predictions, [0.5, 12.0])
    assert_allclose(made.details.scatter_intrinsic, 0.2, atol=0.03)  # 300 clusters: 0.01
    assert made.details.scatter > made.details.scatter_intrinsic


@pytest.mark.parametrize("observable", ["delta_sigma", "g_t"])
def test_mixture_of_masses_biases_one_method_and_not_the_other(tables, observable):
    """The mean profile of 1e14 and 2e15 Msun is no NFW halo of the mean mass; the scaled one is exact."""
    masses = np.repeat([1e14, 2e15], 4)
    z = np.linspace(0.2, 0.5, 8)
    profiles = [
        profile(tables, m, zz, observable, relative=0.2, name=str(i))
        for i, (m, zz) in enumerate(zip(masses, z, strict=True))
    ]
    predictions = [prediction(tables, p, m) for p, m in zip(profiles, masses, strict=True)]
    scaled = stack_scaled(profiles, predictions, np.geomspace(0.5, 20, 8))
    assert_allclose(scaled.value, 1.0, rtol=1e-12)
    equal = [ShearProfile(**{**vars(p), "error": np.full(len(RADIUS), 1e13)}) for p in profiles]
    if observable == "g_t":
        equal = [ShearProfile(**{**vars(p), "error": 0.01 * p.beta_s}) for p in equal]
    plain = stack_delta_sigma(equal, np.append(RADIUS, 4.0), predictions=predictions)
    model = LensModel.build(tables, concentration=C)
    one = stacked_profile(plain, z, tables)
    mass = curvefit.fit(one, model).summary["mass_ml_msun"]
    assert abs(np.log(mass / masses.mean())) > 0.1
    members = curvefit.fit(one, member_model(model, plain, z)).summary["mass_ml_msun"]
    assert abs(np.log(members / masses.mean())) > 0.1  # one mass for all members is what is wrong


def test_universal_profile_in_units_of_its_amplitude(tables):
    """In units of rho_s r_s all NFW haloes lie on one function of x."""
    masses, z = np.array([2e14, 6e14, 1.8e15]), np.array([0.2, 0.35, 0.5])
    profiles = [profile(tables, m, zz, relative=0.1) for m, zz in zip(masses, z, strict=True)]
    predictions = [prediction(tables, p, m) for p, m in zip(profiles, masses, strict=True)]
    from clmassmod.core import nfw

    for p, q in zip(profiles, predictions, strict=True):
        x = p.radius_mpc / q.r_s_mpc
        made = stack_scaled([p], [q], np.append(0.999 * x, 99.0), units="amplitude")
        sigma, mean = nfw.shapes(x)
        assert_allclose(made.value, mean - sigma, rtol=1e-12)
        assert_allclose(made.position, x)


def test_mean_over_members_recovers_the_mass_of_members_at_different_redshifts(tables):
    z = np.array([0.15, 0.2, 0.9, 1.1])
    mass = 6e14
    radii = [np.geomspace(0.3, 3, 14), np.geomspace(0.35, 2.5, 9)] * 2
    profiles = [
        profile(tables, mass, zz, error=2e13, radius=r, name=str(zz)) for zz, r in zip(z, radii, strict=True)
    ]
    made = stack_delta_sigma(profiles, np.linspace(0.3, 3.01, 6))
    model = LensModel.build(tables, concentration=C)
    one = stacked_profile(made, z, tables)
    exact = curvefit.fit(one, member_model(model, made, z)).summary
    assert_allclose(exact["mass_ml_msun"], mass, rtol=1e-5)
    assert exact["chi2"] < 1e-6
    single = curvefit.fit(one, model).summary
    assert abs(single["mass_ml_msun"] / mass - 1) > 0.01


def test_what_one_cluster_has_left_is_not_taken_for_the_members(tables):
    """The members' mean has the radii and the redshift of one cluster, and other surface densities."""
    z = np.array([0.15, 1.1])
    profiles = [profile(tables, 6e14, zz, error=2e13, name=str(zz)) for zz in z]
    made = stack_delta_sigma(profiles, np.linspace(0.3, 3.01, 6))
    one = stacked_profile(made, z, tables)
    alone = scan.fit(one, member_model(LensModel.build(tables, concentration=C), made, z))
    model = LensModel.build(tables, concentration=C)
    single = scan.fit(one, model)
    after = scan.fit(one, member_model(model, made, z))
    assert_array_equal(after.ln_like["200c"], alone.ln_like["200c"])
    assert abs(single.summary["mass_ml_msun"] / after.summary["mass_ml_msun"] - 1) > 0.01


def test_what_cannot_be_stacked_is_said(tables, clusters):
    profiles, masses = clusters
    with pytest.raises(ConfigError, match="must be two or more increasing numbers"):
        stack_delta_sigma(profiles, [1.0, 0.5])
    with pytest.raises(FitError, match="none of 12 clusters has a bin between 30 and 40"):
        stack_delta_sigma(profiles, [30, 40])
    with pytest.raises(ConfigError, match="neither 'analytic' nor 'bootstrap'"):
        stack_delta_sigma(profiles, [0.5, 1], error="jackknife")
    predictions = [None, *(prediction(tables, p, m) for p, m in zip(profiles[1:], masses[1:], strict=True))]
    made = stack_scaled(profiles, predictions, [0.5, 20])
    assert made.details.left_out == ("c0",)
    with pytest.raises(ConfigError, match="is no cluster"):
        stacked_profile(made, np.zeros(12), tables)
    empty = stack_delta_sigma(profiles, [0.01, 0.02, 3.0])
    assert np.isnan(empty.value[0])
    assert np.isnan(empty.error[0])
    assert np.isfinite(empty.value[1])
