"""HDF5 files with errors that name file and dataset; ``clmassmod.hdf5`` says what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from clmassmod.hdf5 import find, load, names, open_hdf5, text_of
from clmassmod.readers.common import missing_name

__all__ = ["attribute", "dataset", "find", "load", "open_hdf5", "scaled"]


def dataset(file: h5py.Group, name: str, path: Path) -> h5py.Dataset:
    """Return a dataset of the file; ReaderError where there is none, or one that cannot be read safely."""
    found = find(file, name, path)
    if not isinstance(found, h5py.Dataset):
        raise missing_name(path, "dataset", name, names(file))
    return found


def attribute(holders: tuple[Any, ...], name: str) -> Any:
    """Return the first of these objects' attribute of this name, or None."""
    for holder in holders:
        if name in holder.attrs:
            value = holder.attrs[name]
            return text_of(value) if isinstance(value, bytes) else value
    return None


def scaled(values: np.ndarray, data: h5py.Dataset) -> np.ndarray:
    """Return stored values as physical ones: value * scale_factor + add_offset (CF convention)."""
    result = np.asarray(values, dtype=float)
    if "scale_factor" in data.attrs:
        result = result * float(data.attrs["scale_factor"])
    if "add_offset" in data.attrs:
        result = result + float(data.attrs["add_offset"])
    return result
