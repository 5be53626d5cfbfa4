"""A stack as one cluster: its profile, and a lens model that is the mean over the members."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clmassmod.core.projected import Projected
from clmassmod.errors import ConfigError
from clmassmod.fitters.likelihood import LensModel, Memos
from clmassmod.records import Array, HaloEnvironment, HaloInfo, ShearProfile
from clmassmod.stack.mean import Stack
from clmassmod.tables import Tables

_NONE = np.empty(0)


def stacked_profile(stack: Stack, z: Array, tables: Tables, halo_id: str = "stack") -> ShearProfile:
    """Return a stack of excess surface densities as the profile of one cluster.

    Parameters
    ----------
    stack : Stack
        Of ``stack_delta_sigma``.
    z : array (cluster,)
        Redshifts of all clusters that were given to the stack; the cluster stands at their weighted mean.
    tables : Tables
    halo_id : str

    Raises
    ------
    ConfigError
        For a stack in scaled radii, which has no length.
    """
    details = stack.details
    if details.method != "woScaling":
        raise ConfigError("a stack in units of NFW predictions is no cluster; fit the stack 'woScaling'")
    rows = details.rows
    environment = tables.environment(float(np.average(z[rows.cluster], weights=rows.weight)))
    n = len(stack.value)
    return ShearProfile(
        halo=HaloInfo(halo_id, environment.z),
        observable="delta_sigma",
        radius_mpc=np.where(np.isfinite(stack.position), stack.position, 0.0),
        value=stack.value,
        error=stack.error,
        cross=np.full(n, np.nan),
        n_gal=details.n_clusters.astype(float),
        beta_s=np.ones(n),
        beta_s2=np.ones(n),
        d_lens_mpc=environment.d_lens_mpc,
        sigma_crit_inf_msun_mpc2=environment.sigma_crit_inf_msun_mpc2,
        edges_mpc=details.edges,
    )


@dataclass(frozen=True)
class MemberModel(LensModel):
    """Mean of a lens model over the members of a stack, all of one mass.

    Each member has its own redshift, the concentration of the relation there, and its own radii and
    weights in every bin. Arrays are (row,) but ``position_mpc`` (bin,).
    """

    row_z: Array = field(default_factory=lambda: _NONE)
    row_radius_mpc: Array = field(default_factory=lambda: _NONE)
    row_weight: Array = field(default_factory=lambda: _NONE)
    row_bin: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, dtype=np.intp))
    position_mpc: Array = field(default_factory=lambda: _NONE)

    @property
    def is_nfw(self) -> bool:
        """Whether the profile has a closed form: a mean over haloes has none."""
        return False

    @property
    def takes_any_radius(self) -> bool:
        """Whether ``surface`` does: each bin has its members' own radii."""
        return False

    def surface(
        self, radius_mpc: Array, environment: HaloEnvironment, mass_msun: Array, concentration: Array
    ) -> Projected:
        """Return the members' mean surface densities (mass, bin) at the stack's mean radii."""
        places = np.searchsorted(self.position_mpc, radius_mpc)
        places = np.minimum(places, len(self.position_mpc) - 1)
        if not np.allclose(self.position_mpc[places], radius_mpc, rtol=1e-9, atol=0):
            raise ConfigError(
                "the mean over a stack's members takes no miscentring; model the members' mean cluster"
            )
        ratio = concentration / self.concentration(mass_msun, environment.z)
        sums = np.zeros((3, len(mass_msun), len(self.position_mpc)))
        for z in np.unique(self.row_z):
            rows = self.row_z == z
            c = ratio * self.concentration(mass_msun, float(z))
            found = super().surface(
                self.row_radius_mpc[rows], self.tables.environment(float(z)), mass_msun, c
            )
            for i, part in enumerate((found.sigma, found.delta_sigma, np.ones_like(found.sigma))):
                np.add.at(sums[i].T, self.row_bin[rows], (self.row_weight[rows] * part).T)
        return Projected(sums[0][:, places] / sums[2][:, places], sums[1][:, places] / sums[2][:, places])


def member_model(model: LensModel, stack: Stack, z: Array) -> MemberModel:
    """Return the mean of a lens model over the members of a stack.

    Parameters
    ----------
    model : LensModel
    stack : Stack
        Of ``stack_delta_sigma``.
    z : array (cluster,)
        Redshifts of all clusters that were given to the stack.
    """
    rows = stack.details.rows
    shared: dict[str, Any] = {f.name: getattr(model, f.name) for f in fields(LensModel) if f.init}
    shared["memo"] = Memos()  # what the model of one cluster keeps is not the members'
    shared["description"] = {**model.description, "stack": f"mean over {len(stack.details.halo_ids)} members"}
    # empty bins, which are not fitted, must not break the order of the radii
    position = np.where(np.isfinite(stack.position), stack.position, stack.details.edges[:-1])
    return MemberModel(
        **shared,
        row_z=z[rows.cluster],
        row_radius_mpc=rows.position,
        row_weight=rows.weight,
        row_bin=rows.bin,
        position_mpc=position,
    )
