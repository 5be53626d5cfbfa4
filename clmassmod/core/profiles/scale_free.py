"""Profiles whose density is rho_s f(r / r_s) with r_s = r_delta / c: all that is needed is f."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from clmassmod.core import quadrature
from clmassmod.core.profile import Profile
from clmassmod.core.projected import Projected, columns, overdensity_radius_mpc
from clmassmod.records import Array, HaloEnvironment

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

    def integral(x: Array, parameters: dict[str, Any]) -> Array:
        return quadrature.enclosed_mass(
            lambda y: shape(y, **parameters), x, _ONE, cusp=cusp(**parameters), nodes=nodes
        )

    def scale(
        mass_msun: ArrayLike, concentration: ArrayLike, threshold: ArrayLike, parameters: dict[str, Any]
    ) -> tuple[Array, Array]:
        """Return r_s in Mpc and the density unit in Msun / Mpc3, each (mass, 1)."""
        mass, c, radius = columns(mass_msun, concentration, overdensity_radius_mpc(mass_msun, threshold))
        r_s = radius / c
        return r_s, mass / (r_s**3 * integral(c, parameters))

    def density(
        radius_mpc: ArrayLike,
        mass_msun: ArrayLike,
        concentration: ArrayLike,
        density_msun_mpc3: ArrayLike,
        environment: HaloEnvironment | None = None,  # noqa: ARG001  one signature for all profiles
        **parameters: Any,
    ) -> Array:
        r_s, unit = scale(mass_msun, concentration, density_msun_mpc3, parameters)
        return unit * shape(np.asarray(radius_mpc, dtype=float) / r_s, **parameters)

    def enclosed_mass(
        radius_mpc: ArrayLike,
        mass_msun: ArrayLike,
        concentration: ArrayLike,
        density_msun_mpc3: ArrayLike,
        environment: HaloEnvironment | None = None,  # noqa: ARG001  one signature for all profiles
        **parameters: Any,
    ) -> Array:
        r_s, unit = scale(mass_msun, concentration, density_msun_mpc3, parameters)
        return unit * r_s**3 * integral(np.asarray(radius_mpc, dtype=float) / r_s, parameters)

    def projected(
        radius_mpc: ArrayLike,
        mass_msun: ArrayLike,
        concentration: ArrayLike,
        density_msun_mpc3: ArrayLike,
        environment: HaloEnvironment | None = None,  # noqa: ARG001  one signature for all profiles
        **parameters: Any,
    ) -> Projected:
        r_s, unit = scale(mass_msun, concentration, density_msun_mpc3, parameters)
        sigma, delta_sigma = quadrature.surface_densities(
            lambda y: shape(y, **parameters),
            np.asarray(radius_mpc, dtype=float) / r_s,
            _ONE,
            np.asarray(reach(**parameters)),
            cusp=cusp(**parameters),
            nodes=nodes,
        )
        return Projected(unit * r_s * sigma, unit * r_s * delta_sigma)

    return Profile(projected, density, enclosed_mass)
