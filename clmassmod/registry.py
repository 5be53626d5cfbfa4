"""Plug-ins by name: built in, from another package's entry points, or ``path/to/file.py:function``.

Nothing is imported until it is chosen.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any
from zlib import crc32

from clmassmod.errors import ConfigError


def load_object(target: str) -> Any:
    """Return what ``package.module:name`` or ``path/to/file.py:name`` points to."""
    module_name, _, attribute = target.rpartition(":")
    if not module_name or not attribute:
        raise ConfigError(f"{target!r} is not of the form 'module:name' or 'path/to/file.py:name'")
    is_file = module_name.endswith(".py")
    module = _load_file(Path(module_name)) if is_file else importlib.import_module(module_name)
    try:
        return getattr(module, attribute)
    except AttributeError:
        names = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise ConfigError(f"{module_name} has no {attribute!r}{suggest(attribute, names)}") from None


def _load_file(path: Path) -> Any:
    if not path.is_file():
        raise ConfigError(f"no file {path} (looked in {Path.cwd()})")
    name = f"clmassmod_user_{path.stem}_{crc32(str(path.resolve()).encode())}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ConfigError(f"{path} raised {type(error).__name__} when it was loaded: {error}") from error
    return module


def suggest(name: str, known: list[str]) -> str:
    """Return a clause that names the nearest known name, if one is near, and all known ones."""
    folded = {k.lower(): k for k in known}
    near = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.5)
    hint = f"; did you mean {folded[near[0]]!r}?" if near else ""
    return f"{hint} (known: {', '.join(sorted(known))})"


class Registry:
    """Names of plug-ins of one kind and where they live."""

    def __init__(self, kind: str, group: str, builtin: Mapping[str, str]) -> None:
        self.kind = kind
        self.group = group
        self._builtin = dict(builtin)

    def _external(self) -> dict[str, str]:
        return {point.name: point.value for point in entry_points(group=self.group)}

    def names(self) -> list[str]:
        """Return the names of all plug-ins that are installed."""
        return sorted({*self._builtin, *self._external()})

    def check(self, name: str) -> None:
        """Raise ConfigError unless ``name`` is known or has the form of a file's function."""
        if name in self._builtin or ":" in name:
            return
        if name not in self._external():
            raise ConfigError(f"unknown {self.kind} {name!r}{suggest(name, self.names())}")

    def load(self, name: str) -> Any:
        """Import and return the plug-in ``name``."""
        self.check(name)
        target = self._builtin.get(name) or (name if ":" in name else self._external()[name])
        return load_object(target)


class ProfileRegistry(Registry):
    """Density profiles: a user's density rho(r) becomes a ``core.profile.Profile`` like the others."""

    def load(self, name: str) -> Any:
        """Import and return the profile ``name``."""
        from clmassmod.core.profiles.user import as_profile

        return as_profile(super().load(name), name)


READERS = Registry(
    "reader",
    "clmassmod.readers",
    {
        name: f"clmassmod.readers.{name}:Reader"
        for name in (
            "analytic",
            "bcc",
            "bk11",
            "catalogue",
            "grid",
            "mxxl",
            "particles",
            "profile3d",
            "profiles",
        )
    },
)
PROFILES = ProfileRegistry(
    "density profile",
    "clmassmod.profiles",
    {
        "nfw": "clmassmod.core.nfw:PROFILE",
        "tnfw": "clmassmod.core.profiles.tnfw:PROFILE",
        "einasto": "clmassmod.core.profiles.einasto:PROFILE",
        "hernquist": "clmassmod.core.profiles.hernquist:PROFILE",
        "gnfw": "clmassmod.core.profiles.gnfw:PROFILE",
        "dk14": "clmassmod.core.profiles.dk14:PROFILE",
        "diemer23": "clmassmod.core.profiles.diemer23:PROFILE",
    },
)

CONCENTRATIONS = Registry(
    "concentration relation",
    "clmassmod.concentrations",
    {
        name: f"clmassmod.cosmology.concentration:{name}"
        for name in (
            "bhattacharya13",
            "child18",
            "diemer15",
            "diemer15_orig",
            "diemer19",
            "duffy08",
            "ishiyama21",
        )
    },
)
CENTRES = Registry(
    "centre model",
    "clmassmod.centres",
    {
        **{name: f"clmassmod.core.centres:{name}" for name in ("gamma", "gaussian", "lognormal", "rayleigh")},
        **{name: f"clmassmod.core.centres:{name}" for name in ("shear_peak", "sz")},
        **{name: f"clmassmod.mock.centre:{name}" for name in ("sample", "sz_simulation")},
    },
)
FITTERS = Registry(
    "fitter",
    "clmassmod.fitters",
    {
        "scan": "clmassmod.fitters.scan:fit",
        "curvefit": "clmassmod.fitters.curvefit:fit",
        "nuts": "clmassmod.fitters.nuts:fit",
    },
)
