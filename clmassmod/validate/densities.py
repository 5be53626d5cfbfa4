"""Checks of density profiles: their masses and projections against quadrature of textbook densities."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from clmassmod.core import baryons, nfw, shells
from clmassmod.core.profiles import elliptical
from clmassmod.core.projected import Projected
from clmassmod.cosmology import environment
from clmassmod.registry import PROFILES
from clmassmod.validate import reference
from clmassmod.validate.checks import check
from clmassmod.validate.lab import Lab, colossus_reference
from clmassmod.validate.reference import Lens, relative

_LENS = Lens()
_RADII = (0.05, 0.3, 1.0, 2.7)
_QUADRATURE = "scipy quad of the textbook density, scaled to hold the mass inside its radius"


def _against(
    lab: Lab,
    name: str,
    density: Callable[[float], float],
    reach: float = 1e4,
    parameters: Mapping[str, Any] | None = None,
) -> float:
    """Return the largest deviation of a profile's projections and mass from those of a density."""
    from scipy.integrate import quad

    halo = environment(lab.cosmology, _LENS.z)
    mass = (
        4.0
        * math.pi
        * quad(
            lambda s: math.exp(3 * s) * density(math.exp(s)),
            math.log(1e-9),
            math.log(_LENS.radius),
            epsrel=1e-11,
            limit=400,
        )[0]
    )
    scale = _LENS.mass / mass
    want = [reference.project(lambda r: scale * density(r), r, reach) for r in _RADII]
    profile = PROFILES.load(name)
    arguments = (_LENS.mass, _LENS.concentration, _LENS.threshold, halo)
    got = profile.projected(np.array(_RADII), *arguments, **dict(parameters or {}))
    sphere = profile.enclosed_mass(np.array([_LENS.radius]), *arguments, **dict(parameters or {}))
    sigma, mean = np.array(want).T
    return max(
        relative(got.sigma, sigma), relative(got.delta_sigma, mean - sigma), relative(sphere, _LENS.mass)
    )


@check(
    1e-7,
    reason="the textbook form loses nine digits near x = 1 and as x^-2 towards 0",
    source="Wright & Brainerd 2000 (ApJ 534, 34), eq. 11, 13 and 14",
)
def nfw_surface_density(lab: Lab) -> float:
    """Surface density and excess surface density of an NFW halo of a given mass and concentration."""
    halo = environment(lab.cosmology, _LENS.z)
    radius = _LENS.r_s * np.array([0.02, 0.2, 0.7, 0.99, 1.01, 1.5, 4.0, 30.0])
    got = nfw.projected(radius, _LENS.mass, _LENS.concentration, 200.0 * halo.rho_crit_msun_mpc3)
    return max(relative(a, b) for a, b in zip(got, _LENS.surface(radius), strict=True))


@check(
    1e-11,
    reason="stated as 2e-12",
    source="limits: Sigma -> 2/3, mean -> 4 (1 - ln 2) at x = 1; ln x terms as x -> 0",
)
def nfw_series(lab: Lab) -> float:
    """Shapes where a series replaces the closed form: at x = 1 and towards the centre."""
    sigma, mean = nfw.shapes([1.0, 1e-4])
    x = 1e-4
    log = math.log(2.0 / x)
    small = (2.0 * (log - 1.0) + x * x * (3.0 * log - 2.5), 2.0 * (log - 0.5) + x * x * (1.5 * log - 0.875))
    return relative([*sigma, *mean], [2.0 / 3.0, small[0], 4.0 * (1.0 - math.log(2.0)), small[1]])


@check(1e-9, reason="the closed form cancels to 1e-10 at small x", source="scipy quad of 4 pi r^2 rho(r)")
def nfw_mass_inside(lab: Lab) -> float:
    """Mass of an NFW halo inside spheres, and its density."""
    from scipy.integrate import quad

    halo = environment(lab.cosmology, _LENS.z)
    radius = np.array([0.001, 0.1, _LENS.radius, 5.0])
    arguments = (_LENS.mass, _LENS.concentration, 200.0 * halo.rho_crit_msun_mpc3)

    def density(r: float) -> float:
        x = r / _LENS.r_s
        return _LENS.rho_s / (x * (1.0 + x) ** 2)

    want = [quad(lambda r: 4.0 * math.pi * r * r * density(r), 0.0, v, epsrel=1e-12)[0] for v in radius]
    here = relative(nfw.density(radius, *arguments), [density(v) for v in radius])
    return max(here, relative(nfw.enclosed_mass(radius, *arguments), want))


@check(1e-8, reason="quadratures of both sides", source=_QUADRATURE)
def einasto(lab: Lab) -> float:
    """Einasto profile, rho ~ exp(-2 / alpha [(r / r_s)^alpha - 1])."""
    alpha, r_s = 0.2, _LENS.r_s
    return _against(
        lab, "einasto", lambda r: math.exp(-2 / alpha * ((r / r_s) ** alpha - 1)), 1e3, {"alpha": alpha}
    )


@check(1e-7, reason="quadrature of the reference", source=_QUADRATURE)
def hernquist(lab: Lab) -> float:
    """Hernquist profile, rho ~ 1 / (x (1 + x)^3)."""
    r_s = _LENS.r_s
    return _against(lab, "hernquist", lambda r: 1 / (r / r_s * (1 + r / r_s) ** 3))


@check(1e-7, reason="64 to 96 nodes of both quadratures", source=_QUADRATURE)
def generalised_nfw(lab: Lab) -> float:
    """Generalised NFW profile with a slope of 1.3 inside and 3.4 outside."""
    r_s = _LENS.r_s

    def density(r: float) -> float:
        return float((r / r_s) ** -1.3 * (1 + (r / r_s) ** 1.5) ** ((1.3 - 3.4) / 1.5))

    parameters = {"inner_slope": 1.3, "outer_slope": 3.4, "transition": 1.5}
    return _against(lab, "gnfw", density, parameters=parameters)


@check(1e-7, reason="quadrature of the reference", source=_QUADRATURE)
def truncated_nfw(lab: Lab) -> float:
    """Truncated NFW profile of Baltz et al. 2009 with both of its truncations."""
    r_s, tau, worst = _LENS.r_s, 5.0, 0.0
    for n in (1, 2):

        def density(r: float, n: int = n) -> float:
            x = r / r_s
            return float((tau**2 / (tau**2 + x**2)) ** n / (x * (1 + x) ** 2))

        worst = max(worst, _against(lab, "tnfw", density, parameters={"tau": tau, "n": n}))
    return worst


def _splashback(lab: Lab, name: str, shape: Callable[[float, float, float], float]) -> float:
    """Return the deviation for a shape (r, R200m, nu) of a halo, R200m and nu by iteration of the shape."""
    from colossus.lss import peaks
    from scipy.integrate import quad
    from scipy.optimize import brentq

    mean = _LENS.background.Om0 * (1 + _LENS.z) ** 3 * _LENS.background.critical_density(0.0)
    radius = 1.3 * _LENS.radius
    nu = 0.0
    for _ in range(60):
        with colossus_reference():
            nu = float(peaks.peakHeight(4 / 3 * math.pi * 200 * mean * radius**3 * 0.7, _LENS.z))

        def inside(r: float, big: float = radius, nu: float = nu) -> float:
            found = (
                4
                * math.pi
                * quad(
                    lambda s: math.exp(3 * s) * shape(math.exp(s), big, nu),
                    math.log(1e-9),
                    math.log(r),
                    epsrel=1e-11,
                    limit=300,
                )[0]
            )
            return float(found)

        unit = _LENS.mass / inside(_LENS.radius)
        new = brentq(
            lambda r, unit=unit: unit * inside(r) / (4 / 3 * math.pi * r**3 * 200 * mean) - 1,
            0.5,
            8.0,
            xtol=1e-12,
        )
        if abs(new / radius - 1) < 1e-11:
            break
        radius = new
    found = {"peak_height": lambda mass: lab.tables.peak_height(mass, _LENS.z)}
    return _against(lab, name, lambda r: shape(r, radius, nu), 200.0, found)


@check(1e-7, reason="peak heights are interpolated", source=_QUADRATURE + "; nu by colossus")
def diemer_kravtsov(lab: Lab) -> float:
    """Inner profile of Diemer & Kravtsov 2014, eq. 4 and 6: alpha(nu), and r_t = (1.9 - 0.18 nu) R200m."""

    def shape(r: float, big: float, nu: float) -> float:
        alpha = 0.155 + 0.0095 * nu * nu
        inner = math.exp(-2 / alpha * ((r / _LENS.r_s) ** alpha - 1))
        return inner * (1 + (r / ((1.9 - 0.18 * nu) * big)) ** 4) ** -2

    return _splashback(lab, "dk14", shape)


@check(1e-7, reason="peak heights are interpolated", source=_QUADRATURE + "; nu by colossus")
def diemer23(lab: Lab) -> float:
    """Orbiting matter of Diemer 2023, model A: alpha = 0.18, beta = 3, r_t = (1.4 - 0.21 nu) R200m."""

    def shape(r: float, big: float, nu: float) -> float:
        r_t = (1.4 - 0.21 * nu) * big
        return math.exp(
            -2 / 0.18 * ((r / _LENS.r_s) ** 0.18 - 1) - ((r / r_t) ** 3 - (_LENS.r_s / r_t) ** 3) / 3
        )

    return _splashback(lab, "diemer23", shape)


@check(
    1e-6,
    reason="sums of the reference",
    source="Gauss's law: mean shear on a circle = mean Sigma inside - Sigma on it",
)
def triaxial_halo(lab: Lab) -> float:
    """Shear and surface density of an elliptical halo of the textbook profile."""
    ellipse = elliptical.Ellipse(0.6, 0.4, 1.1, 1.05)

    def spherical(radius: np.ndarray) -> Projected:
        return Projected(*_LENS.surface(np.asarray(radius)))

    def sigma_at(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        u, v = x * math.cos(0.4) + y * math.sin(0.4), y * math.cos(0.4) - x * math.sin(0.4)
        radius = np.sqrt(0.6 * u**2 + v**2 / 0.6) / 1.05
        return (1.1 * _LENS.surface(radius.ravel())[0]).reshape(radius.shape)

    phi = 2.0 * np.pi * np.arange(256) / 256
    node, weight = np.polynomial.legendre.leggauss(48)
    t, w = 0.5 * (node + 1.0), 0.5 * weight
    worst = 0.0
    for radius in (0.4, 1.6):
        x, y = radius * np.cos(phi), radius * np.sin(phi)
        sigma, g1, g2 = elliptical.surface_density_and_shear(spherical, x, y, ellipse)
        tangential = float(-(g1 * np.cos(2 * phi) + g2 * np.sin(2 * phi)).mean())
        r = radius * t[:, np.newaxis] ** 3  # crowded at the cusp
        inner = sigma_at(r * np.cos(phi), r * np.sin(phi)).mean(axis=1)
        inside = float((w * 3 * t**2 * r[:, 0] * inner).sum() * 2.0 / radius)
        want = inside - float(sigma_at(x, y).mean())
        worst = max(worst, relative(tangential, want), relative(sigma, sigma_at(x, y)))
    return worst


@check(1e-12, reason="rounding", source="closed form: chord of a uniform sphere, 2 rho sqrt(a^2 - R^2)")
def shells_of_constant_density(lab: Lab) -> float:
    """Projection of spheres in shells, as of measured mass profiles."""
    edges, radius = np.array([0.0, 0.4, 1.0, 2.0]), np.array([0.3, 0.9, 1.7])
    got = shells.project(edges, np.full(3, 5e13), radius)
    sigma = 1e14 * np.sqrt(4.0 - radius**2)
    mass = 4.0 / 3.0 * np.pi * 5e13 * (8.0 - (4.0 - radius**2) ** 1.5)
    return max(relative(got.sigma, sigma), relative(got.mean_sigma, mass / (np.pi * radius**2)))


@check(
    1e-6,
    reason="the error function is that of a handbook, to 1.5e-7",
    source="Schneider et al. 2019, eq. 2.6–2.14: stars a (M / M_s)^-eta, central galaxy erf(r / 2 "
    "R_h), gas by quad",
)
def baryonic_correction(lab: Lab) -> float:
    """Gas, central galaxy and total mass of the baryonic correction, by its paper."""
    from scipy.integrate import quad
    from scipy.special import erf

    mass, c, virial, share = 3e14, 4.0, 1.4, 0.16
    model = baryons.BaryonModel()
    stars, central = 0.09 * (2.5e11 / mass) ** 0.32, 0.09 * (2.5e11 / mass) ** 0.6
    first = relative(
        baryons.fractions(model, mass, share), [share - stars, central, 1 - share + stars - central]
    )
    # all of the mass is there far outside
    radius = np.geomspace(1e-5, 300.0, 6001) * virial
    before, after = baryons.enclosed_masses(radius, mass, c, virial, 1.0, share, model)
    beta = 3.0 - (6.6e13 / mass) ** 0.21

    def gas(x: float) -> float:
        return float(x**2 * (1 + x / 0.1) ** -beta * (1 + (x / 4.0) ** 2) ** (-(7 - beta) / 2))

    def tnfw(x: float) -> float:
        tau = 4.0 * c
        return x / (1 + x) ** 2 * (tau**2 / (tau**2 + x**2)) ** 2

    unit = mass / quad(tnfw, 0, c)[0]
    total = unit * quad(tnfw, 0, np.inf, epsrel=1e-10)[0]
    whole = quad(gas, 0, 300.0, limit=400, epsrel=1e-10)[0]
    at = 1.0 * virial  # collisionless matter at the relaxed radius: solve its own equation there
    i = int(np.argmin(np.abs(radius - at)))
    at = float(radius[i])
    inside = total * (
        (share - stars) * quad(gas, 0, at / virial, epsrel=1e-10)[0] / whole
        + central * erf(at / (2 * 0.015 * virial))
    )

    def excess(xi: float) -> float:
        initial = unit * quad(tnfw, 0, at / xi * c / virial, epsrel=1e-10)[0]
        return float(1 + 0.3 * ((initial / ((1 - share + stars - central) * initial + inside)) ** 2 - 1) - xi)

    from scipy.optimize import brentq

    xi = brentq(excess, 0.5, 2.0, xtol=1e-13)
    relaxed = (1 - share + stars - central) * unit * quad(tnfw, 0, at / xi * c / virial, epsrel=1e-10)[0]
    return max(
        first,
        relative(after[-1], before[-1]),
        relative(after[i], relaxed + inside),
        relative(before[i], unit * quad(tnfw, 0, at * c / virial, epsrel=1e-10)[0]),
    )
