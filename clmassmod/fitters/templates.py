"""Models of a halo's data at masses, for every node of the nuisance parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from clmassmod.core.projected import Projected
from clmassmod.fitters.data import FitData, joined
from clmassmod.fitters.likelihood import LensModel
from clmassmod.fitters.nuisance import Nodes
from clmassmod.fitters.observables import shown, shown_and_slope, units
from clmassmod.fitters.places import Edges, Flags, Places
from clmassmod.fitters.surfaces import surface_blocks
from clmassmod.records import Array, HaloEnvironment, ShearProfile

Models = tuple[Array, Array | None]
"""Signal and slope (concentration, mass, offset, bin)."""


@dataclass(frozen=True)
class Templates:
    """Models of a halo's data at masses, for every node of the nuisance parameters."""

    signal: Array  # (concentration, mass, offset, bin)
    slope: Array | None  # the same: change by one standard deviation of the two-halo amplitude
    concentration: Array  # (concentration, mass)
    strong: Flags  # (node, mass): a shear beyond 1 in any bin
    ln_weight: Array  # (node,), or of the places that follow
    nodes: Nodes
    masses: Places | None  # more of them, to which ln L is interpolated
    calibration: tuple[float, float]  # mean and sd of 1 + m

    @cached_property
    def signal_squared(self) -> Array:
        """Squares of the signal, which haloes of the same models share."""
        return self.signal**2

    @cached_property
    def _edges(self) -> tuple[Edges | None, Edges | None]:
        """Where polynomials in the mass, and then in the concentration, end at strongly lensed models."""
        strong, first = self.strong, None
        if self.masses is not None:
            first = self.masses.edges(strong)
            if first is None:
                return None, None
            strong = first.beyond
        places = self.nodes.places
        return first, None if places is None else places.edges(self._by_concentration(strong))

    def _by_concentration(self, values: Any) -> Any:
        """Return values (node, mass) as (offset, mass, concentration)."""
        return values.reshape(len(self.nodes.ln_offset_weight), -1, values.shape[-1]).swapaxes(1, 2)

    def at_places(self, ln_like: Array) -> Array:
        """Return ln L (term, mass) at all masses and places of c from that of the models (node, mass)."""
        first, second = self._edges
        if self.masses is not None:
            ln_like = self.masses.of(ln_like, first)
        if self.nodes.places is None:
            return ln_like
        found = self.nodes.places.of(self._by_concentration(ln_like), second)
        return np.ascontiguousarray(found.swapaxes(1, 2)).reshape(-1, ln_like.shape[-1])

    @cached_property
    def on_straight_lines(self) -> tuple[slice, Flags] | None:
        """Which terms lie on straight lines: masses that have any, and flags (term, mass) of these."""
        first, second = self._edges
        if self.nodes.places is not None and second is not None:
            flags = second.beyond.swapaxes(1, 2).reshape(-1, second.beyond.shape[1])
        elif self.nodes.places is None and first is not None:
            flags = first.beyond
        else:
            return None
        some = slice(int(flags.any(axis=0).argmax()), None)
        return some, np.ascontiguousarray(flags[:, some])

    def at(self, place: slice) -> Models:
        """Return signal and slope at some of the masses."""
        return self.signal[:, place], None if self.slope is None else self.slope[:, place]


def make_templates(
    model: LensModel, data: FitData, mass_msun: Array, definition: str, nodes: Nodes, places: Places | None
) -> Templates:
    """Return the models of the data at masses (mass,) of a definition; ``places`` are more masses."""
    environment = model.environment(data.profiles[0])
    masses, concentration = _haloes(model, environment, mass_msun, definition, nodes)
    parts = [
        _models(model, profile, used, environment, masses, concentration, nodes)
        for profile, used in zip(data.profiles, data.used, strict=True)
    ]
    shear = model.nuisance.shear_bias or (0.0, 0.0)
    strong = np.logical_or.reduce([part.strong for part in parts])
    return Templates(
        *all_bins([(part.signal, part.slope) for part in parts]),
        concentration,
        by_node(strong),
        (nodes.ln_offset_weight[:, None] + nodes.ln_c_weight).ravel(),
        nodes,
        places,
        (1.0 + shear[0], shear[1]),
    )


def all_bins(parts: Sequence[Models]) -> Models:
    """Return signal and slope with the bins of all parts one after the other."""
    slopes = [slope for _, slope in parts if slope is not None]
    return joined([signal for signal, _ in parts]), joined(slopes) if slopes else None


def setting(data: FitData) -> Iterator[object]:
    """Yield all that a model of the data depends on, beside the lens model."""
    for profile, used in zip(data.profiles, data.used, strict=True):
        yield (profile.observable, profile.halo.z, profile.sigma_crit_inf_msun_mpc2)
        for part in (profile.radius_mpc, profile.beta_s, profile.beta_s2, used):
            yield part.tobytes()


def by_node(values: Any) -> Any:
    """Return values of models (concentration, mass, offset) as (node, mass), offsets the slower."""
    if values.shape[-1] == 1:
        return values[..., 0]
    return values.transpose(2, 0, 1).reshape(-1, values.shape[1])


class _Models(NamedTuple):
    """Signal and slope (concentration, mass, offset, bin) and strong shears of one profile."""

    signal: Array
    slope: Array | None
    strong: Flags


def _models(
    model: LensModel,
    profile: ShearProfile,
    used: Flags,
    environment: HaloEnvironment,
    masses: Array,
    concentration: Array,
    nodes: Nodes,
) -> _Models:
    radius, unit = profile.radius_mpc[used], units(profile, used)
    n_offset = len(nodes.ln_offset_weight)
    signal = np.empty((*concentration.shape, n_offset, len(radius)))
    strong = np.zeros(signal.shape[:-1], dtype=bool)
    mean = step = slope = None
    if model.nuisance.two_halo is not None:
        term = model.two_halo(radius, environment.z, masses)
        mean, step = (_each_offset(factor, term, unit, n_offset) for factor in model.nuisance.two_halo)
        if model.nuisance.two_halo[1] > 0:
            slope = np.empty_like(signal)
    blocks = surface_blocks(model, radius, environment, masses, concentration, nodes.offset_mpc, unit)
    for part, lens in blocks:
        if mean is not None:
            for values, term_values in zip(lens, _some(mean, part), strict=True):
                values += term_values
        if slope is None or step is None:
            signal[part] = shown(profile, lens, strong[part])
        else:
            shown_and_slope(profile, lens, _some(step, part), (signal[part], slope[part]), strong[part])
    return _Models(signal, slope, strong)


def _each_offset(factor: float, term: Projected, unit: Projected, n: int) -> Projected:
    """Return a multiple of a two-halo term in units of the data, (1 or concentration, mass, offset, bin)."""
    scaled = (factor * values * one for values, one in zip(term, unit, strict=True))
    return Projected(*(np.repeat(values[..., np.newaxis, :], n, axis=2) for values in scaled))


def _some(term: Projected, part: slice) -> Projected:
    return term if len(term.sigma) == 1 else Projected(term.sigma[part], term.delta_sigma[part])


def _haloes(
    model: LensModel, environment: HaloEnvironment, mass_msun: Array, definition: str, nodes: Nodes
) -> tuple[Array, Array]:
    """Return primary masses (1 or concentration, mass) and concentrations (concentration, mass)."""
    if definition == model.primary:
        if nodes.ln_c is not None:
            spread = np.tile(np.exp(nodes.ln_c)[:, None], len(mass_msun))
        else:
            spread = model.concentration(mass_msun, environment.z)[None]
            if nodes.ln_c_shift is not None:
                spread = np.exp(nodes.ln_c_shift)[:, None] * spread
        return mass_msun[None], spread
    relations = _relations(model, nodes)
    masses = [model.primary_masses(definition, environment, mass_msun, r) for r in relations]
    return np.array(masses), np.array([r(m, environment.z) for r, m in zip(relations, masses, strict=True)])


def _relations(model: LensModel, nodes: Nodes) -> list[Callable[[Array, float], Array]]:
    """Return the concentration relation at each node."""
    if nodes.ln_c_shift is not None:
        return [_shifted(model, math.exp(shift)) for shift in nodes.ln_c_shift]
    if nodes.ln_c is not None:
        return [_constant(math.exp(value)) for value in nodes.ln_c]
    return [model.concentration]


def _shifted(model: LensModel, factor: float) -> Callable[[Array, float], Array]:
    return lambda mass, z: factor * model.concentration(mass, z)


def _constant(value: float) -> Callable[[Array, float], Array]:
    return lambda mass, _z: np.full(np.shape(mass), value)
