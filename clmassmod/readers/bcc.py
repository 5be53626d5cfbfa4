"""Reader `bcc`: ray-traced galaxies round one halo a file, as cut out of the Blind Cosmology Challenge.

HDF5 with a compound dataset ``Cluster/Cluster`` (ra, dec, z, m200) of one row and another
``Shear/Shear Catalog`` (ra, dec, z, gamma1, gamma2); angles in degrees. The column m200 is the true
mass for a campaign whose ``truth`` names no table.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from clmassmod.config import Model
from clmassmod.config.values import MassDefinition
from clmassmod.core.sky import offsets_arcmin
from clmassmod.cosmology import Cosmology
from clmassmod.errors import ReaderError
from clmassmod.readers.common import make_halos, missing_name, need_path
from clmassmod.readers.hdf5 import dataset, load, open_hdf5
from clmassmod.readers.units import mass_unit_msun
from clmassmod.records import Array, HaloInfo, SourceCatalog
from clmassmod.tables import Tables

_CLUSTER, _SHEAR = "Cluster/Cluster", "Shear/Shear Catalog"


class BccOptions(Model):
    """Which galaxies, and the frame of their shears."""

    behind_lens: float | None = Field(0.1, description="keep galaxies with z > z_lens + this; null: all")
    x_axis: Literal["east", "west"] = Field("east", description="direction in which gamma1 > 0 stretches")
    shear_sign: tuple[Literal[-1, 1], Literal[-1, 1]] = Field(
        (1, 1), description="factors of the components, to positive = along x, along x = y"
    )
    mass_definition: MassDefinition = Field("200c", description="of m200, the true masses that files give")
    mass_unit: str | None = Field(None, description="of m200, which the files do not state, such as 'Msun/h'")
    kappa: str | None = Field(
        None, description="column of convergence, which makes reduced shears; null: gamma is taken as it is"
    )


class Reader:
    """Galaxies of one file, or of all .h5 and .hdf5 files of a folder; the id is the file's name."""

    kind = "catalog"
    Options = BccOptions

    def __init__(self, path: Path | None, options: BccOptions, cosmology: Cosmology, seed: int) -> None:  # noqa: ARG002
        self.path = need_path(path, "bcc")
        self.options = options
        self.cosmology = cosmology
        self.truth_mass_definition = options.mass_definition

    @cached_property
    def _files(self) -> dict[str, Path]:
        files = [self.path]
        if self.path.is_dir():
            files = sorted(p for p in self.path.iterdir() if p.suffix in (".h5", ".hdf5"))
        if not files:
            raise ReaderError(f"{self.path}: the folder holds no .h5 or .hdf5 file")
        found = {file.stem: file for file in files}
        if len(found) < len(files):
            raise ReaderError(
                f"{self.path}: two files differ in their suffix alone, and give the same halo id"
            )
        return found

    def halos(self) -> list[HaloInfo]:
        """Return one halo a file."""
        z = []
        for file in self._files.values():
            with open_hdf5(file) as handle:
                z.append(_columns(handle, _CLUSTER, ("ra", "dec", "z"), file)["z"][0])
                _columns(handle, _SHEAR, ("ra", "dec", "z", "gamma1", "gamma2"), file, rows=slice(0, 1))
        return make_halos(self.path, list(self._files), z)

    def truth(self) -> dict[str, float]:
        """Return each halo's mass in Msun, of ``truth_mass_definition``; one of 0 or less is not known."""
        unit = mass_unit_msun(self.options.mass_unit, self.path, self.cosmology.h)
        masses = {}
        for halo_id, file in self._files.items():
            with open_hdf5(file) as handle:
                masses[halo_id] = unit * float(_columns(handle, _CLUSTER, ("m200",), file)["m200"][0])
        return {halo_id: mass for halo_id, mass in masses.items() if mass > 0}

    def prepare(self) -> dict[str, Array]:
        """Return nothing: each file stands alone."""
        return {}

    def read(self, halo: HaloInfo, tables: Tables, prepared: dict[str, Any]) -> SourceCatalog:  # noqa: ARG002
        """Return the galaxies of one halo, without noise.

        Raises
        ------
        ReaderError
            Names file and column.
        """
        o, file = self.options, self._files.get(halo.halo_id)
        if file is None:
            raise ReaderError(f"{self.path}: no halo {halo.halo_id!r}")
        names = ["ra", "dec", "z", "gamma1", "gamma2", *([o.kappa] if o.kappa else [])]
        with open_hdf5(file) as handle:
            cluster = _columns(handle, _CLUSTER, ("ra", "dec", "z"), file)
            galaxies = _columns(handle, _SHEAR, tuple(names), file)
        if o.behind_lens is not None:
            behind = galaxies["z"] > halo.z + o.behind_lens
            galaxies = {name: values[behind] for name, values in galaxies.items()}
        east, north = offsets_arcmin(
            galaxies["ra"], galaxies["dec"], float(cluster["ra"][0]), float(cluster["dec"][0])
        )
        g1, g2 = o.shear_sign[0] * galaxies["gamma1"], o.shear_sign[1] * galaxies["gamma2"]
        beta_s = tables.beta_s(galaxies["z"], halo.z)
        extra: dict[str, Array] = {}
        if o.kappa:
            g1, g2 = g1 / (1.0 - galaxies[o.kappa]), g2 / (1.0 - galaxies[o.kappa])
        else:
            extra["beta_s2"] = np.zeros(g1.size)  # shear is not reduced shear: no correction applies
        environment = tables.environment(halo.z)
        return SourceCatalog(
            halo=halo,
            x_arcmin=east if o.x_axis == "east" else -east,
            y_arcmin=north,
            e1=g1,
            e2=g2,
            z_source=galaxies["z"],
            beta_s=beta_s,
            weight=np.ones(g1.size),
            d_lens_mpc=environment.d_lens_mpc,
            sigma_crit_inf_msun_mpc2=environment.sigma_crit_inf_msun_mpc2,
            shape_noise=0.0,
            extra=extra,
        )


def _columns(
    handle: Any, name: str, columns: tuple[str, ...], file: Path, rows: slice | tuple[()] = ()
) -> dict[str, Array]:
    data = dataset(handle, name, file)
    known = data.dtype.names or ()
    for column in columns:
        if column not in known:
            raise missing_name(file, f"column of {name!r}", column, known)
    values = load(data, file, rows)
    if values.shape[:1] == (0,):
        raise ReaderError(f"{file}: {name!r} has no row")
    found = {column: np.atleast_1d(values[column]).astype(float) for column in columns}
    for column, numbers in found.items():
        bad = np.flatnonzero(~np.isfinite(numbers))
        if bad.size:
            raise ReaderError(f"{file}: column {column!r} of {name!r}: row {bad[0]} is NaN or infinite")
    return found
