"""Figures of shifts of ln b between analyses of the same haloes."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from clmassmod.report import style
from clmassmod.report.inputs import TRUE_MASS_BINNING
from clmassmod.report.shifts import ShiftRow


def against_mass(rows: Sequence[ShiftRow]) -> Figure | None:
    """Return the shifts against the median true mass of bins by true mass; None without such bins.

    Vertical bars are standard errors of paired haloes, horizontal ones span the bin's true masses. Dotted:
    the shift of all haloes.
    """
    shown = [row for row in rows if row.binning == TRUE_MASS_BINNING]
    if not shown:
        return None
    with style.figure_style():
        figure, axes = style.new_axes(4.8, 3.4)
        pairs = list(dict.fromkeys((row.of, row.against) for row in rows))
        for i, pair in enumerate(pairs):
            chosen = [row for row in shown if (row.of, row.against) == pair]
            look = style.series_style(i)
            x = [
                row.true_mass_median_msun / style.MASS_UNIT * 1.02 ** (i - len(pairs) // 2) for row in chosen
            ]
            low = [row.true_mass_min_msun / style.MASS_UNIT for row in chosen]
            high = [row.true_mass_max_msun / style.MASS_UNIT for row in chosen]
            y, error = [row.shift for row in chosen], [row.shift_err for row in chosen]
            axes.hlines(y, low, high, color=look["color"], lw=0.8, alpha=0.45)
            label = style.plain(f"{pair[0]} against {pair[1]}")
            axes.errorbar(x, y, yerr=error, linestyle="none", ms=5, lw=1.6, label=label, **look)
            for row in rows:
                if (row.of, row.against, row.bin) == (*pair, "all"):
                    axes.axhline(row.shift, color=look["color"], lw=1, ls=(0, (1, 2)))
        axes.axhline(0.0, color=style.MUTED, lw=1, ls=(0, (4, 3)))
        style.log_axis(axes, "x")
        axes.set_xlabel("true mass" + style.MASS_LABEL)
        axes.set_ylabel(r"shift of $\ln b$")
        figure.legend(loc="outside upper left", ncols=1)
    return figure


def by_bin(rows: Sequence[ShiftRow]) -> Figure | None:
    """Return the shifts of all bins, one line a bin; None without any."""
    if not rows:
        return None
    with style.figure_style():
        bins = list(dict.fromkeys(row.bin for row in rows))
        pairs = list(dict.fromkeys((row.of, row.against) for row in rows))
        figure, axes = style.new_axes(4.8, 0.9 + 0.3 * len(bins) + 0.2 * len(pairs))
        for i, pair in enumerate(pairs):
            chosen = [row for row in rows if (row.of, row.against) == pair]
            place = [bins.index(row.bin) + 0.5 * ((i + 0.5) / len(pairs) - 0.5) for row in chosen]
            value, error = [row.shift for row in chosen], [row.shift_err for row in chosen]
            label = style.plain(f"{pair[0]} against {pair[1]}")
            axes.errorbar(
                value, place, xerr=error, linestyle="none", ms=5, lw=1.6, label=label, **style.series_style(i)
            )
        axes.axvline(0.0, color=style.MUTED, lw=1, ls=(0, (4, 3)))
        axes.set_yticks(range(len(bins)), [style.plain(label) for label in bins])
        axes.set_ylim(len(bins) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(r"shift of $\ln b$")
        figure.legend(loc="outside upper left", ncols=1)
    return figure
