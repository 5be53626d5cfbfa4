"""Tables of true masses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from clmassmod.errors import ReaderError, TruthError
from clmassmod.plain import as_floats, filled
from clmassmod.records import Array, HaloFit
from clmassmod.registry import suggest

TrueMasses = Mapping[str, float] | Callable[[HaloFit], float]

NAMED = 5  # halo ids that an error lists


@dataclass(frozen=True)
class Truth(Mapping[str, float]):
    """True mass [Msun] by halo id, and the mass definition."""

    masses_msun: Mapping[str, float]
    mass_definition: str | None = None
    source: str = "the truth"
    bad: Mapping[str, float] = field(default_factory=dict)  # entries that are no masses; NaN: no entry

    def __getitem__(self, halo_id: str) -> float:
        """Return the true mass of a halo [Msun]."""
        return self.masses_msun[halo_id]

    def __iter__(self) -> Iterator[str]:
        """Iterate over halo ids."""
        return iter(self.masses_msun)

    def __len__(self) -> int:
        """Return the number of haloes with a true mass."""
        return len(self.masses_msun)


def read_truth(
    path: Path | str,
    *,
    halo_id: str = "halo_id",
    mass: str = "m200c",
    unit: str = "Msun",
    h: float | None = None,
    mass_definition: str | None = "200c",
) -> Truth:
    """Return the true masses of a table: HDF5, FITS, ECSV or CSV.

    Parameters
    ----------
    path : path
        HDF5: one dataset (halo,) a column, at the top of the file or in a group ("group/m200c").
    halo_id, mass : str
        Names of the columns.
    unit : {"Msun", "Msun/h"}
        Of the masses; where the file states a unit, it must be this one.
    h : float, optional
        H0 / (100 km/s/Mpc), needed for Msun/h.
    mass_definition : str, optional
        Of the masses, for a check against the fits.

    Raises
    ------
    TruthError
        When the file or a column is missing, ids repeat, or units differ.
    """
    path = Path(path)
    if not path.is_file():
        raise TruthError(f"no truth table {path} (looked in {Path.cwd()}); set truth.path")
    if unit not in ("Msun", "Msun/h"):
        raise TruthError(f"{path}: unit {unit!r} of the true mass is neither 'Msun' nor 'Msun/h'")
    if unit == "Msun/h" and h is None:
        raise TruthError(f"{path}: masses in Msun/h need h = H0 / 100; give it")
    ids, values, stated = _read_columns(path, halo_id, mass)
    if stated and _plain(stated) not in ("", _plain(unit)):
        raise TruthError(f"{path}: column {mass!r} is in {stated!r}, but the unit was given as {unit!r}")
    if len(set(ids)) < len(ids):
        repeated = sorted({i for i in ids if ids.count(i) > 1}) if len(ids) < 10_000 else ["…"]
        raise TruthError(f"{path}: halo ids repeat in column {halo_id!r}: {_listed(repeated)}")
    masses = values / (h if unit == "Msun/h" and h is not None else 1.0)
    good = np.isfinite(masses) & (masses > 0)
    by_id = dict(zip(ids, masses.tolist(), strict=True))
    return Truth(
        {i: by_id[i] for i, ok in zip(ids, good, strict=True) if ok},
        mass_definition,
        str(path),
        {i: by_id[i] for i, ok in zip(ids, good, strict=True) if not ok and not np.isnan(by_id[i])},
    )


def from_reader(reader: Any, mass_definition: str) -> Truth:
    """Return the true masses that a reader knows of its own haloes.

    Raises
    ------
    TruthError
        When the reader has none, or has them in another mass definition.
    """
    if not hasattr(reader, "truth"):
        raise TruthError("this reader knows no true masses; give truth.path")
    stated = getattr(reader, "truth_mass_definition", None)
    if stated is not None and stated != mass_definition:
        raise TruthError(
            f"the reader's true masses are {stated}, but truth.mass_definition is {mass_definition!r}"
        )
    return Truth(reader.truth(), mass_definition, "the reader")


def true_masses(
    truth: TrueMasses, fits: Sequence[HaloFit], mass_definition: str, allow_missing: bool
) -> Array:
    """Return the true mass of each fit [Msun], (halo,); NaN where missing ones are allowed.

    Raises
    ------
    TruthError
        Naming the haloes without true mass, or with one that is no positive number.
    """
    stated = getattr(truth, "mass_definition", None)
    source = getattr(truth, "source", "the truth")
    if stated is not None and stated != mass_definition:
        raise TruthError(
            f"{source} holds {stated} masses, but the fits are compared for {mass_definition}; "
            f"fit {stated} as well (more_mass_definitions), or give the truth's column for {mass_definition}"
        )
    if not (callable(truth) or isinstance(truth, Mapping)):
        raise TruthError(
            f"truth is a {type(truth).__name__}; give a mapping of halo id to Msun or a function, or use "
            "clmassmod.bias.read_truth (files) or CLMassMod.compare (files and tables)"
        )
    get = _called(truth) if callable(truth) else _lookup(truth)
    masses = np.array([in_msun(get(fit)) for fit in fits])
    good = np.isfinite(masses) & (masses > 0)
    bad = [fit.halo_id for fit, ok, m in zip(fits, good, masses, strict=True) if not ok and not np.isnan(m)]
    bad += [
        fit.halo_id for fit in fits if fit.halo_id in getattr(truth, "bad", {}) and fit.halo_id not in bad
    ]
    if bad:
        raise TruthError(
            f"{source}: true masses that are no positive numbers: {_listed(bad)}; correct or drop them"
        )
    missing = [fit.halo_id for fit, ok in zip(fits, good, strict=True) if not ok]
    if missing and (not allow_missing or len(missing) == len(fits)):
        raise TruthError(
            f"{source} has no true mass for {len(missing)} of {len(fits)} haloes: {_listed(missing)}; "
            "add them, or set allow_missing to leave them out"
        )
    return np.where(good, masses, np.nan)


def _called(truth: Callable[[HaloFit], Any]) -> Callable[[HaloFit], Any]:
    def get(fit: HaloFit) -> Any:
        try:
            return truth(fit)
        except KeyError:
            return np.nan

    return get


def _lookup(truth: Mapping[Any, Any]) -> Callable[[HaloFit], Any]:
    by_id = truth if isinstance(truth, Truth) else {str(key): value for key, value in truth.items()}

    def get(fit: HaloFit) -> float:
        return by_id.get(fit.halo_id, np.nan)

    return get


def in_msun(value: Any) -> float:
    """Return a mass as a number, NaN for what is none; quantities of astropy are converted."""
    if hasattr(value, "to_value"):
        return float(as_floats(value, "the truth", "Msun", TruthError))
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(repr(name) for name in names[:NAMED]) + more


def _plain(unit: str) -> str:
    """Return a unit without spaces and decoration, so that "h-1 Msun" is "Msun/h"."""
    text = unit.replace(" ", "").replace("M_sun", "Msun").replace("solMass", "Msun")
    return "Msun/h" if text in ("h-1Msun", "h^-1Msun", "Msunh-1", "Msunh^-1", "Msun/h") else text


def _read_columns(path: Path, halo_id: str, mass: str) -> tuple[list[str], Array, str]:
    reader = _read_hdf5 if path.suffix in (".h5", ".hdf5", ".he5") else _read_table
    raw_ids, raw_values, unit = reader(path, halo_id, mass)
    ids = [i.decode() if isinstance(i, bytes) else str(i) for i in np.asarray(raw_ids).tolist()]
    try:
        values = np.asarray(raw_values, dtype=float)
    except (TypeError, ValueError):
        raise TruthError(f"{path}: column {mass!r} does not hold numbers") from None
    if values.shape != (len(ids),):
        raise TruthError(f"{path}: columns {halo_id!r} and {mass!r} are not of one length")
    return [i.strip() for i in ids], values, unit


def _read_hdf5(path: Path, halo_id: str, mass: str) -> tuple[Any, Any, str]:
    from clmassmod.hdf5 import find, load, names, open_hdf5, text_of

    try:
        with open_hdf5(path) as file:
            found = [find(file, name, path) for name in (halo_id, mass)]
            for name, data in zip((halo_id, mass), found, strict=True):
                if not hasattr(data, "shape"):
                    raise TruthError(f"{path}: no column {name!r}{suggest(name, names(file))}")
            unit = found[1].attrs.get("unit", found[1].attrs.get("units", ""))
            return load(found[0], path), load(found[1], path), text_of(unit)
    except ReaderError as error:
        raise TruthError(f"{error}; is it complete?") from None


def _read_table(path: Path, halo_id: str, mass: str) -> tuple[Any, Any, str]:
    from astropy.table import Table

    try:
        if path.suffix == ".csv":
            table = Table.read(path, format="ascii.csv", converters={halo_id: [_as_text()]})
        else:
            table = Table.read(path)
    except Exception as error:
        raise TruthError(f"{path}: cannot be read as a table ({error})") from None
    for name in (halo_id, mass):
        if name not in table.colnames:
            raise TruthError(f"{path}: no column {name!r}{suggest(name, list(table.colnames))}")
    column = table[mass]
    return np.asarray(table[halo_id]), np.asarray(filled(column)), str(column.unit or "")


def _as_text() -> Any:
    """Return a converter that keeps identifiers such as 007 as they are written."""
    from astropy.io.ascii import convert_numpy

    return convert_numpy(str)
