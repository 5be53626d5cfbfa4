"""Checks of synthetic haloes: masses, concentrations, shapes and subhaloes as published."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from clmassmod.config.models import Simulation
from clmassmod.core.axis_ratios import draw_jing_suto
from clmassmod.core.substructure import draw_masses, draw_positions
from clmassmod.readers.common import open_reader
from clmassmod.validate.checks import check
from clmassmod.validate.lab import Lab, colossus_reference, standard_errors
from clmassmod.validate.reference import Lens, nfw_mass, relative

_ERRORS = "deviation in standard errors"
_FOUR = "a chance of 6e-5 for a seed; the seed is fixed"


def _reader(lab: Lab, **options: Any) -> Any:
    return open_reader(Simulation(reader="analytic", options=options), lab.cosmology, seed=11)


@check(
    0.001,
    at_least=True,
    quantity="probability of the Kolmogorov–Smirnov test",
    reason="false alarm in 1,000 seeds",
    source="colossus: the integral of the mass function of Tinker et al. 2008 over ln M, at masses times h",
)
def masses_follow_the_mass_function(lab: Lab) -> float:
    """20,000 masses drawn from the mass function."""
    from colossus.lss.mass_function import massFunction
    from scipy.stats import kstest

    masses = np.array(list(_reader(lab, n_halos=20_000, z=0.4, mass_msun=[1e14, 2e15]).truth().values()))
    ln_mass = np.linspace(math.log(1e14), math.log(2e15), 4001)
    with colossus_reference():
        density = massFunction(
            np.exp(ln_mass) * 0.7, 0.4, q_in="M", q_out="dndlnM", mdef="200c", model="tinker08"
        )
    cumulative = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    return float(kstest(np.log(masses), lambda x: np.interp(x, ln_mass, cumulative / cumulative[-1])).pvalue)


@check(
    4.0,
    quantity=_ERRORS,
    reason=_FOUR,
    source="lognormal scatter of 0.3 about colossus' diemer19: mean and variance",
)
def concentrations_scatter(lab: Lab) -> float:
    """Concentrations of synthetic haloes scatter as configured about the relation."""
    from colossus.halo.concentration import concentration

    prepared = _reader(
        lab, n_halos=20_000, z=0.4, concentration="diemer19", concentration_scatter=0.3
    ).prepare()
    with colossus_reference():
        median, _ = concentration(
            prepared["mass_msun"] * 0.7, "200c", 0.4, model="diemer19", range_return=True
        )
    pull = np.log(prepared["concentration"] / median) / 0.3
    return max(abs(standard_errors(pull, 0.0)), abs(standard_errors(pull**2, 1.0)))


@check(
    1e-6,
    reason="concentrations are interpolated to 1e-5 of a small dependence",
    source="Wright & Brainerd 2000",
)
def synthetic_lensing(lab: Lab) -> float:
    """Convergence and both shears of a synthetic halo of known mass at any position."""
    reader = _reader(lab, n_halos=3, z=0.25, mass_function="flat", mass_msun=[1e14, 2e15], concentration=4.0)
    halo = reader.halos()[1]
    lens = Lens(mass=reader.truth()[halo.halo_id], z=0.25)
    x, y = np.array([0.3, -0.8, 0.1, 1.5]), np.array([0.4, 0.2, -1.9, 1.1])
    found = reader.read(halo, lab.tables, reader.prepare()).at(x, y)
    kappa, gamma = lens.kappa_gamma(np.hypot(x, y))
    phi = np.arctan2(y, x)
    return relative(found, [kappa, -gamma * np.cos(2 * phi), -gamma * np.sin(2 * phi)])


@check(
    4.0,
    quantity=_ERRORS,
    reason=_FOUR,
    source="Jing & Suto 2002: minor over major axis N(0.54, 0.113) at M*; <r>, <r^2> of their "
    "parabola by its moments",
)
def axis_ratios(lab: Lab) -> float:
    """Axis ratios of triaxial haloes, and how they fall with mass."""
    rng, worst = np.random.default_rng(5), 0.0
    for ratio in (1.0, 100.0):
        n = 40_000
        middle, minor = draw_jing_suto(np.full(n, ratio), np.full(n, 0.3), rng)
        unscaled = minor * ratio ** (0.07 * 0.3**0.7)
        low = np.maximum(minor, 0.5)
        t = (minor / middle - low) / (1.0 - low)  # 6 t (1 - t): mean 1/2, mean square 3/10
        for values, expected in ((unscaled, 0.54), ((unscaled - 0.54) ** 2, 0.113**2), (t, 0.5), (t**2, 0.3)):
            worst = max(worst, abs(standard_errors(values, expected)))
    return worst


@check(
    4.0,
    quantity=_ERRORS,
    reason=_FOUR,
    source="psi^-0.78 exp(-50 psi^4) normalised to the fraction, and n(r) ~ rho_NFW r^1.3, means by "
    "scipy quad",
)
def subhaloes(lab: Lab) -> float:
    """Mass in subhaloes, its square-weighted mean, and their mean distance from the centre."""
    from scipy.integrate import quad

    rng = np.random.default_rng(9)
    drawn = [draw_masses(0.1, 3e-3, 0.2, rng) for _ in range(4000)]

    def moment(k: int) -> float:
        found = quad(
            lambda s: math.exp((k - 0.78) * s) * math.exp(-50.0 * math.exp(4 * s)),
            math.log(3e-3),
            math.log(0.2),
            epsrel=1e-10,
        )
        return float(found[0])

    unit = 0.1 / moment(1)
    found = [
        standard_errors(np.array([float((m**k).sum()) for m in drawn]), unit * moment(k)) for k in (0, 1, 2)
    ]
    radius = np.linalg.norm(draw_positions(40_000, 4.0, rng), axis=1)

    def radial(k: float) -> float:
        return float(quad(lambda x: x ** (k + 1.3) * 16.0 * x / (1.0 + 4.0 * x) ** 2, 0.0, 1.0)[0])

    assert abs(float(nfw_mass(4.0)) - quad(lambda x: 16.0 * x / (1.0 + 4.0 * x) ** 2, 0.0, 1.0)[0]) < 1e-9
    found.append(standard_errors(radius, radial(1.0) / radial(0.0)))
    return float(np.abs(found).max())
