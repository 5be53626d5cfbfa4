"""Figures and table of calibration: whether stated uncertainties hold against truth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from clmassmod.bias.statistics import Calibration
from clmassmod.core.calibration import Goodness
from clmassmod.core.gridstats import normal_pdf
from clmassmod.report import style
from clmassmod.report.inputs import AnalysisResult

Array = NDArray[np.float64]
_SIZE = (3.9, 3.0)


def uniformity(values: Array, title: str, label: str) -> Figure:
    """Return the histogram of probabilities (halo,) that should be uniform, with the scatter to expect.

    The band holds 95 % of the counts of a bin, were they uniform (normal limit of the binomial).
    """
    used = values[np.isfinite(values)]
    with style.figure_style():
        figure, axes = style.new_axes(*_SIZE)
        axes.set_title(style.plain(title))
        axes.set_xlabel(label)
        axes.set_ylabel("haloes")
        if not len(used):
            return style.no_data(figure, axes)
        n_bins = int(np.clip(round(2 * len(used) ** 0.4), 5, 25))
        axes.hist(used, bins=n_bins, range=(0.0, 1.0), color=style.SERIES[0], alpha=0.45)
        mean = len(used) / n_bins
        half = 1.96 * math.sqrt(mean * (1 - 1 / n_bins))
        axes.axhspan(max(mean - half, 0.0), mean + half, color=style.MUTED, alpha=0.2, lw=0)
        axes.axhline(mean, color=style.MUTED, lw=1.2, ls=(0, (4, 2)))
        axes.set_xlim(0, 1)
    return figure


def pull_histogram(calibration: Calibration, title: str = "") -> Figure:
    """Return the histogram of (M_ML - M_true) / error, with a standard normal and the fitted normal."""
    pull = calibration.pull[np.isfinite(calibration.pull)]
    with style.figure_style():
        figure, axes = style.new_axes(*_SIZE)
        axes.set_title(style.plain(title))
        axes.set_xlabel("pull, (best fit − true mass) / error")
        axes.set_ylabel("haloes")
        if not len(pull):
            return style.no_data(figure, axes)
        reach = float(np.clip(np.quantile(np.abs(pull), 0.995) * 1.1, 3.5, 8.0))
        n_bins = int(np.clip(2 * len(pull) ** 0.4, 8, 40))
        axes.hist(
            np.clip(pull, -reach, reach),
            bins=n_bins,
            range=(-reach, reach),
            color=style.SERIES[0],
            alpha=0.45,
        )
        x = np.linspace(-reach, reach, 201)
        scale = len(pull) * 2 * reach / n_bins
        axes.plot(x, normal_pdf(x) * scale, color=style.MUTED, ls=(0, (4, 2)), label="standard normal")
        _draw_fitted(axes, calibration, x, scale)
        axes.set_xlim(-reach, reach)
        figure.legend(loc="outside lower left", ncols=2)
    return figure


def _draw_fitted(axes: Axes, calibration: Calibration, x: Array, scale: float) -> None:
    normal = next((fit for fit in calibration.pull_fits if fit.name == "normal"), None)
    if normal is None:
        return
    mean, sd = (float(value) for value in list(normal.parameters.values())[:2])
    label = f"normal, mean {mean:+.2f}, sd {sd:.2f}"
    axes.plot(x, normal_pdf((x - mean) / sd) / sd * scale, color=style.SERIES[1], label=label)


def table(analyses: Sequence[AnalysisResult]) -> dict[str, Any]:
    """Return headings and cells of the table of calibration, one row for each analysis and bin."""
    heads = [
        ("analysis", ""),
        ("bin", ""),
        ("n", "haloes with a true mass; of many, as many as were looked at"),
        ("in 68 %", "share of haloes whose 68 % interval holds the true mass"),
        ("in 95 %", "share of haloes whose 95 % interval holds the true mass"),
        ("pull", "mean and standard deviation of (best fit − true mass) / error"),
        ("p halo PIT", "Kolmogorov–Smirnov: that the true masses are uniform in the haloes' posteriors"),
        ("p population", "Kolmogorov–Smirnov: that lensing masses scatter as the bin's relation says"),
    ]
    rows = [
        [analysis.name, label, *_cells(calibration)]
        for analysis in analyses
        for label, calibration in analysis.calibrations.items()
    ]
    return {"heads": [{"text": text, "title": title} for text, title in heads], "rows": rows}


def _cells(calibration: Calibration) -> list[str]:
    shares = [
        f"{c.share:.1%} ± {c.error:.1%}" if math.isfinite(c.share) else "–" for c in calibration.coverage
    ]
    pull = calibration.pull[np.isfinite(calibration.pull)]
    spread = f"{pull.mean():+.2f} ± {pull.std(ddof=1):.2f}" if len(pull) > 1 else "–"
    tests = (calibration.pit_uniform, calibration.population_uniform)
    return [f"{len(calibration.halo_ids):,}", *shares, spread, *map(_p_value, tests)]


def with_p_value(title: str, test: Goodness) -> str:
    """Return a title with the Kolmogorov–Smirnov probability of a test."""
    shown = _p_value(test)
    return f"{title}   p {shown}" if shown.startswith("<") else f"{title}   p = {shown}"


def _p_value(test: Goodness) -> str:
    if not test.n:
        return "–"
    return f"{test.ks_p:.2g}" if test.ks_p >= 1e-4 else "< 0.0001"
