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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from clmassmod.core.projected import Projected
from clmassmod.fitters.data import FitData
from clmassmod.fitters.likelihood import LensModel, observable
from clmassmod.fitters.nuisance import Nodes
from clmassmod.fitters.surfaces import surfaces
from clmassmod.records import Array

# nodes of the shear calibration where the two-halo amplitude is integrated in closed form
_CALIBRATION = np.polynomial.hermite_e.hermegauss(5)


class SignedLikelihood(NamedTuple):
    """ln L at masses M, at -M, (..., mass), and at zero."""

    positive: Array
    negative: Array
    zero: float


@dataclass(frozen=True)
class Templates:
    """Models of a halo's data at masses, for every node of the nuisance parameters."""

    signal: Array  # (node, mass, bin)
    slope: Array | None  # (node, mass, bin): change by one standard deviation of the two-halo amplitude
    concentration: Array  # (node, mass)
    ln_weight: Array  # (node,)
    calibration: tuple[float, float]  # mean and sd of 1 + m


def templates(model: LensModel, data: FitData, mass_msun: Array, definition: str) -> Templates:
    """Return the models (node, mass, bin) of positive masses (mass,) in a mass definition.

    Haloes that share redshift, radii and source statistics share them: the last ones are kept.
    """
    nodes = model.nuisance.nodes(data.significance)
    key = b"".join(
        (
            definition.encode(),
            mass_msun.tobytes(),
            *(part.tobytes() for part in _shape_of(nodes)),
            *_setting(data),
        )
    )
    kept: tuple[bytes, Templates] | None = model.centre_cache.get(slot := f"templates {definition}".encode())
    if kept is None or kept[0] != key:
        kept = key, _templates(model, data, mass_msun, definition, nodes)
        model.centre_cache[slot] = kept
    return kept[1]


def _shape_of(nodes: Nodes) -> list[Array]:
    return [part for part in (nodes.ln_c_shift, nodes.ln_c, nodes.offset_mpc) if part is not None]


def _setting(data: FitData) -> Iterator[bytes]:
    """Yield all that a model of the data depends on, beside the lens model."""
    for profile, used in zip(data.profiles, data.used, strict=True):
        yield f"{profile.observable},{profile.halo.z!r},{profile.sigma_crit_inf_msun_mpc2!r}".encode()
        for part in (profile.radius_mpc, profile.beta_s, profile.beta_s2, used):
            yield part.tobytes()


def _templates(model: LensModel, data: FitData, mass_msun: Array, definition: str, nodes: Nodes) -> Templates:
    environment = model.environment(data.profiles[0])
    relations = _relations(model, nodes)
    each = [model.primary_masses(definition, environment, mass_msun, r) for r in relations]
    masses = np.array(each)
    concentration = np.array([r(m, environment.z) for r, m in zip(relations, each, strict=True)])
    signals, slopes = [], []
    for profile, used in zip(data.profiles, data.used, strict=True):
        radius = profile.radius_mpc[used]
        one_halo = surfaces(model, radius, environment, masses, concentration, nodes.offset_mpc)
        if model.nuisance.two_halo is None:
            signals.append(observable(profile, used, one_halo))
            continue
        mean, sd = model.nuisance.two_halo
        term = model.two_halo(radius, environment.z, masses)
        low, high = (observable(profile, used, _plus(one_halo, a, term)) for a in (mean, mean + sd))
        signals.append(low)
        slopes.append(high - low)
    shear = model.nuisance.shear_bias or (0.0, 0.0)
    return Templates(
        _joined(signals),
        _joined(slopes) if slopes and model.nuisance.two_halo and model.nuisance.two_halo[1] > 0 else None,
        np.tile(concentration, (len(nodes.ln_offset_weight), 1)),
        (nodes.ln_offset_weight[:, None] + nodes.ln_c_weight).ravel(),
        (1.0 + shear[0], shear[1]),
    )


def _joined(parts: list[Array]) -> Array:
    """Return (offset, concentration, mass, bin) of all profiles as (node, mass, bin)."""
    whole = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
    return whole.reshape(-1, *whole.shape[-2:])


def _plus(one_halo: Projected, amplitude: float, term: Projected) -> Projected:
    return Projected(
        one_halo.sigma + amplitude * term.sigma, one_halo.delta_sigma + amplitude * term.delta_sigma
    )


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


def conditional(data: FitData, made: Templates) -> SignedLikelihood:
    """Return ln L at every node (node, mass), marginal over what is integrated in closed form."""
    values, signal = data.whiten(data.value), data.whiten(made.signal)
    square_d = float(values @ values)
    cross, square = signal @ values, np.einsum("...b,...b->...", signal, signal)
    mean, sd = made.calibration
    if made.slope is None:
        chi2 = [_calibrated(square_d, sign * cross, square, mean, sd) for sign in (1.0, -1.0)]
        return SignedLikelihood(-0.5 * chi2[0], -0.5 * chi2[1], -0.5 * square_d)
    slope = data.whiten(made.slope)
    sums = (square_d, cross, square, slope @ values, _dot(signal, slope), _dot(slope, slope))
    x, weight = _CALIBRATION if sd > 0 else (np.zeros(1), np.ones(1))
    ln_weight = np.log(weight / weight.sum()).reshape(-1, *[1] * cross.ndim)
    a = (mean + sd * x).reshape(ln_weight.shape)
    both = [_ln_sum(ln_weight - 0.5 * _with_slope(*sums, a, sign)) for sign in (1.0, -1.0)]
    return SignedLikelihood(both[0], both[1], -0.5 * square_d)


def _dot(a: Array, b: Array) -> Array:
    return np.asarray(np.einsum("...b,...b->...", a, b))


def _calibrated(square_d: float, cross: Array, square: Array, mean: float, sd: float) -> Array:
    if sd == 0:
        return np.asarray(square_d - 2.0 * mean * cross + mean**2 * square)
    spread = 1.0 + sd**2 * square
    shift = mean**2 * square - 2.0 * mean * cross - sd**2 * cross**2
    return np.asarray(square_d + shift / spread + np.log(spread))


def _with_slope(
    square_d: float,
    cross: Array,
    square: Array,
    cross_u: Array,
    signal_u: Array,
    square_u: Array,
    a: Array,
    sign: float,
) -> Array:
    residual = square_d - 2.0 * sign * a * cross + a**2 * square
    along = sign * a * cross_u - a**2 * signal_u
    spread = 1.0 + a**2 * square_u
    return np.asarray(residual - along**2 / spread + np.log(spread))


def _ln_sum(values: Array) -> Array:
    """Return ln sum exp over the first axis."""
    if len(values) == 1:
        return np.asarray(values[0])
    top = values.max(axis=0)
    return np.asarray(top + np.log(np.exp(values - top).sum(axis=0)))


def marginal(found: SignedLikelihood, ln_weight: Array) -> SignedLikelihood:
    """Return ln L (mass,), summed over the nodes."""
    weight = ln_weight[:, None]
    return SignedLikelihood(_ln_sum(found.positive + weight), _ln_sum(found.negative + weight), found.zero)


def ln_likelihoods(model: LensModel, data: FitData, mass_msun: Array, definition: str) -> SignedLikelihood:
    """Return ln L at positive masses (mass,) of a definition and at their negatives."""
    made = templates(model, data, mass_msun, definition)
    return marginal(conditional(data, made), made.ln_weight)
