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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from clmassmod.core.likelihoods import LN_FLOOR
from clmassmod.fitters.data import MANY, FitData
from clmassmod.fitters.grid import FROM_MODELS, MODELS_MSUN, NODES_MSUN, place_of
from clmassmod.fitters.likelihood import LensModel
from clmassmod.fitters.places import Places
from clmassmod.fitters.templates import Models, Templates, all_bins, by_node, make_templates, setting
from clmassmod.records import Array


def _normal_nodes(n: int) -> tuple[Array, Array]:
    x, weight = np.polynomial.hermite_e.hermegauss(n)
    return x, weight / weight.sum()


_SMOOTH = 3  # nodes of the shear calibration: where data hardly know it better than its prior
_MATTERS = 7.0  # straight lines that are not so far below the largest term in ln L
_FEW = 500  # numbers of models a mass: interpolation would take longer than all masses
_CACHED = 16_000  # numbers of models that are summed at once: 128 kB
_NUMBERS, _LEAST = 2_000_000, 256  # of a part's models (16 MB), and the fewest galaxies of a part
# nodes of the shear calibration where the two-halo amplitude is integrated in closed form
_CALIBRATION = {n: _normal_nodes(n) for n in (3, 5)}


class SignedLikelihood(NamedTuple):
    """ln L at masses M, at -M, (mass,), and at zero."""

    positive: Array
    negative: Array
    zero: float


@dataclass(frozen=True)
class Joint:
    """ln L of a halo's mass and its nuisance parameters, and the models that it is made of."""

    parts: Sequence[tuple[float, Array, Array]]
    """For each node of the shear calibration: ln of its weight, and parts of ln L of the models (node, mass)
    that keep and that change their sign with the mass."""
    zero: float  # ln L at zero mass
    mass_msun: Array  # of the models
    made: Templates  # of all bins, or of the first of several parts
    models_at: Callable[[slice], Models]  # at some of the masses

    def terms(self, sign: float) -> Array:
        """Return ln of L times the weight of every node, (term, mass), for masses of a sign."""
        found = [(even + odd if sign > 0 else even - odd) + ln_weight for ln_weight, even, odd in self.parts]
        if len(found) <= _SMOOTH:  # ln of their sum changes as little as ln L of each
            found = [found[0] if len(found) == 1 else over_nodes(np.array(found))]
        found = [self.made.at_places(values) for values in found]
        values = found[0] if len(found) == 1 else over_nodes(np.array(found))
        values += self.made.ln_weight[:, np.newaxis]
        return values

    def shares(self, terms: Array, mass_msun: float) -> Array:
        """Return the nodes' shares of L (node,), which sum to 1, at a mass between ``NODES_MSUN``."""
        if len(terms) == 1:
            return np.ones(1)
        place, along = place_of(mass_msun, NODES_MSUN)
        share = terms[:, place] @ along
        share = np.asarray(np.exp(share - share.max()))
        share /= share.sum()
        places = self.made.nodes.places
        if places is None:
            return share
        return np.asarray(share.reshape(-1, places.smooth.shape[1]) @ places.smooth.T).ravel()


def joint_at_nodes(model: LensModel, data: FitData, definition: str) -> tuple[Joint, Array]:
    """Return ``joint`` at ``NODES_MSUN`` and its terms (term, mass) of positive masses.

    Many models are made at ``MODELS_MSUN`` alone. Where straight lines matter, at all masses, and in finer
    steps of the concentration.
    """
    few = model.nuisance.nodes(data.significance).number * data.n_bins < _FEW

    def make(finer: float) -> Joint:
        if few or finer > 1.0:
            return joint(model, data, NODES_MSUN, definition, finer=finer)
        return joint(model, data, MODELS_MSUN, definition, FROM_MODELS)

    return _refined(make)


def _refined(make: Callable[[float], Joint]) -> tuple[Joint, Array]:
    """Return what is made with steps of ln c so fine that straight lines do not matter, and its terms."""
    for finer in (1.0, 2.0, 4.0):
        found = make(finer)
        terms = found.terms(1.0)
        straight = found.made.on_straight_lines
        if straight is None:
            break
        some, flags = straight
        if np.max(terms[:, some], where=flags, initial=-np.inf) < terms.max() - _MATTERS:
            break
    return found, terms


def joint(
    model: LensModel,
    data: FitData,
    mass_msun: Array,
    definition: str,
    masses: Places | None = None,
    finer: float = 1.0,
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
    finer : float
        How many times smaller than usual the steps of the concentration are.
    """
    nodes = model.nuisance.nodes(data.significance, finer)

    def made_of(part: FitData, at: Array = mass_msun) -> Templates:
        return make_templates(model, part, at, definition, nodes, masses)

    if data.n_bins <= MANY or data.whitening is not None:
        key = (definition, nodes.significance, finer, mass_msun.tobytes(), *setting(data))
        size = 3 * nodes.number * len(mass_msun) * data.n_bins
        made = model.memo.templates.get(key, lambda: made_of(data), size)
        found = _at_nodes(_sums(data, made), made, data.significance)
        return Joint(*found, mass_msun, made, made.at)
    parts = data.parts(max(_LEAST, _NUMBERS // (nodes.number * len(mass_msun))))
    made = made_of(parts[0])
    sums = _sums(parts[0], made)
    for part in parts[1:]:
        other = made_of(part)
        sums = [a + b for a, b in zip(sums, _sums(part, other), strict=True)]
        made = replace(made, strong=made.strong | other.strong)

    def models_at(place: slice) -> Models:
        pieces = (made_of(part, mass_msun[place]) for part in parts)
        return all_bins([(piece.signal, piece.slope) for piece in pieces])

    return Joint(*_at_nodes(sums, made, data.significance), mass_msun, made, models_at)


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
    signal = made.signal.reshape(-1, data.n_bins)
    if data.whitening is None:
        weight = data.error**-2
        sums = [signal @ (data.value * weight), made.signal_squared.reshape(signal.shape) @ weight]
    else:
        values, signal = data.whiten(data.value), data.whiten(signal)
        sums = [signal @ values, np.einsum("mb,mb->m", signal, signal)]
    if made.slope is not None:
        sums += _slope_sums(data, signal, made.slope.reshape(signal.shape))
    return [data.chi2_zero, *(by_node(values.reshape(made.signal.shape[:-1])) for values in sums)]


def _slope_sums(data: FitData, signal: Array, slope: Array) -> list[Array]:
    """Return d . u, m . u and u . u in units of the noise, (model,); a whitened signal is given."""
    if data.whitening is not None:
        slope = data.whiten(slope)
        products = [np.einsum("mb,mb->m", v, slope) for v in (signal, slope)]
        return [slope @ data.whiten(data.value), *products]
    weight = data.error**-2
    found = [slope @ (data.value * weight), np.empty(len(slope)), np.empty(len(slope))]
    size = max(_CACHED // data.n_bins, 1)
    for part in (slice(i, i + size) for i in range(0, len(slope), size)):
        found[1][part] = (signal[part] * slope[part]) @ weight
        found[2][part] = slope[part] ** 2 @ weight
    return found


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
    found, terms = _refined(lambda finer: joint(model, data, mass_msun, definition, finer=finer))
    return SignedLikelihood(over_nodes(terms), over_nodes(found.terms(-1.0)), found.zero)
