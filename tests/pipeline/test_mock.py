"""Mock surveys: counts, footprint, redshifts, noise, shear bias, centres, reproducibility."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import gamma, kstest

from clmassmod.config import RadialBins, halo_rng
from clmassmod.core.fields import CircularField
from clmassmod.errors import ConfigError
from clmassmod.measure import measure
from clmassmod.mock import observe


@pytest.fixture
def field(halo, nfw_profile, tables):
    return CircularField(halo, nfw_profile, tables.environment(halo.z).sigma_crit_inf_msun_mpc2)


def catalog_of(field, survey, tables, seed=1, **changes):
    return observe(field, survey(**changes), tables, np.random.default_rng(seed))


def test_counts_are_poisson_and_uniform(field, survey, tables):
    area = np.pi * 4.0**2
    footprint = {"shape": "circle", "radius_arcmin": 4.0}
    counts = [catalog_of(field, survey, tables, s, footprint=footprint).e1.size for s in range(300)]
    expected = 20 * area
    assert abs(np.mean(counts) - expected) < 4 * np.sqrt(expected / 300)
    assert abs(np.var(counts) / expected - 1) < 4 * np.sqrt(2 / 300)
    catalog = catalog_of(field, survey, tables, seed=2, density_per_arcmin2=100)
    r2 = catalog.x_arcmin**2 + catalog.y_arcmin**2
    assert kstest(r2, "uniform", (0, 13.5**2)).pvalue > 0.01
    assert (
        kstest(np.arctan2(catalog.y_arcmin, catalog.x_arcmin), "uniform", (-np.pi, 2 * np.pi)).pvalue > 0.01
    )


def test_noise_has_the_requested_variance(field, survey, tables):
    """1 %: 4.5 standard errors of the variance of 2 x 10^5 numbers."""
    noisy = catalog_of(field, survey, tables, shape_noise=0.27, density_per_arcmin2=360)
    clean = catalog_of(field, survey, tables, shape_noise=0.0, density_per_arcmin2=360)
    assert_array_equal(noisy.x_arcmin, clean.x_arcmin)  # noise has its own stream of the generator
    noise = np.concatenate([noisy.e1 - clean.e1, noisy.e2 - clean.e2])
    ratio = noise.var() / 0.27**2
    print(f"variance / requested = {ratio:.4f} from {noise.size} ellipticities")
    assert abs(ratio - 1) < 0.01
    assert kstest(noise / 0.27, "norm").pvalue > 0.01


def test_profile_errors_are_the_scatter(field, survey, tables):
    settings = {"shape_noise": 0.25, "error_shape_noise": None, "density_per_arcmin2": 10}
    profiles = [
        measure(catalog_of(field, survey, tables, s, **settings), (0.5, 2.5), RadialBins(n=4))
        for s in range(200)
    ]
    pulls = np.array([p.cross / p.error for p in profiles])
    assert abs(pulls.var() - 1) < 4 * np.sqrt(2 / pulls.size)
    assert abs(pulls.mean()) < 4 / np.sqrt(pulls.size)


@pytest.mark.parametrize(
    ("sources", "alpha", "beta", "z0"),
    [
        ({"distribution": "smail", "median_z": 0.9}, 2.0, 1.5, None),
        ({"distribution": "smail", "median_z": 1.0, "alpha": 1.0, "beta": 0.9}, 1.0, 0.9, None),
        ({"distribution": "chang13"}, 1.24, 1.01, 0.51),
        ({"distribution": "desc_srd", "year": "Y1"}, 2.0, 0.78, 0.13),
    ],
)
def test_source_redshifts(field, survey, tables, sources, alpha, beta, z0):
    """(z / z0)^beta follows a gamma distribution, cut at z_max."""
    exact = gamma((alpha + 1) / beta)
    z0 = sources["median_z"] / exact.median() ** (1 / beta) if z0 is None else z0
    sources = sources | {"z_max": 15}
    catalog = catalog_of(field, survey, tables, sources=sources)
    norm = exact.cdf((15 / z0) ** beta)
    assert kstest(catalog.z_source, lambda z: exact.cdf((z / z0) ** beta) / norm).pvalue > 0.01
    assert_allclose(catalog.beta_s, tables.beta_s(catalog.z_source, 0.25))
    assert (catalog.beta_s[catalog.z_source <= 0.25] == 0).all()
    assert (catalog.z_source <= 0.25).any()
    behind = catalog_of(field, survey, tables, sources=sources | {"behind_lens": 0.1})
    assert behind.z_source.min() >= 0.35


def test_shear_bias(field, survey, tables):
    plain = catalog_of(field, survey, tables)
    biased = catalog_of(field, survey, tables, shear_m=-0.05, shear_c=[0.001, -0.002])
    assert_allclose(biased.e1, 0.95 * plain.e1 + 0.001)
    assert_allclose(biased.e2, 0.95 * plain.e2 - 0.002)


def test_inside_critical_curves_ellipticities_stay_below_one(halo, nfw_profile, survey, tables):
    strong = CircularField(halo, nfw_profile, tables.environment(halo.z).sigma_crit_inf_msun_mpc2 / 4)
    catalog = catalog_of(strong, survey, tables, density_per_arcmin2=100)
    e = np.hypot(catalog.e1, catalog.e2)
    assert e.max() <= 1.0
    assert e.max() > 0.9


@pytest.mark.parametrize(
    ("footprint", "area"),
    [
        ({"shape": "annulus", "radius_arcmin": 8.0, "inner_radius_arcmin": 3.0}, np.pi * 55),
        ({"shape": "square", "width_arcmin": 9.0}, 81),
        ({"shape": "rectangle", "width_arcmin": 12.0, "height_arcmin": 4.0, "angle_deg": 30.0}, 48),
    ],
)
def test_footprints(field, survey, tables, footprint, area):
    catalog = catalog_of(field, survey, tables, footprint=footprint, density_per_arcmin2=200)
    assert abs(catalog.e1.size - 200 * area) < 4 * np.sqrt(200 * area)
    x, y = catalog.x_arcmin, catalog.y_arcmin
    if footprint["shape"] == "annulus":
        assert np.hypot(x, y).min() >= 3.0
    if footprint["shape"] == "rectangle":
        along = x * np.cos(np.pi / 6) + y * np.sin(np.pi / 6)
        assert 5.9 < np.abs(along).max() <= 6.0
        assert 1.9 < np.abs(y * np.cos(np.pi / 6) - x * np.sin(np.pi / 6)).max() <= 2.0


def test_galaxies_beyond_the_map_do_not_exist(nfw_map, survey, tables):
    lensing = nfw_map(64, 0.05)  # 3.2 Mpc, 13.6 arcmin wide
    catalog = observe(lensing, survey(), tables, np.random.default_rng(1))
    assert np.abs(catalog.x_arcmin).max() < 6.9
    assert np.isfinite(catalog.e1).all()


def test_halo_seed_and_step_give_the_same_catalogue(field, survey, tables):
    a, b = (observe(field, survey(shape_noise=0.25), tables, halo_rng(7, "h1", "mock/s")) for _ in range(2))
    c = observe(field, survey(shape_noise=0.25), tables, halo_rng(7, "h2", "mock/s"))
    assert_array_equal(a.e1, b.e1)
    assert_array_equal(a.z_source, b.z_source)
    assert c.e1.size != a.e1.size or not np.array_equal(a.e1, c.e1)


def test_no_source_beyond_the_lens_is_an_error(field, survey, tables):
    sources = {"distribution": "smail", "median_z": 0.1, "z_max": 0.3, "behind_lens": 0.2}
    with pytest.raises(ConfigError, match=r"no source of this redshift distribution lies beyond z = 0.45"):
        catalog_of(field, survey, tables, sources=sources)
