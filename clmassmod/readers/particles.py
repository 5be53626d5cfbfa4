"""Reader `particles`: projected mass of particles round haloes, HDF5 in the layout of Gadget.

``Header`` has the attributes Redshift, MassTable, BoxSize, and may have HubbleParam, Omega0,
OmegaLambda; ``PartType<n>`` has Coordinates and, where the mass table says 0, Masses.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from clmassmod.core.deposit import Assignment, surface_density
from clmassmod.cosmology import Cosmology
from clmassmod.errors import ReaderError
from clmassmod.readers.common import (
    CommonOptions,
    check_cosmology,
    make_halos,
    missing_name,
    need_path,
    texts,
)
from clmassmod.readers.hdf5 import dataset, find, load, open_hdf5
from clmassmod.readers.table import open_table
from clmassmod.readers.units import parse_unit
from clmassmod.records import Array, HaloInfo, LensingMap
from clmassmod.tables import Tables

_AXES = {"x": (1, 2, 0), "y": (2, 0, 1), "z": (0, 1, 2)}  # to the right, up, along the line of sight


class ParticlesOptions(CommonOptions):
    """Which haloes, and how they are projected."""

    centres_path: str | None = Field(
        None, description="table with columns halo_id, x, y, z; null: one halo, at 'centre'"
    )
    centre: Literal["box", "particles"] | tuple[float, float, float] = Field(
        "box", description="of the single halo: middle of the box, iterated centre of mass, or a position"
    )
    axes: list[Literal["x", "y", "z"]] = Field(["x", "y", "z"], min_length=1, description="lines of sight")
    width_mpc: float = Field(12.0, gt=0, description="side of the map, physical")
    depth_mpc: float | None = Field(
        None, gt=0, description="along the line of sight, physical; null: everything"
    )
    pixel_mpc: float = Field(0.02, gt=0, description="side of the map's pixels [Mpc]")
    assignment: Assignment = Field("cic", description="of particles to pixels")
    particle_types: list[int] = Field(
        [1], min_length=1, description="PartTypes of the snapshot that carry mass"
    )
    length_unit: str = Field("kpc/h comoving", description="of the positions")
    mass_unit: str = Field("1e10 Msun/h", description="of the particles' masses")
    periodic: bool = Field(True, description="the box repeats itself")
    subtract_mean: bool = Field(True, description="take off the mean matter density times the depth")


class Reader:
    """Particles of one file, or of all parts of a snapshot in a folder."""

    kind = "map"
    Options = ParticlesOptions

    def __init__(self, path: Path | None, options: ParticlesOptions, cosmology: Cosmology, seed: int) -> None:  # noqa: ARG002
        self.path = need_path(path, "particles")
        self.options = options
        self.cosmology = cosmology

    @cached_property
    def _files(self) -> list[Path]:
        if not self.path.is_dir():
            return [self.path]
        files = sorted(p for p in self.path.iterdir() if p.suffix in (".h5", ".hdf5"))
        if not files:
            raise ReaderError(f"{self.path}: the folder holds no .h5 or .hdf5 file")
        return files

    @cached_property
    def _header(self) -> dict[str, Any]:
        with open_hdf5(self._files[0]) as file:
            group = find(file, "Header", self._files[0])
            if group is None:
                raise missing_name(self._files[0], "group", "Header", file)
            header = dict(group.attrs)
        for key in ("Redshift", "MassTable"):
            if key not in header:
                raise missing_name(self._files[0], "attribute of Header", key, header)
        if self.options.check_cosmology:
            stated = {**header, "Om0": header["Omega0"]} if "Omega0" in header else dict(header)
            if "OmegaLambda" in header:
                stated["Ode0"] = header["OmegaLambda"]
            check_cosmology(stated, self.cosmology, self._files[0])
        return header

    @cached_property
    def _scale(self) -> tuple[float, float]:
        """Factors of lengths and masses to physical Mpc and Msun."""
        h, z = self.cosmology.h, float(self._header["Redshift"])
        length = parse_unit(self.options.length_unit).to_internal(h, z, length=1)
        return length, parse_unit(self.options.mass_unit).to_internal(h, z, mass=1)

    @cached_property
    def _box_mpc(self) -> float | None:
        box = self._header.get("BoxSize")
        return None if box is None else float(np.max(box)) * self._scale[0]

    @cached_property
    def _particles(self) -> tuple[Array, Array]:
        """Positions (particle, 3) and masses (particle,), physical; read once for all haloes of a job."""
        positions, masses = [], []
        length, unit_mass = self._scale
        for path in self._files:
            with open_hdf5(path) as file:
                for kind in self.options.particle_types:
                    if f"PartType{kind}" not in file:
                        continue
                    where = (
                        load(dataset(file, f"PartType{kind}/Coordinates", path), path).astype(float) * length
                    )
                    if where.ndim != 2 or where.shape[1] != 3:
                        raise ReaderError(
                            f"{path}: PartType{kind}/Coordinates has shape {where.shape}, not (particle, 3)"
                        )
                    one = float(np.asarray(self._header["MassTable"]).ravel()[kind])
                    mass = (
                        np.full(len(where), one)
                        if one > 0
                        else load(dataset(file, f"PartType{kind}/Masses", path), path)
                    )
                    if mass.shape != (len(where),):
                        raise ReaderError(
                            f"{path}: {len(mass)} masses of PartType{kind} for {len(where)} particles"
                        )
                    positions.append(where)
                    masses.append(np.asarray(mass, dtype=float) * unit_mass)
        if not positions:
            kinds = ", ".join(f"PartType{k}" for k in self.options.particle_types)
            raise ReaderError(f"{self.path}: has no particles of {kinds}")
        where, mass = np.concatenate(positions), np.concatenate(masses)
        if not (np.all(np.isfinite(where)) and np.all(np.isfinite(mass)) and np.all(mass >= 0)):
            raise ReaderError(f"{self.path}: a position or mass is NaN, infinite or negative")
        return where, mass

    @cached_property
    def _centres(self) -> dict[str, Array]:
        """Identifier of each halo to its position in physical Mpc."""
        o, length = self.options, self._scale[0]
        if o.centres_path is not None:
            table = open_table(Path(o.centres_path))
            ids = texts(table.column("halo_id", "simulation.options.centres_path").raw())
            columns = [
                table.column(axis, "simulation.options.centres_path").numbers() * length for axis in "xyz"
            ]
            return dict(zip(ids, np.stack(columns, axis=1), strict=True))
        return {self.path.stem: self._single_centre()}

    def _single_centre(self) -> Array:
        o = self.options
        if isinstance(o.centre, tuple):
            return np.asarray(o.centre) * self._scale[0]
        if o.centre == "box":
            if self._box_mpc is None:
                raise ReaderError(f"{self._files[0]}: Header has no BoxSize; set simulation.options.centre")
            return np.full(3, 0.5 * self._box_mpc)
        return shrinking_centre(*self._particles)

    def halos(self) -> list[HaloInfo]:
        """Return one halo for each centre and line of sight; the lines of sight share a parent."""
        ids = list(self._centres)
        axes = self.options.axes
        names = [f"{i}_{axis}" for i in ids for axis in axes]
        return make_halos(self.path, names, float(self._header["Redshift"]), [i for i in ids for _ in axes])

    def prepare(self) -> dict[str, Array]:
        """Return nothing."""
        return {}

    def read(self, halo: HaloInfo, tables: Tables, prepared: dict[str, Any]) -> LensingMap:  # noqa: ARG002
        """Return the convergence of one halo along one line of sight, for sources at infinite redshift.

        Raises
        ------
        ReaderError
            Names file and dataset.
        """
        o, environment = self.options, tables.environment(halo.z)
        name, _, axis = halo.halo_id.rpartition("_")
        if name not in self._centres or axis not in o.axes:
            raise ReaderError(f"{self.path}: no halo {halo.halo_id!r}")
        where, mass = self._particles
        offset = where - self._centres[name]
        if o.periodic and self._box_mpc is not None:
            offset -= self._box_mpc * np.round(offset / self._box_mpc)
        right, up, sight = (offset[:, i] for i in _AXES[axis])
        n = round(o.width_mpc / o.pixel_mpc)
        half = 0.5 * n * o.pixel_mpc + o.pixel_mpc
        used = (np.abs(right) < half) & (np.abs(up) < half)
        if o.depth_mpc is not None:
            used &= np.abs(sight) < 0.5 * o.depth_mpc
        sigma = surface_density(right[used], up[used], mass[used], n, o.pixel_mpc, o.assignment)
        if o.subtract_mean:
            sigma -= environment.rho_mean_msun_mpc3 * (o.depth_mpc or self._box_mpc or 0.0)
        return LensingMap(halo, o.pixel_mpc, sigma / environment.sigma_crit_inf_msun_mpc2)


def shrinking_centre(position_mpc: Array, mass_msun: Array) -> Array:
    """Return the densest centre of particles, (3,): the centre of mass of a sphere that shrinks.

    Power et al. 2003 (MNRAS 338, 14): the radius falls by 2.5 % a step until 1000 particles, or 1 % of
    them if that is less, are left.
    """
    enough = max(10, min(1000, len(mass_msun) // 100))
    centre = np.average(position_mpc, axis=0, weights=mass_msun)
    r2 = np.sum((position_mpc - centre) ** 2, axis=1)
    radius = float(np.sqrt(r2.max()))
    while True:
        inside = r2 < radius**2
        if np.count_nonzero(inside) < enough:
            return np.asarray(centre)
        position_mpc, mass_msun = position_mpc[r2 < (2.0 * radius) ** 2], mass_msun[r2 < (2.0 * radius) ** 2]
        r2 = np.sum((position_mpc - centre) ** 2, axis=1)
        inside = r2 < radius**2
        centre = np.average(position_mpc[inside], axis=0, weights=mass_msun[inside])
        r2 = np.sum((position_mpc - centre) ** 2, axis=1)
        radius *= 0.975
