"""Checks of the fitter ``nuts``: its draws against integrals of the same posterior."""

from __future__ import annotations

import math

import numpy as np

from clmassmod.fitters import nuts
from clmassmod.fitters.density import HaloDensity
from clmassmod.validate.checks import check
from clmassmod.validate.lab import PLANE, Lab
from clmassmod.validate.reference import Array, Lens

_RADIUS = np.geomspace(0.35, 2.8, 10)
_ERROR = 0.02
_FREE = {"concentration": {"range": (1.0, 20.0)}}
_BY_SUM = "sums of exp(-chi^2 / 2) of Wright & Brainerd 2000 over a grid of M and ln c"


def _value(seed: int) -> Array:
    return Lens().reduced_shear(_RADIUS, PLANE) + _ERROR * np.random.default_rng(seed).normal(size=10)


def _grid(value: Array) -> tuple[Array, Array, Array]:
    """Return ln M, ln c and the posterior on their grid (M, c), flat in M and in ln c."""
    ln_m, ln_c = np.linspace(math.log(8e13), math.log(3e15), 90), np.linspace(0.0, math.log(20.0), 60)

    def chi2(m: float, c: float) -> float:
        return float(
            (((value - Lens(math.exp(m), math.exp(c)).reduced_shear(_RADIUS, PLANE)) / _ERROR) ** 2).sum()
        )

    ln_like = np.array([[-0.5 * chi2(m, c) for c in ln_c] for m in ln_m])
    density = np.exp(ln_like - ln_like.max() + ln_m[:, np.newaxis] - ln_m.max())
    return ln_m, ln_c, density / density.sum()


@check(
    1e-3,
    quantity="largest error of differences of ln density",
    reason="cubic interpolation of tabulated profiles",
    source="-chi^2 / 2 of Wright & Brainerd 2000, priors flat in M and in ln c, Jacobians of the "
    "mapping by differences",
)
def density(lab: Lab) -> float:
    """Logarithm of the density that is sampled, as a function of mass and concentration."""
    value = _value(1)
    model = lab.model(4.0, nuisance=_FREE)
    made = HaloDensity(model, model.prepare(lab.profile(Lens(), value)), "flat")
    rng, found = np.random.default_rng(3), []
    start = made.start(5e14)
    for _ in range(25):
        x = start + 0.3 * rng.normal(size=len(start))
        kept = made.expand(x)
        m, c = kept["mass_msun"], kept["concentration"]
        chi2 = (((value - Lens(m, c).reduced_shear(_RADIUS, PLANE)) / _ERROR) ** 2).sum()
        jacobian = 0.0  # of M and ln c with respect to the unconstrained parameters
        for i, name in enumerate(("mass_msun", "concentration")):
            step = np.zeros(len(x))
            step[i] = 1e-5
            up, down = made.expand(x + step)[name], made.expand(x - step)[name]
            slope = (up - down) if i == 0 else math.log(up / down)
            jacobian += math.log(abs(slope) / 2e-5)
        found.append(made(x)[0] - (-0.5 * chi2 + jacobian))
    return float(np.ptp(found))


@check(
    1e-5,
    reason="central differences with steps of 1e-5",
    source="central differences of the density itself",
    quantity="largest error of the gradient over its size",
)
def gradient(lab: Lab) -> float:
    """Gradient of the ln density, with every nuisance parameter."""
    nuisance = _FREE | {
        "miscentring": {"scale_mpc": 0.2, "fraction": 0.5},
        "two_halo": {"mean": 1.0, "sd": 0.5},
        "shear_bias": {"mean": 0.0, "sd": 0.05},
    }
    model = lab.model(4.0, nuisance=nuisance)
    made = HaloDensity(model, model.prepare(lab.profile(Lens(), _value(1))), "flat")
    start, rng, worst = made.start(5e14), np.random.default_rng(4), 0.0
    for _ in range(5):
        x = start + 0.3 * rng.normal(size=len(start))
        numeric = np.empty(len(x))
        for i in range(len(x)):
            step = np.zeros(len(x))
            step[i] = 1e-5
            numeric[i] = (made(x + step)[0] - made(x - step)[0]) / 2e-5
        worst = max(worst, float(np.abs(made(x)[1] - numeric).max() / np.abs(numeric).max()))
    return worst


@check(
    0.1,
    quantity="largest shift in posterior standard deviations",
    reason="noise of the mean of 1,200 effective draws is 0.03",
    source=_BY_SUM,
)
def posterior(lab: Lab) -> float:
    """Means of ln M and ln c, and their widths, of a noisy halo with a free concentration."""
    value = _value(2)
    model, rng = lab.model(4.0, nuisance=_FREE), np.random.default_rng(1)
    fit = nuts.fit(lab.profile(Lens(), value), model, rng=rng, draws=2000, tune=1000)
    ln_m, ln_c, density = _grid(value)
    worst = 0.0
    for name, x, weight in (
        ("mass_msun", ln_m, density.sum(axis=1)),
        ("concentration", ln_c, density.sum(axis=0)),
    ):
        mean = float(weight @ x)
        sd = math.sqrt(float(weight @ (x - mean) ** 2))
        drawn = np.log(np.asarray(fit.posterior[name])).ravel()
        worst = max(worst, abs(drawn.mean() - mean) / sd, abs(drawn.std() / sd - 1.0))
    if not fit.diagnostics["converged"]:
        return math.nan
    return worst


@check(
    0.02,
    quantity="largest error of ln M",
    reason="noise of 4,000 draws; a profile with errors of 2e-4",
    source="Wright & Brainerd 2000, data made by the formula",
)
def noise_free_mass(lab: Lab) -> float:
    """Median mass and concentration of a halo without noise whose errors are small."""
    fit = nuts.fit(
        lab.profile(Lens(), error=1e-3), lab.model(4.0, nuisance=_FREE), rng=np.random.default_rng(2)
    )
    c = float(np.median(np.asarray(fit.posterior["concentration"])))
    return max(abs(math.log(fit.summary["mass_median_msun"] / 5e14)), 0.5 * abs(math.log(c / 4.0)))


@check(
    1e-9,
    quantity="largest difference of ln L",
    reason="the same function",
    source="the likelihood without a sampler: fitter scan",
)
def stored_likelihood(lab: Lab) -> float:
    """What a sampler stores for the ensemble is the marginal likelihood, free of its prior."""
    from clmassmod.fitters import scan

    profile, model = lab.profile(Lens(), _value(2)), lab.model(4.0, nuisance=_FREE)
    got = nuts.fit(profile, model, rng=np.random.default_rng(3), draws=50, tune=50).ln_like["200c"]
    return float(np.abs(got - scan.fit(profile, model).ln_like["200c"]).max())
