"""Checks of what surveys add: photometric redshifts, magnification, members, clustering, real noise."""

from __future__ import annotations

import math

import numpy as np

from clmassmod.core.centres import sz
from clmassmod.mock.shapes import count_factor
from clmassmod.records import HaloInfo
from clmassmod.validate.checks import check
from clmassmod.validate.lab import Lab, standard_errors
from clmassmod.validate.mock import mock, polar
from clmassmod.validate.reference import ARCMINUTE, Lens, relative

_LENS = Lens(mass=1e15)
_ERRORS = "deviation in standard errors"
_FOUR = "a chance of 6e-5 for a seed; the seed is fixed"
_SMAIL = {"distribution": "smail", "alpha": 2.0, "beta": 1.5, "median_z": 1.0, "z_max": 5.0}


@check(
    4.0,
    quantity=_ERRORS,
    reason=_FOUR,
    source="(z_p - z) / (1 + z) is normal about its bias; outliers uniform in their range",
)
def photometric_redshifts(lab: Lab) -> float:
    """Bias, scatter and outliers of photometric redshifts, and true ones kept beside them."""
    photo = {"scatter": 0.05, "bias": 0.01, "outlier_fraction": 0.1, "outlier_z": [3.0, 4.0]}
    catalog = mock(lab, 1, sources=_SMAIL | {"z_max": 2.0}, photo_z=photo)
    true = catalog.extra["z_true"]
    outlier = catalog.z_source >= 3.0
    keep = ~outlier & (true > 0.3)  # none is cut at 0
    residual = (catalog.z_source - true)[keep] / (1 + true[keep])
    found = [standard_errors(residual, 0.01), standard_errors((residual - 0.01) ** 2, 0.05**2)]
    found += [standard_errors(outlier.astype(float), 0.1), standard_errors(catalog.z_source[outlier], 3.5)]
    return float(np.abs(found).max())


@check(
    4.0,
    quantity=_ERRORS,
    reason=_FOUR,
    source="mu^(2.5 s - 1) of Wright & Brainerd 2000, over rings, with Poisson errors",
)
def magnification(lab: Lab) -> float:
    """Number of galaxies behind the lens, from 0.4 to 2 Mpc, in twelve mocks."""
    edges = np.linspace(0.4, 2.0, 9)
    beta = float(_LENS.background.beta_s(1.0, _LENS.z))
    scale = ARCMINUTE * _LENS.background.distance(_LENS.z)
    counts = sum(
        np.histogram(polar(mock(lab, seed, magnification={"slope": 0.15}))[0], edges)[0] for seed in range(12)
    )
    r = np.linspace(edges[:-1], edges[1:], 201)
    kappa, gamma = (v.reshape(r.shape) for v in _LENS.kappa_gamma(r.ravel()))
    mu = 1.0 / ((1.0 - beta * kappa) ** 2 - (beta * gamma) ** 2)
    expected = 12 * 1000.0 / scale**2 * np.trapezoid(2 * np.pi * r * mu ** (2.5 * 0.15 - 1.0), r, axis=0)
    return float(abs((counts - expected).sum() / math.sqrt(expected.sum())))


@check(
    1e-10,
    quantity="relative error",
    reason="rounding of a power",
    source="mu^(2.5 s - 1), 1 / mu = (1 - kappa)^2 - gamma^2; Broadhurst, Taylor & Peacock 1995",
)
def magnified_counts(lab: Lab) -> float:
    """Factor of the number of galaxies from 0.3 to 3 Mpc, for counts steeper or shallower than balance."""
    del lab
    r, beta = np.geomspace(0.3, 3.0, 12), 0.7
    kappa, gamma = _LENS.kappa_gamma(r)
    inverse = (1.0 - beta * kappa) ** 2 - (beta * gamma) ** 2
    angle = np.linspace(0.0, math.pi, r.size)
    worst = 0.0
    for slope in (0.15, 0.4, 0.8):
        found = count_factor(
            kappa, gamma * np.cos(angle), gamma * np.sin(angle), np.full(r.size, beta), slope, 100.0
        )
        worst = max(worst, relative(found, inverse ** (1.0 - 2.5 * slope)))
    return worst


@check(
    4.0, quantity=_ERRORS, reason=_FOUR, source="background density times f exp(1 - r / r_s), or f r_s / r"
)
def cluster_members(lab: Lab) -> float:
    """Members that an observer takes for background: their number from 0.3 to 1.5 Mpc, without shear."""
    edges = np.array([0.3, 0.6, 1.0, 1.5])
    scale = ARCMINUTE * _LENS.background.distance(_LENS.z)
    worst = 0.0
    for shape in ("exponential", "isothermal"):
        members = {"fraction": 0.3, "scale_mpc": 0.5, "shape": shape}
        catalog = mock(lab, 3, members=members)
        radius, tangential, _ = polar(catalog)
        member = catalog.extra["member"] > 0
        worst = max(worst, float(np.abs(tangential[member]).max()) * 1e9)
        r = np.linspace(edges[:-1], edges[1:], 201)
        share = 0.3 * (np.exp(1.0 - r / 0.5) if shape == "exponential" else 0.5 / r)
        expected = 1000.0 / scale**2 * np.trapezoid(2 * np.pi * r * share, r, axis=0)
        counts = np.histogram(radius[member], edges)[0]
        worst = max(worst, float(np.abs((counts - expected) / np.sqrt(expected)).max()))
    return worst


@check(
    4.0,
    quantity=_ERRORS,
    reason=_FOUR,
    source="counts 10^(s m): mean of m - m_faint by its integral; noise linear in m",
)
def magnitudes(lab: Lab) -> float:
    """Magnitudes follow the slope of the counts, and shape noise follows magnitude."""
    given = {"bright": 20.0, "faint": 25.0, "slope": 0.3, "shape_noise": [[20.0, 0.2], [25.0, 0.3]]}
    clean = mock(lab, 4, magnitudes={**given, "shape_noise": None})
    noisy = mock(lab, 4, magnitudes=given)
    m = noisy.extra["magnitude"]
    k = 0.3 * math.log(10.0)
    mean = 25.0 + (5.0 * math.exp(-5.0 * k) / (1.0 - math.exp(-5.0 * k)) - 1.0 / k)
    sigma = 0.2 + 0.02 * (m - 20.0)
    found = [standard_errors(m, mean)]
    found += [
        standard_errors(((getattr(noisy, e) - getattr(clean, e)) / sigma) ** 2, 1.0) for e in ("e1", "e2")
    ]
    return float(np.abs(found).max())


@check(
    4.0,
    quantity=_ERRORS,
    reason=_FOUR,
    source="Thomas process: pairs closer than t exceed chance by f n_m (1 - exp(-t^2 / 4 s^2)) a galaxy",
)
def clustering(lab: Lab) -> float:
    """Galaxies in groups: density kept, and as many close pairs as the groups have."""
    from scipy.spatial import cKDTree

    fraction, members, size, density, t = 0.4, 5.0, 0.1, 60.0, 0.15
    given = {"fraction": fraction, "members": members, "size_arcmin": size}
    excess, numbers = [], []
    for seed in range(60):
        catalog = mock(lab, seed, density_per_arcmin2=density, clustering=given, sources=_SMAIL)
        place = np.column_stack([catalog.x_arcmin, catalog.y_arcmin])
        inner = np.hypot(*place.T) < 9.5
        tree = cKDTree(place)
        pairs = np.array([len(v) - 1 for v in tree.query_ball_point(place[inner], t)])
        excess.append(pairs.sum() / (density * math.pi * 9.5**2) - density * math.pi * t**2)
        numbers.append(inner.sum() / (density * math.pi * 9.5**2))
    expected = fraction * members * (1.0 - math.exp(-(t**2) / (4.0 * size**2)))
    # the pairs of a field with more galaxies by chance grow as its square: to first order
    varied = np.array(excess) - 2.0 * density * math.pi * t**2 * (np.array(numbers) - 1.0)
    return max(abs(standard_errors(varied, expected)), abs(standard_errors(np.array(numbers), 1.0)))


@check(
    4.0,
    quantity=_ERRORS,
    reason=_FOUR,
    source="the errors of the rows themselves: chi squared over rows and mocks",
)
def noise_of_a_real_profile(lab: Lab) -> float:
    """A mock with the measured noise of a profile: the mean of a row's galaxies has the row's error."""
    path = lab.folder / "noise.txt"
    rows = [(0.5, 0.03, 0.5, 0.27), (1.0, 0.02, 0.5, 0.27), (1.6, 0.015, 0.45, 0.22)]
    path.write_text("".join(f"{r} 0 {e} 0 0 {b} {b2} 1\n" for r, e, b, b2 in rows), encoding="utf-8")
    given = {"path": str(path), "galaxies_per_bin": 30, "bin_width_mpc": 0.1}
    cosmic = []
    for seed in range(400):
        catalog = mock(lab, seed, noise_profile=given)
        radius, _, cross = polar(catalog)  # no signal in the cross component
        for r, error, _, _ in rows:
            here = np.abs(radius - r) < 0.06
            cosmic.append(float(cross[here].mean()) / error)
    pull = np.array(cosmic)
    return max(abs(standard_errors(pull, 0.0)), abs(standard_errors(pull**2, 1.0)))


@check(
    4.0,
    quantity=_ERRORS,
    reason=_FOUR,
    source="sqrt(beam^2 + core^2) / xi in each component (Story et al. 2011)",
)
def sz_centres(lab: Lab) -> float:
    """Offsets of SZ detections from beam, core and significance."""
    rng, halo = np.random.default_rng(6), HaloInfo("m", 0.5, "", {"xi": 8.0, "core_arcmin": 0.5})
    drawn = np.array([sz(rng, halo, lab.tables.environment(0.5)) for _ in range(8000)])
    sigma = math.hypot(1.2, 0.5) / 8.0 * ARCMINUTE * Lens().background.distance(0.5)
    return float(np.abs([standard_errors((drawn[:, i] / sigma) ** 2, 1.0) for i in (0, 1)]).max())


@check(
    1e-8,
    reason="distances and constants to 1e-8",
    source="shears scale as the inverse of Sigma_crit: D_l beta of both redshifts",
)
def haloes_at_another_redshift(lab: Lab) -> float:
    """A halo that is placed at another redshift keeps its surface density in Mpc."""
    catalog = mock(lab, 2, density_per_arcmin2=30.0, rescale_z=0.5)
    background = _LENS.background
    radius = np.hypot(catalog.x_arcmin, catalog.y_arcmin) * ARCMINUTE * background.distance(0.5)
    _, tangential, _ = polar(catalog)
    sigma, delta = _LENS.surface(radius)
    critical, used = background.sigma_critical(0.5, 1.0), radius > 0.2
    return relative(tangential[used], (delta / critical / (1.0 - sigma / critical))[used])
