"""Figures of the whole campaign: bias, scatter and mass by bin, and analyses side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clmassmod.report import style
from clmassmod.report.summary import SummaryRow

Quantity = Literal["bias", "scatter", "mean_mass", "ensemble_scatter"]
LABELS: dict[Quantity, str] = {
    "bias": r"bias $b = M_\mathrm{lens}/M_\mathrm{true}$",
    "scatter": r"intrinsic scatter $\sigma$ of $\ln M_\mathrm{lens}$",
    "mean_mass": r"mean lensing mass $\exp\langle\ln M\rangle$" + style.MASS_LABEL,
    "ensemble_scatter": r"spread of $\ln M_\mathrm{lens}$ in the bin",
}


class Value(NamedTuple):
    """A number with the ends of its 68 % interval; ``limit``: the number is an upper limit (95 %)."""

    value: float
    lo: float
    hi: float
    limit: bool = False

    @property
    def known(self) -> bool:
        """Whether it can be drawn."""
        return all(map(math.isfinite, (self.value, self.lo, self.hi)))


def value_of(row: SummaryRow, quantity: Quantity) -> Value:
    """Return a quantity of a row as it is drawn."""
    if quantity == "bias":
        return Value(row.bias, row.bias_lo, row.bias_hi)
    if quantity == "scatter":
        if row.scatter_is_limit:
            return Value(row.scatter_upper_95, 0.0, row.scatter_upper_95, limit=True)
        return Value(row.scatter, row.scatter_lo, row.scatter_hi)
    if quantity == "ensemble_scatter":
        return Value(row.ensemble_scatter, row.ensemble_scatter_lo, row.ensemble_scatter_hi)
    mean, error = row.mean_ln_mass - math.log(style.MASS_UNIT), row.mean_ln_mass_err
    return Value(math.exp(mean), math.exp(mean - error), math.exp(mean + error))


def by_bin(rows: Sequence[SummaryRow], quantity: Quantity, title: str = "") -> Figure | None:
    """Return one line a bin with a point for each analysis; None if no bin has the quantity.

    Parameters
    ----------
    rows
        Any number of analyses; a line is drawn between binnings.
    quantity
        What to draw; error bars are 68 % intervals, open triangles are 95 % upper limits.
    """
    shown = [row for row in rows if value_of(row, quantity).known]
    if not shown:
        return None
    bins = list(dict.fromkeys(row.bin for row in shown))
    binning = {row.bin: row.binning for row in shown}
    analyses = list(dict.fromkeys(row.analysis for row in rows))
    with style.figure_style():
        height = 1.15 + len(bins) * max(0.34, 0.16 * len(analyses)) + 0.2 * _legend_lines(analyses)
        figure, axes = style.new_axes(4.6, height)
        offsets = 0.62 * ((np.arange(len(analyses)) + 0.5) / len(analyses) - 0.5)
        for i, analysis in enumerate(analyses):
            points = {r.bin: value_of(r, quantity) for r in shown if r.analysis == analysis}
            places = np.array([bins.index(label) + offsets[i] for label in points])
            _horizontal_points(axes, list(points.values()), places, i, style.plain(analysis))
        _reference_line(axes, quantity)
        for i, (one, other) in enumerate(pairwise(bins)):
            if binning[one] != binning[other]:
                axes.axhline(i + 0.5, color=style.GRID, lw=1)
        axes.set_yticks(range(len(bins)), [_short(label) for label in bins])
        axes.set_ylim(len(bins) - 0.45, -0.55)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(LABELS[quantity])
        axes.set_title(style.plain(title))
        if quantity == "mean_mass":
            style.log_axis(axes, "x")
        if len(analyses) > 1:
            figure.legend(loc="outside upper left", ncols=min(3, len(analyses)))
    return figure


def _legend_lines(analyses: Sequence[str]) -> int:
    return math.ceil(len(analyses) / 3) if len(analyses) > 1 else 0


def _short(label: str, longest: int = 24) -> str:
    return style.plain(label if len(label) <= longest else label[: longest - 1] + "…")


def _horizontal_points(axes: Axes, values: Sequence[Value], places: np.ndarray, i: int, label: str) -> None:
    if not values:
        return
    x = np.array([v.value for v in values])
    ends = np.clip(np.array([[v.value - v.lo, v.hi - v.value] for v in values]).T, 0, None)
    limits = np.array([v.limit for v in values])
    look = style.series_style(i)
    axes.hlines(places[limits], 0.0, x[limits], color=look["color"], lw=1, ls=(0, (2, 2)))
    axes.plot(x[limits], places[limits], "<", ms=7, color=look["color"], mfc=style.SURFACE, gid=f"limits-{i}")
    measured = ~limits
    axes.errorbar(
        x[measured],
        places[measured],
        xerr=ends[:, measured],
        linestyle="none",
        ms=5,
        lw=1.6,
        label=label,
        **look,
    )


def _reference_line(axes: Axes, quantity: Quantity) -> None:
    if quantity == "bias":
        axes.axvline(1.0, color=style.MUTED, lw=1, ls=(0, (4, 3)))
    elif quantity != "mean_mass":
        axes.set_xlim(left=0.0)


def by_analysis(rows: Sequence[SummaryRow], quantity: Quantity, title: str = "") -> Figure | None:
    """Return one line an analysis with its value in one bin; None with fewer than two.

    Parameters
    ----------
    rows
        Of one bin, in the order to be drawn, from above.
    quantity
        What to draw, as in `by_bin`.
    """
    shown = [row for row in rows if value_of(row, quantity).known]
    if len(shown) < 2:
        return None
    with style.figure_style():
        figure, axes = style.new_axes(4.6, 1.0 + 0.24 * len(shown))
        _horizontal_points(axes, [value_of(row, quantity) for row in shown], np.arange(len(shown)), 0, "")
        _reference_line(axes, quantity)
        axes.set_yticks(range(len(shown)), [_short(row.analysis, 34) for row in shown])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(LABELS[quantity])
        axes.set_title(style.plain(title))
        if quantity == "mean_mass":
            style.log_axis(axes, "x")
    return figure
