"""Shear from convergence and values between pixels, against exact profiles."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import j1

from clmassmod.core.maps import _two_j1_ratio, convergence_to_shear, inside, interpolate


def polar(n, pixel, box):
    y, x = np.mgrid[box[0] : box[1], box[2] : box[3]]
    x, y = (x - (n - 1) / 2) * pixel, (y - (n - 1) / 2) * pixel
    return x, y, np.hypot(x, y)


@pytest.mark.parametrize(
    ("n", "pixel", "limit"), [(512, 0.0195, 0.001), (512, 0.0268, 0.0025), (256, 0.039, 0.004)]
)
def test_shear_of_an_nfw_halo(nfw_map, nfw_profile, tables, n, pixel, limit):
    """Every pixel from 0.3 to 3 Mpc: the project asks for 0.5 %; what is left is the pixels' size."""
    lensing = nfw_map(n, pixel)
    reach = int(3.05 / pixel)
    box = (n // 2 - reach, n // 2 + reach, n // 2 - reach, n // 2 + reach)
    middle = (n - 1) / 2
    g1, g2 = convergence_to_shear(lensing.kappa_inf, box, (middle, middle, middle))
    x, y, r = polar(n, pixel, box)
    used = (r > 0.3) & (r < 3.0)
    exact = nfw_profile(r[used]).delta_sigma / tables.environment(0.25).sigma_crit_inf_msun_mpc2
    tangential = -(g1 * (x**2 - y**2) + 2 * g2 * x * y)[used] / r[used] ** 2
    cross = (2 * g1 * x * y - g2 * (x**2 - y**2))[used] / r[used] ** 2
    worst = np.abs(tangential / exact - 1).max()
    print(f"{n} pixels of {pixel} Mpc: tangential {worst:.2e}, cross {np.abs(cross / exact).max():.2e}")
    assert worst < limit
    assert np.abs(cross / exact).max() < limit


def test_box_gives_what_the_whole_map_gives(nfw_map):
    kappa = nfw_map(128, 0.1, centre_mpc=(1.0, -0.5)).kappa_inf
    whole = convergence_to_shear(kappa)
    part = convergence_to_shear(kappa, (20, 60, 30, 100))
    for a, b in zip(whole, part, strict=True):
        assert_allclose(a[20:60, 30:100], b, atol=1e-5)  # pixels are not quite band-limited


def test_shear_is_that_of_an_isolated_mass():
    """A Gaussian near a corner: gamma_t = mean kappa - kappa at every pixel, no copies across the edge."""
    n, s, x0, y0 = 64, 3.0, 15.0, 48.0
    y, x = np.mgrid[:n, :n]
    r2 = (x - x0) ** 2 + (y - y0) ** 2
    kappa = np.exp(-r2 / (2 * s**2))
    g1, g2 = convergence_to_shear(kappa)
    u = r2 / (2 * s**2)
    with np.errstate(invalid="ignore"):
        exact = np.where(r2 > 0, -np.expm1(-u) / u - kappa, 0.0)
        t = -(g1 * ((x - x0) ** 2 - (y - y0) ** 2) + 2 * g2 * (x - x0) * (y - y0)) / r2
    assert_allclose(t[r2 > 0], exact[r2 > 0], atol=2e-5)


def test_matches_direct_sum_over_pixels():
    """The kernel of Kaiser & Squires summed pixel by pixel, far from its singular point."""
    rng = np.random.default_rng(1)
    kappa = np.zeros((40, 50))
    kappa[:8, :8] = rng.random((8, 8))
    kappa = np.asarray(
        [np.convolve(row, np.exp(-0.5 * (np.arange(-6, 7) / 1.5) ** 2), "same") for row in kappa]
    )
    kappa = np.asarray(
        [np.convolve(c, np.exp(-0.5 * (np.arange(-6, 7) / 1.5) ** 2), "same") for c in kappa.T]
    ).T
    g1, g2 = convergence_to_shear(kappa)
    y, x = np.mgrid[:40, :50]
    for row, column in [(38, 45), (36, 30), (39, 12), (30, 48)]:
        dz = (column - x) + 1j * (row - y)
        with np.errstate(divide="ignore", invalid="ignore"):
            kernel = np.where(dz == 0, 0, -1 / (np.pi * np.conj(dz) ** 2))
        direct = np.sum(kernel * kappa)
        assert abs(g1[row, column] + 1j * g2[row, column] - direct) < 1e-3 * abs(direct)


def test_bessel_ratio():
    x = np.geomspace(1e-4, 5e3, 20001)
    assert_allclose(_two_j1_ratio(x), 2 * j1(x) / x, atol=5e-8)


def test_interpolation_is_exact_for_quadratics_and_third_order():
    y, x = np.mgrid[:30, :40].astype(float)
    images = np.stack([1 + x - 2 * y + 0.1 * x * y + 0.05 * x**2, np.sin(0.2 * x) * np.cos(0.3 * y)], axis=-1)
    rng = np.random.default_rng(2)
    px, py = rng.uniform(1, 37.9, 500), rng.uniform(1, 27.9, 500)
    assert inside((30, 40), px, py).all()
    smooth, wave = interpolate(images, px, py)
    assert_allclose(smooth, 1 + px - 2 * py + 0.1 * px * py + 0.05 * px**2, rtol=1e-12, atol=1e-10)
    assert_allclose(wave, np.sin(0.2 * px) * np.cos(0.3 * py), atol=2e-3)
    assert not inside((30, 40), np.array([0.5, 38.0, 5.0]), np.array([5.0, 5.0, 28.0])).any()
