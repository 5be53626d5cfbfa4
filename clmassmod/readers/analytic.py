"""Reader `analytic`: synthetic haloes of known mass, evaluated exactly at each galaxy."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clmassmod.config import halo_rng
from clmassmod.core.axis_ratios import draw_jing_suto, mass_inside_ellipsoid
from clmassmod.core.fields import LensingField
from clmassmod.core.interpolate import bicubic
from clmassmod.core.massdef import threshold_density_msun_mpc3
from clmassmod.core.profiles.elliptical import Ellipse, project_ellipsoid
from clmassmod.cosmology import Cosmology, environment, matter_fraction
from clmassmod.cosmology.concentration import load_relation
from clmassmod.cosmology.lss import convergence_power, power_table
from clmassmod.cosmology.mass_function import draw_masses
from clmassmod.cosmology.structure import growth, sigma_of_mass
from clmassmod.errors import ConfigError, ReaderError
from clmassmod.readers.analytic_halo import build_halo
from clmassmod.readers.analytic_options import AnalyticOptions
from clmassmod.readers.common import make_halos
from clmassmod.readers.halo_list import HaloList
from clmassmod.records import Array, HaloInfo
from clmassmod.registry import PROFILES
from clmassmod.tables import Tables, build
from clmassmod.tables.build import is_number, table_name

_ELL = np.geomspace(10.0, 2e5, 200)


class Reader:
    """Synthetic haloes: drawn from a mass function, or a list of masses."""

    kind = "map"
    Options = AnalyticOptions

    def __init__(self, path: Path | None, options: AnalyticOptions, cosmology: Cosmology, seed: int) -> None:
        self.path = path
        self.options = options
        self.cosmology = cosmology
        self.seed = seed
        self.truth_mass_definition = options.mass_definition

    @cached_property
    def _list(self) -> HaloList | None:
        if self.path is None:
            return None
        return HaloList(self.path, self.options.columns, self.cosmology)

    @cached_property
    def _z(self) -> Array:
        z = self.options.z
        if self._list is not None:
            return self._list.z
        if not isinstance(z, tuple):
            return np.full(self.options.n_halos, z)
        return halo_rng(self.seed, "all", "analytic/z").uniform(*z, self.options.n_halos)

    @cached_property
    def _ids(self) -> list[str]:
        if self._list is not None:
            return self._list.ids
        digits = max(4, len(str(self.options.n_halos - 1)))
        return [f"halo{i:0{digits}d}" for i in range(self.options.n_halos)]

    @cached_property
    def _mass(self) -> Array:
        if self._list is not None:
            return self._list.mass_msun
        o, rng = self.options, halo_rng(self.seed, "all", "analytic/mass")
        if o.mass_function == "flat":
            low, high = o.mass_msun
            return np.asarray(low * (high / low) ** rng.random(o.n_halos))
        return draw_masses(self.cosmology, o.mass_definition, o.mass_msun, self._z, rng, o.mass_function)

    def _concentration(self) -> Array:
        o, z = self.options, self._z
        rng = halo_rng(self.seed, "all", "analytic/concentration")
        c = median_concentration(self.cosmology, o.concentration, o.mass_definition, self._mass, z)
        c = c * np.exp(rng.normal(0.0, o.concentration_scatter, z.size))
        if self._list is not None:
            c = np.where(self._list.concentration > 0, self._list.concentration, c)
        return np.asarray(c)

    @cached_property
    def _rows(self) -> tuple[list[str], list[str], NDArray[np.intp]]:
        """Identifier, parent and number in the population of each line of sight to each halo."""
        n, ids = self.options.projections, self._ids
        parents = [""] * len(ids) if self._list is None else self._list.parents
        if n == 1:
            return ids, parents, np.arange(len(ids))
        return (
            [f"{i}_{k}" for i in ids for k in range(n)],
            [p or i for i, p in zip(ids, parents, strict=True) for _ in range(n)],
            np.repeat(np.arange(len(ids)), n),
        )

    def halos(self) -> list[HaloInfo]:
        """Return all lines of sight to all haloes; their masses are in ``truth`` alone."""
        o = self.options
        load_relation(o.concentration)
        if self._list is None and o.mass_function != "flat":
            self.cosmology.require("sigma8", "ns", "Ob0", purpose=f"mass function {o.mass_function}")
        for key in ("two_halo", "line_of_sight", "triaxial"):
            if getattr(o, key) and not (key == "triaxial" and o.triaxial and o.triaxial.axis_ratios):
                self.cosmology.require("sigma8", "ns", "Ob0", purpose=f"simulation.options.{key}")
        if o.baryons is not None and self.cosmology.Ob0 is None:
            raise ConfigError("cosmology.Ob0 must be given: the baryonic correction needs it")
        ids, parents, number = self._rows
        return make_halos(self.path or "reader 'analytic'", ids, self._z[number], parents)

    @property
    def left_out(self) -> dict[str, int]:
        """How many haloes of a list are not used, and why."""
        unknown = 0 if self._list is None else self._list.n_unknown
        return {"of unknown mass": unknown} if unknown else {}

    def prepare(self) -> dict[str, Any]:
        """Return what was drawn for each line of sight, (row,), so that no halo's job draws it again."""
        ids, _, number = self._rows
        c = self._concentration()
        found: dict[str, Any] = {
            "halo_id": np.asarray(ids),
            "mass_msun": self._mass[number],
            "concentration": c[number],
        }
        if self.options.triaxial is not None:
            middle, minor = self._axis_ratios()
            found |= self._ellipses(middle, minor, number)
            # a sphere holds less of an ellipsoid: what it must be made with for its mass to be the true one
            found["mass_msun"] = (self._mass * self._inside_ellipsoid(middle, minor, c))[number]
        if self.options.line_of_sight is not None:
            z = np.array([self.options.line_of_sight.z_source])
            power = convergence_power(self.cosmology, power_table(self.cosmology), _ELL, z)
            found |= {"ell": _ELL, "convergence_power": power}
        return found

    def _axis_ratios(self) -> tuple[Array, Array]:
        """Return intermediate and minor over major axis of each halo, (halo,)."""
        assert self.options.triaxial is not None
        fixed = self.options.triaxial.axis_ratios
        if fixed is not None:
            return np.full(self._z.size, fixed[0]), np.full(self._z.size, fixed[1])
        rng = halo_rng(self.seed, "all", "analytic/shape")
        ratio = self._mass / characteristic_mass(self.cosmology, self._z)
        return draw_jing_suto(ratio, matter_fraction(self.cosmology, self._z), rng)

    def _inside_ellipsoid(self, middle: Array, minor: Array, c: Array) -> Array:
        """Return the mass inside each halo's ellipsoid over that inside its sphere, (halo,)."""
        o = self.options
        if o.baryons is not None:  # its profile is the paper's
            enclosed, parameters = PROFILES.load("tnfw").enclosed_mass, {"tau": 4.0 * c, "n": 2}
        else:
            profile, parameters = PROFILES.load(o.profile), dict(o.parameters)
            enclosed = profile.enclosed_mass
            if "peak_height" in profile.needs:
                raise ConfigError(
                    f"simulation.options.triaxial: profile {o.profile!r} cannot be made triaxial here"
                )
        z, where = np.unique(self._z, return_inverse=True)
        environments = [environment(self.cosmology, float(v)) for v in z]
        density = np.array([threshold_density_msun_mpc3(o.mass_definition, e) for e in environments])[where]
        return mass_inside_ellipsoid(
            lambda r, m: enclosed(r, m, c, density, environments[0], **parameters),
            self._mass,
            density,
            middle,
            minor,
        )

    def _ellipses(self, middle: Array, minor: Array, number: NDArray[np.intp]) -> dict[str, Array]:
        """Return how triaxial haloes look in random directions, (row,) each."""
        sight = halo_rng(self.seed, "all", "analytic/sight")
        direction, turn = sight.standard_normal((number.size, 3)), 2.0 * np.pi * sight.random(number.size)
        seen = [
            project_ellipsoid((float(middle[i]), float(minor[i])), d)
            for i, d in zip(number, direction, strict=True)
        ]
        return {
            "q": np.array([e.q for e in seen]),
            "angle_rad": np.mod(np.array([e.angle_rad for e in seen]) + turn, np.pi),
            "boost": np.array([e.boost for e in seen]),
            "size": np.array([e.size for e in seen]),
        }

    def truth(self) -> dict[str, float]:
        """Return each halo's true mass in Msun, of ``truth_mass_definition``."""
        ids, _, number = self._rows
        return dict(zip(ids, self._mass[number].tolist(), strict=True))

    def read(self, halo: HaloInfo, tables: Tables, prepared: dict[str, Any]) -> LensingField:
        """Return the lensing of one halo at any position.

        Raises
        ------
        ReaderError
            For a halo that is not of this population.
        """
        rows = np.flatnonzero(prepared["halo_id"] == halo.halo_id)
        if rows.size != 1:
            raise ReaderError(f"reader 'analytic' has no halo {halo.halo_id!r}")
        row = int(rows[0])
        ellipse = None
        if "q" in prepared:
            ellipse = Ellipse(*(float(prepared[k][row]) for k in ("q", "angle_rad", "boost", "size")))
        mass, c = float(prepared["mass_msun"][row]), float(prepared["concentration"][row])
        return build_halo(halo, mass, c, ellipse, self.options, tables, prepared, self.seed)


def characteristic_mass(cosmology: Cosmology, z: Array) -> Array:
    """Return the mass M* of peak height 1 at each redshift, (halo,)."""
    ln_mass = np.linspace(np.log(1e6), np.log(1e15), 200)
    sigma = sigma_of_mass(cosmology, np.exp(ln_mass))
    at, where = np.unique(z, return_inverse=True)
    return np.asarray(np.exp(np.interp(-1.686 / growth(cosmology, at), -sigma, ln_mass))[where])


def median_concentration(
    cosmology: Cosmology, relation: str | float, mass_definition: str, mass_msun: Array, z: Array
) -> Array:
    """Return the concentration of each halo at its own redshift, (halo,), to the tables' 1e-5."""
    if is_number(relation):
        return np.full(mass_msun.shape, float(relation))
    z_range = (float(z.min()), float(z.max()))
    tree = build(cosmology, z_range=z_range, relations=[(relation, mass_definition)], structure=False)
    table = tree["concentration"][table_name(relation, mass_definition)]
    x, y = table["ln_1pz"], table["ln_mass"]
    step = (float(x[1] - x[0]), float(y[1] - y[0]))
    return np.exp(bicubic(np.log1p(z), np.log(mass_msun), (float(x[0]), float(y[0])), step, table["ln_c"]))
