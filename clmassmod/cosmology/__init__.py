"""Distances, source statistics, structure and concentrations, each from an explicit cosmology.

There is no global cosmology. Importing this costs numpy alone; colossus is imported by what needs the
power spectrum, astropy by ``to_astropy``.
"""

from clmassmod.cosmology.model import (
    Cosmology,
    angular_diameter_distance_mpc,
    beta,
    beta_s,
    comoving_distance_mpc,
    environment,
    hubble_km_s_mpc,
    matter_fraction,
    sigma_crit_msun_mpc2,
    to_astropy,
)

__all__ = [
    "Cosmology",
    "angular_diameter_distance_mpc",
    "beta",
    "beta_s",
    "comoving_distance_mpc",
    "environment",
    "hubble_km_s_mpc",
    "matter_fraction",
    "sigma_crit_msun_mpc2",
    "to_astropy",
]
