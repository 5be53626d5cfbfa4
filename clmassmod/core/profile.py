"""A density profile: what the registry gives for a name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from clmassmod.core.projected import Projected
from clmassmod.records import Array

EFFECTS = ("two_halo", "offset_mpc", "offset_distribution")  # parameters of every profile


@dataclass(frozen=True)
class Profile:
    """Density, enclosed mass and surface density of one kind of halo; called, it projects.

    All three functions take ``(radius_mpc, mass_msun, concentration, density_msun_mpc3, environment,
    **parameters)`` and return arrays (mass, bin). ``density_msun_mpc3`` is the mean density inside the
    radius of the mass definition. The names in ``needs`` are parameters that come from the cosmology,
    which the caller passes: ``peak_height`` is a function from M200m in Msun to the peak height nu.
    """

    projected: Callable[..., Projected]
    density: Callable[..., Array]
    enclosed_mass: Callable[..., Array]
    needs: tuple[str, ...] = ()

    def __call__(self, *arguments: Any, **parameters: Any) -> Projected:
        """Return the surface densities, as ``projected`` does."""
        return self.projected(*arguments, **parameters)
