"""Project and integrate any spherical density by Gauss–Legendre quadrature.

With r = R cosh t the projection has no square-root singularity:

    sigma(R)      = 2 R * integral of rho(R cosh t) cosh t dt
    mean sigma(R) = [M(<R) + 4 pi * integral of r^2 rho(r) (1 - tanh t) dr] / (pi R^2),

where the second integral is the mass in the cylinder outside the sphere. In r = R exp(-y) the enclosed
mass M(<R) has an integrand that decays exponentially, whatever the cusp.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from clmassmod.core.projected import Projected
from clmassmod.records import Array

Density = Callable[[Array], Array]

_LN_TINY = 37.0  # -ln of 1e-16
_SHORTEST = 1e3  # the line of sight reaches at least so many projected radii


@functools.cache
def unit_nodes(n: int) -> tuple[Array, Array]:
    """Return n Gauss–Legendre nodes and weights on (0, 1); in panels of 64 where n is above 128."""
    panels = n // 64 if n > 128 else 1
    x, w = np.polynomial.legendre.leggauss(n // panels)
    x = (np.arange(panels)[:, np.newaxis] + 0.5 * (x + 1.0)) / panels
    return x.ravel(), np.tile(0.5 * w / panels, panels)


def enclosed_mass(
    rho: Density, radius_mpc: Array, scale_mpc: Array, *, cusp: float = 0.0, nodes: int = 64
) -> Array:
    """Return the mass inside spheres in Msun, of the shape of ``radius_mpc``.

    Parameters
    ----------
    rho
        Density in Msun / Mpc3 at radii (..., bin, node).
    radius_mpc
        Radii, (..., bin).
    scale_mpc
        Radius of the profile's bend, where the integral is divided; broadcasts with ``radius_mpc``.
    cusp
        Negative logarithmic slope at the centre, below 3.
    nodes
        Of the quadrature, in all.
    """
    n_outside = nodes // 2
    u, w = unit_nodes(n_outside)
    v, w_v = unit_nodes(nodes - n_outside)
    bend = np.maximum(np.log(radius_mpc / scale_mpc), 0.0)[..., np.newaxis]
    span = _LN_TINY / (3.0 - cusp)
    # squared nodes inside the bend: more of them near its surface, where most of the mass is
    y = np.concatenate([bend * u, bend + span * v**2], axis=-1)
    weight = np.concatenate(
        [bend * w, np.broadcast_to(w_v * 2.0 * span * v, (*bend.shape[:-1], len(v)))], axis=-1
    )
    integrand = rho(radius_mpc[..., np.newaxis] * np.exp(-y)) * np.exp(-3.0 * y)
    return np.asarray(4.0 * np.pi * radius_mpc**3 * (integrand * weight).sum(axis=-1))


def surface_densities(
    rho: Density,
    radius_mpc: Array,
    scale_mpc: Array,
    reach_mpc: Array,
    *,
    cusp: float = 0.0,
    nodes: int = 64,
) -> Projected:
    """Return the surface densities of a spherical density, of the shape of ``radius_mpc``.

    Parameters
    ----------
    rho
        Density in Msun / Mpc3 at radii (..., bin, node).
    radius_mpc
        Projected radii, (..., bin).
    scale_mpc, cusp, nodes
        As for ``enclosed_mass``.
    reach_mpc
        Radius beyond which what is left does not matter, broadcasting with ``radius_mpc``.
    """
    u, w = unit_nodes(nodes)
    span = np.arccosh(np.maximum(reach_mpc / radius_mpc, _SHORTEST))[..., np.newaxis]
    t = span * u
    cosh = np.cosh(t)
    weighted = rho(radius_mpc[..., np.newaxis] * cosh) * (w * span) * cosh
    sigma = 2.0 * radius_mpc * weighted.sum(axis=-1)
    # cosh sinh (1 - tanh) = cosh exp(-t) sinh / cosh, without the cancellation of 1 - tanh
    shell = 4.0 * np.pi * radius_mpc**3 * (weighted * np.sinh(t) * np.exp(-t)).sum(axis=-1)
    sphere = enclosed_mass(rho, radius_mpc, scale_mpc, cusp=cusp, nodes=nodes)
    return Projected(sigma, (sphere + shell) / (np.pi * radius_mpc**2) - sigma)
