"""What is put right when a run starts: damaged files that every job reads, and times that are yet to come.

A thousand jobs would otherwise fail by one flipped bit. Files of single haloes, and the large ones, are
verified by the jobs that read them. Files that a clock running ahead has dated later than now would make
Snakemake fail every job that reads them, since what it makes of them is older.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from clmassmod.errors import StoreError
from clmassmod.steps.paths import Campaign, parse_bins
from clmassmod.store import read_tree


def damaged(campaign: Campaign) -> Iterator[tuple[Path, str]]:
    """Yield tables and lists of bins that cannot be used, and why; nothing where they are just of before."""
    for path, read in _shared(campaign):
        try:
            found, wanted = read()
        except StoreError as error:
            yield path, str(error)
        else:
            if found != wanted:
                yield path, ""


def _shared(campaign: Campaign) -> Iterator[tuple[Path, Callable[[], tuple[Any, Any]]]]:
    tables = campaign.tables_file
    if tables.is_file():
        wanted = campaign.hash("tables")
        yield tables, lambda: (read_tree(tables, "tables")["provenance"].get("config_hash"), wanted)
    for name in campaign.analyses:
        path = campaign.bins_file(name)
        if path.is_file():
            wanted = campaign.hash("bins", name)
            yield path, lambda path=path, wanted=wanted: (parse_bins(path)["config_hash"], wanted)  # type: ignore[misc]


def bring_back_from_the_future(campaign: Campaign) -> int:
    """Date files of the workflow's rules that are later than now to now, in their order; return how many."""
    now = time.time_ns()
    found = [campaign.tables_file]
    for folder in ("markers", "bins", "ensembles", "comparisons", "report"):
        found += (campaign.folder / folder).rglob("*.*")
    times = {path: path.stat().st_mtime_ns for path in found if path.is_file()}
    late = sorted((t, path) for path, t in times.items() if t > now)
    for i, (_, path) in enumerate(late):
        os.utime(path, ns=(now, now - 1000 * (len(late) - 1 - i)))
    return len(late)
