"""Calibrate weak-lensing cluster masses on simulated haloes.

``import clmassmod as clmm`` loads nothing heavy; names are imported when they are first used:

``clmm.CLMassMod``, ``clmm.utils`` (load_config, load_mass_map … make_bins), ``clmm.HaloFit``, ``clmm.bias``,
``clmm.ensemble``, ``clmm.stack``, ``clmm.bins``, ``clmm.store`` and the other modules.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_OBJECTS = {
    "CLMassMod": "clmassmod.massmod",
    "Comparison": "clmassmod.bias.comparison",
    "Cosmology": "clmassmod.cosmology",
    "HaloFit": "clmassmod.records",
    "Posterior": "clmassmod.posterior",
    "ShearProfile": "clmassmod.records",
    "predict": "clmassmod.cosmology.predict",
    "SourceCatalog": "clmassmod.records",
}
_MODULES = (
    *("bias", "bins", "config", "cosmology", "ensemble", "errors", "fitters", "measure", "mock"),
    *("posterior", "readers", "records", "registry", "stack", "store", "tables", "utils"),
)

__all__ = ["__version__", *_OBJECTS, *_MODULES]


def __getattr__(name: str) -> Any:
    """Import a name of the package when it is first used."""
    if name in _OBJECTS:
        return getattr(import_module(_OBJECTS[name]), name)
    if name in _MODULES:
        return import_module(f"clmassmod.{name}")
    raise AttributeError(f"module 'clmassmod' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the names that can be used."""
    return sorted(__all__)
