"""Nested mappings of arrays and scalars in HDF5: whole or not at all, and verified when read.

A file is written under a temporary name in its own folder, flushed to disk and renamed. It begins with
an HDF5 user block that holds the SHA-256 of all bytes behind it. A reader checks that first: the HDF5
library itself may crash or loop for ever on a damaged file, so a truncated, damaged or foreign one never
reaches it. No time, host or path is stored: equal content gives equal bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from ctypes import CDLL
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5f

from clmassmod import __version__
from clmassmod.errors import StoreError
from clmassmod.store import encode
from clmassmod.store.encode import USER_BLOCK, Tree

FORMAT_VERSION = 1
MAX_DEPTH = 8  # of groups in groups
_MAGIC = b"clmassmod sha256 "


@contextmanager
def atomic_path(path: Path | str, flush: bool = True) -> Iterator[Path]:
    """Yield a temporary name beside ``path`` which becomes ``path`` if the block succeeds.

    Without ``flush`` a power failure may leave an empty file, until ``sync_files`` has seen it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        if flush:
            _sync(temporary)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _sync(path: Path) -> None:
    with path.open("rb") as handle:
        os.fsync(handle.fileno())


def sync_files(paths: Sequence[Path]) -> None:
    """Wait until files that were written without flush are on the disk.

    One call for their file system where the system has it: a thousand single ones take seconds.
    """
    if len(paths) > 1 and _sync_file_system(paths[0].parent):
        return
    for path in paths:
        _sync(path)


def _sync_file_system(folder: Path) -> bool:
    function = getattr(CDLL(None), "syncfs", None)  # of Linux; Python has no name for it
    if function is None:
        return False
    handle = os.open(folder, os.O_RDONLY)
    try:
        return bool(function(handle) == 0)
    finally:
        os.close(handle)


def write_text(path: Path | str, text: str) -> None:
    """Write a text file whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_text_if_changed(path: Path | str, text: str) -> bool:
    """Write a text file unless it already says the same; return whether it was written."""
    path = Path(path)
    with suppress(OSError, UnicodeDecodeError):
        if path.read_text(encoding="utf-8") == text:
            return False
    write_text(path, text)
    return True


def sign(path: Path) -> None:
    """Put the digest of a finished HDF5 file into its user block."""
    with path.open("r+b") as handle:
        handle.seek(USER_BLOCK)
        digest = file_digest(handle, "sha256").hexdigest()
        handle.seek(0)
        handle.write(_signature(digest))


def _signature(digest: str) -> bytes:
    return _MAGIC + digest.encode() + b"\n"


def verify(path: Path) -> bytes:
    """Return the bytes of a signed file; StoreError if they are not what was written."""
    try:
        with path.open("rb") as handle:
            ours = handle.read(len(_MAGIC)) == _MAGIC  # a user's file may be too large to be read whole
            handle.seek(0)
            content = handle.read() if ours else b""
    except FileNotFoundError:
        raise StoreError(f"{path}: no such file") from None
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror or error})") from None
    if not ours:
        raise StoreError(f"{path}: empty, damaged or not written by clmassmod; remove it and run again")
    _compare(path, content[:USER_BLOCK], sha256(memoryview(content)[USER_BLOCK:]).hexdigest())
    return content


def _check_digest(path: Path) -> None:
    """Verify a file without holding it."""
    with path.open("rb") as handle:
        head = handle.read(USER_BLOCK)
        _compare(path, head, file_digest(handle, "sha256").hexdigest())


def _compare(path: Path, head: bytes, digest: str) -> None:
    if not head.startswith(_MAGIC):
        raise StoreError(f"{path}: empty, damaged or not written by clmassmod; remove it and run again")
    if head[len(_MAGIC) : len(_MAGIC) + 64].decode("ascii", "replace") != digest:
        raise StoreError(
            f"{path}: truncated or damaged, its checksum does not match; remove it and run again"
        )


def write_tree(
    path: Path | str, kind: str, tree: Tree, provenance: Mapping[str, Any], *, flush: bool = True
) -> None:
    """Write ``tree`` as a file of the given kind.

    Parameters
    ----------
    path : path
        Replaced as a whole; nothing partial is ever seen under this name.
    kind : str
        What the file holds, e.g. "fit"; a reader asks for it.
    tree : mapping
        Names to arrays, scalars, strings or further mappings; None is left out.
    provenance : mapping of scalars
        Configuration hash, seed and the like; package and format version are added.
    flush : bool
        Wait until the disk has it; else the caller does, with ``sync_files``.
    """
    head = {"kind": kind, "format_version": FORMAT_VERSION, "package_version": __version__, **provenance}
    whole = {**tree, "provenance": head}
    with atomic_path(path, flush) as temporary:
        if encode.size(whole) < encode.IN_MEMORY:
            image = encode.file_image(whole)
            signature = _signature(sha256(image).hexdigest())
            temporary.write_bytes(signature.ljust(USER_BLOCK, b"\0") + image)
        else:
            encode.write_file(temporary, whole)
            sign(temporary)


def read_tree(path: Path | str, kind: str) -> dict[str, Any]:
    """Return the tree that a file of the given kind holds, with its ``provenance``.

    Raises
    ------
    StoreError
        If the file is missing, truncated, foreign, damaged or of another kind or format; the message
        names the file.
    """
    with open_tree(path, kind) as handle:
        return read_group(handle, Path(path))


@contextmanager
def open_tree(path: Path | str, kind: str) -> Iterator[h5py.File]:
    """Yield a verified file of a kind, open for reading; one too large to hold is hashed a piece at a time.

    Raises
    ------
    StoreError
        As ``read_tree``.
    """
    path = Path(path)
    with _verified(path) as handle:
        head: dict[str, Any] = {}
        if "provenance" in handle:
            head = dict(check_item(handle, "provenance", path, room_of(handle)).attrs)
        if not head:
            raise StoreError(f"{path}: HDF5, but not written by clmassmod")
        if head.get("format_version") != FORMAT_VERSION:
            raise StoreError(
                f"{path}: format version {head.get('format_version')}, this package reads {FORMAT_VERSION}"
            )
        if head.get("kind") != kind:
            raise StoreError(f"{path}: holds a {head.get('kind')!r}, expected a {kind!r}")
        yield handle


def _verified(path: Path) -> h5py.File:
    with suppress(OSError):
        if path.stat().st_size > encode.IN_MEMORY:
            _check_digest(path)
            return h5py.File(path, "r", locking=False)
    return h5py.File(h5f.open_file_image(verify(path)))


def room_of(handle: h5py.File) -> int:
    """Return the bytes of an open file, which no array in it can exceed."""
    return int(handle.id.get_filesize())


def check_item(group: h5py.Group, name: str, path: Path, room: int, depth: int = 0) -> Any:
    """Return a member of a group; StoreError for what no file of clmassmod holds, but a hostile one may.

    Links of any kind, data that lie elsewhere, types that are objects or references, groups nested without
    end, and arrays larger than the file (``room`` bytes), which compression or missing blocks can claim.
    """
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise StoreError(f"{path}: {group.name}/{name} is a link, which no file of clmassmod has")
    item = group[name]
    if isinstance(item, h5py.Group):
        if depth >= MAX_DEPTH:
            raise StoreError(f"{path}: groups are nested deeper than in any record")
        return item
    if not isinstance(item, h5py.Dataset):
        raise StoreError(f"{path}: {item.name} is no array")
    if item.size is None or item.size * item.dtype.itemsize > room or item.is_virtual or item.external:
        raise StoreError(f"{path}: {item.name} has shape {item.shape}, larger than the file")
    if item.dtype.kind not in "biufS" and not h5py.check_string_dtype(item.dtype):
        raise StoreError(f"{path}: {item.name} holds {item.dtype}, not numbers or text")
    return item


def check_group(group: h5py.Group, path: Path, room: int, depth: int = 0) -> None:
    """Apply ``check_item`` to all that a group holds, before any of it is read."""
    for name in group:
        item = check_item(group, name, path, room, depth)
        if isinstance(item, h5py.Group):
            check_group(item, path, room, depth + 1)


def read_group(group: h5py.Group, path: Path, leave: Sequence[str] = ()) -> dict[str, Any]:
    """Return what a group of a verified file holds, without the members to ``leave``."""
    return _read_group(group, path, room_of(group.file), 0, leave)


def _read_group(
    group: h5py.Group, path: Path, room: int, depth: int, leave: Sequence[str] = ()
) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in group.attrs.items():
        tree[name] = value.item() if isinstance(value, np.generic) else value
    for name in group:
        if name in leave:
            continue
        item = check_item(group, name, path, room, depth)
        if isinstance(item, h5py.Group):
            tree[name] = _read_group(item, path, room, depth + 1)
        elif h5py.check_string_dtype(item.dtype):
            tree[name] = np.asarray(item.asstr()[()], dtype=str)
        else:
            tree[name] = item[()]
    return tree
