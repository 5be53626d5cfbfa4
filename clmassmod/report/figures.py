"""Figures of haloes: shear profiles, and lensing mass against true mass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from clmassmod.fitters.data import usable_bins
from clmassmod.posterior import Posterior
from clmassmod.records import HaloFit
from clmassmod.report import style
from clmassmod.report.summary import LEVEL, scatter_is_limit

Array = NDArray[np.float64]
_AXIS_LABEL = {
    "g_t": r"reduced tangential shear $g_\mathrm{t}$",
    "delta_sigma": r"$\Delta\Sigma$  [$10^{14}\,\mathrm{M}_\odot\,\mathrm{Mpc}^{-2}$]",
    "kappa": r"convergence $\kappa$",
}
_UNIT = {"g_t": 1.0, "delta_sigma": 1e14, "kappa": 1.0}
_LINES = 100  # nodes of a drawn curve


def shear_profile(fit: HaloFit, size: tuple[float, float] = (4.2, 3.2)) -> Figure:
    """Return the profile of one halo with its best fit and its cross component.

    Parameters
    ----------
    fit
        With ``profile``; ``model`` may be empty (an unusable halo has none).
    size
        Width and height in inches.
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
        figure, axes = style.new_axes(*size)
        axes.axhline(0.0, color=style.MUTED, linewidth=0.8)
        shown = np.isfinite(cross)
        if profile.observable != "kappa":
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
            label="map" if profile.observable == "kappa" else "tangential",
        )
        _draw_model(axes, fit, int(usable_bins(profile).sum()), unit)
        style.log_axis(axes, "x")
        axes.set_xlabel("radius [Mpc]")
        axes.set_ylabel(_AXIS_LABEL[profile.observable])
        axes.set_title(style.plain(f"{fit.halo_id}   z = {fit.z:.3g}"))
        axes.legend(loc="best")
    return figure


def _draw_model(axes: Axes, fit: HaloFit, n_bins: int, unit: float) -> None:
    """Draw the model of the first profile, which comes first in a joint fit of several."""
    if "radius_mpc" not in fit.model or "value" not in fit.model:
        return
    radius, value = (
        np.asarray(fit.model[name], dtype=np.float64)[:n_bins] for name in ("radius_mpc", "value")
    )
    radius, first = np.unique(radius, return_index=True)
    if len(radius):
        axes.plot(*model_curve(radius, value[first] / unit), color=style.SERIES[1], label="best fit")


def model_curve(radius_mpc: Array, value: Array) -> tuple[Array, Array]:
    """Return a smooth curve through a model's values at increasing radii, for the eye alone."""
    if len(radius_mpc) < 3 or not (np.isfinite(value).all() and radius_mpc[0] > 0):
        return radius_mpc, value
    from scipy.interpolate import PchipInterpolator

    fine = np.geomspace(radius_mpc[0], radius_mpc[-1], _LINES)
    curve = PchipInterpolator(np.log(radius_mpc), value)(np.log(fine))
    return fine, np.asarray(curve, dtype=np.float64)


@dataclass(frozen=True)
class Relation:
    """M_lens = b M_true with lognormal scatter: medians and ends of the 68 % interval of b.

    With ``is_limit``, ``scatter`` is a 95 % upper limit.
    """

    bias: float
    bias_lo: float
    bias_hi: float
    scatter: float
    is_limit: bool = False

    @classmethod
    def of(cls, posterior: Posterior) -> Relation:
        """Return the relation that the bias of a bin describes."""
        ln_bias, scatter = posterior.marginals["ln_bias"], posterior.marginals["scatter"]
        lo, hi = ln_bias.interval(LEVEL)
        limit = scatter_is_limit(posterior)
        middle, low, high = np.exp([ln_bias.median, lo, hi])
        return cls(
            float(middle), float(low), float(high), scatter.quantile(0.95) if limit else scatter.median, limit
        )


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
        Drawn as b M_true with its 68 % band, and the wider band b exp(±σ) M_true.
    title, mass_definition
        For the heading and the axes.
    """
    known = np.isfinite(true_mass_msun) & np.isfinite(lens_mass_msun) & (true_mass_msun > 0)
    true_mass, lens_mass = true_mass_msun[known] / style.MASS_UNIT, lens_mass_msun[known] / style.MASS_UNIT
    with style.figure_style():
        figure, axes = style.new_axes(4.2, 3.7)
        axes.set_title(style.plain(title))
        axes.set_xlabel(style.plain(f"true mass {mass_definition}".rstrip()) + style.MASS_LABEL)
        axes.set_ylabel(style.plain(f"lensing mass {mass_definition}".rstrip()) + style.MASS_LABEL)
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
        figure.legend(loc="outside lower left", ncols=2)
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
    if len(true_mass) > style.HISTOGRAM_ABOVE:
        _draw_density(axes, true_mass, np.maximum(lens_mass, limits[0]), limits, int(low.sum()))
        return
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


def _draw_density(
    axes: Axes, true_mass: Array, lens_mass: Array, limits: tuple[float, float], n_low: int
) -> None:
    """Draw numbers of haloes in cells equal in ln M, the darker the more, on a logarithmic scale."""
    x_edges = np.geomspace(true_mass.min() / 1.001, true_mass.max() * 1.001, 61)
    y_edges = np.geomspace(*limits, 71)
    number, _, _ = np.histogram2d(true_mass, lens_mass, [x_edges, y_edges])
    shade = np.log1p(number) / np.log1p(number.max())
    colours = np.zeros((*number.T.shape, 4))
    colours[..., :3] = to_rgb(style.RASTER_POINT)
    colours[..., 3] = 0.9 * shade.T
    mesh = axes.pcolormesh(x_edges, y_edges, number.T, rasterized=True, gid="density")
    mesh.set_array(None)
    mesh.set_facecolor(colours.reshape(-1, 4))
    label = f"{len(true_mass):,} haloes in cells, {n_low:,} below in the lowest"
    axes.plot([], [], "s", color=style.RASTER_POINT, label=label)


def _draw_relation(axes: Axes, span: Array, relation: Relation) -> None:
    colour = style.SERIES[1]
    sign, after = ("<", " (95 %)") if relation.is_limit else ("=", "")
    scatter = f"{relation.scatter:.2f}" if relation.scatter > 0.095 else f"{relation.scatter:.2g}"
    axes.fill_between(
        span,
        relation.bias * np.exp(-relation.scatter) * span,
        relation.bias * np.exp(relation.scatter) * span,
        color=colour,
        alpha=0.16,
        lw=0,
        label=f"scatter σ {sign} {scatter}{after}",
    )
    axes.fill_between(span, relation.bias_lo * span, relation.bias_hi * span, color=colour, alpha=0.4, lw=0)
    axes.plot(span, relation.bias * span, color=colour, label=f"bias b = {relation.bias:.3f}")
