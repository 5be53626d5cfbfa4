"""Interpolation and Bessel functions of the package against scipy's and exact polynomials."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import j0, j1

from clmassmod.core.bessel import j0_j1
from clmassmod.core.interpolate import bicubic, cubic, hermite
from clmassmod.core.roots import falling_root

X = np.linspace(-1.0, 2.0, 13)
AT = np.random.default_rng(1).uniform(-1.0, 2.0, 200)


def test_cubics_are_reproduced():
    polynomial = np.poly1d([1.0, -2.0, 0.5, 3.0])
    assert_allclose(cubic(AT, -1.0, 0.25, polynomial(X)), polynomial(AT), rtol=1e-12)
    slope = polynomial.deriv()(X)
    assert_allclose(hermite(AT, -1.0, 0.25, polynomial(X), slope), polynomial(AT), rtol=1e-12)


def test_products_of_cubics_are_reproduced():
    first, second = np.poly1d([1.0, -2.0, 0.5, 3.0]), np.poly1d([0.5, 1.0, 0.0, 2.0])
    grid = first(X)[:, np.newaxis] * second(X)
    got = bicubic(AT, AT[::-1], (-1.0, -1.0), (0.25, 0.25), grid)
    assert_allclose(got, first(AT) * second(AT[::-1]), rtol=1e-11)
    row = bicubic(0.3, AT, (-1.0, -1.0), (0.25, 0.25), grid)  # one x for all y
    assert_allclose(row, first(0.3) * second(AT), rtol=1e-11)


def test_edges_hold():
    assert_allclose(cubic([-5.0, 9.0], -1.0, 0.25, X**2), [1.0, 4.0])
    assert_allclose(hermite([-5.0, 9.0], -1.0, 0.25, X**2, 2 * X), [1.0, 4.0])


def test_bessel_functions():
    x = np.concatenate([[0.0], np.linspace(1e-6, 24.9999, 3000), np.geomspace(25.0001, 1e5, 3000)])
    zero, one = j0_j1(x)
    # the phase of scipy's own large-argument form loses x times the rounding error
    assert_allclose(zero, j0(x), atol=2e-15 + 1e-16 * 25)
    assert_allclose(one, j1(x), atol=2e-15 + 1e-16 * 25)


@pytest.mark.parametrize("power", [1.0, 3.0, 0.2])
def test_roots_of_falling_functions(power):
    target = np.array([0.3, 2.0, 7.0])
    got = falling_root(lambda x: target**power - x**power, np.full(3, 1e-3), np.full(3, 50.0))
    assert_allclose(got, target, rtol=1e-12)
