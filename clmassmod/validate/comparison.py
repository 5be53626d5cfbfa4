"""Checks of bias and scatter against truth: what is put in comes back, exactly and by the sampler."""

from __future__ import annotations

import math

import numpy as np

from clmassmod import bias
from clmassmod.core.likelihoods import LikelihoodTable
from clmassmod.core.population import ln_grouped, ln_population
from clmassmod.posterior import Posterior
from clmassmod.validate.checks import check
from clmassmod.validate.lab import Lab
from clmassmod.validate.populations import Population, draw, exact_moments, shift

_SD = "largest difference in posterior standard deviations"
_EXACT = "closed form: normal likelihoods times a normal population; sums over ln b and ln scatter"
_DRAWN = "the population that was drawn"
_THREE = "a chance of 0.003 each; the seed is fixed"
_PULL = "largest deviation in posterior standard deviations"


def _pull(found: Posterior, truth: dict[str, float]) -> float:
    """Return the largest deviation; NaN where chains have not converged."""
    if any("chains" in text for text in found.warnings):
        return math.nan
    return max(abs(found.mean[name] - value) / found.sd[name] for name, value in truth.items())


def _table(made: Population) -> LikelihoodTable:
    return LikelihoodTable([(f.mass_msun, f.ln_like["200c"]) for f in made.fits], made.ln_true)


@check(0.01, quantity=_SD, reason="grids of 49 x 49 nodes, refined by cubics", source=_EXACT)
def grid_posterior(lab: Lab) -> float:
    """Joint posterior of ln b and scatter of 400 haloes by the exact grid."""
    made = draw(400, ln_bias=math.log(0.93))
    found = bias.fit(made.fits, made.truth, seed=1)
    return shift(found, "ln_bias", exact_moments(made.offset, made.noise, (-0.3, 0.15), (0.08, 0.45)))


@check(
    0.1,
    quantity=_SD,
    reason="noise of 4,000 draws, 0.03 of a standard deviation",
    source="the posterior by the exact grid, which is checked in closed form",
)
def grid_against_sampler(lab: Lab) -> float:
    """The sampler gives the posterior of the grid; its chains have converged."""
    made = draw(100, ln_bias=math.log(0.93), scatter=0.3, noise=(0.1, 0.3), seed=3)
    grid = bias.fit(made.fits, made.truth, seed=1)
    drawn = bias.fit(made.fits, made.truth, method="nuts", seed=1)
    if any("chains" in text for text in drawn.warnings):
        return math.nan
    want = {
        key: (grid.mean[name], grid.sd[name])
        for key, name in (("location", "ln_bias"), ("ln_scatter", "ln_scatter"))
    }
    return shift(drawn, "ln_bias", want)


@check(3.0, quantity=_PULL, reason=_THREE, source=_DRAWN + ": b = 0.93, scatter 0.22, 2,000 haloes")
def injected_bias_and_scatter(lab: Lab) -> float:
    """A bias of 0.93 and a scatter of 0.22 come back."""
    made = draw(2000, ln_bias=math.log(0.93), scatter=0.22, seed=5)
    found = bias.fit(made.fits, made.truth, seed=1)
    return _pull(found, {"ln_bias": math.log(0.93), "ln_scatter": math.log(0.22)})


@check(
    3.0,
    quantity=_PULL,
    reason=_THREE,
    source=_DRAWN + ": slopes 0.15 in ln M, -0.8 in ln(1 + z), scatter slope -0.3",
)
def injected_trends(lab: Lab) -> float:
    """Trends of bias and scatter with mass and redshift come back."""
    made = draw(
        300,
        ln_bias=math.log(0.93),
        scatter=0.22,
        noise=(0.1, 0.3),
        slope=(0.15, -0.8),
        scatter_slope=-0.3,
        seed=6,
    )
    found = bias.fit(made.fits, made.truth, model="trend", method="nuts", seed=1)
    truth = {"ln_bias_mass": 0.15, "ln_bias_z": -0.8, "ln_scatter_mass": -0.3, "ln_scatter_z": 0.0}
    return _pull(found, truth)


@check(
    3.0,
    quantity=_PULL,
    reason=_THREE,
    source=_DRAWN + ": Student's t with 3 degrees of freedom and scale 0.2",
)
def heavy_tails(lab: Lab) -> float:
    """Scatter with heavy tails: location, scale and degrees of freedom by the grid."""
    shapes = np.random.default_rng(8).standard_t(3.0, 800)
    made = draw(800, ln_bias=-0.1, scatter=0.2, noise=(0.05, 0.15), shapes=shapes, seed=7)
    found = bias.fit(made.fits, made.truth, model="student", seed=1)
    ln_nu = np.log(found.samples["student_nu"])
    of_nu = abs(float(ln_nu.mean()) - math.log(3.0)) / float(ln_nu.std())
    return max(_pull(found, {"ln_bias": -0.1, "ln_scatter": math.log(0.2)}), of_nu)


@check(
    3.0,
    quantity=_PULL,
    reason=_THREE,
    source=_DRAWN + ": 15 % of haloes scatter 4 times as much, shifted by 0.3",
)
def mixture(lab: Lab) -> float:
    """Two components of the scatter."""
    rng = np.random.default_rng(9)
    outlier = rng.random(400) < 0.15
    shapes = np.where(outlier, 0.3 / 0.12 + 4.0 * rng.normal(size=400), rng.normal(size=400))
    made = draw(400, ln_bias=-0.1, scatter=0.12, noise=(0.03, 0.06), shapes=shapes, seed=8)
    found = bias.fit(made.fits, made.truth, model="mixture", method="nuts", seed=1)
    return _pull(found, {"ln_bias": -0.1, "outlier_fraction": 0.15, "outlier_shift": 0.3})


@check(
    1e-4,
    quantity="largest error of ln L",
    reason="trapezoids in the common effect; cubics in ln L",
    source="closed form: offsets of a group are normal with covariance own^2 + noise^2 on the "
    "diagonal + shared^2",
)
def projections_of_one_halo(lab: Lab) -> float:
    """Projections of one parent share a random effect: their joint likelihood."""
    made = draw(30, projections=3, correlation=0.6, scatter=0.3, seed=10)
    own, shared, locations = 0.2, 0.25, np.array([-0.1, 0.05, 0.2])
    got = ln_grouped(_table(made), np.arange(0, 30, 3), locations, own, shared)
    want = np.zeros(3)
    for i in range(0, 30, 3):
        rows = slice(i, i + 3)
        covariance = np.diag(own**2 + made.noise[rows] ** 2) + shared**2
        for k, b in enumerate(locations):
            r = made.offset[rows] - b
            want[k] += (
                -0.5 * r @ np.linalg.solve(covariance, r) - 0.5 * np.linalg.slogdet(2 * np.pi * covariance)[1]
            )
        # relative to each halo's largest stored likelihood
        for j in range(i, i + 3):
            want += 0.5 * math.log(2 * math.pi * made.noise[j] ** 2) - made.fits[j].ln_like["200c"].max()
    return float(np.abs(got - want).max())


@check(
    3.0,
    quantity=_PULL,
    reason=_THREE,
    source=_DRAWN + ": b = 0.95, scatter 0.25, half of its variance shared by three",
)
def injected_common_scatter(lab: Lab) -> float:
    """Bias, scatter and the part of the scatter that projections of a halo share."""
    made = draw(
        900, ln_bias=math.log(0.95), scatter=0.25, noise=(0.05, 0.2), projections=3, correlation=0.5, seed=11
    )
    found = bias.fit(made.fits, made.truth, seed=1)
    return _pull(found, {"ln_bias": math.log(0.95), "ln_scatter": math.log(0.25), "parent_correlation": 0.5})


@check(
    1e-4,
    quantity="largest error of the identity in ln L",
    reason="cubics in ln L between stored masses",
    source="multiplying every L(M) by M^k gives ln L(ln b + k s^2, s) + N (k ln b + k^2 s^2 / 2) + "
    "k sum ln M_true",
)
def likelihoods_times_a_power_of_mass(lab: Lab) -> float:
    """An identity of the marginal likelihood: what a prior left in the likelihoods would do, exactly."""
    made, k = draw(40, noise=(0.15, 0.4), seed=12), 0.7
    location, s = np.array([-0.2, 0.0, 0.3]), 0.25
    tilted = LikelihoodTable(
        [(f.mass_msun, f.ln_like["200c"] + k * np.log(f.mass_msun)) for f in made.fits], made.ln_true
    )
    tops = [[float((f.ln_like["200c"] + p * np.log(f.mass_msun)).max()) for f in made.fits] for p in (0.0, k)]
    got = ln_population(tilted, location, np.array([s]))[:, 0] + sum(tops[1])
    want = ln_population(_table(made), location + k * s * s, np.array([s]))[:, 0] + sum(tops[0])
    want += len(made.fits) * (k * location + 0.5 * k * k * s * s) + k * made.ln_true.sum()
    return float(np.abs(got - want).max())
