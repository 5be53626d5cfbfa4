"""Mass definitions: any overdensity against the critical or mean density, and the virial one.

Conversions solve for the radius of the new overdensity on the density profile, to 1e-12.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from clmassmod.core.nfw import mass_shape
from clmassmod.core.projected import overdensity_radius_mpc
from clmassmod.core.roots import falling_root
from clmassmod.errors import ConfigError
from clmassmod.records import Array, HaloEnvironment

_PATTERN = re.compile(r"(\d+(?:\.\d+)?)([cm])")


@functools.cache
def parse(definition: str) -> tuple[float, str]:
    """Return overdensity and reference, ``c``, ``m`` or ``vir``, of a definition such as "200c".

    Raises
    ------
    ConfigError
        Unless it is "vir" or a positive number followed by c (critical) or m (mean matter).
    """
    if definition == "vir":
        return math.nan, "vir"
    match = _PATTERN.fullmatch(definition)
    if match is None or float(match[1]) <= 0:
        raise ConfigError(
            f"mass definition {definition!r} is not 'vir' or an overdensity with c (critical) or m (mean), "
            "such as 200c, 500c or 200m"
        )
    return float(match[1]), match[2]


def virial_overdensity(omega_m_z: float) -> float:
    """Return the virial overdensity against critical: Bryan & Norman 1998 (ApJ 495, 80), eq. 6, flat."""
    x = omega_m_z - 1.0
    return 18.0 * math.pi**2 + 82.0 * x - 39.0 * x**2


def threshold_density_msun_mpc3(definition: str, environment: HaloEnvironment) -> float:
    """Return the mean density inside the radius of a mass definition, physical Msun / Mpc3."""
    overdensity, reference = parse(definition)
    critical, mean = environment.rho_crit_msun_mpc3, environment.rho_mean_msun_mpc3
    if reference == "vir":
        return virial_overdensity(mean / critical) * critical
    return overdensity * (critical if reference == "c" else mean)


def convert_nfw(
    mass_msun: ArrayLike,
    concentration: ArrayLike,
    density_from_msun_mpc3: ArrayLike,
    density_to_msun_mpc3: ArrayLike,
) -> tuple[Array, Array]:
    """Return mass and concentration of NFW haloes in another mass definition.

    The logarithm of the mean density is concave and falls in ln x, so that Newton's method converges
    from anywhere.

    Parameters
    ----------
    mass_msun, concentration
        In the first definition; any shapes that broadcast.
    density_from_msun_mpc3, density_to_msun_mpc3
        Threshold densities of the two definitions.

    Examples
    --------
    From 200 to 500 times the critical density: the mass falls, and so does the concentration.

    >>> mass, concentration = convert_nfw(1e15, 4.0, 200.0, 500.0)
    >>> print(f"{mass:.4g} {concentration:.3f}")
    6.919e+14 2.607

    And back:

    >>> print("%.6g %.6f" % convert_nfw(mass, concentration, 500.0, 200.0))
    1e+15 4.000000
    """
    c = np.asarray(concentration, dtype=float)
    contrast = np.asarray(density_to_msun_mpc3, dtype=float) / np.asarray(density_from_msun_mpc3, dtype=float)
    target = np.log(contrast * mass_shape(c) / c**3)
    ln_x = np.broadcast_to(np.log(c), target.shape)
    for _ in range(60):
        x = np.exp(ln_x)
        shape = mass_shape(x)
        slope = (x / (1.0 + x)) ** 2 / shape - 3.0
        step = (np.log(shape) - 3.0 * ln_x - target) / slope
        ln_x = ln_x - step
        if np.all(np.abs(step) < 1e-14 * (1.0 + np.abs(ln_x))):
            break
    new_c = np.exp(ln_x)
    return np.asarray(mass_msun, dtype=float) * (mass_shape(new_c) / mass_shape(c)), new_c


def solve_overdensity_radius(
    enclosed_mass: Callable[[Array], Array], guess_mpc: ArrayLike, density_msun_mpc3: ArrayLike
) -> Array:
    """Return the radius in Mpc inside which a profile's mean density equals a threshold, (mass,).

    Parameters
    ----------
    enclosed_mass
        Takes radii (mass, 1) in Mpc and returns masses in Msun, (mass, 1).
    guess_mpc
        First guess, (mass,); the root must lie within a factor 1000 of it.
    density_msun_mpc3
        Threshold, scalar or (mass,).

    Raises
    ------
    ConfigError
        Where the mean density never crosses the threshold in that range.
    """
    guess = np.log(np.atleast_1d(np.asarray(guess_mpc, dtype=float)))
    target = np.log(np.broadcast_to(np.asarray(density_msun_mpc3, dtype=float), guess.shape))

    def excess(ln_r: Array) -> Array:
        mass = enclosed_mass(np.exp(ln_r)[:, np.newaxis])[:, 0]
        return np.asarray(np.log(3.0 * mass / (4.0 * np.pi)) - 3.0 * ln_r - target)

    low, high = guess - np.log(1e3), guess + np.log(1e3)
    if np.any(excess(low) < 0) or np.any(excess(high) > 0):
        raise ConfigError(
            f"the profile's mean density does not cross {np.exp(target.min()):.3g} Msun/Mpc3 "
            "within a factor 1000 in radius: no such mass exists for these parameters"
        )
    return np.exp(falling_root(excess, low, high))


def radius_mpc(mass_msun: ArrayLike, definition: str, environment: HaloEnvironment) -> Array:
    """Return the radius in Mpc of masses of a definition such as "200c"."""
    return overdensity_radius_mpc(mass_msun, threshold_density_msun_mpc3(definition, environment))
