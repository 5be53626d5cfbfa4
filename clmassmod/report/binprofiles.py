"""Mean profiles of bins, with what the bins' ensembles predict for them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from clmassmod.fitters.likelihood import LensModel
from clmassmod.posterior import Posterior
from clmassmod.records import ShearProfile
from clmassmod.report import style
from clmassmod.report.inputs import BinProfile
from clmassmod.report.summary import LEVEL
from clmassmod.stack import (
    MemberModel,
    Prediction,
    member_model,
    nfw_prediction,
    stack_delta_sigma,
)

Array = NDArray[np.float64]
MOST_STACKED = 200  # members of a bin whose profiles are read and averaged
_DRAWS = 200
NODES_MSUN = np.geomspace(1e12, 3e16, 81)
_MOST_BINS = 12
_ENOUGH = 10  # members for an error from resampling them


def bin_profile(
    profiles: Sequence[ShearProfile], model: LensModel, ensemble: Posterior | None, n_members: int
) -> BinProfile | None:
    """Return the mean profile of a bin's members and the prediction of its ensemble.

    Reduced shears become excess surface densities with the ratio that an NFW halo of the ensemble's mean
    mass has. The prediction is the mean over the population ln M ~ N(mean, scatter^2) of the mean of the
    model over the members, each at its own redshift and radii, with the weights of the stack.

    Parameters
    ----------
    profiles
        Of some or all members, in the analysis' radial range.
    model
        Of the analysis; haloes are centred and have the relation's concentration.
    ensemble
        Posterior of the bin's population.
    n_members
        Usable members of the bin.

    Returns
    -------
    BinProfile or None
        None where no profile has a usable bin, and of convergence, which no stack takes.
    """
    edges = stack_edges(profiles)
    if edges is None or any(profile.observable == "kappa" for profile in profiles):
        return None
    mean_mass = float(np.exp(ensemble.mean["mean_ln_mass"])) if ensemble is not None else 3e14
    enough = len(profiles) >= _ENOUGH
    made = stack_delta_sigma(
        profiles,
        edges,
        error="bootstrap" if enough else "analytic",
        n_bootstrap=400,
        predictions=[_ratio(model, profile, mean_mass) for profile in profiles],
    )
    shown = np.isfinite(made.value) & np.isfinite(made.error)
    predicted = np.empty((3, 0))
    if ensemble is not None:
        z = np.array([profile.halo.z for profile in profiles])
        members = member_model(model.without_noise(), made, z)
        predicted = _predicted(members, members.position_mpc[shown], float(np.median(z)), ensemble)
    return BinProfile(
        made.position[shown], made.value[shown], made.error[shown], predicted, len(profiles), n_members
    )


def stack_edges(profiles: Sequence[ShearProfile]) -> Array | None:
    """Return the edges of the radial bins, the profiles' own where all have the same."""
    from clmassmod.fitters.data import usable_bins

    used = [profile.radius_mpc[usable_bins(profile)] for profile in profiles]
    radii = np.concatenate([*used, np.empty(0)])
    if not len(radii):
        return None
    own = [profile.edges_mpc for profile in profiles]
    if own[0] is not None and all(e is not None and np.array_equal(e, own[0]) for e in own):
        return own[0]
    n = int(np.clip(np.median([len(r) for r in used]), 1, _MOST_BINS))
    return np.geomspace(0.999 * radii.min(), 1.001 * radii.max(), n + 1)


def _ratio(model: LensModel, profile: ShearProfile, mass_msun: float) -> Prediction | None:
    """Return an NFW halo's excess surface density and reduced shear, for the ratio of the two."""
    if profile.observable == "delta_sigma":
        return None
    from clmassmod.core.massdef import threshold_density_msun_mpc3

    density = threshold_density_msun_mpc3(model.primary, model.environment(profile))
    concentration = float(model.concentration(np.array([mass_msun]), profile.halo.z)[0])
    return nfw_prediction(profile, mass_msun, concentration, density)


def _predicted(model: MemberModel, radius_mpc: Array, z: float, ensemble: Posterior) -> Array:
    """Return low, middle and high of the population's mean profile at mean radii of the stack, (3, bin)."""
    environment = model.tables.environment(z)
    concentration = model.concentration(NODES_MSUN, environment.z)
    surface = model.surface(radius_mpc, environment, NODES_MSUN, concentration)
    draws = population_mean(surface.delta_sigma, ensemble)
    return np.quantile(draws, [0.5 - LEVEL / 2, 0.5, 0.5 + LEVEL / 2], axis=0)


def population_mean(delta_sigma: Array, ensemble: Posterior) -> Array:
    """Return means over lognormal populations, (draw, bin), of profiles at ``NODES_MSUN``, (mass, bin)."""
    mean, scatter = ensemble.samples["mean_ln_mass"], ensemble.samples["scatter"]
    chosen = np.linspace(0, len(mean) - 1, min(_DRAWS, len(mean))).astype(int)
    x, weight = np.polynomial.hermite_e.hermegauss(24)
    ln_mass = mean[chosen, np.newaxis] + scatter[chosen, np.newaxis] * x
    flat = [np.interp(ln_mass.ravel(), np.log(NODES_MSUN), column) for column in delta_sigma.T]
    values = np.stack(flat, axis=-1).reshape(*ln_mass.shape, -1)
    return np.asarray(np.einsum("dnb,n->db", values, weight / weight.sum()))


def bin_profile_figure(profile: BinProfile, title: str = "") -> Figure:
    """Return the mean profile of a bin with the band of its ensemble's prediction."""
    unit = style.MASS_UNIT
    with style.figure_style():
        figure, axes = style.new_axes()
        radius = profile.radius_mpc
        if profile.model.size:
            low, middle, high = profile.model / unit
            axes.fill_between(radius, low, high, color=style.SERIES[1], alpha=0.3, lw=0)
            axes.plot(radius, middle, color=style.SERIES[1], label="ensemble")
        axes.errorbar(
            radius,
            profile.delta_sigma / unit,
            profile.error / unit,
            fmt="o",
            ms=4.5,
            lw=1.2,
            color=style.SERIES[0],
            label=f"mean of {profile.n_stacked:,} haloes",
        )
        axes.axhline(0.0, color=style.MUTED, lw=0.8)
        style.log_axis(axes, "x")
        axes.set_xlabel("radius [Mpc]")
        axes.set_ylabel(r"mean $\Delta\Sigma$  [$10^{14}\,\mathrm{M}_\odot\,\mathrm{Mpc}^{-2}$]")
        axes.set_title(style.plain(title))
        figure.legend(loc="outside lower left", ncols=2)
    return figure
