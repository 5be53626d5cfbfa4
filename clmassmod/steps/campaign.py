"""Preparing a campaign: everything that can be refused is refused here, before any job runs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from clmassmod.config import CampaignConfig, content_hash, load_campaign
from clmassmod.errors import ConfigError, TruthError
from clmassmod.readers.common import open_reader
from clmassmod.records import HaloInfo
from clmassmod.registry import READERS
from clmassmod.steps.layout import remove_if_abandoned, settle
from clmassmod.steps.lock import hold
from clmassmod.steps.markers import stale_markers
from clmassmod.steps.mend import damaged
from clmassmod.steps.paths import Campaign
from clmassmod.steps.sources import check_plugins, files_in, fingerprint, resolve
from clmassmod.store import write_text_if_changed

RESULTS = Path("results")
_LISTED = {"counts", "z_range", "halos_hash", "halo_ids", "kind"}  # what listing the haloes finds


def prepare(
    config: dict[str, Any] | CampaignConfig,
    main_process: bool = True,
    source: str = "configuration",
    project: Path | str | None = None,
    dry_run: bool = False,
    exclusive: bool = False,
    tell: Callable[[str], None] | None = None,
    results: Path = RESULTS,
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
    exclusive : bool
        Hold the campaign to the end of this process; refuse while another has it.
    tell : callable
        Takes a line on each damaged file that was removed, to be made again.
    results : path
        Folder of all campaigns.

    Raises
    ------
    ConfigError, ReaderError
        One line that names the key or file, what was found, and what is allowed.
    """
    checked = config if isinstance(config, CampaignConfig) else load_campaign(config, source)
    folder = results / checked.campaign
    if not main_process:
        return Campaign.open(folder)
    checked = resolve(checked, [Path(), *([Path(project)] if project else [])], source)
    check_plugins(checked, source)
    exclusive = exclusive and not dry_run
    if exclusive and folder.is_dir():  # what is refused below leaves no new folder
        hold(folder)
    state, halos_text = _state(checked, folder, source)
    _check_kind(checked, state["kind"], source)
    if checked.truth is not None:
        state["truth"] = _check_truth(checked, state, _old_state(folder).get("truth"), source)
    campaign = Campaign(folder, checked, state)
    campaign = replace(campaign, stale=frozenset(str(m) for m in stale_markers(campaign)))
    if exclusive:
        hold(folder)
    if not dry_run:
        _freeze(campaign, halos_text, tell)
    return campaign


def _freeze(campaign: Campaign, halos_text: str | None, tell: Callable[[str], None] | None) -> None:
    """Write what was prepared, and remove what does not belong to it."""
    for _, _, halo_files in campaign.halo_folders():
        settle(halo_files, campaign.digits)
    for pattern in (".*.tmp", "markers/*/*/.*.tmp", "bins/.*.tmp", "*/*/.*.tmp"):
        for path in campaign.folder.glob(pattern):
            remove_if_abandoned(path)
    frozen = yaml.safe_dump(campaign.config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    if halos_text is not None:
        write_text_if_changed(campaign.halos_file, halos_text)
    write_text_if_changed(campaign.folder / "config.yaml", frozen)
    write_text_if_changed(campaign.folder / "campaign.json", json.dumps(campaign.state, sort_keys=True))
    for marker in campaign.stale:
        Path(marker).unlink(missing_ok=True)
    for path, why in damaged(campaign):
        path.unlink(missing_ok=True)
        if why and tell is not None:
            tell(f"{why.partition('; ')[0]}; it is made again")


def _state(config: CampaignConfig, folder: Path, source: str) -> tuple[dict[str, Any], str | None]:
    """Return what was found outside, and the list of haloes if it had to be made anew."""
    old = _old_state(folder)
    prints = {
        p: fingerprint(p, old.get("fingerprints", {}).get(p))
        for p in files_in(config.model_dump(mode="json"))
    }
    simulation = config.simulation
    seed = config.seed if simulation.path is None else None
    outside = [
        prints[p]["sha256"] for p in (simulation.path, simulation.reader.rpartition(":")[0]) if p in prints
    ]
    own = {s: config.simulation_of(s).model_dump() for s in config.surveys_of_own_simulation}
    listing = content_hash(
        [simulation.model_dump(), config.cosmology.model_dump(), seed, outside, *([own] if own else [])]
    )
    state: dict[str, Any] = {"fingerprints": prints, "listing": listing}
    text = None
    if old.get("listing") == listing and _list_is_whole(folder / "halos.csv", old):
        state |= {k: old[k] for k in _LISTED}
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


def _check_truth(config: CampaignConfig, state: dict[str, Any], known: str | None, source: str) -> str:
    """Refuse a truth table that `compare` could not use, hours before it would; nothing of it is kept."""
    truth = config.truth
    assert truth is not None
    path = truth.path or config.simulation.path
    prints = [state["fingerprints"][path]["sha256"]] if path is not None else []
    key = content_hash([truth.model_dump(), prints, state["halos_hash"]])
    if key != known:
        masses = read_truth_of(config)
        wrong = [h for h in state["halo_ids"] if h in getattr(masses, "bad", {})]
        if wrong:
            raise TruthError(
                f"{source}: truth: {path}: the true mass of {wrong[0]!r}, {masses.bad[wrong[0]]:g}, is no "
                f"positive number ({len(wrong)} of {len(state['halo_ids'])} haloes); correct or drop it"
            )
        missing = [h for h in state["halo_ids"] if h not in masses]
        if missing and not truth.allow_missing:
            named = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
            raise TruthError(
                f"{source}: truth: {path or 'the reader'} has no true mass of {len(missing)} of "
                f"{len(state['halo_ids'])} haloes: {named}; complete it, or set truth.allow_missing: true"
            )
        if len(missing) == len(state["halo_ids"]):
            raise TruthError(f"{source}: truth: {path or 'the reader'} has a true mass of none of the haloes")
    return key


def read_truth_of(config: CampaignConfig) -> Any:
    """Return the true masses of a campaign, a mapping of halo id to mass [Msun]."""
    from clmassmod.bias import truth as truth_module

    truth = config.truth
    assert truth is not None
    path = truth.path or config.simulation.path
    if path is None or (truth.path is None and hasattr(READERS.load(config.simulation.reader), "truth")):
        reader = open_reader(config.simulation, config.cosmology.build(), config.seed)
        return truth_module.from_reader(reader, truth.mass_definition)
    return truth_module.read_truth(
        path,
        halo_id=truth.halo_id,
        mass=truth.mass,
        unit=truth.unit,
        h=config.cosmology.H0 / 100,
        mass_definition=truth.mass_definition,
    )


def shard_names(halo_ids: list[str], halos_per_job: int) -> list[str]:
    """Return one name a shard: the halo's own where a shard is one halo."""
    if halos_per_job == 1:
        return list(halo_ids)
    return [f"shard{i:05d}" for i in range(-(-len(halo_ids) // halos_per_job))]


def shard_members(campaign: Campaign, shard: str) -> list[str]:
    """Return the halo ids of a shard."""
    try:
        return list(campaign.members[shard])
    except KeyError:
        raise ConfigError(f"{campaign.root}: no shard or halo {shard!r}; see {campaign.halos_file}") from None


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
    """Return what an earlier run found, or nothing where that is damaged."""
    try:
        state = json.loads((folder / "campaign.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    whole = (
        isinstance(state, dict) and isinstance(state.get("fingerprints"), dict) and state.keys() >= _LISTED
    )
    return state if whole else {}


def _list_is_whole(path: Path, old: dict[str, Any]) -> bool:
    """Return whether a list of haloes is the one that an earlier run wrote."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    ids = [line.partition(",")[0] for line in text.splitlines()[1:]]
    return bool(content_hash(text) == old["halos_hash"] and ids == old["halo_ids"])


def _list_halos(config: CampaignConfig, source: str) -> tuple[list[HaloInfo], dict[str, int], str]:
    simulation = config.simulation
    reader = open_reader(simulation, config.cosmology.build(), config.seed)
    place = simulation.path or f"reader {simulation.reader!r}"
    halos = reader.halos()
    _check_same_halos(config, reader, source)
    counts = {"in the simulation": len(halos), **getattr(reader, "left_out", {})}
    select = simulation.select
    if select.halo_ids is not None:
        missing = sorted(set(select.halo_ids) - {h.halo_id for h in halos})
        if missing:
            raise ConfigError(
                f"{source}: simulation.select.halo_ids: {place} has no halo {missing[0]!r}"
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
            f"{source}: simulation.select leaves none of the {total} haloes of {place}; widen it"
        )
    return halos, counts, str(reader.kind)


def _check_same_halos(config: CampaignConfig, reader: Any, source: str) -> None:
    """Refuse a survey whose options of the reader give other haloes, not the same ones with other physics."""
    for survey in config.surveys_of_own_simulation:
        where = f"{source}: surveys.{survey}.simulation_options"
        try:
            other = open_reader(config.simulation_of(survey), config.cosmology.build(), config.seed)
            same = _identities(other) == _identities(reader)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from None
        if not same:
            raise ConfigError(
                f"{where}: other haloes than those of the simulation: ids, redshifts or true masses differ; "
                "the options may change what the haloes look like alone"
            )


def _identities(reader: Any) -> list[tuple[str, str, float, float | None]]:
    truth = reader.truth() if hasattr(reader, "truth") else {}
    return [(h.halo_id, h.parent, h.z, truth.get(h.halo_id)) for h in reader.halos()]


def _check_kind(config: CampaignConfig, kind: str, source: str) -> None:
    for name, analysis in config.analyses.items():
        where = f"{source}: analyses.{name}.survey: reader {config.simulation.reader!r}"
        if kind == "map" and analysis.survey is None:
            known = ", ".join(config.surveys) or "none"
            raise ConfigError(f"{where} gives maps, which need a survey (known: {known})")
        if kind == "profile" and analysis.survey is not None:
            raise ConfigError(f"{where} gives measured profiles, which take no survey; remove the key")
