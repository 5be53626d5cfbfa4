"""What every job of a campaign reads and is small is checked when a run starts, and made again if damaged.

A thousand jobs would otherwise fail by one flipped bit. Files of single haloes, and the large ones, are
verified by the jobs that read them.
"""

from __future__ import annotations

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
