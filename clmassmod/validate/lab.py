"""What checks share: a cosmology and its tables, a folder, and a way to run a small campaign."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from clmassmod.cosmology import Cosmology
from clmassmod.errors import ReaderError
from clmassmod.fitters.likelihood import LensModel
from clmassmod.records import Array, HaloInfo, ShearProfile
from clmassmod.tables import Tables, build
from clmassmod.validate.reference import Lens

PARAMETERS: dict[str, Any] = {"H0": 70.0, "Om0": 0.3, "Ob0": 0.05, "sigma8": 0.8, "ns": 0.96}
RELATIONS = ("duffy08", "diemer19")
PLANE = 0.65  # beta_s of most source planes here

RunCampaign = Callable[[Mapping[str, Any], Path], Path]
"""Runs a configuration in a folder and returns the folder of its results."""


def _no_campaign(_configuration: Mapping[str, Any], _folder: Path) -> Path:
    raise RuntimeError("this lab cannot run campaigns")


@dataclass(frozen=True)
class Lab:
    """A bench for checks: the package set up for one cosmology, and a folder for files."""

    folder: Path
    run_campaign: RunCampaign = _no_campaign
    _kept: dict[str, Any] = field(default_factory=dict)

    def once(self, name: str, compute: Callable[[], Any]) -> Any:
        """Return what several checks look at, computed by the first of them."""
        if name not in self._kept:
            self._kept[name] = compute()
        return self._kept[name]

    @cached_property
    def cosmology(self) -> Cosmology:
        """The cosmology of ``PARAMETERS``, flat."""
        return Cosmology(**PARAMETERS)

    @cached_property
    def tables(self) -> Tables:
        """Tables with structure and two concentration relations, for lenses at z = 0.2 to 0.6."""
        relations = [(name, "200c") for name in RELATIONS]
        return Tables(build(self.cosmology, z_range=(0.2, 0.6), relations=relations, structure=True))

    def model(self, concentration: Any = 4.0, **options: Any) -> LensModel:
        """Return a lens model of NFW haloes."""
        return LensModel.build(self.tables, concentration=concentration, **options)

    def profile(
        self,
        lens: Lens,
        value: Array | None = None,
        *,
        error: float = 0.02,
        beta: tuple[float, float] = (PLANE, PLANE**2),
        radius_mpc: Array | None = None,
        observable: str = "g_t",
        halo_id: str = "h1",
    ) -> ShearProfile:
        """Return a profile as if it were measured; by default the exact one of a source plane."""
        radius = np.geomspace(0.35, 2.8, 10) if radius_mpc is None else radius_mpc
        if value is None:
            value = lens.reduced_shear(radius, beta[0])
            if observable == "delta_sigma":
                value = lens.surface(radius)[1]
        one = np.ones(len(radius))
        background = lens.background
        return ShearProfile(
            halo=HaloInfo(halo_id, lens.z),
            observable=observable,  # type: ignore[arg-type]
            radius_mpc=radius,
            value=value,
            error=error * one,
            cross=0.0 * one,
            n_gal=100.0 * one,
            beta_s=beta[0] * one,
            beta_s2=beta[1] * one,
            d_lens_mpc=background.distance(lens.z),
            sigma_crit_inf_msun_mpc2=background.sigma_critical(lens.z),
        )


@contextmanager
def colossus_reference(**changes: Any) -> Iterator[Any]:
    """Set colossus up for the lab's cosmology inside a block, without caches on disk, and put it back."""
    from colossus.cosmology import cosmology as colossus

    p = {**PARAMETERS, **changes}
    before = colossus.current_cosmo
    current = colossus.Cosmology(
        name="validation",
        flat=True,
        H0=p["H0"],
        Om0=p["Om0"],
        Ob0=p["Ob0"],
        sigma8=p["sigma8"],
        ns=p["ns"],
        relspecies=False,
        persistence="",
        print_warnings=False,
    )
    try:
        colossus.setCurrent(current)
        yield current
    finally:
        colossus.current_cosmo = before


def standard_errors(values: Array, expected: float) -> float:
    """Return how many of its standard errors the mean of values (n,) lies from what is expected."""
    return float((values.mean() - expected) / (values.std(ddof=1) / math.sqrt(values.size)))


def nbody_maps() -> Path:
    """Return the maps of the default campaign, in the working directory or beside the package.

    Raises
    ------
    ReaderError
        Where neither is a clone of the project.
    """
    name = Path("workflow/resources/nbody_haloes_z0.25.h5")
    for root in (Path(), Path(__file__).parents[2]):
        if (root / name).is_file():
            return root / name
    raise ReaderError(f"{name}: not here; validate in a clone of the project, whose maps it uses")
