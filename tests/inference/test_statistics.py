"""Pulls, probabilities, coverage, goodness of fit, and the estimates of bias that papers quote."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import cauchy, goodness_of_fit, kstest, norm, uniform
from scipy.stats import t as student

from clmassmod import bias
from clmassmod.core.calibration import (
    anderson_darling,
    anderson_darling_p,
    coverage,
    goodness_normal,
    goodness_uniform,
    pulls,
    rank_test,
)
from clmassmod.core.gridstats import cumulative, quantile
from clmassmod.core.pullfits import fit_pulls
from clmassmod.records import HaloFit

pytestmark = pytest.mark.inference


def test_anderson_darling_is_that_of_tables_and_of_scipy():
    # Anderson & Darling 1954, J. Am. Stat. Assoc. 49, 765: asymptotic significance points
    for p, critical in ((0.10, 1.933), (0.05, 2.492)):
        assert anderson_darling_p(critical, 10_000) == pytest.approx(p, rel=0.005)
    values = np.sort(np.random.default_rng(1).random(60) ** 1.2)
    found = goodness_of_fit(
        uniform,
        values,
        known_params={"loc": 0.0, "scale": 1.0},
        statistic="ad",
        n_mc_samples=4000,
        rng=np.random.default_rng(2),
    )
    squared = anderson_darling(values)
    assert squared == pytest.approx(found.statistic, rel=1e-9)
    error = np.sqrt(found.pvalue * (1 - found.pvalue) / 4000)
    assert abs(anderson_darling_p(squared, 60) - found.pvalue) < 4 * error


@pytest.mark.parametrize("n", [8, 300])
def test_probabilities_of_both_tests_are_uniform(n):
    rng = np.random.default_rng(3)
    found = [goodness_uniform(rng.random(n)) for _ in range(600)]
    for name in ("ks_p", "anderson_p"):
        assert kstest([getattr(f, name) for f in found], "uniform").pvalue > 0.01, name


def test_tests_see_what_is_wrong_and_nothing_else():
    rng = np.random.default_rng(4)
    good = pulls(5.0 + rng.normal(size=2000), np.ones(2000), np.full(2000, 5.0))
    assert min(goodness_normal(good)[2], goodness_normal(good)[4]) > 0.01
    narrow = goodness_normal(0.85 * good)
    assert max(narrow.ks_p, narrow.anderson_p) < 1e-3
    assert goodness_normal(np.array([np.nan])).n == 0
    assert goodness_normal(np.append(good, [np.inf, np.nan])).n == 2000


def test_quantiles_keep_off_a_gap_in_the_density():
    x = np.linspace(0.0, 10.0, 1001)
    density = ((x <= 1) | (x >= 9)).astype(float)
    found = quantile(x, cumulative(x, density), np.array([0.25, 0.49, 0.51, 0.75]))
    assert found == pytest.approx([0.5, 0.98, 9.02, 9.5], abs=0.02)


def test_coverage_counts_what_equal_tailed_intervals_hold():
    pit = np.append((np.arange(1000) + 0.5) / 1000, np.nan)
    found = coverage(pit)
    assert [c.share for c in found] == [0.68, 0.95]
    assert [c.n for c in found] == [1000, 1000]
    assert found[0].error == pytest.approx(np.sqrt(0.68 * 0.32 / 1000))
    assert coverage(np.array([0.01, 0.5]), (0.9,))[0].share == 0.5


def test_ranks_are_binned_evenly():
    found = rank_test(np.arange(100), 99, 20)
    assert np.array_equal(found.counts, np.full(20, 5))
    assert found.p == 1.0
    assert rank_test(np.arange(50), 99, 20).p < 1e-3
    with pytest.raises(ValueError, match="do not divide"):
        rank_test(np.arange(5), 100, 20)


@pytest.mark.parametrize("kind", ["normal", "student", "voigt"])
def test_pull_distributions_are_recovered(kind):
    rng = np.random.default_rng(5)
    draw = {
        "normal": lambda n: 0.3 + 1.2 * norm.rvs(size=n, random_state=rng),
        "student": lambda n: 0.3 + 1.2 * student.rvs(4.0, size=n, random_state=rng),
        "voigt": lambda n: (
            0.3 + 1.2 * norm.rvs(size=n, random_state=rng) + 0.4 * cauchy.rvs(size=n, random_state=rng)
        ),
    }[kind]
    fits = {f.name: f for f in fit_pulls(draw(4000))}
    truth = {"location": 0.3, "scale": 1.2, "nu": 4.0, "gamma": 0.4}
    found = fits[kind]
    for name, value in found.parameters.items():
        assert abs(value - truth[name]) < 4 * found.errors[name], name
        assert found.errors[name] < 0.2 * truth["nu" if name == "nu" else "scale"]
    best = min(fits.values(), key=lambda f: f.aic)
    assert best.name == kind or best.aic > found.aic - 4  # the wider families hold the normal one
    if kind == "normal":  # and say that they need no more: nu large, gamma none
        assert fits["student"].parameters["nu"] > 20
        assert fits["voigt"].parameters["gamma"] < 0.1
    # the errors are those of repeated samples
    if kind == "student":
        again = [fit_pulls(draw(500))[1].parameters["scale"] for _ in range(30)]
        assert np.std(again) == pytest.approx(found.errors["scale"] * np.sqrt(8), rel=0.4)


def test_few_or_equal_values_have_no_distribution():
    assert fit_pulls(np.array([1.0, np.nan, 2.0])) == ()
    assert fit_pulls(np.ones(50)) == ()


def in_mass(n=1500, ln_bias=-0.1, scatter=0.2, seed=6, tail=None, noise=(0.5e14, 2e14), projections=1):
    """Haloes whose likelihoods are normal in M, so that point estimates may be negative."""
    rng = np.random.default_rng(seed)
    grid = np.geomspace(1e12, 2e16, 400)
    parents = n // projections
    parent = np.arange(n) // projections
    true = (2e14 * np.exp(rng.exponential(0.5, parents)))[parent]
    deviate = rng.normal(size=parents) if tail is None else student.rvs(tail, size=parents, random_state=rng)
    lens = true * np.exp(ln_bias + scatter * deviate[parent])
    error = rng.uniform(*noise, n)
    best = lens + error * rng.normal(size=n)
    fits, truth = [], {}
    for i in range(n):
        name = f"h{i:05d}"
        made = HaloFit.from_likelihood(
            name, 0.4, grid, -0.5 * ((grid - best[i]) / error[i]) ** 2, parent=f"p{parent[i]:05d}"
        )
        summary = {"mass_ml_msun": best[i], "mass_err_msun": error[i]}
        fits.append(replace(made, summary=summary))
        truth[name] = float(true[i])
    return fits, truth


def test_bias_by_stack_mean_and_median():
    """Without scatter all are the bias, but for mean ln ratios of noisy haloes."""
    fits, truth = in_mass(ln_bias=np.log(0.9), scatter=0.0)
    found = bias.calibration(fits, truth, seed=1)
    for name in ("stack", "mean_ratio", "median_ratio"):
        estimate = found.biases[name]
        assert abs(estimate.value - 0.9) < 3.5 * estimate.error, name
        assert estimate.error < 0.02
    # the optimal weights win
    assert found.biases["stack"].error < 0.9 * found.biases["mean_ratio"].error
    wrong = found.biases["mean_ln_ratio"]
    print({name: f"{e.value:.3f} +- {e.error:.3f}" for name, e in found.biases.items()})
    assert wrong.value < 0.9 - 4 * wrong.error
    assert wrong.n_left_out > 10
    # pulls about the truth have the bias in them; about the lensing masses they are standard normal
    assert found.pull_normal.ks_p < 1e-3
    best = np.array([f.summary["mass_ml_msun"] for f in fits])
    error = np.array([f.summary["mass_err_msun"] for f in fits])
    unbiased = pulls(best, error, 0.9 * np.array(list(truth.values())))
    assert goodness_normal(unbiased).anderson_p > 0.01


def test_bootstrap_errors_are_the_scatter_of_repetitions():
    values, errors = {}, {}
    for seed in range(60):
        fits, truth = in_mass(n=150, scatter=0.3, seed=100 + seed)
        for name, estimate in bias.calibration(fits, truth, n_bootstrap=200, seed=seed).biases.items():
            values.setdefault(name, []).append(estimate.value)
            errors.setdefault(name, []).append(estimate.error)
    for name, repeated in values.items():
        ratio = np.mean(errors[name]) / np.std(repeated)
        print(f"{name}: bootstrap error {ratio:.2f} of the scatter")
        assert 0.75 < ratio < 1.3, name  # 60 repetitions know it to 9 %


def test_projections_are_resampled_together():
    fits, truth = in_mass(n=900, scatter=0.5, projections=3, noise=(0.02e14, 0.03e14))
    together = bias.calibration(fits, truth, seed=2).biases["mean_ratio"]
    alone = [replace(f, halo=replace(f.halo, parent_id="")) for f in fits]
    apart = bias.calibration(alone, truth, seed=2).biases["mean_ratio"]
    assert together.value == apart.value
    assert together.error == pytest.approx(np.sqrt(3) * apart.error, rel=0.1)


def test_one_parent_has_no_error_over_parents():
    """All resamplings of one parent are alike: a spread of zero would be a perfect measurement."""
    fits, truth = in_mass(n=9, projections=9)
    for name, estimate in bias.calibration(fits, truth, n_bootstrap=50).biases.items():
        assert np.isfinite(estimate.value), name
        assert np.isnan(estimate.error), name


def test_population_probabilities_see_scatter_that_is_not_normal():
    fits, truth = in_mass(ln_bias=0.05, scatter=0.2)
    posterior = bias.fit(fits, truth)
    found = bias.calibration(fits, truth, posterior=posterior)
    assert found.population_uniform.n == 1500
    assert min(found.population_uniform.ks_p, found.population_uniform.anderson_p) > 0.01
    quiet = (0.05e14, 0.1e14)
    fits, truth = in_mass(scatter=0.2, tail=2.0, noise=quiet)
    heavy = bias.calibration(fits, truth, posterior=bias.fit(fits, truth))
    print(f"p of normal scatter {found.population_uniform.anderson_p:.2f}, of heavy tails "
          f"{heavy.population_uniform.anderson_p:.1e}")  # fmt: skip
    assert heavy.population_uniform.anderson_p < 1e-3
    best = min(heavy.pull_fits, key=lambda f: f.aic)
    assert best.name != "normal"


def test_numbers_are_plain_and_other_definitions_have_no_point_estimates():
    import json

    fits, truth = in_mass(n=40)
    fits = [replace(f, ln_like={**f.ln_like, "500c": f.ln_like["200c"]}) for f in fits]
    numbers = bias.calibration(fits, truth).numbers()
    json.dumps(numbers)
    assert set(numbers["coverage"]) == {"0.68", "0.95"}
    assert set(numbers["biases"]) == {"stack", "mean_ratio", "median_ratio", "mean_ln_ratio"}
    other = bias.calibration(fits, truth, mass_definition="500c")
    assert set(other.biases) == {"stack"}
    assert other.pull_fits == ()
    first, second = bias.calibration(fits, truth, seed=3), bias.calibration(fits[::-1], truth, seed=3)
    assert first.biases == second.biases
