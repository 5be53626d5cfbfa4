"""Spheres of shells: projections that are exact for a density constant inside each shell."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from clmassmod.core.projected import Projected
from clmassmod.records import Array


def project(edges_mpc: ArrayLike, density_msun_mpc3: ArrayLike, radius_mpc: ArrayLike) -> Projected:
    """Return the surface densities of concentric shells, (bin,).

    Parameters
    ----------
    edges_mpc
        Radii between shells, increasing from 0 or above, (shell + 1,).
    density_msun_mpc3
        Density in each shell, (shell,).
    radius_mpc
        Projected radii above 0, (bin,).
    """
    edges, rho = np.asarray(edges_mpc, dtype=float), np.asarray(density_msun_mpc3, dtype=float)
    radius = np.asarray(radius_mpc, dtype=float)[:, np.newaxis]
    half_chord = np.sqrt(np.maximum(edges**2 - radius**2, 0.0))
    sigma = 2.0 * np.diff(half_chord, axis=1) @ rho
    # a sphere's mass inside a cylinder: all of it less the part beyond, (edge^2 - R^2)^(3/2)
    inside = np.diff(edges**3 - half_chord**3, axis=1)
    mass = 4.0 * np.pi / 3.0 * (inside @ rho)
    return Projected(sigma, mass / (np.pi * radius[:, 0] ** 2) - sigma)


def refine(edges_mpc: Array, mass_msun: Array, n: int = 1500) -> tuple[Array, Array]:
    """Return finer shells, edges (n + 1,) and densities (n,), of a measured mass profile.

    ln M(<r) is interpolated by monotonic cubics in ln r (Fritsch & Butland 1984, SIAM J. Sci. Stat.
    Comput. 5, 300), so that no shell has a negative mass and each measured shell keeps its mass.
    Inside the innermost edge with any mass, M grows as r^2, as at the centre of a cuspy halo.

    Parameters
    ----------
    edges_mpc
        Increasing radii above 0, (edge,).
    mass_msun
        Mass inside each, not falling, (edge,).
    """
    used = mass_msun > 0
    x, y = np.log(edges_mpc[used]), np.log(mass_msun[used])
    fine = np.linspace(x[0], x[-1], n + 1 - 60)
    inner = x[0] + np.linspace(-6.0, 0.0, 61)[:-1]
    edges = np.exp(np.concatenate([inner, fine]))
    mass = np.exp(np.concatenate([y[0] + 2.0 * (inner - x[0]), _monotonic(x, y, fine)]))
    edges[0] = 0.0
    mass[0] = 0.0
    volume = 4.0 * np.pi / 3.0 * np.diff(edges**3)
    return edges, np.maximum(np.diff(mass), 0.0) / volume


def _monotonic(x: Array, y: Array, at: Array) -> Array:
    """Return the monotonic piecewise cubic through (x, y)."""
    if x.size == 2:
        return np.asarray(np.interp(at, x, y))
    h, delta = np.diff(x), np.diff(y) / np.diff(x)
    slope = np.zeros_like(y)
    both = (delta[:-1] > 0) & (delta[1:] > 0)
    w1, w2 = 2.0 * h[1:] + h[:-1], h[1:] + 2.0 * h[:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (w1 + w2) / (w1 / delta[:-1] + w2 / delta[1:])
    slope[1:-1] = np.where(both, mean, 0.0)
    slope[0] = np.clip(1.5 * delta[0] - 0.5 * slope[1], 0.0, 3.0 * delta[0])
    slope[-1] = np.clip(1.5 * delta[-1] - 0.5 * slope[-2], 0.0, 3.0 * delta[-1])
    i = np.clip(np.searchsorted(x, at, side="right") - 1, 0, x.size - 2)
    t = (at - x[i]) / h[i]
    d0, d1, rise = h[i] * slope[i], h[i] * slope[i + 1], y[i + 1] - y[i]
    return np.asarray(y[i] + t * (d0 + t * (3.0 * rise - 2.0 * d0 - d1 + t * (d0 + d1 - 2.0 * rise))))
