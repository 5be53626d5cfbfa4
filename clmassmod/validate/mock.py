"""Checks of mocks: positions, redshifts, shears and shape noise of galaxies, and the assumed centre."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from clmassmod.config import Survey, build
from clmassmod.core.fields import CircularField
from clmassmod.core.projected import Projected
from clmassmod.mock import observe
from clmassmod.mock.centre import draw_centre
from clmassmod.records import HaloInfo, SourceCatalog
from clmassmod.validate import reference
from clmassmod.validate.checks import check
from clmassmod.validate.lab import Lab, standard_errors
from clmassmod.validate.reference import ARCMINUTE, Array, Lens, relative, smail

_LENS = Lens(mass=1e15)
_ERRORS = "deviation in standard errors"
_FOUR = "a chance of 6e-5 for a seed; the seed is fixed"
_SMAIL = {"distribution": "smail", "alpha": 2.0, "beta": 1.5, "median_z": 1.0, "z_max": 5.0}
_PLANE = {"distribution": "plane", "z": 1.0}
RADIUS = 10.0  # arcmin, of the mocks


def mock(lab: Lab, seed: int = 1, lens: Lens = _LENS, **changes: Any) -> SourceCatalog:
    """Return the mock of a textbook lens: 1,000 galaxies per arcmin2, no shape noise, one source plane."""
    survey: dict[str, Any] = {
        "density_per_arcmin2": 1000.0,
        "shape_noise": 0.0,
        "sources": _PLANE,
        "footprint": {"shape": "circle", "radius_arcmin": RADIUS},
    }
    critical = lens.background.sigma_critical(lens.z)
    field = CircularField(HaloInfo("m", lens.z), lambda r: Projected(*lens.surface(r)), critical)
    return observe(field, build(Survey, survey | changes, "survey"), lab.tables, np.random.default_rng(seed))


def polar(catalog: SourceCatalog) -> tuple[Array, Array, Array]:
    """Return radius in Mpc, tangential and cross ellipticity, by angles."""
    x, y = catalog.x_arcmin, catalog.y_arcmin
    phi = np.arctan2(y, x)
    tangential = -(catalog.e1 * np.cos(2 * phi) + catalog.e2 * np.sin(2 * phi))
    cross = catalog.e1 * np.sin(2 * phi) - catalog.e2 * np.cos(2 * phi)
    return np.hypot(x, y) * ARCMINUTE * _LENS.background.distance(_LENS.z), tangential, cross


def _smail_moment(power: int, low: float = 0.0) -> float:
    from scipy.special import gammaincinv

    z0 = 1.0 / float(gammaincinv(2.0, 0.5)) ** (1.0 / 1.5)
    return reference.mean_over(lambda z: z**power, lambda z: float(smail(z, 2.0, 1.5, z0)), low, 5.0)


@check(4.0, quantity=_ERRORS, reason=_FOUR, source="Poisson: density times area, error its square root")
def source_density(lab: Lab) -> float:
    """Number of galaxies in a circle, a ring, a square and the field of ACS."""
    worst = 0.0
    cases: tuple[tuple[dict[str, Any], float], ...] = (
        ({"shape": "circle", "radius_arcmin": RADIUS}, math.pi * RADIUS**2),
        ({"shape": "annulus", "radius_arcmin": 9.0, "inner_radius_arcmin": 5.0}, math.pi * 56.0),
        ({"shape": "square", "width_arcmin": 15.0, "angle_deg": 20.0}, 225.0),
        ({"shape": "acs"}, 3.2**2),
    )
    for footprint, area in cases:
        mocks = math.ceil(400.0 / area)
        number = sum(mock(lab, seed, footprint=footprint).e1.size for seed in range(mocks))
        expected = 1000.0 * area * mocks
        worst = max(worst, abs(number - expected) / math.sqrt(expected))
    return worst


@check(
    1.95,
    quantity="Kolmogorov–Smirnov distance times the root of the number",
    reason="a chance of 0.001; the seed is fixed",
    source="uniform in area: radius squared and angle are uniform",
)
def uniform_positions(lab: Lab) -> float:
    """Galaxies are uniform over the sky."""
    from scipy.stats import kstest

    catalog = mock(lab, 2)
    r2 = (catalog.x_arcmin**2 + catalog.y_arcmin**2) / RADIUS**2
    angle = np.arctan2(catalog.y_arcmin, catalog.x_arcmin) / (2 * np.pi) + 0.5
    root = math.sqrt(r2.size)
    return max(root * float(kstest(v, "uniform").statistic) for v in (r2, angle))


@check(
    4.0,
    quantity=_ERRORS,
    reason=_FOUR,
    source="scipy quad of z and z^2 over Smail et al. 1994 with a median of 1",
)
def source_redshifts(lab: Lab) -> float:
    """Mean and mean square of source redshifts, of all and of those behind the lens by 0.2."""
    worst = 0.0
    for cut, low in ((None, 0.0), (0.2, _LENS.z + 0.2)):
        z = mock(lab, 3, sources=_SMAIL | {"behind_lens": cut}).z_source
        for power in (1, 2):
            worst = max(worst, abs(standard_errors(z**power, _smail_moment(power, low))))
    return worst


@check(1e-7, reason="interpolated distances, 1e-9", source="quad of 1 / H(z), for each of 500 galaxies")
def lensing_efficiency_of_galaxies(lab: Lab) -> float:
    """beta_s of every galaxy of a catalogue follows from its redshift; 0 before the lens."""
    catalog = mock(lab, 4, sources=_SMAIL)
    z, beta = catalog.z_source[:500], catalog.beta_s[:500]
    want = _LENS.background.beta_s(z, _LENS.z)
    behind = z > _LENS.z
    return max(relative(beta[behind], want[behind]), float(np.abs(beta[~behind]).max()))


@check(
    1e-8,
    reason="distances and constants to 1e-8",
    source="beta gamma / (1 - beta kappa) of Wright & Brainerd 2000",
)
def noise_free_ellipticities(lab: Lab) -> float:
    """Ellipticities without noise are the reduced shear of the lens at the galaxy, tangential."""
    catalog = mock(lab, 5, density_per_arcmin2=50.0)
    radius, tangential, _ = polar(catalog)
    used = radius > 0.2
    beta = float(_LENS.background.beta_s(1.0, _LENS.z))
    return relative(tangential[used], _LENS.reduced_shear(radius[used], beta))


@check(
    1e-12, quantity="largest cross component", reason="rounding", source="symmetry: none round a round lens"
)
def no_cross_ellipticity(lab: Lab) -> float:
    """The cross component of noise-free galaxies vanishes."""
    return float(np.abs(polar(mock(lab, 5, density_per_arcmin2=50.0))[2]).max())


@check(
    1e-8,
    reason="distances and constants to 1e-8",
    source="Seitz & Schneider 1997: 1 / g inside the critical curve",
)
def strong_lensing(lab: Lab) -> float:
    """Inside the critical curve of a massive lens ellipticities are 1 / g*."""
    lens = Lens(mass=5e15, concentration=8.0)
    catalog = mock(lab, 6, lens=lens, footprint={"shape": "circle", "radius_arcmin": 1.5})
    radius, tangential, _ = polar(catalog)
    g = lens.reduced_shear(radius, float(lens.background.beta_s(1.0, lens.z)))
    used = (radius > 0.02) & (np.abs(np.abs(g) - 1.0) > 1e-3)
    assert (np.abs(g[used]) > 1.0).any()
    return relative(tangential[used], np.where(np.abs(g[used]) > 1.0, 1.0 / g[used], g[used]))


@check(
    4.0,
    quantity=_ERRORS,
    reason=_FOUR,
    source="independent normal components of the configured standard deviation",
)
def shape_noise(lab: Lab) -> float:
    """Noise of each ellipticity component: mean, variance, and none in common."""
    clean, noisy = mock(lab, 7), mock(lab, 7, shape_noise=0.25)
    a, b = (noisy.e1 - clean.e1) / 0.25, (noisy.e2 - clean.e2) / 0.25
    found = [standard_errors(v, 0.0) for v in (a, b, a * b)]
    found += [standard_errors(v**2, 1.0) for v in (a, b)]
    return float(np.abs(found).max())


@check(1e-12, reason="rounding", source="e = (1 + m) g + c")
def shear_bias(lab: Lab) -> float:
    """Multiplicative and additive shear bias put into a mock."""
    clean = mock(lab, 8, density_per_arcmin2=20.0)
    biased = mock(lab, 8, density_per_arcmin2=20.0, shear_m=0.03, shear_c=(0.002, -0.004))
    return max(relative(biased.e1, 1.03 * clean.e1 + 0.002), relative(biased.e2, 1.03 * clean.e2 - 0.004))


def _offsets(lab: Lab, n: int = 8000, **centre: Any) -> tuple[Array, Array]:
    survey = {
        "shape_noise": 0.0,
        "density_per_arcmin2": 1.0,
        "sources": _PLANE,
        "centre": centre,
        "footprint": {"shape": "circle", "radius_arcmin": 1.0},
    }
    model = build(Survey, survey, "survey").centre
    halo, environment = HaloInfo("m", 0.5), lab.tables.environment(0.5)
    rng = np.random.default_rng(12)
    drawn = np.array([draw_centre(model, halo, environment, rng, lambda: 0.0) for _ in range(n)])
    return np.hypot(*drawn.T), np.arctan2(drawn[:, 1], drawn[:, 0])


@check(
    1.95,
    quantity="Kolmogorov–Smirnov distance times the root of the number",
    reason="a chance of 0.001; the seed is fixed",
    source="scipy's Rayleigh, Gamma (shape 2) and lognormal distributions; directions uniform",
)
def centre_offsets(lab: Lab) -> float:
    """Offsets of assumed centres follow the centre model, in random directions."""
    from scipy.stats import gamma, kstest, lognorm, rayleigh

    cases = (
        ("rayleigh", {"scale_mpc": 0.2}, rayleigh(scale=0.2)),
        ("gamma", {"scale_mpc": 0.15}, gamma(2.0, scale=0.15)),
        ("gaussian", {"sigma_mpc": 0.1}, rayleigh(scale=0.1)),
        ("lognormal", {"median_mpc": 0.07, "sigma_ln": 0.8}, lognorm(0.8, scale=0.07)),
    )
    worst = 0.0
    for name, parameters, law in cases:
        length, angle = _offsets(lab, model=name, parameters=parameters)
        root = math.sqrt(length.size)
        worst = max(
            worst,
            root * float(kstest(length, law.cdf).statistic),
            root * float(kstest(angle / (2 * np.pi) + 0.5, "uniform").statistic),
        )
    return worst


@check(
    4.0,
    quantity=_ERRORS,
    reason=_FOUR,
    source="share of haloes off centre; lengths times ((1 + z) / (1 + z_ref))^p; <cos 2 phi> = alignment / 2",
)
def centre_fraction_and_alignment(lab: Lab) -> float:
    """Haloes that are off centre at all, growth of offsets with redshift, alignment with the long axis."""
    length, angle = _offsets(
        lab,
        model="rayleigh",
        parameters={"scale_mpc": 0.2},
        fraction=0.3,
        z_power=2.0,
        z_ref=0.2,
        alignment=0.6,
    )
    off = length > 0
    mean = 0.2 * math.sqrt(math.pi / 2.0) * (1.5 / 1.2) ** 2
    found = [standard_errors(off.astype(float), 0.3), standard_errors(length[off], mean)]
    found.append(standard_errors(np.cos(2 * angle[off]), 0.3))
    return float(np.abs(found).max())


@check(1e-8, reason="distances and constants to 1e-8", source="Wright & Brainerd 2000 about the true centre")
def galaxies_about_a_wrong_centre(lab: Lab) -> float:
    """Positions are about the assumed centre: with the offset added, shears are those about the true one."""
    centre = {"model": "gaussian", "parameters": {"sigma_mpc": 0.3}}
    catalog = mock(lab, 9, density_per_arcmin2=50.0, centre=centre)
    scale = ARCMINUTE * _LENS.background.distance(_LENS.z)
    x, y = catalog.x_arcmin * scale + catalog.offset_mpc[0], catalog.y_arcmin * scale + catalog.offset_mpc[1]
    radius, phi = np.hypot(x, y), np.arctan2(y, x)
    used = radius > 0.2
    tangential = -(catalog.e1 * np.cos(2 * phi) + catalog.e2 * np.sin(2 * phi))[used]
    assert math.hypot(*catalog.offset_mpc) > 0.05
    return relative(
        tangential, _LENS.reduced_shear(radius[used], float(_LENS.background.beta_s(1.0, _LENS.z)))
    )
