"""Posteriors in NetCDF-4: what ``arviz.from_netcdf`` reads, written without importing it.

Group ``posterior`` holds the draws (chain, draw), ``marginals`` the tabulated densities, ``grid`` the log
density, ``observed_data`` what the posterior was conditioned on, each with named dimensions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import h5py
import numpy as np
from h5py import h5f

from clmassmod import __version__
from clmassmod.errors import StoreError
from clmassmod.posterior import Marginal, Posterior, PosteriorGrid
from clmassmod.store.encode import USER_BLOCK
from clmassmod.store.origin import check_origin
from clmassmod.store.tree import FORMAT_VERSION, atomic_path, check_group, sign, verify

_KIND = "posterior"


def save_posterior(
    path: Path | str,
    posterior: Posterior,
    provenance: Mapping[str, Any],
    observed: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Write a posterior, and the columns (halo,) that it was conditioned on."""
    head = {"kind": _KIND, "format_version": FORMAT_VERSION, "package_version": __version__, **provenance}
    with atomic_path(path) as temporary:
        with h5py.File(temporary, "w", userblock_size=USER_BLOCK, track_order=True) as handle:
            handle.attrs["provenance"] = json.dumps(head, sort_keys=True)
            _write_draws(handle, posterior)
            _write_marginals(handle, posterior)
            if posterior.grid is not None:
                _write_grid(handle, posterior.grid)
            if observed is not None:
                group = handle.create_group("observed_data", track_order=True)
                for name, values in observed.items():
                    _variable(group, name, values, ["halo"])
        sign(temporary)


def _write_draws(handle: h5py.File, posterior: Posterior) -> None:
    group = handle.create_group("posterior", track_order=True)
    group.attrs["metadata"] = json.dumps(dict(posterior.metadata), sort_keys=True, default=_plain)
    group.attrs["warnings"] = json.dumps(list(posterior.warnings))
    group.attrs["diagnostics"] = json.dumps(dict(posterior.diagnostics), sort_keys=True)
    group.attrs["names"] = json.dumps(list(posterior.names))
    group.attrs["n_chains"] = posterior.n_chains
    for name, values in posterior.samples.items():
        _variable(group, name, values.reshape(posterior.n_chains, -1), ["chain", "draw"])


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    raise StoreError(f"metadata of type {type(value).__name__} cannot be stored")


def _write_marginals(handle: h5py.File, posterior: Posterior) -> None:
    group = handle.create_group("marginals", track_order=True)
    for name, marginal in posterior.marginals.items():
        group.attrs[f"{name}_mean_sd"] = [marginal.mean, marginal.sd]
        if marginal.x is not None and marginal.density is not None:
            _variable(group, f"{name}_x", marginal.x, [f"{name}_node"])
            _variable(group, f"{name}_density", marginal.density, [f"{name}_node"])


def _write_grid(handle: h5py.File, grid: PosteriorGrid) -> None:
    group = handle.create_group("grid", track_order=True)
    for name, axis in grid.axes.items():
        scale = group.create_dataset(name, data=axis)
        scale.make_scale(name)
    _variable(group, "ln_density", grid.ln_density, list(grid.axes))


def _variable(group: h5py.Group, name: str, values: np.ndarray, dimensions: Sequence[str]) -> None:
    """Write one variable with its dimension scales, which are made where they are not there yet."""
    values = np.asarray(values)
    if values.dtype.kind == "U":
        data = group.create_dataset(name, data=values.astype(object), dtype=h5py.string_dtype())
    else:
        data = group.create_dataset(name, data=values)
    for axis, dimension in enumerate(dimensions):
        if dimension not in group:
            group.create_dataset(dimension, data=np.arange(values.shape[axis])).make_scale(dimension)
        data.dims[axis].attach_scale(group[dimension])


def load_posterior(path: Path | str, **expected: Any) -> Posterior:
    """Return a posterior; StoreError if the file is damaged or holds something else.

    ``expected`` are items of its provenance, such as ``config_hash`` and ``bin``.
    """
    with _open(path, expected) as handle:
        group = handle["posterior"]
        names = json.loads(group.attrs["names"])
        tables = handle["marginals"]
        marginals = {name: _marginal(name, group, tables) for name in names}
        grid = None
        if "grid" in handle:
            stored = handle["grid"]
            axes = {n: stored[n][()] for n in stored if n != "ln_density"}
            grid = PosteriorGrid(MappingProxyType(axes), stored["ln_density"][()])
        metadata = json.loads(group.attrs["metadata"])
        return Posterior(
            marginals=MappingProxyType(marginals),
            grid=grid,
            n_chains=int(group.attrs["n_chains"]),
            warnings=tuple(json.loads(group.attrs["warnings"])),
            diagnostics=MappingProxyType(json.loads(group.attrs["diagnostics"])),
            metadata=MappingProxyType(metadata),
        )


def _marginal(name: str, draws: h5py.Group, tables: h5py.Group) -> Marginal:
    mean, sd = (float(v) for v in tables.attrs[f"{name}_mean_sd"])
    tabulated = f"{name}_x" in tables
    x = tables[f"{name}_x"][()] if tabulated else None
    density = tables[f"{name}_density"][()] if tabulated else None
    return Marginal(name, mean, sd, draws[name][()].reshape(-1), x, density)


def load_observed(path: Path | str) -> dict[str, np.ndarray]:
    """Return the columns (halo,) that a posterior was conditioned on."""
    with _open(path, {}) as handle:
        group = handle.get("observed_data", {})
        columns = {}
        for name in group:
            if name != "halo":
                item = group[name]
                text = h5py.check_string_dtype(item.dtype)
                columns[name] = np.asarray(item.asstr()[()], dtype=str) if text else item[()]
        return columns


def _open(path: Path | str, expected: Mapping[str, Any]) -> h5py.File:
    image = verify(Path(path))
    handle = h5py.File(h5f.open_file_image(image))
    check_group(handle, Path(path), len(image))
    head = json.loads(handle.attrs.get("provenance", "{}"))
    if head.get("kind") != _KIND:
        raise StoreError(f"{path}: holds a {head.get('kind')!r}, expected a {_KIND!r}")
    if head.get("format_version") != FORMAT_VERSION:
        raise StoreError(
            f"{path}: format version {head.get('format_version')}, this package reads {FORMAT_VERSION}"
        )
    check_origin(path, head, expected)
    return handle
