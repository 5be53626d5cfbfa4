"""Profiles of catalogues against sums written out."""

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from clmassmod.config import RadialBins
from clmassmod.core.radial import bin_edges, tangential_cross
from clmassmod.core.units import ARCMIN_RAD
from clmassmod.errors import ConfigError
from clmassmod.measure import measure
from clmassmod.records import HaloInfo, SourceCatalog
from clmassmod.tables import Tables
from clmassmod.tables import build as build_tables


@pytest.fixture
def catalog():
    rng = np.random.default_rng(11)
    n = 3000
    return SourceCatalog(
        halo=HaloInfo("h", 0.3),
        x_arcmin=rng.uniform(-12, 12, n), y_arcmin=rng.uniform(-12, 12, n),
        e1=rng.normal(0, 0.3, n), e2=rng.normal(0, 0.3, n),
        z_source=np.full(n, 1.0), beta_s=rng.uniform(0, 1, n), weight=rng.uniform(0, 2, n),
        d_lens_mpc=900.0, sigma_crit_inf_msun_mpc2=2e15, shape_noise=0.3,
    )  # fmt: skip


@pytest.mark.parametrize("spacing", ["linear", "log", "equal_count"])
def test_against_a_loop(catalog, spacing):
    profile = measure(catalog, (0.4, 2.8), RadialBins(n=7, spacing=spacing, radius="mean"))
    scale = 900.0 * ARCMIN_RAD
    sums = np.zeros((7, 6))
    for x, y, e1, e2, b, w in zip(
        catalog.x_arcmin,
        catalog.y_arcmin,
        catalog.e1,
        catalog.e2,
        catalog.beta_s,
        catalog.weight,
        strict=True,
    ):
        r = scale * np.hypot(x, y)
        phi = np.arctan2(y, x)
        for i in range(7):
            if profile.edges_mpc[i] <= r < profile.edges_mpc[i + 1]:
                e_t = -(e1 * np.cos(2 * phi) + e2 * np.sin(2 * phi))
                e_x = e1 * np.sin(2 * phi) - e2 * np.cos(2 * phi)
                sums[i] += w * np.array([1, e_t, e_x, b, b * b, r])
    mean = sums[:, 1:] / sums[:, :1]
    for name, column in zip(("value", "cross", "beta_s", "beta_s2", "radius_mpc"), mean.T, strict=True):
        assert_allclose(getattr(profile, name), column, rtol=1e-10, atol=1e-14)
    if spacing == "equal_count":
        assert np.ptp(profile.n_gal) <= 2


def test_errors_of_weighted_means(catalog):
    profile = measure(catalog, (0.4, 2.8), RadialBins(n=3))
    r = 900.0 * ARCMIN_RAD * np.hypot(catalog.x_arcmin, catalog.y_arcmin)
    for i in range(3):
        w = catalog.weight[(r >= profile.edges_mpc[i]) & (r < profile.edges_mpc[i + 1])]
        assert_allclose(profile.error[i], 0.3 * np.sqrt((w**2).sum()) / w.sum())
        assert profile.n_gal[i] == w.size


def test_empty_and_poor_bins(catalog):
    few = measure(catalog, (0.01, 3.0), RadialBins(n=300, min_galaxies=5))
    poor = few.n_gal < 5
    assert poor.any()
    assert np.isnan(few.value[poor]).all()
    assert np.isfinite(few.value[~poor]).all()
    assert np.isfinite(few.radius_mpc).all()
    nothing = measure(catalog, (50.0, 60.0), RadialBins(n=3, spacing="equal_count"))
    assert_array_equal(nothing.n_gal, 0)
    assert np.isnan(nothing.value).all()
    zero_weight = dataclasses.replace(catalog, weight=np.zeros(3000))
    assert np.isnan(measure(zero_weight, (0.4, 2.8)).value).all()


def test_both_edges_belong_to_the_profile(catalog):
    one = {k: np.array([v]) for k, v in {"x_arcmin": 2.0, "y_arcmin": 0.0, "e1": -0.1, "e2": 0.0}.items()}
    one |= {k: np.ones(1) for k in ("z_source", "beta_s", "weight")}
    single = dataclasses.replace(catalog, **one)
    r = float(900.0 * ARCMIN_RAD * np.sqrt(4.0))
    assert measure(single, (r, 2 * r), RadialBins(n=4)).n_gal[0] == 1
    assert measure(single, (r / 2, r), RadialBins(n=4)).n_gal[3] == 1


def test_tangential_is_positive_round_a_mass():
    x, y = np.array([1.0, 0.0, 1.0, 0.0]), np.array([0.0, 1.0, 1.0, 0.0])
    e_t, e_x = tangential_cross([-0.1, 0.1, 0.0, 0.3], [0.0, 0.0, -0.1, 0.3], x, y)
    assert_allclose(e_t, [0.1, 0.1, 0.1, 0.0], atol=1e-15)
    assert_allclose(e_x, 0.0, atol=1e-15)


@pytest.mark.parametrize("radius", [(2.0, 1.0), (-1.0, 1.0), (1.0, 1.0)])
def test_wrong_ranges(radius):
    with pytest.raises(ConfigError, match="not increasing and positive"):
        bin_edges(radius, 3)


def test_fixed_edges_inside_the_range(catalog):
    edges = [0.2, 0.5, 1.1, 2.0, 3.5]
    profile = measure(catalog, (0.4, 2.5), RadialBins(edges_mpc=edges))
    assert_array_equal(profile.edges_mpc, [0.5, 1.1, 2.0])
    assert_allclose(profile.value, measure(catalog, (0.5, 2.0), RadialBins(edges_mpc=[0.5, 1.1, 2.0])).value)
    with pytest.raises(ConfigError, match="fewer than two edges lie inside"):
        measure(catalog, (0.6, 1.0), RadialBins(edges_mpc=edges))


def test_weights(catalog):
    plain = measure(catalog, (0.4, 2.8), RadialBins(n=3, weights="uniform"))
    ones = dataclasses.replace(catalog, weight=np.ones(3000))
    assert_allclose(plain.value, measure(ones, (0.4, 2.8), RadialBins(n=3)).value)
    noise = np.linspace(0.1, 0.5, 3000)
    own = dataclasses.replace(catalog, extra={"shape_noise": noise})
    found = measure(own, (0.4, 2.8), RadialBins(n=3, weights="inverse_variance"))
    by_hand = measure(dataclasses.replace(own, weight=1 / noise**2), (0.4, 2.8), RadialBins(n=3))
    assert_allclose(found.value, by_hand.value)
    r = 900.0 * ARCMIN_RAD * np.hypot(catalog.x_arcmin, catalog.y_arcmin)
    for i in range(3):
        inside = (r >= found.edges_mpc[i]) & (r < found.edges_mpc[i + 1])
        assert_allclose(found.error[i], (1 / noise[inside] ** 2).sum() ** -0.5)
    critical = measure(catalog, (0.4, 2.8), RadialBins(n=3, weights="sigma_crit"))
    squared = dataclasses.replace(catalog, weight=catalog.weight * catalog.beta_s**2)
    assert_allclose(critical.value, measure(squared, (0.4, 2.8), RadialBins(n=3)).value)


def test_excess_surface_density(catalog):
    """A constant excess surface density comes back exactly, whatever the sources' redshifts."""
    phi = np.arctan2(catalog.y_arcmin, catalog.x_arcmin)
    e = 3e14 * catalog.beta_s / catalog.sigma_crit_inf_msun_mpc2
    sheared = dataclasses.replace(catalog, e1=-e * np.cos(2 * phi), e2=-e * np.sin(2 * phi))
    sheared = dataclasses.replace(sheared, beta_s=np.where(np.arange(3000) % 5 == 0, 0.0, catalog.beta_s))
    profile = measure(sheared, (0.4, 2.8), RadialBins(n=4, observable="delta_sigma"))
    assert profile.observable == "delta_sigma"
    assert_allclose(profile.value, 3e14)
    assert_allclose(profile.cross, 0, atol=1e0)
    w = catalog.weight * sheared.beta_s
    r = 900.0 * ARCMIN_RAD * np.hypot(catalog.x_arcmin, catalog.y_arcmin)
    inside = (r >= profile.edges_mpc[1]) & (r < profile.edges_mpc[2])
    error = 0.3 * 2e15 * np.sqrt((w[inside] ** 2).sum()) / (w * sheared.beta_s)[inside].sum()
    assert_allclose(profile.error[1], error)


def test_bootstrap_errors_agree_with_shape_noise(catalog):
    analytic = measure(catalog, (0.4, 2.8), RadialBins(n=3))
    resampled = measure(catalog, (0.4, 2.8), RadialBins(n=3, errors="bootstrap", bootstrap_samples=2000))
    assert_allclose(resampled.error / analytic.error, 1.0, atol=0.1)  # 2000 resamples: 1.6 %; the sample: 3 %
    again = measure(catalog, (0.4, 2.8), RadialBins(n=3, errors="bootstrap", bootstrap_samples=2000))
    assert_array_equal(resampled.error, again.error)
    other = dataclasses.replace(catalog, halo=HaloInfo("other", 0.3))
    assert not np.array_equal(
        resampled.error, measure(other, (0.4, 2.8), RadialBins(n=3, errors="bootstrap")).error
    )


def test_boost_multiplies_shear_and_error(catalog):
    boosted = dataclasses.replace(catalog, extra={"boost": np.full(3000, 1.5)})
    a, b = measure(catalog, (0.4, 2.8)), measure(boosted, (0.4, 2.8))
    assert_allclose(b.value, 1.5 * a.value)
    assert_allclose(b.error, 1.5 * a.error)


def test_covariance_of_structure(catalog, cosmology):
    with pytest.raises(ConfigError, match="needs the campaign's tables"):
        measure(catalog, (0.4, 2.8), RadialBins(structure=True))
    tables = Tables(build_tables(cosmology, z_range=(0.1, 0.6), structure=True))
    profile = measure(catalog, (0.4, 2.8), RadialBins(n=5, structure=True), tables=tables)
    expected = tables.lss_covariance(profile.edges_mpc, 0.3, np.array([1.0]), np.array([1.0]))
    assert_allclose(profile.covariance, expected, rtol=1e-6)
    assert np.linalg.eigvalsh(profile.covariance).min() > -1e-12
    # rms shear of structure before sources at z = 1 in annuli of some arcmin: a few times 1e-3
    assert 5e-4 < np.sqrt(profile.covariance[2, 2]) < 1e-2
