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
