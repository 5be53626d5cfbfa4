"""NFW shapes against forty-digit arithmetic, and identities that any projection obeys."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis.strategies import floats
from numpy.testing import assert_allclose

from clmassmod.core import nfw

mp.mp.dps = 40


def exact(x: float) -> tuple[mp.mpf, mp.mpf]:
    """Surface density and mean surface density by the textbook forms (Wright & Brainerd 2000)."""
    x = mp.mpf(x)
    if x == 1:
        return mp.mpf(2) / 3, 4 * (1 + mp.log(mp.mpf(1) / 2))
    a = mp.acosh(1 / x) / mp.sqrt(1 - x * x) if x < 1 else mp.acos(1 / x) / mp.sqrt(x * x - 1)
    return 2 * (1 - a) / (x * x - 1), 4 * (mp.log(x / 2) + a) / x**2


def relative_errors(x: float) -> list[float]:
    sigma, mean = nfw.shapes(x)
    true_sigma, true_mean = exact(x)
    pairs = ((sigma[0], true_sigma), (mean[0], true_mean), (mean[0] - sigma[0], true_mean - true_sigma))
    return [abs(float(mp.mpf(float(got)) / want - 1)) for got, want in pairs]


SPECIAL = [1e-8, 1e-3, 0.01, 0.0999, 0.1001, 0.9879, 0.988, 0.999, 1.0119, 1.0121, 30.0, 1e6]


@pytest.mark.parametrize("x", [*SPECIAL, 1 - 1e-9, 1.0, 1 + 1e-12, 1 + 1e-6])
def test_shapes_near_every_special_point(x):
    # 1e-12: a few hundred roundings; the textbook forms lose everything at 1 and below 1e-6
    assert max(relative_errors(x)) < 1e-12


@given(floats(1e-6, 1e5))
def test_shapes_everywhere(x):
    assert max(relative_errors(x)) < 2e-12


@given(floats(0.01, 50))
def test_slope_of_enclosed_mass_is_local_density(x):
    step = 1e-4 * x  # second-order difference: 1e-8 relative, rounding 1e-11

    def mass(t):
        return nfw.shapes(t)[1][0] * t**2

    slope = (mass(x + step) - mass(x - step)) / (2 * step)
    assert_allclose(slope, 2 * x * nfw.shapes(x)[0][0], rtol=1e-6)


@pytest.mark.parametrize("x", [1e-9, 1e-4, 0.0199, 0.0201, 1.0, 200.0])
def test_enclosed_mass_shape(x):
    want = mp.log(1 + mp.mpf(x)) - mp.mpf(x) / (1 + mp.mpf(x))
    assert abs(float(mp.mpf(float(nfw.mass_shape(x))) / want - 1)) < 1e-12


def test_mass_inside_its_radius_is_the_mass():
    mass, c, threshold = np.array([1e13, 3e15]), np.array([7.0, 2.5]), 3.5e13
    radius = np.cbrt(3 * mass / (4 * np.pi * threshold))[:, np.newaxis]
    assert_allclose(nfw.enclosed_mass(radius, mass, c, threshold)[:, 0], mass, rtol=1e-13)


def test_shapes_of_arrays():
    radius = np.geomspace(0.1, 3, 5)
    one = nfw.projected(radius, 1e15, 4.0, 3.5e13)
    many = nfw.projected(radius, np.full(3, 1e15), np.full(3, 4.0), 3.5e13)
    assert one.sigma.shape == (5,)
    assert many.sigma.shape == (3, 5)
    assert np.array_equal(many.delta_sigma[1], one.delta_sigma)
    own_radii = nfw.projected(np.stack([radius, 2 * radius]), np.full(2, 1e15), 4.0, 3.5e13)
    assert np.array_equal(own_radii.sigma[0], one.sigma)
    assert_allclose(one.mean_sigma, one.sigma + one.delta_sigma)
