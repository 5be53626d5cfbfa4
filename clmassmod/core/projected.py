"""What every density profile returns: surface densities on radii, for many masses at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from clmassmod.records import Array


class Projected(NamedTuple):
    """Surface density and excess surface density, Msun / Mpc2, arrays (..., bin)."""

    sigma: Array
    delta_sigma: Array

    @property
    def mean_sigma(self) -> Array:
        """Mean surface density inside each radius, Msun / Mpc2, (..., bin)."""
        return self.sigma + self.delta_sigma

    def __add__(self, other: object) -> Projected:
        """Add the surface densities of two components."""
        if not isinstance(other, Projected):
            return NotImplemented
        return Projected(self.sigma + other.sigma, self.delta_sigma + other.delta_sigma)


def overdensity_radius_mpc(mass_msun: ArrayLike, density_msun_mpc3: ArrayLike) -> Array:
    """Return the radius inside which the mean density is ``density_msun_mpc3``, in Mpc."""
    return np.cbrt(3.0 * np.asarray(mass_msun, dtype=float) / (4.0 * np.pi * np.asarray(density_msun_mpc3)))


def columns(*values: ArrayLike) -> tuple[Array, ...]:
    """Return each value as a float array with a last axis of length 1, to broadcast against radii."""
    return tuple(np.asarray(value, dtype=float)[..., np.newaxis] for value in values)
