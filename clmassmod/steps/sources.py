"""Files and plug-ins that a configuration names: found, checked and fingerprinted before any job runs."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from typing import Any

from clmassmod.config import CampaignConfig, load_campaign
from clmassmod.cosmology.concentration import check_relation
from clmassmod.errors import ConfigError, ReaderError
from clmassmod.fitters import check_options
from clmassmod.registry import load_object

# keys whose value may be path/to/file.py:function, or a table
PLUGIN_KEYS = ("reader", "profile", "concentration", "method", "function", "model", "mass_function")


def plugin_file(name: Any) -> str:
    """Return the file that a name such as path/to/file.py:function or table.csv points to, or nothing."""
    file, separator, _ = str(name).rpartition(":")
    if separator and file.endswith(".py"):
        return file
    return str(name) if str(name).endswith((".ecsv", ".csv", ".h5")) else ""


def resolve(config: CampaignConfig, places: list[Path], source: str) -> CampaignConfig:
    """Return the configuration with every file that it names found in one of the places.

    Files are the values of keys ``path`` and ``*_path``, and plug-ins of the form path/to/file.py:function.

    Raises
    ------
    ConfigError
        Names the key of a file that is nowhere.
    """

    def find(path: str, key: str) -> str:
        for place in places:
            if (place / path).exists():
                return os.path.normpath(place / path)
        looked = ", ".join(str(p.resolve()) for p in places)
        raise ConfigError(f"{source}: {key}: no file {path} (looked in {looked})")

    def visit(value: Any, key: str) -> Any:
        if isinstance(value, dict):
            return {k: visit(v, f"{key}.{k}" if key else str(k)) for k, v in value.items()}
        if isinstance(value, list):
            return [visit(v, f"{key}.{i}") for i, v in enumerate(value)]
        file = _named_file(key, value)
        return value if file is None else str(value).replace(file, find(file, key), 1)

    return load_campaign(visit(config.model_dump(mode="json"), ""), source)


def _named_file(key: str, value: Any) -> str | None:
    """Return the file that a value names, if it names one."""
    last = key.rpartition(".")[2]
    if not isinstance(value, str):
        return None
    if last == "path" or last.endswith("_path"):
        return value
    return plugin_file(value) or None if last in PLUGIN_KEYS else None


def files_in(data: Any, key: str = "") -> list[str]:
    """Return the files that a part of a resolved configuration names, each once."""
    if isinstance(data, dict):
        found = [f for k, v in data.items() for f in files_in(v, f"{key}.{k}")]
    elif isinstance(data, list):
        found = [f for v in data for f in files_in(v, key)]
    else:
        file = _named_file(key, data)
        found = [] if file is None else [file]
    return list(dict.fromkeys(found))


def functions_in(data: Any, key: str = "") -> list[str]:
    """Return the functions that a configuration names as path/to/file.py:function, each once."""
    if isinstance(data, dict):
        found = [f for k, v in data.items() for f in functions_in(v, f"{key}.{k}")]
    elif isinstance(data, list):
        found = [f for v in data for f in functions_in(v, key)]
    else:
        is_code = _named_file(key, data) is not None and str(data).rpartition(":")[0].endswith(".py")
        found = [str(data)] if is_code else []
    return list(dict.fromkeys(found))


def portable(data: Any, prints: dict[str, Any], key: str = "") -> Any:
    """Return plain data with each file's name replaced by its content's hash: the same on every host."""
    if isinstance(data, dict):
        return {k: portable(v, prints, f"{key}.{k}") for k, v in data.items()}
    if isinstance(data, list):
        return [portable(v, prints, key) for v in data]
    file = _named_file(key, data)
    return data if file is None else data.replace(file, prints[file]["sha256"], 1)


def check_plugins(config: CampaignConfig, source: str) -> None:
    """Load the user's functions and check options once, rather than in the first of a thousand jobs."""
    for name, binning in config.bins.items():
        if binning.function is not None:
            _named(f"{source}: bins.{name}.function", load_object, binning.function)
    for name, analysis in config.analyses.items():
        _named(f"{source}: analyses.{name}.options", check_options, analysis.method, analysis.options)
        relation = analysis.model.concentration
        where = f"{source}: analyses.{name}.model.concentration"
        _named(where, check_relation, config.cosmology.build(), relation)
    from clmassmod import bias, ensemble

    for key, module, part in (
        ("ensemble", ensemble, config.ensemble),
        ("compare", bias, config.compare),
    ):
        _named(f"{source}: {key}", module.check, part.model, part.method, part.prior)


def _named(where: str, check: Any, *arguments: Any) -> None:
    try:
        check(*arguments)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def fingerprint(path: str, known: dict[str, Any] | None) -> dict[str, Any]:
    """Return size, time and content hash of a file or folder; the hash is reused if size and time agree."""
    stamp = stamp_of(path)
    if known is not None and known.get("stamp") == stamp:
        return known
    digest = sha256()
    for file in _files(path):
        digest.update(file.name.encode())
        with file.open("rb") as handle:
            while block := handle.read(1 << 22):
                digest.update(block)
    if stamp_of(path) != stamp:
        raise ReaderError(f"{path}: changes while it is read; wait until it is complete")
    return {"stamp": stamp, "sha256": digest.hexdigest()}


def stamp_of(path: str) -> list[list[int]]:
    """Return size and time of change of a file, or of each file of a folder."""
    return [[s.st_size, s.st_mtime_ns] for s in (p.stat() for p in _files(path))]


def _files(path: str) -> list[Path]:
    place = Path(path)
    return sorted(p for p in place.rglob("*") if p.is_file()) if place.is_dir() else [place]
