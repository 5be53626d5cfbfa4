"""Checks of the population of lensing masses that is inferred without truth."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from clmassmod import ensemble
from clmassmod.core.likelihoods import LikelihoodTable
from clmassmod.core.population import ln_population
from clmassmod.records import HaloFit
from clmassmod.validate.checks import check
from clmassmod.validate.lab import Lab
from clmassmod.validate.populations import draw, exact_moments, shift
from clmassmod.validate.reference import relative

_SD = "largest difference in posterior standard deviations"
_EXACT = "closed form: normal likelihoods times a normal population; sums over mean and ln scatter"


@check(0.01, quantity=_SD, reason="grids of 49 x 49 nodes, refined by cubics", source=_EXACT)
def grid_posterior(lab: Lab) -> float:
    """Posterior of mean and scatter of ln M of 300 haloes by the exact grid."""
    made = draw(300, spread=0.3)
    found = ensemble.fit(made.fits, seed=1)
    values = made.offset + made.ln_true
    middle = float(values.mean())
    want = exact_moments(values, made.noise, (middle - 0.25, middle + 0.25), (0.1, 0.9))
    return shift(found, "mean_ln_mass", want)


@check(0.1, quantity=_SD, reason="noise of 4,000 draws, 0.03 of a standard deviation", source=_EXACT)
def sampled_posterior(lab: Lab) -> float:
    """The same posterior by the sampler; its chains have converged."""
    made = draw(100, spread=0.3, seed=2)
    found = ensemble.fit(made.fits, method="nuts", seed=1)
    if any("chains" in text for text in found.warnings):
        return math.nan
    values = made.offset + made.ln_true
    middle = float(values.mean())
    want = exact_moments(values, made.noise, (middle - 0.4, middle + 0.4), (0.05, 1.2))
    return shift(found, "mean_ln_mass", want)


@check(
    1e-5,
    quantity="largest error of ln L",
    reason="trapezoids with 1.2 nodes a standard deviation: 1.4e-6; cubics in ln L",
    source="scipy quad of each halo's likelihood times a normal, and times Student's t, over ln M",
)
def marginal_likelihood(lab: Lab) -> float:
    """Likelihood of location and scatter, marginal over each halo's own mass."""
    from scipy.integrate import quad
    from scipy.stats import norm, t

    made = draw(12, noise=(0.15, 0.5), seed=3)
    table = LikelihoodTable([(f.mass_msun, f.ln_like["200c"]) for f in made.fits], made.ln_true)
    worst = 0.0
    for nu in (None, 4.0):
        for location, scatter in ((0.0, 0.2), (-0.3, 0.6)):
            law = norm(location, scatter) if nu is None else t(nu, location, scatter)
            want = 0.0
            for i, fit in enumerate(made.fits):
                top = fit.ln_like["200c"].max()
                centre, width = float(made.offset[i]), float(made.noise[i])

                def integrand(y: float, c: float = centre, w: float = width, law: Any = law) -> float:
                    return math.exp(-0.5 * ((y - c) / w) ** 2) * float(law.pdf(y))

                ends = centre - 9.0 * width, centre + 9.0 * width
                value, _ = quad(integrand, *ends, epsrel=1e-11, limit=200)
                want += math.log(value) - top
            got = ln_population(table, np.array([location]), np.array([scatter]), nu)[0, 0]
            worst = max(worst, abs(got - want))
    return worst


@check(
    3.0,
    quantity="deviation in posterior standard deviations",
    reason="a chance of 0.003 each; the seed is fixed",
    source="the population that was drawn: mean and scatter linear in ln(1 + z)",
)
def redshift_trend(lab: Lab) -> float:
    """A trend of the mean with redshift comes back."""
    made = draw(200, slope=(0.0, 1.5), scatter=0.2, noise=(0.1, 0.2), seed=4, spread=0.02)
    found = ensemble.fit(made.fits, model="trend", method="nuts", seed=1)
    worst = abs(found.mean["mean_ln_mass_z"] - 1.5) / found.sd["mean_ln_mass_z"]
    return max(worst, abs(found.mean["scatter"] - 0.2) / found.sd["scatter"])


@check(
    1e-9,
    quantity="largest difference of ln L",
    reason="rounding and the limits of the grid",
    source="the same likelihoods stored on masses in equal steps, 16 times finer",
)
def grids_of_other_codes(lab: Lab) -> float:
    """A likelihood tabulated in equal steps of M by another code is the same halo."""
    centre, width = 5e14, 1.5e14

    def ln_like(m: np.ndarray) -> np.ndarray:
        return np.asarray(-0.5 * ((m - centre) / width) ** 2)

    found = []
    for mass in (np.linspace(1e13, 2e15, 400), np.linspace(1e13, 2e15, 6385)):
        fit = HaloFit.from_likelihood("a", 0.3, mass, ln_like(mass))
        table = LikelihoodTable([(fit.mass_msun, fit.ln_like["200c"])], np.array([math.log(5e14)]))
        ln_like_at = ln_population(table, np.array([0.0, 0.2]), np.array([0.3]))[:, 0]
        found.append(float(ln_like_at[1] - ln_like_at[0]))  # the largest stored value is not the same
    return abs(found[0] - found[1])


@check(1e-10, reason="the sum's order", source="symmetry: the haloes in another order")
def order_of_haloes(lab: Lab) -> float:
    """The posterior does not depend on the order of the haloes."""
    made = draw(60)
    a, b = ensemble.fit(made.fits, seed=1), ensemble.fit(made.fits[::-1], seed=1)
    return relative([a.mean[n] for n in a.names], [b.mean[n] for n in a.names])
