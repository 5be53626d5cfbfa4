"""Preparing a campaign: everything that can be refused is refused here, before any job runs."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from clmassmod.config import CampaignConfig, content_hash, load_campaign
from clmassmod.errors import ConfigError
from clmassmod.readers.common import open_reader
from clmassmod.records import HaloInfo
from clmassmod.registry import load_object
from clmassmod.steps.paths import Campaign, fingerprint
from clmassmod.store.tree import write_text, write_text_if_changed

RESULTS = Path("results")


def prepare(
    config: dict[str, Any] | CampaignConfig,
    main_process: bool = True,
    source: str = "configuration",
    project: Path | str | None = None,
    dry_run: bool = False,
) -> Campaign:
    """Check a configuration, list the haloes and freeze both under ``results/<campaign>``.

    Parameters
    ----------
    config : dict or CampaignConfig
        The configuration as it was read.
    main_process : bool
        False in the processes of single jobs, which only open what the main process prepared.
    source : str
        The file that the configuration came from, for messages.
    project : path, optional
        A second place where relative paths are looked for, after the working directory.
    dry_run : bool
        Write and remove nothing: a dry run beside a running campaign must not disturb it.

    Raises
    ------
    ConfigError, ReaderError
        One line that names the key or file, what was found, and what is allowed.
    """
    checked = config if isinstance(config, CampaignConfig) else load_campaign(config, source)
    folder = RESULTS / checked.campaign
    if not main_process:
        return Campaign.open(folder)
    checked = _resolve(checked, [Path(), *([Path(project)] if project else [])], source)
    _check_plugins(checked, source)
    state, halos_text = _state(checked, folder, source)
    _check_kind(checked, state["kind"], source)
    campaign = Campaign(folder, checked, state)
    campaign = replace(campaign, stale=frozenset(str(m) for m in stale_markers(campaign)))
    if not dry_run:
        frozen = yaml.safe_dump(checked.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        if halos_text is not None:
            write_text_if_changed(campaign.halos_file, halos_text)
        write_text_if_changed(folder / "config.yaml", frozen)
        write_text_if_changed(folder / "campaign.json", json.dumps(state, sort_keys=True))
        for marker in campaign.stale:
            Path(marker).unlink(missing_ok=True)
    return campaign


def _state(config: CampaignConfig, folder: Path, source: str) -> tuple[dict[str, Any], str | None]:
    """Return what was found outside, and the list of haloes if it had to be made anew."""
    old = _old_state(folder)
    prints = {p: fingerprint(p, old.get("fingerprints", {}).get(p)) for p in _outside_files(config)}
    simulation = config.simulation
    seed = config.seed if simulation.path is None else None
    outside = [prints[p]["sha256"] for p in (simulation.path, simulation.reader.rpartition(":")[0]) if p in prints]
    listing = content_hash([simulation.model_dump(), config.cosmology.model_dump(), seed, outside])
    state: dict[str, Any] = {"fingerprints": prints, "listing": listing}
    text = None
    if old.get("listing") == listing and (folder / "halos.csv").is_file():
        state |= {k: old[k] for k in ("counts", "z_range", "halos_hash", "halo_ids", "kind")}
    else:
        halos, counts, kind = _list_halos(config, source)
        text = _halos_csv(halos)
        state |= {
            "counts": counts,
            "kind": kind,
            "z_range": [min(h.z for h in halos), max(h.z for h in halos)],
            "halos_hash": content_hash(text),
            "halo_ids": [h.halo_id for h in halos],
        }
    state["shards"] = shard_names(state["halo_ids"], config.halos_per_job)
    return state, text


def shard_names(halo_ids: list[str], halos_per_job: int) -> list[str]:
    """Return one name a shard: the halo's own where a shard is one halo."""
    if halos_per_job == 1:
        return list(halo_ids)
    return [f"shard{i:05d}" for i in range(-(-len(halo_ids) // halos_per_job))]


def shard_members(campaign: Campaign, shard: str) -> list[str]:
    """Return the halo ids of a shard."""
    ids = campaign.state["halo_ids"]
    size = campaign.config.halos_per_job
    try:
        position = campaign.state["shards"].index(shard)
    except ValueError:
        raise ConfigError(f"{campaign.root}: no shard or halo {shard!r}; see {campaign.halos_file}") from None
    return list(ids[position * size : (position + 1) * size])


def read_halos(campaign: Campaign, wanted: Iterable[str] | None = None) -> Iterator[HaloInfo]:
    """Yield the haloes of a campaign, or just those wanted, in the campaign's order."""
    names = None if wanted is None else set(wanted)
    with campaign.halos_file.open(newline="", encoding="utf-8") as handle:
        reader = csv.reader(handle)
        extra_names = next(reader)[3:]
        for halo_id, parent_id, z, *extra in reader:
            if names is None or halo_id in names:
                values = {k: float(v) for k, v in zip(extra_names, extra, strict=True)}
                yield HaloInfo(halo_id, float(z), parent_id, MappingProxyType(values))


def _halos_csv(halos: list[HaloInfo]) -> str:
    extra = list(halos[0].extra)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["halo_id", "parent_id", "z", *extra])
    for halo in halos:
        values = [repr(float(halo.extra[k])) for k in extra]
        writer.writerow([halo.halo_id, halo.parent_id, repr(float(halo.z)), *values])
    return text.getvalue()


def _old_state(folder: Path) -> dict[str, Any]:
    try:
        state = json.loads((folder / "campaign.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def _list_halos(config: CampaignConfig, source: str) -> tuple[list[HaloInfo], dict[str, int], str]:
    simulation = config.simulation
    reader = open_reader(simulation, config.cosmology.build(), config.seed)
    halos = reader.halos()
    counts = {"in the simulation": len(halos)}
    select = simulation.select
    if select.halo_ids is not None:
        missing = sorted(set(select.halo_ids) - {h.halo_id for h in halos})
        if missing:
            raise ConfigError(
                f"{source}: simulation.select.halo_ids: {simulation.path} has no halo {missing[0]!r}"
                + (f" nor {len(missing) - 1} others" if len(missing) > 1 else "")
            )
        wanted = set(select.halo_ids)
        halos = [h for h in halos if h.halo_id in wanted]
    if select.z is not None:
        lo, hi = select.z
        halos = [h for h in halos if lo <= h.z <= hi]
    if select.max_halos is not None:
        halos = halos[: select.max_halos]
    counts["selected"] = len(halos)
    if not halos:
        total = counts["in the simulation"]
        raise ConfigError(
            f"{source}: simulation.select leaves none of the {total} haloes of {simulation.path}; widen it"
        )
    return halos, counts, str(reader.kind)


def _check_kind(config: CampaignConfig, kind: str, source: str) -> None:
    for name, analysis in config.analyses.items():
        if kind == "map" and analysis.survey is None:
            raise ConfigError(
                f"{source}: analyses.{name}.survey: reader {config.simulation.reader!r} gives maps, which need a "
                f"survey (known: {', '.join(config.surveys) or 'none'})"
            )
        if kind == "profile" and analysis.survey is not None:
            raise ConfigError(
                f"{source}: analyses.{name}.survey: reader {config.simulation.reader!r} gives measured profiles, "
                "which take no survey; remove the key"
            )


def _resolve(config: CampaignConfig, places: list[Path], source: str) -> CampaignConfig:
    """Return the configuration with every path found, in the working directory or the project."""

    def find(path: str, key: str) -> str:
        for place in places:
            if (place / path).exists():
                return os.path.normpath(place / path)
        raise ConfigError(f"{source}: {key}: no file {path} (looked in {', '.join(str(p.resolve()) for p in places)})")

    def find_plugin(name: Any, key: str) -> Any:
        file, separator, attribute = str(name).rpartition(":")
        if separator and file.endswith(".py"):
            return f"{find(file, key)}:{attribute}"
        if str(name).endswith((".ecsv", ".csv", ".h5")):
            return find(str(name), key)
        return name

    data = config.model_dump(mode="json")
    simulation = data["simulation"]
    simulation["reader"] = find_plugin(simulation["reader"], "simulation.reader")
    if simulation["path"] is not None:
        simulation["path"] = find(simulation["path"], "simulation.path")
    if data["truth"] is not None and data["truth"]["path"] is not None:
        data["truth"]["path"] = find(data["truth"]["path"], "truth.path")
    for name, analysis in data["analyses"].items():
        model = analysis["model"]
        for key in ("profile", "concentration"):
            model[key] = find_plugin(model[key], f"analyses.{name}.model.{key}")
        analysis["method"] = find_plugin(analysis["method"], f"analyses.{name}.method")
    for name, binning in data["bins"].items():
        if binning["function"] is not None:
            binning["function"] = find_plugin(binning["function"], f"bins.{name}.function")
    return load_campaign(data, source)


def _outside_files(config: CampaignConfig) -> list[str]:
    names: list[str | float | None] = [config.simulation.reader, config.simulation.path]
    if config.truth is not None:
        names.append(config.truth.path)
    for analysis in config.analyses.values():
        names += [analysis.model.profile, analysis.model.concentration, analysis.method]
    names += [b.function for b in config.bins.values()]
    files = [str(n).rpartition(":")[0] if ".py:" in str(n) else str(n) for n in names if n is not None]
    return list(dict.fromkeys(f for f in files if Path(f).exists()))


def _check_plugins(config: CampaignConfig, source: str) -> None:
    """Load the user's functions and check options once, rather than in the first of a thousand jobs."""
    from clmassmod.fitters import check_options  # noqa: PLC0415  (light, but jobs that only open need it not)

    for name, binning in config.bins.items():
        if binning.function is not None:
            try:
                load_object(binning.function)
            except ConfigError as error:
                raise ConfigError(f"{source}: bins.{name}.function: {error}") from None
    for name, analysis in config.analyses.items():
        try:
            check_options(analysis.method, analysis.options)
        except ConfigError as error:
            raise ConfigError(f"{source}: analyses.{name}.options: {error}") from None


def stale_markers(campaign: Campaign) -> Iterator[Path]:
    """Yield the markers of shards whose results are gone or belong to another configuration."""
    for survey in campaign.surveys:
        yield from _stale(campaign, "mocks", survey, campaign.hash("mock", survey))
    for analysis in campaign.analyses:
        yield from _stale(campaign, "fits", analysis, campaign.hash("fit", analysis))


def _stale(campaign: Campaign, step: str, name: str, wanted_hash: str) -> Iterator[Path]:
    folder = campaign.folder / "markers" / step / name
    if not folder.is_dir():
        return
    results = campaign.folder / step / name
    present = set(os.listdir(results)) if results.is_dir() else set()
    known = set(campaign.shards)
    for marker in sorted(folder.glob("*.json")):
        if not (marker.stem in known and _marker_holds(marker, wanted_hash, present)):
            yield marker


def _marker_holds(marker: Path, wanted_hash: str, present: set[str]) -> bool:
    try:
        content = json.loads(marker.read_text(encoding="utf-8"))
        halos = content["halos"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    if content.get("hash") != wanted_hash:
        return False
    return all((f"{h}.failed.json" if s == "failed" else f"{h}.h5") in present for h, s in halos.items())


def write_marker(campaign: Campaign, step: str, name: str, shard: str, config_hash: str, halos: dict[str, str]) -> None:
    """Say that a shard is done, and how each of its haloes ended."""
    text = json.dumps({"hash": config_hash, "halos": halos}, sort_keys=True)
    write_text(campaign.marker_file(step, name, shard), text)


