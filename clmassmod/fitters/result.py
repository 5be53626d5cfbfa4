"""Parts of a halo's result that all fitters write alike."""

from __future__ import annotations

import numpy as np

from clmassmod.fitters.data import FitData
from clmassmod.fitters.grid import MASS_GRID_MSUN
from clmassmod.fitters.likelihood import LensModel
from clmassmod.fitters.summary import chi2_probability
from clmassmod.records import Array, HaloFit


def unusable(data: FitData, model: LensModel) -> HaloFit:
    """Return the record of a halo that has nothing to fit."""
    total = sum(len(profile.value) for profile in data.profiles)
    if total == 0:
        reason = "no radial bin lies in the fitted range"
    else:
        reason = f"none of {total} radial bins has galaxies, finite values and a positive error"
    return HaloFit(
        data.profiles[0].halo,
        model.primary,
        MASS_GRID_MSUN,
        {},
        status="unusable",
        reason=reason,
        profile=data.profiles[0],
        diagnostics={"n_bins_unused": float(data.n_unused)},
    )


def describe(data: FitData, chi2: float) -> dict[str, float]:
    """Return how well the best model fits; the mass alone counts as fitted."""
    dof = data.n_bins - 1
    return {
        "chi2": chi2,
        "dof": float(dof),
        "p_value": chi2_probability(chi2, dof),
        "n_bins": float(data.n_bins),
    }


def best_model(data: FitData, signal: Array) -> dict[str, Array]:
    """Return the best model (bin,) at the bins that were fitted, all profiles one after the other."""
    radius = np.concatenate([p.radius_mpc[used] for p, used in zip(data.profiles, data.used, strict=True)])
    return {"radius_mpc": radius, "value": signal}
