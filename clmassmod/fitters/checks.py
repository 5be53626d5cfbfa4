"""Lens models that cannot be: refused before any halo is fitted."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import ArrayLike

from clmassmod.core.profile import EFFECTS, Profile
from clmassmod.errors import ConfigError
from clmassmod.records import Array
from clmassmod.registry import suggest

Relation = str | float | Callable[[Array, float], ArrayLike]


def check_profile(profile: Any, name: Any, parameters: Mapping[str, Any]) -> None:
    """Raise ConfigError for what is no profile, and parameters that it does not take.

    A profile that takes any keyword refuses wrong ones itself, when it is computed.

    Parameters
    ----------
    profile : Profile
    name : str or Profile
        What the user gave.
    parameters : mapping
    """
    if not isinstance(profile, Profile):
        raise ConfigError(
            "profile: give a name, path/to/file.py:function, or a clmassmod.core.profile.Profile, not a "
            f"{type(profile).__name__}"
        )
    taken = inspect.signature(profile.projected).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in taken.values()):
        return
    known = [*list(taken)[5:], *EFFECTS]
    for key in parameters:
        if key not in known:
            raise ConfigError(f"density profile {name!r} has no parameter {key!r}{suggest(key, known)}")


def check_concentration(relation: Relation, primary: str) -> None:
    """Raise ConfigError for a constant that is none, and for a function of other mass definitions."""
    definitions = getattr(relation, "definitions", None)
    if definitions is not None and primary not in definitions:
        raise ConfigError(
            f"the concentration relation {getattr(relation, '__name__', relation)!r} is one of "
            f"{', '.join(definitions)} masses, the model's primary definition is {primary}; "
            "make one of them primary, or name the relation as path/to/file.py:function for the tables"
        )
    if isinstance(relation, int | float) and not 0.0 < relation < math.inf:
        raise ConfigError(f"concentration {relation} is no positive number")
