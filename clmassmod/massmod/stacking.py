"""``massmod.stackTools``: the stacks of ``clmassmod.stack`` for the clusters of a ``CLMassMod``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from clmassmod.bins import FittedProfile, fitted_profile
from clmassmod.core.massdef import threshold_density_msun_mpc3
from clmassmod.errors import ConfigError, FitError
from clmassmod.readers.observed import logarithmic, new_axes
from clmassmod.records import Array, ShearProfile
from clmassmod.registry import suggest
from clmassmod.stack import (
    Prediction,
    Stack,
    member_model,
    nfw_prediction,
    stack_delta_sigma,
    stack_scaled,
    stacked_profile,
)
from clmassmod.steps import chain
from clmassmod.steps.fitting import fit_all
from clmassmod.steps.notebook import folder_of
from clmassmod.steps.saving import save_fits

if TYPE_CHECKING:
    from clmassmod.massmod.cluster import CLMassMod

METHODS = ("woScaling", "wScaling")
Masses = Mapping[str, float] | Callable[[str], float]


class StackTools:
    """Stacks of all clusters of a ``CLMassMod``.

    Attributes
    ----------
    stacks : mapping of method to Stack
        The last stack of each method; its ``details`` hold errors of both kinds, scatter and members.
    """

    def __init__(self, owner: CLMassMod) -> None:
        self._owner = owner
        self.stacks: dict[str, Stack] = {}

    def stack(
        self,
        presetX: ArrayLike,
        method: str = "woScaling",
        *,
        error: Literal["analytic", "bootstrap"] = "analytic",
        masses: Masses | None = None,
        units: Literal["prediction", "amplitude"] = "prediction",
        n_bootstrap: int = 1000,
        seed: int = 0,
    ) -> Stack:
        """Return value, error and mean position (bin,) of the stack of all clusters.

        Parameters
        ----------
        presetX : array (bin + 1,)
            Edges of the bins: physical radii [Mpc] for woScaling, x = r / r_s for wScaling.
        method : {"woScaling", "wScaling"}
            woScaling: weighted mean excess surface density [Msun / Mpc2] against radius [Mpc]. Weights are
            inverse variances; reduced shear becomes excess surface density by the mean critical surface
            density (with ``masses``, by the ratio that NFW haloes of these masses have).
            wScaling: F, each cluster's profile over its own NFW prediction, against x = r / r_s
            (Niikura et al. 2015): 1 where clusters are NFW haloes of these masses.
        error : {"analytic", "bootstrap"}
            By shape noise alone, or by resampling clusters.
        masses : mapping of halo id to Msun, or function of the id, optional
            For the NFW predictions, in the mass definition of the fit. By default those of the last fit,
            or of a scan made for the purpose; clusters whose best mass is not positive are left out.
        units : {"prediction", "amplitude"}
            Of F: the NFW prediction, or rho_s r_s.
        n_bootstrap, seed : int
            Resamplings and their seed.

        Returns
        -------
        Stack
            Unpacks into three arrays; ``.details`` says the rest.
        """
        if method not in METHODS:
            raise ConfigError(f"stack: unknown method {method!r}{suggest(str(method), list(METHODS))}")
        profiles = self._profiles()
        options: dict[str, Any] = {"error": error, "n_bootstrap": n_bootstrap, "seed": seed}
        if method == "woScaling":
            predictions = None if masses is None else self._predictions(profiles, masses)
            made = stack_delta_sigma(profiles, presetX, predictions=predictions, **options)
        else:
            made = stack_scaled(
                profiles, self._predictions(profiles, masses), presetX, units=units, **options
            )
        self.stacks[method] = made
        return made

    def _profiles(self) -> list[ShearProfile]:
        return [p for profiles in self._owner.profiles.values() for p in profiles]

    def _predictions(self, profiles: list[ShearProfile], masses: Masses | None) -> list[Prediction | None]:
        model = self._owner.session().model
        known = self._masses() if masses is None else masses
        found: list[Prediction | None] = []
        for profile in profiles:
            mass = _mass(known, profile.halo.halo_id)
            if not mass > 0:
                found.append(None)
                continue
            concentration = float(model.concentration(np.array([mass]), profile.halo.z)[0])
            density = threshold_density_msun_mpc3(model.primary, model.environment(profile))
            found.append(nfw_prediction(profile, mass, concentration, density))
        return found

    def _masses(self) -> dict[str, float]:
        """Return the maximum-likelihood masses of the last fit, or of one that is not kept."""
        owner = self._owner
        fits = owner.fits or fit_all(owner.session(), None)
        return {h: fit.summary.get("mass_ml_msun", np.nan) for h, fit in fits.items()}

    def fit_stack(
        self,
        calc_method: Any = "scan",
        calc_params: Mapping[str, Any] | None = None,
        save_loc: str | Path | None = None,
        *,
        mean_over_members: bool = True,
    ) -> FittedProfile:
        """Fit the last stack "woScaling" like a cluster.

        Parameters
        ----------
        calc_method, calc_params, save_loc
            As in ``CLMassMod.fit_mass_profiles``; the halo's id is "stack".
        mean_over_members : bool
            Compare with the mean of the model over the members, each at its own redshift and radii, with
            the weights of the stack; else with one cluster at the members' weighted mean redshift.

        Returns
        -------
        FittedProfile
        """
        if "woScaling" not in self.stacks:
            raise FitError("fit_stack: call stack(presetX, 'woScaling') first")
        made = self.stacks["woScaling"]
        session = self._owner.session_for(calc_method, calc_params)
        z: Array = np.array([profile.halo.z for profile in self._profiles()])
        profile = stacked_profile(made, z, session.tables)
        # the noise of one halo is not that of a mean of many, whose bootstrap error has all of it
        single = session.model.without_noise()
        model = member_model(single, made, z) if mean_over_members else single
        call = session.call
        analysis = call.config.origin.analysis
        fit = chain.fit_profiles(profile, model, call.analysis, analysis, call.seed, call.fitter)
        if save_loc is None:
            return fitted_profile(fit)
        origin = chain.provenance(call.config.origin.campaign, call.key, call.seed)
        (path,) = save_fits(folder_of(save_loc), {fit.halo_id: fit}, {fit.halo_id: origin})
        return fitted_profile(fit, path)

    def plot(self, method: str = "woScaling", ax: Any = None) -> Any:
        """Draw the last stack of a method; return the axes."""
        if method not in self.stacks:
            raise FitError(f"plot: call stack(presetX, {method!r}) first")
        made = self.stacks[method]
        axes = new_axes(ax)
        axes.errorbar(made.position, made.value, made.error, fmt="o")
        logarithmic(axes)
        if method == "wScaling":
            axes.axhline(1.0, color="0.6", lw=0.8)
            axes.set(xlabel="x = r / r_s", ylabel="F")
        else:
            axes.set(
                yscale="log",
                xlabel="radius [Mpc]",
                ylabel="excess surface density [Msun / Mpc2]",
            )
        return axes


def _mass(known: Masses, halo_id: str) -> float:
    if callable(known):
        return float(known(halo_id))
    if halo_id not in known:
        raise ConfigError(f"stack: masses has no halo {halo_id!r}; give the mass of every cluster")
    return float(known[halo_id])
