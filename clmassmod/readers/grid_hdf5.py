"""Maps in HDF5: one stack (halo, y, x), or files of one map each."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from clmassmod.errors import ReaderError
from clmassmod.readers.common import missing_name, texts
from clmassmod.readers.hdf5 import attribute, dataset, find, load, open_hdf5, scaled
from clmassmod.records import Array

if TYPE_CHECKING:
    from clmassmod.readers.grid import GridOptions


class Hdf5Images:
    """Maps of one or several HDF5 files."""

    def __init__(self, source: Path, files: list[Path], options: GridOptions) -> None:
        self.source = source
        self.options = options
        self._open = lru_cache(maxsize=8)(open_hdf5)
        self._place: list[tuple[Path, int | None]] = []
        self.ids: list[str] = []
        self.parents: list[str] = []
        self.attributes: dict[str, Any] = {}
        z: list[Array] = []
        extra: dict[str, list[Array]] = {name: [] for name in options.extra}
        for path in files:
            rows = self._add(path)
            z.append(np.broadcast_to(self._quantity(path, options.z, "simulation.options.z"), rows))
            for name in options.extra:
                extra[name].append(
                    np.broadcast_to(self._quantity(path, name, "simulation.options.extra"), rows)
                )
        self.z = np.concatenate(z)
        self.extra = {name: np.concatenate(parts) for name, parts in extra.items()}

    def _add(self, path: Path) -> int:
        file, options = self._open(path), self.options
        data = dataset(file, options.map, path)
        self.attributes |= dict(file.attrs)
        if data.ndim == 2:
            name = attribute((data, file), options.halo_id)
            self.ids.append(path.stem if name is None else texts([name])[0])
            parent = attribute((data, file), options.parent_id) if options.parent_id else None
            self.parents.append("" if parent is None else texts([parent])[0])
            self._place.append((path, None))
            return 1
        if data.ndim != 3:
            raise ReaderError(
                f"{path}: dataset {options.map!r} has shape {data.shape}, not (halo, y, x) or (y, x)"
            )
        ids = texts(load(dataset(file, options.halo_id, path), path))
        parents = [""] * len(ids)
        if options.parent_id is not None and find(file, options.parent_id, path) is not None:
            parents = texts(load(dataset(file, options.parent_id, path), path))
        if not len(ids) == len(parents) == data.shape[0]:
            raise ReaderError(
                f"{path}: {data.shape[0]} maps in {options.map!r}, but {len(ids)} values in "
                f"{options.halo_id!r} and {len(parents)} in {options.parent_id!r}"
            )
        self.ids += ids
        self.parents += parents
        self._place += [(path, i) for i in range(len(ids))]
        return len(ids)

    def _quantity(self, path: Path, name: str | float, key: str) -> Array:
        """Return a number, an attribute's or a dataset's value(s): scalar or (halo,)."""
        if not isinstance(name, str):
            return np.asarray(name, dtype=float)
        file = self._open(path)
        value = attribute((dataset(file, self.options.map, path), file), name)
        if value is None:
            data = find(file, name, path)
            if not isinstance(data, h5py.Dataset):
                raise missing_name(path, f"attribute or dataset (for {key})", name, [*file.attrs, *file])
            value = load(data, path)
        try:
            return np.asarray(value, dtype=float)
        except (TypeError, ValueError):
            raise ReaderError(f"{path}: {name!r} (for {key}) is not numeric") from None

    def image(self, row: int, name: str) -> Array:
        """Return one map, (y, x)."""
        path, index = self._place[row]
        data = dataset(self._open(path), name, path)
        values = scaled(load(data, path, () if index is None else index), data)
        dims = str(data.attrs.get("dims", "y, x")).replace(" ", "").split(",")
        return np.ascontiguousarray(values.T) if dims[-2:] == ["x", "y"] else values

    def unit(self, row: int) -> str | None:
        """Return the unit attribute of the map."""
        path, _ = self._place[row]
        data = dataset(self._open(path), self.options.map, path)
        value = attribute((data,), "unit") or attribute((data,), "units")
        return None if value is None else str(value)

    def pixel(self, row: int) -> tuple[float, str | None]:
        """Return the pixel's side and no unit."""
        path, index = self._place[row]
        size = self._quantity(path, self.options.pixel, "simulation.options.pixel")
        return float(size if size.ndim == 0 else size[index or 0]), None
