"""The grid posterior of bias and scatter, against exact posteriors and with controls that must fail."""

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from clmassmod import bias
from clmassmod.bias.comparison import compare
from clmassmod.core.likelihoods import LikelihoodTable
from clmassmod.core.population import ln_grouped
from clmassmod.errors import ConfigError, FitError, TruthError
from clmassmod.records import HaloFit

pytestmark = pytest.mark.inference


def middle_cdf(ln_density):
    """Return the distribution function at the nodes of an equally spaced grid."""
    mass = np.exp(ln_density - logsumexp(ln_density))
    return np.cumsum(mass) - 0.5 * mass


def z_score(marginal, value):
    return (marginal.mean - value) / marginal.sd


def test_posterior_is_the_exact_one(population, exact, grid_moments):
    made = population(seed=3)
    post = bias.fit(made.fits, made.truth)
    x, y = post.grid.axes["ln_bias"], post.grid.axes["ln_scatter"]
    difference = post.grid.ln_density - exact(made.offset, made.noise, x, np.exp(y))
    inside = post.grid.ln_density > post.grid.ln_density.max() - 12
    # cubic interpolation of 400 nodes costs 1e-4 in ln L of 1,000 haloes
    assert np.ptp(difference[inside]) < 5e-4
    fine_x, fine_y = np.linspace(x[0], x[-1], 300), np.linspace(y[0], y[-1], 301)
    density = exact(made.offset, made.noise, fine_x, np.exp(fine_y))
    for name, (mean, sd) in zip(
        ("ln_bias", "ln_scatter"), grid_moments((fine_x, fine_y), density), strict=True
    ):
        assert abs(post.mean[name] - mean) < 0.005 * sd
        assert post.sd[name] == pytest.approx(sd, rel=0.005)
        # 4,000 stratified draws: their mean is known to better than 1 / sqrt(4000) = 0.016 sd
        assert abs(post.samples[name].mean() - mean) < 0.06 * sd
        assert post.samples[name].std() == pytest.approx(sd, rel=0.05)
    assert post.warnings == ()


def test_intervals_are_those_of_the_exact_marginal(population, exact):
    made = population(n=150, seed=4)
    post = bias.fit(made.fits, made.truth)
    x = np.linspace(-0.4, 0.3, 400)
    y = np.linspace(np.log(0.01), np.log(1.0), 401)
    density = exact(made.offset, made.noise, x, np.exp(y))
    cdf = middle_cdf(logsumexp(density, axis=1))
    low, high = post.interval(0.68)["ln_bias"]
    assert np.interp([low, high], x, cdf) == pytest.approx([0.16, 0.84], abs=0.005)
    assert post.interval(0.68)["bias"] == pytest.approx((np.exp(low), np.exp(high)), rel=1e-4)
    cdf = middle_cdf(logsumexp(density, axis=0))
    assert np.interp(np.log(post.interval(0.95)["scatter"]), y, cdf) == pytest.approx(
        [0.025, 0.975], abs=0.005
    )


def test_bias_and_scatter_are_recovered_and_a_wrong_prior_is_not(population):
    made = population(seed=5)
    post = bias.fit(made.fits, made.truth, seed=1)
    assert abs(z_score(post.ln_bias, np.log(0.93))) < 3.5
    assert abs(z_score(post.scatter, 0.22)) < 3.5
    # control: posteriors under a prior flat in M, taken for likelihoods over ln M
    wrong = [
        HaloFit.from_likelihood(f.halo_id, f.z, f.mass_msun, f.ln_like["200c"] + np.log(f.mass_msun))
        for f in made.fits
    ]
    shifted = bias.fit(wrong, made.truth)
    print(
        f"ln b: {post.ln_bias.mean:.4f}, with the prior left in {shifted.ln_bias.mean:.4f}"
        f" +- {shifted.ln_bias.sd:.4f}"
    )
    assert z_score(shifted.ln_bias, np.log(0.93)) > 4


@pytest.mark.parametrize("k", [1.0, -0.5])
def test_a_power_of_mass_in_every_likelihood_shifts_as_it_must(population, k):
    made = population(n=200, noise=(0.2, 0.5), seed=6)
    tilted = [
        HaloFit.from_likelihood(f.halo_id, f.z, f.mass_msun, f.ln_like["200c"] + k * np.log(f.mass_msun))
        for f in made.fits
    ]
    from clmassmod.core.likelihoods import LikelihoodTable
    from clmassmod.core.population import ln_population

    plain, other = (
        LikelihoodTable([(f.mass_msun, f.ln_like["200c"]) for f in fits], made.ln_true)
        for fits in (made.fits, tilted)
    )
    difference = []
    for s in (0.1, 0.2, 0.4):
        for b in (-0.2, 0.0, 0.1):
            left = ln_population(other, np.array([b]), np.array([s]))[0, 0]
            right = ln_population(plain, np.array([b + k * s**2]), np.array([s]))[0, 0]
            difference.append(left - right - len(made.fits) * (k * b + k**2 * s**2 / 2))
    # a constant: the two tables' normalisation
    assert np.ptp(difference) < 1e-3


def test_no_scatter_gives_a_limit_and_a_warning(population, exact):
    made = population(n=300, scatter=0.0, seed=7)
    post = bias.fit(made.fits, made.truth)
    assert len(post.warnings) == 1
    assert "scatter touches the lower edge" in post.warnings[0]
    x = np.linspace(-0.3, 0.2, 200)
    y = np.linspace(np.log(0.01), np.log(1.0), 801)
    density = exact(made.offset, made.noise, x, np.exp(y))
    cdf = middle_cdf(logsumexp(density, axis=0))
    limit = np.interp(0.95, cdf, np.exp(y))
    assert post.scatter.quantile(0.95) == pytest.approx(limit, rel=0.02)
    assert abs(z_score(post.ln_bias, np.log(0.93))) < 3.5
    # a prior floor far below any step of a lattice makes no false peak at it
    low = bias.fit(made.fits, made.truth, prior={"scatter": (0.0005, 10.0)})
    density = low.scatter.density * low.scatter.x  # per unit of ln scatter
    assert density[0] == pytest.approx(density[low.scatter.x < 0.003].max(), rel=0.01)


def test_what_lies_beyond_the_stored_masses_counts(population):
    """A poor halo's likelihood is constant towards M = 0: cutting it there must change nothing."""
    deep = np.geomspace(1e6, 2e16, 1200)
    kept = deep >= 1e13
    rng = np.random.default_rng(8)
    truth, whole, cut = {}, [], []
    for i in range(120):
        name = f"h{i}"
        truth[name] = float(1e14 * np.exp(rng.exponential(0.5)))
        signal = truth[name] / 1e14 * np.exp(0.25 * rng.normal()) + 1.2 * rng.normal()
        ln_like = -0.5 * ((np.maximum(deep, 1e13) / 1e14 - signal) / 1.2) ** 2
        whole.append(HaloFit.from_likelihood(name, 0.5, deep, ln_like))
        cut.append(HaloFit.from_likelihood(name, 0.5, deep[kept], ln_like[kept]))
    first, second = bias.fit(whole, truth), bias.fit(cut, truth)
    for name in ("ln_bias", "ln_scatter"):
        assert first.mean[name] == pytest.approx(second.mean[name], abs=0.02 * first.sd[name])
        assert first.sd[name] == pytest.approx(second.sd[name], rel=0.02)


def test_linear_grids_with_negative_masses_and_excluded_ones(population):
    made = population(n=60, noise=(0.2, 0.4), seed=9)
    linear = np.arange(-4.05e14, 1.2e16, 1e12)
    fits = []
    for i, fit in enumerate(made.fits):
        centre = made.offset[i] + made.ln_true[i]
        with np.errstate(invalid="ignore", divide="ignore"):
            ln_like = -0.5 * ((np.log(linear) - centre) / made.noise[i]) ** 2
        ln_like[linear <= 0] = -np.inf
        fits.append(HaloFit.from_likelihood(fit.halo_id, fit.z, linear, ln_like))
    first, second = bias.fit(made.fits, made.truth), bias.fit(fits, made.truth)
    for name in ("ln_bias", "ln_scatter"):
        assert first.mean[name] == pytest.approx(second.mean[name], abs=0.01 * first.sd[name])
        assert first.sd[name] == pytest.approx(second.sd[name], rel=0.01)


def test_order_of_haloes_changes_nothing(population):
    made = population(n=40, seed=10, projections=2, correlation=0.5)
    first = bias.fit(made.fits, made.truth, seed=2)
    second = bias.fit(made.fits[::-1], made.truth, seed=2)
    assert first.mean == second.mean
    assert np.array_equal(first.samples["scatter"], second.samples["scatter"])


def block_ln_likelihood(made, ln_bias, sigma, rho):
    """Offsets of one parent's projections are normal with a common covariance rho sigma^2."""
    total = 0.0
    for parent in np.unique(made.parent):
        rows = made.parent == parent
        covariance = np.diag(made.noise[rows] ** 2 + (1 - rho) * sigma**2) + rho * sigma**2
        residual = made.offset[rows] - ln_bias
        total -= (
            0.5 * residual @ np.linalg.solve(covariance, residual) + 0.5 * np.linalg.slogdet(covariance)[1]
        )
    return total


def test_projections_share_a_random_effect(population):
    made = population(n=60, projections=3, correlation=0.6, scatter=0.3, noise=(0.1, 0.3), seed=11)
    post = bias.fit(made.fits, made.truth)
    axes = post.grid.axes
    assert list(axes) == ["ln_bias", "ln_scatter", "parent_correlation"]
    assert post.metadata["n_parents"] == 20
    values, reference = [], []
    for i in (8, 16, 24):
        for j in (5, 10, 15):
            for k in (0, 5, 11):
                values.append(post.grid.ln_density[i, j, k])
                reference.append(
                    block_ln_likelihood(
                        made, axes["ln_bias"][i], np.exp(axes["ln_scatter"][j]), axes["parent_correlation"][k]
                    )
                )
    assert np.ptp(np.subtract(values, reference)) < 1e-3


@pytest.mark.parametrize("offset", [0.3, 1.0, 1.6, 2.3])
def test_far_parents_count_as_they_should(offset):
    """Projections that lie together and far from all others: the normal distribution in closed form."""
    grid, width, own, shared = np.geomspace(1e12, 2e16, 400), 0.1, 0.04, 0.196
    centre = offset + np.array([-0.05, 0.0, 0.06])
    curves = [(grid, -0.5 * ((np.log(grid / 2e14) - c) / width) ** 2) for c in centre]
    table = LikelihoodTable(curves, np.full(3, np.log(2e14)))
    found = ln_grouped(table, np.array([0]), np.array([0.0, 0.01]), own, shared)[0]
    covariance = shared**2 * np.ones((3, 3)) + (own**2 + width**2) * np.eye(3)
    norm = 3 * np.log(np.sqrt(2 * np.pi) * width) - sum(ln_like.max() for _, ln_like in curves)
    exact = multivariate_normal(np.zeros(3), covariance).logpdf(centre) + norm
    assert found == pytest.approx(exact, abs=1e-3)


@pytest.mark.parametrize("noise", [(0.05, 0.1)])
def test_control_projections_as_independent_haloes_claim_too_much(population, noise):
    """Over many parents the honest error covers; counting projections as haloes gives errors too small."""
    z_joint, z_alone, ratio = [], [], []
    for seed in range(8):
        made = population(n=36, projections=3, correlation=0.95, scatter=0.3, noise=noise, seed=100 + seed)
        joint = bias.fit(made.fits, made.truth)
        alone = [HaloFit.from_likelihood(f.halo_id, f.z, f.mass_msun, f.ln_like["200c"]) for f in made.fits]
        apart = bias.fit(alone, made.truth)
        z_joint.append(z_score(joint.ln_bias, np.log(0.93)))
        z_alone.append(z_score(apart.ln_bias, np.log(0.93)))
        ratio.append(joint.ln_bias.sd / apart.ln_bias.sd)
    print(f"rms pull of ln b: {np.std(z_joint):.2f} joint, {np.std(z_alone):.2f} as if independent")
    # sqrt((1 + 2 rho) / 1) = 1.7 for three projections with rho = 0.95
    assert 1.4 < np.mean(ratio) < 1.9
    assert np.sqrt(np.mean(np.square(z_alone))) > 1.35 * np.sqrt(np.mean(np.square(z_joint)))


def noisy_in_mass(seed, n=1500, error=1.0):
    """Likelihoods that are normal in M, as of a shear that is linear in mass: many best masses below zero."""
    rng = np.random.default_rng(seed)
    grid = np.geomspace(1e12, 2e16, 400)
    true = 1e14 * np.exp(rng.exponential(0.4, n))
    lens = 0.93 * true * np.exp(0.22 * rng.normal(size=n))
    width = error * 1.3e14 * rng.uniform(0.6, 1.4, n)
    best = lens + width * rng.normal(size=n)
    fits = [
        HaloFit.from_likelihood(f"h{i:04d}", 0.5, grid, -0.5 * ((grid - best[i]) / width[i]) ** 2)
        for i in range(n)
    ]
    return fits, {f"h{i:04d}": float(m) for i, m in enumerate(true)}, best


def test_control_dropping_negative_masses_and_misread_posteriors_bias():
    fits, truth, best = noisy_in_mass(seed=21)
    whole = bias.fit(fits, truth)
    assert abs(z_score(whole.ln_bias, np.log(0.93))) < 3.5
    assert abs(z_score(whole.scatter, 0.22)) < 3.5
    print(
        f"ln b {whole.ln_bias.mean:+.3f} +- {whole.ln_bias.sd:.3f}, {np.mean(best < 0):.0%} best masses < 0"
    )
    # the likelihood of a halo whose best mass is negative counts: without these haloes, upwards
    positive = bias.fit([f for f, m in zip(fits, best, strict=True) if m > 0], truth)
    # a posterior flat in ln M, p(ln M) = L, read as a density in M: an extra 1 / M, downwards
    misread = [
        HaloFit.from_likelihood(f.halo_id, f.z, f.mass_msun, f.ln_like["200c"] - np.log(f.mass_msun))
        for f in fits
    ]
    downwards = bias.fit(misread, truth)
    print(f"dropped: {positive.ln_bias.mean:+.3f}, misread: {downwards.ln_bias.mean:+.3f}")
    assert z_score(positive.ln_bias, np.log(0.93)) > 4
    assert z_score(downwards.ln_bias, np.log(0.93)) < -4


def test_control_selection_by_significance_biases():
    fits, truth, best = noisy_in_mass(seed=22)
    bright = {f.halo_id for f, m in zip(fits, best, strict=True) if m > 2.6e14}
    picked = bias.fit(fits, truth, select=lambda fit: fit.halo_id in bright)
    assert z_score(picked.ln_bias, np.log(0.93)) > 4
    assert picked.metadata["n_unselected"] == len(fits) - len(bright)


def test_a_touched_edge_of_the_bias_prior_is_reported(population):
    made = population(n=100, seed=12)
    post = bias.fit(made.fits, made.truth, prior={"ln_bias": (0.0, 1.0)})
    assert any("ln_bias touches the lower edge" in w for w in post.warnings)
    assert post.ln_bias.x[0] == 0.0


def test_unusable_fits_are_counted_and_left_out(population):
    from dataclasses import replace

    made = population(n=30, seed=13)
    bad = replace(made.fits[0], status="unusable", reason="no galaxies", ln_like={})
    post = bias.fit([bad, *made.fits[1:]], made.truth)
    compared = compare([bad, *made.fits[1:]], made.truth)
    for found in (post, compared.posteriors):
        assert (found.metadata["n_halos"], found.metadata["n_unusable"]) == (29, 1)
    assert len(compared.likelihoods) == 29
    with pytest.raises(FitError, match="no galaxies"):
        bias.fit([bad], made.truth)


@pytest.mark.parametrize("z", [float("nan"), float("inf"), -1.5])
def test_redshifts_are_numbers(z):
    with pytest.raises(FitError, match="halo 'a': z is"):
        HaloFit.from_likelihood("a", z, np.geomspace(1e13, 1e15, 10), np.zeros(10))


def test_missing_truth_names_the_haloes(population):
    made = population(n=30, seed=14)
    truth = dict(list(made.truth.items())[8:])
    with pytest.raises(TruthError, match=r"8 of 30 haloes: 'h00000', .*'h00004' and 3 more"):
        bias.fit(made.fits, truth)
    assert bias.fit(made.fits, truth, allow_missing=True).metadata["n_without_truth"] == 8
    with pytest.raises(TruthError, match="no positive numbers: 'h00003'"):
        bias.fit(made.fits, {**made.truth, "h00003": -1e14})


def test_truth_may_be_a_function_and_haloes_may_be_selected(population):
    made = population(n=40, seed=15)
    post = bias.fit(made.fits, lambda fit: made.truth[fit.halo_id], select=lambda fit: fit.halo_id < "h00020")
    assert (post.metadata["n_halos"], post.metadata["n_unselected"]) == (20, 20)


def test_wrong_names_are_answered_with_known_ones(population):
    made = population(n=5, seed=16)
    with pytest.raises(ConfigError, match="did you mean 'scatter'"):
        bias.fit(made.fits, made.truth, prior={"scater": (0.1, 1)})
    with pytest.raises(ConfigError, match="not above 0"):
        bias.fit(made.fits, made.truth, prior={"scatter": (0.0, 1)})
    with pytest.raises(ConfigError, match="unknown method"):
        bias.fit(made.fits, made.truth, method="grit")
    with pytest.raises(FitError, match="given twice"):
        bias.fit([made.fits[0], made.fits[0]], made.truth)
    with pytest.raises(FitError, match="no likelihood for mass definition '500c'"):
        bias.fit(made.fits, made.truth, mass_definition="500c")
