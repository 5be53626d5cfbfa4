"""Checks of the matter power spectrum, halo bias, two-halo term and the noise of structure."""

from __future__ import annotations

import itertools
import math

import numpy as np

from clmassmod.core.lss import annulus_filter, tabulated_annulus_filter
from clmassmod.cosmology import halofit, lss, structure
from clmassmod.validate.checks import check
from clmassmod.validate.lab import PARAMETERS, Lab, colossus_reference
from clmassmod.validate.reference import Background, relative

# CCL 3.3 for the lab's cosmology (Eisenstein & Hu 1998, halofit of Takahashi et al. 2012), Mpc3 at k in 1/Mpc
_K = np.array([0.031072, 0.097686, 0.30711, 0.96549, 3.0353, 9.5425])
_NONLINEAR = {
    0.0: [38510, 11029, 2474.5, 793.89, 142.46, 13.907],
    0.5: [23188, 6403, 1195.9, 333.88, 64.741, 6.3567],
}
# CCL: convergence spectrum before a plane at z = 1, at multipoles
_ELL, _PLANE = (
    np.array([300, 687.91, 1577.4, 3617.1, 8294, 19019, 43610, 1e05]),
    np.array([1.6908e-09, 6.089e-10, 2.2169e-10, 6.5123e-11, 1.4172e-11, 2.4363e-12, 3.7118e-13, 5.3997e-14]),
)


@check(
    2e-4,
    reason="trapezoid in 20,000 wave numbers",
    source="sigma8 itself: top-hat variance of P(k) in 8 Mpc/h",
)
def power_normalisation(lab: Lab) -> float:
    """The linear power spectrum has the configured sigma8, in units of comoving Mpc."""
    k = np.geomspace(1e-5, 1e2, 20_001)
    x = k * 8.0 / (PARAMETERS["H0"] / 100.0)
    window = 3.0 * (np.sin(x) - x * np.cos(x)) / x**3
    power = structure.linear_power_mpc3(lab.cosmology, k)
    variance = np.trapezoid(power * window**2 * k**3 / (2.0 * np.pi**2), np.log(k))
    return relative(math.sqrt(variance), PARAMETERS["sigma8"])


@check(
    1e-4, reason="digits of colossus' tables", source="D ~ H(a) int da / (a H)^3 by scipy quad (Heath 1977)"
)
def growth(lab: Lab) -> float:
    """Linear growth factor, 1 today, as the tables interpolate it."""
    from scipy.integrate import quad

    background = Background()

    def unscaled(z: float) -> float:
        def integrand(a: float) -> float:
            return float((a * background.expansion(1.0 / a - 1.0)) ** -3)

        return background.expansion(z) * float(quad(integrand, 0.0, 1.0 / (1.0 + z), epsrel=1e-10)[0])

    z = (0.137, 0.3, 0.62, 1.8)
    return relative(lab.tables.growth(np.array(z)), [unscaled(v) / unscaled(0.0) for v in z])


@check(2e-3, reason="CCL interpolates its spectra to 5e-4 at the wiggles", source="values of CCL 3.3")
def nonlinear_power(lab: Lab) -> float:
    """Nonlinear matter power spectrum at z = 0 and 0.5."""
    worst = 0.0
    for z, want in _NONLINEAR.items():
        factor = float(structure.growth(lab.cosmology, z)) ** 2
        linear, on_grid = (
            factor * structure.linear_power_mpc3(lab.cosmology, k) for k in (_K, halofit.wave_numbers())
        )
        worst = max(worst, relative(halofit.nonlinear_power(lab.cosmology, z, _K, linear, on_grid), want))
    return worst


@check(1e-4, reason="cubic interpolation in ln M; digits of colossus' tables", source="colossus peakHeight")
def peak_height(lab: Lab) -> float:
    """Peak heights of cluster masses that the tables interpolate, with the factors of h."""
    from colossus.lss import peaks

    mass = np.array([1.1e13, 1.3e14, 8.7e14, 3.1e15])
    with colossus_reference():
        want = [peaks.peakHeight(mass * 0.7, z) for z in (0.25, 0.55)]
    return relative([lab.tables.peak_height(mass, z) for z in (0.25, 0.55)], want)


@check(1e-5, reason="interpolated peak heights", source="colossus haloBias, Tinker et al. 2010")
def halo_bias(lab: Lab) -> float:
    """Linear bias of haloes of 200m, 200c and virial masses."""
    from colossus.lss import bias

    mass, names = np.array([1.1e14, 1.3e15]), ("200m", "200c", "vir")
    with colossus_reference():
        want = [bias.haloBias(mass * 0.7, 0.4, name, model="tinker10") for name in names]
    return relative([lab.tables.halo_bias(name, mass, 0.4) for name in names], want)


@check(5e-4, reason="the damping of the sum costs 2e-4", source="sum of k P(k) J0 and J2 over 400,000 k")
def two_halo_term(lab: Lab) -> float:
    """Surface densities of linear structure round a halo of bias 1, by the Hankel integrals themselves."""
    from scipy.special import j0, jv

    z, radius = 0.4, np.array([0.5, 2.0, 9.0])
    background = Background()
    mean = background.Om0 * background.critical_density(0.0)
    ln_k = np.linspace(np.log(1e-5), np.log(1e3), 400_001)
    k = np.exp(ln_k)
    damped = np.exp(-((k * 0.005) ** 2))  # what is far below the radii averages out
    integrand = k**2 * structure.linear_power_mpc3(lab.cosmology, k) * damped / (2.0 * np.pi)
    unit = (float(structure.growth(lab.cosmology, z)) * (1.0 + z)) ** 2 * mean
    got = lab.tables.two_halo(radius, z)
    want = [
        [unit * np.trapezoid(integrand * bessel(k * r * (1.0 + z)), ln_k) for r in radius]
        for bessel in (j0, lambda x: jv(2, x))
    ]
    return relative([got.sigma, got.delta_sigma], want)


@check(
    2e-3, reason="interpolated spectra on both sides", source="values of CCL 3.3, weak lensing before z = 1"
)
def convergence_power(lab: Lab) -> float:
    """Convergence power spectrum before a source plane, by Limber's approximation."""
    return relative(lss.convergence_power(lab.cosmology, lss.power_table(lab.cosmology), _ELL, [1.0]), _PLANE)


def _ring_means(ell: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the mean of scipy's J2(ell theta) over each ring, (bin, ell)."""
    from scipy.special import jv

    x, w = np.polynomial.legendre.leggauss(400)
    rows = []
    for a, b in itertools.pairwise(edges):
        theta = 0.5 * (a + b) + 0.5 * (b - a) * x
        rows.append([(w * theta * jv(2, v * theta)).sum() * (b - a) / (b**2 - a**2) for v in ell])
    return np.array(rows)


_RINGS = np.array([1e-4, 3e-4, 3.1e-4, 2e-3])
_LARGEST = "largest error over the largest value"


@check(1e-7, quantity=_LARGEST, reason="Bessel functions to 1e-8", source="mean of scipy's J2 over each ring")
def annulus_means(lab: Lab) -> float:
    """Filter of a ring in the covariance of structure, and its series where terms cancel."""
    ell = np.geomspace(10.0, 1e5, 60)
    want = _ring_means(ell, _RINGS)
    return float(np.abs(annulus_filter(ell, _RINGS) - want).max() / np.abs(want).max())


@check(1e-5, quantity=_LARGEST, reason="stated by the function", source="mean of scipy's J2 over each ring")
def tabulated_annulus_means(lab: Lab) -> float:
    """The fast filter that fits use, where ell times the radius is below 100."""
    ell = np.geomspace(10.0, 100.0 / _RINGS[-1], 60)
    want = _ring_means(ell, _RINGS)
    return float(
        np.abs(tabulated_annulus_filter(ell, _RINGS[:-1], _RINGS[1:]) - want).max() / np.abs(want).max()
    )


@check(
    2e-3,
    reason="the sum over 60,000 multipoles",
    source="1 / (2 pi) int ell P g_i g_j by scipy's Bessel functions",
)
def structure_covariance(lab: Lab) -> float:
    """Covariance of the shears of rings by structure along the line of sight."""
    from scipy.special import j0, j1

    edges, z_lens = np.array([0.3, 0.6, 1.2, 2.5]), 0.3
    got = lab.tables.lss_covariance(edges, z_lens, [1.0])
    coarse = np.geomspace(1.0, 2e6, 500)
    power = lss.convergence_power(lab.cosmology, lss.power_table(lab.cosmology), coarse, [1.0])
    ell = np.geomspace(1.0, 2e6, 60_001)
    p = np.exp(np.interp(np.log(ell), np.log(coarse), np.log(power)))
    x = (edges / Background().distance(z_lens))[:, np.newaxis] * ell
    primitive = 2.0 - 2.0 * j0(x) - x * j1(x)
    g = 2.0 * np.diff(primitive, axis=0) / np.diff(x**2, axis=0)
    want = [[np.trapezoid(ell**2 * p * a * b, np.log(ell)) / (2.0 * np.pi) for a in g] for b in g]
    return relative(got, want)
