"""The lens model that all fitters share: from a mass to what is observed.

A mass below zero stands for the mirrored shear of the positive one, gamma(-M) = -gamma(|M|), with the same
convergence, so that the observable m(-M) = -m(|M|): the maximum-likelihood mass of a noisy halo is not cut
at zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from clmassmod.core import nfw
from clmassmod.core.massdef import convert_nfw, parse, solve_overdensity_radius, threshold_density_msun_mpc3
from clmassmod.core.miscentring import Miscentring, miscentring
from clmassmod.core.profile import EFFECTS, Profile
from clmassmod.core.projected import Projected, overdensity_radius_mpc
from clmassmod.cosmology.model import critical_density_msun_mpc3, mean_density_msun_mpc3
from clmassmod.errors import ConfigError
from clmassmod.fitters import noise as noises
from clmassmod.fitters.checks import Relation, check_concentration, check_profile
from clmassmod.fitters.data import FitData, as_profiles, prepare, select_bins
from clmassmod.fitters.grid import MASS_GRID_MSUN, MODELS_MSUN, NODES_MSUN, to_mass_grid
from clmassmod.fitters.memo import Memo
from clmassmod.fitters.nuisance import NONE, NuisancePrior
from clmassmod.fitters.nuisance import build as build_nuisance
from clmassmod.records import Array, HaloEnvironment, ShearProfile
from clmassmod.registry import PROFILES
from clmassmod.tables import Tables

__all__ = ["MASS_GRID_MSUN", "NODES_MSUN", "LensModel", "select_bins", "to_mass_grid"]

_CONVERSION_NODES_MSUN = np.geomspace(2e10, 9e16, 240)  # haloes of the stored masses in any usual definition


@dataclass(frozen=True)
class Memos:
    """What haloes share, each kind in a ``Memo`` of its own."""

    templates: Memo = field(default_factory=lambda: Memo(4_000_000))  # numbers: 32 MB
    centres: Memo = field(default_factory=lambda: Memo(64))
    surfaces: Memo = field(default_factory=lambda: Memo(4_000_000))  # numbers: 32 MB


@dataclass(frozen=True)
class LensModel:
    """Density profile, concentration relation, mass definitions and nuisance parameters of an analysis.

    ``mass_definitions[0]`` is primary: the concentration relation is that of this definition. For the
    others the same haloes are given the masses that their own profile has in that definition.
    """

    tables: Tables
    profile: Profile
    concentration_relation: Relation
    mass_definitions: tuple[str, ...]
    parameters: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    nuisance: NuisancePrior = NONE
    noise: noises.NoiseTerms = noises.NONE
    description: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    memo: Memos = field(default_factory=Memos, repr=False, compare=False)
    _at_nodes: dict[int, Callable[[float], Array]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def build(
        cls,
        tables: Tables,
        *,
        profile: str | Profile = "nfw",
        concentration: Relation = "diemer19",
        parameters: Mapping[str, Any] | None = None,
        mass_definitions: Sequence[str] = ("200c",),
        nuisance: Any = None,
        noise: Any = None,
    ) -> LensModel:
        """Return the model of an analysis.

        Parameters
        ----------
        tables : Tables
            With the relation for the primary mass definition.
        profile : str or Profile
            Name of a density profile, or ``path/to/file.py:function``.
        concentration : str, float or callable
            Name of a relation that the tables hold, a constant, or a function of mass [Msun] and redshift.
        parameters : mapping
            The profile's own keyword parameters.
        mass_definitions : sequence of str
            The primary one first.
        nuisance : Nuisance or mapping, optional
            What is marginalised over; the keys are those of ``config.nuisance.Nuisance``.
        noise : Noise or mapping, optional
            Covariance beside the shape noise; the keys are those of ``config.noise.Noise``.

        Raises
        ------
        ConfigError
            For an unknown profile or mass definition, a wrong nuisance parameter, or noise that the
            tables do not hold.
        """
        if not mass_definitions or isinstance(mass_definitions, str):
            raise ConfigError("mass_definitions: a lens model needs a list of at least one, such as ['200c']")
        for definition in mass_definitions:
            parse(definition)
        loaded = PROFILES.load(profile) if isinstance(profile, str) else profile
        check_profile(loaded, profile, parameters or {})
        check_concentration(concentration, mass_definitions[0])
        described = {
            "profile": profile if isinstance(profile, str) else "user",
            "concentration": getattr(concentration, "__name__", concentration),
            **dict(parameters or {}),
        }
        priors = build_nuisance(nuisance)
        if priors.two_halo is not None and not tables.has_structure:
            raise ConfigError(
                "nuisance.two_halo: the tables hold no two-halo term; cosmology needs sigma8, ns, Ob0"
            )
        terms = noises.NoiseTerms.build(noise)
        noises.check_tables(terms, tables)
        unique = tuple(dict.fromkeys(mass_definitions))
        return cls(
            tables,
            loaded,
            concentration,
            unique,
            dict(parameters or {}),
            priors,
            terms,
            {**described, **terms.description},
        )

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process needs: all but what fits have left for one another."""
        kept = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("memo", "_at_nodes")}
        return {**kept, "memo": Memos(), "_at_nodes": {}}

    def without_noise(self) -> LensModel:
        """Return the same model of data whose errors have all of the noise."""
        described = {k: v for k, v in self.description.items() if k != "noise"}
        return replace(self, noise=noises.NONE, description=described)

    def prepare(self, profiles: ShearProfile | Sequence[ShearProfile]) -> FitData:
        """Return the usable bins of profiles of one halo, with all of their noise."""
        if self.noise is noises.NONE:
            return prepare(as_profiles(profiles))
        return prepare(self.noise.scaled(as_profiles(profiles)), partial(self.noise.covariance, self))

    @property
    def primary(self) -> str:
        """Mass definition of the concentration relation and of all summaries."""
        return self.mass_definitions[0]

    def metadata(self, fitter: str, prior: str) -> dict[str, Any]:
        """Return what a result file says of the fit."""
        return {"fitter": fitter, "mass_prior": PRIORS[prior], **self.description}

    def environment(self, profile: ShearProfile) -> HaloEnvironment:
        """Return the background at a profile's lens, with the distances that the profile carries."""
        cosmology, z = self.tables.cosmology, profile.halo.z
        return HaloEnvironment(
            z,
            critical_density_msun_mpc3(cosmology, z),
            mean_density_msun_mpc3(cosmology, z),
            profile.d_lens_mpc,
            profile.sigma_crit_inf_msun_mpc2,
        )

    def concentration(self, mass_msun: Array, z: float) -> Array:
        """Return the relation's concentrations of masses in the primary definition, of their shape."""
        relation = self.concentration_relation
        if not callable(relation):
            if mass_msun is not NODES_MSUN and mass_msun is not MODELS_MSUN:
                return self.tables.concentration(relation, self.primary, mass_msun, z)
            n = len(mass_msun)
            if n not in self._at_nodes:
                self._at_nodes[n] = self.tables.concentrations(relation, self.primary, mass_msun)
            return self._at_nodes[n](z)
        values = np.broadcast_to(np.asarray(relation(mass_msun, z), dtype=float), mass_msun.shape)
        if not (np.isfinite(values).all() and (values > 0).all()):
            raise ConfigError(
                f"the concentration relation gives values at z = {z:g} that are no positive numbers"
            )
        return values

    def primary_masses(
        self,
        definition: str,
        environment: HaloEnvironment,
        mass_msun: Array,
        concentration: Callable[[Array, float], Array] | None = None,
    ) -> Array:
        """Return the primary masses of haloes that have ``mass_msun`` in another definition, (mass,).

        Parameters
        ----------
        definition : str
        environment : HaloEnvironment
        mass_msun : array (mass,)
        concentration : callable, optional
            Instead of the relation.
        """
        if definition == self.primary:
            return mass_msun
        relation = concentration or self.concentration
        guess = _CONVERSION_NODES_MSUN
        for _ in range(2):  # the second turn removes what linear interpolation between nodes leaves
            converted = self._convert(guess, relation(guess, environment.z), environment, definition)
            ln_ratio = np.interp(np.log(mass_msun), np.log(converted), np.log(guess / converted))
            guess = mass_msun * np.exp(ln_ratio)
        return np.asarray(guess)

    def _convert(
        self, mass: Array, concentration: Array, environment: HaloEnvironment, definition: str
    ) -> Array:
        """Return masses in another definition than the primary one."""
        start, end = (threshold_density_msun_mpc3(d, environment) for d in (self.primary, definition))
        nfw, _ = convert_nfw(mass, concentration, start, end)
        if self.is_nfw:
            return nfw
        parameters = self.profile_parameters(environment.z)

        def enclosed(radius: Array) -> Array:
            return self.profile.enclosed_mass(radius, mass, concentration, start, environment, **parameters)

        radius = solve_overdensity_radius(enclosed, overdensity_radius_mpc(nfw, end), end)
        return np.asarray(4.0 / 3.0 * np.pi * end * radius**3)

    @property
    def is_nfw(self) -> bool:
        """Whether masses convert by the closed form of the NFW profile."""
        return self.profile.projected is nfw.projected

    @property
    def takes_any_radius(self) -> bool:
        """Whether ``surface`` gives surface densities between the bins' radii, too."""
        return True

    def profile_parameters(self, z: float) -> dict[str, Any]:
        """Return the profile's keyword parameters at a redshift."""
        parameters = {k: v for k, v in self.parameters.items() if k not in EFFECTS}
        if (
            "peak_height" in self.profile.needs
            and "peak_height" not in parameters
            and self.tables.has_structure
        ):
            parameters["peak_height"] = lambda mass: self.tables.peak_height(mass, z)
        return parameters

    def surface(
        self, radius_mpc: Array, environment: HaloEnvironment, mass_msun: Array, concentration: Array
    ) -> Projected:
        """Return surface densities of centred haloes (mass, bin); masses in the primary definition.

        The profile's parameters may hold a fixed two-halo term.
        """
        z = environment.z
        density = threshold_density_msun_mpc3(self.primary, environment)
        parameters = self.profile_parameters(z)
        try:
            found = self.profile.projected(
                radius_mpc, mass_msun, concentration, density, environment, **parameters
            )
        except TypeError as error:
            if "keyword argument" not in str(error):
                raise
            raise ConfigError(
                f"density profile {self.description.get('profile')!r} and parameters {parameters}: {error}"
            ) from None
        amplitude = float(self.parameters.get("two_halo", 0.0))
        if amplitude:
            term = self.two_halo(radius_mpc, z, mass_msun)
            found = found + Projected(amplitude * term.sigma, amplitude * term.delta_sigma)
        return found

    def two_halo(self, radius_mpc: Array, z: float, mass_msun: Array) -> Projected:
        """Return the two-halo term of linear theory, (mass, bin)."""
        return self.tables.two_halo(radius_mpc, z, self.tables.halo_bias(self.primary, mass_msun, z))

    def mean_miscentring(self, radius_mpc: Array) -> Miscentring:
        """Return the average over wrong centres that the profile's parameters ask for."""
        distribution = str(self.parameters.get("offset_distribution", "fixed"))
        return miscentring(radius_mpc, distribution, float(self.parameters["offset_mpc"]))

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
        from clmassmod.fitters.marginal import ln_likelihoods

        data = self.prepare(profiles)
        mass = np.atleast_1d(np.asarray(mass_msun, dtype=float))
        size = np.maximum(np.abs(mass), 1e6)  # zero is what the likelihood tends to without two-halo term
        found = ln_likelihoods(self, data, size, definition or self.primary)
        return np.where(mass > 0, found.positive, np.where(mass < 0, found.negative, found.zero))


PRIORS = {"flat": "flat in M", "log": "flat in ln M"}
