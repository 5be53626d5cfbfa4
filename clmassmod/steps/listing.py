"""The haloes that take part: ``halos.csv``, cut into the shards that jobs take.

A job reads the lines of its own shard and no others: the campaign's state holds the byte at which each shard
begins, and a shard of a single halo, which has the halo's name, is searched for.
"""

from __future__ import annotations

import csv
import io
import mmap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from clmassmod.errors import ConfigError, ReaderError
from clmassmod.records import HaloInfo

SINGLE = 250  # up to so many haloes, `auto` makes one job a halo
SHARDS = 100  # and beyond, at most so many jobs for each survey and analysis
LEAST = 20  # haloes of a job then: fewer take less time than its start


def shard_size(halos_per_job: int | str, n_halos: int) -> int:
    """Return how many haloes a job takes."""
    if not isinstance(halos_per_job, str):
        return halos_per_job
    return 1 if n_halos <= SINGLE else max(LEAST, -(-n_halos // SHARDS))


def shard_names(halo_ids: list[str], size: int) -> list[str]:
    """Return one name a shard: the halo's own where a shard is one halo."""
    if size == 1:
        return list(halo_ids)
    return [f"shard{i:05d}" for i in range(-(-len(halo_ids) // size))]


def halos_csv(halos: list[HaloInfo]) -> str:
    """Return the list of haloes as text, a line each."""
    extra = list(halos[0].extra)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["halo_id", "parent_id", "z", *extra])
    for halo in halos:
        values = [repr(float(halo.extra[k])) for k in extra]
        writer.writerow([halo.halo_id, halo.parent_id, repr(float(halo.z)), *values])
    if text.getvalue().count("\n") != len(halos) + 1:
        raise ReaderError("the reader gives identifiers or columns with an end of line in their names")
    return text.getvalue()


def ids_of(text: str) -> list[str]:
    """Return the identifiers in a list of haloes; they hold no comma, quote or end of line."""
    return [line.partition(",")[0] for line in text.split("\n")[1:-1]]


def extras_of(text: str) -> list[str]:
    """Return the names of the simulation's own columns in a list of haloes."""
    return next(csv.reader([text.partition("\n")[0]]))[3:]


def shard_starts(text: str, size: int) -> list[int]:
    """Return the byte at which each shard begins and the last one ends; none for shards of one halo."""
    if size == 1:
        return []
    starts, place = [], 0
    for number, line in enumerate(text.split("\n")[:-1]):
        if number and (number - 1) % size == 0:
            starts.append(place)
        place += len(line.encode()) + 1
    return [*starts, place]


def read_shard(path: Path, state: Mapping[str, Any], shard: str) -> list[HaloInfo]:
    """Return the haloes of a shard.

    Raises
    ------
    ConfigError
        If the campaign has no such shard.
    """
    starts = state["shard_starts"]
    with path.open("rb") as file:
        header = file.readline()
        if starts:
            number = int(shard[5:]) if shard.startswith("shard") and shard[5:].isdecimal() else -1
            known = 0 <= number < len(starts) - 1 and shard == f"shard{number:05d}"
            begin, end = (starts[number], starts[number + 1]) if known else (0, 0)
        else:
            begin, end = _line_of(file, shard)
        if begin == end:
            raise ConfigError(f"{path.parent}: no shard or halo {shard!r}; see {path}")
        file.seek(begin)
        lines = file.read(end - begin)
    return list(_halos((header + lines).decode().split("\n")[:-1]))


def _line_of(file: Any, halo_id: str) -> tuple[int, int]:
    """Return where the line of one halo begins and ends."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        begin = text.find(f"\n{halo_id},".encode()) + 1
        return (begin, text.find(b"\n", begin) + 1) if begin else (0, 0)


def read_halos(path: Path, wanted: Iterable[str]) -> Iterator[HaloInfo]:
    """Yield some haloes of a list, in the list's order."""
    names = set(wanted)
    with path.open(newline="", encoding="utf-8") as handle:
        yield from (halo for halo in _halos(handle) if halo.halo_id in names)


def _halos(lines: Iterable[str]) -> Iterator[HaloInfo]:
    reader = csv.reader(lines)
    names = next(reader)[3:]
    for halo_id, parent_id, z, *extra in reader:
        values = {k: float(v) for k, v in zip(names, extra, strict=True)}
        yield HaloInfo(halo_id, float(z), parent_id, MappingProxyType(values))
