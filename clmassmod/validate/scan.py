"""Checks of the fitter ``scan``: masses come back, and the likelihood is what it says."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from clmassmod.core.gridstats import Axis, summarise
from clmassmod.fitters import scan
from clmassmod.fitters.summary import chi2_probability
from clmassmod.records import HaloFit
from clmassmod.validate.checks import check
from clmassmod.validate.lab import PLANE, Lab
from clmassmod.validate.reference import Array, Lens, nfw_mass, relative

_MASSES = (1.2e14, 5e14, 1.6e15)
_WB = "Wright & Brainerd 2000, data made by the formula"
_GRID = "the mass grid of steps of 2.5 % interpolated by a parabola"


def chi_squared(profile_value: Array, error: float, lens: Lens, radius: Array, beta: float = PLANE) -> float:
    """Return chi squared of a lens by the textbook."""
    return float((((profile_value - lens.reduced_shear(radius, beta)) / error) ** 2).sum())


def ln_mass(fit: HaloFit) -> float:
    """Return ln of the best mass."""
    return math.log(fit.summary["mass_ml_msun"])


@check(1e-3, quantity="largest error of ln M", reason=_GRID, source=_WB)
def noise_free_mass(lab: Lab) -> float:
    """Mass of an exact reduced-shear profile, for haloes of 1.2e14 to 1.6e15 Msun."""
    found = [ln_mass(scan.fit(lab.profile(Lens(m)), lab.model(4.0))) - math.log(m) for m in _MASSES]
    return float(np.abs(found).max())


@check(1e-3, quantity="largest error of ln M", reason=_GRID, source=_WB)
def noise_free_mass_by_excess_surface_density(lab: Lab) -> float:
    """Mass of an exact profile of excess surface density."""
    found = []
    for m in _MASSES:
        profile = lab.profile(Lens(m), observable="delta_sigma", error=1e13)
        found.append(ln_mass(scan.fit(profile, lab.model(4.0))) - math.log(m))
    return float(np.abs(found).max())


@check(1e-3, quantity="largest error of ln M", reason=_GRID, source=_WB)
def noise_free_mass_of_single_galaxies(lab: Lab) -> float:
    """Mass from 300 galaxies that are not binned, each with a radius and a redshift of its own."""
    rng = np.random.default_rng(3)
    radius, beta = np.sort(rng.uniform(0.4, 2.5, 300)), rng.uniform(0.3, 0.9, 300)
    found = []
    for m in _MASSES:
        kappa, gamma = Lens(m).kappa_gamma(radius)
        shear = beta * gamma / (1.0 - beta * kappa)
        empty = lab.profile(Lens(m), shear, radius_mpc=radius, error=0.25)
        galaxies = replace(empty, beta_s=beta, beta_s2=beta**2, n_gal=np.ones(300))
        found.append(ln_mass(scan.fit(galaxies, lab.model(4.0))) - math.log(m))
    return float(np.abs(found).max())


@check(
    2.5e-3,
    quantity="largest error of ln M",
    reason="<beta_s^2> / <beta_s> is second order in kappa",
    source="mean over 400 sources of the reduced shear of Wright & Brainerd 2000",
)
def noise_free_mass_with_many_source_redshifts(lab: Lab) -> float:
    """Mass of the exact mean shear of sources at many redshifts, from its two moments."""
    z = np.linspace(0.05, 3.0, 2001)
    cumulative = np.cumsum(z**2 * np.exp(-((z / 0.7) ** 1.5)))
    sources = np.interp((np.arange(400) + 0.5) / 400, cumulative / cumulative[-1], z)
    found = []
    for m in _MASSES:
        lens = Lens(m)
        beta = lens.background.beta_s(sources, lens.z)
        radius = np.geomspace(0.5, 2.5, 10)
        value = lens.reduced_shear(radius, beta)
        profile = lab.profile(lens, value, beta=(beta.mean(), float((beta**2).mean())), radius_mpc=radius)
        found.append(ln_mass(scan.fit(profile, lab.model(4.0))) - math.log(m))
    return float(np.abs(found).max())


@check(
    1e-3,
    quantity="largest error of ln M",
    reason=_GRID,
    source=_WB + "; concentration of Duffy et al. 2008: 5.71 (M h / 2e12)^-0.084 (1 + z)^-0.47",
)
def noise_free_mass_with_a_relation(lab: Lab) -> float:
    """Mass of a halo that lies on the concentration relation of the model."""
    found = []
    for m in _MASSES:
        c = 5.71 * (m * 0.7 / 2e12) ** -0.084 * 1.3**-0.47
        found.append(ln_mass(scan.fit(lab.profile(Lens(m, c)), lab.model("duffy08"))) - math.log(m))
    return float(np.abs(found).max())


@check(
    1e-4,
    quantity="largest error of ln L - ln L_max",
    reason="stated interpolation of ln L, 1e-5 within 6 sigma",
    source="-chi^2 / 2 of Wright & Brainerd 2000, mass by mass",
)
def likelihood(lab: Lab) -> float:
    """The stored ln L on the mass grid, within 6 standard deviations of a noisy halo's best mass."""
    rng, radius = np.random.default_rng(3), np.geomspace(0.35, 2.8, 10)
    worst = 0.0
    for m in _MASSES:
        value = Lens(m).reduced_shear(radius, PLANE) + 0.02 * rng.normal(size=10)
        fit = scan.fit(lab.profile(Lens(m), value), lab.model(4.0))
        got = fit.ln_like["200c"]
        want = np.array([-0.5 * chi_squared(value, 0.02, Lens(float(x)), radius) for x in fit.mass_msun])
        near = want > want.max() - 18.0
        worst = max(worst, float(np.abs((got - got.max()) - (want - want.max()))[near].max()))
    return worst


@check(
    1e-4,
    quantity="largest error of ln L - ln L_max",
    reason="stated interpolation of ln L, 1e-5 within 6 sigma",
    source="-1/2 r^T C^-1 r by numpy's solve, C = diag(error^2) + covariance, r by Wright & Brainerd 2000",
)
def likelihood_with_covariance(lab: Lab) -> float:
    """A covariance beside the errors, as of structure along the line of sight."""
    rng, radius = np.random.default_rng(4), np.geomspace(0.35, 2.8, 10)
    lens = Lens()
    extra = 3e-4 * np.exp(-np.abs(np.subtract.outer(np.arange(10), np.arange(10))) / 3.0)
    value = lens.reduced_shear(radius, PLANE) + 0.02 * rng.normal(size=10)
    fit = scan.fit(replace(lab.profile(lens, value), covariance=extra), lab.model(4.0))
    total = np.diag(np.full(10, 0.02**2)) + extra
    want = []
    for m in fit.mass_msun:
        residual = value - Lens(float(m)).reduced_shear(radius, PLANE)
        want.append(-0.5 * residual @ np.linalg.solve(total, residual))
    got, expected = fit.ln_like["200c"], np.array(want)
    near = expected > expected.max() - 18.0
    return float(np.abs((got - got.max()) - (expected - expected.max()))[near].max())


@check(
    1e-3,
    quantity="relative error of the mass",
    reason=_GRID,
    source="mirrored data: the shear of -M is that of M with its sign",
)
def negative_mass(lab: Lab) -> float:
    """A profile that is negative as noise can make it gives a negative mass, not a cut."""
    profile = lab.profile(Lens())
    fit = scan.fit(replace(profile, value=-profile.value), lab.model(4.0))
    return relative(fit.summary["mass_ml_msun"], -Lens().mass)


@check(
    1e-3,
    quantity="largest error of ln M",
    reason=_GRID,
    source="brentq for the radius of 500 rho_c in a textbook NFW halo",
)
def other_mass_definitions(lab: Lab) -> float:
    """The likelihood of 500c masses is that of the same haloes' 200c masses."""
    from scipy.optimize import brentq

    fit = scan.fit(lab.profile(Lens()), lab.model(4.0, mass_definitions=("200c", "500c")))
    x = brentq(lambda x: nfw_mass(x) / x**3 - 2.5 * nfw_mass(4.0) / 64.0, 0.1, 10.0)
    want = 5e14 * float(nfw_mass(x) / nfw_mass(4.0))
    ln_like = fit.ln_like["500c"]
    peak = summarise(Axis(np.log(fit.mass_msun)), np.exp(ln_like - ln_like.max())).mode
    return abs(peak - math.log(want))


@check(
    0.01,
    reason="linear interpolation where ln L crosses its maximum - 1/2, in steps of 2.5 %",
    source="brentq for the two masses whose chi squared by Wright & Brainerd 2000 is 1 above the least",
)
def error_of_the_mass(lab: Lab) -> float:
    """The standard error of the best mass: half the range in which ln L is within 1/2 of its maximum."""
    from scipy.optimize import brentq

    lens, radius = Lens(), np.geomspace(0.35, 2.8, 10)
    value = lens.reduced_shear(radius, PLANE)
    fit = scan.fit(lab.profile(lens), lab.model(4.0))

    def excess(ln_mass: float) -> float:
        return chi_squared(value, 0.02, Lens(math.exp(ln_mass)), radius) - 1.0

    middle = math.log(lens.mass)
    low, high = (math.exp(brentq(excess, middle, middle + step)) for step in (-1.0, 1.0))
    return relative(fit.summary["mass_err_msun"], 0.5 * (high - low))


@check(
    2e-3,
    reason="the mass grid's trapezoids",
    source="scipy quad of exp(-chi^2 / 2) of Wright & Brainerd 2000 over M and over ln M",
)
def posterior_summaries(lab: Lab) -> float:
    """Mean and median of the mass under priors flat in M and in ln M."""
    rng, radius = np.random.default_rng(6), np.geomspace(0.35, 2.8, 10)
    lens = Lens()
    value = lens.reduced_shear(radius, PLANE) + 0.03 * rng.normal(size=10)
    profile = lab.profile(lens, value, error=0.03)
    mass = np.geomspace(1e12, 2e16, 6001)
    ln_like = np.array([-0.5 * chi_squared(value, 0.03, Lens(float(m)), radius) for m in mass])
    like = np.exp(ln_like - ln_like.max())
    worst = 0.0
    for prior, x in (("flat", mass), ("log", np.log(mass))):
        fit = scan.fit(profile, lab.model(4.0), prior=prior)  # type: ignore[arg-type]
        cumulative = np.concatenate([[0.0], np.cumsum(0.5 * (like[1:] + like[:-1]) * np.diff(x))])
        mean = np.trapezoid(like * mass, x) / cumulative[-1]
        median = np.interp(0.5 * cumulative[-1], cumulative, mass)
        worst = max(
            worst, relative([fit.summary["mass_mean_msun"], fit.summary["mass_median_msun"]], [mean, median])
        )
    return worst


@check(1e-12, reason="rounding", source="scipy.stats.chi2")
def chi_squared_probability(lab: Lab) -> float:
    """Probability of a larger chi squared, odd and even degrees of freedom."""
    from scipy.stats import chi2

    cases = [(0.3, 1), (4.0, 2), (9.7, 7), (31.0, 12), (12.0, 25)]
    return relative([chi2_probability(c, d) for c, d in cases], [chi2.sf(c, d) for c, d in cases])


@check(
    0.01,
    reason="the interval is searched to 3e-4 in probability",
    source="a normal likelihood: mean, median, mode, +- 1 sigma",
)
def grid_statistics(lab: Lab) -> float:
    """Summaries of a density on a grid: mean, median, mode and highest-density interval."""
    x = np.linspace(-3.0, 5.0, 401)
    found = summarise(Axis(x), np.exp(-0.5 * ((x - 0.7) / 0.5) ** 2))
    got = [
        found.mean - 0.7,
        found.median - 0.7,
        found.mode - 0.7,
        found.hdi_lo - 0.2,
        found.hdi_hi - 1.2,
    ]
    return float(np.abs(got).max() / 0.5)
