"""Colossus keeps one global cosmology and caches on disk; here both are set, used and put back."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from clmassmod.cosmology.model import Cosmology


@functools.lru_cache(maxsize=16)
def _build(cosmology: Cosmology) -> Any:
    from colossus.cosmology import cosmology as colossus

    parameters = {
        "flat": cosmology.Ode0 is None,
        "H0": cosmology.H0,
        "Om0": cosmology.Om0,
        "Ob0": cosmology.Ob0,
        "sigma8": cosmology.sigma8,
        "ns": cosmology.ns,
        "relspecies": False,
        "persistence": "",  # no files in the user's home
        "print_warnings": False,
    }
    if cosmology.Ode0 is not None:
        parameters["Ode0"] = cosmology.Ode0
    if cosmology.wa != 0:
        parameters |= {"de_model": "w0wa", "w0": cosmology.w0, "wa": cosmology.wa}
    elif cosmology.w0 != -1:
        parameters |= {"de_model": "w0", "w0": cosmology.w0}
    return colossus.Cosmology(name="clmassmod", **parameters)


@contextmanager
def colossus_cosmology(cosmology: Cosmology, purpose: str) -> Iterator[Any]:
    """Set colossus's global cosmology for a block and restore what was there, even after an error.

    Parameters
    ----------
    cosmology
        Must have sigma8, ns and Ob0.
    purpose
        What needs them, for the error message.

    Raises
    ------
    ConfigError
        Naming the keys that are missing.
    """
    cosmology.require("sigma8", "ns", "Ob0", purpose=purpose)
    from colossus.cosmology import cosmology as colossus
    from colossus.halo import concentration
    from colossus.utils import storage

    before, before_storage = colossus.current_cosmo, concentration.storageUser
    # the concentration module would write its tables to the user's home, also from parallel jobs
    concentration.storageUser = storage.StorageUser(
        "halo.concentration", "", concentration._getName, concentration._getHash, None
    )
    try:
        current = _build(cosmology)
        colossus.setCurrent(current)
        yield current
    finally:
        colossus.current_cosmo, concentration.storageUser = before, before_storage
