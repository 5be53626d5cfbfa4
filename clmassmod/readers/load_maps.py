"""Maps of any file or array, for the notebook: names found where there is no doubt, units stated or given."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from clmassmod.config import build
from clmassmod.errors import ConfigError, ReaderError
from clmassmod.hdf5 import columns, text_of
from clmassmod.readers.columns import plain, suffix_unit
from clmassmod.readers.fits import header_value, open_fits
from clmassmod.readers.grid import GridOptions, Images
from clmassmod.readers.hdf5 import open_hdf5
from clmassmod.readers.observed import Kind, ObservedMaps
from clmassmod.readers.table import FITS_SUFFIXES, HDF5_SUFFIXES, open_table
from clmassmod.records import Array

_MAPS = {
    "mass_map": ("sigma", "surface_density", "mass", "mass_map", "map"),
    "kappa_map": ("kappa", "convergence", "kappa_map", "map"),
}
_PIXEL = ("pixel", "pixel_size", "pixel_scale", "pixsize", "resolution")
_Z = ("z", "redshift", "z_lens", "z_halo")
_Z_SOURCE = ("z_source", "z_s", "zs", "source_redshift", "zsource")
_ID = ("halo_id", "cluster_id", "id", "name", "object")


@dataclass
class ArrayImages:
    """Maps in memory, as ``readers.grid.Images``."""

    maps: Array  # (halo, y, x)
    ids: list[str]
    z: Array
    pixel_side: float
    pixel_unit: str | None
    map_unit: str | None
    parents: list[str]
    source: Path = Path("(array)")
    extra: dict[str, Array] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)

    def image(self, row: int, name: str) -> Array:  # noqa: ARG002  there is one map a halo
        """Return one map, (y, x)."""
        return np.array(self.maps[row], dtype=float)

    def unit(self, row: int) -> str | None:  # noqa: ARG002
        """Return the unit of the maps."""
        return self.map_unit

    def pixel(self, row: int) -> tuple[float, str | None]:  # noqa: ARG002
        """Return the pixel's side and its unit."""
        return self.pixel_side, self.pixel_unit


def load_maps(
    source: Any,
    kind: Kind,
    *,
    halo_id: str | Sequence[str] | None = None,
    z: float | Sequence[float] | None = None,
    unit: str | None = None,
    pixel: float | str | None = None,
    pixel_unit: str | None = None,
    z_source: float | None = None,
    options: Mapping[str, Any] | None = None,
) -> ObservedMaps:
    """Return the maps of a file, a folder of files, or an array (y, x) or (halo, y, x).

    ``utils.load_mass_map`` explains the arguments.

    Raises
    ------
    ReaderError, ConfigError
        One line that names file, dataset and remedy.
    """
    images: Images | None = None
    found: dict[str, Any] = {}
    path = Path(source) if isinstance(source, str | Path) else None
    if path is None or path.name.lower().endswith((".csv", ".ecsv", ".txt", ".npy")):
        array, stated = (source, {}) if path is None else _from_text(path, kind)
        images = _images(
            array, path, halo_id, z, pixel, pixel_unit, {**stated, **({"unit": unit} if unit else {})}
        )
    elif path.is_file() and path.name.lower().endswith(HDF5_SUFFIXES):
        found = _names(path, kind)
    elif not path.exists():
        raise ReaderError(f"{path}: no such file or folder")
    elif path.is_file() and path.name.lower().endswith(FITS_SUFFIXES):
        found = _header_keys(path)
    keys = {"z": z, "unit": unit, "pixel": pixel, "pixel_unit": pixel_unit}
    found |= {k: v for k, v in keys.items() if v is not None and images is None}
    if halo_id is not None and images is None:
        found["halo_id"] = halo_id
    data = {**found, **dict(options or {}), "quantity": "sigma" if kind == "mass_map" else "kappa"}
    if kind == "kappa_map":
        data["z_source"] = _source_redshift(source if path is None else path, data.get("z_source"), z_source)
    where = str(path or "(array)")
    loaded = ObservedMaps(kind, where, build(GridOptions, data, where), images)
    try:
        _ = loaded.halos
    except ReaderError as error:
        raise ReaderError(str(error).replace("simulation.options.", "")) from None
    return loaded


def _source_redshift(source: Any, stated: float | None, given: float | None) -> float | None:
    value = stated if given is None else given
    if value is None:
        where = source if isinstance(source, Path) else "(array)"
        warnings.warn(
            f"{where}: no z_source is stated; the convergence is taken as that of sources at infinite "
            "redshift (say z_source=... or z_source=inf)",
            stacklevel=4,
        )
        return None
    return None if np.isinf(value) else float(value)


def _names(path: Path, kind: Kind) -> dict[str, Any]:
    """Return the names of map, pixel, redshift and identifiers in an HDF5 file."""
    with open_hdf5(path) as file:
        images = {k: v for k, v in columns(file, path).items() if v.ndim in (2, 3)}
        named = [k for name in _MAPS[kind] for k in images if plain(k) == name]
        if not named and len(images) != 1:
            listed = ", ".join(images) or "none"
            raise ReaderError(
                f"{path}: which map is meant? give options={{'map': ...}} (two-dimensional: {listed})"
            )
        chosen = (named or list(images))[0]
        found: dict[str, Any] = {"map": chosen}
        keys = [*images[chosen].attrs, *file.attrs, *file]
        for key, names in (("pixel", _PIXEL), ("z", _Z), ("halo_id", _ID), ("z_source", _Z_SOURCE)):
            matching = next((k for name in names for k in keys if plain(k) == name), None)
            if matching is not None:
                found[key] = matching
        if "pixel" in found:
            found["pixel_unit"] = suffix_unit(found["pixel"]) or _text_attribute(file, chosen, "pixel_unit")
        if "z_source" in found:
            name = found["z_source"]
            found["z_source"] = images[chosen].attrs.get(name, file.attrs.get(name))
        return {k: v for k, v in found.items() if v is not None}


def _header_keys(path: Path) -> dict[str, Any]:
    """Return the keys of redshift and identifier in a FITS file, and the redshift of its source plane."""
    found: dict[str, Any] = {}
    with open_fits(path) as hdus:
        for key, names in (("z", _Z), ("halo_id", _ID), ("z_source", _Z_SOURCE)):
            matching = next((n for n in names if header_value(hdus, n) is not None), None)
            if matching is not None:
                found[key] = header_value(hdus, matching) if key == "z_source" else matching
    return found


def _text_attribute(file: h5py.File, dataset: str, name: str) -> str:
    for holder in (file[dataset], file):
        if name in holder.attrs:
            value = holder.attrs[name]
            return text_of(value)
    raise ReaderError(
        f"{file.filename}: the pixel's side has no unit; give pixel_unit=..., such as 'Mpc' or 'arcmin'"
    )


def _from_text(path: Path, kind: Kind) -> tuple[Array, dict[str, Any]]:
    """Return a map (y, x) and what the file says of it: columns x, y, value, or a bare matrix."""
    if path.suffix == ".npy":
        try:
            return np.load(path, allow_pickle=False), {}
        except (OSError, ValueError) as error:
            raise ReaderError(f"{path}: not an array of numpy ({error})") from None
    table = None
    if path.suffix in (".csv", ".ecsv"):
        table = open_table(path)
        by_name = {plain(c): c for c in table.columns}
    if table is None or not {"x", "y"} <= set(by_name):
        try:
            return np.loadtxt(path, delimiter="," if path.suffix == ".csv" else None, ndmin=2), {}
        except (OSError, ValueError):
            raise ReaderError(
                f"{path}: neither a table with columns x, y and {kind.removesuffix('_map')} nor a matrix"
            ) from None
    value = next((by_name[n] for n in _MAPS[kind] if n in by_name), None)
    if value is None:
        raise ReaderError(
            f"{path}: no column is known as {_MAPS[kind][0]} (it has: {', '.join(table.columns)})"
        )
    x, y, values = (table.columns[c].numbers() for c in (by_name["x"], by_name["y"], value))
    array, side = _regular(path, x, y, values)
    length = table.columns[by_name["x"]].unit or suffix_unit(by_name["x"])
    stated = {"pixel": side, "pixel_unit": length, "unit": table.columns[value].unit or suffix_unit(value)}
    folded = {str(k).lower(): v for k, v in table.attributes.items()}
    stated |= {"z": next((float(folded[n]) for n in _Z if n in folded), None)}
    stated |= {"halo_id": next((str(folded[n]) for n in _ID if n in folded), None)}
    return array, {k: v for k, v in stated.items() if v is not None}


def _regular(path: Path, x: Array, y: Array, values: Array) -> tuple[Array, float]:
    """Return values of a regular grid as (y, x), and its step."""
    nodes = [np.unique(np.round(v, 9)) for v in (x, y)]
    if len(nodes[0]) * len(nodes[1]) != len(values) or len(nodes[0]) < 2:
        raise ReaderError(f"{path}: {len(values)} rows do not fill a grid of x and y")
    steps = np.concatenate([np.diff(v) for v in nodes])
    if not np.allclose(steps, steps[0], rtol=1e-5):
        raise ReaderError(f"{path}: x and y are not equally spaced, or pixels are not square")
    order = np.lexsort((x, y))
    return values[order].reshape(len(nodes[1]), len(nodes[0])), float(steps[0])


def _images(
    array: Any,
    path: Path | None,
    halo_id: str | Sequence[str] | None,
    z: float | Sequence[float] | None,
    pixel: float | str | None,
    pixel_unit: str | None,
    stated: Mapping[str, Any],
) -> ArrayImages:
    maps = np.asarray(array, dtype=float)
    if maps.ndim == 2:
        maps = maps[np.newaxis]
    where = path or "array"
    if maps.ndim != 3:
        raise ConfigError(f"{where}: a map has shape {maps.shape}; give (y, x) or (halo, y, x)")
    z = stated.get("z") if z is None else z
    side = stated.get("pixel") if pixel is None else pixel
    length = pixel_unit or stated.get("pixel_unit")
    for name, value in (("z", z), ("pixel", side), ("pixel_unit", length)):
        if value is None:
            raise ConfigError(f"{where}: nothing says {name}; give {name}=...")
    label: Any = halo_id if halo_id is not None else stated.get("halo_id", path.stem if path else "halo")
    ids = [label] if isinstance(label, str) else [str(i) for i in label]
    if len(maps) > 1 and isinstance(label, str):
        ids = [f"{label}{i}" for i in range(len(maps))]
    if len(ids) != len(maps):
        raise ConfigError(f"{where}: {len(maps)} maps, but {len(ids)} ids in halo_id")
    redshifts = np.broadcast_to(np.asarray(z, dtype=float), len(maps))
    source = path or Path("(array)")
    return ArrayImages(maps, ids, redshifts, float(side), length, stated.get("unit"), [""] * len(ids), source)  # type: ignore[arg-type]
