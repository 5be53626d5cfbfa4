"""Profiles whose density is rho_s f(r / r_s) with r_s = r_delta / c: all that is needed is f."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from clmassmod.core import quadrature
from clmassmod.core.profile import Profile
from clmassmod.core.projected import Projected, columns, overdensity_radius_mpc
from clmassmod.records import Array

Shape = Callable[..., Array]
ShapeNumber = Callable[..., float]

_ONE = np.asarray(1.0)

POWER_LAW_REACH = 1e8
"""Reach in r_s of profiles that fall as r^-2.5 or steeper: what lies beyond is below 1e-10."""


def scale_free(shape: Shape, *, reach: ShapeNumber, cusp: ShapeNumber, nodes: int = 64) -> Profile:
    """Return the profile of a density shape, projected by quadrature.

    Parameters
    ----------
    shape
        ``shape(x, **parameters)``: the density at x = r / r_s, in any unit, of the shape of ``x``.
    reach
        ``reach(**parameters)``: the radius in r_s beyond which the density does not matter.
    cusp
        ``cusp(**parameters)``: the negative logarithmic slope at the centre, below 3.
    nodes
        Of the quadrature.
    """

    def mass_inside(x: Array, **parameters: Any) -> Array:
        return quadrature.enclosed_mass(
            lambda y: shape(y, **parameters), x, _ONE, cusp=cusp(**parameters), nodes=nodes
        )

    def scale(
        mass_msun: ArrayLike, concentration: ArrayLike, threshold: ArrayLike, **parameters: Any
    ) -> tuple[Array, Array]:
        mass, c, radius = columns(mass_msun, concentration, overdensity_radius_mpc(mass_msun, threshold))
        r_s = radius / c
        return r_s, mass / (r_s**3 * mass_inside(c, **parameters))

    def surface(x: Array, **parameters: Any) -> Projected:
        reached = np.asarray(reach(**parameters))
        return quadrature.surface_densities(
            lambda y: shape(y, **parameters), x, _ONE, reached, cusp=cusp(**parameters), nodes=nodes
        )

    return of_shapes(scale, shape, mass_inside, surface)


def of_shapes(
    scale: Callable[..., tuple[Array, Array]],
    density: Shape,
    mass: Shape,
    surface: Callable[..., Projected],
) -> Profile:
    """Return the profile of functions of x = r / r_s, all of which take its keyword parameters.

    Parameters
    ----------
    scale
        Takes mass [Msun], concentration and threshold density [Msun / Mpc3]; returns r_s in Mpc and rho_s
        in Msun / Mpc3, each (mass, 1).
    density, mass, surface
        Density at x, mass inside, and both surface densities, in units of rho_s, rho_s r_s^3 and rho_s r_s.
    """

    def at(radius_mpc: ArrayLike, *halo: Any, **parameters: Any) -> tuple[Array, Array, Array]:
        """Return r_s and rho_s, (mass, 1), and x, (mass, bin)."""
        r_s, rho_s = scale(*halo[:3], **parameters)  # the environment is not needed
        return r_s, rho_s, np.asarray(radius_mpc, dtype=float) / r_s

    def densities(*halo: Any, **parameters: Any) -> Array:
        _, rho_s, x = at(*halo, **parameters)
        return np.asarray(rho_s * density(x, **parameters))

    def enclosed_mass(*halo: Any, **parameters: Any) -> Array:
        r_s, rho_s, x = at(*halo, **parameters)
        return np.asarray(rho_s * r_s**3 * mass(x, **parameters))

    def projected(*halo: Any, **parameters: Any) -> Projected:
        r_s, rho_s, x = at(*halo, **parameters)
        sigma, delta_sigma = surface(x, **parameters)
        return Projected(rho_s * r_s * sigma, rho_s * r_s * delta_sigma)

    return Profile(projected, densities, enclosed_mass)
