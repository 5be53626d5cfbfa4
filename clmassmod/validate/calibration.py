"""Checks of the calibration of bias and scatter, and of the statistics that show it."""

from __future__ import annotations

import math

import numpy as np

from clmassmod import bias
from clmassmod.core import calibration as statistics
from clmassmod.core.bootstrap import group_counts, mean_with_error
from clmassmod.core.pullfits import fit_pulls
from clmassmod.validate.checks import check
from clmassmod.validate.lab import Lab, standard_errors
from clmassmod.validate.populations import draw
from clmassmod.validate.reference import Array, relative

_LEVELS = (0.68, 0.95)


def _ensembles(lab: Lab) -> tuple[Array, Array]:
    found: tuple[Array, Array] = lab.once("calibration of ensembles", lambda: _draw_ensembles(200))
    return found


def _draw_ensembles(n: int) -> tuple[Array, Array]:
    """Return posterior probabilities of ln b and ln scatter below truths of the prior, (n,)."""
    rng = np.random.default_rng(31)
    found = []
    prior = {"ln_bias": (-0.3, 0.3), "scatter": (0.1, 0.6)}
    for i in range(n):
        truth = float(rng.uniform(-0.3, 0.3)), float(np.exp(rng.uniform(math.log(0.1), math.log(0.6))))
        made = draw(30, ln_bias=truth[0], scatter=truth[1], seed=1000 + i)
        posterior = bias.fit(made.fits, made.truth, prior=prior, seed=i)
        draws = posterior.samples["ln_bias"], posterior.samples["ln_scatter"]
        found.append(
            [float((d < t).mean()) for d, t in zip(draws, (truth[0], math.log(truth[1])), strict=True)]
        )
    of_bias, of_scatter = np.array(found).T
    return of_bias, of_scatter


@check(
    0.01,
    at_least=True,
    quantity="smaller probability of a larger chi squared of 10 bins",
    reason="false alarm in fifty seeds; the seed is fixed",
    source="simulation-based calibration (Talts et al. 2018): truths from the prior have uniform "
    "posterior probabilities",
)
def ranks_of_bias_and_scatter(lab: Lab) -> float:
    """Ranks of true bias and scatter in the posteriors of 200 ensembles of 30 haloes."""
    from scipy.stats import chisquare

    return min(float(chisquare(np.histogram(p, 10, (0.0, 1.0))[0]).pvalue) for p in _ensembles(lab))


@check(
    3.0,
    quantity="largest deviation in binomial errors",
    reason="a chance of 0.003 each; the seed is fixed",
    source="an interval of 68 % (95 %) holds the truth in that share of ensembles",
)
def coverage_of_bias_and_scatter(lab: Lab) -> float:
    """Equal-tailed intervals of bias and scatter hold the truth as often as they say."""
    worst = 0.0
    for p in _ensembles(lab):
        for level in _LEVELS:
            share = float((np.abs(p - 0.5) < 0.5 * level).mean())
            worst = max(worst, abs(share - level) / math.sqrt(level * (1 - level) / p.size))
    return worst


@check(
    0.01,
    at_least=True,
    quantity="smallest probability of the Kolmogorov–Smirnov test",
    reason="false alarm in a hundred seeds; the seed is fixed",
    source="scipy: PIT of haloes without scatter, and of lensing masses about their population, are uniform",
)
def probability_integral_transforms(lab: Lab) -> float:
    """PIT of true masses in halo posteriors, and of lensing masses about the inferred population."""
    from scipy.stats import kstest

    exact = draw(1500, scatter=1e-6, seed=41)
    halo = bias.calibration(exact.fits, exact.truth, prior="log").pit
    made = draw(1500, ln_bias=-0.1, seed=42)
    posterior = bias.fit(made.fits, made.truth, seed=1)
    latent = bias.calibration(made.fits, made.truth, posterior=posterior, seed=5).population_pit
    return min(float(kstest(v, "uniform").pvalue) for v in (halo, latent))


@check(
    0.005,
    reason="the probability of Anderson–Darling's statistic to 1e-4 for small samples, of 0.05",
    source="scipy kstest; A^2 by its integral over the distribution function; Anderson & Darling's "
    "5 % point, 2.492",
)
def tests_of_uniformity(lab: Lab) -> float:
    """Kolmogorov–Smirnov and Anderson–Darling tests."""
    from scipy.integrate import quad
    from scipy.stats import kstest

    values = np.sort(np.random.default_rng(3).random(25) ** 1.2)
    found = statistics.goodness_uniform(values)
    want = kstest(values, "uniform")
    ends = np.concatenate([[0.0], values, [1.0]])
    squared = 25 * sum(
        quad(lambda u, i=i: (i / 25 - u) ** 2 / (u * (1 - u)), ends[i], ends[i + 1])[0] for i in range(26)
    )
    tail = statistics.anderson_darling_p(2.492, 10**6)
    return max(
        relative([found.ks, found.ks_p, found.anderson], [want.statistic, want.pvalue, squared]),
        relative(tail, 0.05),
    )


@check(1e-12, reason="rounding", source="binomial error; chi squared of counts by scipy")
def coverage_and_ranks(lab: Lab) -> float:
    """Coverage of intervals, and chi squared of ranks."""
    from scipy.stats import chisquare

    pit = np.random.default_rng(4).random(500)
    worst = 0.0
    for c in statistics.coverage(pit):
        share = float(np.mean(np.abs(pit - 0.5) <= 0.5 * c.level))
        worst = max(worst, relative([c.share, c.error], [share, math.sqrt(c.level * (1 - c.level) / 500)]))
    ranks = np.floor(pit * 200).astype(int)
    got = statistics.rank_test(ranks, 199, 20)
    want = chisquare(np.histogram(ranks, 20, (0, 200))[0])
    return max(worst, relative([got.chi2, got.p], [want.statistic, want.pvalue]))


@check(
    3.5,
    quantity="largest deviation in standard errors",
    reason="a chance of 5e-4 each; the seed is fixed",
    source="the distributions that were drawn: normal, Student's t with 4 degrees of freedom, Voigt",
)
def distributions_of_pulls(lab: Lab) -> float:
    """Normal, Student and Voigt fits of pulls."""
    rng = np.random.default_rng(5)
    normal = rng.normal(0.2, 1.3, 4000)
    cases = (
        ("normal", normal, {"location": 0.2, "scale": 1.3}),
        ("student", 0.2 + 1.3 * rng.standard_t(4.0, 4000), {"location": 0.2, "scale": 1.3, "nu": 4.0}),
        ("voigt", normal + 0.5 * rng.standard_cauchy(4000), {"location": 0.2, "scale": 1.3, "gamma": 0.5}),
    )
    worst = 0.0
    for name, values, truth in cases:
        fit = next(f for f in fit_pulls(values) if f.name == name)
        worst = max(worst, *(abs(fit.parameters[k] - v) / fit.errors[k] for k, v in truth.items()))
    return worst


@check(0.05, reason="2,000 resamples: 1.6 %", source="error of the mean of independent parents, by numpy")
def bootstrap_over_parents(lab: Lab) -> float:
    """Errors by resampling parents, whose projections go together."""
    rng = np.random.default_rng(6)
    group = np.arange(900) // 3
    values = rng.normal(size=300)[group] + 0.1 * rng.normal(size=900)
    _, error = mean_with_error(values, group, group_counts(300, 2000, rng))
    means = values.reshape(300, 3).mean(axis=1)
    return relative(error, means.std(ddof=1) / math.sqrt(300))


@check(
    4.0,
    quantity="largest deviation in standard errors",
    reason="a chance of 6e-5 for a seed; the seed is fixed",
    source="without scatter the product of likelihoods is normal about the weighted mean of their centres",
)
def stacked_bias(lab: Lab) -> float:
    """The bias of the stack, and the pulls of halo masses, of haloes without scatter."""
    made = draw(600, ln_bias=-0.08, scatter=1e-6, noise=(0.1, 0.3), seed=43)
    found = bias.calibration(made.fits, made.truth, seed=1)
    weight = made.noise**-2
    exact = float(weight @ made.offset / weight.sum())
    stack = math.log(found.biases["stack"].value)
    return max(
        abs(stack - exact) * 1e4,
        abs(standard_errors(made.offset / made.noise, -0.08 * float((1 / made.noise).mean()))),
    )
