"""Predictions, profiles of the user's, and what a mistake is told."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad

from clmassmod.core.miscentring import miscentring
from clmassmod.core.projected import Projected
from clmassmod.core.sources import named_sources
from clmassmod.cosmology import Cosmology, beta_s, environment
from clmassmod.cosmology.predict import Prediction, predict
from clmassmod.cosmology.two_halo import two_halo
from clmassmod.errors import ConfigError
from clmassmod.registry import PROFILES

COSMOLOGY = Cosmology(70.0, 0.3, Ob0=0.05, sigma8=0.8, ns=0.96)
RADII = np.array([0.1, 0.3, 1.0, 3.0])
HALO = {
    "mass_msun": 1e15,
    "concentration": 4.0,
    "mass_definition": "200c",
    "z_lens": 0.25,
    "z_source": 1.0,
    "radius_mpc": RADII,
    "cosmology": COSMOLOGY,
}

USER = """
import numpy as np
def ratio(x):
    return 1 / (x * (1 + x) ** 2)
def megaparsec(r, r_s_mpc, slope=1.0):
    return (r / r_s_mpc) ** -slope * (1 + r / r_s_mpc) ** (slope - 3)
def everything(r, mass_msun, concentration, r_delta_mpc, z):
    x = r * concentration / r_delta_mpc
    return 1e3 * mass_msun * (1 + z) / (x * (1 + x) ** 2)
def surface(radius_mpc, mass_msun, concentration, density_msun_mpc3, environment):
    from clmassmod.core import nfw
    sigma, delta_sigma = nfw.projected(radius_mpc, mass_msun, concentration, density_msun_mpc3)
    return sigma, delta_sigma
def step(x):
    return np.where(x < 5, 1 / x, 0.0)
def shallow(x):
    return x ** -0.9
def slow(x):
    return 1 / (1 + x ** 1.5)
def nothing():
    return 1
def foo(r, bar):
    return r
def scalar(r):
    return 1.0
def infinite(r):
    return r / 0.0 if np.ndim(r) == 0 else np.full_like(r, np.inf)
number = 4
"""


@pytest.fixture
def user(tmp_path):
    path = tmp_path / "user.py"
    path.write_text(USER)
    return lambda name: f"{path}:{name}"


@pytest.mark.parametrize("name", ["ratio", "megaparsec", "everything", "surface"])
def test_user_profiles_equal_the_packages(user, name):
    got, want = predict(user(name), **HALO), predict("nfw", **HALO)
    for a, b in zip(got, want, strict=True):
        assert_allclose(a, b, rtol=1e-8)


def test_parameters_reach_the_user(user):
    got = predict(user("megaparsec"), **HALO, parameters={"slope": 1.4})
    want = predict("gnfw", **HALO, parameters={"inner_slope": 1.4})
    assert_allclose(got.g_t, want.g_t, rtol=1e-7)


def test_user_density_that_falls_slowly(user):
    """The projection of 1 / (1 + x^1.5) reaches far: adaptive integration to infinity."""
    got = predict(user("slow"), **HALO)
    r_s = float(np.cbrt(3e15 / (4 * np.pi * 200 * environment(COSMOLOGY, 0.25).rho_crit_msun_mpc3))) / 4.0

    def along(t, radius):
        return 2 * radius * np.cosh(t) / (1 + (radius * np.cosh(t) / r_s) ** 1.5)

    want = [quad(along, 0, 60, args=(r,), epsrel=1e-9, limit=300)[0] for r in RADII]
    assert_allclose(got.sigma_msun_mpc2 / got.sigma_msun_mpc2[0], np.array(want) / want[0], rtol=1e-6)


def test_user_profiles_have_density_and_mass(user):
    profile, own = PROFILES.load(user("ratio")), PROFILES.load("nfw")
    halo = environment(COSMOLOGY, 0.25)
    arguments = (RADII, np.array([1e14, 1e15]), np.array([4.0, 5.0]), 200 * halo.rho_crit_msun_mpc3, halo)
    assert_allclose(profile.density(*arguments), own.density(*arguments), rtol=1e-10)
    assert_allclose(profile.enclosed_mass(*arguments), own.enclosed_mass(*arguments), rtol=1e-10)
    with pytest.raises(ConfigError, match="surface densities alone"):
        PROFILES.load(user("surface")).density(*arguments)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("step", "does not converge"),
        ("shallow", "falls as"),
        ("nothing", "takes the radius"),
        ("foo", "bar"),
        ("scalar", "one finite density"),
        ("infinite", "not finite"),
        ("number", "not a function"),
        ("misspelt", "misspelt"),
    ],
)
def test_user_mistakes_are_named(user, name, says):
    with pytest.raises(ConfigError, match=says):
        predict(user(name), **HALO)


def test_columns():
    assert Prediction._fields == (
        "radius_mpc",
        "sigma_msun_mpc2",
        "delta_sigma_msun_mpc2",
        "kappa",
        "gamma_t",
        "g_t",
    )
    got = predict("nfw", **HALO)
    assert_allclose(got.g_t, got.gamma_t / (1 - got.kappa))
    assert_allclose(got.kappa / got.sigma_msun_mpc2, got.gamma_t / got.delta_sigma_msun_mpc2)
    assert all(np.shape(column) == (4,) for column in got)


def test_many_masses_and_a_relation():
    many = predict("nfw", **{**HALO, "mass_msun": np.array([1e14, 1e15]), "concentration": "diemer19"})
    one = predict("nfw", **{**HALO, "concentration": "diemer19"})
    assert many.g_t.shape == (2, 4)
    assert_allclose(many.g_t[1], one.g_t, rtol=1e-12)


def test_infinitely_far_sources():
    got = predict("nfw", **{**HALO, "z_source": np.inf})
    sigma_crit = environment(COSMOLOGY, 0.25).sigma_crit_inf_msun_mpc2
    assert_allclose(got.kappa, got.sigma_msun_mpc2 / sigma_crit, rtol=1e-13)


def test_distribution_of_sources():
    """Against the exact mean over sources of beta_s and of the reduced shear to second order."""
    sources = named_sources("smail", alpha=2.0, beta=1.5, median_z=0.9)
    got = predict("nfw", **{**HALO, "z_source": sources})
    far = predict("nfw", **{**HALO, "z_source": np.inf})

    def mean(power):
        def weighted(z):
            return float(sources.density(np.array([z]))[0] * beta_s(COSMOLOGY, z, 0.25) ** power)

        return quad(weighted, 0.25, 10, epsrel=1e-10, limit=200)[0]

    norm = quad(lambda z: float(sources.density(np.array([z]))[0]), 0, 10, epsrel=1e-10, limit=200)[0]
    b, b2 = mean(1) / norm, mean(2) / norm
    assert_allclose(got.kappa, b * far.kappa, rtol=1e-8)
    assert_allclose(got.gamma_t, b * far.gamma_t, rtol=1e-8)
    assert_allclose(got.g_t, b * far.gamma_t / (1 - b2 / b * far.kappa), rtol=1e-8)


def test_effects_are_those_of_their_modules():
    plain = predict("nfw", **HALO)
    linear = two_halo(COSMOLOGY, RADII, 0.25, mass_msun=1e15, mass_definition="200c")
    with_linear = predict("nfw", **HALO, parameters={"two_halo": 0.5})
    assert_allclose(with_linear.sigma_msun_mpc2, plain.sigma_msun_mpc2 + 0.5 * linear.sigma, rtol=1e-12)

    def both(radius):
        p = predict("nfw", **{**HALO, "radius_mpc": radius}, parameters={"two_halo": 0.5})
        return Projected(p.sigma_msun_mpc2, p.delta_sigma_msun_mpc2)

    want = miscentring(RADII, "rayleigh", 0.2)(both)
    effects = {"two_halo": 0.5, "offset_mpc": 0.2, "offset_distribution": "rayleigh"}
    got = predict("nfw", **HALO, parameters=effects)
    assert_allclose(got.delta_sigma_msun_mpc2, want.delta_sigma, rtol=1e-12)


def test_peak_height_comes_from_the_cosmology():
    assert np.all(np.isfinite(predict("dk14", **HALO).g_t))
    with pytest.raises(ConfigError, match=r"einasto.*alpha='big'"):
        predict("einasto", **HALO, parameters={"alpha": "big"})
    with pytest.raises(ConfigError, match=r"peak_height.*cosmology\.sigma8"):
        predict("dk14", **{**HALO, "cosmology": Cosmology(70.0, 0.3)})
    alone = {"alpha": 0.2, "truncation": 1.3}  # nothing is left that depends on nu
    assert np.all(
        np.isfinite(predict("dk14", **{**HALO, "cosmology": Cosmology(70.0, 0.3)}, parameters=alone).g_t)
    )


@pytest.mark.parametrize(
    ("change", "parameters", "says"),
    [
        ({"radius_mpc": [0.0, 1.0]}, {}, "radii"),
        ({"radius_mpc": []}, {}, "radii"),
        ({"mass_msun": -1e14}, {}, "mass"),
        ({"z_source": 0.25}, {}, "not behind"),
        ({"mass_definition": "200x"}, {}, "200x"),
        ({"concentration": -1.0}, {}, "concentration"),
        ({"concentration": "dufy08"}, {}, "duffy08"),
        ({}, {"alpha": 1.0}, "alpha"),
        ({}, {"offset_distribution": "gamma"}, "offset_mpc"),
        ({}, {"offset_mpc": "far"}, "offset_mpc must be a number"),
        ({}, {"two_halo": "yes"}, "two_halo must be a number"),
        ({}, {"offset_mpc": 0.2, "offset_distribution": "x"}, "unknown distribution"),
    ],
)
def test_mistakes_are_named(change, parameters, says):
    with pytest.raises(ConfigError, match=says):
        predict("nfw", **{**HALO, **change}, parameters=parameters)


def test_unknown_profile_suggests():
    with pytest.raises(ConfigError, match="hernquist"):
        predict("hernquest", **HALO)
