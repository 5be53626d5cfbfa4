"""Read every result file of a campaign, as the steps that use it would, and say which cannot be used."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from clmassmod.errors import ConfigError, StoreError
from clmassmod.steps import layout
from clmassmod.steps.gather import posterior_origin
from clmassmod.steps.paths import Campaign, read_bins
from clmassmod.steps.population import load_population
from clmassmod.store import check_origin, load_catalog, load_fit, load_posterior, read_tree


def verify_campaign(campaign: Campaign) -> Iterator[tuple[Path, str | None]]:
    """Yield each result file that is there, and what is wrong with it or None.

    Checksum, kind, halo and configuration are verified; a file that is missing is no finding.
    """
    for path, read in _files(campaign):
        if not path.is_file():
            continue
        try:
            read()
        except (StoreError, ConfigError) as error:
            yield path, str(error)
        except (ValueError, KeyError, TypeError, AttributeError) as error:  # of text files
            yield path, f"{path}: damaged ({type(error).__name__}: {error}); remove it and run again"
        else:
            yield path, None


def _files(campaign: Campaign) -> Iterator[tuple[Path, Callable[[], Any]]]:
    yield campaign.tables_file, lambda: _tables(campaign)
    for step, name, folder in campaign.halo_folders():
        yield from _halo_files(campaign, step, name, folder)
    for analysis in campaign.analyses:
        yield from _population_files(campaign, analysis)


def _halo_files(
    campaign: Campaign, step: str, name: str, folder: Path
) -> Iterator[tuple[Path, Callable[[], Any]]]:
    load = load_catalog if step == "mocks" else load_fit
    wanted = campaign.hash(step.removesuffix("s"), name)
    known = set(campaign.halo_ids)
    for text in layout.result_files(folder):
        path = Path(text)
        if path.stem in known:  # others are of a selection of before, and are left alone
            yield path, lambda path=path: load(path, path.stem, wanted)  # type: ignore[misc]
    for record in layout.failure_records(folder):
        yield record, lambda record=record: json.loads(record.read_text())["reason"]  # type: ignore[misc]


def _population_files(campaign: Campaign, analysis: str) -> Iterator[tuple[Path, Callable[[], Any]]]:
    bins = campaign.bins_file(analysis)
    yield bins, lambda: read_bins(campaign, analysis)["bins"].items()
    population = campaign.population_file(analysis)
    yield population, lambda: load_population(population, campaign.hash("bins", analysis))
    for step, file in (("ensemble", campaign.ensemble_file), ("compare", campaign.comparison_file)):
        for path in sorted(file(analysis, "x").parent.glob("[!.]*.nc")):
            origin = posterior_origin(campaign, step, analysis, path.stem)
            yield path, lambda path=path, origin=origin: load_posterior(path, **origin)  # type: ignore[misc]


def _tables(campaign: Campaign) -> None:
    path = campaign.tables_file
    origin = {"config_hash": campaign.hash("tables")}
    check_origin(path, read_tree(path, "tables")["provenance"], origin)
