"""Uniform priors of population parameters, by name."""

from __future__ import annotations

import math
from collections.abc import Mapping

from clmassmod.ensemble.models import LIMITS, POSITIVE, Range
from clmassmod.errors import ConfigError
from clmassmod.registry import suggest


def complete_prior(default: Mapping[str, Range], given: Mapping[str, Range] | None) -> dict[str, Range]:
    """Return the default ranges with those given in their place.

    Raises
    ------
    ConfigError
        For a parameter that the model has not, or a range that is empty or wider than the model allows.
    """
    prior = dict(default)
    if not isinstance(given, Mapping | None):
        raise ConfigError(f"prior: {given!r} is no mapping of parameters to (low, high)")
    for name, ends in (given or {}).items():
        if name not in prior:
            raise ConfigError(f"prior: no parameter {name!r}{suggest(name, list(prior))}")
        try:
            low, high = (float(end) for end in ends)
        except (TypeError, ValueError):
            raise ConfigError(f"prior.{name}: {ends!r} is no pair of numbers; give (low, high)") from None
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ConfigError(f"prior.{name}: {low:g} to {high:g} has no end; a uniform prior needs both")
        if not low < high:
            raise ConfigError(f"prior.{name}: the lower end {low:g} is not below the upper end {high:g}")
        if name in POSITIVE and not low > 0:
            raise ConfigError(
                f"prior.{name}: the lower end {low:g} is not above 0; its prior is uniform in ln"
            )
        least, most = LIMITS.get(name, (-math.inf, math.inf))
        if low < least or high > most:
            raise ConfigError(
                f"prior.{name}: {low:g} to {high:g} is not within {least:g} to {most:g}, the model's limits"
            )
        prior[name] = (low, high)
    return prior


def describe_prior(prior: Mapping[str, Range]) -> str:
    """Return the prior in words, for files and reports."""
    parts = []
    for name, (low, high) in prior.items():
        if name in POSITIVE:
            parts.append(f"ln {name} ~ U(ln {low:g}, ln {high:g})")
        else:
            parts.append(f"{name} ~ U({low:.6g}, {high:.6g})")
    return ", ".join(parts)
