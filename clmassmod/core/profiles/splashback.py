"""What Diemer–Kravtsov 2014 and Diemer 2023 have in common: parameters that follow from R200m.

The truncation radius is a multiple of R200m that depends on the peak height of M200m, and the outer term's
pivot is R200m, while the halo is given by the mass of some definition. R200m is therefore solved for such
that inner and outer term together have 200 times the mean density inside it, and the mass that is asked
inside r_delta; r_s is r_delta / concentration. (As colossus does, there to 1e-4.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from clmassmod.core import quadrature
from clmassmod.core.profile import Profile
from clmassmod.core.profiles.outer import Outer
from clmassmod.core.projected import Projected, columns, overdensity_radius_mpc
from clmassmod.core.roots import falling_root
from clmassmod.errors import ConfigError
from clmassmod.records import Array, HaloEnvironment

PeakHeight = Callable[[Array], ArrayLike] | ArrayLike | None
Inner = Callable[[Array, Array, Array, Array], Array]
"""Density at (r, r_s, R200m, nu) in units of rho_s; the last three broadcast with r."""

LARGEST_NU = 10.0  # beyond, calibrated truncation radii turn negative
SMALLEST_TRUNCATION = 0.1  # of R200m


@dataclass(frozen=True)
class Solved:
    """Haloes whose parameters are known; arrays (mass, 1)."""

    inner: Inner
    outer: Outer
    rho_mean: float  # Msun / Mpc3
    r_s: Array
    r_200m: Array
    nu: Array
    rho_s: Array

    def _inner_density(self, r: Array) -> Array:
        """Return the inner density at (mass, bin, node)."""
        return self.rho_s[..., np.newaxis] * self._unit(r)

    def _unit(self, r: Array) -> Array:
        return self.inner(r, *(a[..., np.newaxis] for a in (self.r_s, self.r_200m, self.nu)))

    def density(self, radius: Array) -> Array:
        """Return the density in Msun / Mpc3, (mass, bin)."""
        inner = self.rho_s * self.inner(radius, self.r_s, self.r_200m, self.nu)
        return inner + self.outer.density(radius, self.r_200m, self.rho_mean)

    def enclosed_mass(self, radius: Array) -> Array:
        """Return the mass inside spheres in Msun, (mass, bin)."""
        radius = np.broadcast_to(radius, np.broadcast_shapes(radius.shape, self.r_s.shape))
        inner = quadrature.enclosed_mass(self._inner_density, radius, self.r_s)
        return inner + self.outer.enclosed_mass(radius, self.r_200m, self.rho_mean)

    def projected(self, radius: Array) -> Projected:
        """Return the surface densities in Msun / Mpc2, (mass, bin)."""
        radius = np.broadcast_to(radius, np.broadcast_shapes(radius.shape, self.r_s.shape))
        inner = quadrature.surface_densities(
            self._inner_density, radius, self.r_s, 1e3 * self.r_200m, nodes=96
        )
        return inner + self.outer.projected(radius, self.r_200m, self.rho_mean)


def solve(
    mass_msun: ArrayLike,
    concentration: ArrayLike,
    density_msun_mpc3: ArrayLike,
    environment: HaloEnvironment | None,
    peak_height: PeakHeight,
    inner: Inner,
    outer: Outer,
    name: str,
) -> Solved:
    """Return haloes of the given masses; ``peak_height`` None: nu is not needed.

    Raises
    ------
    ConfigError
        If the environment is missing, or no such halo exists.
    """
    if environment is None:
        raise ConfigError(f"profile {name} needs the environment of the halo")
    rho_mean = environment.rho_mean_msun_mpc3
    mass, c = np.broadcast_arrays(np.asarray(mass_msun, dtype=float), np.asarray(concentration, dtype=float))
    r_delta = overdensity_radius_mpc(mass, density_msun_mpc3).ravel()
    flat_mass, r_s = mass.ravel(), r_delta / c.ravel()

    def at(ln_r: Array) -> tuple[Solved, Array]:
        """Return haloes of R200m with the wanted mass, and their mean density excess inside R200m."""
        r_200m = np.exp(ln_r)
        nu = _peak_heights(peak_height, 800.0 / 3.0 * np.pi * rho_mean * r_200m**3)
        halo = Solved(inner, outer, rho_mean, *columns(r_s, r_200m, nu, np.ones_like(r_s)))
        # inner and outer mass inside r_delta and R200m at once
        radii = np.stack([r_delta, r_200m], axis=-1)
        unit = quadrature.enclosed_mass(halo._unit, radii, halo.r_s)
        extra = outer.enclosed_mass(radii, halo.r_200m, rho_mean)
        rho_s = (flat_mass - extra[:, 0]) / unit[:, 0]
        inside = rho_s * unit[:, 1] + extra[:, 1]
        excess = inside / (800.0 / 3.0 * np.pi * rho_mean * r_200m**3) - 1.0
        return replace(halo, rho_s=rho_s[:, np.newaxis]), excess

    middle = np.log(overdensity_radius_mpc(flat_mass, 200.0 * rho_mean))
    low, high = middle - 1.5, middle + 1.5
    if np.any(at(low)[1] < 0) or np.any(at(high)[1] > 0):
        raise ConfigError(f"profile {name}: no halo has this mass with these parameters")
    solved, _ = at(falling_root(lambda ln_r: at(ln_r)[1], low, high))
    if np.any(solved.rho_s <= 0):
        raise ConfigError(f"profile {name}: the outer term alone exceeds the mass; lower its amplitude")
    shape = (*mass.shape, 1)
    arrays = (a.reshape(shape) for a in (solved.r_s, solved.r_200m, solved.nu, solved.rho_s))
    return Solved(inner, outer, rho_mean, *arrays)


def _peak_heights(peak_height: PeakHeight, mass_200m: Array) -> Array:
    value = peak_height(mass_200m) if callable(peak_height) else peak_height
    nu = np.zeros_like(mass_200m) if value is None else np.asarray(value, dtype=float)
    return np.minimum(np.broadcast_to(nu.ravel() if nu.ndim > 1 else nu, mass_200m.shape), LARGEST_NU)


def truncation_by_accretion(environment: HaloEnvironment, accretion_rate: float) -> float:
    """Return r_t / R200m for a mass accretion rate: Diemer & Kravtsov 2014, as colossus has it."""
    omega_m = environment.rho_mean_msun_mpc3 / environment.rho_crit_msun_mpc3
    return 0.43 * (1.0 + 0.92 * omega_m) * (1.0 + 2.18 * float(np.exp(-accretion_rate / 1.91)))


def profile_of(haloes: Callable[..., Solved], needs: tuple[str, ...]) -> Profile:
    """Return the profile whose haloes ``haloes(mass, concentration, density, environment, ...)`` solves."""

    def projected(radius_mpc: ArrayLike, *halo: Any, **parameters: Any) -> Projected:
        return haloes(*halo, **parameters).projected(np.asarray(radius_mpc, dtype=float))

    def density(radius_mpc: ArrayLike, *halo: Any, **parameters: Any) -> Array:
        return haloes(*halo, **parameters).density(np.asarray(radius_mpc, dtype=float))

    def enclosed_mass(radius_mpc: ArrayLike, *halo: Any, **parameters: Any) -> Array:
        return haloes(*halo, **parameters).enclosed_mass(np.asarray(radius_mpc, dtype=float))

    return Profile(projected, density, enclosed_mass, needs)
