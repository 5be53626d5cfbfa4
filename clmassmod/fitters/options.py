"""Check a fitter's own options before any halo is fitted."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from clmassmod.errors import ConfigError
from clmassmod.registry import FITTERS, suggest

SHARED = ("profiles", "model", "prior", "rng")  # arguments that are not the configuration's


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Raise ConfigError for an option that the fitter ``name`` does not take."""
    parameters = inspect.signature(FITTERS.load(name)).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return
    known = [key for key in parameters if key not in SHARED]
    for key in options:
        if key not in known:
            listed = suggest(key, known) if known else " (it takes none)"
            raise ConfigError(f"fitter {name!r} has no option {key!r}{listed}")
