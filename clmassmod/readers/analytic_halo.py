"""One synthetic halo: its parts, each evaluated exactly or to the accuracy of its physics."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from clmassmod.config import halo_rng
from clmassmod.core.baryons import BaryonModel
from clmassmod.core.baryons import projected as baryonified
from clmassmod.core.fields import (
    CircularField,
    EllipticalField,
    LensingField,
    ShiftedField,
    SkyField,
    SumField,
)
from clmassmod.core.interpolate import cubic
from clmassmod.core.massdef import threshold_density_msun_mpc3
from clmassmod.core.profiles.elliptical import Ellipse
from clmassmod.core.projected import Projected, overdensity_radius_mpc
from clmassmod.core.random_field import RandomField
from clmassmod.core.substructure import draw_masses, draw_positions, random_rotation
from clmassmod.core.units import ARCMIN_RAD
from clmassmod.readers.analytic_options import AnalyticOptions
from clmassmod.records import Array, HaloEnvironment, HaloInfo
from clmassmod.registry import PROFILES
from clmassmod.tables import Tables

Surface = Callable[[Array], Projected]
_TABLE_NODES = 385
_TABLE_RANGE_MPC = (1e-4, 100.0)


def build_halo(
    halo: HaloInfo,
    mass_msun: float,
    concentration: float,
    ellipse: Ellipse | None,
    options: AnalyticOptions,
    tables: Tables,
    prepared: dict[str, Any],
    seed: int,
) -> LensingField:
    """Return the lensing of one halo and what stands before, behind and round it."""
    environment = tables.environment(halo.z)
    critical = environment.sigma_crit_inf_msun_mpc2
    surface = _main(mass_msun, concentration, options, environment, tables)
    parts: list[LensingField] = []
    lumps: list[tuple[float, Array]] = []
    if options.subhaloes is not None:
        lumps = _subhaloes(halo, mass_msun, concentration, options, environment, seed)
        surface = partial(_scaled, surface=surface, factor=1.0 - sum(m for m, _ in lumps) / mass_msun)
    if ellipse is None:
        parts.append(CircularField(halo, surface, critical))
    else:
        parts.append(EllipticalField(halo, surface, ellipse, critical))
    for lump_mass, place in lumps:
        lump = tabulated(_main(lump_mass, concentration, options, environment, tables, truncated=True))
        parts.append(ShiftedField(CircularField(halo, lump, critical), float(place[0]), float(place[1])))
    if options.two_halo:
        bias = tables.halo_bias(options.mass_definition, mass_msun, halo.z)
        around = tabulated(lambda r: tables.two_halo(r, halo.z, float(bias)))
        parts.append(CircularField(halo, around, critical))
    if options.line_of_sight is not None:
        parts.append(_line_of_sight(halo, options, environment, tables, prepared, seed))
    return parts[0] if len(parts) == 1 else SumField(tuple(parts))


def _scaled(radius_mpc: Array, surface: Surface, factor: float) -> Projected:
    found = surface(radius_mpc)
    return Projected(factor * found.sigma, factor * found.delta_sigma)


def _main(
    mass_msun: float,
    concentration: float,
    options: AnalyticOptions,
    environment: HaloEnvironment,
    tables: Tables,
    truncated: bool = False,
) -> Surface:
    density = threshold_density_msun_mpc3(options.mass_definition, environment)
    arguments: dict[str, Any] = {
        "mass_msun": mass_msun,
        "concentration": concentration,
        "density_msun_mpc3": density,
        "environment": environment,
    }
    if truncated:  # a subhalo ends about its own radius
        return partial(PROFILES.load("tnfw"), **arguments, tau=concentration, n=2)
    if options.baryons is not None:
        return _baryonified(mass_msun, concentration, options, density, tables)
    profile = PROFILES.load(options.profile)
    parameters = dict(options.parameters)
    if "peak_height" in profile.needs and "peak_height" not in parameters:
        parameters["peak_height"] = lambda m200m: tables.peak_height(m200m, environment.z)
    return partial(profile, **arguments, **parameters)


def _baryonified(
    mass_msun: float, concentration: float, options: AnalyticOptions, density: float, tables: Tables
) -> Surface:
    cosmology = tables.cosmology
    cosmology.require("Ob0", purpose="the baryonic correction")
    assert options.baryons is not None
    model = BaryonModel(**options.baryons.model_dump(exclude={"gravity_only"}))
    before_or_after = 0 if options.baryons.gravity_only else 1
    radius = float(overdensity_radius_mpc(mass_msun, density))
    share = float(cosmology.Ob0 or 0.0) / cosmology.Om0

    def surface(radius_mpc: Array) -> Projected:
        return baryonified(radius_mpc, mass_msun, concentration, radius, cosmology.h, share, model)[
            before_or_after
        ]

    return tabulated(surface)


def _subhaloes(
    halo: HaloInfo,
    mass_msun: float,
    concentration: float,
    options: AnalyticOptions,
    environment: HaloEnvironment,
    seed: int,
) -> list[tuple[float, Array]]:
    """Return mass and projected position in Mpc of each subhalo; the same ones along all lines of sight."""
    assert options.subhaloes is not None
    rng = halo_rng(seed, halo.parent, "analytic/subhaloes")
    o = options.subhaloes
    psi = draw_masses(o.fraction, o.smallest, o.largest, rng)
    density = threshold_density_msun_mpc3(options.mass_definition, environment)
    radius = float(overdensity_radius_mpc(mass_msun, density))
    places = draw_positions(psi.size, concentration, rng) * radius
    seen = places @ random_rotation(halo_rng(seed, halo.halo_id, "analytic/direction")).T
    return [(float(p * mass_msun), place[:2]) for p, place in zip(psi, seen, strict=True)]


def _line_of_sight(
    halo: HaloInfo,
    options: AnalyticOptions,
    environment: HaloEnvironment,
    tables: Tables,
    prepared: dict[str, Any],
    seed: int,
) -> SkyField:
    assert options.line_of_sight is not None
    o = options.line_of_sight
    rng = halo_rng(seed, halo.halo_id, "analytic/line_of_sight")
    random = RandomField(prepared["ell"], prepared["convergence_power"], o.size_arcmin, o.pixel_arcmin, rng)
    share = float(tables.beta_s(o.z_source, halo.z))
    return SkyField(halo, random, environment.d_lens_mpc * ARCMIN_RAD, 1.0 / share if share > 0 else 0.0)


def tabulated(surface: Surface) -> Surface:
    """Return surface densities interpolated in ln R from 0.1 kpc to 100 Mpc, errors of 1e-6."""
    low, high = (float(np.log(r)) for r in _TABLE_RANGE_MPC)
    step = (high - low) / (_TABLE_NODES - 1)
    table = surface(np.exp(low + step * np.arange(_TABLE_NODES)))
    sigma, delta_sigma = np.ravel(table.sigma), np.ravel(table.delta_sigma)

    def interpolated(radius_mpc: Array) -> Projected:
        x = np.log(np.maximum(radius_mpc, 1e-12))
        return Projected(cubic(x, low, step, sigma), cubic(x, low, step, delta_sigma))

    return interpolated
