"""A profile from a user's function: a density rho(r), or surface densities.

A density takes the radius first, as an array, and returns an array of its shape. A first argument that
is named ``x`` is r / r_s with r_s = r_delta / concentration, any other is the radius in Mpc. Further
arguments of these names are filled in, the others are parameters and need a default:

    mass_msun, concentration, r_s_mpc, r_delta_mpc, z

The density may be in any unit: it is scaled such that the mass inside r_delta is that of the halo. A
function with the five arguments of ``core.nfw.projected`` returns surface densities itself, a ``Projected``
or a pair (sigma, delta_sigma).
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from clmassmod.core import quadrature
from clmassmod.core.profile import Profile
from clmassmod.core.projected import Projected, columns, overdensity_radius_mpc
from clmassmod.core.quadrature import Density
from clmassmod.errors import ConfigError
from clmassmod.records import Array, HaloEnvironment

_FILLED = ("mass_msun", "concentration", "r_s_mpc", "r_delta_mpc", "z")
_FAR = 1e7  # in r_s: where the outer slope is measured
_SHALLOWEST = 1.15
_NODES = (128, 512, 2048)
_TOLERANCE = 3e-6


def as_profile(function: Any, name: str) -> Profile:
    """Return a plug-in as a profile, whatever of the two kinds it is.

    Raises
    ------
    ConfigError
        For a function whose arguments fit neither.
    """
    if isinstance(function, Profile):
        return function
    if not callable(function):
        raise ConfigError(f"profile {name} is a {type(function).__name__}, not a function")
    arguments = list(inspect.signature(function).parameters.values())
    positional = [a for a in arguments if a.kind in {a.POSITIONAL_ONLY, a.POSITIONAL_OR_KEYWORD}]
    if len(positional) >= 5 and not {a.name for a in positional[3:5]} & set(_FILLED):
        return Profile(lambda *a, **k: Projected(*function(*a, **k)), _unknown(name), _unknown(name))
    required = [a.name for a in arguments[1:] if a.default is a.empty and a.kind is not a.VAR_KEYWORD]
    unknown = [a for a in required if a not in _FILLED]
    if not positional or unknown:
        raise ConfigError(
            f"profile {name}: arguments {', '.join(unknown) or '(none)'} need a default; without one a "
            f"density takes the radius and any of {', '.join(_FILLED)}"
        )
    names = [a.name for a in arguments]
    return _UserDensity(function, name, names[0] == "x", [n for n in names[1:] if n in _FILLED]).profile()


def _unknown(name: str) -> Callable[..., Array]:
    def missing(*_: Any, **__: Any) -> Array:
        raise ConfigError(f"profile {name} gives surface densities alone, no density and no enclosed mass")

    return missing


class _UserDensity:
    """A user's density with what it takes."""

    def __init__(self, function: Callable[..., Any], name: str, scaled: bool, filled: list[str]) -> None:
        self._function, self._name, self._scaled, self._filled = function, name, scaled, filled

    def profile(self) -> Profile:
        """Return the profile."""
        return Profile(self.projected, self.density, self.enclosed_mass)

    def _bind(
        self,
        mass_msun: ArrayLike,
        concentration: ArrayLike,
        threshold: ArrayLike,
        environment: HaloEnvironment | None,
        parameters: dict[str, Any],
    ) -> tuple[Density, Array, float]:
        """Return the density in the user's unit on radii (mass, bin, node), r_s (mass, 1) and the cusp."""
        mass, c, radius = columns(
            *np.broadcast_arrays(mass_msun, concentration, overdensity_radius_mpc(mass_msun, threshold))
        )
        values = {"mass_msun": mass, "concentration": c, "r_s_mpc": radius / c, "r_delta_mpc": radius}
        arguments: dict[str, Any] = {n: values[n][..., np.newaxis] for n in self._filled if n != "z"}
        if "z" in self._filled:
            if environment is None:
                raise ConfigError(f"profile {self._name} takes z, but no environment was given")
            arguments["z"] = environment.z
        r_s = values["r_s_mpc"]
        unit = r_s[..., np.newaxis] if self._scaled else 1.0

        def rho(r: Array) -> Array:
            with np.errstate(over="ignore", under="ignore"):
                value = np.asarray(self._function(r / unit, **arguments, **parameters), dtype=float)
            if value.shape != r.shape or not np.all(np.isfinite(value)):
                raise ConfigError(
                    f"profile {self._name} must return one finite density for each radius of an array of "
                    f"shape {r.shape}, found {value.shape} with {np.sum(~np.isfinite(value))} not finite"
                )
            return value

        return rho, r_s, self._cusp(rho, r_s)

    def _cusp(self, rho: Density, r_s: Array) -> float:
        small = 1e-6 * r_s[..., np.newaxis] * np.array([1.0, np.e])
        with np.errstate(divide="ignore", invalid="ignore"):
            slopes = -np.diff(np.log(rho(small)), axis=-1)
        return float(np.clip(np.nan_to_num(slopes, nan=0.0, posinf=0.0, neginf=0.0).max(), 0.0, 2.9))

    def _reach(self, rho: Density, r_s: Array) -> Array:
        """Return the radius beyond which less than 1e-7 of a surface density is left, (mass, 1)."""
        pair = rho(_FAR * r_s[..., np.newaxis] * np.array([1.0, np.e]))
        if np.all(pair[..., 1] <= 1e-30 * rho(r_s[..., np.newaxis])[..., 0]):
            return _FAR * r_s
        slope = float(np.log(pair[..., 0] / np.maximum(pair[..., 1], 1e-300)).min())
        if slope < _SHALLOWEST:
            raise ConfigError(
                f"profile {self._name} falls as r^-{slope:.3g} far out: its surface density needs a slope "
                f"steeper than {_SHALLOWEST}"
            )
        return np.asarray(r_s * max(_FAR, 10.0 ** min(7.0 / (slope - 1.0), 50.0)))

    def _scaled_to_mass(
        self,
        rho: Density,
        r_s: Array,
        cusp: float,
        mass: ArrayLike,
        threshold: ArrayLike,
        n: int,
    ) -> Array:
        """Return Msun / Mpc3 in the user's unit, (mass, 1)."""
        m, radius = columns(mass, overdensity_radius_mpc(mass, threshold))
        radius = np.broadcast_to(radius, r_s.shape)
        return np.asarray(m / quadrature.enclosed_mass(rho, radius, r_s, cusp=cusp, nodes=n))

    def density(
        self,
        radius_mpc: ArrayLike,
        mass_msun: ArrayLike,
        concentration: ArrayLike,
        density_msun_mpc3: ArrayLike,
        environment: HaloEnvironment | None = None,
        **parameters: Any,
    ) -> Array:
        rho, r_s, cusp = self._bind(mass_msun, concentration, density_msun_mpc3, environment, parameters)
        unit = self._scaled_to_mass(rho, r_s, cusp, mass_msun, density_msun_mpc3, _NODES[1])
        radius = np.broadcast_to(radius_mpc, np.broadcast_shapes(np.shape(radius_mpc), r_s.shape))
        return unit * rho(radius[..., np.newaxis].astype(float))[..., 0]

    def enclosed_mass(
        self,
        radius_mpc: ArrayLike,
        mass_msun: ArrayLike,
        concentration: ArrayLike,
        density_msun_mpc3: ArrayLike,
        environment: HaloEnvironment | None = None,
        **parameters: Any,
    ) -> Array:
        rho, r_s, cusp = self._bind(mass_msun, concentration, density_msun_mpc3, environment, parameters)
        unit = self._scaled_to_mass(rho, r_s, cusp, mass_msun, density_msun_mpc3, _NODES[1])
        radius = np.broadcast_to(radius_mpc, np.broadcast_shapes(np.shape(radius_mpc), r_s.shape)).astype(
            float
        )
        return unit * quadrature.enclosed_mass(rho, radius, r_s, cusp=cusp, nodes=_NODES[1])

    def projected(
        self,
        radius_mpc: ArrayLike,
        mass_msun: ArrayLike,
        concentration: ArrayLike,
        density_msun_mpc3: ArrayLike,
        environment: HaloEnvironment | None = None,
        **parameters: Any,
    ) -> Projected:
        """Return surface densities with as many nodes as the first and last halo need."""
        mass, c = np.broadcast_arrays(
            np.asarray(mass_msun, dtype=float), np.asarray(concentration, dtype=float)
        )

        def at(m: Array, conc: Array, n: int) -> Projected:
            rho, r_s, cusp = self._bind(m, conc, density_msun_mpc3, environment, parameters)
            radius = np.asarray(radius_mpc, dtype=float)
            radius = np.broadcast_to(radius, np.broadcast_shapes(radius.shape, r_s.shape))
            unit = self._scaled_to_mass(rho, r_s, cusp, m, density_msun_mpc3, n)
            flat = quadrature.surface_densities(rho, radius, r_s, self._reach(rho, r_s), cusp=cusp, nodes=n)
            return Projected(unit * flat.sigma, unit * flat.delta_sigma)

        if np.ndim(radius_mpc) > 1:  # radii of its own for each halo: all are tested
            return at(mass, c, self._nodes(at, mass, c))
        ends = (mass.ravel()[[0, -1]], c.ravel()[[0, -1]])
        return at(mass, c, self._nodes(at, *ends))

    def _nodes(self, at: Callable[[Array, Array, int], Projected], mass: Array, c: Array) -> int:
        coarse = at(mass, c, _NODES[0])
        for used, finer in itertools.pairwise(_NODES):
            fine = at(mass, c, finer)
            change = np.abs(fine.mean_sigma - coarse.mean_sigma) + np.abs(fine.sigma - coarse.sigma)
            if np.all(change <= _TOLERANCE * np.abs(fine.mean_sigma)):
                return used
            coarse = fine
        raise ConfigError(
            f"profile {self._name}: its projection does not converge to {_TOLERANCE:g}; is its density "
            "smooth, and does it fall faster than 1/r far out?"
        )
