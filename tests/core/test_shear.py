"""Reduced shear of source samples."""

import numpy as np
from numpy.testing import assert_allclose

from clmassmod.core import nfw, sources
from clmassmod.core.massdef import threshold_density_msun_mpc3
from clmassmod.core.shear import exact_reduced_shear, reduced_shear
from clmassmod.cosmology import Cosmology, beta_s, environment

COSMOLOGY = Cosmology(70.0, 0.3)


def lens(z, mass):
    halo = environment(COSMOLOGY, z)
    surface = nfw.projected(np.linspace(0.5, 3, 10), mass, 4.0, threshold_density_msun_mpc3("200c", halo))
    return halo, surface


def test_single_plane_is_exact():
    halo, surface = lens(0.3, 1e15)
    b = float(beta_s(COSMOLOGY, 1.0, 0.3))
    got = reduced_shear(*surface, halo.sigma_crit_inf_msun_mpc2, b, b**2)
    assert_allclose(
        got, exact_reduced_shear(*surface, halo.sigma_crit_inf_msun_mpc2, np.full(7, b)), rtol=1e-13
    )
    kappa = b * surface.sigma / halo.sigma_crit_inf_msun_mpc2
    gamma = b * surface.delta_sigma / halo.sigma_crit_inf_msun_mpc2
    assert_allclose(got, gamma / (1 - kappa), rtol=1e-13)


def test_two_moments_stand_for_a_sample():
    """Second order in kappa is left out: 0.4 per cent at 0.5 Mpc; one mean redshift errs by far more."""
    z, w = sources.named_sources("chang13").quadrature()
    for z_lens, mass in ((0.3, 2e14), (0.3, 1.5e15), (0.6, 1.5e15)):
        halo, surface = lens(z_lens, mass)
        b = beta_s(COSMOLOGY, z, z_lens)
        exact = exact_reduced_shear(*surface, halo.sigma_crit_inf_msun_mpc2, b, w)
        moments = sources.beta_moments(b, w)
        assert_allclose(reduced_shear(*surface, halo.sigma_crit_inf_msun_mpc2, *moments), exact, rtol=0.004)
        plane = float(beta_s(COSMOLOGY, float(z @ w / w.sum()), z_lens))
        wrong = reduced_shear(*surface, halo.sigma_crit_inf_msun_mpc2, plane, plane**2)
        assert np.all(np.abs(wrong / exact - 1) > 0.05)


def test_no_source_behind_the_lens_gives_no_shear():
    halo, surface = lens(0.3, 1e15)
    assert np.all(reduced_shear(*surface, halo.sigma_crit_inf_msun_mpc2, 0.0, 0.0) == 0)


def test_weighted_mean_of_sources():
    halo, surface = lens(0.3, 1e15)
    critical = halo.sigma_crit_inf_msun_mpc2
    twice = exact_reduced_shear(*surface, critical, [0.5, 0.5, 0.8])
    assert_allclose(exact_reduced_shear(*surface, critical, [0.5, 0.8], [2.0, 1.0]), twice, rtol=1e-13)
