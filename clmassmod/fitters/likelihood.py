"""Likelihood of a halo's profiles given its mass: the lens model that all fitters share.

Noise is Gaussian: ln L = -1/2 (d - m)^T C^-1 (d - m), with C = diag(error^2) + covariance. The model m is
the reduced shear <b_s> gamma / (1 - <b_s^2> / <b_s> kappa) of each bin's own source statistics, or the
excess surface density.

A mass below zero stands for the mirrored shear of the positive one, gamma(-M) = -gamma(|M|), with the same
convergence, so that m(-M) = -m(|M|): the maximum-likelihood mass of a noisy halo is not cut at zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from clmassmod.core.massdef import convert_nfw, parse, threshold_density_msun_mpc3
from clmassmod.core.shear import reduced_shear
from clmassmod.errors import ConfigError
from clmassmod.fitters.data import FitData, as_profiles, prepare, select_bins
from clmassmod.records import Array, HaloEnvironment, ShearProfile
from clmassmod.registry import PROFILES
from clmassmod.tables import Tables

__all__ = ["MASS_GRID_MSUN", "LensModel", "select_bins"]

MASS_GRID_MSUN: Array = np.geomspace(1e12, 2e16, 400)
MASS_GRID_MSUN.setflags(write=False)

_PRIMARY_NODES_MSUN = np.geomspace(2e10, 9e16, 240)  # haloes of the stored masses in any usual definition
_MAX_SHEAR = 1.0  # a reduced shear has a pole at large mass and changes sign beyond: the model stops there

Relation = str | float | Callable[[Array, float], ArrayLike]


@dataclass(frozen=True)
class LensModel:
    """Density profile, concentration relation and mass definitions of an analysis.

    ``mass_definitions[0]`` is primary: the concentration relation is that of this definition. For the
    others the same haloes are given the masses that their own profile has in that definition.
    """

    tables: Tables
    profile: Callable[..., Any]
    concentration_relation: Relation
    mass_definitions: tuple[str, ...]
    parameters: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    description: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def build(
        cls,
        tables: Tables,
        *,
        profile: str | Callable[..., Any] = "nfw",
        concentration: Relation = "diemer19",
        parameters: Mapping[str, Any] | None = None,
        mass_definitions: Sequence[str] = ("200c",),
    ) -> LensModel:
        """Return the model of an analysis.

        Parameters
        ----------
        tables : Tables
            With the relation for the primary mass definition.
        profile : str or callable
            Name of a density profile, ``path/to/file.py:function``, or the function.
        concentration : str, float or callable
            Name of a relation that the tables hold, a constant, or a function of mass [Msun] and redshift.
        parameters : mapping
            The profile's own keyword parameters.
        mass_definitions : sequence of str
            The primary one first.

        Raises
        ------
        ConfigError
            For an unknown profile or mass definition.
        """
        if not mass_definitions:
            raise ConfigError("a lens model needs at least one mass definition")
        for definition in mass_definitions:
            parse(definition)
        described = {
            "profile": profile if isinstance(profile, str) else profile.__name__,
            "concentration": getattr(concentration, "__name__", concentration),
            **dict(parameters or {}),
        }
        function = PROFILES.load(profile) if isinstance(profile, str) else profile
        unique = tuple(dict.fromkeys(mass_definitions))
        return cls(tables, function, concentration, unique, dict(parameters or {}), described)

    def environment(self, z: float) -> HaloEnvironment:
        """Return what the background is at a lens redshift."""
        return self.tables.environment(z)

    def concentration(self, mass_msun: Array, z: float) -> Array:
        """Return the concentrations of masses in the primary definition, (mass,)."""
        relation = self.concentration_relation
        if callable(relation):
            values = np.broadcast_to(np.asarray(relation(mass_msun, z), dtype=float), mass_msun.shape)
        else:
            values = self.tables.concentration(relation, self.mass_definitions[0], mass_msun, z)
        if not (np.isfinite(values).all() and (values > 0).all()):
            raise ConfigError(
                f"concentration relation {relation!r} gives values that are no positive numbers"
            )
        return values

    def signal(
        self, data: FitData, environment: HaloEnvironment, mass_msun: Array, concentration: Array
    ) -> Array:
        """Return the observables of positive masses in the primary definition, (mass, bin)."""
        density = threshold_density_msun_mpc3(self.mass_definitions[0], environment)
        parts = []
        for profile, used in zip(data.profiles, data.used, strict=True):
            radius = profile.radius_mpc[used]
            surface = self.profile(radius, mass_msun, concentration, density, environment, **self.parameters)
            if profile.observable == "delta_sigma":
                parts.append(surface.delta_sigma)
                continue
            shear = reduced_shear(
                surface.sigma,
                surface.delta_sigma,
                profile.sigma_crit_inf_msun_mpc2,
                profile.beta_s[used],
                profile.beta_s2[used],
            )
            beyond = (shear > _MAX_SHEAR) | ((shear < 0) & (surface.delta_sigma > 0))
            parts.append(np.where(beyond, _MAX_SHEAR, shear))
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)

    def primary_masses(self, definition: str, environment: HaloEnvironment, mass_msun: Array) -> Array:
        """Return the primary masses of the haloes that have ``mass_msun`` in another definition, (mass,)."""
        primary = self.mass_definitions[0]
        if definition == primary:
            return mass_msun
        densities = [threshold_density_msun_mpc3(d, environment) for d in (primary, definition)]
        guess = _PRIMARY_NODES_MSUN
        for _ in range(2):  # the second turn removes what linear interpolation between nodes leaves
            converted, _c = convert_nfw(guess, self.concentration(guess, environment.z), *densities)
            ln_ratio = np.interp(np.log(mass_msun), np.log(converted), np.log(guess / converted))
            guess = mass_msun * np.exp(ln_ratio)
        return np.asarray(guess)

    def ln_likelihood(
        self,
        profiles: ShearProfile | Sequence[ShearProfile],
        mass_msun: ArrayLike,
        definition: str | None = None,
    ) -> Array:
        """Return ln L of masses, which may be negative or zero, (mass,), up to one constant a halo.

        Parameters
        ----------
        profiles : ShearProfile or several of one halo
        mass_msun : array (mass,)
        definition : str, optional
            Mass definition of ``mass_msun``; the primary one by default.
        """
        data = prepare(as_profiles(profiles))
        environment = self.environment(data.profiles[0].halo.z)
        mass = np.atleast_1d(np.asarray(mass_msun, dtype=float))
        size = np.maximum(np.abs(mass), MASS_GRID_MSUN[0] * 1e-6)
        primary = self.primary_masses(definition or self.mass_definitions[0], environment, size)
        model = self.signal(data, environment, primary, self.concentration(primary, environment.z))
        residual = data.whiten(data.value - np.sign(mass)[:, None] * model)
        return np.asarray(-0.5 * np.sum(residual**2, axis=1))


def gaussian_terms(data: FitData, model: Array) -> tuple[Array, Array, float]:
    """Return d C^-1 m (mass,), m C^-1 m (mass,) and d C^-1 d of models (mass, bin).

    ln L of the model times an amplitude a is -1/2 (d C^-1 d - 2 a d C^-1 m + a^2 m C^-1 m).
    """
    values, templates = data.whiten(data.value), data.whiten(model)
    return templates @ values, np.einsum("mb,mb->m", templates, templates), float(values @ values)
