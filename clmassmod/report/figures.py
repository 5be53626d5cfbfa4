"""Figures of haloes and bins: shear profiles, lensing against true mass, masses of a bin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from clmassmod.posterior import Posterior
from clmassmod.records import HaloFit
from clmassmod.report import style
from clmassmod.report.summary import LEVEL

Array = NDArray[np.float64]
_AXIS_LABEL = {
    "g_t": r"reduced tangential shear $g_\mathrm{t}$",
    "delta_sigma": r"$\Delta\Sigma$  [$10^{14}\,\mathrm{M}_\odot\,\mathrm{Mpc}^{-2}$]",
}
_UNIT = {"g_t": 1.0, "delta_sigma": 1e14}
_MASS_UNIT = 1e14  # of axes
_LINES = 100  # nodes of a drawn curve
_DRAWS = 200  # of a posterior, behind a band


def shear_profile(fit: HaloFit) -> Figure:
    """Return the profile of one halo with its best fit and its cross component.

    Parameters
    ----------
    fit
        With ``profile``; ``model`` may be empty (an unusable halo has none).
    """
    profile = fit.profile
    if profile is None:
        raise ValueError(f"halo {fit.halo_id}: no profile to draw")
    unit = _UNIT[profile.observable]
    order = np.argsort(profile.radius_mpc)
    radius, value, error, cross = (
        np.asarray(column, dtype=np.float64)[order]
        for column in (profile.radius_mpc, profile.value, profile.error, profile.cross)
    )
    with style.figure_style():
        figure, axes = style.new_axes()
        axes.axhline(0.0, color=style.MUTED, linewidth=0.8)
        shown = np.isfinite(cross)
        axes.plot(radius[shown] * 1.015, cross[shown] / unit, "x", color=style.MUTED, ms=4, label="cross")
        good = np.isfinite(value) & np.isfinite(error)
        axes.errorbar(
            radius[good],
            value[good] / unit,
            error[good] / unit,
            fmt="o",
            color=style.SERIES[0],
            ms=4.5,
            lw=1.2,
            label="tangential",
        )
        _draw_model(axes, fit, unit)
        if radius.size and radius.max() / radius.min() > 4:
            style.log_axis(axes, "x")
        axes.set_xlabel("radius [Mpc]")
        axes.set_ylabel(_AXIS_LABEL[profile.observable])
        axes.set_title(style.plain(f"{fit.halo_id}   z = {fit.z:.3g}"))
        axes.legend(loc="best")
    return figure


def _draw_model(axes: Axes, fit: HaloFit, unit: float) -> None:
    if "radius_mpc" not in fit.model or "value" not in fit.model:
        return
    radius, value = (np.asarray(fit.model[name], dtype=np.float64) for name in ("radius_mpc", "value"))
    order = np.argsort(radius)
    if len(order):
        axes.plot(radius[order], value[order] / unit, color=style.SERIES[1], label="best fit")


@dataclass(frozen=True)
class Relation:
    """M_lens = b M_true with lognormal scatter, as posterior draws (draw,); they are joint."""

    ln_bias: Array
    scatter: Array

    @classmethod
    def of(cls, posterior: Posterior) -> Relation:
        """Return the relation that the bias of a bin describes."""
        return cls(posterior.samples["ln_bias"], posterior.samples["scatter"])


def mass_relation(
    true_mass_msun: Array,
    lens_mass_msun: Array,
    relation: Relation | None,
    title: str = "",
    mass_definition: str = "",
) -> Figure:
    """Return best-fit lensing mass against true mass, with the fitted relation.

    Parameters
    ----------
    true_mass_msun, lens_mass_msun
        Shape (halo,) [Msun]. Haloes with a mass that is not finite are left out; those whose lensing
        mass is not above the lower edge, the negative ones among them, are drawn on it as triangles.
    relation
        Median and 68 % band of b M_true, and within it and beyond the band of b exp(±σ) M_true.
    title, mass_definition
        For the heading and the axes.
    """
    known = np.isfinite(true_mass_msun) & np.isfinite(lens_mass_msun) & (true_mass_msun > 0)
    true_mass, lens_mass = true_mass_msun[known], lens_mass_msun[known]
    with style.figure_style():
        figure, axes = style.new_axes(4.2, 3.7)
        axes.set_title(style.plain(title))
        axes.set_xlabel(style.plain(f"true mass {mass_definition}".rstrip()) + r" [M$_\odot$]")
        axes.set_ylabel(style.plain(f"lensing mass {mass_definition}".rstrip()) + r" [M$_\odot$]")
        if not len(true_mass):
            return style.no_data(figure, axes)
        limits = _relation_limits(true_mass, lens_mass)
        _scatter_points(axes, true_mass, lens_mass, limits[1])
        span = np.geomspace(*limits[0], _LINES)
        axes.plot(span, span, color=style.MUTED, lw=1, ls=(0, (4, 3)), label="equal")
        if relation is not None:
            _draw_relation(axes, span, relation)
        style.log_axis(axes, "x")
        style.log_axis(axes, "y")
        axes.set_xlim(limits[0])
        axes.set_ylim(limits[1])
        axes.legend(loc="upper left")
    return figure


def _relation_limits(true_mass: Array, lens_mass: Array) -> tuple[tuple[float, float], tuple[float, float]]:
    low, high = float(true_mass.min()), float(true_mass.max())
    x = (low / 1.15, high * 1.15)
    above = lens_mass[lens_mass > 0]
    bottom, top = np.quantile(above, [0.02, 1.0]) if len(above) else (low, high)
    # Never lower than a decade below the least true mass: noise has no lower end in ln M.
    return x, (max(min(float(bottom), x[0]) / 1.3, x[0] / 10), max(float(top), x[1]) * 1.5)


def _scatter_points(axes: Axes, true_mass: Array, lens_mass: Array, limits: tuple[float, float]) -> None:
    low = lens_mass <= limits[0]
    many = len(true_mass) > style.RASTER_ABOVE
    colour = style.RASTER_POINT if many else style.SERIES[0]
    look: dict[str, Any] = {
        "linestyle": "none",
        "color": colour,
        "rasterized": many,
        "alpha": 0.45,
        "markeredgewidth": 0,
    }
    size = float(np.clip(60 / np.sqrt(len(true_mass)), 1.6, 5))
    axes.plot(true_mass[~low], lens_mass[~low], marker="o", ms=size, gid="haloes", **look)
    if low.any():
        at = np.full(int(low.sum()), limits[0])
        label = f"{int(low.sum())} below, {int((lens_mass <= 0).sum())} of them ≤ 0"
        look["alpha"] = 0.8
        axes.plot(
            true_mass[low], at, marker="v", ms=5, clip_on=False, gid="low", label=label, zorder=4, **look
        )


def _draw_relation(axes: Axes, span: Array, relation: Relation) -> None:
    lo, middle, hi = np.exp(np.quantile(relation.ln_bias, [0.5 - LEVEL / 2, 0.5, 0.5 + LEVEL / 2]))
    scatter = float(np.median(relation.scatter))
    colour = style.SERIES[1]
    axes.fill_between(
        span,
        middle * np.exp(-scatter) * span,
        middle * np.exp(scatter) * span,
        color=colour,
        alpha=0.16,
        lw=0,
        label=f"scatter σ = {scatter:.2f}",
    )
    axes.fill_between(span, lo * span, hi * span, color=colour, alpha=0.4, lw=0)
    axes.plot(span, middle * span, color=colour, label=f"bias b = {middle:.3f}")


@dataclass(frozen=True)
class Population:
    """ln M ~ N(mean_ln_mass, scatter²), as posterior draws (draw,); they are joint."""

    mean_ln_mass: Array
    scatter: Array

    @classmethod
    def of(cls, posterior: Posterior) -> Population:
        """Return the population of lensing masses that an ensemble describes."""
        return cls(posterior.samples["mean_ln_mass"], posterior.samples["scatter"])


def mass_distribution(
    mass_msun: Array, mass_err_msun: Array, population: Population | None, title: str = ""
) -> Figure:
    """Return the histogram of the best-fit masses of a bin and what its ensemble predicts for it.

    Parameters
    ----------
    mass_msun, mass_err_msun
        Best-fit masses, the negative ones too, and their errors, shape (halo,) [Msun].
    population
        Drawn twice: as it is, and with each halo's error, which is what the histogram should show.
    """
    known = np.isfinite(mass_msun) & np.isfinite(mass_err_msun) & (mass_err_msun > 0)
    mass, error = mass_msun[known] / _MASS_UNIT, mass_err_msun[known] / _MASS_UNIT
    with style.figure_style():
        figure, axes = style.new_axes()
        axes.set_title(style.plain(title))
        axes.set_xlabel(r"best-fit mass [$10^{14}\,\mathrm{M}_\odot$]")
        axes.set_ylabel("haloes")
        if not len(mass):
            return style.no_data(figure, axes)
        edges = _histogram_edges(mass)
        axes.hist(
            np.clip(mass, edges[0], edges[-1]), list(edges), color=style.SERIES[0], alpha=0.35, label="haloes"
        )
        if population is not None:
            _draw_population(axes, edges, error, population)
        axes.axvline(0.0, color=style.MUTED, lw=0.8)
        axes.set_xlim(edges[0], edges[-1])
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.legend(loc="upper right")
    return figure


def _histogram_edges(mass: Array) -> Array:
    """Return edges that hold all but the outermost percent, which the first and last bin collect."""
    low, high = np.quantile(mass, [0.005, 0.995]) if len(mass) > 100 else (mass.min(), mass.max())
    pad = 0.05 * (high - low) or 0.1 * abs(high) or 1.0
    n = int(np.clip(2 * len(mass) ** 0.4, 6, 40))
    return np.linspace(low - pad, high + pad, n + 1)


def _draw_population(axes: Axes, edges: Array, error: Array, population: Population) -> None:
    grid = np.linspace(edges[0], edges[-1], 2 * _LINES + 1)
    scale = len(error) * (edges[1] - edges[0])  # density to haloes a bin
    chosen = np.linspace(0, len(population.scatter) - 1, min(_DRAWS, len(population.scatter))).astype(int)
    draws = list(zip(population.mean_ln_mass[chosen], population.scatter[chosen], strict=True))
    observed = np.array([expected_density(grid, error, mean, scatter) for mean, scatter in draws]) * scale
    lo, middle, hi = np.quantile(observed, [0.5 - LEVEL / 2, 0.5, 0.5 + LEVEL / 2], axis=0)
    axes.fill_between(grid, lo, hi, color=style.SERIES[1], alpha=0.3, lw=0)
    axes.plot(grid, middle, color=style.SERIES[1], label="ensemble with errors")
    mean, scatter = (float(np.median(x)) for x in (population.mean_ln_mass, population.scatter))
    true_like = np.array([_lognormal_density(grid, mean, scatter)]).ravel() * scale
    axes.plot(grid, true_like, color=style.INK, lw=1.2, ls=(0, (4, 2)), label="ensemble")
    axes.set_ylim(0, 1.15 * max(axes.get_ylim()[1], float(hi.max())))


def _lognormal_density(mass: Array, mean_ln_mass: float, scatter: float) -> Array:
    """Density in mass (units of the axes) of ln(M / Msun) ~ N(mean, scatter²); zero below zero."""
    density = np.zeros_like(mass)
    above = mass > 0
    y = (np.log(mass[above] * _MASS_UNIT) - mean_ln_mass) / scatter
    density[above] = np.exp(-0.5 * y**2) / (np.sqrt(2 * np.pi) * scatter * mass[above])
    return density


def expected_density(mass: Array, error: Array, mean_ln_mass: float, scatter: float) -> Array:
    """Return the density of best-fit masses: the population seen with normal errors.

    Parameters
    ----------
    mass, error
        Where to evaluate (node,), and the haloes' errors (halo,), both in 1e14 Msun. At most 50
        quantiles of the errors are used.
    mean_ln_mass, scatter
        The population, ln(M / Msun) ~ N(mean, scatter²).

    Returns
    -------
    array
        Shape (node,), per 1e14 Msun, averaged over the haloes.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(24)
    true_mass = np.exp(mean_ln_mass + scatter * nodes) / _MASS_UNIT
    weights = weights / weights.sum()
    errors = np.quantile(error, (np.arange(50) + 0.5) / 50) if len(error) > 50 else error
    kernel = np.zeros((len(mass), len(nodes)))
    for sigma in errors:
        kernel += np.exp(-0.5 * ((mass[:, None] - true_mass) / sigma) ** 2) / (np.sqrt(2 * np.pi) * sigma)
    density: Array = kernel @ weights / len(errors)
    return density
