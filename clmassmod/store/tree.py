"""Nested mappings of arrays and scalars in HDF5: whole or not at all, and verified when read.

A file is written under a temporary name in its own folder, flushed to disk and renamed. Its checksum
covers every name, type, shape and value, so that a truncated, damaged or foreign file is noticed by
whoever reads it. No time, host or path is stored: equal content gives equal bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from clmassmod import __version__
from clmassmod.errors import StoreError

FORMAT_VERSION = 1
MAX_BYTES = 2**31  # no record of one halo is near this; a hostile file may claim to be
Tree = Mapping[str, Any]


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary name beside ``path`` which becomes ``path`` if the block succeeds."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


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


def checksum(tree: Tree) -> str:
    """Return the SHA-256 of names, types, shapes and values of a tree, in the order of the names."""
    digest = sha256()
    _update(digest, tree, "")
    return digest.hexdigest()


def _update(digest: Any, tree: Tree, prefix: str) -> None:
    for name in sorted(tree):
        value = tree[name]
        if value is None:
            continue
        if isinstance(value, Mapping):
            _update(digest, value, f"{prefix}{name}/")
            continue
        array = _as_array(value)
        if array.dtype.kind == "U":
            payload = "\0".join(array.ravel().tolist()).encode()
            label = "str"
        else:
            payload = np.ascontiguousarray(array).tobytes()
            label = array.dtype.newbyteorder("<").str
        digest.update(f"{prefix}{name}|{label}|{array.shape}|{len(payload)}|".encode())
        digest.update(payload)


def _as_array(value: Any) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype.kind in "biufU":
        return array
    raise StoreError(f"a value of type {type(value).__name__} cannot be stored")


def write_tree(path: Path | str, kind: str, tree: Tree, provenance: Mapping[str, Any]) -> None:
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
    """
    head = {"kind": kind, "format_version": FORMAT_VERSION, "package_version": __version__, **provenance}
    content = {**tree, "provenance": head}
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as handle:
        _write_group(handle, content)
        handle.attrs["checksum"] = checksum(content)


def _write_group(group: h5py.Group, tree: Tree) -> None:
    for name in sorted(tree):
        value = tree[name]
        if value is None:
            continue
        if isinstance(value, Mapping):
            _write_group(group.create_group(name), value)
            continue
        array = _as_array(value)
        if array.ndim == 0:
            group.attrs[name] = array.item() if array.dtype.kind == "U" else array[()]
        elif array.dtype.kind == "U":
            group.create_dataset(name, data=array.astype(object), dtype=h5py.string_dtype())
        else:
            group.create_dataset(name, data=array)


def read_tree(path: Path | str, kind: str) -> dict[str, Any]:
    """Return the tree that a file of the given kind holds, with its ``provenance``.

    Raises
    ------
    StoreError
        If the file is missing, truncated, foreign, damaged or of another kind or format; the message
        names the file.
    """
    path = Path(path)
    try:
        with h5py.File(path, "r") as handle:
            stored = handle.attrs.get("checksum")
            content = _read_group(handle, path)
    except FileNotFoundError:
        raise StoreError(f"{path}: no such file") from None
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        text = " ".join(str(error).split())
        raise StoreError(f"{path}: not a readable HDF5 file, truncated or damaged ({text}); remove it") from None
    content.pop("checksum", None)
    head = content.get("provenance")
    if stored is None or not isinstance(head, dict):
        raise StoreError(f"{path}: HDF5, but not written by clmassmod")
    if checksum(content) != str(stored):
        raise StoreError(f"{path}: checksum does not match, the file is damaged; remove it")
    if head.get("format_version") != FORMAT_VERSION:
        raise StoreError(
            f"{path}: format version {head.get('format_version')}, this package reads {FORMAT_VERSION}"
        )
    if head.get("kind") != kind:
        raise StoreError(f"{path}: holds a {head.get('kind')!r}, expected a {kind!r}")
    return content


def _read_group(group: h5py.Group, path: Path) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in group.attrs.items():
        tree[name] = value.item() if isinstance(value, np.generic) else value
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise StoreError(f"{path}: {group.name}/{name} is a link, which no file of clmassmod has")
        item = group[name]
        if isinstance(item, h5py.Group):
            tree[name] = _read_group(item, path)
        elif item.size * item.dtype.itemsize > MAX_BYTES or item.is_virtual or item.external:
            raise StoreError(f"{path}: {item.name} has shape {item.shape}, larger than any record")
        elif h5py.check_string_dtype(item.dtype):
            tree[name] = np.asarray(item.asstr()[()], dtype=str)
        else:
            tree[name] = item[()]
    return tree
