"""Correlations of parents and degrees of freedom that the data know well: the grid's cells follow them."""

import numpy as np
import pytest
from lenses import normal_fits
from scipy import stats

from clmassmod import bias

pytestmark = pytest.mark.inference


def posterior(function, moments, centres, widths, limits):
    """Return moments of a density on grids of 41 nodes that follow it; ends are the priors'."""
    for _ in range(4):
        axes = [
            np.linspace(max(m - w, low), min(m + w, high), 41)
            for m, w, (low, high) in zip(centres, widths, limits, strict=True)
        ]
        found = moments(axes, function(*axes))
        centres, widths = [m for m, _ in found], [6.0 * s for _, s in found]
    return found


def triples(ratio, noise):
    """Return ln L (b, ln sigma, rho) of normal data in threes: Sherman and Morrison's inverse."""

    def ln_density(b, y, rho):
        out = np.empty((len(b), len(y), len(rho)))
        r = ratio.reshape(-1, 3) - b[:, np.newaxis, np.newaxis]
        for j, s2 in enumerate(np.exp(2.0 * y)):
            for k, c in enumerate(rho):
                own, shared = s2 * (1.0 - c) + noise**2, s2 * c
                total = own + 3.0 * shared
                chi2 = (np.sum(r**2, axis=2) - shared / total * np.sum(r, axis=2) ** 2) / own
                out[:, j, k] = -0.5 * np.sum(chi2 + 2.0 * np.log(own) + np.log(total), axis=1)
        return out

    return ln_density


@pytest.mark.parametrize("rho", [0.5, 0.97])
def test_correlation_of_parents_that_is_known_well(rho, grid_moments):
    """300 parents in threes; a dozen cells in 0 to 1 were off by 7 standard deviations in ln sigma."""
    rng, sigma, noise = np.random.default_rng(2), 0.25, 0.06
    shared = np.repeat(np.sqrt(rho) * rng.normal(size=300), 3)
    ratio = -0.1 + sigma * (shared + np.sqrt(1.0 - rho) * rng.normal(size=900)) + noise * rng.normal(size=900)
    found = bias.fit(*normal_fits(ratio, np.full(900, noise), 3))
    names = ("ln_bias", "ln_scatter", "parent_correlation")
    limits = ((-1.0, 1.0), (np.log(0.01), np.log(10.0)), (1e-6, 1.0 - 1e-6))
    want = posterior(
        triples(ratio, noise), grid_moments, [found.mean[n] for n in names], (0.2, 0.4, 0.3), limits
    )
    for name, (mean, sd) in zip(names, want, strict=True):
        print(
            f"{name}: off by {(found.mean[name] - mean) / sd:+.4f} sd, sd by {found.sd[name] / sd - 1:+.4f}"
        )
        assert found.mean[name] == pytest.approx(mean, abs=0.03 * sd)
        assert found.sd[name] == pytest.approx(sd, rel=0.04)  # draws are uniform in cells of 0.6 sd


def test_degrees_of_freedom_that_are_known_well(grid_moments):
    """nu = 2.2 under a wide prior; 16 cells of the prior were off by 3 standard deviations in ln sigma."""
    rng, sigma, noise, nu = np.random.default_rng(3), 0.25, 0.05, 2.2
    ratio = np.clip(sigma * rng.standard_t(nu, 400), -4.0, 3.0) + noise * rng.normal(size=400)
    made = normal_fits(ratio, np.full(400, noise))
    found = bias.fit(*made, model="student", prior={"student_nu": (0.5, 3000.0)})
    x, weight = np.polynomial.hermite_e.hermegauss(9)

    def ln_density(b, y, ln_nu):
        points = ratio[:, np.newaxis] + noise * x - b[:, np.newaxis, np.newaxis]
        out = np.empty((len(b), len(y), len(ln_nu)))
        for j, s in enumerate(np.exp(y)):
            for k, v in enumerate(np.exp(ln_nu)):
                density = np.exp(-0.5 * (v + 1.0) * np.log1p((points / s) ** 2 / v)) @ (weight / weight.sum())
                out[:, j, k] = np.log(density).sum(axis=1) + len(ratio) * (stats.t.logpdf(0.0, v) - y[j])
        return out

    ln_nu = np.log(found.samples["student_nu"])
    centres = (found.mean["ln_bias"], found.mean["ln_scatter"], ln_nu.mean())
    limits = ((-1.0, 1.0), (np.log(0.01), np.log(10.0)), (np.log(0.5), np.log(3000.0)))
    want = posterior(ln_density, grid_moments, centres, (0.08, 0.3, 0.5), limits)
    got = [(found.mean[n], found.sd[n]) for n in ("ln_bias", "ln_scatter")] + [(ln_nu.mean(), ln_nu.std())]
    for (a, spread), (mean, sd) in zip(got, want, strict=True):
        print(f"off by {(a - mean) / sd:+.4f} sd, sd by {spread / sd - 1:+.4f}")
        assert a == pytest.approx(mean, abs=0.05 * sd)  # of 4,000 draws
        assert spread == pytest.approx(sd, rel=0.05)
