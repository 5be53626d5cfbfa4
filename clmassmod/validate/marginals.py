"""Checks of the halo's likelihood where nuisance parameters are integrated out, and of its calibration."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from clmassmod.core.gridstats import cumulative
from clmassmod.core.miscentring import miscentring
from clmassmod.core.projected import Projected
from clmassmod.fitters import scan
from clmassmod.fitters.likelihood import LensModel
from clmassmod.records import HaloFit, ShearProfile
from clmassmod.tables import Tables, build
from clmassmod.validate.checks import check
from clmassmod.validate.lab import PLANE, Lab
from clmassmod.validate.reference import Array, Lens, relative

_RADIUS = np.geomspace(0.35, 2.8, 10)
_ERROR = 0.02
_SD = "shift of the mean of ln M, or change of its width, in standard deviations"
_QUADRATURE = "errors of the quadrature over one nuisance parameter are below 1e-3"


def _data(seed: int) -> Array:
    return Lens().reduced_shear(_RADIUS, PLANE) + _ERROR * np.random.default_rng(seed).normal(size=10)


def _moments(ln_mass: Array, ln_like: Array) -> tuple[float, float]:
    like = np.exp(ln_like - ln_like.max())
    total = np.trapezoid(like, ln_mass)
    mean = float(np.trapezoid(like * ln_mass, ln_mass) / total)
    return mean, math.sqrt(float(np.trapezoid(like * (ln_mass - mean) ** 2, ln_mass) / total))


def _compare(fit: HaloFit, mass: Array, ln_like: Array) -> float:
    got, want = _moments(np.log(fit.mass_msun), fit.ln_like["200c"]), _moments(np.log(mass), ln_like)
    return max(abs(got[0] - want[0]), abs(got[1] - want[1])) / want[1]


def _ln_sum(ln_values: list[Array], weight: Array) -> Array:
    values = np.array(ln_values)
    top = values.max(axis=0)
    return np.asarray(top + np.log(weight @ np.exp(values - top)))


def _brute(
    lab: Lab, nuisance: dict[str, Any], signals: Any, weight: Array, *, gain: Array | None = None
) -> float:
    """Compare ``scan`` with a sum over many values of a nuisance parameter, signals (value, mass, bin)."""
    value, mass = _data(7), np.geomspace(2e13, 6e15, 120)
    fit = scan.fit(lab.profile(Lens(), value), lab.model(4.0, nuisance=nuisance))
    rows = []
    for i, signal in enumerate(signals(mass)):
        factor = 1.0 if gain is None else gain[i]
        rows.append(-0.5 * (((value - factor * signal) / _ERROR) ** 2).sum(axis=1))
    return _compare(fit, mass, _ln_sum(rows, weight))


def _shears(mass: Array, concentration: float = 4.0) -> Array:
    """Return the reduced shear of textbook lenses, (mass, bin)."""
    return np.array([Lens(float(m), concentration).reduced_shear(_RADIUS, PLANE) for m in mass])


def _as_projected(sigma: Array, mean: Array, _radius: Array) -> Projected:
    return Projected(sigma, mean - sigma)


def _normal(n: int = 41, reach: float = 5.0) -> tuple[Array, Array]:
    t = np.linspace(-reach, reach, n)
    w = np.exp(-0.5 * t * t)
    return t, w / w.sum()


@check(0.005, quantity=_SD, reason=_QUADRATURE, source="sum over 41 concentrations, Wright & Brainerd 2000")
def scatter_of_concentration(lab: Lab) -> float:
    """Lognormal scatter of the concentration about its relation, integrated out."""
    t, w = _normal()
    return _brute(
        lab,
        {"concentration": {"scatter": 0.3}},
        lambda mass: [_shears(mass, 4.0 * math.exp(0.3 * v)) for v in t],
        w,
    )


@check(
    0.005,
    quantity=_SD,
    reason=_QUADRATURE,
    source="Gauss–Legendre sum over 30 concentrations, Wright & Brainerd 2000",
)
def free_concentration(lab: Lab) -> float:
    """A concentration that is free between 2 and 10, flat in its logarithm, integrated out."""
    x, w = np.polynomial.legendre.leggauss(30)
    u = 0.5 * (x + 1.0)
    return _brute(
        lab,
        {"concentration": {"range": (2.0, 10.0)}},
        lambda mass: [_shears(mass, 2.0 * 5.0 ** float(v)) for v in u],
        0.5 * w,
    )


@check(0.005, quantity=_SD, reason=_QUADRATURE, source="sum over 41 calibrations, Wright & Brainerd 2000")
def shear_calibration(lab: Lab) -> float:
    """A normal prior of the multiplicative shear bias, integrated in closed form."""
    t, w = _normal()

    def signals(mass: Array) -> list[Array]:
        one = _shears(mass)
        return [one] * len(t)

    return _brute(lab, {"shear_bias": {"mean": -0.04, "sd": 0.08}}, signals, w, gain=0.96 + 0.08 * t)


@check(
    4e-3,
    quantity="largest relative error",
    reason="some 40 nodes leave 2e-3 of a mean square whose distribution has no end",
    source="mean and mean square: s sqrt(pi / 2) and 2 s^2 (Rayleigh), 2 s and 6 s^2 (Gamma of shape 2)",
)
def distributions_of_offsets(lab: Lab) -> float:
    """Nodes of the offset of the centre, of both distributions, and the share of haloes that are centred."""
    found = []
    for name, moments in (("rayleigh", (math.sqrt(math.pi / 2.0), 2.0)), ("gamma", (2.0, 6.0))):
        prior = {"miscentring": {"distribution": name, "scale_mpc": 0.25, "fraction": 0.4}}
        nodes = LensModel.build(lab.tables, nuisance=prior).nuisance.nodes(1000.0)
        weight, offset = np.exp(nodes.ln_offset_weight), np.asarray(nodes.offset_mpc)
        got = [weight[offset == 0.0].sum(), weight @ offset, weight @ offset**2]
        found.append(relative(got, [0.6, *(0.4 * m * 0.25**k for k, m in enumerate(moments, 1))]))
    return max(found)


@check(
    0.005,
    quantity=_SD,
    reason=_QUADRATURE,
    source="sum over 60 offsets at equal probabilities of a Rayleigh distribution, Wright & Brainerd 2000",
)
def offset_of_the_centre(lab: Lab) -> float:
    """A centre that is off by a Rayleigh distributed distance in half of all haloes, integrated out."""
    u = (np.arange(60) + 0.5) / 60
    offsets = 0.25 * np.sqrt(-2.0 * np.log1p(-u))
    operators = [miscentring(_RADIUS, "fixed", float(s)) for s in offsets]  # checked in step profiles
    critical = Lens().background.sigma_critical(0.3)

    def signals(mass: Array) -> list[Array]:
        lenses = [Lens(float(m)) for m in mass]
        found = [np.array([v.reduced_shear(_RADIUS, PLANE) for v in lenses])]
        grid = max((o.grid_mpc for o in operators), key=len)
        centred = [Projected(*v.surface(grid)) for v in lenses]
        sigma, delta = (np.array([getattr(c, name) for c in centred]) for name in ("sigma", "delta_sigma"))
        for operator in operators:
            inner = np.array(
                [np.exp(np.interp(np.log(operator.grid_mpc), np.log(grid), np.log(s))) for s in sigma]
            )
            mean = sigma + delta
            inner_mean = np.array(
                [np.exp(np.interp(np.log(operator.grid_mpc), np.log(grid), np.log(s))) for s in mean]
            )
            off = operator(partial(_as_projected, inner, inner_mean))
            found.append(PLANE * off.delta_sigma / critical / (1.0 - PLANE * off.sigma / critical))
        return found

    weight = np.concatenate([[0.5], np.full(60, 0.5 / 60)])
    prior = {"miscentring": {"distribution": "rayleigh", "scale_mpc": 0.25, "fraction": 0.5}}
    return _brute(lab, prior, signals, weight)


@check(
    0.005,
    quantity=_SD,
    reason=_QUADRATURE + "; the shear is linear in the small term",
    source="sum over 41 amplitudes of the term of the tables, which step tables checks, added to "
    "Wright & Brainerd 2000",
)
def two_halo_amplitude(lab: Lab) -> float:
    """The amplitude of the two-halo term, integrated in closed form."""
    t, w = _normal()
    critical = Lens().background.sigma_critical(0.3)

    def signals(mass: Array) -> list[Array]:
        term = lab.tables.two_halo(_RADIUS, 0.3, lab.tables.halo_bias("200c", mass, 0.3))
        own = [Lens(float(m)).surface(_RADIUS) for m in mass]
        sigma, delta = (np.array([s[i] for s in own]) for i in (0, 1))
        found = []
        for v in t:
            a = 1.0 + 0.5 * float(v)
            s, d = sigma + a * term.sigma, delta + a * term.delta_sigma
            found.append(PLANE * d / critical / (1.0 - PLANE * s / critical))
        return found

    return _brute(lab, {"two_halo": {"mean": 1.0, "sd": 0.5}}, signals, w)


@check(
    0.01,
    reason="interpolated spectra; one plane of sources",
    source="1 / (2 pi) int ell P g_i g_j by scipy's Bessel functions over the rings between the radii",
)
def noise_of_structure(lab: Lab) -> float:
    """Covariance of structure that a fit adds to the shape noise, for a source plane."""
    from scipy.optimize import brentq
    from scipy.special import j0, j1

    from clmassmod.cosmology import lss

    lens = Lens()
    tables = Tables(build(lab.cosmology, z_range=(0.3, 0.3), structure=True, noise_samples={"plane": None}))
    model = LensModel.build(tables, concentration=4.0, noise={"large_scale_structure": True})
    data = model.prepare(lab.profile(lens))
    assert data.whitening is not None
    got = np.linalg.inv(data.whitening.T @ data.whitening) - np.diag(np.full(10, _ERROR**2))
    plane = brentq(lambda z: float(lens.background.beta_s(z, 0.3)) - PLANE, 0.4, 5.0)
    ell, coarse = np.geomspace(1.0, 1e6, 40_001), np.geomspace(1.0, 1e6, 400)
    power = lss.convergence_power(lab.cosmology, lss.power_table(lab.cosmology), coarse, [plane])
    p = np.exp(np.interp(np.log(ell), np.log(coarse), np.log(power)))
    ratio = math.sqrt(_RADIUS[1] / _RADIUS[0])
    edges = np.concatenate([_RADIUS / ratio, [_RADIUS[-1] * ratio]]) / lens.background.distance(0.3)
    x = edges[:, np.newaxis] * ell
    g = 2.0 * np.diff(2.0 - 2.0 * j0(x) - x * j1(x), axis=0) / np.diff(x**2, axis=0)
    want = [[np.trapezoid(ell**2 * p * a * b, np.log(ell)) / (2.0 * np.pi) for a in g] for b in g]
    return relative(got, want)


def _draw_profiles(lab: Lab, n: int, seed: int) -> list[tuple[float, ShearProfile]]:
    """Return masses drawn from a lognormal prior with noisy textbook data of each."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(n):
        mass = float(np.exp(math.log(4e14) + 0.6 * rng.normal()))
        value = Lens(mass).reduced_shear(_RADIUS, PLANE) + _ERROR * rng.normal(size=10)
        found.append((mass, lab.profile(Lens(mass), value)))
    return found


def _probabilities(lab: Lab) -> Array:
    found: Array = lab.once("calibration of haloes", lambda: _draw_probabilities(lab))
    return found


def _draw_probabilities(lab: Lab) -> Array:
    """Return the posterior probability of a mass below the true one for 1,200 haloes, (halo,)."""
    model, found = lab.model(4.0), []
    for mass, profile in _draw_profiles(lab, 1200, 21):
        fit = scan.fit(profile, model)
        x = np.log(fit.mass_msun)
        ln_density = fit.ln_like["200c"] - 0.5 * ((x - math.log(4e14)) / 0.6) ** 2
        found.append(np.interp(math.log(mass), x, cumulative(x, np.exp(ln_density - ln_density.max()))))
    return np.array(found)


@check(
    0.01,
    at_least=True,
    quantity="probability of a larger chi squared of 20 bins",
    reason="false alarm in a hundred seeds; the seed is fixed",
    source="simulation-based calibration (Talts et al. 2018): truths from the prior have uniform "
    "posterior probabilities",
)
def calibration(lab: Lab) -> float:
    """Ranks of true masses in the posteriors of 1,200 noisy textbook haloes."""
    from scipy.stats import chisquare

    counts, _ = np.histogram(_probabilities(lab), 20, (0.0, 1.0))
    return float(chisquare(counts).pvalue)


@check(
    3.0,
    quantity="deviation in binomial errors",
    reason="a chance of 0.003 each; the seed is fixed",
    source="an interval of 68 % (95 %) holds the truth in that share of haloes",
)
def coverage_of_intervals(lab: Lab) -> float:
    """Equal-tailed intervals of the halo posteriors hold the true masses as often as they say."""
    probability = _probabilities(lab)
    worst = 0.0
    for level in (0.68, 0.95):
        share = float((np.abs(probability - 0.5) < 0.5 * level).mean())
        worst = max(worst, abs(share - level) / math.sqrt(level * (1.0 - level) / probability.size))
    return worst


@check(
    2e-5,
    quantity="largest error of ln L - ln L_max",
    reason="stated interpolation of ln L, 1e-5",
    source="ln L of several profiles of a halo is the sum of theirs",
)
def joint_profiles(lab: Lab) -> float:
    """Two profiles of one halo, of sources at other redshifts and radii."""
    lens, model = Lens(), lab.model(4.0)
    first = lab.profile(lens, _data(1))
    second = replace(
        lab.profile(lens, beta=(0.4, 0.16), radius_mpc=np.geomspace(0.5, 2.0, 5)), error=np.full(5, 0.03)
    )
    both = scan.fit([first, second], model).ln_like["200c"]
    total = scan.fit(first, model).ln_like["200c"] + scan.fit(second, model).ln_like["200c"]
    near = total > total.max() - 18.0
    return float(np.abs((both - both.max()) - (total - total.max()))[near].max())
