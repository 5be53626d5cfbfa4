"""Baryonic correction of a halo: Schneider et al. 2019 (JCAP 03, 020), section 2.

A gravity-only halo, a truncated NFW profile with truncation at four virial radii, is replaced by a
central galaxy, gas that feedback has pushed outwards, and collisionless matter (dark matter, satellite
galaxies and stars between them) that relaxes to their gravity. Total mass is conserved.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clmassmod.core.profiles.tnfw import mass_shape
from clmassmod.core.projected import Projected
from clmassmod.core.shells import project
from clmassmod.records import Array

_TRUNCATION = 4.0  # epsilon, in virial radii
_SHELLS = 1200


@dataclass(frozen=True)
class BaryonModel:
    """Parameters of the correction; the defaults are the fiducial ones of the paper (masses Msun / h)."""

    m_c_msun_h: float = 6.6e13  # haloes of this mass have lost part of their gas
    mu: float = 0.21
    theta_ej: float = 4.0  # reach of ejected gas, in virial radii
    theta_co: float = 0.1  # core of the gas
    a_star: float = 0.09
    m_star_msun_h: float = 2.5e11
    eta: float = 0.32  # of all stars
    eta_cga: float = 0.6  # of the central galaxy
    half_light: float = 0.015  # of the central galaxy, in virial radii


def fractions(model: BaryonModel, mass_msun_h: float, baryon_fraction: float) -> tuple[float, float, float]:
    """Return the fractions of gas, central galaxy and collisionless matter."""
    star = model.a_star * (model.m_star_msun_h / mass_msun_h) ** model.eta
    central = model.a_star * (model.m_star_msun_h / mass_msun_h) ** model.eta_cga
    return baryon_fraction - star, central, 1.0 - baryon_fraction + (star - central)


def enclosed_masses(
    radius_mpc: Array,
    mass_msun: float,
    concentration: float,
    virial_radius_mpc: float,
    h: float,
    baryon_fraction: float,
    model: BaryonModel,
) -> tuple[Array, Array]:
    """Return the mass inside spheres without and with baryons, Msun, (bin,).

    Parameters
    ----------
    radius_mpc
        Increasing radii, from far inside the core to far outside the halo, (bin,).
    mass_msun
        Gravity-only mass inside ``virial_radius_mpc``.
    concentration
        Virial radius over scale radius.
    virial_radius_mpc
        r_200c in the paper.
    h
        H0 / (100 km/s/Mpc), for the paper's masses.
    baryon_fraction
        Omega_b / Omega_m.
    model
        Parameters.
    """
    tau = np.asarray(_TRUNCATION * concentration)

    def gravity_only(radius: Array) -> Array:
        unit = mass_shape(np.asarray(concentration, dtype=float), tau, 2)
        return np.asarray(mass_msun * mass_shape(radius * concentration / virial_radius_mpc, tau, 2) / unit)

    before = gravity_only(radius_mpc)
    total = float(gravity_only(np.array([1e4 * virial_radius_mpc]))[0])
    gas_share, central_share, rest = fractions(model, mass_msun * h, baryon_fraction)
    gas = (
        gas_share
        * total
        * _normalised(_gas_density(radius_mpc / virial_radius_mpc, mass_msun * h, model), radius_mpc)
    )
    size = model.half_light * virial_radius_mpc
    # rho ~ r^-2 exp(-(r / 2 R_h)^2), whose mass is an error function
    central = central_share * total * _erf(radius_mpc / (2.0 * size))
    xi = _relaxation(radius_mpc, before, gravity_only, gas + central, rest)
    return before, rest * gravity_only(radius_mpc / xi) + gas + central


def _gas_density(x: Array, mass_msun_h: float, model: BaryonModel) -> Array:
    """Return the gas density at r / r_vir, not normalised."""
    beta = 3.0 - (model.m_c_msun_h / mass_msun_h) ** model.mu
    return np.asarray(
        (1.0 + x / model.theta_co) ** -beta * (1.0 + (x / model.theta_ej) ** 2) ** (-0.5 * (7.0 - beta))
    )


def _normalised(density: Array, radius: Array) -> Array:
    """Return the enclosed mass of a density on radii, 1 at the last one; equally spaced in ln r."""
    integrand = density * radius**3
    step = np.log(radius[1] / radius[0])
    inner = integrand[0] / 3.0
    total = inner + np.concatenate([[0.0], np.cumsum(0.5 * step * (integrand[1:] + integrand[:-1]))])
    return np.asarray(total / total[-1])


def _relaxation(radius: Array, before: Array, gravity_only: object, baryons: Array, rest: float) -> Array:
    """Return xi = r_f / r_i at final radii: xi = 1 + 0.3 [(M_i / M_f)^2 - 1]."""
    assert callable(gravity_only)
    xi = np.ones_like(before)
    for _ in range(100):
        initial = gravity_only(radius / xi)
        final = rest * initial + baryons
        new = 1.0 + 0.3 * ((initial / final) ** 2 - 1.0)
        step = np.max(np.abs(new - xi))
        xi = 0.5 * (xi + new)
        if step < 1e-10:
            break
    return xi


def _erf(x: Array) -> Array:
    """Return the error function to 1.5e-7: Abramowitz & Stegun 7.1.26."""
    t = 1.0 / (1.0 + 0.3275911 * x)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return np.asarray(1.0 - series * np.exp(-x * x))


def projected(
    radius_mpc: Array,
    mass_msun: float,
    concentration: float,
    virial_radius_mpc: float,
    h: float,
    baryon_fraction: float,
    model: BaryonModel,
) -> tuple[Projected, Projected]:
    """Return the surface densities without and with baryons; arguments as for ``enclosed_masses``."""
    edges = np.geomspace(1e-5, 300.0, _SHELLS + 1) * virial_radius_mpc
    volume = 4.0 * np.pi / 3.0 * np.diff(edges**3)
    masses = enclosed_masses(edges, mass_msun, concentration, virial_radius_mpc, h, baryon_fraction, model)
    before, after = (project(edges, np.diff(mass) / volume, radius_mpc) for mass in masses)
    return before, after
