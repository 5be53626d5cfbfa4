"""Reader `analytic`: synthetic haloes of known mass, evaluated exactly at each galaxy."""

from __future__ import annotations

from functools import cached_property, partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import Field, model_validator

from clmassmod.config import Model, halo_rng
from clmassmod.config.models import MassDefinition, PositiveInterval
from clmassmod.core.fields import CircularField, LensingField
from clmassmod.core.interpolate import bicubic
from clmassmod.core.massdef import threshold_density_msun_mpc3
from clmassmod.cosmology import Cosmology
from clmassmod.cosmology.concentration import load_relation
from clmassmod.cosmology.mass_function import draw_masses
from clmassmod.errors import ReaderError
from clmassmod.readers.common import make_halos
from clmassmod.readers.halo_list import HaloList, ListColumns
from clmassmod.records import Array, HaloInfo
from clmassmod.registry import PROFILES
from clmassmod.tables import Tables, build
from clmassmod.tables.build import is_number, table_name


class AnalyticOptions(Model):
    """The population, and what its haloes look like."""

    n_halos: int = Field(
        100, ge=1, le=10_000_000, description="number of haloes; not with a list (simulation.path)"
    )
    z: float | PositiveInterval = Field(0.25, description="redshift, or a range in which it is uniform")
    mass_msun: PositiveInterval = Field((1e14, 2e15), description="range of true masses")
    mass_function: str = Field(
        "tinker08", description="'flat' in ln M, or a mass function that colossus knows"
    )
    mass_definition: MassDefinition = "200c"
    profile: str = Field("nfw", description="name of a density profile, or path/to/file.py:function")
    parameters: dict[str, Any] = Field(default_factory=dict, description="the profile's own parameters")
    concentration: str | float = Field(
        "diemer19", description="relation, number, table, or path/to/file.py:function"
    )
    concentration_scatter: float = Field(
        0.0, ge=0, le=2, description="standard deviation of ln c about the relation"
    )
    columns: ListColumns = ListColumns()

    @model_validator(mode="after")
    def _known(self) -> Self:
        PROFILES.check(self.profile)
        if not isinstance(self.z, tuple) and not 0 < self.z < 20:
            raise ValueError(f"z: {self.z:g} is not a redshift of a lens")
        return self


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

    def halos(self) -> list[HaloInfo]:
        """Return all haloes; their masses are in ``truth`` alone."""
        load_relation(self.options.concentration)
        if self._list is None and self.options.mass_function != "flat":
            self.cosmology.require(
                "sigma8", "ns", "Ob0", purpose=f"mass function {self.options.mass_function}"
            )
        parents = None if self._list is None else self._list.parents
        return make_halos(self.path or "reader 'analytic'", self._ids, self._z, parents)

    def prepare(self) -> dict[str, Array]:
        """Return the drawn masses and concentrations, (halo,), so that no halo's job draws them again."""
        return {
            "halo_id": np.asarray(self._ids),
            "mass_msun": self._mass,
            "concentration": self._concentration(),
        }

    def truth(self) -> dict[str, float]:
        """Return each halo's true mass in Msun, of ``truth_mass_definition``."""
        return dict(zip(self._ids, self._mass.tolist(), strict=True))

    def read(self, halo: HaloInfo, tables: Tables, prepared: dict[str, Any]) -> LensingField:
        """Return the lensing of one halo at any position.

        Raises
        ------
        ReaderError
            For a halo that is not of this population.
        """
        row = np.flatnonzero(prepared["halo_id"] == halo.halo_id)
        if row.size != 1:
            raise ReaderError(f"reader 'analytic' has no halo {halo.halo_id!r}")
        environment = tables.environment(halo.z)
        profile = partial(
            PROFILES.load(self.options.profile),
            mass_msun=float(prepared["mass_msun"][row[0]]),
            concentration=float(prepared["concentration"][row[0]]),
            density_msun_mpc3=threshold_density_msun_mpc3(self.options.mass_definition, environment),
            environment=environment,
            **self.options.parameters,
        )
        return CircularField(halo, profile, environment.sigma_crit_inf_msun_mpc2)


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
