"""Preparing a campaign: everything that can be refused is refused here, before any job runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from clmassmod.config import CampaignConfig, content_hash, load_campaign
from clmassmod.errors import ConfigError, TruthError
from clmassmod.fitters import quantities
from clmassmod.readers.common import open_reader
from clmassmod.records import HaloInfo
from clmassmod.registry import READERS, suggest
from clmassmod.steps.layout import RESULT, remove_if_abandoned, settle
from clmassmod.steps.listing import extras_of, halos_csv, ids_of, shard_size, shard_starts
from clmassmod.steps.lock import hold
from clmassmod.steps.markers import stale_markers
from clmassmod.steps.mend import bring_back_from_the_future, damaged
from clmassmod.steps.paths import Campaign
from clmassmod.steps.sources import check_plugins, files_in, fingerprint, resolve
from clmassmod.store import write_text_if_changed

RESULTS = Path("results")
_LISTED = {"counts", "z_range", "halos_hash", "n_halos", "kind"}  # what listing the haloes finds


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
    state, listing = _state(checked, folder, source)
    _check_kind(checked, state["kind"], source)
    _check_quantities(checked, extras_of(listing), source)
    if checked.truth is not None:
        known = _old_state(folder).get("truth")
        state["truth"] = _check_truth(checked, state, ids_of(listing), known, source)
    campaign = Campaign(folder, checked, state, listing=listing)
    campaign = replace(campaign, stale=frozenset(str(m) for m in stale_markers(campaign)))
    if exclusive:
        hold(folder)
    if not dry_run:
        _freeze(campaign, tell)
    return campaign


def _freeze(campaign: Campaign, tell: Callable[[str], None] | None) -> None:
    """Write what was prepared, and remove what does not belong to it."""
    for _, _, halo_files in campaign.halo_folders():
        settle(halo_files, campaign.digits)
    for pattern in (".*.tmp", "markers/*/*/.*.tmp", "bins/.*.tmp", "*/*/.*.tmp"):
        for path in campaign.folder.glob(pattern):
            remove_if_abandoned(path)
    frozen = yaml.safe_dump(campaign.config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    write_text_if_changed(campaign.halos_file, campaign.listing)
    write_text_if_changed(campaign.folder / "config.yaml", frozen)
    write_text_if_changed(campaign.folder / "campaign.json", json.dumps(campaign.state, sort_keys=True))
    for marker in campaign.stale:
        Path(marker).unlink(missing_ok=True)
        Path(marker).with_suffix(RESULT).unlink(missing_ok=True)  # what the shard held
    for path, why in damaged(campaign):
        path.unlink(missing_ok=True)
        if why and tell is not None:
            tell(f"{why.partition('; ')[0]}; it is made again")
    late = bring_back_from_the_future(campaign)
    if late and tell is not None:
        tell(f"{campaign.root}: {late} files of a clock that ran ahead are dated to now")


def _state(config: CampaignConfig, folder: Path, source: str) -> tuple[dict[str, Any], str]:
    """Return what was found outside, and the list of haloes, which is made anew where it has to be."""
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
    text = _listed(folder, old) if old.get("listing") == listing else ""
    if text:
        state |= {k: old[k] for k in _LISTED}
    else:
        halos, counts, kind = _list_halos(config, source)
        text = halos_csv(halos)
        state |= {
            "counts": counts,
            "kind": kind,
            "z_range": [min(h.z for h in halos), max(h.z for h in halos)],
            "halos_hash": content_hash(text),
            "n_halos": len(halos),
        }
    size = shard_size(config.halos_per_job, state["n_halos"])
    return state | {"shard_size": size, "shard_starts": shard_starts(text, size)}, text


def _listed(folder: Path, old: dict[str, Any]) -> str:
    """Return the list of haloes that was made before; empty if it is not what it was."""
    with suppress(OSError, UnicodeDecodeError):
        text = (folder / "halos.csv").read_text(encoding="utf-8")
        if content_hash(text) == old["halos_hash"]:
            return text
    return ""


def _check_truth(
    config: CampaignConfig, state: dict[str, Any], halo_ids: list[str], known: str | None, source: str
) -> str:
    """Refuse a truth table that `compare` could not use, hours before it would; nothing of it is kept."""
    truth = config.truth
    assert truth is not None
    path = truth.path or config.simulation.path
    prints = [state["fingerprints"][path]["sha256"]] if path is not None else []
    key = content_hash([truth.model_dump(), prints, state["halos_hash"]])
    if key != known:
        masses = read_truth_of(config)
        wrong = [h for h in halo_ids if h in getattr(masses, "bad", {})]
        if wrong:
            raise TruthError(
                f"{source}: truth: {path}: the true mass of {wrong[0]!r}, {masses.bad[wrong[0]]:g}, is no "
                f"positive number ({len(wrong)} of {len(halo_ids)} haloes); correct or drop it"
            )
        missing = [h for h in halo_ids if h not in masses]
        if missing and not truth.allow_missing:
            named = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
            raise TruthError(
                f"{source}: truth: {path or 'the reader'} has no true mass of {len(missing)} of "
                f"{len(halo_ids)} haloes: {named}; complete it, or set truth.allow_missing: true"
            )
        if len(missing) == len(halo_ids):
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


def _check_quantities(config: CampaignConfig, extra: list[str], source: str) -> None:
    """Refuse bins in a quantity that no halo will have; what a fitter of the user's gives is not known."""
    for name, binning in config.bins.items():
        for analysis in config.analyses.values():
            of_fits = quantities(analysis.method)
            known = ["z", *extra, *(of_fits or ())]
            wrong = [q for q in binning.by or {} if q not in known]
            if wrong and of_fits is not None:
                text = f"haloes have no quantity {wrong[0]!r}{suggest(wrong[0], known)}"
                raise ConfigError(f"{source}: bins.{name}.by: {text}")


def _check_kind(config: CampaignConfig, kind: str, source: str) -> None:
    for name, analysis in config.analyses.items():
        where = f"{source}: analyses.{name}.survey: reader {config.simulation.reader!r}"
        if kind == "map" and analysis.survey is None and analysis.pixels is None:
            known = ", ".join(config.surveys) or "none"
            raise ConfigError(
                f"{where} gives maps, which need a survey (known: {known}), or pixels: {{noise: …}}"
            )
        if kind != "map" and analysis.pixels is not None:
            raise ConfigError(
                f"{where} gives no maps, whose pixels could be fitted; remove analyses.{name}.pixels"
            )
        if kind == "profile" and analysis.survey is not None:
            raise ConfigError(f"{where} gives measured profiles, which take no survey; remove the key")
