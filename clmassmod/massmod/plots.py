"""Figures of the notebook; each method draws on given or new matplotlib axes and returns them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from clmassmod.bias.comparison import Comparison
from clmassmod.errors import FitError
from clmassmod.fitters.data import usable_bins
from clmassmod.posterior import Posterior
from clmassmod.readers.observed import logarithmic, new_axes
from clmassmod.records import Array, HaloFit, ShearProfile
from clmassmod.steps.notebook import Session


class Plots:
    """Plotting methods of ``CLMassMod``."""

    _fits: dict[str, HaloFit]
    _session: Session | None
    clust_mass_dist: Posterior | None
    comparison: Comparison | None

    @property
    def profiles(self) -> Mapping[str, Any]:
        """Profiles by halo id."""
        raise NotImplementedError

    def plot_profile(self, halo_id: str | None = None, ax: Any = None, observable: str | None = None) -> Any:
        """Draw the profile of one halo, the first by default, with its best model where it was fitted.

        Of a joint fit the profiles of one ``observable``, "g_t", "delta_sigma" or "kappa", are drawn: by
        default what the first profile is.
        """
        fit = self._one(halo_id) if self._fits else None
        name = fit.halo_id if fit is not None else (halo_id or next(iter(self.profiles)))
        profiles = self._drawn(name, fit)
        chosen = observable or profiles[0].observable
        if chosen not in {p.observable for p in profiles}:
            known = sorted({p.observable for p in profiles})
            raise FitError(f"plot_profile: halo {name!r} has no {chosen!r} (known: {', '.join(known)})")
        axes = new_axes(ax)
        models = [None] * len(profiles) if fit is None else _models(fit, profiles)
        for profile, model in zip(profiles, models, strict=True):
            if profile.observable == chosen:
                _draw(axes, profile, model)
        unit = "" if chosen == "g_t" else " [Msun / Mpc2]"
        axes.axhline(0.0, color="0.7", lw=0.8)
        axes.set(xlabel="radius [Mpc]", ylabel=f"{chosen}{unit}", title=name)
        axes.legend()
        return axes

    def _drawn(self, name: str, fit: HaloFit | None) -> Sequence[ShearProfile]:
        """Return the profiles that were fitted; of fits that were read, the one that the file holds.

        Of galaxies that were not binned, means of neighbours.
        """
        if fit is not None and fit.profile is not None and "unbinned" in fit.metadata:
            return (fit.profile,)
        if fit is None or fit.profile is None or (self._session is not None and name in self.profiles):
            return tuple(self.profiles[name])
        return (fit.profile,)

    def plot_posterior(self, halo_id: str | None = None, ax: Any = None) -> Any:
        """Draw the likelihood of one halo's mass, the first by default, against mass."""
        fit = self._one(halo_id)
        if fit.status != "ok":
            raise FitError(f"halo {fit.halo_id!r} has no likelihood: {fit.reason}")
        axes = new_axes(ax)
        for definition, ln_like in fit.ln_like.items():
            axes.plot(fit.mass_msun / 1e14, np.exp(ln_like - ln_like.max()), label=f"M{definition}")
        seen = fit.mass_msun[np.any([v > v.max() - 12.0 for v in fit.ln_like.values()], axis=0)]
        axes.set(xlabel="mass [1e14 Msun]", ylabel="likelihood / maximum", title=fit.halo_id)
        logarithmic(axes)
        if len(seen) > 1:
            axes.set_xlim(seen[0] / 1e14, seen[-1] / 1e14)
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


def _models(fit: HaloFit, profiles: Sequence[ShearProfile]) -> list[tuple[Array, Array] | None]:
    """Return radius and value of the best model in the fitted bins of each profile."""
    counts = [int(usable_bins(p).sum()) for p in profiles]
    if "value" not in fit.model or len(fit.model["value"]) < sum(counts):
        return [None] * len(profiles)
    ends = np.cumsum(counts)[:-1]
    parts = (np.split(fit.model[key][: sum(counts)], ends) for key in ("radius_mpc", "value"))
    return list(zip(*parts, strict=True))


def _draw(axes: Any, profile: ShearProfile, model: tuple[Array, Array] | None) -> None:
    bars = axes.errorbar(profile.radius_mpc, profile.value, profile.error, fmt="o", label=profile.observable)
    if model is None:
        return
    radius, value = model
    colour = bars[0].get_color()
    if np.all(np.diff(radius) > 0):
        axes.plot(radius, value, color=colour, label="best model")
    else:  # several samples of sources at one radius have a model each
        axes.plot(radius, value, "_", ms=12, color="C1", zorder=3, label="best model")
