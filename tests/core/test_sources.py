"""Source redshift distributions against sums over many drawn or tabulated sources."""

import itertools
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad

from clmassmod.core import sources
from clmassmod.core.redshifts import CHANG13, smail
from clmassmod.cosmology import Cosmology, beta_s
from clmassmod.errors import ConfigError

BETA_S = partial(beta_s, Cosmology(70.0, 0.3))


def by_quad(density, z_lens, power, low, z_max):
    points = {"epsabs": 0, "epsrel": 1e-10, "limit": 300}
    top = quad(lambda z: density(z) * float(BETA_S(z, z_lens)) ** power, z_lens, z_max, **points)[0]
    return top / quad(density, low, z_max, **points)[0]


@pytest.mark.parametrize("z_lens", [0.05, 0.3, 1.1])
@pytest.mark.parametrize(
    ("name", "parameters", "shape"),
    [
        ("chang13", {}, CHANG13),
        ("desc_srd", {"year": "Y1"}, {"alpha": 2.0, "beta": 0.78, "z0": 0.13}),
        ("desc_srd", {"year": "Y10"}, {"alpha": 2.0, "beta": 0.68, "z0": 0.11}),
        ("smail", {"alpha": 1.2, "beta": 1.5, "z0": 0.7}, {"alpha": 1.2, "beta": 1.5, "z0": 0.7}),
    ],
)
def test_families(name, parameters, shape, z_lens):
    distribution = sources.named_sources(name, **parameters, z_max=6.0)
    got = sources.beta_statistics(distribution, z_lens, BETA_S)
    want = [by_quad(lambda z: float(smail(z, **shape)), z_lens, power, 0.0, 6.0) for power in (1, 2)]
    assert_allclose(got, want, rtol=1e-8)
    behind = sources.beta_statistics(distribution, z_lens, BETA_S, behind=0.0)
    want = [by_quad(lambda z: float(smail(z, **shape)), z_lens, power, z_lens, 6.0) for power in (1, 2)]
    assert_allclose(behind, want, rtol=1e-8)


def test_median_redshift():
    z, w = sources.named_sources("smail", alpha=2.0, beta=1.5, median_z=1.0).quadrature()
    assert_allclose(w.sum(), 1.0, rtol=1e-12)
    _, beyond = sources.named_sources("smail", alpha=2.0, beta=1.5, median_z=1.0).quadrature(1.0)
    assert_allclose(beyond.sum(), 0.5, atol=1e-5)
    assert z.min() > 0


def test_histogram_is_the_sum_over_its_galaxies():
    rng = np.random.default_rng(3)
    edges, counts = np.linspace(0, 3, 16), rng.integers(0, 50, 15)
    got = sources.beta_statistics(sources.histogram_sources(edges, counts), 0.43, BETA_S)
    fine = np.concatenate(
        [np.linspace(a, b, 4001)[:-1] + (b - a) / 8000 for a, b in itertools.pairwise(edges)]
    )
    weight = np.repeat(counts, 4000)
    assert_allclose(got, sources.beta_moments(BETA_S(fine, 0.43), weight), rtol=1e-6)


def test_table_of_a_density():
    z = np.linspace(0, 4, 81)
    table = sources.tabulated_sources(z, z**2 * np.exp(-z / 0.3))
    fine = np.linspace(0, 4, 160_001)
    want = sources.beta_moments(BETA_S(fine, 0.5), np.interp(fine, z, z**2 * np.exp(-z / 0.3)))
    assert_allclose(sources.beta_statistics(table, 0.5, BETA_S), want, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: sources.named_sources("smial"), "unknown redshift distribution"),
        (lambda: sources.named_sources("desc_srd", year="Y5"), "Y5"),
        (lambda: sources.smail_sources(2.0, -1.0, 0.5), "Smail"),
        (lambda: sources.histogram_sources([0, 1], [0.0]), "not all 0"),
        (lambda: sources.histogram_sources([0, 1, 2], [1.0]), "edges"),
        (lambda: sources.tabulated_sources([0, 1, 1], [1.0, 2.0, 3.0]), "increasing"),
        (lambda: sources.tabulated_sources([0, 1, 2], [1.0, np.nan, 3.0]), "finite"),
        (lambda: sources.histogram_sources([0, 1], [4.0]).quadrature(1.5), "beyond z = 1.5"),
    ],
)
def test_mistakes_are_named(make, says):
    with pytest.raises(ConfigError, match=says):
        make()
