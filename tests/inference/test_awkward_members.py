"""Grid posteriors of ensembles with awkward likelihoods, against a plain sum over the whole prior.

The likelihoods are formulae, so that the comparison knows what lies between and beyond tabulated masses.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtr

from clmassmod import bias, ensemble
from clmassmod.records import HaloFit

pytestmark = pytest.mark.inference

LOG_GRID = np.geomspace(1e12, 2e16, 400)
STEP = 0.01
LN_MASS = np.arange(np.log(1e9), np.log(1e19), STEP)


@dataclass
class Member:
    ln_like: Any  # of masses
    grid: Any

    def fit(self, name, parent=None):
        with np.errstate(divide="ignore"):
            return HaloFit.from_likelihood(name, 0.3, self.grid, self.ln_like(self.grid), parent=parent)

    def values(self):
        return np.exp(self.ln_like(np.exp(LN_MASS)))


def lognormal(centre, sd, grid=LOG_GRID):
    return Member(
        lambda m: -0.5 * ((np.log(np.maximum(m, 1e-3)) - np.log(centre)) / sd) ** 2, np.asarray(grid)
    )


def normal(centre, sd, grid):
    """A likelihood that is normal in M, as linear grids of shear codes give it."""
    return Member(lambda m: -0.5 * ((m - centre) / sd) ** 2, np.asarray(grid, dtype=float))


def window(centre, sd, low, high):
    """Zero outside a range: -inf at places of the grid."""

    def ln_like(mass):
        inside = (mass >= low) & (mass <= high)
        return np.where(inside, -0.5 * ((np.log(mass) - np.log(centre)) / sd) ** 2, -np.inf)

    return Member(ln_like, np.geomspace(1e12, 2e16, 4000))


SIGNED = np.arange(-1.005e15, 5e15, 1e13)
MIXED = [
    lognormal(3e14, 0.01),  # far sharper than its grid
    lognormal(2e14, 3.0),  # says next to nothing
    normal(2e14, 3e14, SIGNED),  # linear, with negative masses
    normal(-1e14, 2e14, SIGNED),  # its best mass is below zero
    window(4e14, 0.4, 1.5e14, 9e14),
    lognormal(5e14, 0.25, np.geomspace(1.5e14, 1.6e15, 90)),  # cut where L is 1e-5
    lognormal(2.5e14, 0.3),
    normal(6e14, 1e14, np.linspace(1e13, 2e15, 60)),  # coarse and linear
    lognormal(1.5e14, 0.5, np.geomspace(1e13, 3e15, 37)),  # coarse
]


def lattice_posterior(members, x, ln_sigma, groups=None, n_rho=1):
    """Return the posterior (x, sigma) under flat priors, summed over the share of a common effect."""
    edges = np.array([m.values()[[0, -1]] for m in members])
    like = np.array([m.values() for m in members])
    groups = np.arange(len(members)) if groups is None else np.asarray(groups)
    wide = np.arange(x[0] - 6, x[-1] + 6, 0.05) if n_rho > 1 else x
    total = np.zeros((n_rho, len(x), len(ln_sigma)))
    for j, sigma in enumerate(np.exp(ln_sigma)):
        for k in range(n_rho):
            rho = (k + 0.5) / n_rho if n_rho > 1 else 0.0
            own = convolved(like, edges, wide, sigma * np.sqrt(1 - rho))
            for group in np.unique(groups):
                rows = own[groups == group]
                product = rows.prod(axis=0)
                if n_rho > 1 and len(rows) > 1:
                    r = (wide[:, None] - x) / (sigma * np.sqrt(rho))
                    kernel = np.exp(-0.5 * r * r)
                    product = product @ (kernel / kernel.sum(axis=0))
                elif n_rho > 1:
                    product = convolved(like[groups == group], edges[groups == group], x, sigma)[0]
                total[k, :, j] += np.log(product)
    weight = np.exp(total - total.max())
    return weight.sum(axis=0) / weight.sum()


def convolved(like, edges, x, sigma):
    """Return the mean of L about x with a scatter, (member, x)."""
    out = np.empty((len(like), len(x)))
    for start in range(0, len(x), 64):
        part = x[start : start + 64]
        r = (LN_MASS[:, None] - part) / sigma
        kernel = np.exp(-0.5 * r * r) * (STEP / sigma / np.sqrt(2 * np.pi))
        tails = np.array([ndtr((LN_MASS[0] - part) / sigma), ndtr((part - LN_MASS[-1]) / sigma)])
        out[:, start : start + 64] = like @ kernel + edges @ tails
    return out


def moments(values, weight):
    mean = float(weight @ values)
    return mean, float(np.sqrt(weight @ (values - mean) ** 2))


def compare(posterior, location, x, ln_sigma, density):
    for name, values, weight in (
        (location, x, density.sum(axis=1)),
        ("ln_scatter", ln_sigma, density.sum(axis=0)),
    ):
        mean, sd = moments(values, weight)
        found = posterior.marginals[name]
        shift = (found.mean - mean) / sd
        print(f"{name}: {mean:.4f} +- {sd:.4f}, found {found.mean:.4f} +- {found.sd:.4f}")
        assert abs(shift) < 0.05, name
        assert found.sd / sd == pytest.approx(1.0, abs=0.05), name


@pytest.mark.parametrize(
    "chosen",
    [[6], [0], [1], [3], [0, 6], [2, 4, 5], list(range(9)), [0, 0, 0, 6], [3, 3, 2, 2, 1]],
    ids=lambda rows: "-".join(map(str, rows)),
)
def test_mean_and_scatter_of_masses(chosen):
    members = [MIXED[i] for i in chosen]
    fits = [m.fit(f"h{i}") for i, m in enumerate(members)]
    # few haloes leave the whole prior open: a smaller one keeps the plain sum affordable
    prior = {"mean_ln_mass": tuple(np.log([1e13, 1e16])), "scatter": (0.1, 5.0)}
    posterior = ensemble.fit(fits, prior=prior)
    x = np.log(1e13) + np.log(1000) * (np.arange(121) + 0.5) / 121
    ln_sigma = np.log(0.1) + np.log(50) * (np.arange(24) + 0.5) / 24
    compare(posterior, "mean_ln_mass", x, ln_sigma, lattice_posterior(members, x, ln_sigma))


@pytest.mark.parametrize("chosen", [[7], [4, 6], list(range(9))], ids=lambda rows: "-".join(map(str, rows)))
def test_bias_and_scatter(chosen):
    members = [MIXED[i] for i in chosen]
    fits = [m.fit(f"h{i}") for i, m in enumerate(members)]
    truth = {f"h{i}": 3e14 for i in range(len(fits))}
    posterior = bias.fit(fits, truth, prior={"scatter": (0.05, 10.0)})
    x = -1 + 2 * (np.arange(81) + 0.5) / 81
    ln_sigma = np.log(0.05) + np.log(200) * (np.arange(30) + 0.5) / 30
    compare(posterior, "ln_bias", x, ln_sigma, lattice_posterior(members, np.log(3e14) + x, ln_sigma))


def test_projections_that_share_parents():
    chosen, parents = [6, 6, 4, 5, 8, 2], [0, 0, 1, 1, 1, 2]
    members = [MIXED[i] for i in chosen]
    fits = [m.fit(f"h{i}", f"p{p}") for i, (m, p) in enumerate(zip(members, parents, strict=True))]
    prior = {"ln_bias": (-1.0, 1.0), "scatter": (0.2, 2.0)}
    posterior = bias.fit(fits, {f"h{i}": 3e14 for i in range(len(fits))}, prior=prior)
    x = np.log(3e14) - 1 + 2 * (np.arange(41) + 0.5) / 41
    ln_sigma = np.log(0.2) + np.log(10) * (np.arange(12) + 0.5) / 12
    density = lattice_posterior(members, x, ln_sigma, parents, 8)
    compare(posterior, "ln_bias", x - np.log(3e14), ln_sigma, density)
