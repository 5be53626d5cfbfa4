"""Checks of the way from galaxies to profiles: means, errors, radii, dilution, excess surface densities."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np

from clmassmod.config import RadialBins
from clmassmod.core import radial
from clmassmod.measure import measure
from clmassmod.records import HaloInfo, ShearProfile, SourceCatalog
from clmassmod.validate.checks import check
from clmassmod.validate.lab import Lab, standard_errors
from clmassmod.validate.mock import mock
from clmassmod.validate.reference import ARCMINUTE, Array, Lens, relative

_LENS = Lens(mass=1e15)
_SCALE = ARCMINUTE * _LENS.background.distance(_LENS.z)
_SMAIL = {"distribution": "smail", "alpha": 2.0, "beta": 1.5, "median_z": 1.0, "z_max": 5.0}
_ERRORS = "deviation in standard errors"
_FOUR = "a chance of 6e-5 for a seed; the seed is fixed"


def _catalogue(seed: int, n: int = 3000, noise: float = 0.25, **changes: Any) -> SourceCatalog:
    """Return galaxies without lensing, with weights and beta_s of their own, within 2.5 Mpc."""
    rng = np.random.default_rng(seed)
    radius, phi = 2.5 / _SCALE * np.sqrt(rng.random(n)), 2 * np.pi * rng.random(n)
    background = _LENS.background
    made = SourceCatalog(
        halo=HaloInfo("c", _LENS.z),
        x_arcmin=radius * np.cos(phi),
        y_arcmin=radius * np.sin(phi),
        e1=noise * rng.standard_normal(n),
        e2=noise * rng.standard_normal(n),
        z_source=np.ones(n),
        beta_s=rng.uniform(0.2, 0.9, n),
        weight=rng.uniform(0.5, 2.0, n),
        d_lens_mpc=background.distance(_LENS.z),
        sigma_crit_inf_msun_mpc2=background.sigma_critical(_LENS.z),
        shape_noise=noise,
    )
    return replace(made, **changes)


def _by_hand(catalog: SourceCatalog, edges: Array) -> list[tuple[Array, Array, Array]]:
    """Return weight, tangential and cross ellipticity of the galaxies in each bin, by angles."""
    radius = np.hypot(catalog.x_arcmin, catalog.y_arcmin) * _SCALE
    phi = np.arctan2(catalog.y_arcmin, catalog.x_arcmin)
    tangential = -(catalog.e1 * np.cos(2 * phi) + catalog.e2 * np.sin(2 * phi))
    cross = catalog.e1 * np.sin(2 * phi) - catalog.e2 * np.cos(2 * phi)
    inside = [(radius >= a) & (radius < b) for a, b in itertools.pairwise(edges)]
    return [(catalog.weight[i], tangential[i], cross[i]) for i in inside]


@check(
    1e-14,
    quantity="largest error",
    reason="rounding",
    source="e_t = -Re(e exp(-2 i phi)), e_x = -Im(e exp(-2 i phi))",
)
def tangential_component(lab: Lab) -> float:
    """Tangential and cross components about a centre."""
    rng = np.random.default_rng(1)
    e1, e2, x, y = rng.normal(size=(4, 1000))
    turned = -(e1 + 1j * e2) * np.exp(-2j * np.arctan2(y, x))
    got = radial.tangential_cross(e1, e2, x, y)
    return float(np.abs(np.array(got) - [turned.real, turned.imag]).max())


@check(1e-11, reason="rounding", source="sums over the galaxies of each bin, written out")
def weighted_means(lab: Lab) -> float:
    """Shear, cross shear, error, number and beta_s of bins are weighted by the galaxies' weights."""
    catalog, edges = _catalogue(2), np.array([0.4, 0.9, 1.5, 2.3])
    got = measure(catalog, (0.4, 2.3), RadialBins(edges_mpc=[0.4, 0.9, 1.5, 2.3]))
    worst = 0.0
    for i, (w, tangential, cross) in enumerate(_by_hand(catalog, edges)):
        want = [w @ tangential / w.sum(), w @ cross / w.sum(), 0.25 * math.sqrt(w @ w) / w.sum(), len(w)]
        worst = max(worst, relative([got.value[i], got.cross[i], got.error[i], got.n_gal[i]], want))
    return worst


@check(
    1e-11,
    reason="rounding",
    source="sums over all galaxies, written out: sum(w e) / sum(w), sqrt(sum(w^2)) sigma / sum(w)",
)
def galaxies_one_by_one(lab: Lab) -> float:
    """Unbinned galaxies, weighted by their errors: mean, cross shear, and error of the mean."""
    catalog = _catalogue(11)
    rows = measure(catalog, (0.4, 2.3), RadialBins(spacing="unbinned"))
    ((w, tangential, cross),) = _by_hand(catalog, np.array([0.4, 2.3]))
    inverse = rows.error**-2.0
    total = inverse.sum()
    got = [rows.value @ inverse / total, rows.cross @ inverse / total, total**-0.5, len(rows.value)]
    mean = [w @ tangential / w.sum(), w @ cross / w.sum()]
    return relative(got, [*mean, 0.25 * math.sqrt(w @ w) / w.sum(), w.size])


@check(1e-12, reason="rounding", source="equal widths in r or ln r; ranks of the galaxies")
def bin_edges(lab: Lab) -> float:
    """Edges of linear and logarithmic bins, and as many galaxies in each bin of equal numbers."""
    catalog = _catalogue(3)
    linear = measure(catalog, (0.5, 2.0), RadialBins(n=6, spacing="linear")).edges_mpc
    log = measure(catalog, (0.5, 2.0), RadialBins(n=6, spacing="log")).edges_mpc
    assert linear is not None
    assert log is not None
    numbers = measure(catalog, (0.5, 2.0), RadialBins(n=6, spacing="equal_count")).n_gal
    want = 0.5 + 0.25 * np.arange(7), 0.5 * 4.0 ** (np.arange(7) / 6)
    return max(relative(linear, want[0]), relative(log, want[1]), 0.0 if np.ptp(numbers) <= 1 else 1.0)


@check(1e-12, reason="rounding", source="sigma_e / sqrt(N) of one component, for equal weights")
def stated_noise(lab: Lab) -> float:
    """The error of a bin is the shape noise of one component over the root of the number of galaxies."""
    catalog = _catalogue(4)
    got = measure(catalog, (0.5, 2.4), RadialBins(n=8, weights="uniform"))
    return relative(got.error, 0.25 / np.sqrt(got.n_gal))


@check(
    4.0,
    quantity=_ERRORS,
    reason=_FOUR,
    source="(value / error)^2 has mean 1 over 2,000 catalogues, also of the cross shear",
)
def noise_variance(lab: Lab) -> float:
    """The variance of binned shears over noise realisations is the stated one, sigma_e^2 / N."""
    pulls = []
    for seed in range(2000):
        got = measure(_catalogue(seed, 400), (0.5, 2.4), RadialBins(n=5))
        pulls.append(np.concatenate([got.value / got.error, got.cross / got.error]))
    pull = np.concatenate(pulls)
    return max(abs(standard_errors(pull, 0.0)), abs(standard_errors(pull**2, 1.0)))


@check(
    0.05,
    reason="400 resamples of 500 galaxies a bin: 4 % each, averaged over bins",
    source="sigma_e / sqrt(N)",
)
def bootstrap_errors(lab: Lab) -> float:
    """Errors by resampling agree with those of the shape noise, on average over bins."""
    catalog = _catalogue(5, 20_000)
    bins = RadialBins(n=8, errors="bootstrap", bootstrap_samples=400, weights="uniform")
    got = measure(catalog, (0.5, 2.4), bins)
    return float((got.error * np.sqrt(got.n_gal) / 0.25).mean() - 1.0)


@check(1e-14, quantity="largest cross shear", reason="rounding", source="symmetry: none round a round lens")
def cross_shear(lab: Lab) -> float:
    """The cross shear of a noise-free mock vanishes in every bin."""
    return float(np.abs(measure(mock(lab, 5), (0.3, 2.0), RadialBins(n=12)).cross).max())


@check(
    0.0015,
    reason="one radius stands for all clusters: 0.1 % in the innermost bin",
    source="mean of Wright & Brainerd's reduced shear over the area of each bin, by quadrature",
)
def effective_radius(lab: Lab) -> float:
    """The model at a bin's effective radius is the mean over the bin, 0.5 to 2.3 Mpc in bins of 0.2 Mpc."""
    beta = float(_LENS.background.beta_s(1.0, _LENS.z))
    rng = np.random.default_rng(8)
    radius = np.sqrt(0.25 + (2.3**2 - 0.25) * (np.arange(200_000) + rng.random(200_000)) / 200_000)
    n = radius.size
    flat = _catalogue(8, n, x_arcmin=radius / _SCALE, y_arcmin=np.zeros(n), weight=np.ones(n))
    got = measure(flat, (0.5, 2.3), RadialBins(n=9))
    x, w = np.polynomial.legendre.leggauss(16)
    assert got.edges_mpc is not None
    low, high = got.edges_mpc[:-1, np.newaxis], got.edges_mpc[1:, np.newaxis]
    r = 0.5 * (low + high) + 0.5 * (high - low) * x
    mean = (w * r * _LENS.reduced_shear(r.ravel(), beta).reshape(r.shape)).sum(axis=1) / (w * r).sum(axis=1)
    return relative(_LENS.reduced_shear(got.radius_mpc, beta), mean)


@check(
    0.003,
    reason="radius of the bin, 0.1 %, and the position noise of 300,000 galaxies",
    source="Wright & Brainerd 2000; mean over the galaxies' beta_s of the reduced shear, those "
    "before the lens too",
)
def shear_profile(lab: Lab) -> float:
    """Noise-free profile of a mock with many source redshifts, diluted by those before the lens."""
    catalog = mock(lab, 6, sources=_SMAIL)
    got = measure(catalog, (0.5, 2.0), RadialBins(n=8))
    assert got.edges_mpc is not None
    place = np.digitize(np.hypot(catalog.x_arcmin, catalog.y_arcmin) * _SCALE, got.edges_mpc) - 1
    worst = 0.0
    for i in range(8):
        beta = catalog.beta_s[place == i]
        worst = max(
            worst,
            relative(got.value[i], _LENS.reduced_shear(got.radius_mpc[i], beta)[0]),
            relative([got.beta_s[i], got.beta_s2[i]], [beta.mean(), (beta**2).mean()]),
        )
    return worst


@check(
    0.003,
    reason="radius of the bin, 0.1 %, and the position noise of 300,000 galaxies",
    source="excess surface density of Wright & Brainerd 2000 over 1 - <beta_s^3> / <beta_s^2> kappa",
)
def excess_surface_density(lab: Lab) -> float:
    """Excess surface density in Msun / Mpc2 from galaxies weighted by their critical surface densities."""
    catalog = mock(lab, 7, sources=_SMAIL)
    got = measure(catalog, (0.5, 2.0), RadialBins(n=8, observable="delta_sigma"))
    kappa, _ = _LENS.kappa_gamma(got.radius_mpc)
    b = catalog.beta_s
    # mean over galaxies of w beta^2 (gamma Sigma_crit) / (1 - beta kappa)
    factor = np.array([float((b**2 / (1.0 - b * k)).sum() / (b**2).sum()) for k in kappa])
    return relative(got.value, _LENS.surface(got.radius_mpc)[1] * factor)


@check(
    5e-3,
    reason="Poisson noise of the members in twelve mocks",
    source="e_t (1 + f n_members / n): the undiluted profile comes back",
)
def boost_correction(lab: Lab) -> float:
    """Dilution by cluster members is taken off by the boost factor, in the mean of twelve mocks."""
    members = {"fraction": 0.3, "scale_mpc": 0.6, "shape": "exponential", "correct": True}
    clean = measure(mock(lab, 9), (0.5, 2.0), RadialBins(n=4))
    found: list[ShearProfile] = [
        measure(mock(lab, seed, members=members), (0.5, 2.0), RadialBins(n=4)) for seed in range(12)
    ]
    mean = np.mean([p.value / np.interp(p.radius_mpc, clean.radius_mpc, clean.value) for p in found], axis=0)
    return float(np.abs(mean - 1.0).mean())


@check(
    2e-3,
    reason="sources in narrow bins of redshift; the sum over multipoles",
    source="1 / (2 pi) int ell P g_i g_j by scipy's Bessel functions, P before the galaxies themselves",
)
def structure_in_profiles(lab: Lab) -> float:
    """Covariance of structure that a measured profile carries, in the units of its shear."""
    from scipy.special import j0, j1

    from clmassmod.cosmology import lss

    rng = np.random.default_rng(3)
    catalog = _catalogue(6, z_source=rng.uniform(0.5, 1.5, 3000))
    got = measure(catalog, (0.5, 2.0), RadialBins(n=4, structure=True), tables=lab.tables)
    radius = np.hypot(catalog.x_arcmin, catalog.y_arcmin) * _SCALE
    used = (radius >= 0.5) & (radius <= 2.0)
    ell = np.geomspace(1.0, 1e6, 40_001)
    coarse = np.geomspace(1.0, 1e6, 400)
    power = lss.convergence_power(
        lab.cosmology, lss.power_table(lab.cosmology), coarse, catalog.z_source[used], catalog.weight[used]
    )
    p = np.exp(np.interp(np.log(ell), np.log(coarse), np.log(power)))
    assert got.edges_mpc is not None
    x = (got.edges_mpc / _LENS.background.distance(_LENS.z))[:, np.newaxis] * ell
    g = 2.0 * np.diff(2.0 - 2.0 * j0(x) - x * j1(x), axis=0) / np.diff(x**2, axis=0)
    want = [[np.trapezoid(ell**2 * p * a * b, np.log(ell)) / (2.0 * np.pi) for a in g] for b in g]
    assert got.covariance is not None
    return relative(got.covariance, want)
