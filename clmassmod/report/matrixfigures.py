"""Figures of a matrix: what each choice does on average, and every cell."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Literal

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from clmassmod.report import style
from clmassmod.report.inputs import MatrixDesign
from clmassmod.report.matrix import MatrixRow

Quantity = Literal["ln_bias", "scatter", "noise", "total"]
LABELS: dict[Quantity, str] = {
    "ln_bias": r"$\ln b$",
    "scatter": r"scatter $\sigma$",
    "noise": "noise of one halo",
    "total": "scatter and noise",
}
TITLES: dict[Quantity, str] = {
    "ln_bias": "ln b, in per cent",
    "scatter": "intrinsic scatter σ of ln M, in per cent",
    "noise": "noise of one halo's ln M, in per cent",
    "total": "scatter and noise of one halo, in per cent",
}
# Not the theme's colours: a cell keeps its colour in the dark, and so must the number in it.
_LOW, _MIDDLE, _HIGH = "#1858a6", "#f4f6f8", "#d56a1f"
_ON_PALE, _ON_DARK = "#15191f", "#fcfdfe"


def main_effects(design: MatrixDesign, rows: Sequence[MatrixRow]) -> Figure | None:
    """Return a line for each variant: means over all its cells, and how far these range.

    Dot: the mean; thick bar: 16 to 84 %; thin bar: all. The grey band is the median error of ln b, which
    all analyses of the same haloes have in common.
    """
    quantities: tuple[Quantity, ...] = ("ln_bias", "scatter", "noise")
    lines = [
        (i, axis, v)
        for i, (axis, variants) in enumerate(design.axes.items())
        for v in variants
        if any(row.variants[i] == v for row in rows)
    ]
    if not lines:
        return None
    places = np.array([n + 0.7 * i for n, (i, _, _) in enumerate(lines)])
    with style.figure_style():
        figure = Figure(figsize=(8.4, 1.0 + 0.235 * (places[-1] + 1)), layout="constrained")
        panels = figure.subplots(1, len(quantities), sharey=True)
        for axes, quantity in zip(panels, quantities, strict=True):
            for place, (i, _, variant) in zip(places, lines, strict=True):
                values = np.array([getattr(row, quantity) for row in rows if row.variants[i] == variant])
                _line(axes, values[np.isfinite(values)], float(place), i)
            axes.set_xlabel(LABELS[quantity])
            axes.xaxis.set_major_locator(MaxNLocator(5))
            axes.grid(visible=False, axis="y")
        error = float(np.median([row.ln_bias_err for row in rows]))
        panels[0].axvline(0.0, color=style.MUTED, lw=1, ls=(0, (4, 3)))
        panels[0].axvspan(-error, error, color=style.MUTED, alpha=0.12, lw=0)
        panels[0].set_yticks(places, [style.plain(variant) for _, _, variant in lines])
        panels[0].set_ylim(places[-1] + 0.6, -1.0)
        for i, axis in enumerate(design.axes):
            first = next((p for p, line in zip(places, lines, strict=True) if line[0] == i), None)
            if first is not None:
                panels[0].annotate(
                    style.plain(axis),
                    (0, first - 0.72),
                    xycoords=("axes fraction", "data"),
                    xytext=(-6, 0),
                    textcoords="offset points",
                    ha="right",
                    va="center",
                    fontweight="bold",
                    fontsize=8,
                )
    return figure


def _line(axes: Axes, values: np.ndarray, place: float, i: int) -> None:
    if not values.size:
        return
    look = style.series_style(i)
    axes.hlines(place, values.min(), values.max(), color=look["color"], lw=0.9, alpha=0.6)
    axes.hlines(place, *np.percentile(values, [16, 84]), color=look["color"], lw=3.2, alpha=0.45)
    axes.plot(values.mean(), place, ms=5, linestyle="none", **look)


def heat_map(design: MatrixDesign, rows: Sequence[MatrixRow], quantity: Quantity) -> Figure | None:
    """Return every cell with its number; the first half of the axes downwards, the others across."""
    if not rows:
        return None
    names = list(design.axes)
    n_down = (len(names) + 1) // 2
    down = list(product(*(design.axes[a] for a in names[:n_down])))
    across = list(product(*(design.axes[a] for a in names[n_down:])))
    values = np.full((len(down), len(across)), np.nan)
    for row in rows:
        place = down.index(row.variants[:n_down]), across.index(row.variants[n_down:])
        values[place] = 100.0 * getattr(row, quantity)
    with style.figure_style():
        # no smaller than other figures of the page, which has all of one width
        size = (max(4.2, 2.0 + 0.46 * len(across)), max(2.4, 1.6 + 0.24 * len(down)))
        figure = Figure(figsize=size, layout="constrained")
        title = {key: rcParams[f"axes.title{key}"] for key in ("size", "weight")}
        figure.suptitle(TITLES[quantity], x=0.02, ha="left", **title)  # not cut where its axes are narrow
        axes = figure.add_subplot()
        _paint(axes, values, diverging=quantity == "ln_bias")
        axes.set_xticks(
            range(len(across)), [style.plain(" ".join(v)) for v in across], rotation=60, ha="right"
        )
        axes.set_yticks(range(len(down)), [style.plain(" ".join(v)) for v in down])
        axes.grid(visible=False)
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
    return figure


def _paint(axes: Axes, values: np.ndarray, *, diverging: bool) -> None:
    finite = values[np.isfinite(values)]
    norm: Normalize
    if diverging:
        largest = max(float(np.abs(finite).max()), 1e-9)
        norm, colours = TwoSlopeNorm(0.0, -largest, largest), [_LOW, _MIDDLE, _HIGH]
    else:
        norm, colours = Normalize(float(finite.min()), float(finite.max()) + 1e-9), [_MIDDLE, _LOW]
    shades = LinearSegmentedColormap.from_list("cells", colours)
    edges = [np.arange(n + 1) - 0.5 for n in values.shape]
    axes.pcolormesh(edges[1], edges[0], values, cmap=shades, norm=norm, edgecolor=style.SURFACE, lw=0.8)
    axes.set_ylim(values.shape[0] - 0.5, -0.5)
    for (y, x), value in np.ndenumerate(values):
        if np.isfinite(value):
            red, green, blue, _ = shades(norm(value))
            dark = 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.55
            text = f"{value:+.0f}" if diverging and abs(value) >= 0.5 else f"{value:.0f}".replace("-0", "0")
            text = text.replace("-", "−")
            axes.text(x, y, text, ha="center", va="center", fontsize=7, color=_ON_DARK if dark else _ON_PALE)
