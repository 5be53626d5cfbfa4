"""Subhaloes: how many of which mass, and where."""

from __future__ import annotations

import numpy as np

from clmassmod.core.nfw import mass_shape
from clmassmod.records import Array

_SLOPE, _CUT, _POWER = -0.78, 50.0, 4.0
_NODES = 2049


def draw_masses(fraction: float, smallest: float, largest: float, rng: np.random.Generator) -> Array:
    """Return masses of subhaloes in units of the host's, (subhalo,), falling.

    dN / d ln psi ~ psi^-0.78 exp(-50 psi^4) for psi from ``smallest`` to ``largest``, normalised to hold
    ``fraction`` of the host's mass on average. The form is that of the evolved mass function of Jiang & van
    den Bosch 2016 (MNRAS 458, 2848, eq. 13); published slopes go from -0.78 to -0.86 (van den Bosch & Jiang
    2016, MNRAS 458, 2870). Their relation between the fraction and a halo's age is left out.
    """
    ln_psi = np.linspace(np.log(smallest), np.log(largest), _NODES)
    psi = np.exp(ln_psi)
    density = psi**_SLOPE * np.exp(-_CUT * psi**_POWER)
    density *= fraction / np.trapezoid(psi * density, ln_psi)
    steps = 0.5 * (density[1:] + density[:-1]) * np.diff(ln_psi)
    cumulative = np.concatenate([[0.0], np.cumsum(steps)])
    number = int(rng.poisson(cumulative[-1]))
    found = np.exp(np.interp(cumulative[-1] * rng.random(number), cumulative, ln_psi))
    found = np.sort(found)[::-1]
    return found[np.cumsum(found) < 0.9]  # a host is more than its subhaloes


def draw_positions(number: int, concentration: float, rng: np.random.Generator) -> Array:
    """Return positions in units of the host's radius, (subhalo, 3).

    The number density is the host's NFW density times r^1.3 (Han et al. 2016, MNRAS 457, 1208).
    """
    x = np.linspace(0.0, 1.0, _NODES)
    mass = mass_shape(concentration * x)
    rate = np.diff(mass) * (0.5 * (x[1:] + x[:-1])) ** 1.3
    cumulative = np.concatenate([[0.0], np.cumsum(rate)])
    radius = np.interp(cumulative[-1] * rng.random(number), cumulative, x)
    direction = rng.standard_normal((number, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return np.asarray(direction * radius[:, np.newaxis])


def random_rotation(rng: np.random.Generator) -> Array:
    """Return a rotation matrix, uniform over all rotations (Shoemake 1992, Graphics Gems III)."""
    w, x, y, z = (v := rng.standard_normal(4)) / np.linalg.norm(v)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
