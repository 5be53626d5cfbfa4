"""Abundance of haloes, and draws of masses from it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from clmassmod.cosmology.colossus_state import colossus_cosmology
from clmassmod.cosmology.model import Cosmology
from clmassmod.errors import ConfigError
from clmassmod.records import Array

_MASS_NODES = 1025
_REDSHIFT_STEP = 0.05


def abundance(
    cosmology: Cosmology, mass_definition: str, mass_msun: ArrayLike, z: float, model: str = "tinker08"
) -> Array:
    """Return the number of haloes per ln M and comoving Mpc3, of the masses' shape.

    Tinker et al. 2008 (ApJ 688, 709) by default, for any spherical overdensity; colossus computes it
    and knows other models for the definitions that they were calibrated for.
    """
    mass = np.atleast_1d(np.asarray(mass_msun, dtype=float))
    with colossus_cosmology(cosmology, f"mass function {model}"):
        from colossus.lss.mass_function import massFunction

        try:
            value = massFunction(
                mass * cosmology.h, z, q_in="M", q_out="dndlnM", mdef=mass_definition, model=model
            )
        except Exception as error:  # colossus raises bare Exceptions
            raise ConfigError(
                f"mass function {model!r} for {mass_definition} at z = {z:g}: {error}"
            ) from None
    return np.asarray(value).reshape(np.shape(mass_msun)) * cosmology.h**3


def draw_masses(
    cosmology: Cosmology,
    mass_definition: str,
    mass_range_msun: tuple[float, float],
    z: Array,
    rng: np.random.Generator,
    model: str = "tinker08",
) -> Array:
    """Return one mass for each redshift, (halo,), distributed as the mass function is there.

    The cumulative distribution is tabulated on 1025 masses and every 0.05 in redshift.
    """
    ln_mass = np.log(np.geomspace(*mass_range_msun, _MASS_NODES))
    low, high = float(z.min()), float(z.max())
    nodes = np.linspace(low, high, max(2, int(np.ceil((high - low) / _REDSHIFT_STEP)) + 1))
    if high == low:
        nodes = nodes[:1]
    tables = [_cumulative(abundance(cosmology, mass_definition, np.exp(ln_mass), x, model)) for x in nodes]
    u = rng.random(z.size)
    draws = np.stack([np.interp(u, table, ln_mass) for table in tables])
    if nodes.size == 1:
        return np.asarray(np.exp(draws[0]))
    place = np.clip((z - low) / (nodes[1] - low), 0.0, nodes.size - 1.0)
    left = np.minimum(place.astype(int), nodes.size - 2)
    share = place - left
    halo = np.arange(z.size)
    return np.asarray(np.exp((1.0 - share) * draws[left, halo] + share * draws[left + 1, halo]))


def _cumulative(density: Array) -> Array:
    total = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    return np.asarray(total / total[-1])
