"""Where files of single haloes lie: flat up to 1,000 haloes, in sub-folders of at most about 1,000 beyond.

The sub-folder is the beginning of the CRC-32 of the halo's id, as many hexadecimal digits as the number of
haloes in the simulation needs. Neither the selection nor the batch size moves a file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from zlib import crc32

from clmassmod.steps.lock import is_running

FILES_PER_FOLDER = 1000
RESULT = ".h5"
FAILURE = ".failed.json"
_SUB_FOLDER = re.compile(r"[0-9a-f]{1,8}")


def digits_for(n_halos: int) -> int:
    """Return how many hexadecimal digits the sub-folders of so many haloes have; none: the files lie flat."""
    digits = 0
    while n_halos > FILES_PER_FOLDER * 16**digits:
        digits += 1
    return digits


def halo_file(folder: Path, halo_id: str, digits: int, suffix: str = RESULT) -> Path:
    """Return the file of one halo below the folder of a survey's mocks or an analysis' fits."""
    if digits == 0:
        return folder / f"{halo_id}{suffix}"
    return folder / sub_folder(halo_id, digits) / f"{halo_id}{suffix}"


def sub_folder(halo_id: str, digits: int) -> str:
    """Return the sub-folder of a halo."""
    return f"{crc32(halo_id.encode()):08x}"[:digits]


def entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield the files in a folder and its sub-folders; none where there is no folder."""
    with suppress(FileNotFoundError), os.scandir(folder) as listed:
        for entry in listed:
            if not entry.is_dir(follow_symlinks=False):
                yield entry
            elif _SUB_FOLDER.fullmatch(entry.name):
                yield from entries(Path(entry.path))


def result_files(folder: Path) -> list[str]:
    """Return the result files of a folder, flat or in sub-folders, by the order of their haloes' ids."""
    found = (e for e in entries(folder) if e.name.endswith(RESULT) and not e.name.startswith("."))
    return [e.path for e in sorted(found, key=lambda e: e.name)]


def failure_records(folder: Path) -> list[Path]:
    """Return the records of failed haloes of a folder, by the order of their ids."""
    found = (e for e in entries(folder) if e.name.endswith(FAILURE))
    return [Path(e.path) for e in sorted(found, key=lambda e: e.name)]


def counts(folder: Path) -> tuple[int, int]:
    """Return how many haloes of a folder have a result, and how many failed; no file is opened."""
    done = failed = 0
    for entry in entries(folder):
        done += entry.name.endswith(RESULT) and not entry.name.startswith(".")
        failed += entry.name.endswith(FAILURE)
    return done, failed


def digits_of(folder: Path) -> int:
    """Return the digits of the sub-folders that a folder has, 0 if it has none."""
    with suppress(FileNotFoundError), os.scandir(folder) as listed:
        for entry in listed:
            if _SUB_FOLDER.fullmatch(entry.name) and entry.is_dir():
                return len(entry.name)
    return 0


def remove_if_abandoned(entry: os.DirEntry[str] | Path) -> None:
    """Remove a file under a temporary name whose writer does not live any more.

    A writer on another host is taken for dead; its job then fails and is repeated.
    """
    if entry.name.startswith(".") and entry.name.endswith(".tmp"):
        process = entry.name.split(".")[-2]
        if process.isdigit() and not is_running(int(process)):
            Path(entry).unlink(missing_ok=True)


def settle(folder: Path, digits: int) -> int:
    """Move files that lie as for another number of haloes to where they belong; return how many.

    What processes that were killed had begun to write is removed.
    """
    moves = []
    for entry in entries(folder):
        remove_if_abandoned(entry)
        suffix = next((s for s in (RESULT, FAILURE) if entry.name.endswith(s)), None)
        if suffix is not None and not entry.name.startswith("."):
            place = halo_file(folder, entry.name.removesuffix(suffix), digits, suffix)
            if os.fspath(place) != entry.path:
                moves.append((Path(entry.path), place))
    for old, new in moves:
        new.parent.mkdir(exist_ok=True)
        old.replace(new)
    for left in {old.parent for old, _ in moves} - {folder}:
        with suppress(OSError):  # not empty
            left.rmdir()
    return len(moves)
