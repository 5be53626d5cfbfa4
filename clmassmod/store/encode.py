"""Nested mappings to HDF5 by low-level calls: bytes as of the high-level ones, in a third of the time.

A fit holds some sixty small objects, and writing it costs more than the fit itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5p, h5s, h5t

from clmassmod.errors import StoreError

USER_BLOCK = 512  # bytes of the user block, the least that HDF5 allows
IN_MEMORY = 2**24  # bytes of arrays up to which a file is made in memory
Tree = Mapping[str, Any]


def file_image(tree: Tree) -> bytes:
    """Return what follows the user block of the file of a tree, made in memory."""
    with h5py.File("in memory", "w", driver="core", backing_store=False, userblock_size=USER_BLOCK) as handle:
        _write_group(handle.id, tree)
        handle.flush()
        return bytes(handle.id.get_file_image())


def write_file(path: Path, tree: Tree) -> None:
    """Write a tree to a file, with an empty user block."""
    with h5py.File(path, "w", userblock_size=USER_BLOCK) as handle:
        _write_group(handle.id, tree)


def size(tree: Tree) -> int:
    """Return the bytes of a tree's arrays, of texts roughly."""
    return sum(size(v) if isinstance(v, Mapping) else getattr(v, "nbytes", 0) for v in tree.values())


@cache
def _link(ascii_name: bool) -> Any:
    made = h5p.create(h5p.LINK_CREATE)
    made.set_create_intermediate_group(True)
    made.set_char_encoding(h5t.CSET_ASCII if ascii_name else h5t.CSET_UTF8)
    return made


@cache
def _properties(kind: Any) -> Any:
    """Return how groups or datasets are made: without times, so that equal content gives equal bytes."""
    made = h5p.create(kind)
    made.set_obj_track_times(False)
    return made


@cache
def _types(dtype: np.dtype) -> tuple[Any, Any]:
    """Return the type in the file and that in memory; texts are stored as variable-length UTF-8."""
    kind = h5py.string_dtype() if dtype.kind == "O" else dtype
    return h5t.py_create(kind, logical=True), h5t.py_create(kind)


def _as_array(value: Any) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype.kind == "U":
        return np.array(array.tolist(), dtype=object)
    if array.dtype.kind in "biuf":
        return np.ascontiguousarray(array) if array.ndim else array
    raise StoreError(f"a value of type {type(value).__name__} cannot be stored")


def _write_group(group: Any, tree: Tree) -> None:
    of_group, of_dataset = _properties(h5p.GROUP_CREATE), _properties(h5p.DATASET_CREATE)
    for name in sorted(tree):
        value, key = tree[name], name.encode()
        if value is None:
            continue
        if isinstance(value, Mapping):
            link = _link(name.isascii())
            _write_group(h5g.create(group, key, link, of_group), value)
            continue
        array = _as_array(value)
        stored, in_memory = _types(array.dtype)
        space = h5s.create_simple(array.shape)
        if array.ndim == 0:
            h5a.create(group, key, stored, space).write(array, mtype=in_memory)
        else:
            nested = _link(name.isascii()) if "/" in name else None
            dataset = h5d.create(group, key, stored, space, of_dataset, nested)
            dataset.write(h5s.ALL, h5s.ALL, array, mtype=in_memory)
