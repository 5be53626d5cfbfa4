"""The background: flat or curved w0-wa cosmology of matter and dark energy, without radiation.

Distances are integrals in u = sqrt(a), where the integrand

    c / H0 * 2 du / sqrt(Om0 + Ok0 u^2 + Ode0 u^6 f(u^2))

is smooth from today to infinite redshift, so that Gauss–Legendre quadrature reaches 1e-12 (Hogg 1999,
astro-ph/9905116, eq. 14–18; w(a) = w0 + wa (1 - a): Chevallier & Polarski 2001, Linder 2003).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from clmassmod.core.shear import sigma_crit_msun_mpc2 as _sigma_crit
from clmassmod.core.units import C_KM_S, G_MPC_KM2_S2_MSUN
from clmassmod.core.units import critical_density_msun_mpc3 as _critical_density
from clmassmod.errors import ConfigError
from clmassmod.records import Array, HaloEnvironment


@dataclass(frozen=True)
class Cosmology:
    """Parameters of a cosmology; Ob0, sigma8 and ns are needed by structure alone.

    ``Ode0=None`` means a flat one. There are no photons and no neutrinos. The gravitational constant is here
    to compare with codes that took another one: lensing measures G M, so that masses scale as 1 / G.
    """

    H0: float  # km/s/Mpc
    Om0: float
    Ob0: float | None = None
    sigma8: float | None = None
    ns: float | None = None
    Ode0: float | None = None
    w0: float = -1.0
    wa: float = 0.0
    gravitational_constant: float = G_MPC_KM2_S2_MSUN  # Mpc (km/s)2 / Msun

    def __post_init__(self) -> None:
        """Refuse parameters without an expanding matter-dominated past."""
        if not self.H0 > 0:
            raise ConfigError(f"cosmology: H0 = {self.H0!r} must be above 0 km/s/Mpc")
        if not self.Om0 > 0:
            raise ConfigError(f"cosmology: Om0 = {self.Om0!r} must be above 0")
        if not self.w0 + self.wa < 0:
            raise ConfigError(
                f"cosmology: w0 + wa = {self.w0 + self.wa:g} must be below 0, "
                "or dark energy dominates the early universe"
            )
        if not 0.99 < self.gravitational_constant / G_MPC_KM2_S2_MSUN < 1.01:
            raise ConfigError(
                f"cosmology: gravitational_constant = {self.gravitational_constant!r} must be within 1 % of "
                f"{G_MPC_KM2_S2_MSUN} Mpc (km/s)2 / Msun"
            )

    @property
    def h(self) -> float:
        """H0 / (100 km/s/Mpc), for conversions at the edge."""
        return self.H0 / 100.0

    @property
    def dark_energy(self) -> float:
        """Dark-energy density today in units of the critical one."""
        return 1.0 - self.Om0 if self.Ode0 is None else self.Ode0

    @property
    def curvature(self) -> float:
        """Curvature parameter Ok0 = 1 - Om0 - Ode0."""
        return 0.0 if self.Ode0 is None else 1.0 - self.Om0 - self.Ode0

    def require(self, *keys: str, purpose: str) -> None:
        """Raise ConfigError that names the keys that are missing for ``purpose``."""
        missing = [key for key in keys if getattr(self, key) is None]
        if missing:
            names = ", ".join(f"cosmology.{key}" for key in missing)
            raise ConfigError(f"{names} must be given: {purpose} needs the matter power spectrum")


def _dark_energy_shape(cosmology: Cosmology, a: Array) -> Array:
    """Return a^3 times the dark-energy density in units of today's: a^(-3 (w0 + wa)) exp(-3 wa (1 - a))."""
    power = -3.0 * (cosmology.w0 + cosmology.wa)
    return np.asarray(a**power * np.exp(-3.0 * cosmology.wa * (1.0 - a)))


def hubble_km_s_mpc(cosmology: Cosmology, z: ArrayLike) -> Array:
    """Return the Hubble rate in km/s/Mpc at redshift ``z``, of its shape."""
    a = 1.0 / (1.0 + np.asarray(z, dtype=float))
    e2_a3 = cosmology.Om0 + cosmology.curvature * a + cosmology.dark_energy * _dark_energy_shape(cosmology, a)
    return np.asarray(cosmology.H0 * np.sqrt(e2_a3 / a**3))


def critical_density_msun_mpc3(cosmology: Cosmology, z: float) -> float:
    """Return the critical density at redshift ``z``, physical Msun / Mpc3."""
    return _critical_density(float(hubble_km_s_mpc(cosmology, z)), cosmology.gravitational_constant)


def mean_density_msun_mpc3(cosmology: Cosmology, z: float) -> float:
    """Return the mean matter density at redshift ``z``, physical Msun / Mpc3."""
    today = _critical_density(cosmology.H0, cosmology.gravitational_constant)
    return today * cosmology.Om0 * (1.0 + z) ** 3


def matter_fraction(cosmology: Cosmology, z: ArrayLike) -> Array:
    """Return the matter density in units of the critical density at ``z``."""
    one = 1.0 + np.asarray(z, dtype=float)
    return np.asarray(cosmology.Om0 * one**3 * (cosmology.H0 / hubble_km_s_mpc(cosmology, z)) ** 2)


@functools.cache
def _gauss(n: int) -> tuple[Array, Array]:
    return np.polynomial.legendre.leggauss(n)


def line_of_sight_distance_mpc(cosmology: Cosmology, z_from: ArrayLike, z_to: ArrayLike) -> Array:
    """Return the comoving distance along the line of sight in Mpc; ``z_to`` may be infinite."""
    u_high = 1.0 / np.sqrt(1.0 + np.asarray(z_from, dtype=float))
    u_low = 1.0 / np.sqrt(1.0 + np.asarray(z_to, dtype=float))
    nodes, weights = _gauss(48)
    half = 0.5 * (u_high - u_low)[..., np.newaxis]
    u2 = (0.5 * (u_high + u_low)[..., np.newaxis] + half * nodes) ** 2
    dark = cosmology.dark_energy * _dark_energy_shape(cosmology, u2)
    integrand = 1.0 / np.sqrt(cosmology.Om0 + cosmology.curvature * u2 + dark)
    return np.asarray(2.0 * C_KM_S / cosmology.H0 * half[..., 0] * (integrand @ weights))


def _transverse(cosmology: Cosmology, distance_mpc: Array) -> Array:
    k = math.sqrt(abs(cosmology.curvature)) * cosmology.H0 / C_KM_S
    if k * float(np.max(distance_mpc, initial=0.0)) < 1e-8:  # sine and its argument agree to 1e-17
        return distance_mpc
    return np.asarray((np.sinh if cosmology.curvature > 0 else np.sin)(k * distance_mpc) / k)


def comoving_distance_mpc(cosmology: Cosmology, z_from: ArrayLike, z_to: ArrayLike) -> Array:
    """Return the transverse comoving distance between two redshifts in Mpc; ``z_to`` may be infinite."""
    return _transverse(cosmology, line_of_sight_distance_mpc(cosmology, z_from, z_to))


def angular_diameter_distance_mpc(cosmology: Cosmology, z_from: ArrayLike, z_to: ArrayLike) -> Array:
    """Return the angular-diameter distance in physical Mpc at ``z_to`` as seen from ``z_from``."""
    return comoving_distance_mpc(cosmology, z_from, z_to) / (1.0 + np.asarray(z_to, dtype=float))


def beta(cosmology: Cosmology, z_source: ArrayLike, z_lens: ArrayLike) -> Array:
    """Return D_ls / D_s, 0 for sources that are not behind the lens; ``z_source`` may be infinite."""
    z_source, z_lens = np.broadcast_arrays(np.asarray(z_source, dtype=float), np.asarray(z_lens, dtype=float))
    behind = z_source > z_lens
    z = np.where(behind, z_source, z_lens + 1.0)
    ratio = comoving_distance_mpc(cosmology, z_lens, z) / comoving_distance_mpc(cosmology, 0.0, z)
    return np.where(behind, ratio, 0.0)


def beta_s(cosmology: Cosmology, z_source: ArrayLike, z_lens: ArrayLike) -> Array:
    """Return beta in units of that of a source at infinite redshift; 0 unless behind the lens."""
    return beta(cosmology, z_source, z_lens) / beta(cosmology, np.inf, z_lens)


def sigma_crit_msun_mpc2(cosmology: Cosmology, z_source: ArrayLike, z_lens: ArrayLike) -> Array:
    """Return the critical surface density in Msun / Mpc2, infinite for sources not behind the lens."""
    d_lens = angular_diameter_distance_mpc(cosmology, 0.0, z_lens)
    return _sigma_crit(d_lens, beta(cosmology, z_source, z_lens), cosmology.gravitational_constant)


@functools.lru_cache(maxsize=1024)
def environment(cosmology: Cosmology, z: float) -> HaloEnvironment:
    """Return densities, distance and critical surface density at the redshift of a lens.

    Raises
    ------
    ConfigError
        Unless ``z`` is above 0: a lens here has no distance.
    """
    if not 0 < z < np.inf:
        raise ConfigError(f"the redshift of a lens must be above 0, found {z!r}")
    return HaloEnvironment(
        z=float(z),
        rho_crit_msun_mpc3=critical_density_msun_mpc3(cosmology, z),
        rho_mean_msun_mpc3=mean_density_msun_mpc3(cosmology, z),
        d_lens_mpc=float(angular_diameter_distance_mpc(cosmology, 0.0, z)),
        sigma_crit_inf_msun_mpc2=float(sigma_crit_msun_mpc2(cosmology, np.inf, z)),
    )


def to_astropy(cosmology: Cosmology) -> Any:
    """Return the same background as an astropy cosmology."""
    from astropy import cosmology as astropy_cosmology

    parameters: dict[str, Any] = {
        "H0": cosmology.H0,
        "Om0": cosmology.Om0,
        "Tcmb0": 0.0,
        "Ob0": cosmology.Ob0,
    }
    if cosmology.Ob0 is None:
        del parameters["Ob0"]
    flat, constant = cosmology.Ode0 is None, cosmology.w0 == -1.0 and cosmology.wa == 0.0
    if not flat:
        parameters["Ode0"] = cosmology.dark_energy
    if constant:
        return getattr(astropy_cosmology, "FlatLambdaCDM" if flat else "LambdaCDM")(**parameters)
    name = "Flatw0waCDM" if flat else "w0waCDM"
    return getattr(astropy_cosmology, name)(w0=cosmology.w0, wa=cosmology.wa, **parameters)
