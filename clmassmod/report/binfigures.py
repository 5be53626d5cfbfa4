"""Figures of the whole campaign: bias, scatter and mass by bin, and bias against mass or redshift."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clmassmod.report import style
from clmassmod.report.summary import SummaryRow

Quantity = Literal["bias", "scatter", "mean_mass", "ensemble_scatter"]
Against = Literal["mass", "z"]
LABELS: dict[Quantity, str] = {
    "bias": r"bias $b = M_\mathrm{lens}/M_\mathrm{true}$",
    "scatter": r"intrinsic scatter $\sigma$ of $\ln M_\mathrm{lens}$",
    "mean_mass": r"mean lensing mass, $\exp\langle\ln M\rangle$ [M$_\odot$]",
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
    mean, error = row.mean_ln_mass, row.mean_ln_mass_err
    return Value(math.exp(mean), math.exp(mean - error), math.exp(mean + error))


def by_bin(rows: Sequence[SummaryRow], quantity: Quantity, title: str = "") -> Figure | None:
    """Return one line a bin with a point for each analysis; None if no bin has the quantity.

    Parameters
    ----------
    rows
        Of one binning, any number of analyses.
    quantity
        What to draw; error bars are 68 % intervals, arrows to the left are 95 % upper limits.
    """
    shown = [row for row in rows if value_of(row, quantity).known]
    if not shown:
        return None
    bins = list(dict.fromkeys(row.bin for row in shown))
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
    ends = np.array([[v.value - v.lo, v.hi - v.value] for v in values]).T
    limits = np.array([v.limit for v in values])
    look = style.series_style(i)
    axes.errorbar(
        x,
        places,
        xerr=np.clip(ends, 0, None),
        xuplims=limits,
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


def bias_trend(rows: Sequence[SummaryRow], against: Against, title: str = "") -> Figure | None:
    """Return the bias of the bins against their median true mass or redshift; None if fewer than two.

    Horizontal bars span the bin's members, vertical ones are 68 % intervals.

    Parameters
    ----------
    rows
        Of one binning, any number of analyses.
    against
        ``mass`` (median true mass of the members) or ``z`` (their median redshift).
    """
    known = [row for row in rows if row.has_bias and math.isfinite(_position(row, against).value)]
    if len({_position(row, against).value for row in known}) < 2:
        return None
    with style.figure_style():
        figure, axes = style.new_axes(4.6, 3.2)
        analyses = list(dict.fromkeys(row.analysis for row in rows))
        for i, analysis in enumerate(analyses):
            chosen = [row for row in known if row.analysis == analysis]
            if chosen:
                _points_with_bars(axes, chosen, against, i, style.plain(analysis))
        axes.axhline(1.0, color=style.MUTED, lw=1, ls=(0, (4, 3)))
        axes.set_ylabel(LABELS["bias"])
        axes.set_title(style.plain(title))
        if against == "mass":
            style.log_axis(axes, "x")
            axes.set_xlabel(r"median true mass of the bin [M$_\odot$]")
        else:
            axes.set_xlabel("median redshift of the bin")
        if len(analyses) > 1:
            figure.legend(loc="outside upper left", ncols=min(3, len(analyses)))
    return figure


def _position(row: SummaryRow, against: Against) -> Value:
    if against == "mass":
        return Value(row.true_mass_median_msun, row.true_mass_min_msun, row.true_mass_max_msun)
    return Value(row.z_median, row.z_min, row.z_max)


def _points_with_bars(axes: Axes, rows: Sequence[SummaryRow], against: Against, i: int, label: str) -> None:
    places = [_position(row, against) for row in rows]
    x = np.array([place.value for place in places])
    x_ends = np.array([[place.value - place.lo, place.hi - place.value] for place in places]).T
    values = [value_of(row, "bias") for row in rows]
    y = np.array([v.value for v in values])
    y_ends = np.array([[v.value - v.lo, v.hi - v.value] for v in values]).T
    look = style.series_style(i)
    axes.errorbar(x, y, xerr=x_ends, linestyle="none", color=look["color"], lw=0.8, alpha=0.45)
    axes.errorbar(x, y, yerr=y_ends, linestyle="none", ms=5, lw=1.6, label=label, **look)
