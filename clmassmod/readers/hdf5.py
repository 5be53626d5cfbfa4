"""HDF5 files with errors that name file and dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from clmassmod.errors import ReaderError
from clmassmod.readers.common import missing_name


def open_hdf5(path: Path) -> h5py.File:
    """Return the open file; it is not locked, so that jobs on a network file system share it."""
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        reason = (
            "no such file" if not path.exists() else f"not a whole HDF5 file ({' '.join(str(error).split())})"
        )
        raise ReaderError(f"{path}: {reason}") from None


def dataset(file: h5py.Group, name: str, path: Path) -> h5py.Dataset:
    """Return a dataset of the file."""
    found = file.get(name)
    if not isinstance(found, h5py.Dataset):
        known: list[str] = []
        file.visititems(lambda key, item: known.append(key) if isinstance(item, h5py.Dataset) else None)
        raise missing_name(path, "dataset", name, known)
    return found


def load(data: h5py.Dataset, path: Path, selection: Any = ()) -> Any:
    """Return values of a dataset; a file that was cut short gives ReaderError."""
    try:
        return data[selection]
    except (OSError, RuntimeError) as error:
        text = " ".join(str(error).split())
        raise ReaderError(f"{path}: dataset {data.name!r} is truncated or damaged ({text})") from None


def attribute(holders: tuple[Any, ...], name: str) -> Any:
    """Return the first of these objects' attribute of this name, or None."""
    for holder in holders:
        if name in holder.attrs:
            value = holder.attrs[name]
            return value.decode() if isinstance(value, bytes) else value
    return None


def scaled(values: np.ndarray, data: h5py.Dataset) -> np.ndarray:
    """Return stored values as physical ones: value * scale_factor + add_offset (CF convention)."""
    result = np.asarray(values, dtype=float)
    if "scale_factor" in data.attrs:
        result = result * float(data.attrs["scale_factor"])
    if "add_offset" in data.attrs:
        result = result + float(data.attrs["add_offset"])
    return result
