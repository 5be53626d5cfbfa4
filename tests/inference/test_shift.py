"""Shift of ln b between analyses of the same haloes: closed form, jackknife, recovery and a control."""

from dataclasses import replace

import numpy as np
import pytest
from lenses import normal_fits

from clmassmod import bias
from clmassmod.errors import ConfigError

pytestmark = pytest.mark.inference


def analysed(offset, noise, projections=1):
    fits, truth = normal_fits(offset, noise, projections)
    posterior = bias.fit(fits, truth)
    return posterior, bias.influence(fits, truth, posterior)


def test_influence_is_that_of_a_mean_where_the_bias_is_one(population):
    """Equal noise: the mean of ln b is that of the offsets, and each halo moves it by its deviation / n.

    The marginalisation over the scatter changes the factor by O(1 / n), and the grid by 1e-3.
    """
    n = 200
    offset = np.random.default_rng(1).normal(-0.1, np.hypot(0.2, 0.3), n)
    posterior, found = analysed(offset, np.full(n, 0.3))
    assert posterior.ln_bias.mean == pytest.approx(offset.mean(), abs=1e-3)
    values = np.array([found[f"h{i:04d}"] for i in range(n)])
    np.testing.assert_allclose(values, (offset - offset.mean()) / n, atol=0.03 * offset.std() / n)
    # its squares sum to the variance of the mean, here that of the posterior
    assert np.sqrt(np.sum(values**2)) == pytest.approx(posterior.ln_bias.sd, rel=0.03)


@pytest.mark.parametrize("projections", [1, 3])
def test_influence_agrees_with_leaving_out_one_parent_at_a_time(projections):
    rng = np.random.default_rng(4)
    n = 12 * projections
    shared = 0.2 * rng.normal(size=n // projections).repeat(projections)
    noise = rng.uniform(0.2, 0.7, n)
    offset = shared + 0.1 * rng.normal(size=n) + noise * rng.normal(size=n)
    posterior, found = analysed(offset, noise, projections)
    fits, truth = normal_fits(offset, noise, projections)
    for parent in list(found)[::6]:
        rest = [fit for fit in fits if fit.parent != parent]
        change = posterior.ln_bias.mean - bias.fit(rest, truth).ln_bias.mean
        # first order in 1 / n: what is left out is a twelfth of the sample
        assert change == pytest.approx(found[parent], abs=0.15 * posterior.ln_bias.sd)
    jackknife = sum(v**2 for v in found.values()) ** 0.5
    assert jackknife == pytest.approx(posterior.ln_bias.sd, rel=0.35)  # 12 parents: 20 % of sampling error


def test_shift_of_common_noise_is_recovered_and_independent_errors_claim_too_much():
    """40 samples of 50 haloes: scatter and noise are common but for a tenth, the shift is 0.03.

    The mean of 40 pulls has an error of 0.16, their standard deviation one of 0.11; 3 of each are allowed.
    """
    rng = np.random.default_rng(8)
    pulls, independent, errors = [], [], []
    for _ in range(40):
        noise = rng.uniform(0.2, 0.5, 50)
        common = -0.1 + np.hypot(0.25, noise) * rng.normal(size=50)
        own = 0.04 * rng.normal(size=50)
        one, other = analysed(common + 0.03 + own, noise), analysed(common, noise)
        found = bias.shift(one[0].ln_bias.mean, one[1], other[0].ln_bias.mean, other[1])
        pulls.append((found.value - 0.03) / found.error)
        independent.append((found.value - 0.03) / np.hypot(one[0].ln_bias.sd, other[0].ln_bias.sd))
        errors.append(found.error / one[0].ln_bias.sd)
        assert found.correlation > 0.9
        assert found.n_parents == 50
    print(f"pulls {np.mean(pulls):.2f} +- {np.std(pulls):.2f}, independent {np.std(independent):.2f}")
    assert np.mean(pulls) == pytest.approx(0.0, abs=0.48)
    assert np.std(pulls) == pytest.approx(1.0, abs=0.33)
    assert np.std(independent) < 0.3  # control: the errors of independent analyses are no errors of the shift
    assert np.mean(errors) < 0.25


def test_pairing_does_not_invent_precision():
    """Control: the same shift without anything in common has the error of independent analyses."""
    rng = np.random.default_rng(2)
    one, other = (analysed(rng.normal(0, 0.4, 80), np.full(80, 0.3)) for _ in range(2))
    found = bias.shift(one[0].ln_bias.mean, one[1], other[0].ln_bias.mean, other[1])
    expected = np.hypot(one[0].ln_bias.sd, other[0].ln_bias.sd)
    assert found.error == pytest.approx(expected, rel=3 * 0.5 / np.sqrt(80))
    assert abs(found.correlation) < 0.35


def test_identical_analyses_have_no_shift_and_no_error():
    found = analysed(np.random.default_rng(3).normal(0, 0.3, 20), np.full(20, 0.3))
    assert bias.shift(0.1, found[1], 0.1, found[1])[:2] == (0.0, 0.0)


def test_a_posterior_without_grid_is_refused():
    fits, truth = normal_fits(np.random.default_rng(3).normal(0, 0.3, 20), np.full(20, 0.3))
    sampled = replace(bias.fit(fits, truth), grid=None)  # as a sampler's is
    with pytest.raises(ConfigError, match="model 'constant', method 'grid'"):
        bias.influence(fits, truth, sampled)
