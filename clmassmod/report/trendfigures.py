"""Figures of bias and scatter against mass and redshift: the bins' values, and bands of fitted trends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from clmassmod.posterior import Posterior
from clmassmod.report import style
from clmassmod.report.binfigures import LABELS, Value, value_of
from clmassmod.report.summary import LEVEL, SummaryRow

Array = NDArray[np.float64]
Against = Literal["mass", "z"]
Trended = Literal["bias", "scatter"]
_LINES = 80
_WORDS = {"mass": "true mass", "z": "redshift"}


@dataclass(frozen=True)
class Trend:
    """Posterior of bias and scatter as functions of true mass and redshift, as draws (draw,).

    ln b = ln_bias + ln_bias_mass ln(M / M0) + ln_bias_z ln((1 + z) / (1 + z0)), and ln sigma alike; slopes
    are zero for a model without trend.
    """

    posterior: Posterior
    mass_range_msun: tuple[float, float]
    z_range: tuple[float, float]

    @property
    def varies(self) -> bool:
        """Whether the model has slopes."""
        return "ln_bias_mass" in self.posterior.names

    def band(self, quantity: Trended, against: Against, x: Array) -> Array:
        """Return low, median, high, (3, n), at true masses [Msun] or redshifts (n,), at the other's pivot."""
        samples, metadata = self.posterior.samples, self.posterior.metadata
        name = "ln_bias" if quantity == "bias" else "ln_scatter"
        if against == "mass":
            lever = np.log(x / float(metadata["mass_pivot_msun"]))
        else:
            lever = np.log1p(x) - np.log1p(float(metadata["z_pivot"]))
        slope = samples.get(f"{name}_{against}", np.zeros(1))
        draws = np.exp(samples[name][:, np.newaxis] + slope[:, np.newaxis] * lever)
        return np.quantile(draws, [0.5 - LEVEL / 2, 0.5, 0.5 + LEVEL / 2], axis=0)


def trend_figure(
    rows: Sequence[SummaryRow],
    trends: Mapping[str, Trend],
    quantity: Trended,
    against: Against,
    title: str = "",
) -> Figure | None:
    """Return bias or scatter of bins against their median true mass or redshift, with bands of the whole.

    None if there is neither a trend that varies nor bins that differ enough: whose medians span more than
    a quarter of their width.

    Parameters
    ----------
    rows
        Of one binning, any number of analyses; horizontal bars span a bin's members, vertical ones are 68 %
        intervals, open triangles 95 % upper limits.
    trends
        Name of an analysis to what was found for all its haloes, drawn as a band.
    """
    known = [row for row in rows if row.has_bias and position(row, against).known]
    first = [row for row in known if row.analysis == known[0].analysis]
    fitted = any(trend.varies for trend in trends.values())
    binned = _ordered([position(row, against) for row in first], against)
    if not binned and not (fitted and _spans(trends, against)):
        return None
    analyses = list(dict.fromkeys([*(row.analysis for row in rows), *trends]))
    with style.figure_style():
        figure, axes = style.new_axes(4.6, 3.2)
        for i, analysis in enumerate(analyses):
            if analysis in trends:
                _draw_band(axes, trends[analysis], quantity, against, i, analysis)
            chosen = [row for row in known if row.analysis == analysis] if binned else []
            if chosen:
                label = "" if analysis in trends else style.plain(analysis)
                shift = 0.012 * (i - 0.5 * (len(analyses) - 1))  # side by side, where bins are the same
                _points_with_bars(axes, chosen, quantity, against, i, label, shift)
        _finish(axes, quantity, against, title)
        if len(analyses) > 1:
            figure.legend(loc="outside upper left", ncols=min(3, len(analyses)))
    return figure


def _finish(axes: Axes, quantity: Trended, against: Against, title: str) -> None:
    if quantity == "bias":
        axes.axhline(1.0, color=style.MUTED, lw=1, ls=(0, (4, 3)))
    else:
        axes.set_ylim(bottom=0.0)
    axes.set_ylabel(LABELS[quantity])
    axes.set_title(style.plain(title))
    axes.set_xlabel(_WORDS[against] + (style.MASS_LABEL if against == "mass" else ""))
    if against == "mass":
        style.log_axis(axes, "x")


def _spans(trends: Mapping[str, Trend], against: Against) -> bool:
    ranges = [trend.mass_range_msun if against == "mass" else trend.z_range for trend in trends.values()]
    return any(high > low * (1 + 1e-6) for low, high in ranges)


def _draw_band(axes: Axes, trend: Trend, quantity: Trended, against: Against, i: int, label: str) -> None:
    low, high = trend.mass_range_msun if against == "mass" else trend.z_range
    x = np.geomspace(low, high, _LINES) if against == "mass" else np.linspace(low, high, _LINES)
    bottom, middle, top = trend.band(quantity, against, x)
    shown = x / style.MASS_UNIT if against == "mass" else x
    colour = style.series_style(i)["color"]
    axes.fill_between(shown, bottom, top, color=colour, alpha=0.22, lw=0)
    axes.plot(shown, middle, color=colour, lw=1.3, label=style.plain(label), gid=f"trend-{i}")


def _ordered(places: Sequence[Value], against: Against) -> bool:
    numbers = np.array([(p.value, p.lo, p.hi) for p in places]).reshape(-1, 3)
    if len(numbers) < 2:
        return False
    if against == "mass":
        numbers = np.log(numbers)
    return bool(np.ptp(numbers[:, 0]) > 0.25 * np.mean(numbers[:, 2] - numbers[:, 1]))


def position(row: SummaryRow, against: Against) -> Value:
    """Return median and range of a bin's true masses [1e14 Msun] or redshifts."""
    if against == "mass":
        unit = style.MASS_UNIT
        return Value(
            row.true_mass_median_msun / unit, row.true_mass_min_msun / unit, row.true_mass_max_msun / unit
        )
    return Value(row.z_median, row.z_min, row.z_max)


def _points_with_bars(
    axes: Axes,
    rows: Sequence[SummaryRow],
    quantity: Trended,
    against: Against,
    i: int,
    label: str,
    shift: float = 0.0,
) -> None:
    """Draw bins, ``shift`` in units of the decade (or of the redshift's scale) beside their places."""
    places = [position(row, against) for row in rows]
    values = [value_of(row, quantity) for row in rows]
    x, y = np.array([place.value for place in places]), np.array([v.value for v in values])
    drawn = x * 10.0**shift if against == "mass" else x + shift * (float(np.ptp(x)) or 0.1)
    ends = np.array([[place.lo, place.hi] for place in places])
    x_ends = np.clip(np.array([drawn - ends[:, 0], ends[:, 1] - drawn]), 0, None)
    y_ends = np.clip(np.array([[v.value - v.lo, v.hi - v.value] for v in values]).T, 0, None)
    limits, x = np.array([v.limit for v in values]), drawn
    look = style.series_style(i)
    axes.errorbar(x, y, xerr=x_ends, linestyle="none", color=look["color"], lw=0.8, alpha=0.45)
    axes.plot(x[limits], y[limits], "v", ms=7, color=look["color"], mfc=style.SURFACE)
    measured = ~limits
    axes.errorbar(
        x[measured],
        y[measured],
        yerr=y_ends[:, measured],
        linestyle="none",
        ms=5,
        lw=1.6,
        label=label,
        **look,
    )
