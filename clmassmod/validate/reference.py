"""Expectations: textbook formulae with their own constants, and numerical integrals by scipy.

Nothing here takes a constant or a formula from the package: it would follow a mistake there.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

LIGHT_KM_S = 299_792.458  # exact by definition of the metre
GM_SUN_M3_S2 = 1.327_124_4e20  # nominal solar mass parameter, IAU 2015 resolution B3
PARSEC_M = 648_000.0 / math.pi * 149_597_870_700.0  # IAU 2015 resolution B2, au of IAU 2012
GRAVITY = GM_SUN_M3_S2 / (1e6 * PARSEC_M) / 1e6  # Mpc (km/s)2 / Msun
ARCMINUTE = 2.0 * math.pi / 360.0 / 60.0
SIGMA_UNIT = LIGHT_KM_S**2 / (4.0 * math.pi * GRAVITY)  # Msun / Mpc: critical surface density times distance


@dataclass(frozen=True)
class Background:
    """Matter, curvature and dark energy w0, wa without radiation, all distances by adaptive integration."""

    H0: float = 70.0
    Om0: float = 0.3
    Ode0: float = 0.7
    w0: float = -1.0
    wa: float = 0.0

    def expansion(self, z: float) -> float:
        """Return H(z) / H0."""
        dark = (1 + z) ** (3 * (1 + self.w0 + self.wa)) * math.exp(-3 * self.wa * z / (1 + z))
        return math.sqrt(
            self.Om0 * (1 + z) ** 3 + (1 - self.Om0 - self.Ode0) * (1 + z) ** 2 + self.Ode0 * dark
        )

    def comoving(self, z_from: float, z_to: float) -> float:
        """Return the transverse comoving distance in Mpc; ``z_to`` may be infinite."""
        return _comoving(self, z_from, z_to)

    def beta(self, z_source: float, z_lens: float) -> float:
        """Return D_ls / D_s, 0 before the lens."""
        if z_source <= z_lens:
            return 0.0
        return self.comoving(z_lens, z_source) / self.comoving(0.0, z_source)

    def beta_s(self, z_source: ArrayLike, z_lens: float) -> Array:
        """Return beta over that of a source at infinite redshift, of the sources' shape."""
        far = self.beta(math.inf, z_lens)
        z = np.asarray(z_source, dtype=float)
        return np.array([self.beta(float(v), z_lens) / far for v in z.ravel()]).reshape(z.shape)

    def distance(self, z: float) -> float:
        """Return the angular-diameter distance in Mpc."""
        return self.comoving(0.0, z) / (1.0 + z)

    def sigma_critical(self, z_lens: float, z_source: float = math.inf) -> float:
        """Return the critical surface density in Msun / Mpc2."""
        return SIGMA_UNIT / (self.distance(z_lens) * self.beta(z_source, z_lens))

    def critical_density(self, z: float) -> float:
        """Return 3 H2 / (8 pi G) in Msun / Mpc3."""
        return 3.0 * (self.H0 * self.expansion(z)) ** 2 / (8.0 * math.pi * GRAVITY)


@functools.lru_cache(maxsize=4096)
def _comoving(background: Background, z_from: float, z_to: float) -> float:
    from scipy.integrate import quad

    high = 1.0 / (1.0 + z_from)
    low = 0.0 if math.isinf(z_to) else 1.0 / (1.0 + z_to)
    # da / (a^2 E) with a = u^2, so that nothing is singular at a = 0
    line, _ = quad(
        lambda u: 2.0 / (u**3 * background.expansion(1.0 / u**2 - 1.0)),
        math.sqrt(low),
        math.sqrt(high),
        epsabs=0.0,
        epsrel=1e-12,
    )
    line *= LIGHT_KM_S / background.H0
    curvature = 1.0 - background.Om0 - background.Ode0
    if abs(curvature) < 1e-12:
        return float(line)
    k = math.sqrt(abs(curvature)) * background.H0 / LIGHT_KM_S
    return (math.sinh(k * line) if curvature > 0 else math.sin(k * line)) / k


def nfw_mass(x: ArrayLike) -> Array:
    """Return ln(1 + x) - x / (1 + x)."""
    x = np.asarray(x, dtype=float)
    return np.log(1.0 + x) - x / (1.0 + x)


def wright_brainerd(x: ArrayLike) -> tuple[Array, Array]:
    """Return Sigma and mean Sigma of an NFW halo over rho_s r_s: Wright & Brainerd 2000, eq. 11 and 13."""
    x = np.atleast_1d(np.asarray(x, dtype=float))
    low, high = np.where(x < 1, x, 0.5), np.where(x > 1, x, 2.0)
    below = 2.0 / np.sqrt(1 - low**2) * np.arctanh(np.sqrt((1 - low) / (1 + low)))
    above = 2.0 / np.sqrt(high**2 - 1) * np.arctan(np.sqrt((high - 1) / (1 + high)))
    a = np.where(x < 1, below, np.where(x > 1, above, 1.0))
    sigma = np.where(x == 1, 2.0 / 3.0, 2.0 * (1.0 - a) / np.where(x == 1, 1.0, x**2 - 1.0))
    return sigma, 4.0 / x**2 * (a + np.log(x / 2.0))


@dataclass(frozen=True)
class Lens:
    """An NFW halo before sources: everything that a lensing profile needs, by textbook."""

    mass: float = 5e14
    concentration: float = 4.0
    z: float = 0.3
    overdensity: float = 200.0  # against the critical density
    background: Background = Background()

    @property
    def threshold(self) -> float:
        """Mean density inside the halo's radius, Msun / Mpc3."""
        return self.overdensity * self.background.critical_density(self.z)

    @property
    def radius(self) -> float:
        """Radius of the overdensity in Mpc."""
        return float((3.0 * self.mass / (4.0 * math.pi * self.threshold)) ** (1.0 / 3.0))

    @property
    def rho_s(self) -> float:
        """Scale density, Msun / Mpc3."""
        c = self.concentration
        return float(self.threshold / 3.0 * c**3 / nfw_mass(c))

    @property
    def r_s(self) -> float:
        """Scale radius in Mpc."""
        return self.radius / self.concentration

    def surface(self, radius_mpc: ArrayLike) -> tuple[Array, Array]:
        """Return surface density and excess surface density, Msun / Mpc2, (bin,)."""
        sigma, mean = wright_brainerd(np.asarray(radius_mpc, dtype=float) / self.r_s)
        unit = self.rho_s * self.r_s
        return unit * sigma, unit * (mean - sigma)

    def kappa_gamma(self, radius_mpc: ArrayLike) -> tuple[Array, Array]:
        """Return convergence and tangential shear for a source at infinite redshift, (bin,)."""
        critical = self.background.sigma_critical(self.z)
        sigma, delta = self.surface(radius_mpc)
        return sigma / critical, delta / critical

    def reduced_shear(self, radius_mpc: ArrayLike, beta_s: ArrayLike) -> Array:
        """Return beta gamma / (1 - beta kappa), the mean over sources beta_s (source,) if several, (bin,)."""
        kappa, gamma = self.kappa_gamma(radius_mpc)
        b = np.atleast_1d(np.asarray(beta_s, dtype=float))[:, np.newaxis]
        return np.asarray((b * gamma / (1.0 - b * kappa)).mean(axis=0))


def smail(z: ArrayLike, alpha: float, beta: float, z0: float) -> Array:
    """Return z^alpha exp(-(z / z0)^beta): Smail, Ellis & Fitchett 1994."""
    z = np.asarray(z, dtype=float)
    return np.asarray(z**alpha * np.exp(-((z / z0) ** beta)))


def mean_over(
    function: Callable[[float], float],
    density: Callable[[float], float],
    low: float,
    high: float,
    points: tuple[float, ...] = (),
) -> float:
    """Return the mean of a function over a density between two ends, by adaptive quadrature."""
    from scipy.integrate import quad

    options: dict[str, Any] = {"epsabs": 0.0, "epsrel": 1e-9, "limit": 400, "points": points or None}
    top, _ = quad(lambda z: function(z) * density(z), low, high, **options)
    bottom, _ = quad(density, low, high, **options)
    return float(top / bottom)


def project(density: Callable[[float], float], radius: float, reach: float) -> tuple[float, float]:
    """Return surface density and mean surface density of a spherical density at a radius, by quadrature.

    The mean is the mass in a cylinder: all of the inner sphere, and of each shell beyond the part within.
    """
    from scipy.integrate import quad

    options = {"epsabs": 0.0, "epsrel": 1e-10, "limit": 500}
    sigma, _ = quad(
        lambda t: 2.0 * radius * math.cosh(t) * density(radius * math.cosh(t)),
        0.0,
        math.acosh(reach / radius),
        **options,
    )
    inner, _ = quad(
        lambda s: 4.0 * math.pi * math.exp(3 * s) * density(math.exp(s)),
        math.log(radius * 1e-9),
        math.log(radius),
        **options,
    )

    def shell(t: float) -> float:
        r = radius * math.cosh(t)
        share = 1.0 - math.tanh(t)  # 1 - sqrt(1 - R^2 / r^2)
        return 4.0 * math.pi * r * r * density(r) * share * radius * math.sinh(t)

    outer, _ = quad(shell, 0.0, min(math.acosh(reach / radius), 18.0), **options)
    return sigma, (inner + outer) / (math.pi * radius**2)


def relative(got: ArrayLike, want: ArrayLike) -> float:
    """Return the largest relative difference, in the larger of the two sizes; NaN anywhere is NaN."""
    a, b = np.asarray(got, dtype=float), np.asarray(want, dtype=float)
    return float(np.max(np.abs(a - b) / np.abs(b)))
