"""Projections by scipy's adaptive quadrature, independent of the package's."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from scipy.integrate import quad

PRECISE = {"epsabs": 0.0, "epsrel": 1e-11, "limit": 400}


def total(f: Callable[[float], float], breaks: list[float]) -> float:
    """Return the integral over pieces that meet at the breaks."""
    return sum(quad(f, a, b, **PRECISE)[0] for a, b in itertools.pairwise(breaks))


def enclosed_mass(rho: Callable[[float], float], r: float) -> float:
    """Return 4 pi times the integral of r^2 rho, in ln r."""
    breaks = [-45.0, -12.0, -6.0, -3.0, -1.0, 0.0]
    return total(lambda s: 4.0 * np.pi * (r * np.exp(s)) ** 3 * rho(r * np.exp(s)), breaks)


def surface_densities(rho: Callable[[float], float], r: float) -> tuple[float, float]:
    """Return surface density and excess surface density at R by line-of-sight and cylinder integrals."""
    breaks = [0.0, 0.5, 1.0, 2.0, 4.0, 7.0, 12.0, 20.0, 34.0]
    sigma = total(lambda t: 2.0 * r * np.cosh(t) * rho(r * np.cosh(t)), breaks)

    def shell(t: float) -> float:
        return 4.0 * np.pi * r**3 * np.cosh(t) * np.sinh(t) * np.exp(-t) * rho(r * np.cosh(t))

    mass = enclosed_mass(rho, r) + total(shell, breaks)
    return sigma, mass / (np.pi * r**2) - sigma
