"""Populations whose posteriors are known exactly: likelihoods that are normal in ln M."""

from dataclasses import dataclass

import numpy as np
import pytest
from lenses import make_tables

from clmassmod.fitters.likelihood import LensModel
from clmassmod.records import HaloFit

LN_093 = float(np.log(0.93))
GRID_MSUN = np.geomspace(1e12, 2e16, 400)


@dataclass
class Population:
    fits: list
    truth: dict
    ln_true: np.ndarray
    offset: np.ndarray  # centre of each halo's likelihood minus ln of its true mass
    noise: np.ndarray  # width of each halo's likelihood in ln M
    parent: np.ndarray


def make_population(
    n=1000,
    ln_bias=LN_093,
    scatter=0.22,
    noise=(0.2, 0.6),
    seed=1,
    projections=1,
    correlation=0.0,
    grid=GRID_MSUN,
):
    rng = np.random.default_rng(seed)
    parent = np.arange(n) // projections
    ln_true = np.log(1e14) + rng.exponential(0.5, parent[-1] + 1)[parent]
    shared = scatter * np.sqrt(correlation) * rng.normal(size=parent[-1] + 1)[parent]
    ln_lens = ln_true + ln_bias + shared + scatter * np.sqrt(1 - correlation) * rng.normal(size=n)
    width = rng.uniform(*noise, n)
    centre = ln_lens + width * rng.normal(size=n)
    fits = [
        HaloFit.from_likelihood(
            f"h{i:05d}",
            0.3,
            grid,
            -0.5 * ((np.log(grid) - centre[i]) / width[i]) ** 2,
            parent=f"p{parent[i]:05d}" if projections > 1 else None,
        )
        for i in range(n)
    ]
    truth = {fit.halo_id: float(np.exp(m)) for fit, m in zip(fits, ln_true, strict=True)}
    return Population(fits, truth, ln_true, centre - ln_true, width, parent)


@pytest.fixture(scope="module")
def tables():
    return make_tables()


@pytest.fixture(scope="module")
def model(tables):
    return LensModel.build(tables, concentration="duffy08")


@pytest.fixture(scope="session")
def population():
    return make_population


def exact_ln_likelihood(offset, noise, ln_bias, sigma):
    """Return the ln likelihood (b, sigma) of independent haloes: offset ~ N(ln b, sigma^2 + noise^2)."""
    variance = np.asarray(sigma)[:, None] ** 2 + noise**2
    norm = 0.5 * np.log(variance).sum(axis=-1)
    return np.array([(-0.5 * (offset - b) ** 2 / variance).sum(axis=-1) - norm for b in ln_bias])


@pytest.fixture(scope="session")
def exact():
    return exact_ln_likelihood


def moments(axes, ln_density):
    """Return mean and standard deviation along each axis of a density on a grid."""
    p = np.exp(ln_density - ln_density.max())
    p /= p.sum()
    found = []
    for i, values in enumerate(axes):
        q = p.sum(axis=tuple(j for j in range(len(axes)) if j != i))
        mean = q @ values
        found.append((mean, np.sqrt(q @ (values - mean) ** 2)))
    return found


@pytest.fixture(scope="session")
def grid_moments():
    return moments
