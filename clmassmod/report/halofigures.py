"""Figures of an example halo beside its profile: map, catalogue, and the posterior of its mass."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import AsinhNorm
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from numpy.typing import NDArray

from clmassmod.core.gridstats import cumulative
from clmassmod.records import HaloFit
from clmassmod.report import style
from clmassmod.report.inputs import Scene
from clmassmod.report.summary import LEVEL

Array = NDArray[np.float64]
SIZE = style.ROW_SIZE
_MOST_DOTS = 3000  # galaxies drawn; the shear in the cells is that of all
_CELLS = 9  # along a side


def halo_map(scene: Scene) -> Figure:
    """Return the convergence about the assumed centre, with the radial range of the fit."""
    assert scene.kappa_inf is not None
    with style.figure_style():
        figure, axes = style.new_axes(*SIZE)
        kappa, half = scene.kappa_inf, scene.half_mpc
        known = kappa[np.isfinite(kappa)] if np.isfinite(kappa).any() else np.zeros(1)
        low, top = (float(v) for v in np.quantile(known, [0.002, 0.999]))
        top = max(top, low + 1e-6)
        norm = AsinhNorm(linear_width=max(0.1 * top, 1e-6), vmin=low, vmax=top)
        extent = (-half, half, -half, half)
        image = axes.imshow(kappa, origin="lower", extent=extent, cmap="cividis", norm=norm)
        bar = figure.colorbar(image, ax=axes, fraction=0.05, pad=0.02)
        if bar.solids is not None:
            bar.solids.set_rasterized(True)
        ticks = _ticks(norm, low, top)
        bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
        bar.minorticks_off()
        bar.outline.set_visible(False)
        bar.set_label(r"convergence $\kappa_\infty$")
        axes.grid(visible=False)
        _draw_rings(axes, scene, "#ffffff")
        _finish(axes, scene, "map")
    return figure


def _ticks(norm: AsinhNorm, low: float, high: float) -> list[float]:
    """Return round values that are not too close to each other on the bar."""
    steps = [a * 10.0**k for k in range(-4, 2) for a in (1, 2, 5)]
    kept: list[float] = []
    for tick in [0.0, *steps[::-1], *(-step for step in steps[::-1])]:
        places = [float(norm(other)) for other in kept]
        if low <= tick <= high and all(abs(float(norm(tick)) - place) > 0.09 for place in places):
            kept.append(tick)
    return sorted(kept)


def halo_catalogue(scene: Scene) -> Figure:
    """Return the source galaxies, and their mean reduced shear in cells as lines along the elongation."""
    with style.figure_style():
        figure, axes = style.new_axes(*SIZE)
        every = max(1, math.ceil(len(scene.x_mpc) / _MOST_DOTS))
        axes.plot(
            scene.x_mpc[::every],
            scene.y_mpc[::every],
            ".",
            ms=1.6,
            mew=0,
            color=style.RASTER_POINT,
            alpha=0.6,
            rasterized=True,
            gid="galaxies",
        )
        _draw_shear(axes, scene)
        _draw_rings(axes, scene, style.INK)
        axes.grid(visible=False)
        _finish(axes, scene, f"{len(scene.x_mpc):,} galaxies")
    return figure


def cell_shear(scene: Scene) -> tuple[Array, Array, Array, Array]:
    """Return mean x, y, e1 and e2 of the galaxies in square cells, (cell,); cells with few are left out."""
    edges = np.linspace(-scene.half_mpc, scene.half_mpc, _CELLS + 1)
    column, row = (np.searchsorted(edges, v, side="right") - 1 for v in (scene.x_mpc, scene.y_mpc))
    inside = (column >= 0) & (column < _CELLS) & (row >= 0) & (row < _CELLS)
    place = (row * _CELLS + column)[inside]
    number = np.bincount(place, minlength=_CELLS**2)
    enough = number >= max(5.0, 0.25 * number.mean())
    means = [
        np.bincount(place, values[inside], _CELLS**2)[enough] / number[enough]
        for values in (scene.x_mpc, scene.y_mpc, scene.e1, scene.e2)
    ]
    return means[0], means[1], means[2], means[3]


def _draw_shear(axes: Axes, scene: Scene) -> None:
    x, y, e1, e2 = cell_shear(scene)
    if not len(x):
        return
    size = np.hypot(e1, e2)
    scale = 0.5 * (2 * scene.half_mpc / _CELLS) / max(float(np.quantile(size, 0.9)), 1e-6)
    angle = 0.5 * np.arctan2(e2, e1)
    dx, dy = (0.5 * scale * size * f(angle) for f in (np.cos, np.sin))
    axes.plot([x - dx, x + dx], [y - dy, y + dy], "-", color=style.SERIES[1], lw=1.5, solid_capstyle="round")


def _draw_rings(axes: Axes, scene: Scene, colour: str) -> None:
    for radius in scene.rings_mpc:
        ring = Circle((0, 0), radius, fill=False, edgecolor=colour, lw=1.0, linestyle=(0, (4, 3)))
        axes.add_patch(ring)
    axes.plot(0, 0, "+", color=colour, ms=7, mew=1.2)
    if math.hypot(*scene.true_centre_mpc) > 0:
        axes.plot(*scene.true_centre_mpc, "x", color=colour, ms=6, mew=1.2)


def _finish(axes: Axes, scene: Scene, title: str) -> None:
    axes.set_aspect("equal")
    axes.set_xlim(-scene.half_mpc, scene.half_mpc)
    axes.set_ylim(-scene.half_mpc, scene.half_mpc)
    axes.set_xlabel("x [Mpc]")
    axes.set_ylabel("y [Mpc]")
    axes.set_title(title)


def mass_posterior(fit: HaloFit, prior: str, true_mass_msun: float | None = None) -> Figure:
    """Return likelihood and posterior density of one halo's mass against ln M.

    Parameters
    ----------
    fit
        With a likelihood.
    prior
        ``flat`` in mass, or ``log``: flat in ln M. The density is drawn per unit of ln M, so that its
        area is probability on the axis as it is drawn; under ``log`` it is the likelihood.
    true_mass_msun
        Drawn as a line where it is known.
    """
    ln_like = np.asarray(fit.ln_like[fit.mass_definition], dtype=np.float64)
    like = np.exp(ln_like - ln_like.max())
    density = like * (fit.mass_msun / fit.mass_msun[0] if prior == "flat" else 1.0)
    density = density / density.max()
    ln_mass = np.log(fit.mass_msun)
    share = cumulative(ln_mass, density)
    mass = fit.mass_msun / style.MASS_UNIT
    with style.figure_style():
        figure, axes = style.new_axes(*SIZE)
        inside = (share >= 0.5 - LEVEL / 2) & (share <= 0.5 + LEVEL / 2)
        axes.fill_between(mass, 0, density, where=inside.tolist(), color=style.SERIES[1], alpha=0.3, lw=0)
        axes.plot(mass, density, color=style.SERIES[1], label="posterior, 68 % filled")
        axes.plot(mass, like, color=style.SERIES[0], lw=1.3, ls=(0, (4, 2)), label="likelihood")
        if true_mass_msun is not None and true_mass_msun > 0:
            axes.axvline(true_mass_msun / style.MASS_UNIT, color=style.INK, lw=1.2, label="true mass")
        style.log_axis(axes, "x")
        seen = mass[np.maximum(like, density) > 0.01]
        low, high = max(seen[0], seen[-1] / 300), seen[-1]
        if true_mass_msun is not None and true_mass_msun > 0:
            low, high = (f(end, true_mass_msun / style.MASS_UNIT) for f, end in ((min, low), (max, high)))
        axes.set_xlim(low / 1.03, high * 1.03)
        axes.set_ylim(0, 1.08)
        axes.set_yticks([])
        axes.set_xlabel(style.plain(f"mass {fit.mass_definition}") + style.MASS_LABEL)
        axes.set_title("mass")
        figure.legend(loc="outside lower left", ncols=2)
    return figure
