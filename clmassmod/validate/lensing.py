"""Checks of reduced shear and of profiles about wrong centres."""

from __future__ import annotations

import itertools
import math

import numpy as np

from clmassmod.core import shear
from clmassmod.core.miscentring import at_offsets, miscentring
from clmassmod.core.projected import Projected
from clmassmod.validate.checks import check
from clmassmod.validate.lab import Lab
from clmassmod.validate.reference import Array, Lens, relative, wright_brainerd

_LENS = Lens()
_RADIUS = np.array([0.25, 0.8, 2.0])


def _sources(n: int = 400) -> Array:
    """Return beta_s of sources spread over redshift as z^2 exp(-(z / 0.7)^1.5)."""
    z = np.linspace(0.0, 4.0, 20_001)
    cumulative = np.cumsum(z**2 * np.exp(-((z / 0.7) ** 1.5)))
    return _LENS.background.beta_s(
        np.interp((np.arange(n) + 0.5) / n, cumulative / cumulative[-1], z), _LENS.z
    )


@check(1e-12, reason="rounding", source="beta gamma / (1 - beta kappa), written out")
def reduced_shear_of_a_plane(lab: Lab) -> float:
    """Reduced shear of a source plane from surface densities."""
    sigma, delta = _LENS.surface(_RADIUS)
    critical = _LENS.background.sigma_critical(_LENS.z)
    got = shear.reduced_shear(sigma, delta, critical, 0.65, 0.65**2)
    return relative(got, _LENS.reduced_shear(_RADIUS, 0.65))


@check(
    0.0015,
    reason="third order in kappa, for a halo of 5e14 Msun beyond 0.25 Mpc",
    source="mean over 400 sources of beta gamma / (1 - beta kappa), those before the lens included",
)
def reduced_shear_of_many_redshifts(lab: Lab) -> float:
    """<beta_s> and <beta_s^2> stand for a distribution of source redshifts."""
    beta = _sources()
    sigma, delta = _LENS.surface(_RADIUS)
    critical = _LENS.background.sigma_critical(_LENS.z)
    got = shear.reduced_shear(sigma, delta, critical, beta.mean(), (beta**2).mean())
    return relative(got, _LENS.reduced_shear(_RADIUS, beta))


@check(1e-12, reason="rounding", source="mean over 400 sources of beta gamma / (1 - beta kappa)")
def exact_mean_over_sources(lab: Lab) -> float:
    """The mean reduced shear of a list of sources."""
    beta = _sources()
    sigma, delta = _LENS.surface(_RADIUS)
    got = shear.exact_reduced_shear(sigma, delta, _LENS.background.sigma_critical(_LENS.z), beta)
    return relative(got, _LENS.reduced_shear(_RADIUS, beta))


def _projected(radius: Array) -> Projected:
    return Projected(*_LENS.surface(np.asarray(radius)))


def _about(radius: float, offset: float) -> tuple[float, float]:
    """Return surface density on, and its mean inside, a circle about a wrong centre, by quad over angles.

    The mean inside is that of the part that the circle cuts from rings about the halo's own centre.
    """
    from scipy.integrate import quad

    unit = _LENS.rho_s * _LENS.r_s

    def sigma(d: float) -> float:
        return unit * float(wright_brainerd(max(d, 1e-9) / _LENS.r_s)[0][0])

    on, _ = quad(
        lambda p: sigma(math.sqrt(radius**2 + offset**2 - 2 * radius * offset * math.cos(p))),
        0.0,
        math.pi,
        epsrel=1e-9,
        limit=400,
        points=(0.01, 0.1),
    )

    def share(d: float) -> float:
        """Fraction of a ring of radius d about the halo that lies inside the circle."""
        if d <= radius - offset:
            return 1.0
        if d >= radius + offset or d <= offset - radius:
            return 0.0
        cosine = (d * d + offset * offset - radius * radius) / (2 * d * offset)
        return math.acos(min(max(cosine, -1.0), 1.0)) / math.pi

    ends = sorted({0.0, abs(radius - offset), radius + offset})
    inside = sum(
        quad(lambda d: 2 * math.pi * d * sigma(d) * share(d), a, b, epsrel=1e-9, limit=400)[0]
        for a, b in itertools.pairwise(ends)
    )
    return on / math.pi, inside / (math.pi * radius**2)


@check(
    2e-5,
    reason="1e-5 with the coarse grid of fits",
    source="scipy quad over the circle, and over rings cut by it",
)
def fixed_offset(lab: Lab) -> float:
    """Profiles about a centre that is off by 0.3 Mpc: Sigma on circles and its mean inside them."""
    want = np.array([_about(float(r), 0.3) for r in _RADIUS]).T
    exact = miscentring(_RADIUS, "fixed", 0.3)(_projected)
    coarse = at_offsets(_RADIUS, 0.3)(_projected)
    return max(relative([a.sigma, a.mean_sigma], want) for a in (exact, coarse))


@check(
    2e-5,
    reason="the sum over 400 offsets of the reference",
    source="offsets at equal probabilities of the closed distribution functions, each by quad",
)
def offset_distributions(lab: Lab) -> float:
    """Profiles averaged over Rayleigh and Gamma distributed offsets of scale 0.2 Mpc."""
    from scipy.stats import gamma, rayleigh

    radius, worst = np.array([0.8]), 0.0
    node, weight = np.polynomial.legendre.leggauss(24)
    for name, law, reach in (
        ("rayleigh", rayleigh(scale=0.2), 6.5 * 0.2),
        ("gamma", gamma(2.0, scale=0.2), 24 * 0.2),
    ):
        total = np.zeros(2)
        for low, high in ((0.0, 0.8), (0.8, reach)):
            if high <= low:
                continue
            s = low + 0.5 * (high - low) * (node + 1.0)
            w = 0.5 * (high - low) * weight * law.pdf(s)
            total += w @ np.array([_about(0.8, float(v)) for v in s])
        got = miscentring(radius, name, 0.2)(_projected)
        worst = max(worst, relative([got.sigma[0], got.mean_sigma[0]], total))
    return worst
