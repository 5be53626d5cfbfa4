"""Figures of the notebook; each method draws on given or new matplotlib axes and returns them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from clmassmod.bias.comparison import Comparison
from clmassmod.errors import FitError
from clmassmod.posterior import Posterior
from clmassmod.readers.observed import new_axes
from clmassmod.records import HaloFit


class Plots:
    """Plotting methods of ``CLMassMod``."""

    _fits: dict[str, HaloFit]
    clust_mass_dist: Posterior | None
    comparison: Comparison | None

    @property
    def profiles(self) -> Mapping[str, Any]:
        """Profiles by halo id."""
        raise NotImplementedError

    def plot_profile(self, halo_id: str | None = None, ax: Any = None) -> Any:
        """Draw the profile of one halo, the first by default, with its best model where it was fitted."""
        axes = new_axes(ax)
        fit = self._one(halo_id) if self._fits else None
        if fit is not None and fit.profile is not None:
            profiles, name = (fit.profile,), fit.halo_id
        else:
            name = halo_id or next(iter(self.profiles))
            profiles = self.profiles[name]
        for profile in profiles:
            axes.errorbar(profile.radius_mpc, profile.value, profile.error, fmt="o", label=profile.observable)
        if fit is not None and "value" in fit.model:
            order = np.argsort(fit.model["radius_mpc"])
            axes.plot(fit.model["radius_mpc"][order], fit.model["value"][order], label="best model")
        unit = "" if profiles[0].observable == "g_t" else " [Msun / Mpc2]"
        axes.axhline(0.0, color="0.7", lw=0.8)
        axes.set(xlabel="radius [Mpc]", ylabel=f"{profiles[0].observable}{unit}", title=name)
        axes.legend()
        return axes

    def plot_posterior(self, halo_id: str | None = None, ax: Any = None) -> Any:
        """Draw the likelihood of one halo's mass, the first by default, against mass."""
        fit = self._one(halo_id)
        if fit.status != "ok":
            raise FitError(f"halo {fit.halo_id!r} has no likelihood: {fit.reason}")
        axes = new_axes(ax)
        for definition, ln_like in fit.ln_like.items():
            axes.plot(fit.mass_msun, np.exp(ln_like - ln_like.max()), label=f"M{definition}")
        axes.set(xscale="log", xlabel="mass [Msun]", ylabel="likelihood / maximum", title=fit.halo_id)
        axes.legend()
        return axes

    def plot_ensemble(self, ax: Any = None) -> Any:
        """Draw the members' likelihoods and the distribution of masses that ``ensemble_fit`` found."""
        if self.clust_mass_dist is None:
            raise FitError("plot_ensemble: call ensemble_fit first")
        axes = new_axes(ax)
        for fit in self._fits.values():
            if fit.status == "ok":
                ln_like = fit.ln_like[fit.mass_definition]
                axes.plot(fit.mass_msun, np.exp(ln_like - ln_like.max()), color="0.8", lw=0.6)
        samples = self.clust_mass_dist.samples
        ln_mass = np.log(next(iter(self._fits.values())).mass_msun)
        mean, scatter = (np.asarray(samples[n])[:400, np.newaxis] for n in ("mean_ln_mass", "scatter"))
        density = np.mean(np.exp(-0.5 * ((ln_mass - mean) / scatter) ** 2) / scatter, axis=0)
        axes.plot(np.exp(ln_mass), density / density.max(), color="C0", label="distribution of masses")
        axes.set(xscale="log", xlabel="mass [Msun]", ylabel="relative density")
        axes.legend()
        return axes

    def plot_bias(self, ax: Any = None) -> Any:
        """Draw the draws of bias and scatter that ``compare`` found."""
        if self.comparison is None:
            raise FitError("plot_bias: call compare first")
        axes = new_axes(ax)
        draws = self.comparison
        axes.plot(draws.mass_dist_bias_samps, draws.mass_dist_scatter_samps, ".", ms=1.5, alpha=0.4)
        axes.axvline(1.0, color="0.5", lw=0.8)
        axes.set(xlabel="bias M_lens / M_true", ylabel="scatter of ln M")
        return axes

    def _one(self, halo_id: str | None) -> HaloFit:
        if not self._fits:
            raise FitError("there are no fits yet; call fit_mass_profiles or read first")
        if halo_id is None:
            return next(iter(self._fits.values()))
        if halo_id not in self._fits:
            raise FitError(f"no fit of halo {halo_id!r}")
        return self._fits[halo_id]
