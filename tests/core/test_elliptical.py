"""Triaxial haloes: projection by brute force, and what shears of any mass map obey."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad

from clmassmod.core import nfw
from clmassmod.core.profiles.elliptical import (
    Ellipse,
    elliptical_radius_mpc,
    project_ellipsoid,
    surface_density,
    surface_density_and_shear,
)
from clmassmod.errors import ConfigError

HALO = (1e15, 4.0, 3.5e13)
SHAPES = [Ellipse(0.6, 0.5), Ellipse(0.3, 2.5), Ellipse(0.95, 0.0)]


def spherical(radius):
    return nfw.projected(radius, *HALO)


def points(n=300):
    x, y = np.random.default_rng(4).normal(size=(2, n))
    x[:4], y[:4] = [1, 0, 1e-3, 0.5], [0, 1, 0, 0]
    return x, y


@pytest.mark.parametrize("ellipse", SHAPES)
def test_convergence_is_half_the_trace(ellipse):
    """The two second derivatives of the potential, integrated apart, add up to the surface density."""
    x, y = points()
    sigma, _, _ = surface_density_and_shear(spherical, x, y, ellipse)
    assert_allclose(sigma, surface_density(spherical, x, y, ellipse), rtol=1e-6)


def test_circular_limit():
    x, y = points()
    radius, phi = np.hypot(x, y), np.arctan2(y, x)
    sigma, g1, g2 = surface_density_and_shear(spherical, x, y, Ellipse(1.0, 0.3))
    want = spherical(radius)
    assert_allclose(sigma, want.sigma, rtol=1e-7)
    assert_allclose(g1, -want.delta_sigma * np.cos(2 * phi), rtol=1e-7, atol=1e-7 * want.delta_sigma.max())
    assert_allclose(g2, -want.delta_sigma * np.sin(2 * phi), rtol=1e-7, atol=1e-7 * want.delta_sigma.max())


@pytest.mark.parametrize("ellipse", SHAPES)
def test_mean_shear_on_a_circle_is_the_mass_inside(ellipse):
    """Kaiser 1995: <gamma_t> = mean convergence inside minus that on the circle, and no cross shear."""
    radius, phi = 0.9, (np.arange(360) + 0.5) * 2 * np.pi / 360
    sigma, g1, g2 = surface_density_and_shear(spherical, radius * np.cos(phi), radius * np.sin(phi), ellipse)
    tangential = -(g1 * np.cos(2 * phi) + g2 * np.sin(2 * phi))
    cross = g1 * np.sin(2 * phi) - g2 * np.cos(2 * phi)
    u, w = np.polynomial.legendre.leggauss(60)
    ring, width = radius * (0.5 * (u + 1)) ** 3, 0.5 * w * 3 * (0.5 * (u + 1)) ** 2 * radius
    mean = [surface_density(spherical, r * np.cos(phi), r * np.sin(phi), ellipse).mean() for r in ring]
    inside = (2 * ring * width * mean).sum() / radius**2
    assert_allclose(tangential.mean(), inside - sigma.mean(), rtol=1e-6)
    assert abs(cross.mean()) < 1e-9 * tangential.mean()


def test_ellipses_hold_the_mass_of_their_circles():
    x, y = points()
    assert_allclose(elliptical_radius_mpc(x, y, Ellipse(1.0, 0.0)), np.hypot(x, y), rtol=1e-14)
    # sqrt(q) a = b / sqrt(q) on the axes: area pi R^2
    assert_allclose(elliptical_radius_mpc(1.0, 0.0, Ellipse(0.25, 0.0)), 0.5)
    assert_allclose(elliptical_radius_mpc(0.0, 1.0, Ellipse(0.25, 0.0)), 2.0)
    assert_allclose(elliptical_radius_mpc(0.0, 1.0, Ellipse(0.25, np.pi / 2)), 0.5)


@pytest.mark.parametrize("ratios", [(0.8, 0.5), (0.6, 0.6), (1.0, 0.4)])
def test_projection_by_brute_force(ratios):
    direction = np.array([0.3, -0.5, 0.7])
    ellipse = project_ellipsoid(ratios, direction)
    n = direction / np.linalg.norm(direction)
    axes = np.array([ratios[1], ratios[0], 1.0]) / np.cbrt(ratios[0] * ratios[1])
    first = np.cross(np.eye(3)[np.argmin(np.abs(n))], n)
    first /= np.linalg.norm(first)
    second = np.cross(n, first)
    for x, y in ((0.3, 0.1), (-0.2, 0.5), (1.0, 1.0)):

        def rho(depth):
            place = (x * first + y * second + depth * n) / axes  # noqa: B023
            return float(nfw.density(np.array([np.sqrt((place**2).sum())]), *HALO)[0])

        want = quad(rho, -np.inf, np.inf, epsrel=1e-9, limit=400)[0]
        assert_allclose(surface_density(spherical, x, y, ellipse), want, rtol=1e-8)


def test_sphere_looks_round_from_anywhere():
    ellipse = project_ellipsoid((1.0, 1.0), [1.0, 2.0, -3.0])
    assert_allclose([ellipse.q, ellipse.boost, ellipse.size], 1.0, rtol=1e-12)


def test_prolate_halo_along_its_axis_is_round_and_bright():
    ellipse = project_ellipsoid((0.5, 0.5), [0.0, 0.0, 1.0])
    assert_allclose(ellipse.q, 1.0)
    assert_allclose(ellipse.boost, 1 / np.cbrt(0.25))
    assert_allclose(project_ellipsoid((0.5, 0.5), [1.0, 0.0, 0.0]).q, 0.5)


@pytest.mark.parametrize(
    ("ratios", "direction"), [((0.5, 0.8), [0, 0, 1]), ((0.8, 0.0), [0, 0, 1]), ((0.8, 0.5), [0, 0, 0])]
)
def test_impossible_shapes_are_refused(ratios, direction):
    with pytest.raises(ConfigError):
        project_ellipsoid(ratios, direction)
