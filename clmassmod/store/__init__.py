"""Result files: HDF5, written whole or not at all, verified when read."""

from clmassmod.store.origin import check_origin
from clmassmod.store.posteriors import load_observed, load_posterior, save_posterior
from clmassmod.store.records import (
    load_catalog,
    load_fit,
    load_profile,
    save_catalog,
    save_fit,
    save_profile,
)
from clmassmod.store.tree import (
    atomic_path,
    check_item,
    open_tree,
    read_group,
    read_tree,
    room_of,
    sync_files,
    write_text,
    write_text_if_changed,
    write_tree,
)

__all__ = [
    "atomic_path",
    "check_item",
    "check_origin",
    "load_catalog",
    "load_fit",
    "load_observed",
    "load_posterior",
    "load_profile",
    "open_tree",
    "read_group",
    "read_tree",
    "room_of",
    "save_catalog",
    "save_fit",
    "save_posterior",
    "save_profile",
    "sync_files",
    "write_text",
    "write_text_if_changed",
    "write_tree",
]
