"""Reader `profile3d`: spherical profiles of particle counts, projected as they are, without a model.

Text files of the kind of Millennium-XXL: a line that names the columns ``r_lo r_med r_hi n``, then one
row a shell. The second line may give the number of particles inside the first shell. A file
``redshift`` in the same folder holds the redshift of the snapshot.
"""

from __future__ import annotations

import re
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import Field

from clmassmod.config import Model
from clmassmod.config.values import MassDefinition
from clmassmod.core.fields import CircularField, LensingField
from clmassmod.core.interpolate import cubic
from clmassmod.core.massdef import threshold_density_msun_mpc3
from clmassmod.core.projected import Projected
from clmassmod.core.shells import project, refine
from clmassmod.cosmology import Cosmology, environment
from clmassmod.errors import ReaderError
from clmassmod.readers.common import make_halos, need_path
from clmassmod.readers.units import parse_unit
from clmassmod.records import Array, HaloInfo
from clmassmod.tables import Tables

_NODES = 257


class Profile3dOptions(Model):
    """How files are named and what their numbers mean."""

    pattern: str = Field(
        r"halo_(?P<snapshot>\d+)_(?P<halo>\d+)\.radial_profile_3D\.txt",
        description="regular expression of file names; its group 'halo' is the id",
    )
    z: float | None = Field(None, gt=0, description="null: from the file 'redshift' in the folder")
    particle_mass_msun: float = Field(
        8.456e9, gt=0, description="of one particle; the default is Millennium-XXL's"
    )
    length_unit: str = Field("Mpc/h", description="physical, unless it says comoving")
    mass_definition: MassDefinition = Field("200c", description="of the true masses that the profiles give")


class Shells(NamedTuple):
    """Edges (edge,) in the file's unit, and particles inside each, (edge,)."""

    edges: Array
    particles: Array


class Reader:
    """Profiles of one file, or of all files of a folder that fit the pattern."""

    kind = "map"
    Options = Profile3dOptions

    def __init__(self, path: Path | None, options: Profile3dOptions, cosmology: Cosmology, seed: int) -> None:  # noqa: ARG002
        self.path = need_path(path, "profile3d")
        self.options = options
        self.cosmology = cosmology
        self.truth_mass_definition = options.mass_definition

    @cached_property
    def _files(self) -> dict[str, Path]:
        if not self.path.is_dir():
            match = re.fullmatch(self.options.pattern, self.path.name)
            return {match["halo"] if match else self.path.name.partition(".")[0]: self.path}
        found: dict[str, Path] = {}
        for file in sorted(self.path.iterdir()):
            match = re.fullmatch(self.options.pattern, file.name)
            if match is None:
                continue
            if match["halo"] in found:
                raise ReaderError(
                    f"{file}: halo id {match['halo']!r} is given twice, also by {found[match['halo']].name}"
                )
            found[match["halo"]] = file
        if not found:
            raise ReaderError(f"{self.path}: no file matches {self.options.pattern!r}")
        return found

    @cached_property
    def _z(self) -> float:
        if self.options.z is not None:
            return self.options.z
        file = (self.path if self.path.is_dir() else self.path.parent) / "redshift"
        try:
            return float(file.read_text(encoding="utf-8").split()[0])
        except (OSError, ValueError, IndexError):
            raise ReaderError(
                f"{file}: holds no redshift; write it there or set simulation.options.z"
            ) from None

    def halos(self) -> list[HaloInfo]:
        """Return one halo a file."""
        return make_halos(self.path, list(self._files), self._z)

    def _profile(self, halo_id: str) -> tuple[Array, Array]:
        """Return edges in physical Mpc and mass inside each in Msun."""
        shells = read_shells(self._files[halo_id])
        unit = parse_unit(self.options.length_unit).to_internal(self.cosmology.h, self._z, length=1)
        return shells.edges * unit, shells.particles * self.options.particle_mass_msun

    def prepare(self) -> dict[str, Array]:
        """Return all projected profiles on logarithmic radii, (halo, node)."""
        radii, sigma, delta_sigma = [], [], []
        for halo_id in self._files:
            edges, mass = self._profile(halo_id)
            radius = np.geomspace(0.3 * edges[mass > 0][0], 0.98 * edges[-1], _NODES)
            surface = project(*refine(edges, mass), radius)
            radii.append([radius[0], radius[-1]])
            sigma.append(surface.sigma)
            delta_sigma.append(surface.delta_sigma)
        return {
            "halo_id": np.asarray(list(self._files)),
            "radius_range_mpc": np.asarray(radii),
            "sigma_msun_mpc2": np.asarray(sigma),
            "delta_sigma_msun_mpc2": np.asarray(delta_sigma),
        }

    def truth(self) -> dict[str, float]:
        """Return each halo's mass in Msun, of ``truth_mass_definition``, from its own profile."""
        density = threshold_density_msun_mpc3(
            self.truth_mass_definition, environment(self.cosmology, self._z)
        )
        found = {}
        for halo_id, file in self._files.items():
            edges, mass = self._profile(halo_id)
            fine, rho = refine(edges, mass)
            inside = np.concatenate([[0.0], np.cumsum(rho * 4.0 * np.pi / 3.0 * np.diff(fine**3))])
            mean = inside[1:] / (4.0 * np.pi / 3.0 * fine[1:] ** 3)
            below = np.flatnonzero((mean[:-1] >= density) & (mean[1:] < density))
            if below.size == 0:
                raise ReaderError(f"{file}: the mean density never falls below {self.truth_mass_definition}")
            i = int(below[-1])
            t = np.log(mean[i] / density) / np.log(mean[i] / mean[i + 1])
            found[halo_id] = float(inside[i + 1] * (inside[i + 2] / inside[i + 1]) ** t)
        return found

    def read(self, halo: HaloInfo, tables: Tables, prepared: dict[str, Any]) -> LensingField:
        """Return the lensing of one halo at any position inside its profile.

        Raises
        ------
        ReaderError
            For a halo that is not here.
        """
        rows = np.flatnonzero(prepared["halo_id"] == halo.halo_id)
        if rows.size != 1:
            raise ReaderError(f"{self.path}: no halo {halo.halo_id!r}")
        row = int(rows[0])
        low, high = prepared["radius_range_mpc"][row]
        surface = partial(
            _interpolated,
            range_mpc=(float(low), float(high)),
            sigma=prepared["sigma_msun_mpc2"][row],
            delta_sigma=prepared["delta_sigma_msun_mpc2"][row],
        )
        critical = tables.environment(halo.z).sigma_crit_inf_msun_mpc2
        return CircularField(halo, surface, critical, reach_mpc=float(high))


def _interpolated(
    radius_mpc: Array, range_mpc: tuple[float, float], sigma: Array, delta_sigma: Array
) -> Projected:
    start = float(np.log(range_mpc[0]))
    step = (float(np.log(range_mpc[1])) - start) / (sigma.size - 1)
    x = np.log(np.maximum(radius_mpc, 1e-12))
    return Projected(cubic(x, start, step, sigma), cubic(x, start, step, delta_sigma))


def read_shells(file: Path) -> Shells:
    """Return the shells of one file.

    Raises
    ------
    ReaderError
        Names file and row of shells that are not contiguous, increasing and of counts >= 0.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ReaderError(f"{file}: {error}") from None
    start = next((i for i, line in enumerate(lines) if "r_lo" in line), None)
    if start is None:
        raise ReaderError(f"{file}: no line names the columns r_lo, r_med, r_hi")
    words = lines[1].split() if start > 1 else []
    interior = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    rows = []
    for number, line in enumerate(line for line in lines[start + 1 :] if line.strip()):
        try:
            values = [float(word) for word in line.split()[:4]]
        except ValueError:
            values = []
        if len(values) < 4 or not np.all(np.isfinite(values)):
            raise ReaderError(f"{file}: row {number}: {line.strip()[:60]!r} is not four numbers")
        rows.append(values)
    if len(rows) < 3:
        raise ReaderError(f"{file}: {len(rows)} shells are too few")
    low, _, high, count = np.asarray(rows).T
    wrong = np.flatnonzero((high <= low) | (low < 0) | (count < 0))
    gap = np.flatnonzero(np.abs(low[1:] - high[:-1]) > 1e-3 * high[:-1])
    if wrong.size or gap.size:
        row = int(wrong[0]) if wrong.size else int(gap[0]) + 1
        raise ReaderError(f"{file}: row {row}: shells must increase without gaps, with counts of 0 or more")
    edges = np.concatenate([low[:1], high])
    inside = interior + np.concatenate([[0.0], np.cumsum(count)])
    keep = edges > 0
    if not inside[keep][-1] > 0:
        raise ReaderError(f"{file}: holds no particle")
    return Shells(edges[keep], inside[keep])
