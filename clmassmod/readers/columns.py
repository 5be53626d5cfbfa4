"""Which column of a profile's table holds what, where the user does not say: by usual names alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clmassmod.errors import ReaderError
from clmassmod.readers.table import Table
from clmassmod.registry import suggest

# a name's ending that states its unit, as this package's own names do
SUFFIX_UNITS = {
    "_msun_mpc2": "Msun / Mpc2",
    "_msun_pc2": "Msun / pc2",
    "_mpc": "Mpc",
    "_kpc": "kpc",
    "_arcmin": "arcmin",
    "_arcsec": "arcsec",
}
_VALUES = {
    "delta_sigma": (
        "delta_sigma",
        "deltasigma",
        "delta_sigma_t",
        "ds_t",
        "ds",
        "esd",
        "excess_surface_density",
    ),
    "g_t": (
        "g_t",
        "gt",
        "g",
        "gamma_t",
        "gammat",
        "gamma",
        "reduced_shear",
        "tangential_shear",
        "g_tan",
        "e_t",
    ),
}
_CROSS = {
    "delta_sigma": ("delta_sigma_x", "ds_x", "cross"),
    "g_t": ("g_x", "gx", "gamma_x", "gammax", "cross"),
}
_NAMES = {
    "halo_id": ("halo_id", "cluster_id", "unique_id", "id", "cluster", "halo", "name"),
    "z": ("z", "redshift", "z_lens", "z_l", "z_cluster", "z_halo"),
    "radius": ("radius", "r", "rp", "theta"),
    "weight": ("weight", "weights", "w", "w_l"),
    "n_gal": ("n_gal", "ngal", "n_src", "n_source", "n_sources", "n_galaxies"),
    "beta_s": ("beta_s",),
    "beta_s2": ("beta_s2",),
    "beta": ("beta", "mean_beta"),
    "beta2": ("beta2", "mean_beta2"),
    "z_source": ("z_source", "z_s", "zs", "z_src", "zsource"),
    "parent_id": ("parent_id", "parent"),
}
_FROM_HEADER = ("z", "beta_s", "beta_s2", "beta", "beta2", "z_source")


def plain(name: str) -> str:
    """Return a column's name in small letters, without the ending that states a unit."""
    folded = name.strip().lower()
    for ending in SUFFIX_UNITS:
        if folded.endswith(ending):
            return folded.removesuffix(ending)
    return folded


def suffix_unit(name: str) -> str | None:
    """Return the unit that a column's name states, such as Mpc of ``radius_mpc``."""
    folded = name.strip().lower()
    return next((unit for ending, unit in SUFFIX_UNITS.items() if folded.endswith(ending)), None)


def find_columns(table: Table, observable: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the names of columns, or constants, by quantity; what the user gave comes first.

    Parameters
    ----------
    table
        The file's columns and header.
    observable
        delta_sigma or g_t.
    given
        Quantity (halo_id, z, radius, value, error, weight, cross, n_gal, beta_s, beta_s2, beta, beta2,
        z_source, parent_id) to a column's name, or to a number where one holds for all.

    Raises
    ------
    ReaderError
        Where radius or value are not found, or two columns could be meant.
    """
    names = {**_NAMES, "value": _VALUES[observable], "cross": _CROSS[observable]}
    _refuse_unknown(table, given, [*names, "error"])
    found = {k: v for k, v in given.items() if v is not None}
    for key in ("value", "radius"):
        if key not in found:
            found[key] = _one(table, key, names[key], f"columns={{{key!r}: ...}}")
        if found[key] is None:
            listed = ", ".join(table.columns)
            raise ReaderError(
                f"{table.path}: no column is known as {key} of {observable} (it has: {listed}); "
                f"name it: columns={{{key!r}: ...}}"
            )
    if "error" not in found and "weight" not in found:
        found["error"] = _one(
            table, "error", _error_names(str(found["value"]), names["value"]), "columns={'error': ...}"
        )
    for key in names:
        if key not in found and not (key == "weight" and found.get("error")):
            found[key] = _one(table, key, names[key], f"columns={{{key!r}: ...}}")
    for key in _FROM_HEADER:
        if found.get(key) is None:
            found[key] = _header_number(table, key)
    return {k: v for k, v in found.items() if v is not None}


def _refuse_unknown(table: Table, given: Mapping[str, Any], known: list[str]) -> None:
    for key in given:
        if key not in known:
            raise ReaderError(f"{table.path}: columns: no quantity {key!r}{suggest(key, known)}")


def _error_names(value: str, usual: tuple[str, ...]) -> tuple[str, ...]:
    """Return names of the error's column: those that go with the value's own name first."""
    bases = dict.fromkeys((plain(value), plain(value).removesuffix("_t"), *usual))
    endings, beginnings = ("_err", "_error", "_std", "_sigma"), ("e_", "err_", "error_", "sigma_")
    made = [n for b in bases for n in (*(b + e for e in endings), *(e + b for e in beginnings))]
    return ("error", "err", "sigma", "std", "noise", *made)


def _one(table: Table, key: str, names: tuple[str, ...], remedy: str) -> str | None:
    """Return the column of the first of these names; an error where two columns have it."""
    for name in names:
        matching = [column for column in table.columns if plain(column) == name]
        if len(matching) > 1:
            raise ReaderError(
                f"{table.path}: {key} may be any of {', '.join(matching)}; choose one: {remedy}"
            )
        if matching:
            return matching[0]
    return None


def _header_number(table: Table, key: str) -> float | None:
    """Return a number that the file's header states under one of the quantity's names."""
    folded = {str(k).lower(): v for k, v in table.attributes.items()}
    for name in (*_NAMES[key], *(n.replace("_", "") for n in _NAMES[key])):
        try:
            return float(folded[name])
        except (KeyError, TypeError, ValueError):
            continue
    return None
