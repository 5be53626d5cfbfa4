"""Checks of concentration relations and of the halo mass function."""

from __future__ import annotations

import numpy as np

from clmassmod.cosmology.concentration import concentration
from clmassmod.cosmology.mass_function import abundance
from clmassmod.validate.checks import check
from clmassmod.validate.lab import Lab, colossus_reference
from clmassmod.validate.reference import Background, nfw_mass, relative

_MASS = np.array([6.3e13, 2.9e14, 1.7e15])


@check(1e-5, reason="the interpolation's stated error", source="colossus concentration, at masses times h")
def tabulated_concentration(lab: Lab) -> float:
    """Concentrations of Diemer & Joyce 2019 and Duffy et al. 2008 that halo jobs interpolate."""
    from colossus.halo.concentration import concentration as theirs

    worst = 0.0
    for z in (0.213, 0.55):
        for name in ("diemer19", "duffy08"):
            with colossus_reference():
                want, _ = theirs(_MASS * 0.7, "200c", z, model=name, range_return=True)
            worst = max(worst, relative(lab.tables.concentration(name, "200c", _MASS, z), want))
    return worst


@check(1e-6, reason="the same formula on both sides", source="colossus concentration, at masses times h")
def concentration_relations(lab: Lab) -> float:
    """All relations in the definitions that they were calibrated for."""
    from colossus.halo.concentration import concentration as theirs

    models = (
        ("bhattacharya13", "200m"),
        ("child18", "200c"),
        ("diemer15", "200c"),
        ("ishiyama21", "vir"),
        ("duffy08", "vir"),
        ("duffy08", "200m"),
        ("diemer19", "200c"),
    )
    worst = 0.0
    for model, definition in models:
        with colossus_reference():
            want, _ = theirs(_MASS * 0.7, definition, 0.35, model=model, range_return=True)
        worst = max(worst, relative(concentration(lab.cosmology, model, definition, _MASS, 0.35), want))
    return worst


@check(
    1e-7,
    reason="the iteration stops at 1e-10",
    source="textbook NFW: a 200c halo of the relation has that 500c mass",
)
def concentration_of_other_definitions(lab: Lab) -> float:
    """A relation for 200c masses asked for 500c: the same halo, its radius over the same scale radius."""
    from scipy.optimize import brentq

    c200 = concentration(lab.cosmology, "duffy08", "200c", _MASS, 0.35)
    x = np.array(
        [
            brentq(lambda x, c=c: nfw_mass(x) / x**3 - 2.5 * nfw_mass(c) / c**3, 1e-3, 1e2, xtol=1e-14)
            for c in c200
        ]
    )
    m500 = _MASS * nfw_mass(x) / nfw_mass(c200)
    return relative(concentration(lab.cosmology, "duffy08", "500c", m500, 0.35), x)


@check(
    1e-4,
    reason="central differences of sigma(M) err by 1e-5",
    source="Tinker et al. 2008, table 2 and eq. 3–8",
)
def mass_function(lab: Lab) -> float:
    """Abundance of haloes per ln M and comoving Mpc3, with factors of h."""
    z, background = 0.3, Background()
    ln_mass = np.log(_MASS)
    sigma = 1.68647 / lab.tables.peak_height(_MASS, z)
    step = 0.05
    up, down = (1.68647 / lab.tables.peak_height(np.exp(ln_mass + s), z) for s in (step, -step))
    slope = -np.log(up / down) / (2.0 * step)
    # at an overdensity of 200 against the mean, where the table has a node
    a, b, c, amplitude = 1.47 * (1 + z) ** -0.06, 2.57, 1.19, 0.186 * (1 + z) ** -0.14
    b *= (1.0 + z) ** -(10.0 ** -((0.75 / np.log10(200.0 / 75.0)) ** 1.2))
    f = amplitude * ((sigma / b) ** -a + 1.0) * np.exp(-c / sigma**2)
    mean = background.Om0 * background.critical_density(0.0)
    return relative(abundance(lab.cosmology, "200m", _MASS, z), f * mean / _MASS * slope)
