"""Distances against astropy's own integrals, beta, and what is refused."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from clmassmod import cosmology as c
from clmassmod.core.shear import sigma_crit_msun_mpc2
from clmassmod.core.units import C_KM_S, G_MPC_KM2_S2_MSUN
from clmassmod.errors import ConfigError

MODELS = [
    c.Cosmology(70.0, 0.3),
    c.Cosmology(73.0, 0.25, Ode0=0.75),
    c.Cosmology(67.7, 0.31, Ode0=0.6),
    c.Cosmology(70.0, 0.3, Ode0=0.8),
    c.Cosmology(70.0, 0.3, w0=-0.8),
    c.Cosmology(70.0, 0.3, w0=-0.9, wa=0.4),
    c.Cosmology(65.0, 0.28, Ode0=0.65, w0=-1.1, wa=-0.3),
]
Z = np.array([0.01, 0.1, 0.3, 0.7, 1.5, 4.0, 20.0, 1000.0])


@pytest.mark.parametrize("model", MODELS)
def test_distances_against_astropy(model):
    astropy = c.to_astropy(model)
    assert_allclose(
        c.comoving_distance_mpc(model, 0.0, Z), astropy.comoving_transverse_distance(Z).value, rtol=1e-8
    )
    assert_allclose(c.hubble_km_s_mpc(model, Z), astropy.H(Z).value, rtol=1e-12)
    assert_allclose(c.matter_fraction(model, Z), astropy.Om(Z), rtol=1e-12)
    assert_allclose(
        c.angular_diameter_distance_mpc(model, 0.0, Z), astropy.angular_diameter_distance(Z).value, rtol=1e-8
    )


@pytest.mark.parametrize("model", MODELS)
def test_beta_of_infinitely_far_sources_is_the_limit(model):
    far = c.beta(model, np.array([1e4, 1e6, 1e8]), 0.3)
    assert_allclose(far[-1], c.beta(model, np.inf, 0.3), rtol=3e-4)
    assert np.all(np.diff(far) > 0)
    assert c.beta_s(model, np.inf, 0.3) == 1.0


def test_einstein_de_sitter_is_exact():
    """D_C = 2 c / H0 (1 - 1 / sqrt(1 + z))."""
    model = c.Cosmology(70.0, 1.0)
    exact = 2 * 299792.458 / 70 * (1 - 1 / np.sqrt(1 + Z))
    assert_allclose(c.comoving_distance_mpc(model, 0.0, Z), exact, rtol=1e-13)
    assert_allclose(c.comoving_distance_mpc(model, 0.0, np.inf), 2 * 299792.458 / 70, rtol=1e-13)


def test_sources_before_the_lens_have_no_beta():
    model = MODELS[0]
    assert np.array_equal(c.beta(model, [0.1, 0.3, 0.5], 0.3) > 0, [False, False, True])
    assert np.all(np.isinf(c.sigma_crit_msun_mpc2(model, [0.1, 0.3], 0.3)))


def test_environment():
    model = c.Cosmology(70.0, 0.3)
    halo = c.environment(model, 0.25)
    # critical density today 2.77536627e11 h2 Msun/Mpc3 (with G as CODATA 2018 has it)
    assert_allclose(halo.rho_mean_msun_mpc3, 0.3 * 1.25**3 * 2.77536627e11 * 0.49, rtol=1e-7)
    assert_allclose(
        halo.rho_mean_msun_mpc3 / halo.rho_crit_msun_mpc3, c.matter_fraction(model, 0.25), rtol=1e-12
    )
    want = C_KM_S**2 / (4 * np.pi * G_MPC_KM2_S2_MSUN) / (halo.d_lens_mpc * c.beta(model, np.inf, 0.25))
    assert_allclose(halo.sigma_crit_inf_msun_mpc2, want, rtol=1e-14)
    assert_allclose(sigma_crit_msun_mpc2(halo.d_lens_mpc, 0.0), np.inf)


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"H0": -70, "Om0": 0.3}, "H0"),
        ({"H0": 70, "Om0": 0.0}, "Om0"),
        ({"H0": 70, "Om0": 0.3, "w0": -0.2, "wa": 0.3}, r"w0 \+ wa"),
    ],
)
def test_impossible_cosmologies_are_refused(parameters, says):
    with pytest.raises(ConfigError, match=says):
        c.Cosmology(**parameters)


@pytest.mark.parametrize("z", [0.0, -0.1, np.inf, np.nan])
def test_lenses_must_be_somewhere(z):
    with pytest.raises(ConfigError, match="redshift of a lens"):
        c.environment(MODELS[0], z)
