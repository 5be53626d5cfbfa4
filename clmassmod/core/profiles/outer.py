"""Matter that falls in round a halo: a power law that levels off towards the centre.

    rho = rho_mean delta [(delta / delta_max)^(1 / zeta) + (r / pivot)^(slope / zeta)]^-zeta

Sources: Diemer & Kravtsov 2014 (ApJ 789, 1), eq. 4 (zeta = 1, without the cap at the centre, which
colossus adds); Diemer 2023 (MNRAS 519, 3292), the infalling term.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from clmassmod.core import quadrature
from clmassmod.core.projected import Projected
from clmassmod.errors import ConfigError
from clmassmod.records import Array

_REACH = 1e10  # pivots: what is left of the difference falls as r^-1.5 at least
_NODES = 128


@dataclass(frozen=True)
class Outer:
    """Parameters of the outer term; an amplitude ``delta`` of 0 leaves it out."""

    delta: float  # at the pivot radius, in units of the mean matter density
    slope: float  # between 1, where the surface density diverges, and 3
    delta_max: float  # at the centre, in the same units
    zeta: float  # sharpness of the transition
    pivot: float  # in units of R200m
    mean: bool = False  # whether the mean matter density is part of rho and of masses; never projected

    def __post_init__(self) -> None:
        """Refuse what cannot be projected."""
        if not 1.05 <= self.slope <= 2.9:
            raise ConfigError(
                f"outer_slope = {self.slope!r} must lie between 1.05 and 2.9 to have a projection"
            )
        if not (self.delta >= 0 and self.delta_max > 0 and 0.1 <= self.zeta <= 2 and self.pivot > 0):
            raise ConfigError("an outer term needs amplitudes of 0 or more, and zeta between 0.1 and 2")

    def density(self, r: Array, r_200m: Array, rho_mean: float) -> Array:
        """Return the density in Msun / Mpc3; ``r_200m`` broadcasts with ``r``."""
        background = rho_mean if self.mean else 0.0
        if self.delta > 0:
            return background + self._power_law(r, r_200m, rho_mean)
        return background + np.zeros(np.broadcast_shapes(np.shape(r), np.shape(r_200m)))

    def _power_law(self, r: Array, r_200m: Array, rho_mean: float) -> Array:
        core = (self.delta / self.delta_max) ** (1.0 / self.zeta)
        power = (r / (self.pivot * r_200m)) ** (self.slope / self.zeta)
        return np.asarray(rho_mean * self.delta * (core + power) ** -self.zeta)

    def _scale(self, r_200m: Array) -> Array:
        """Return the radius where the power law levels off."""
        levelling = (self.delta / self.delta_max) ** (1.0 / self.slope)
        return np.asarray(self.pivot * levelling * r_200m)

    def enclosed_mass(self, r: Array, r_200m: Array, rho_mean: float) -> Array:
        """Return the mass inside spheres in Msun, arrays (mass, bin)."""
        mass = np.zeros(np.broadcast_shapes(np.shape(r), np.shape(r_200m)))
        if self.mean:
            mass = mass + 4.0 / 3.0 * np.pi * rho_mean * r**3
        if self.delta > 0:
            r, scale = (np.array(a) for a in np.broadcast_arrays(r, self._scale(r_200m)))
            mass = mass + quadrature.enclosed_mass(
                lambda y: self._power_law(y, r_200m[..., np.newaxis], rho_mean), r, scale
            )
        return mass

    def projected(self, radius: Array, r_200m: Array, rho_mean: float) -> Projected:
        """Return the surface densities, (mass, bin), without the mean density.

        That of the pure power law is analytic, what the levelling off takes away is integrated: alone
        it falls steeply enough.
        """
        radius = np.broadcast_to(radius, np.broadcast_shapes(np.shape(radius), np.shape(r_200m)))
        if self.delta == 0:
            return Projected(np.zeros(radius.shape), np.zeros(radius.shape))
        s, pivot = self.slope, self.pivot * r_200m

        def missing(y: Array) -> Array:
            pure = rho_mean * self.delta * (y / pivot[..., np.newaxis]) ** -s
            core = (self.delta / self.delta_max) ** (1.0 / self.zeta)
            small = core * (y / pivot[..., np.newaxis]) ** (-s / self.zeta)
            return np.asarray(-pure * np.expm1(-self.zeta * np.log1p(small)))

        gamma = math.sqrt(math.pi) * math.gamma(0.5 * (s - 1.0)) / math.gamma(0.5 * s)
        sigma = rho_mean * self.delta * gamma * radius * (radius / pivot) ** -s
        lost = quadrature.surface_densities(
            missing, radius, self._scale(r_200m), _REACH * pivot, cusp=s, nodes=_NODES
        )
        return Projected(sigma - lost.sigma, sigma * (s - 1.0) / (3.0 - s) - lost.delta_sigma)
