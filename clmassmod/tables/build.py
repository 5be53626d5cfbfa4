"""Compute the tables of a campaign: plain nested dictionaries of arrays, which the store writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from clmassmod.cosmology.concentration import evaluate, load_relation
from clmassmod.cosmology.lss import power_table
from clmassmod.cosmology.model import Cosmology, line_of_sight_distance_mpc
from clmassmod.cosmology.structure import growth, sigma_of_mass
from clmassmod.cosmology.two_halo import template
from clmassmod.errors import ConfigError
from clmassmod.records import Array
from clmassmod.tables.structure_noise import Sample, spectra

DISTANCE_NODES = 1025  # in u = 1 / sqrt(1 + z) from 0 to 1: interpolation errors of 1e-11
MASS_RANGE_MSUN = (1e10, 1e17)  # ten times wider than any likelihood grid at either end
MASS_NODES = 404
REDSHIFT_STEP = 0.01  # in ln(1 + z)
GROWTH_NODES = 257  # in ln(1 + z)
GROWTH_Z_MAX = 20.0

Tree = dict[str, Any]


def build(
    cosmology: Cosmology,
    *,
    z_range: tuple[float, float],
    relations: Iterable[tuple[str | float, str]] = (),
    structure: bool | None = None,
    noise_samples: Mapping[str, Sample | None] | None = None,
) -> Tree:
    """Return all tables of a campaign.

    Parameters
    ----------
    cosmology
        Background, and power spectrum where a relation or ``structure`` needs it.
    z_range
        Lowest and highest redshift of a lens.
    relations
        Pairs of concentration relation and mass definition; constant concentrations need no table.
    structure
        Whether to make tables of peak height, growth, two-halo term and power spectrum; by default if
        the cosmology has sigma8, ns and Ob0.
    noise_samples
        Samples of sources, by name, for the noise of structure along the line of sight; None: a plane.

    Raises
    ------
    ConfigError
        For a wrong redshift range, an unknown relation, or a missing parameter of the cosmology.
    """
    if not 0 < z_range[0] <= z_range[1] < np.inf:
        raise ConfigError(f"tables need redshifts of lenses above 0, found the range {z_range}")
    tree: Tree = {"cosmology": _cosmology_tree(cosmology), "distance": _distance_tree(cosmology)}
    if structure is None:
        structure = None not in (cosmology.sigma8, cosmology.ns, cosmology.Ob0)
    if structure:
        tree["structure"] = _structure_tree(cosmology)
    if noise_samples:
        from clmassmod.tables.lookup import Tables  # which needs this module

        cosmology.require("sigma8", "ns", "Ob0", purpose="the noise of large-scale structure")
        power = tree["structure"]["power"] if structure else power_table(cosmology)
        tree["noise"] = spectra(cosmology, power, noise_samples, z_range, Tables(tree).beta)
    concentrations = {}
    for relation, definition in relations:
        if not is_number(relation):
            concentrations[table_name(relation, definition)] = _concentration_tree(
                cosmology, str(relation), definition, z_range
            )
    if concentrations:
        tree["concentration"] = concentrations
    return tree


def is_number(relation: str | float) -> bool:
    """Return whether a relation is a constant concentration."""
    try:
        float(relation)
    except ValueError:
        return False
    return True


def table_name(relation: str | float, definition: str) -> str:
    """Return the key of a concentration table; without the slash that HDF5 takes for a folder."""
    return f"{relation}@{definition}".replace("/", "|")


def _cosmology_tree(cosmology: Cosmology) -> Tree:
    return {name: np.array(np.nan if value is None else value) for name, value in asdict(cosmology).items()}


def _distance_tree(cosmology: Cosmology) -> Tree:
    u = np.linspace(0.0, 1.0, DISTANCE_NODES)
    with np.errstate(divide="ignore"):
        z = 1.0 / u**2 - 1.0
    return {"line_of_sight_mpc": line_of_sight_distance_mpc(cosmology, 0.0, z)}


def _structure_tree(cosmology: Cosmology) -> Tree:
    ln_mass = _ln_mass()
    x = np.linspace(0.0, np.log1p(GROWTH_Z_MAX), GROWTH_NODES)
    return {
        "ln_mass": ln_mass,
        "ln_sigma": np.log(sigma_of_mass(cosmology, np.exp(ln_mass))),
        "ln_1pz": x,
        "ln_growth": np.log(growth(cosmology, np.expm1(x))),
        "two_halo": template(cosmology),
        "power": power_table(cosmology),
    }


def _ln_mass() -> Array:
    return np.linspace(np.log(MASS_RANGE_MSUN[0]), np.log(MASS_RANGE_MSUN[1]), MASS_NODES)


def _concentration_tree(
    cosmology: Cosmology, relation: str, definition: str, z_range: tuple[float, float]
) -> Tree:
    function = load_relation(relation)
    low, high = np.log1p(z_range)
    inside = max(2, int(np.ceil((high - low) / REDSHIFT_STEP)) + 1)
    step = max((high - low) / (inside - 1), 1e-3)
    # one node more on either side, so that no redshift of a lens lies in the edge of the interpolation
    before = 1 if low - step > 0 else 0
    x = low + step * np.arange(-before, inside + 2 - before)
    ln_mass = _ln_mass()
    masses = np.exp(ln_mass)
    rows = [evaluate(function, cosmology, definition, masses, float(z), relation) for z in np.expm1(x)]
    return {"ln_1pz": x, "ln_mass": ln_mass, "ln_c": np.log(rows)}
