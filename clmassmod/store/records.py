"""Records to files and back: one function to save and one to load each kind."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from clmassmod.errors import StoreError
from clmassmod.records import HaloFit, HaloInfo, ShearProfile, SourceCatalog
from clmassmod.store.origin import check_origin
from clmassmod.store.tree import read_tree, write_tree

_FIT_MAPPINGS = ("ln_like", "summary", "best_fit", "model", "diagnostics", "posterior")


def _record_tree(record: Any, skip: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the fields of a record; a tuple becomes an array, a nested halo its own group."""
    tree: dict[str, Any] = {}
    for field in dataclasses.fields(record):
        if field.name in skip:
            continue
        value = getattr(record, field.name)
        if isinstance(value, HaloInfo):
            value = _record_tree(value)
        elif isinstance(value, Mapping):
            value = dict(value)
        elif isinstance(value, tuple):
            value = np.array(value, dtype=float)
        tree[field.name] = value
    return tree


def _halo(tree: Mapping[str, Any]) -> HaloInfo:
    return HaloInfo(
        halo_id=str(tree["halo_id"]),
        z=float(tree["z"]),
        parent_id=str(tree["parent_id"]),
        extra=MappingProxyType({k: float(v) for k, v in tree.get("extra", {}).items()}),
    )


def _check_halo(path: Path | str, tree: Mapping[str, Any], halo_id: str | None) -> None:
    found = str(tree.get("halo", {}).get("halo_id"))
    if halo_id is not None and found != halo_id:
        raise StoreError(f"{path}: holds halo {found!r}, expected {halo_id!r}")


def save_catalog(
    path: Path | str, catalog: SourceCatalog, provenance: Mapping[str, Any], *, flush: bool = True
) -> None:
    """Write the catalogue of one halo; ``flush`` as in ``write_tree``."""
    write_tree(path, "catalog", _record_tree(catalog), provenance, flush=flush)


def load_catalog(
    path: Path | str, halo_id: str | None = None, config_hash: str | None = None
) -> SourceCatalog:
    """Return the catalogue of one halo; StoreError if it is of another halo or configuration."""
    tree = read_tree(path, "catalog")
    _check_halo(path, tree, halo_id)
    check_origin(path, tree.pop("provenance"), {"config_hash": config_hash})
    offset = tree.pop("offset_mpc")
    extra = MappingProxyType(tree.pop("extra", {}))
    return SourceCatalog(
        **{**tree, "halo": _halo(tree["halo"])}, offset_mpc=(float(offset[0]), float(offset[1])), extra=extra
    )


def profile_tree(profile: ShearProfile) -> dict[str, Any]:
    """Return a profile as a tree, for a file of its own or a part of a fit."""
    return _record_tree(profile)


def profile_from_tree(tree: Mapping[str, Any]) -> ShearProfile:
    """Return the profile that a tree holds."""
    fields = {k: v for k, v in tree.items() if k not in ("provenance", "halo")}
    return ShearProfile(halo=_halo(tree["halo"]), **fields)


def save_profile(path: Path | str, profile: ShearProfile, provenance: Mapping[str, Any]) -> None:
    """Write the shear profile of one halo."""
    write_tree(path, "profile", profile_tree(profile), provenance)


def load_profile(path: Path | str, halo_id: str | None = None) -> ShearProfile:
    """Return the shear profile of one halo; StoreError if the file is not one, or of another halo."""
    tree = read_tree(path, "profile")
    _check_halo(path, tree, halo_id)
    return profile_from_tree(tree)


def save_fit(path: Path | str, fit: HaloFit, provenance: Mapping[str, Any], *, flush: bool = True) -> None:
    """Write the fit of one halo; ``flush`` as in ``write_tree``."""
    tree = _record_tree(fit, skip=("profile", "metadata"))
    tree["profile"] = None if fit.profile is None else profile_tree(fit.profile)
    tree["metadata"] = json.dumps(dict(fit.metadata), sort_keys=True)
    write_tree(path, "fit", tree, provenance, flush=flush)


def load_fit(path: Path | str, halo_id: str | None = None, config_hash: str | None = None) -> HaloFit:
    """Return the fit of one halo.

    Raises
    ------
    StoreError
        If the file is not a fit, is damaged, or is of another halo or configuration than asked.
    """
    tree = read_tree(path, "fit")
    _check_halo(path, tree, halo_id)
    provenance = tree.pop("provenance")
    check_origin(path, provenance, {"config_hash": config_hash})
    metadata = {**json.loads(tree.pop("metadata")), "provenance": provenance}
    profile = tree.pop("profile", None)
    fields = {k: MappingProxyType(tree.pop(k, {})) for k in _FIT_MAPPINGS}
    return HaloFit(
        **{**tree, **fields, "halo": _halo(tree["halo"])},
        profile=None if profile is None else profile_from_tree(profile),
        metadata=MappingProxyType(metadata),
    )
