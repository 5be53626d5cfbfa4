"""Nuisance parameters as quadrature nodes: what a likelihood is summed over.

The concentration and the centre's offset change the shape of a profile and get nodes, the more of them the
better the data tell the values apart. The amplitude of the two-halo term and the shear's multiplicative
bias enter (almost) linearly with normal priors, and are integrated in closed form (``marginal``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from clmassmod.core.interpolate import SIX
from clmassmod.fitters.places import Places
from clmassmod.records import Array

SIGNIFICANCES = (3.5, 5.0, 7.0, 9.0, 12.5, 18.0, 25.0, 36.0, 52.0, 75.0, 106.0, 150.0)
"""Steps of the signal-to-noise ratio for which nodes are made. Means of ln M err by less than 0.02 standard
deviations (rms of haloes that are draws of the priors, measured against sums over 200 to 400 nodes)."""

# steps in ln c of nodes between which ln L is interpolated, the signal-to-noise ratios up to which they hold,
# places a unit of ln c and of that ratio, and the power with which steps fall beyond; alone, beside offsets
_C_STEP, _C_STEP_BESIDE = (0.2, 18.0, 0.8, 1.0 / 3.0), (0.25, 12.5, 0.4, 0.85)
_MOST_OFFSETS = 128  # nodes of the offset: 0.3 GB of models


@dataclass(frozen=True)
class Nodes:
    """Values (node,) of the nuisance parameters that have nodes, and the logarithms of their weights.

    ``ln_c_shift`` is about the relation, ``ln_c`` free of it; the weights of each parameter sum to 1.
    ln L is smooth in the concentration, L is not: where ``places`` are given, the weights are theirs, to
    which ln L is interpolated from the nodes.
    ``significance`` is the signal-to-noise ratio that they are good for.
    """

    significance: float
    ln_c_shift: Array | None
    ln_c: Array | None
    ln_c_weight: Array  # (place,)
    places: Places | None  # None: weights are of the nodes
    offset_mpc: Array | None
    ln_offset_weight: Array
    prior: NuisancePrior

    def deviation(self) -> tuple[Array, bool] | None:
        """Return (ln c - mean) / sd of its prior at the nodes (node,), and whether the prior is flat."""
        if self.ln_c_shift is not None and self.prior.ln_c_scatter:
            return self.ln_c_shift / self.prior.ln_c_scatter, False
        if self.ln_c is not None and self.prior.ln_c_range is not None:
            low, high = self.prior.ln_c_range
            return (self.ln_c - 0.5 * (low + high)) * (math.sqrt(12.0) / (high - low)), True
        return None

    @property
    def number(self) -> int:
        """How many combinations there are."""
        n = len(self.ln_c_weight) if self.places is None else self.places.smooth.shape[0]
        return n * len(self.ln_offset_weight)


@dataclass(frozen=True)
class NuisancePrior:
    """Priors of a lens model's nuisance parameters; None: fixed, or not there."""

    ln_c_scatter: float | None = None  # standard deviation of a normal ln c about the relation
    ln_c_range: tuple[float, float] | None = None  # ends of a flat ln c
    offset: tuple[str, float, float] | None = None  # distribution, scale in Mpc, share that is off centre
    two_halo: tuple[float, float] | None = None  # mean, standard deviation of the amplitude
    shear_bias: tuple[float, float] | None = None  # mean, standard deviation of m, g -> (1 + m) g

    def nodes(self, significance: float, finer: float = 1.0) -> Nodes:
        """Return the nodes that data of a signal-to-noise ratio need; those of ln c so many times finer."""
        step = next((s for s in SIGNIFICANCES if significance <= s), SIGNIFICANCES[-1])
        return _nodes(self, step, finer)


NONE = NuisancePrior()


def build(nuisance: Any) -> NuisancePrior:
    """Return the priors for a ``config.nuisance.Nuisance`` or a plain mapping of the same keys.

    Raises
    ------
    ConfigError
        For a wrong key or value.
    """
    if nuisance is None:
        return NONE
    from clmassmod.config.load import build as build_model
    from clmassmod.config.nuisance import Nuisance

    prior = build_model(Nuisance, dict(nuisance), "nuisance") if isinstance(nuisance, Mapping) else nuisance
    found: dict[str, Any] = {}
    if prior.concentration is not None:
        found["ln_c_scatter"] = prior.concentration.scatter
        if prior.concentration.range is not None:
            found["ln_c_range"] = tuple(math.log(c) for c in prior.concentration.range)
    if prior.miscentring is not None:
        offset = prior.miscentring
        found["offset"] = (offset.distribution, offset.scale_mpc, offset.fraction)
    for name in ("two_halo", "shear_bias"):
        given = getattr(prior, name)
        if given is not None:
            found[name] = (given.mean, given.sd)
    return NuisancePrior(**found)


@cache
def _nodes(prior: NuisancePrior, significance: float, finer: float = 1.0) -> Nodes:
    shift = free = offset = places = None
    ln_c_weight = ln_offset_weight = np.zeros(1)
    beside = prior.offset is not None
    if prior.ln_c_scatter is not None:
        sd = prior.ln_c_scatter
        information = sd * significance
        if information < (3.0 if beside else 1.0) and finer == 1.0:
            x, weight = np.polynomial.hermite_e.hermegauss(5 if information < 1.6 else 7)
            shift, ln_c_weight = sd * x, np.log(weight / weight.sum())
        else:
            end = (3.5 if beside and information < 5.5 else 4.5) * sd
            shift, ln_c_weight, places = _places(-end, end, significance, beside, finer, sd)
    elif prior.ln_c_range is not None:
        low, high = prior.ln_c_range
        few = math.ceil((high - low) * significance / 4.0)
        if beside and few < 9 and finer == 1.0:
            x, w = _legendre(max(few, 6))
            free, ln_c_weight = low + (high - low) * x, np.log(w)
        else:
            free, ln_c_weight, places = _places(low, high, significance, beside, finer)
    if prior.offset is not None:
        offset, ln_offset_weight = _offsets(*prior.offset, significance)
    return Nodes(significance, shift, free, ln_c_weight, places, offset, ln_offset_weight, prior)


def _places(
    low: float, high: float, significance: float, beside: bool, finer: float, sd: float = math.inf
) -> tuple[Array, Array, Places]:
    """Return nodes of ln c (node,), ln of the weights of more places, (place,), and these places.

    A normal prior about zero ends at ``low`` and ``high``; without ``sd`` it is flat, whose places are those
    of Gauss and Legendre, as the likelihood does not vanish at its ends. ``beside`` offsets of the centre
    fewer nodes do.
    """
    width, (step, most, density, power) = high - low, _C_STEP_BESIDE if beside else _C_STEP
    n = max(math.ceil(width / (step * min(most / significance, 1.0) ** power / finer) - 1e-9) + 1, SIX)
    number = max(math.ceil(density * width * significance), n if beside else 1)
    if math.isinf(sd):
        place, weight = _legendre(math.ceil(1.5 * number))
    else:
        place = (np.arange(number) + 0.5) / number
        weight = np.exp(-0.5 * ((low + width * place) / sd) ** 2)
    return (
        np.linspace(low, high, n),
        np.log(weight / weight.sum()),
        Places.at((n - 1) * place, n, bounded=beside),
    )


def _legendre(n: int) -> tuple[Array, Array]:
    """Return Gauss-Legendre nodes and weights of the interval 0 to 1."""
    x, weight = np.polynomial.legendre.leggauss(n)
    return 0.5 * (x + 1.0), 0.5 * weight


def _offsets(
    distribution: str, scale_mpc: float, fraction: float, significance: float
) -> tuple[Array, Array]:
    """Return nodes of the offset [Mpc] by Gauss-Legendre quadrature in its distribution function.

    So many that the means of ln M of haloes, whose offsets are draws of the prior, move by less than 0.02
    standard deviations (rms) against 200 nodes in the offset, for fits from 0.3 Mpc; from 0.1 Mpc it is up to
    0.04. A smoother rule does not help: the shear at a radius has a kink where the offset passes it.

    For a scale s: Rayleigh, p(R) = R / s^2 exp(-R^2 / (2 s^2)) (Johnston et al. 2007, arXiv:0709.1159); Gamma
    of shape 2, p(R) = R / s^2 exp(-R / s), with 1 - (1 + R / s) exp(-R / s) below R (McClintock et al. 2019,
    MNRAS 482, 1352). A share 1 - fraction of haloes has no offset: a node at 0.
    """
    n = math.ceil(4.0 + (8.0 if distribution == "rayleigh" else 20.0) * scale_mpc * significance)
    u, weight = _legendre(min(max(n, 6), _MOST_OFFSETS))
    if distribution == "rayleigh":
        value = scale_mpc * np.sqrt(-2.0 * np.log1p(-u))
    else:
        x = np.linspace(0.0, 40.0, 40_001)
        value = scale_mpc * np.interp(u, 1.0 - np.exp(-x) * (1.0 + x), x)
    if fraction == 1.0:
        return value, np.log(weight)
    whole = np.concatenate([[1.0 - fraction], fraction * weight])
    return np.concatenate([[0.0], value]), np.log(whole)
