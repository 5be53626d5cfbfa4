"""Linear structure: power spectrum, variance, growth, peak height and halo bias.

The linear spectrum is Eisenstein & Hu 1998 (ApJ 496, 605) with baryon wiggles, as colossus computes it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from clmassmod.core.massdef import threshold_density_msun_mpc3
from clmassmod.cosmology.colossus_state import colossus_cosmology
from clmassmod.cosmology.model import Cosmology, environment, mean_density_msun_mpc3
from clmassmod.records import Array, HaloEnvironment

COLLAPSE_THRESHOLD = 1.68647
"""Linear overdensity at collapse, 3/5 (3 pi / 2)^(2/3), with the digits that calibrations use."""


def linear_power_mpc3(cosmology: Cosmology, k_mpc: ArrayLike) -> Array:
    """Return the linear matter power spectrum today in comoving Mpc3 at wave numbers ``k_mpc`` in 1/Mpc."""
    h = cosmology.h
    with colossus_cosmology(cosmology, "the matter power spectrum") as colossus:
        power = colossus.matterPowerSpectrum(np.asarray(k_mpc, dtype=float) / h, z=0.0)
    return np.asarray(power) / h**3


def growth(cosmology: Cosmology, z: ArrayLike) -> Array:
    """Return the linear growth factor, 1 today."""
    with colossus_cosmology(cosmology, "the growth of structure") as colossus:
        return np.asarray(colossus.growthFactor(np.asarray(z, dtype=float)))


def sigma_of_mass(cosmology: Cosmology, mass_msun: ArrayLike) -> Array:
    """Return the rms linear overdensity today in spheres that hold ``mass_msun`` on average."""
    mass = np.asarray(mass_msun, dtype=float)
    rho_mean = mean_density_msun_mpc3(cosmology, 0.0)
    radius_mpc = np.cbrt(3.0 * mass / (4.0 * np.pi * rho_mean))
    with colossus_cosmology(cosmology, "the variance of the density field") as colossus:
        return np.asarray(colossus.sigma(radius_mpc * cosmology.h, 0.0))


def peak_height(cosmology: Cosmology, mass_msun: ArrayLike, z: float) -> Array:
    """Return nu = 1.686 / (sigma(M) D(z)) of masses, of their shape."""
    return COLLAPSE_THRESHOLD / (sigma_of_mass(cosmology, mass_msun) * growth(cosmology, z))


def tinker10_bias(nu: ArrayLike, overdensity_mean: float) -> Array:
    """Return the linear halo bias of Tinker et al. 2010 (ApJ 724, 878), eq. 6 and table 2.

    Parameters
    ----------
    nu
        Peak height.
    overdensity_mean
        Overdensity of the mass definition against the mean matter density.
    """
    nu = np.asarray(nu, dtype=float)
    y = np.log10(overdensity_mean)
    damping = np.exp(-((4.0 / y) ** 4))
    amplitude, exponent = 1.0 + 0.24 * y * damping, 0.44 * y - 0.88
    rising = 0.019 + 0.107 * y + 0.19 * damping
    nu_a = nu**exponent
    low = amplitude * nu_a / (nu_a + COLLAPSE_THRESHOLD**exponent)
    return np.asarray(1.0 - low + 0.183 * nu**1.5 + rising * nu**2.4)


def halo_bias(cosmology: Cosmology, mass_definition: str, mass_msun: ArrayLike, z: float) -> Array:
    """Return the linear bias of haloes of any mass definition, of the masses' shape."""
    return bias_from_peak_height(
        peak_height(cosmology, mass_msun, z), mass_definition, environment(cosmology, z)
    )


def bias_from_peak_height(nu: ArrayLike, mass_definition: str, halo: HaloEnvironment) -> Array:
    """Return the Tinker et al. 2010 bias for peak heights of masses of a definition."""
    threshold = threshold_density_msun_mpc3(mass_definition, halo)
    return tinker10_bias(nu, threshold / halo.rho_mean_msun_mpc3)
