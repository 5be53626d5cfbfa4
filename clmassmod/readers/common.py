"""What all readers share: opening, checks of identifiers, redshifts and cosmology."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from clmassmod.config import Model, build
from clmassmod.config.models import Simulation
from clmassmod.cosmology import Cosmology
from clmassmod.errors import ConfigError, ReaderError
from clmassmod.records import Array, HaloInfo
from clmassmod.registry import READERS, suggest

_ID = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9._+-]*")
_LONGEST_ID = 200  # a file's name may have 255 bytes, and the store appends to it


class CommonOptions(Model):
    """Options of every reader that opens a file."""

    check_cosmology: bool = Field(True, description="refuse a file that was made with another cosmology")


def open_reader(simulation: Simulation, cosmology: Cosmology, seed: int) -> Any:
    """Return the reader of a simulation, its options checked.

    Raises
    ------
    ConfigError
        For an unknown reader or a wrong option.
    ReaderError
        For a file that it cannot read.
    """
    reader = READERS.load(simulation.reader)
    options = build(reader.Options, simulation.options, f"reader {simulation.reader!r}", "simulation.options")
    path = None if simulation.path is None else Path(simulation.path)
    return reader(path, options, cosmology, seed)


def need_path(path: Path | None, reader: str) -> Path:
    """Return the path, or raise ConfigError where there is none."""
    if path is None:
        raise ConfigError(f"simulation.path: reader {reader!r} needs a file or folder")
    if not path.exists():
        raise ReaderError(f"{path}: no such file or folder")
    return path


def check_ids(ids: Sequence[str], source: Path | str) -> None:
    """Refuse identifiers that are empty, could not name a file, or come twice.

    Raises
    ------
    ReaderError
        Names file, row and identifier.
    """
    match = _ID.fullmatch
    for row, halo_id in enumerate(ids):
        if match(halo_id) is None or len(halo_id) > _LONGEST_ID:
            raise ReaderError(
                f"{source}: row {row}: halo id {halo_id[:80]!r} cannot name a file; "
                f"use 1 to {_LONGEST_ID} letters, digits and . _ + -, not a leading dot"
            )
    if len(set(ids)) < len(ids):
        first: dict[str, int] = {}
        for row, halo_id in enumerate(ids):
            if halo_id in first:
                raise ReaderError(
                    f"{source}: rows {first[halo_id]} and {row}: halo id {halo_id!r} is given twice"
                )
            first[halo_id] = row


def make_halos(
    source: Path | str,
    ids: Sequence[str],
    z: ArrayLike,
    parents: Sequence[str] | None = None,
    extra: Mapping[str, ArrayLike] | None = None,
) -> list[HaloInfo]:
    """Return checked haloes.

    Parameters
    ----------
    source
        File or folder, for messages.
    ids, parents
        Identifiers of haloes and of what they are projections of, (halo,).
    z
        Redshifts, (halo,) or one for all.
    extra
        Observables that bins may use: name to (halo,).

    Raises
    ------
    ReaderError
        For no halo at all, a wrong identifier, or a redshift that is not a positive number.
    """
    if not ids:
        raise ReaderError(f"{source}: holds no halo")
    check_ids(ids, source)
    redshifts = np.broadcast_to(np.asarray(z, dtype=float), len(ids))
    bad = np.flatnonzero(~((redshifts > 0) & np.isfinite(redshifts)))
    if bad.size:
        row = int(bad[0])
        raise ReaderError(
            f"{source}: row {row}: halo {ids[row]!r} has redshift {redshifts[row]:g}; it must be above 0"
        )
    parents = [""] * len(ids) if parents is None else parents
    if parents:
        check_parents(parents, source)
    values = redshifts.tolist()
    if not extra:
        return [HaloInfo(i, v, p) for i, v, p in zip(ids, values, parents, strict=True)]
    names = list(extra)
    columns = zip(*(np.asarray(extra[name], dtype=float).tolist() for name in names), strict=True)
    return [
        HaloInfo(i, v, p, MappingProxyType(dict(zip(names, row, strict=True))))
        for i, v, p, row in zip(ids, values, parents, columns, strict=True)
    ]


def check_parents(parents: Iterable[str], source: Path | str) -> None:
    """Refuse parents' identifiers with control characters or of absurd length."""
    for row, parent in enumerate(parents):
        if len(parent) > _LONGEST_ID or (parent and not parent.isprintable()):
            raise ReaderError(f"{source}: row {row}: parent id {parent[:80]!r} is not a printable name")


def texts(values: Any) -> list[str]:
    """Return identifiers as text: bytes are decoded, whole numbers written without a fraction."""
    array = np.asarray(values)
    if array.dtype.kind == "f":
        whole = np.all(np.isfinite(array)) and np.all(array == np.floor(array))
        return [str(v) for v in (array.astype(np.int64) if whole else array).tolist()]
    return [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in array.tolist()]


_ALIASES = {
    "H0": ("H0", "hubble_constant"),
    "Om0": ("Om0", "Omega_m", "OmegaM"),
    "Ode0": ("Ode0", "Omega_Lambda", "OmegaL"),
    "Ob0": ("Ob0", "Omega_b", "OmegaB"),
    "sigma8": ("sigma8", "sigma_8"),
    "ns": ("ns", "n_s"),
    "w0": ("w0",),
    "wa": ("wa",),
}


def check_cosmology(attributes: Mapping[str, Any], cosmology: Cosmology, source: Path | str) -> None:
    """Refuse a file whose stated cosmology is not the configured one (to 1e-4).

    Raises
    ------
    ReaderError
        Names file, parameter and both values.
    """
    stated = {key.lower(): value for key, value in attributes.items()}
    if "hubbleparam" in stated and "h0" not in stated:  # Gadget
        stated["h0"] = 100.0 * float(stated["hubbleparam"])
    if stated.get("flat") and "ode0" not in stated and "om0" in stated:
        stated["ode0"] = 1.0 - float(stated["om0"])
    for key, names in _ALIASES.items():
        configured = cosmology.dark_energy if key == "Ode0" else getattr(cosmology, key)
        found = next((stated[name.lower()] for name in names if name.lower() in stated), None)
        if found is None or configured is None:
            continue
        if not math.isclose(float(found), configured, rel_tol=1e-4, abs_tol=1e-6):
            raise ReaderError(
                f"{source}: was made with {key} = {float(found):g}, but cosmology.{key} is {configured:g}; "
                "correct the configuration (or set simulation.options.check_cosmology: false)"
            )


def check_finite(values: Array, what: str, source: Path | str, halo_id: str) -> None:
    """Refuse NaN and infinity; the message names file, column and halo."""
    if not np.all(np.isfinite(values)):
        raise ReaderError(f"{source}: {what} of halo {halo_id!r} holds NaN or infinity")


def missing_name(source: Path | str, what: str, name: str, known: Iterable[str]) -> ReaderError:
    """Return the error for a dataset, column or attribute that a file lacks."""
    return ReaderError(f"{source}: no {what} {name!r}{suggest(name, list(known))}")
