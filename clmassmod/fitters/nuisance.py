"""Nuisance parameters as quadrature nodes: what a likelihood is summed over.

The concentration and the centre's offset change the shape of a profile and get nodes. The amplitude of the
two-halo term and the shear's multiplicative bias enter (almost) linearly with normal priors, and are
integrated in closed form (``marginal``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from clmassmod.records import Array

N_HERMITE = 9  # lognormal scatter of the concentration
LN_C_STEP = 0.15  # nodes of a concentration that is free in a range
N_OFFSETS = 7


@dataclass(frozen=True)
class Nodes:
    """Values (node,) of one parameter and the logarithm of their weights, which sum to 1."""

    value: Array
    ln_weight: Array


@dataclass(frozen=True)
class NuisanceNodes:
    """All nuisance parameters of a model; None: fixed, or not there."""

    ln_concentration_shift: Nodes | None = None  # about the relation
    ln_concentration: Nodes | None = None  # free
    offset_mpc: Nodes | None = None
    two_halo: tuple[float, float] | None = None  # mean, sd
    shear_bias: tuple[float, float] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is marginalised over."""
        return all(value is None for value in vars(self).values())


NONE = NuisanceNodes()


def build(nuisance: Any) -> NuisanceNodes:
    """Return the nodes for a ``config.nuisance.Nuisance`` or a plain mapping of the same keys.

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
    if prior.concentration is not None and prior.concentration.scatter is not None:
        found["ln_concentration_shift"] = _normal(prior.concentration.scatter)
    elif prior.concentration is not None and prior.concentration.range is not None:
        low, high = prior.concentration.range
        found["ln_concentration"] = _flat(float(np.log(low)), float(np.log(high)))
    if prior.miscentring is not None:
        offset = prior.miscentring
        found["offset_mpc"] = _offsets(offset.distribution, offset.scale_mpc, offset.fraction)
    for name in ("two_halo", "shear_bias"):
        given = getattr(prior, name)
        if given is not None:
            found[name] = (given.mean, given.sd)
    return NuisanceNodes(**found)


def _normal(sd: float) -> Nodes:
    x, weight = np.polynomial.hermite_e.hermegauss(N_HERMITE)
    return Nodes(sd * x, np.log(weight / weight.sum()))


def _flat(low: float, high: float) -> Nodes:
    n = max(int(np.ceil((high - low) / LN_C_STEP)), 5)
    x, weight = np.polynomial.legendre.leggauss(n)
    return Nodes(low + 0.5 * (high - low) * (x + 1.0), np.log(0.5 * weight))


def _offsets(distribution: str, scale_mpc: float, fraction: float) -> Nodes:
    """Return nodes of the offset by Gauss-Legendre quadrature in its distribution function."""
    x, weight = np.polynomial.legendre.leggauss(N_OFFSETS)
    u = 0.5 * (x + 1.0)
    if distribution == "rayleigh":
        value = scale_mpc * np.sqrt(-2.0 * np.log1p(-u))
    else:
        grid = np.linspace(0.0, 40.0, 40_001)
        value = scale_mpc * np.interp(u, 1.0 - np.exp(-grid) * (1.0 + grid), grid)
    if fraction == 1.0:
        return Nodes(value, np.log(0.5 * weight))
    value = np.concatenate([[0.0], value])
    return Nodes(value, np.log(np.concatenate([[1.0 - fraction], 0.5 * fraction * weight])))
