"""Whether a file that is whole is also the one that was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clmassmod.errors import StoreError


def check_origin(path: Path | str, provenance: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Raise StoreError unless a file's provenance says what is expected; None expects nothing."""
    for key, value in expected.items():
        found = provenance.get(key)
        if value is None or found == value:
            continue
        if key == "config_hash":
            raise StoreError(f"{path}: made with another configuration; remove it or run the campaign again")
        raise StoreError(f"{path}: of {key} {found!r}, expected {value!r}; remove it and run again")
