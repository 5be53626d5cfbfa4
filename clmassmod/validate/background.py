"""Checks of constants, distances, densities and mass definitions."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from clmassmod.core import massdef, shear, units
from clmassmod.core.sources import beta_statistics, named_sources
from clmassmod.cosmology import Cosmology, angular_diameter_distance_mpc, beta_s, environment
from clmassmod.tables import Tables, build
from clmassmod.validate import reference
from clmassmod.validate.checks import check
from clmassmod.validate.lab import Lab, colossus_reference
from clmassmod.validate.reference import Background, nfw_mass, relative, smail

_COSMOLOGIES: tuple[dict[str, float], ...] = (
    {},
    {"Om0": 0.25, "Ode0": 0.85},
    {"Om0": 0.35, "Ode0": 0.45},
    {"H0": 67.0, "w0": -0.9, "wa": 0.2},
    {"Ode0": 0.75, "w0": -1.1, "wa": -0.3},
)


def _pairs() -> list[tuple[Cosmology, Background]]:
    found = []
    for given in _COSMOLOGIES:
        values = {"H0": 70.0, "Om0": 0.3, **given}
        theirs = {"Ode0": 1.0 - values["Om0"], **values}
        found.append((Cosmology(**values), Background(**theirs)))
    return found


@check(
    1e-8,
    reason="the nine digits that the product G M_sun is known and written to",
    source="speed of light by the SI; G M_sun and parsec of IAU 2015 resolutions B2 and B3",
)
def constants(lab: Lab) -> float:
    """Speed of light and G in Mpc, km/s and Msun, also as a cosmology has it, are those of the IAU."""
    got = [units.C_KM_S, units.G_MPC_KM2_S2_MSUN, Cosmology(H0=70.0, Om0=0.3).gravitational_constant]
    return relative(got, [reference.LIGHT_KM_S, reference.GRAVITY, reference.GRAVITY])


@check(1e-14, reason="rounding", source="360 degrees of 60 minutes of 60 seconds are 2 pi")
def angles(lab: Lab) -> float:
    """Arcminutes and arcseconds in radians."""
    minute = reference.ARCMINUTE
    return relative([units.ARCMIN_RAD, units.ARCSEC_RAD], [minute, minute / 60.0])


@check(1e-9, reason="astropy integrates to 1e-10", source="astropy.cosmology, without radiation")
def distances(lab: Lab) -> float:
    """Angular-diameter distances in flat, open and closed universes with any dark energy."""
    from astropy import cosmology as astropy_cosmology

    z, worst = np.array([0.05, 0.25, 0.6, 1.5, 4.0]), 0.0
    for ours, theirs in _pairs():
        w0wa = astropy_cosmology.w0waCDM(
            H0=theirs.H0, Om0=theirs.Om0, Ode0=theirs.Ode0, w0=theirs.w0, wa=theirs.wa, Tcmb0=0.0
        )
        worst = max(
            worst,
            relative(angular_diameter_distance_mpc(ours, 0.0, z), w0wa.angular_diameter_distance(z).value),
        )
    return worst


@check(
    1e-9, reason="adaptive quadrature to 1e-12", source="scipy quad of 1 / H(z), curvature by sinh and sin"
)
def lensing_efficiency(lab: Lab) -> float:
    """beta_s = beta(z_s) / beta(infinity), with sources at infinite redshift as the limit of the integral."""
    z, z_lens = np.array([0.4, 0.7, 1.5, 5.0]), 0.3
    return max(relative(beta_s(ours, z, z_lens), theirs.beta_s(z, z_lens)) for ours, theirs in _pairs())


@check(1e-8, reason="the digits of G M_sun", source="c2 D_s / (4 pi G D_l D_ls) from the constants and quad")
def critical_surface_density(lab: Lab) -> float:
    """Critical surface density of a source plane and of infinitely distant sources, per physical area."""
    worst = 0.0
    for ours, theirs in _pairs():
        d_lens = float(angular_diameter_distance_mpc(ours, 0.0, 0.3))
        got = [
            environment(ours, 0.3).sigma_crit_inf_msun_mpc2,
            float(shear.sigma_crit_msun_mpc2(d_lens, theirs.beta(1.2, 0.3))),
        ]
        worst = max(worst, relative(got, [theirs.sigma_critical(0.3), theirs.sigma_critical(0.3, 1.2)]))
    return worst


@check(1e-8, reason="nine digits of G", source="colossus rho_c(z) and rho_m(z), per h2")
def densities(lab: Lab) -> float:
    """Critical and mean matter density of the universe."""
    got, want = [], []
    with colossus_reference() as colossus:
        for z in (0.1, 0.3, 1.0):
            halo = environment(lab.cosmology, z)
            got += [halo.rho_crit_msun_mpc3, halo.rho_mean_msun_mpc3]
            want += [float(f(z)) * 1e9 * 0.7**2 for f in (colossus.rho_c, colossus.rho_m)]
    return relative(got, want)


@check(1e-8, reason="nine digits of G", source="colossus densityThreshold, with Bryan & Norman 1998")
def mass_definitions(lab: Lab) -> float:
    """Mean densities inside the radii of 200c, 500c, 2500c, 200m and virial masses."""
    from colossus.halo import mass_so

    names = ("200c", "500c", "2500c", "200m", "vir")
    got, want = [], []
    with colossus_reference():
        for z in (0.1, 0.5):
            halo = environment(lab.cosmology, z)
            got += [massdef.threshold_density_msun_mpc3(name, halo) for name in names]
            want += [mass_so.densityThreshold(z, name) * 1e9 * 0.7**2 for name in names]
    return relative(got, want)


@check(1e-10, reason="both solve to 1e-12", source="brentq for the radius where the textbook density is met")
def mass_conversion(lab: Lab) -> float:
    """NFW masses and concentrations of 500c and of a fifth of 200c from those of 200c."""
    from scipy.optimize import brentq

    worst = 0.0
    for c in (1.5, 4.0, 12.0):
        for contrast in (2.5, 0.2):
            x = brentq(
                lambda x, c=c, r=contrast: nfw_mass(x) / x**3 - r * nfw_mass(c) / c**3, 1e-3, 1e3, xtol=1e-14
            )
            mass, new = massdef.convert_nfw(5e14, c, 1.0, contrast)
            worst = max(worst, relative([mass, new], [5e14 * nfw_mass(x) / nfw_mass(c), x]))
    return worst


@check(1e-9, reason="Hermite interpolation of 1025 nodes", source="scipy quad of 1 / H(z)")
def interpolated_distances(lab: Lab) -> float:
    """beta_s that halo jobs interpolate from the tables, between their nodes."""
    z, worst = np.array([0.3111, 0.472, 0.913, 2.347, 7.7]), 0.0
    for ours, theirs in _pairs():
        tables = Tables(build(ours, z_range=(0.3, 0.3), structure=False))
        worst = max(worst, relative(tables.beta_s(z, 0.3), theirs.beta_s(z, 0.3)))
    return worst


def _published() -> dict[str, tuple[float, float, float]]:
    """Exponents and scale (alpha, beta, z0) of source samples as their papers print them."""
    from scipy.special import gammaincinv

    alpha, beta, median = 2.0, 1.5, 1.0
    scale = median / float(gammaincinv((alpha + 1.0) / beta, 0.5)) ** (1.0 / beta)
    return {
        "chang13": (1.24, 1.01, 0.51),
        "Y1": (2.0, 0.78, 0.13),
        "Y10": (2.0, 0.68, 0.11),
        "smail": (alpha, beta, scale),
    }


@check(
    1e-7,
    reason="Gauss–Legendre in 24 panels; the kink at the lens is an end of one",
    source="scipy quad over n(z) of Chang et al. 2013, of the DESC SRD, and of Smail et al. 1994 by "
    "its median",
)
def source_moments(lab: Lab) -> float:
    """<beta_s> and <beta_s^2> of published source redshift distributions, those before the lens included."""
    z_lens, background = 0.3, Background()
    u = np.linspace(0.0, 1.0, 401) ** 2  # beta_s on a fine grid, as quad needs it often
    z_grid = z_lens + (10.0 - z_lens) * u
    spline = _spline(z_grid, background.beta_s(z_grid, z_lens))
    worst = 0.0
    for name, (alpha, beta, z0) in _published().items():
        options = {"year": name} if name[0] == "Y" else {}
        if name == "smail":
            options = {"alpha": alpha, "beta": beta, "median_z": 1.0}  # type: ignore[dict-item]
        sample = named_sources("desc_srd" if name[0] == "Y" else name, **options)
        got = beta_statistics(sample, z_lens, lab.tables.beta_s)

        def density(z: float, p: tuple[float, float, float] = (alpha, beta, z0)) -> float:
            return float(smail(z, *p))

        def power(z: float, k: int) -> float:
            return float(spline(z)) ** k if z > z_lens else 0.0

        want = [
            reference.mean_over(partial(power, k=k), density, 0.0, 10.0, (z_lens, 1.0, 2.0)) for k in (1, 2)
        ]
        worst = max(worst, relative(got, want))
    return worst


def _spline(x: np.ndarray, y: np.ndarray) -> Any:
    from scipy.interpolate import CubicSpline

    return CubicSpline(x, y)


@check(1e-12, reason="rounding", source="M = 4/3 pi r^3 rho, with the radius of the textbook lens")
def overdensity_radius(lab: Lab) -> float:
    """Radius of a mass: its mean density is the threshold."""
    halo = environment(lab.cosmology, 0.3)
    radius = float(massdef.radius_mpc(5e14, "500c", halo))
    return relative(4.0 / 3.0 * math.pi * radius**3 * 500.0 * halo.rho_crit_msun_mpc3, 5e14)
