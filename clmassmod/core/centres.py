"""Centre models: the offset of the assumed centre from the true one.

A centre model is a function ``(rng, halo, environment, **parameters) -> (dx_mpc, dy_mpc)``.
"""
# ruff: noqa: ARG001  (one signature for all models)

from __future__ import annotations

import numpy as np

from clmassmod.records import HaloEnvironment, HaloInfo

Offset = tuple[float, float]


def isotropic(rng: np.random.Generator, radius_mpc: float) -> Offset:
    """Return an offset of this length in a random direction."""
    angle = 2.0 * np.pi * rng.random()
    return float(radius_mpc * np.cos(angle)), float(radius_mpc * np.sin(angle))


def gaussian(
    rng: np.random.Generator, halo: HaloInfo, environment: HaloEnvironment, *, sigma_mpc: float
) -> Offset:
    """Return an offset with an independent normal component along each axis."""
    x, y = rng.normal(0.0, sigma_mpc, 2)
    return float(x), float(y)
