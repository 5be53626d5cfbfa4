"""Miscentred profiles against direct integrals over angle, radius and offset."""

import itertools
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad

from clmassmod.core import nfw
from clmassmod.core.miscentring import miscentring
from clmassmod.core.projected import Projected
from clmassmod.errors import ConfigError
from clmassmod.registry import PROFILES

MASS, C, THRESHOLD = 4e14, 4.0, 3.5e13
RADII = np.array([0.1, 0.19, 0.3, 0.8, 2.0, 5.0])  # the range of the issue, in Mpc


def centred(radius):
    return nfw.projected(radius, MASS, C, THRESHOLD)


def sigma_at(radius, offset):
    """Azimuthal average by adaptive quadrature."""

    def along(phi):
        d = np.sqrt((radius - offset) ** 2 + 4 * radius * offset * np.sin(phi / 2) ** 2)
        return centred(np.array([d])).sigma[0]

    return quad(along, 0, np.pi, epsabs=0, epsrel=1e-9, limit=300, points=[1e-3, 1e-2, 0.1, 0.5])[0] / np.pi


@pytest.mark.parametrize("offset", [0.03, 0.2, 1.0])
def test_fixed_offset(offset):
    got = miscentring(RADII, "fixed", offset)(centred)
    assert_allclose(got.sigma, [sigma_at(r, offset) for r in RADII], rtol=2e-6)  # 1e-3 is asked
    for i in (0, 2):
        x, w = np.polynomial.legendre.leggauss(40)
        breaks = sorted({0.0, min(offset, RADII[i]), RADII[i]})
        mass = 0.0
        for a, b in itertools.pairwise(breaks):  # the mean inside, ring by ring
            ring = a + (b - a) * 0.5 * (x + 1)
            mass += (
                (b - a)
                * 0.5
                * sum(wi * 2 * ri * sigma_at(ri, offset) for wi, ri in zip(w, ring, strict=True))
            )
        want = mass / RADII[i] ** 2 - sigma_at(RADII[i], offset)
        # the kink of sigma(R) at the offset limits the forty nodes of each piece
        assert_allclose(got.delta_sigma[i], want, rtol=1e-3, atol=2e-5 * got.sigma[i])


@pytest.mark.parametrize("distribution", ["rayleigh", "gamma"])
@pytest.mark.parametrize("scale", [0.02, 0.2, 0.8])
def test_distributions(distribution, scale):
    """The mean over fixed offsets, drawn evenly in probability."""
    p = (np.arange(4000) + 0.5) / 4000
    if distribution == "rayleigh":
        offsets = scale * np.sqrt(-2 * np.log1p(-p))
    else:
        x = np.linspace(0, 60, 600_001)
        offsets = scale * np.interp(p, 1 - (1 + x) * np.exp(-x), x)
    got = miscentring(RADII, distribution, scale)(centred)
    want = miscentring(RADII, sample_mpc=offsets)(centred)
    # the tails of 4,000 quantiles: 3e-4
    assert_allclose(got.sigma, want.sigma, rtol=1e-3)
    assert_allclose(got.delta_sigma, want.delta_sigma, rtol=1e-3, atol=1e-4 * want.sigma.max() * 0.1)


@pytest.mark.parametrize("scale", [0.05, 0.4])
def test_rayleigh_is_a_gaussian_in_the_plane(scale):
    """Offsets of a two-dimensional Gaussian turn a Gaussian profile into a wider Gaussian: exact."""
    width, wide = 0.5, np.hypot(0.5, scale)

    def gaussian(radius, s):
        sigma = np.exp(-(radius**2) / (2 * s**2)) / (2 * np.pi * s**2)
        return Projected(sigma, -np.expm1(-(radius**2) / (2 * s**2)) / (np.pi * radius**2) - sigma)

    got = miscentring(RADII[:5], "rayleigh", scale)(lambda r: gaussian(r, width))
    want = gaussian(RADII[:5], wide)
    # at 2 Mpc it has fallen by exp(-8), and steeply, which is hard on the interpolation: 3e-4
    assert_allclose(got.sigma, want.sigma, rtol=5e-4)
    assert_allclose(got.delta_sigma, want.delta_sigma, rtol=2e-5)
    close = miscentring(RADII[:5], "rayleigh", scale, step=0.01)(lambda r: gaussian(r, width))
    assert_allclose(close.sigma, want.sigma, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("einasto", {"alpha": 0.2}), ("hernquist", {}), ("tnfw", {"tau": 3.0}), ("gnfw", {"inner_slope": 1.5})],
)
def test_any_profile_keeps_its_mass(name, parameters):
    """Far out a circle holds the same mass, whatever the centre; the mean inside differs by (s / R)^2."""
    profile = PROFILES.load(name)

    def surface(radius):
        return profile(radius, MASS, C, THRESHOLD, **parameters)

    far = np.array([20.0])
    got = miscentring(far, "fixed", 0.1)(surface)
    assert_allclose(got.mean_sigma, surface(far).mean_sigma, rtol=1e-5)
    near = np.array([0.4])
    fine = miscentring(near, "fixed", 0.1)(surface)
    phi = np.pi * (np.arange(20000) + 0.5) / 20000
    want = surface(np.sqrt(0.4**2 + 0.1**2 - 0.08 * np.cos(phi))).sigma.mean()
    assert_allclose(fine.sigma, want, rtol=1e-6)


@pytest.mark.parametrize("slope", [0.3, 0.6])
def test_circle_through_a_cusp(slope):
    """Where radius and fixed offset are equal the circle meets the centre, such as a steep gnfw's."""
    p, radius = slope, 0.35
    got = miscentring([0.1, radius, 2.0], "fixed", radius)(
        lambda d: Projected(d**-p, (2.0 / (2.0 - p) - 1.0) * d**-p)
    )
    unit = (2.0 * radius) ** -p / math.sqrt(math.pi)  # means of powers of 2 R sin(phi / 2)
    sigma = unit * math.gamma(0.5 - 0.5 * p) / math.gamma(1.0 - 0.5 * p)
    mean = unit * 4.0 / (2.0 - p) * math.gamma(1.5 - 0.5 * p) / math.gamma(2.0 - 0.5 * p)
    print(f"slope {p}: {got.sigma[1] / sigma - 1:.1e}, {got.delta_sigma[1] / (mean - sigma) - 1:.1e}")
    assert_allclose(got.sigma[1], sigma, rtol=1e-3)  # 6e-3 where the grid ends at 1e-4 of the radius
    assert_allclose(got.mean_sigma[1], mean, rtol=1e-5)


def test_many_masses_at_once():
    mass = np.geomspace(1e13, 1e15, 5)
    operator = miscentring(RADII, "gamma", 0.15)
    together = operator(lambda r: nfw.projected(r, mass, np.full(5, C), THRESHOLD))
    assert together.sigma.shape == (5, len(RADII))
    alone = operator(lambda r: nfw.projected(r, mass[3], C, THRESHOLD))
    assert_allclose(together.delta_sigma[3], alone.delta_sigma, rtol=1e-11)


def test_tiny_offsets_change_nothing():
    got = miscentring(RADII, "rayleigh", 1e-5)(centred)
    assert_allclose(got.sigma, centred(RADII).sigma, rtol=1e-5)
    assert_allclose(got.delta_sigma, centred(RADII).delta_sigma, rtol=1e-5)
    sample = miscentring(RADII, sample_mpc=np.zeros(3))(centred)
    assert_allclose(sample.sigma, centred(RADII).sigma, rtol=2e-6)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("uniform", 0.1), "unknown distribution"),
        (("rayleigh", 0.0), "above 0"),
        (("gamma", np.inf), "above 0"),
    ],
)
def test_mistakes_are_named(arguments, says):
    with pytest.raises(ConfigError, match=says):
        miscentring(RADII, *arguments)


def test_bad_samples_are_refused():
    with pytest.raises(ConfigError, match="sample"):
        miscentring(RADII, sample_mpc=[0.1, -0.2])
    with pytest.raises(ConfigError, match="sample"):
        miscentring(RADII, sample_mpc=[])
