"""Cluster members that an observer takes for background galaxies, and the correction for them."""

from __future__ import annotations

import numpy as np

from clmassmod.config.sources import Members
from clmassmod.records import Array

_INNERMOST = 0.02  # of the scale radius: an isothermal number density has no end at the centre
_NODES = 2049


def per_background(members: Members, radius_mpc: Array, fraction: float | None = None) -> Array:
    """Return members per background galaxy at radii from the centre, (source,)."""
    amplitude = members.fraction if fraction is None else fraction
    x = np.maximum(radius_mpc / members.scale_mpc, _INNERMOST)
    return np.asarray(amplitude * (np.exp(1.0 - x) if members.shape == "exponential" else 1.0 / x))


def draw_members(
    members: Members, density_per_mpc2: float, reach_mpc: float, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Return positions of members in Mpc from the true centre, (source,), within ``reach_mpc``."""
    r = np.linspace(0.0, reach_mpc, _NODES)
    rate = 2.0 * np.pi * r * density_per_mpc2 * per_background(members, r)
    cumulative = np.concatenate([[0.0], np.cumsum(0.5 * (rate[1:] + rate[:-1]) * (r[1] - r[0]))])
    number = int(rng.poisson(cumulative[-1]))
    radius = np.interp(cumulative[-1] * rng.random(number), cumulative, r)
    angle = 2.0 * np.pi * rng.random(number)
    return radius * np.cos(angle), radius * np.sin(angle)
