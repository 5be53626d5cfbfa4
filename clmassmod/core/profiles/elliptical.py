"""Haloes that are not spherical: density on similar ellipsoids, and its projection along any direction.

A density rho(m) with m^2 = (x/a)^2 + (y/b)^2 + (z/c)^2 has, seen along any direction, similar ellipses of
equal surface density, whose profile is that of the spherical halo rho(r) (Stark 1977, ApJ 213, 368;
Binney 1985, MNRAS 212, 767). With abc = 1 the mass inside the ellipsoid m = r_delta is the halo's.
Shears by the one-dimensional integrals of Schramm 1990 (A&A 231, 19) as in Keeton 2001
(astro-ph/0102341).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from clmassmod.core.interpolate import cubic
from clmassmod.core.projected import Projected
from clmassmod.core.quadrature import unit_nodes
from clmassmod.errors import ConfigError
from clmassmod.records import Array

_NODES = 64
_BLOCK = 16384  # points at once, 8 MB an array
_STEP = 0.02  # of ln R
_INNERMOST = 1e-5


@dataclass(frozen=True)
class Ellipse:
    """How a triaxial halo looks on the sky.

    Surface density = ``boost`` times that of the spherical halo at the elliptical radius
    sqrt(q x'^2 + y'^2 / q) / ``size``, with x' along the major axis.
    """

    q: float  # minor over major axis of the ellipses, 0 to 1
    angle_rad: float  # of the major axis, from x to y
    boost: float = 1.0
    size: float = 1.0


def project_ellipsoid(axis_ratios: tuple[float, float], direction: ArrayLike) -> Ellipse:
    """Return the ellipse of a triaxial halo seen along a direction.

    Parameters
    ----------
    axis_ratios
        Intermediate over major and minor over major axis, 0 < minor <= intermediate <= 1.
    direction
        Towards the observer in the frame of the halo's minor, intermediate and major axes, (3,).

    Raises
    ------
    ConfigError
        For axis ratios out of order or a direction of no length.
    """
    middle, minor = axis_ratios
    if not 0 < minor <= middle <= 1:
        raise ConfigError(f"axis ratios must satisfy 0 < minor <= intermediate <= 1, found {axis_ratios}")
    n = np.asarray(direction, dtype=float)
    if n.shape != (3,) or not np.linalg.norm(n) > 0:
        raise ConfigError("the direction of projection must be three numbers, not all 0")
    n = n / np.linalg.norm(n)
    axes = np.array([minor, middle, 1.0]) / np.cbrt(minor * middle)
    helper = np.eye(3)[np.argmin(np.abs(n))]
    x = np.cross(helper, n)
    x /= np.linalg.norm(x)
    frame = np.stack([x, np.cross(n, x), n])
    form = (frame / axes**2) @ frame.T
    depth = form[2, 2]
    plane = (
        form[:2, :2] - np.outer(form[:2, 2], form[2, :2]) / depth
    )  # after integrating along the line of sight
    values, vectors = np.linalg.eigh(plane)  # the smaller belongs to the major axis
    q = float(np.sqrt(values[0] / values[1]))
    size = float((values[0] * values[1]) ** -0.25)
    angle = float(np.arctan2(vectors[1, 0], vectors[0, 0]) % np.pi)
    return Ellipse(q, angle, float(1.0 / np.sqrt(depth)), size)


def elliptical_radius_mpc(x_mpc: ArrayLike, y_mpc: ArrayLike, ellipse: Ellipse) -> Array:
    """Return the radius at which the spherical halo has the surface density of each point."""
    x, y = _rotated(x_mpc, y_mpc, ellipse.angle_rad)
    return np.asarray(np.sqrt(ellipse.q * x**2 + y**2 / ellipse.q) / ellipse.size)


def _rotated(x_mpc: ArrayLike, y_mpc: ArrayLike, angle: float) -> tuple[Array, Array]:
    x, y = np.asarray(x_mpc, dtype=float), np.asarray(y_mpc, dtype=float)
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)


def surface_density(
    spherical: Callable[[Array], Projected], x_mpc: ArrayLike, y_mpc: ArrayLike, ellipse: Ellipse
) -> Array:
    """Return the surface density in Msun / Mpc2 at points of the sky, of their shape.

    Parameters
    ----------
    spherical
        Surface densities of the spherical halo on radii (n,), such as a profile with everything but
        its radius bound.
    x_mpc, y_mpc
        Positions relative to the halo's centre; not at the centre itself.
    ellipse
        Its shape on the sky.
    """
    radius = elliptical_radius_mpc(x_mpc, y_mpc, ellipse)
    return ellipse.boost * spherical(radius.ravel()).sigma.reshape(radius.shape)


def surface_density_and_shear(
    spherical: Callable[[Array], Projected], x_mpc: ArrayLike, y_mpc: ArrayLike, ellipse: Ellipse
) -> tuple[Array, Array, Array]:
    """Return surface density and both components of the shear times the critical surface density.

    Parameters
    ----------
    spherical, x_mpc, y_mpc, ellipse
        As for ``surface_density``.

    Returns
    -------
    tuple of arrays
        Sigma, gamma_1 Sigma_crit, gamma_2 Sigma_crit in Msun / Mpc2, of the positions' shape.

    Notes
    -----
    With D = 1 - (1 - q^2) u and xi^2 = u (x^2 + y^2 / D), the second derivatives of the lensing potential are
    integrals over u from 0 to 1 of kappa(xi) and of u dkappa/d(xi^2). The second kind is integrated by
    parts, d(xi^2)/du being x^2 + y^2 / D^2, so that no derivative of the profile is needed.
    """
    x, y = _rotated(x_mpc, y_mpc, ellipse.angle_rad)
    profile = _Tabulated(spherical, elliptical_radius_mpc(x_mpc, y_mpc, ellipse))
    scale = np.sqrt(ellipse.q) / ellipse.size  # from xi to the spherical halo's radius

    def kappa(xi: Array) -> Array:
        return profile(scale * xi)

    starts = range(0, x.size, _BLOCK)
    flat_x, flat_y = x.ravel(), y.ravel()
    blocks = [_derivatives(kappa, flat_x[i : i + _BLOCK], flat_y[i : i + _BLOCK], ellipse.q) for i in starts]
    sigma, plus, cross = ellipse.boost * np.concatenate(blocks, axis=1).reshape(3, *x.shape)
    cosine, sine = np.cos(2.0 * ellipse.angle_rad), np.sin(2.0 * ellipse.angle_rad)
    return sigma, plus * cosine - cross * sine, plus * sine + cross * cosine


class _Tabulated:
    """Surface density of a spherical halo, interpolated in ln R: errors of 1e-8."""

    def __init__(self, spherical: Callable[[Array], Projected], radius: Array) -> None:
        low, high = np.log(radius.min() * _INNERMOST), np.log(radius.max())
        grid = np.linspace(low, high, int(np.ceil((high - low) / _STEP)) + 4)
        self._start, self._step = float(grid[0]), float(grid[1] - grid[0])
        self._ln_sigma = np.log(spherical(np.exp(grid)).sigma)

    def __call__(self, radius: Array) -> Array:
        with np.errstate(divide="ignore"):
            return np.exp(cubic(np.log(radius), self._start, self._step, self._ln_sigma))


def _derivatives(kappa: Callable[[Array], Array], x: Array, y: Array, q: float) -> Array:
    """Return convergence and both shears in the frame of the major axis, (3, point); x, y (point,)."""
    nodes, weights = unit_nodes(_NODES)
    u, du = nodes**4, 4.0 * nodes**3 * weights  # crowded at the centre, where kappa has its cusp
    e = 1.0 - q**2
    d = 1.0 - e * u
    x2, y2 = x[:, np.newaxis] ** 2, y[:, np.newaxis] ** 2
    value = kappa(np.sqrt(u * (x2 + y2 / d)))
    edge = kappa(np.sqrt(x**2 + y**2 / q**2))
    ellipse = x2 * d**2 + y2

    def j(n: int) -> Array:
        return np.asarray(value @ (du * d ** (-n - 0.5)))

    def k(n: int) -> Array:
        """Return [W kappa] at u = 1 minus the integral of kappa dW/du, W = u d^(3/2 - n) / ellipse."""
        power = d ** (1.5 - n)
        slope = power + u * e * (-(1.5 - n) * power / d + 2.0 * x2 * power * d / ellipse)
        return np.asarray(edge * q ** (3.0 - 2.0 * n) / ellipse_edge - (value * slope / ellipse) @ du)

    ellipse_edge = x**2 * q**4 + y**2
    xx = q * (2.0 * x**2 * k(0) + j(0))
    yy = q * (2.0 * y**2 * k(2) + j(1))
    return np.stack([0.5 * (xx + yy), 0.5 * (xx - yy), 2.0 * q * x * y * k(1)])
