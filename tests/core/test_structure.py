"""Power spectra, two-halo term and covariance of structure: CCL's values and direct integrals."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.special import j0, jv

from clmassmod.core import lss as core_lss
from clmassmod.core import sources
from clmassmod.core.units import critical_density_msun_mpc3
from clmassmod.cosmology import Cosmology, angular_diameter_distance_mpc, halofit, lss, structure, two_halo

CCL = json.loads((Path(__file__).parent / "values_ccl.json").read_text())
COSMOLOGY = Cosmology(70.0, 0.3, Ob0=0.05, sigma8=0.8, ns=0.96)


@pytest.fixture(scope="module")
def power_table():
    return lss.power_table(COSMOLOGY)


def spectra(cosmology, z):
    k = np.array(CCL["k"])
    d2 = float(structure.growth(cosmology, z)) ** 2
    linear = d2 * structure.linear_power_mpc3(cosmology, k)
    on_grid = d2 * structure.linear_power_mpc3(cosmology, halofit.wave_numbers())
    return linear, halofit.nonlinear_power(cosmology, z, k, linear, on_grid)


@pytest.mark.parametrize("z", [0.0, 0.5, 1.5])
def test_power_spectra(z):
    """CCL interpolates its own Eisenstein–Hu spectrum: 5e-4 at the wiggles."""
    linear, nonlinear = spectra(COSMOLOGY, z)
    assert_allclose(linear, CCL[f"linear_z{z:g}"], rtol=1e-3)
    assert_allclose(nonlinear, CCL[f"nonlinear_z{z:g}"], rtol=1e-3)


def test_power_spectrum_with_other_dark_energy():
    """With w constant: for an evolving one CCL takes halofit at an effective constant w, 2 per cent away."""
    cosmology = Cosmology(70.0, 0.3, Ob0=0.05, sigma8=0.8, ns=0.96, w0=-0.8)
    assert_allclose(spectra(cosmology, 0.5)[1], CCL["nonlinear_w0_z0.5"], rtol=2e-3)


def test_variance_and_bias():
    mass = np.array(CCL["mass_msun"])
    assert_allclose(structure.sigma_of_mass(COSMOLOGY, mass), CCL["sigma_m_z0"], rtol=1e-3)
    bias = structure.halo_bias(COSMOLOGY, "200m", mass, 0.4)
    assert_allclose(bias, CCL["bias_200m_z0.4"], rtol=2e-3)


@pytest.mark.parametrize("kind", ["smail", "plane"])
def test_convergence_power(power_table, kind):
    if kind == "plane":
        z, w = np.array([1.0]), None
    else:
        z, w = sources.smail_sources(2.0, 1.0, 0.5, 4.0).quadrature()
    got = lss.convergence_power(COSMOLOGY, power_table, CCL["ell"], z, w)
    # 1e-3: interpolated spectra on both sides; the shear's spherical factor is 1 - 0.6 / ell^2 here
    assert_allclose(got, CCL[f"cl_{kind}"], rtol=1e-3)


def test_annulus_filter_is_the_mean_of_j2():
    edges, ell = np.array([1e-4, 3e-4, 3.1e-4, 2e-3]), np.geomspace(10, 1e5, 30)
    got = core_lss.annulus_filter(ell, edges)
    for i, (a, b) in enumerate(itertools.pairwise(edges)):
        x, w = np.polynomial.legendre.leggauss(400)
        theta = 0.5 * (a + b) + 0.5 * (b - a) * x
        want = [(w * theta * jv(2, el * theta)).sum() * (b - a) / (b**2 - a**2) for el in ell]
        assert_allclose(got[i], want, atol=1e-9)


def test_covariance_by_brute_force(power_table):
    edges, z = np.array([0.2, 0.35, 0.8, 1.6, 3.0]), np.array([0.9])
    got = lss.lss_covariance(COSMOLOGY, edges, 0.3, z, table=power_table)
    angle = edges / angular_diameter_distance_mpc(COSMOLOGY, 0.0, 0.3)
    coarse = np.geomspace(1, 5e6, 600)
    power = lss.convergence_power(COSMOLOGY, power_table, coarse, z)
    ell = np.geomspace(1, 5e6, 60_001)
    p = np.exp(np.interp(np.log(ell), np.log(coarse), np.log(power)))
    g = core_lss.annulus_filter(ell, angle)
    want = np.array([[np.trapezoid(ell**2 * p * a * b, np.log(ell)) for a in g] for b in g]) / (2 * np.pi)
    assert_allclose(got, want, rtol=1e-3)
    assert np.all(np.linalg.eigvalsh(got) > 0)


def test_covariance_size():
    """Hoekstra 2003: structure adds of the order of 0.005 to a cluster's shear at 5 arcmin, z_s = 1."""
    covariance = lss.lss_covariance(COSMOLOGY, np.geomspace(0.5, 3.0, 6), 0.3, [1.0])
    noise = np.sqrt(np.diag(covariance))
    assert np.all((noise > 0.003) & (noise < 0.01))
    assert np.all(np.diff(noise) < 0)
    assert covariance[0, 1] > 0.5 * covariance[0, 0]


def test_covariance_grows_with_the_sources_distance(power_table):
    near, far = (
        lss.lss_covariance(COSMOLOGY, [0.5, 1.0, 2.0], 0.3, [z], table=power_table)[0, 0] for z in (0.6, 2.0)
    )
    assert far > 3 * near


@pytest.mark.parametrize("radius", [0.1, 1.0, 10.0, 60.0])
def test_two_halo_term_by_direct_integral(radius):
    """The Hankel transforms against adaptive integration between the zeros of the Bessel functions."""
    z = 0.4
    got = two_halo.two_halo(COSMOLOGY, [radius], z, bias=2.0)
    scale = radius * (1 + z)
    lowest, cut = np.log(1e-6), np.log(400.0 / scale)
    ln_k = np.linspace(lowest, cut, 400_001)
    k = np.exp(ln_k)
    smooth = np.exp(-((k * scale / 80.0) ** 4))  # ends the oscillations without a step
    power = structure.linear_power_mpc3(COSMOLOGY, k) * smooth * k**2 / (2 * np.pi)
    rho = COSMOLOGY.Om0 * critical_density_msun_mpc3(COSMOLOGY.H0)
    amplitude = 2.0 * rho * (float(structure.growth(COSMOLOGY, z)) * (1 + z)) ** 2
    assert_allclose(got.sigma[0], amplitude * np.trapezoid(power * j0(k * scale), ln_k), rtol=1e-4)
    # the cut leaves ripples of 1e-4 where the term itself is small
    assert_allclose(got.delta_sigma[0], amplitude * np.trapezoid(power * jv(2, k * scale), ln_k), rtol=5e-4)


def test_two_halo_mean_is_consistent():
    """Excess surface density is the mean inside minus the local value, for any projected mass."""
    radius = np.geomspace(1e-3, 5.0, 4001)
    term = two_halo.two_halo(COSMOLOGY, radius, 0.3, bias=1.0)
    inside = np.concatenate([[0.0], np.cumsum(np.diff(radius**2) * 0.5 * (term.sigma[1:] + term.sigma[:-1]))])
    mean = (inside + radius[0] ** 2 * term.sigma[0]) / radius**2
    assert_allclose((mean - term.sigma)[2000:], term.delta_sigma[2000:], rtol=1e-3)


def test_two_halo_bias_follows_the_mass():
    mass = np.array([1e14, 1e15])
    with_mass = two_halo.two_halo(COSMOLOGY, [1.0, 3.0], 0.3, mass_msun=mass, mass_definition="200c")
    bias = structure.halo_bias(COSMOLOGY, "200c", mass, 0.3)
    want = two_halo.two_halo(COSMOLOGY, [1.0, 3.0], 0.3, bias=bias)
    assert np.array_equal(with_mass.sigma, want.sigma)
    with pytest.raises(TypeError, match="bias or a mass"):
        two_halo.two_halo(COSMOLOGY, [1.0], 0.3)


def test_sigma8_is_what_was_asked():
    """The variance in spheres of 8 Mpc/h, integrated here."""

    def integrand(ln_k):
        k = np.exp(ln_k)
        x = k * 8 / 0.7
        window = 3 * (np.sin(x) - x * np.cos(x)) / x**3
        return float(structure.linear_power_mpc3(COSMOLOGY, k)) * k**3 * window**2 / (2 * np.pi**2)

    total = sum(quad(integrand, a, b, limit=200)[0] for a, b in ((-12, -4), (-4, -1), (-1, 1), (1, 4)))
    assert_allclose(np.sqrt(total), 0.8, rtol=1e-4)
