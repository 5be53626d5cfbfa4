"""Files and plug-ins that a configuration names: found, checked and fingerprinted before any job runs."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from typing import Any

from clmassmod.config import CampaignConfig, load_campaign
from clmassmod.errors import ConfigError
from clmassmod.fitters import check_options
from clmassmod.registry import load_object


def plugin_file(name: Any) -> str:
    """Return the file that a name such as path/to/file.py:function or table.csv points to, or nothing."""
    file, separator, _ = str(name).rpartition(":")
    if separator and file.endswith(".py"):
        return file
    return str(name) if str(name).endswith((".ecsv", ".csv", ".h5")) else ""


class _Finder:
    """Looks for relative paths in several places, and says where it looked."""

    def __init__(self, places: list[Path], source: str) -> None:
        self.places = places
        self.source = source

    def path(self, path: str, key: str) -> str:
        for place in self.places:
            if (place / path).exists():
                return os.path.normpath(place / path)
        looked = ", ".join(str(p.resolve()) for p in self.places)
        raise ConfigError(f"{self.source}: {key}: no file {path} (looked in {looked})")

    def plugin(self, name: Any, key: str) -> Any:
        file = plugin_file(name)
        return name if not file else str(name).replace(file, self.path(file, key), 1)


def resolve(config: CampaignConfig, places: list[Path], source: str) -> CampaignConfig:
    """Return the configuration with every path found in one of the places.

    Raises
    ------
    ConfigError
        Names the key of a file that is nowhere.
    """
    find = _Finder(places, source)
    data = config.model_dump(mode="json")
    simulation, truth = data["simulation"], data["truth"]
    simulation["reader"] = find.plugin(simulation["reader"], "simulation.reader")
    if simulation["path"] is not None:
        simulation["path"] = find.path(simulation["path"], "simulation.path")
    if truth is not None and truth["path"] is not None:
        truth["path"] = find.path(truth["path"], "truth.path")
    for name, analysis in data["analyses"].items():
        for part, key in (
            (analysis["model"], "profile"),
            (analysis["model"], "concentration"),
            (analysis, "method"),
        ):
            part[key] = find.plugin(part[key], f"analyses.{name}.{key}")
    for name, binning in data["bins"].items():
        if binning["function"] is not None:
            binning["function"] = find.plugin(binning["function"], f"bins.{name}.function")
    return load_campaign(data, source)


def outside_files(config: CampaignConfig) -> list[str]:
    """Return the files that a resolved configuration names, each once."""
    files = [config.simulation.path, plugin_file(config.simulation.reader)]
    if config.truth is not None:
        files.append(config.truth.path)
    for analysis in config.analyses.values():
        files += [
            plugin_file(n) for n in (analysis.model.profile, analysis.model.concentration, analysis.method)
        ]
    files += [plugin_file(b.function) for b in config.bins.values()]
    return list(dict.fromkeys(f for f in files if f))


def check_plugins(config: CampaignConfig, source: str) -> None:
    """Load the user's functions and check options once, rather than in the first of a thousand jobs."""
    for name, binning in config.bins.items():
        if binning.function is not None:
            _named(f"{source}: bins.{name}.function", load_object, binning.function)
    for name, analysis in config.analyses.items():
        _named(f"{source}: analyses.{name}.options", check_options, analysis.method, analysis.options)


def _named(where: str, check: Any, *arguments: Any) -> None:
    try:
        check(*arguments)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def fingerprint(path: str, known: dict[str, Any] | None) -> dict[str, Any]:
    """Return size, time and content hash of a file or folder; the hash is reused if size and time agree."""
    files = sorted(p for p in Path(path).rglob("*") if p.is_file()) if Path(path).is_dir() else [Path(path)]
    stats = [p.stat() for p in files]
    stamp = [[s.st_size, s.st_mtime_ns] for s in stats]
    if known is not None and known.get("stamp") == stamp:
        return known
    digest = sha256()
    for file in files:
        digest.update(file.name.encode())
        with file.open("rb") as handle:
            while block := handle.read(1 << 22):
                digest.update(block)
    return {"stamp": stamp, "sha256": digest.hexdigest()}
