"""Relations between mass, redshift and concentration.

A relation is a function ``f(mass_msun, z) -> concentration`` in the mass definition of the analysis. With
an attribute ``definitions`` it is one of those calibrated definitions and is converted to others, and
with an attribute ``takes_cosmology`` it is called as ``f(mass_msun, z, definition, cosmology)``.
Concentrations of the colossus relations are medians (Diemer 2018, ApJS 239, 35).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from clmassmod.core.massdef import convert_nfw, parse, threshold_density_msun_mpc3
from clmassmod.cosmology.colossus_state import colossus_cosmology
from clmassmod.cosmology.model import Cosmology, environment
from clmassmod.cosmology.relation_table import TABLE_SUFFIXES, read_relation
from clmassmod.errors import ConfigError
from clmassmod.records import Array
from clmassmod.registry import CONCENTRATIONS

_DUFFY08 = {"200c": (5.71, -0.084, -0.47), "vir": (7.85, -0.081, -0.71), "200m": (10.14, -0.081, -1.01)}


def duffy08(mass_msun: Array, z: float, definition: str, cosmology: Cosmology) -> Array:
    """Return the power law of Duffy et al. 2008 (MNRAS 390, L64), table 1, full sample, z = 0–2."""
    amplitude, mass_slope, z_slope = _DUFFY08[definition]
    pivot = 2e12 / cosmology.h
    return np.asarray(amplitude * (mass_msun / pivot) ** mass_slope * (1.0 + z) ** z_slope)


duffy08.definitions = tuple(_DUFFY08)  # type: ignore[attr-defined]
duffy08.takes_cosmology = True  # type: ignore[attr-defined]


def _colossus_relation(model: str, definitions: tuple[str, ...], source: str) -> Callable[..., Array]:
    def relation(mass_msun: Array, z: float, definition: str, cosmology: Cosmology) -> Array:
        with colossus_cosmology(cosmology, f"concentration relation {model}"):
            from colossus.halo.concentration import concentration as evaluate

            value, _ = evaluate(mass_msun * cosmology.h, definition, z, model=model, range_return=True)
        return _fill_invalid(np.asarray(value, dtype=float), mass_msun, model, z)

    relation.__name__ = model
    relation.__doc__ = f"Return the concentrations of {source}, as colossus computes them."
    relation.definitions = definitions  # type: ignore[attr-defined]
    relation.takes_cosmology = True  # type: ignore[attr-defined]
    relation.takes_power_spectrum = True  # type: ignore[attr-defined]
    return relation


def _fill_invalid(value: Array, mass_msun: Array, model: str, z: float) -> Array:
    """Give masses at which a relation has no solution the concentration of the nearest that has one."""
    valid = np.isfinite(value) & (value > 0)
    if valid.all():
        return value
    if not valid.any():
        raise ConfigError(f"concentration relation {model} gives no concentration at z = {z:g}")
    order = np.argsort(mass_msun[valid])
    return np.where(valid, value, np.interp(mass_msun, mass_msun[valid][order], value[valid][order]))


bhattacharya13 = _colossus_relation(
    "bhattacharya13", ("200c", "vir", "200m"), "Bhattacharya et al. 2013 (ApJ 766, 32)"
)
diemer15 = _colossus_relation(
    "diemer15", ("200c",), "Diemer & Kravtsov 2015 (ApJ 799, 108) with the parameters of Diemer & Joyce 2019"
)
diemer15_orig = _colossus_relation("diemer15_orig", ("200c",), "Diemer & Kravtsov 2015 (ApJ 799, 108)")
diemer19 = _colossus_relation("diemer19", ("200c",), "Diemer & Joyce 2019 (ApJ 871, 168)")
child18 = _colossus_relation("child18", ("200c",), "Child et al. 2018 (ApJ 859, 55), individual haloes")
ishiyama21 = _colossus_relation(
    "ishiyama21",
    ("500c", "200c", "vir"),  # the first serves other definitions, as in colossus
    "Ishiyama et al. 2021 (MNRAS 506, 4210), all haloes, by profile fit",
)


def _number(relation: str | float) -> float | None:
    try:
        return float(relation)
    except ValueError:
        return None


def load_relation(relation: str | float) -> Callable[..., Any]:
    """Return the function of a relation: its name, a number, a table file or ``path.py:function``.

    Raises
    ------
    ConfigError
        For an unknown name, a number that is not above 0, or an unusable file.
    """
    number = _number(relation)
    if number is not None:
        if not 0 < number < np.inf:
            raise ConfigError(f"a concentration must be above 0, found {relation!r}")
        return lambda mass_msun, z: np.full_like(mass_msun, number)  # noqa: ARG005
    relation = str(relation)
    if relation.endswith(TABLE_SUFFIXES):
        return read_relation(Path(relation))
    function: Callable[..., Any] = CONCENTRATIONS.load(relation)
    return function


def check_relation(cosmology: Cosmology, relation: str | float) -> None:
    """Raise ConfigError where a relation is unusable, or needs a parameter that the cosmology lacks."""
    if getattr(load_relation(relation), "takes_power_spectrum", False):
        cosmology.require("sigma8", "ns", "Ob0", purpose=f"concentration relation {relation}")


def concentration(
    cosmology: Cosmology, relation: str | float, mass_definition: str, mass_msun: ArrayLike, z: float
) -> Array:
    """Return the concentration r_delta / r_s of haloes in any mass definition, of the masses' shape.

    Parameters
    ----------
    cosmology
        Needs sigma8, ns and Ob0 for all relations but duffy08, numbers, tables and user functions.
    relation
        Name of a relation, a number, a table file (.csv, .ecsv, .h5), or ``path/to/file.py:function``.
    mass_definition
        Of the masses and of the concentrations: "200c", "500c", "200m", "vir" …
    mass_msun
        Masses above 0.
    z
        Redshift.

    Raises
    ------
    ConfigError
        For an unknown relation or definition, and for a relation that needs a missing parameter.
    """
    parse(mass_definition)
    return evaluate(load_relation(relation), cosmology, mass_definition, mass_msun, z, str(relation))


def evaluate(
    function: Callable[..., Any],
    cosmology: Cosmology,
    mass_definition: str,
    mass_msun: ArrayLike,
    z: float,
    name: str,
) -> Array:
    """Return the concentrations of a relation's function in ``mass_definition``; see ``concentration``."""
    mass = np.atleast_1d(np.asarray(mass_msun, dtype=float))
    definitions: tuple[str, ...] = getattr(function, "definitions", (mass_definition,))
    native = mass_definition if mass_definition in definitions else definitions[0]

    def call(m: Array) -> Array:
        arguments = (native, cosmology) if getattr(function, "takes_cosmology", False) else ()
        value = np.asarray(function(m.ravel(), z, *arguments), dtype=float)
        if value.shape != (m.size,) or not np.all(np.isfinite(value) & (value > 0)):
            raise ConfigError(
                f"concentration relation {name} must return one finite number above 0 for each mass, "
                f"found {value!r:.60} at z = {z:g}"
            )
        return value.reshape(m.shape)

    c = (
        call(mass)
        if native == mass_definition
        else _converted(call, cosmology, native, mass_definition, mass, z)
    )
    return np.asarray(c.reshape(np.shape(mass_msun)))


def _converted(
    call: Callable[[Array], Array],
    cosmology: Cosmology,
    native: str,
    wanted: str,
    mass: Array,
    z: float,
) -> Array:
    """Return concentrations of masses in a definition that the relation was not calibrated for.

    Finds the native mass that converts to the wanted one; its logarithm differs from that by a slowly
    varying amount, so that the plain iteration converges.
    """
    halo = environment(cosmology, z)
    density_from, density_to = (threshold_density_msun_mpc3(d, halo) for d in (native, wanted))
    native_mass = mass.copy()
    for _ in range(100):
        converted, c = convert_nfw(native_mass, call(native_mass), density_from, density_to)
        ratio = mass / converted
        native_mass = native_mass * ratio
        if np.all(np.abs(ratio - 1.0) < 1e-10):
            return c
    raise ConfigError(f"the concentration relation has no solution for {wanted} masses at z = {z:g}")
