"""ln L of a halo's mass, marginal over the nuisance parameters of its lens model.

Noise is Gaussian, ln L = -1/2 (d - m)^T C^-1 (d - m) with C = diag(error^2) + covariance. Shapes of the model
(concentration, offset of the centre) are summed over quadrature nodes. With whitened d, model m, and u the
change of m by one standard deviation of the two-halo amplitude, a model a (m + t u), t ~ N(0, 1), gives

    -2 ln L = |d - a m|^2 - (a u . (d - a m))^2 / (1 + a^2 |u|^2) + ln(1 + a^2 |u|^2) ,

and a shear calibration a ~ N(a0, s^2) without u

    -2 ln L = |d|^2 + (a0^2 Y - 2 a0 X - s^2 X^2) / (1 + s^2 Y) + ln(1 + s^2 Y),   X = d . m, Y = m . m :

integrals of a normal density times the exponential of a square. A mass below zero has -m and -u.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from clmassmod.core.likelihoods import LN_FLOOR
from clmassmod.core.projected import Projected
from clmassmod.fitters.data import MANY, FitData, joined
from clmassmod.fitters.grid import NODES_MSUN, place_of
from clmassmod.fitters.likelihood import LensModel
from clmassmod.fitters.nuisance import Nodes
from clmassmod.fitters.observables import observable, observable_and_slope
from clmassmod.fitters.places import Beside, Flags, Places
from clmassmod.fitters.surfaces import surface_blocks
from clmassmod.records import Array, HaloEnvironment, ShearProfile


def _normal_nodes(n: int) -> tuple[Array, Array]:
    x, weight = np.polynomial.hermite_e.hermegauss(n)
    return x, weight / weight.sum()


_NUMBERS, _LEAST = 2_000_000, 256  # of a part's models (16 MB), and the fewest galaxies of a part
# nodes of the shear calibration where the two-halo amplitude is integrated in closed form
_CALIBRATION = {n: _normal_nodes(n) for n in (3, 5)}

Models = tuple[Array, Array | None]
"""Signal and slope (node, mass, bin)."""


class SignedLikelihood(NamedTuple):
    """ln L at masses M, at -M, (mass,), and at zero."""

    positive: Array
    negative: Array
    zero: float


@dataclass(frozen=True)
class Templates:
    """Models of a halo's data at masses, for every node of the nuisance parameters."""

    signal: Array  # (node, mass, bin)
    slope: Array | None  # (node, mass, bin): change by one standard deviation of the two-halo amplitude
    concentration: Array  # (node, mass)
    strong: Flags | None  # (node, mass): a shear beyond 1 in any bin; None: nowhere
    ln_weight: Array  # (node,), or of the places that follow
    nodes: Nodes
    masses: Places | None  # more of them, to which ln L is interpolated
    calibration: tuple[float, float]  # mean and sd of 1 + m

    @cached_property
    def signal_squared(self) -> Array:
        """Squares of the signal, (node, mass, bin), which haloes of the same models share."""
        return self.signal**2

    @cached_property
    def _beside(self) -> tuple[Beside | None, Beside | None]:
        """Which masses of a node, and then which places of the concentration, are beside a strong shear."""
        strong, first = self.strong, None
        if strong is not None and self.masses is not None:
            first = self.masses.beside(strong)
            strong = first.flags
        places = self.nodes.places
        if strong is None or places is None:
            return first, None
        return first, places.beside(self._by_offset(strong), axis=-2)

    def _by_offset(self, values: Any) -> Any:
        """Return values of all nodes as (offset, concentration, mass)."""
        return values.reshape(len(self.nodes.ln_offset_weight), -1, values.shape[-1])

    def at_places(self, ln_like: Array) -> Array:
        """Return ln L at all masses and places of the concentration, from that of the models (node, mass)."""
        first, second = self._beside
        if self.masses is not None:
            ln_like = self.masses.of(ln_like, first)
        if self.nodes.places is None:
            return ln_like
        found = self.nodes.places.of(self._by_offset(ln_like), second, axis=-2)
        return found.reshape(-1, ln_like.shape[-1])

    def at(self, place: slice) -> Models:
        """Return signal and slope at some of the masses."""
        return self.signal[:, place], None if self.slope is None else self.slope[:, place]


@dataclass(frozen=True)
class Joint:
    """ln L of a halo's mass and its nuisance parameters, and the models that it is made of."""

    parts: Sequence[tuple[float, Array, Array]]
    """For each node of the shear calibration: ln of its weight, and parts of ln L of the models (node, mass)
    that keep and that change their sign with the mass."""
    zero: float  # ln L at zero mass
    made: Templates  # of all bins, or of the first of several parts
    models_at: Callable[[slice], Models]  # at some of the masses

    def terms(self, sign: float) -> Array:
        """Return ln of L times the weight of every node, (term, mass), for masses of a sign."""
        found = []
        for ln_weight, even, odd in self.parts:
            values = self.made.at_places(even + odd if sign > 0 else even - odd)
            values += (self.made.ln_weight + ln_weight)[:, np.newaxis]
            found.append(values)
        return found[0] if len(found) == 1 else np.concatenate(found)

    def shares(self, terms: Array, mass_msun: float) -> Array:
        """Return the nodes' shares of L (node,), which sum to 1, at a mass between ``NODES_MSUN``."""
        made = self.made
        if len(made.ln_weight) == 1:
            return np.ones(1)
        place, along = place_of(mass_msun, NODES_MSUN)
        share = terms[:, place] @ along
        share = np.exp(share - share.max()).reshape(-1, len(made.ln_weight)).sum(axis=0)
        share /= share.sum()
        places = made.nodes.places
        if places is None:
            return share
        return np.asarray(share.reshape(-1, places.smooth.shape[1]) @ places.smooth.T).ravel()


def joint(
    model: LensModel, data: FitData, mass_msun: Array, definition: str, masses: Places | None = None
) -> Joint:
    """Return ln L at positive masses (mass,) of a mass definition and at their negatives, for every node.

    The models of haloes that share redshift, radii and source statistics are the same, and the last ones are
    kept. No two haloes have the same galaxies: of these, models are made and summed in parts.

    Parameters
    ----------
    model : LensModel
    data : FitData
    mass_msun : array (mass,)
        Of the models.
    definition : str
    masses : Places, optional
        More masses, to which ln L of each node is interpolated.
    """
    nodes = model.nuisance.nodes(data.significance)

    def made_of(part: FitData, at: Array = mass_msun) -> Templates:
        return _templates(model, part, at, definition, nodes, masses)

    if data.n_bins <= MANY or data.whitening is not None:
        key = (definition, nodes.significance, mass_msun.tobytes(), *_setting(data))
        size = 3 * nodes.number * len(mass_msun) * data.n_bins
        made = model.memo.templates.get(key, lambda: made_of(data), size)
        return Joint(*_at_nodes(_sums(data, made), made, data.significance), made, made.at)
    parts = data.parts(max(_LEAST, _NUMBERS // (nodes.number * len(mass_msun))))
    made = made_of(parts[0])
    sums = _sums(parts[0], made)
    for part in parts[1:]:
        other = made_of(part)
        sums = [a + b for a, b in zip(sums, _sums(part, other), strict=True)]
        made = replace(made, strong=_either(made.strong, other.strong))

    def models_at(place: slice) -> Models:
        pieces = [made_of(part, mass_msun[place]) for part in parts]
        return _joined([(piece.signal, piece.slope) for piece in pieces])

    return Joint(*_at_nodes(sums, made, data.significance), made, models_at)


def _setting(data: FitData) -> Iterator[object]:
    """Yield all that a model of the data depends on, beside the lens model."""
    for profile, used in zip(data.profiles, data.used, strict=True):
        yield (profile.observable, profile.halo.z, profile.sigma_crit_inf_msun_mpc2)
        for part in (profile.radius_mpc, profile.beta_s, profile.beta_s2, used):
            yield part.tobytes()


def _templates(
    model: LensModel,
    data: FitData,
    mass_msun: Array,
    definition: str,
    nodes: Nodes,
    places: Places | None,
) -> Templates:
    environment = model.environment(data.profiles[0])
    masses, concentration = _haloes(model, environment, mass_msun, definition, nodes)
    parts = [
        _models(model, profile, used, environment, masses, concentration, nodes)
        for profile, used in zip(data.profiles, data.used, strict=True)
    ]
    shear = model.nuisance.shear_bias or (0.0, 0.0)
    interpolated = places is not None or nodes.places is not None
    return Templates(
        *_joined(parts),
        np.tile(concentration, (len(nodes.ln_offset_weight), 1)),
        _strong(data.profiles, parts) if interpolated else None,
        (nodes.ln_offset_weight[:, None] + nodes.ln_c_weight).ravel(),
        nodes,
        places,
        (1.0 + shear[0], shear[1]),
    )


def _strong(profiles: Sequence[ShearProfile], parts: Sequence[Models]) -> Flags | None:
    """Return where the reduced shear of a model is beyond 1 or -1 in any bin, (node, mass); None: nowhere."""
    found: Flags | None = None
    for profile, (signal, _) in zip(profiles, parts, strict=True):
        if profile.observable != "g_t" or not signal.size:
            continue
        signal = signal.reshape(-1, *signal.shape[-2:])
        reach = np.maximum(signal.max(axis=0), -signal.min(axis=0))
        beyond = np.flatnonzero((reach > 1.0).any(axis=-1))  # masses: most have none
        if beyond.size:
            some = slice(int(beyond[0]), int(beyond[-1]) + 1)
            own = np.zeros(signal.shape[:2], dtype=bool)
            own[:, some] = (np.abs(signal[:, some]) > 1.0).any(axis=-1)
            found = _either(found, own)
    return found


def _either(one: Flags | None, other: Flags | None) -> Flags | None:
    if one is None or other is None:
        return other if one is None else one
    return one | other


def _models(
    model: LensModel,
    profile: ShearProfile,
    used: NDArray[np.bool_],
    environment: HaloEnvironment,
    masses: Array,
    concentration: Array,
    nodes: Nodes,
) -> Models:
    """Return signal and slope (offset, concentration, mass, bin) of one profile."""
    radius = profile.radius_mpc[used]
    mean, sd = model.nuisance.two_halo or (0.0, 0.0)
    term = None if model.nuisance.two_halo is None else model.two_halo(radius, environment.z, masses)
    signal = np.empty((len(nodes.ln_offset_weight), *concentration.shape, len(radius)))
    slope = np.empty_like(signal) if term is not None and sd > 0 else None
    blocks = surface_blocks(model, radius, environment, masses, concentration, nodes.offset_mpc)
    for part, surface in blocks:
        if term is not None:
            own = Projected(*(t if len(t) == 1 else t[part] for t in term))
            surface.sigma[...] += mean * own.sigma
            surface.delta_sigma[...] += mean * own.delta_sigma
        if slope is None:
            signal[:, part] = observable(profile, used, surface)
        else:
            step = Projected(sd * own.sigma, sd * own.delta_sigma)
            observable_and_slope(profile, used, surface, step, (signal[:, part], slope[:, part]))
    return signal, slope


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


def _joined(parts: list[Models]) -> Models:
    """Return signal and slope of all profiles, (node, mass, bin), from (..., mass, bin) of each."""
    signal = joined([signal for signal, _ in parts])
    slopes = [slope for _, slope in parts if slope is not None]
    shape = (-1, *signal.shape[-2:])
    return signal.reshape(shape), joined(slopes).reshape(shape) if slopes else None


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


def _at_nodes(
    sums: Sequence[Any], made: Templates, significance: float
) -> tuple[list[tuple[float, Array, Array]], float]:
    """Return ``Joint.parts`` and ln L at zero mass."""
    square_d, cross, square, *slopes = sums
    mean, sd = made.calibration
    zero = -0.5 * square_d
    if made.slope is None:
        even, odd = _calibrated(cross, square, mean, sd)
        return [(zero, even, odd)], zero
    x, weight = _calibration_nodes(sd * significance) if sd > 0 else (np.zeros(1), np.ones(1))
    return [
        (zero + math.log(w), *_with_slope(cross, square, slopes, mean + sd * a))
        for a, w in zip(x.tolist(), weight.tolist(), strict=True)
    ], zero


def _calibration_nodes(spread: float) -> tuple[Array, Array]:
    """Return nodes and weights for a shear calibration whose sd is so many errors of the amplitude.

    Gauss-Hermite; where the data know the amplitude better, equal steps within 4.5 standard deviations.
    """
    if spread < 1.0:
        return _CALIBRATION[3 if spread < 0.4 else 5]
    x = np.linspace(-4.5, 4.5, math.ceil(9.0 * spread) + 1)
    weight = np.exp(-0.5 * x * x)
    return x, weight / weight.sum()


def _sums(data: FitData, made: Templates) -> list[Any]:
    """Return |d|^2, d . m and m . m in units of the noise, (node, mass), and those of the slope if any."""
    slope = [] if made.slope is None else _slope_sums(data, made, made.slope)
    if data.whitening is None:
        weight = data.error**-2
        return [data.chi2_zero, made.signal @ (data.value * weight), made.signal_squared @ weight, *slope]
    values, signal = data.whiten(data.value), data.whiten(made.signal)
    return [data.chi2_zero, signal @ values, np.einsum("...b,...b->...", signal, signal), *slope]


def _slope_sums(data: FitData, made: Templates, slope: Array) -> Sequence[Array]:
    """Return d . u, m . u and u . u in units of the noise, (node, mass)."""
    if data.whitening is None:
        weight = data.error**-2
        return slope @ (data.value * weight), (made.signal * slope) @ weight, slope**2 @ weight
    values, signal, slope = (data.whiten(v) for v in (data.value, made.signal, slope))
    product, square = (np.einsum("...b,...b->...", v, slope) for v in (signal, slope))
    return slope @ values, product, square


def _calibrated(cross: Array, square: Array, mean: float, sd: float) -> tuple[Array, Array]:
    """Return the even and the odd part of ln L + |d|^2 / 2 for a calibration N(mean, sd^2).

    See the head of the module.
    """
    if sd == 0:
        return -0.5 * mean**2 * square, mean * cross
    spread = 1.0 + sd**2 * square
    even = (mean**2 * square - (sd * cross) ** 2) / spread + np.log(spread)
    return -0.5 * even, mean * cross / spread


def _with_slope(cross: Array, square: Array, slopes: Sequence[Array], a: float) -> tuple[Array, Array]:
    """Return the even and the odd part of ln L + |d|^2 / 2 at a calibration a; see the head of the module."""
    cross_u, signal_u, square_u = slopes
    spread = 1.0 + a**2 * square_u
    # |d - a m|^2 and (a u . (d - a m))^2 in parts that keep and that change their sign with the mass
    along, shift = a * cross_u, a**2 * signal_u
    even = a**2 * square - (along**2 + shift**2) / spread + np.log(spread)
    odd = a * cross - along * shift / spread
    even *= -0.5
    return even, odd


def over_nodes(terms: Array) -> Array:
    """Return ln L (mass,): ln of the sum of exp of its terms (term, mass)."""
    if len(terms) == 1:
        return terms[0]  # type: ignore[no-any-return]
    top = terms.max(axis=0)
    values = terms - top
    np.maximum(values, LN_FLOOR, out=values)  # numbers that underflow take a hundred times as long
    np.exp(values, out=values)
    top += np.log(values.sum(axis=0))
    return top  # type: ignore[no-any-return]


def ln_likelihoods(model: LensModel, data: FitData, mass_msun: Array, definition: str) -> SignedLikelihood:
    """Return ln L at positive masses (mass,) of a definition and at their negatives."""
    found = joint(model, data, mass_msun, definition)
    return SignedLikelihood(over_nodes(found.terms(1.0)), over_nodes(found.terms(-1.0)), found.zero)
