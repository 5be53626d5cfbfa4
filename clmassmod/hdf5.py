"""HDF5 files of users: opened for reading, and refused where they reach beyond themselves or claim too much.

A file of somebody else may link to other files of whoever reads it, declare arrays that no machine holds, or
loop. Nothing of this is followed. What the HDF5 library does with damaged bytes is beyond us: files of our
own are verified by their checksum before it sees them, those of users cannot be.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from clmassmod.errors import ReaderError

MAX_LINKS = 16  # soft links on the way to one object
MAX_NAMES = 200  # that a message lists
MAX_LEVELS = 8  # of groups that are searched for names
MOST_PACKED = 2000  # bytes that one stored byte may stand for; gzip reaches 1030
SMALL = 2**28  # bytes that any dataset may claim


def open_hdf5(path: Path) -> h5py.File:
    """Return the open file; it is not locked, so that jobs on a network file system share it."""
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        reason = (
            "no such file" if not path.exists() else f"not a whole HDF5 file ({' '.join(str(error).split())})"
        )
        raise ReaderError(f"{path}: {reason}") from None


def find(holder: h5py.Group, name: str, path: Path, links: int = 0) -> Any:
    """Return a group or dataset by its path inside the file, or None; its links are followed within the file.

    Raises
    ------
    ReaderError
        For a link to another file, and for links in a circle.
    """
    item: Any = holder.file if name.startswith("/") else holder
    for part in filter(None, name.split("/")):
        if not isinstance(item, h5py.Group):
            return None
        link = _link(item, part, path)
        if isinstance(link, h5py.ExternalLink):
            raise ReaderError(
                f"{path}: {part!r} is a link to another file, {link.filename}, which is not followed; "
                "copy the data into this file (h5repack, h5copy)"
            )
        if isinstance(link, h5py.SoftLink):
            if links >= MAX_LINKS:
                raise ReaderError(f"{path}: {part!r} leads from link to link without end")
            links += 1
            item = find(item, link.path, path, links)
        else:
            item = None if link is None else item[part]
        if item is None:
            return None
    return item


def _link(group: h5py.Group, name: str, path: Path) -> Any:
    try:
        return group.get(name, getlink=True)
    except (OSError, RuntimeError, TypeError, ValueError):  # a kind of link that h5py does not know
        raise ReaderError(f"{path}: {name!r} is a link of an unknown kind, which is not followed") from None


def check_dataset(data: h5py.Dataset, path: Path) -> None:
    """Raise ReaderError for data in other files, objects and references, and absurd claims of size."""
    where = f"{path}: dataset {data.name!r}"
    if data.is_virtual or data.external:
        raise ReaderError(f"{where} takes its data from other files; copy them into this one (h5repack)")
    kinds = [data.dtype] if data.dtype.names is None else [data.dtype[n].base for n in data.dtype.names]
    for dtype in kinds:
        if dtype.kind not in "biufSU" and not h5py.check_string_dtype(dtype):
            raise ReaderError(f"{where} holds {h5py.check_dtype(vlen=dtype) or dtype}, not numbers or text")
    claimed = (data.size or 0) * data.dtype.itemsize
    if claimed > max(SMALL, MOST_PACKED * data.id.get_storage_size()):
        raise ReaderError(
            f"{where} claims {claimed / 1e9:.3g} GB, but {data.id.get_storage_size()} bytes of it are there"
        )


def load(data: h5py.Dataset, path: Path, selection: Any = ()) -> Any:
    """Return values of a dataset; ReaderError for what ``check_dataset`` refuses, or was cut short.

    One that is read as a whole has to fit into the machine's memory.
    """
    check_dataset(data, path)
    where = f"{path}: dataset {data.name!r}"
    if isinstance(selection, tuple) and not selection:
        wanted = (data.size or 0) * data.dtype.itemsize
        if wanted > SMALL and wanted > _memory():
            raise ReaderError(f"{where} has {wanted / 1e9:.3g} GB, more than the memory of this machine")
    try:
        return data[selection]
    except (OSError, RuntimeError) as error:
        text = " ".join(str(error).split())
        raise ReaderError(f"{where} is truncated or damaged ({text})") from None
    except MemoryError:
        raise ReaderError(f"{where} of shape {data.shape} does not fit into memory") from None


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def names(group: h5py.Group, level: int = 0) -> list[str]:
    """Return the datasets below a group, for messages: not all of very many, and none behind links."""
    found: list[str] = []
    for name in group:
        if len(found) >= MAX_NAMES or not isinstance(group.get(name, getlink=True), h5py.HardLink):
            continue
        item = group[name]
        if isinstance(item, h5py.Dataset):
            found.append(name)
        elif isinstance(item, h5py.Group) and level < MAX_LEVELS:
            found += [f"{name}/{inner}" for inner in names(item, level + 1)]
    return found[:MAX_NAMES]


def text_of(value: Any) -> str:
    """Return an attribute as text, whatever its bytes are."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def columns(group: h5py.Group, path: Path) -> dict[str, h5py.Dataset]:
    """Return the datasets of a group by name; ReaderError for a link that leads out of the file."""
    found = {}
    for name in group:
        if isinstance(group.get(name, getlink=True), h5py.HardLink):
            item = group[name]
            if isinstance(item, h5py.Dataset):
                found[name] = item
        elif isinstance(linked := find(group, name, path), h5py.Dataset):
            found[name] = linked
    return found


def as_floats(data: h5py.Dataset, path: Path) -> np.ndarray:
    """Return a whole dataset as numbers, (n,)."""
    try:
        return np.asarray(load(data, path), dtype=float).ravel()
    except (TypeError, ValueError):
        raise ReaderError(f"{path}: dataset {data.name!r} is not numeric") from None
