"""What makes synthetic haloes realistic: shapes, subhaloes, structure, baryons."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import integrate, stats
from scipy.special import erf

from clmassmod.config import RadialBins
from clmassmod.config.models import Simulation
from clmassmod.core import baryons, nfw
from clmassmod.core.axis_ratios import draw_jing_suto, mass_inside_ellipsoid
from clmassmod.core.baryons import BaryonModel
from clmassmod.core.massdef import threshold_density_msun_mpc3
from clmassmod.core.profiles.tnfw import enclosed_mass as tnfw_mass
from clmassmod.core.projected import overdensity_radius_mpc
from clmassmod.core.random_field import RandomField
from clmassmod.core.substructure import draw_masses, draw_positions, random_rotation
from clmassmod.core.units import ARCMIN_RAD
from clmassmod.cosmology import Cosmology
from clmassmod.errors import ConfigError
from clmassmod.measure import measure
from clmassmod.mock import observe
from clmassmod.readers.common import open_reader
from clmassmod.tables import Tables
from clmassmod.tables import build as build_tables

Z = 0.25


@pytest.fixture(scope="module")
def all_tables(cosmology):
    return Tables(build_tables(cosmology, z_range=(0.2, 0.3), structure=True))


def reader(cosmology, **options):
    options = {"n_halos": 5, "concentration": 4, "mass_function": "flat"} | options
    return open_reader(Simulation(reader="analytic", options=options), cosmology, seed=1)


def fields(it, tables):
    prepared = it.prepare()
    return [it.read(halo, tables, prepared) for halo in it.halos()]


def ring(field, radius, n=720):
    """Mean convergence and mean tangential and cross shear on a circle."""
    phi = 2 * np.pi * (np.arange(n) + 0.5) / n
    kappa, g1, g2 = field.at(radius * np.cos(phi), radius * np.sin(phi))
    tangential = -(g1 * np.cos(2 * phi) + g2 * np.sin(2 * phi))
    return kappa.mean(), tangential.mean(), (g1 * np.sin(2 * phi) - g2 * np.cos(2 * phi)).mean()


# ---------------------------------------------------------------- shapes


def test_axis_ratios_follow_jing_and_suto():
    n = 20_000
    middle, minor = draw_jing_suto(np.full(n, 1.0), np.full(n, 0.3), np.random.default_rng(1))
    cut = stats.truncnorm((0.1 - 0.54) / 0.113, (1 - 0.54) / 0.113, 0.54, 0.113)
    assert stats.kstest(minor, cut.cdf).pvalue > 0.01
    low = np.maximum(minor, 0.5)
    t = (minor / middle - low) / (1 - low)
    assert stats.kstest(t, stats.beta(2, 2).cdf).pvalue > 0.01
    _, heavier = draw_jing_suto(np.full(n, 100.0), np.full(n, 0.3), np.random.default_rng(1))
    expected = 100 ** (-0.07 * 0.3**0.7)
    assert_allclose(np.median(heavier) / np.median(minor), expected, rtol=0.01)


def test_spherical_mass_of_an_ellipsoid():
    """Against particles of an ellipsoidal NFW halo, counted inside the sphere."""
    rng = np.random.default_rng(7)
    mass, c, density = 5e14, 4.0, 2e13
    axes = np.array([0.5, 0.7, 1.0]) / np.cbrt(0.35)
    (factor,) = mass_inside_ellipsoid(
        lambda r, m: nfw.enclosed_mass(r, m, c, density),
        np.array([mass]), np.array([density]), np.array([0.7]), np.array([0.5]),
    )  # fmt: skip
    x = np.geomspace(1e-4, 6, 4000)  # in units of r_delta of the ellipsoid
    inside = nfw.mass_shape(c * x) / nfw.mass_shape(c)
    n = 1_000_000
    m = np.interp(inside[-1] * rng.random(n), inside, x)
    direction = rng.standard_normal((n, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    r = np.linalg.norm(direction * axes * m[:, np.newaxis], axis=1)
    r_sphere = (1 / factor) ** (1 / 3)  # its own radius over that of the ellipsoid, of mass factor
    counted = np.mean(r < r_sphere) * inside[-1] * factor
    assert 1.02 < factor < 1.2
    assert abs(counted - 1) < 4 / np.sqrt(n / inside[-1])


def test_triaxial_haloes_keep_their_mass_on_average(cosmology, tables):
    """Over many directions the mean convergence in a cylinder is the spherical halo's, within the scatter."""
    options = {"mass_msun": [5e14, 5.0001e14], "n_halos": 1}
    triaxial = {"distribution": "fixed", "axis_ratios": [0.7, 0.5]}
    sphere = fields(reader(cosmology, **options), tables)[0]
    it = reader(cosmology, triaxial=triaxial, projections=200, **options)
    seen = fields(it, tables)
    halos = it.halos()
    assert len({h.halo_id for h in halos}) == 200
    assert {h.parent for h in halos} == {"halo0000"}
    assert len(set(it.truth().values())) == 1
    ratio = np.array([ring(f, 1.0)[1] for f in seen]) / ring(sphere, 1.0)[1]
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / np.sqrt(200) + 0.01  # the mean's slope at r_200 differs
    assert 0.05 < ratio.std() < 0.4
    assert abs(ring(seen[0], 1.0)[2]) < 1e-6


def test_long_axis_and_shear_of_an_elliptical_halo(cosmology, tables):
    triaxial = {"distribution": "fixed", "axis_ratios": [0.9, 0.4]}
    for field in fields(reader(cosmology, triaxial=triaxial, n_halos=3), tables):
        along, across = field.position_angle, field.position_angle + np.pi / 2
        near, _, _ = field.at(np.array([np.cos(along)]), np.array([np.sin(along)]))
        far, _, _ = field.at(np.array([np.cos(across)]), np.array([np.sin(across)]))
        assert near >= far
        # mean convergence inside a circle minus that on it is the tangential shear
        radii = (np.arange(100) + 0.5) / 100
        inside = sum(2 * r / 100 * ring(field, r, 180)[0] for r in radii)
        kappa, tangential, _ = ring(field, 1.0)
        assert_allclose(tangential, inside - kappa, rtol=0.02)


def test_shapes_drawn_from_the_measured_distribution(cosmology):
    prepared = reader(cosmology, triaxial={}, n_halos=300, mass_function="tinker08").prepare()
    assert 0.2 < prepared["q"].min() < 0.5
    assert 0.6 < np.median(prepared["q"]) < 0.8
    assert stats.kstest(prepared["angle_rad"], "uniform", (0, np.pi)).pvalue > 0.01


# ---------------------------------------------------------------- subhaloes


def test_subhalo_masses_and_places():
    rng = np.random.default_rng(2)
    samples = [draw_masses(0.1, 1e-3, 0.4, rng) for _ in range(400)]
    total = [s.sum() for s in samples]
    assert abs(np.mean(total) - 0.1) < 4 * np.std(total) / 20
    psi = np.concatenate(samples)
    norm = integrate.quad(lambda x: x**-1.78 * np.exp(-50 * x**4), 1e-3, 0.4)[0]
    cumulative = np.vectorize(
        lambda v: integrate.quad(lambda x: x**-1.78 * np.exp(-50 * x**4), 1e-3, v)[0] / norm
    )
    assert stats.kstest(psi[:2000], cumulative).pvalue > 0.01
    place = draw_positions(20_000, 5.0, rng)
    radius = np.linalg.norm(place, axis=1)
    assert radius.max() <= 1
    assert np.median(radius) > 0.5  # less concentrated than the mass, of which half is inside 0.35
    turn = random_rotation(rng)
    assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert_allclose(np.linalg.det(turn), 1.0)


def test_subhaloes_take_their_mass_from_the_halo(cosmology, tables):
    options = {"mass_msun": [1e15, 1.0001e15], "n_halos": 1}
    smooth = fields(reader(cosmology, **options), tables)[0]
    many = options | {"n_halos": 60}
    lumpy = fields(reader(cosmology, subhaloes={"fraction": 0.15}, **many), tables)
    radii = np.array([0.1, 0.7, 2.5])
    ratio = np.array([[ring(f, r)[1] / ring(smooth, r)[1] for r in radii] for f in lumpy])
    print("shear with / without subhaloes at 0.1, 0.7, 2.5 Mpc:", ratio.mean(axis=0).round(3).tolist())
    assert ratio.mean(axis=0)[0] < 0.95  # the mass is not in the centre
    assert abs(ratio.mean(axis=0)[2] - 1) < 0.05
    assert ratio.std(axis=0)[1] > 0.02
    again = fields(reader(cosmology, subhaloes={"fraction": 0.15}, **many), tables)
    assert_allclose(ring(again[3], 1.0), ring(lumpy[3], 1.0))


# ---------------------------------------------------------------- structure


def test_two_halo_term_is_added(cosmology, all_tables):
    options = {"mass_msun": [5e14, 5.0001e14], "n_halos": 1}
    one = fields(reader(cosmology, **options), all_tables)[0]
    both = fields(reader(cosmology, two_halo=True, **options), all_tables)[0]
    critical = all_tables.environment(Z).sigma_crit_inf_msun_mpc2
    bias = float(all_tables.halo_bias("200c", 5e14, Z))
    for radius in (1.0, 3.0, 8.0):
        term = all_tables.two_halo(np.array([radius]), Z, bias).delta_sigma[0] / critical
        assert_allclose(ring(both, radius)[1] - ring(one, radius)[1], term, rtol=2e-3)
    with pytest.raises(ConfigError, match=r"cosmology.sigma8.* must be given"):
        reader(Cosmology(H0=70, Om0=0.3), two_halo=True).halos()


def test_random_field_has_its_power_spectrum():
    """Convergence and shear of many realisations: band powers to their sampling error."""
    ell = np.geomspace(10, 1e5, 300)
    power = 1e-9 * (ell / 1000) ** -1.2
    size, pixel, n = 120.0, 0.5, 240
    bands = np.array([300.0, 600.0, 1200.0, 2400.0, 4800.0])
    x, y = (v.ravel() for v in np.meshgrid(*[(np.arange(n)) * pixel] * 2))
    l_x = 2 * np.pi * np.fft.fftfreq(n, pixel * ARCMIN_RAD)
    l_abs = np.hypot(*np.meshgrid(l_x, l_x))
    found = np.zeros((12, 2, 4))
    for s in range(12):
        kappa, g1, g2 = (
            v.reshape(n, n) for v in RandomField(ell, power, size, pixel, np.random.default_rng(s)).at(x, y)
        )
        for i, image in enumerate((kappa, g1 + 1j * g2)):
            p = np.abs(np.fft.fft2(image)) ** 2 * (pixel * ARCMIN_RAD) ** 2 / n**2
            found[s, i] = [p[(l_abs >= a) & (l_abs < b)].mean() for a, b in pairwise(bands)]
    expected = [
        np.mean(1e-9 * (l_abs[(l_abs >= a) & (l_abs < b)] / 1000) ** -1.2) for a, b in pairwise(bands)
    ]
    ratio = found.mean(axis=0) / expected
    print("power found / wanted", ratio.round(3).tolist())
    assert_allclose(ratio, 1.0, atol=0.08)


def test_structure_before_and_behind_scatters_profiles_as_its_covariance_says(cosmology, all_tables, survey):
    options = {"n_halos": 150, "line_of_sight": {"z_source": 1.0}, "mass_msun": [1e14, 1.0001e14]}
    it = reader(cosmology, **options)
    smooth = fields(reader(cosmology, **options | {"line_of_sight": None, "n_halos": 1}), all_tables)[0]
    edges = RadialBins(edges_mpc=[0.5, 1.0, 2.0, 3.0])
    at = {"density_per_arcmin2": 40, "footprint": {"shape": "circle", "radius_arcmin": 13.5}}
    prepared, values = it.prepare(), []
    for i, halo in enumerate(it.halos()):
        field = it.read(halo, all_tables, prepared)
        rng = np.random.default_rng(i)
        values.append(measure(observe(field, survey(**at), all_tables, rng), (0.5, 3.0), edges).value)
    covariance = all_tables.lss_covariance(np.array([0.5, 1.0, 2.0, 3.0]), Z, np.array([1.0]))
    ratio = np.var(values, axis=0) / np.diag(covariance)
    print("variance of the shear / that of the covariance", ratio.round(2).tolist())
    assert_allclose(ratio, 1.0, atol=4 * np.sqrt(2 / 150))  # sampling error of a variance
    assert smooth.halo.z == Z


# ---------------------------------------------------------------- baryons


@pytest.fixture(scope="module")
def case(cosmology, tables):
    environment = tables.environment(Z)
    density = threshold_density_msun_mpc3("200c", environment)
    return (
        4e14,
        4.0,
        float(overdensity_radius_mpc(4e14, density)),
        cosmology.h,
        cosmology.Ob0 / cosmology.Om0,
        density,
    )


def test_baryons_conserve_mass_and_move_it(case):
    mass, c, radius, h, share, density = case
    r = np.geomspace(1e-4, 300, 2000) * radius
    before, after = baryons.enclosed_masses(r, mass, c, radius, h, share, BaryonModel())
    assert_allclose(before, tnfw_mass(r, mass, c, density, tau=4 * c, n=2), rtol=1e-10)
    assert_allclose(after[-1], before[-1], rtol=1e-3)
    assert np.all(np.diff(after) > 0)
    inside = np.searchsorted(r, [0.005 * radius, radius])
    assert after[inside[0]] > before[inside[0]]  # the central galaxy
    assert 0.93 < after[inside[1]] / before[inside[1]] < 1.0  # gas that was pushed out


def test_components_are_the_papers(case):
    """Fractions at one mass by hand; masses of gas and galaxy by adaptive integration of their densities."""
    mass, _, radius, h, share, _ = case
    model = BaryonModel()
    gas, central, rest = baryons.fractions(model, mass * h, share)
    star = 0.09 * (2.5e11 / (mass * h)) ** 0.32
    assert_allclose(
        [gas, central, rest], [share - star, 0.09 * (2.5e11 / (mass * h)) ** 0.6, 1 - gas - central]
    )
    beta = 3 - (6.6e13 / (mass * h)) ** 0.21

    def rho(x):
        return x * x * (1 + x / 0.1) ** -beta * (1 + (x / 4) ** 2) ** (-(7 - beta) / 2)

    total = integrate.quad(rho, 0, 300, limit=500)[0]
    r = np.geomspace(1e-5, 300, 1201) * radius
    found = baryons._normalised(baryons._gas_density(r / radius, mass * h, model), r)
    for x in (0.1, 0.5, 1.0, 3.0):
        expected = integrate.quad(rho, 0, x)[0] / total
        assert_allclose(np.interp(x * radius, r, found), expected, rtol=2e-4)
    x = np.linspace(0, 5, 50)
    assert_allclose(baryons._erf(x), erf(x), atol=2e-7)


def test_relaxation_solves_its_equation(case):
    mass, c, radius, h, share, _ = case
    model = BaryonModel()
    r = np.geomspace(1e-4, 300, 1200) * radius
    before, after = baryons.enclosed_masses(r, mass, c, radius, h, share, model)
    gas_share, central_share, rest = baryons.fractions(model, mass * h, share)
    total = before[-1]
    other = gas_share * total * baryons._normalised(baryons._gas_density(r / radius, mass * h, model), r)
    other += central_share * total * erf(r / (0.03 * radius))
    # the mass of collisionless matter inside r is rest * M(<r_i): find r_i, and test xi there
    initial = (after - other) / rest
    r_i = np.interp(initial, before, r)
    middle = slice(200, 1000)
    xi = (r / r_i)[middle]
    assert_allclose(xi, 1 + 0.3 * ((initial / after)[middle] ** 2 - 1), atol=2e-3)


def test_halo_with_baryons(cosmology, tables):
    options = {"mass_msun": [4e14, 4.0001e14], "n_halos": 1}
    gravity = reader(cosmology, profile="tnfw", parameters={"tau": 16.0, "n": 2}, **options)
    corrected = reader(cosmology, baryons={}, **options)
    assert gravity.truth() == corrected.truth()  # the gravity-only mass
    a, b = fields(gravity, tables)[0], fields(corrected, tables)[0]
    ratio = np.array([ring(b, r)[1] / ring(a, r)[1] for r in (0.1, 0.75, 1.5, 3.0)])
    print("shear with / without baryons at 0.1, 0.75, 1.5, 3 Mpc:", ratio.round(4).tolist())
    assert ratio[0] > ratio[1]
    assert (np.abs(ratio[1:] - 1) < 0.15).all()
    assert ratio[1] < 1.0
    with pytest.raises(ConfigError, match="the correction replaces profile 'nfw'"):
        reader(cosmology, baryons={}, profile="einasto")
    with pytest.raises(ConfigError, match=r"cosmology.Ob0 must be given"):
        reader(Cosmology(H0=70, Om0=0.3), baryons={}).halos()


def test_everything_together_can_be_observed(cosmology, all_tables, survey):
    it = reader(
        cosmology, triaxial={}, subhaloes={}, two_halo=True, line_of_sight={}, baryons={}, projections=2,
        mass_function="tinker08", concentration="diemer19", concentration_scatter=0.2, n_halos=2,
    )  # fmt: skip
    prepared = it.prepare()
    for halo in it.halos():
        catalog = observe(it.read(halo, all_tables, prepared), survey(), all_tables, np.random.default_rng(1))
        profile = measure(catalog, (0.3, 2.5))
        assert np.isfinite(profile.value).all()
        assert profile.value.mean() > 0
