"""Which figures a report has: those of the whole campaign, and those of each analysis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from clmassmod.report import analysisgroups, binfigures, comparisons, trendfigures
from clmassmod.report.inputs import AnalysisResult, ReportInput
from clmassmod.report.panels import Group, panel_of
from clmassmod.report.summary import SummaryRow

MOST_BINS_TOGETHER = 24  # in one figure; beyond, one for each binning
MOST_COMPARED = 60  # analyses in the figure of analyses


def groups(report: ReportInput, rows: Sequence[SummaryRow]) -> list[Group]:
    """Return all figures of a campaign; a group without a figure is left out."""
    drawn = [analysis.name for analysis in report.drawn]
    chosen = [row for row in rows if row.analysis in drawn]
    cells = report.matrix.cells if report.matrix is not None else ()
    found = [
        *comparisons.groups(report, rows),
        _analyses([row for row in rows if row.analysis not in cells]),  # a matrix has figures of its own
        _by_bin(chosen),
        _trends(report, chosen),
    ]
    for analysis in report.drawn:
        found += analysisgroups.groups(analysis)
    return _unique_names([group for group in found if group.panels])


def _unique_names(found: list[Group]) -> list[Group]:
    """Tell panels apart whose names differ in punctuation alone."""
    taken: dict[str, int] = {}
    result = []
    for group in found:
        panels = []
        for panel in group.panels:
            n = taken[panel.name] = taken.get(panel.name, 0) + 1
            name = panel.name if n == 1 else f"{panel.name}-x{n}"
            panels.append(replace(panel, name=name))
        result.append(replace(group, panels=panels))
    return result


def _binnings(rows: Sequence[SummaryRow]) -> Iterator[tuple[str, list[SummaryRow]]]:
    for binning in dict.fromkeys(row.binning for row in rows):
        yield binning, [row for row in rows if row.binning == binning]


def _by_bin(rows: Sequence[SummaryRow]) -> Group:
    panels = []
    quantities: tuple[binfigures.Quantity, ...] = ("bias", "scatter")
    if not any(row.has_bias for row in rows):
        quantities = ("mean_mass", "ensemble_scatter")
    together = len({row.bin for row in rows}) <= MOST_BINS_TOGETHER
    for binning, chosen in [("", list(rows))] if together else _binnings(rows):
        for quantity in quantities:
            figure = binfigures.by_bin(chosen, quantity, f"bins: {binning}" if binning else "")
            if figure is not None:
                words = quantity.replace("_", " ")
                panels.append(panel_of(figure, f"{words} by bin {binning}", "bins", binning, quantity))
    caption = (
        "Posterior medians and 68 % intervals, one line a bin. An open triangle is a 95 % upper limit: the "
        "scatter cannot be told from the lower edge of its prior."
    )
    return Group("results", "by-bin", "Results by bin", caption, panels, wide=True)


def _analyses(rows: Sequence[SummaryRow]) -> Group:
    """Return analyses side by side, in the bin that holds all haloes."""
    panels = []
    chosen = [row for row in rows if row.bin == "all"]
    quantities: tuple[binfigures.Quantity, ...] = ("bias", "scatter")
    if not any(row.has_bias for row in rows):
        quantities = ("mean_mass", "ensemble_scatter")
    for quantity in quantities:
        figure = binfigures.by_analysis(chosen[:MOST_COMPARED], quantity)
        if figure is not None:
            words = f"{quantity.replace('_', ' ')} of all haloes by analysis"
            panels.append(panel_of(figure, words, "analyses", quantity))
    more = len(chosen) - MOST_COMPARED
    caption = "All haloes of the campaign, one line an analysis: posterior medians and 68 % intervals."
    if more > 0:
        caption += f" The first {MOST_COMPARED} of {len(chosen)}; all are in the table."
    return Group("results", "analyses", "Analyses compared", caption, panels, wide=True)


def _trends(report: ReportInput, rows: Sequence[SummaryRow]) -> Group:
    panels = []
    trends = {a.name: trend for a in report.drawn if (trend := trend_of(a)) is not None}
    whiches: tuple[tuple[trendfigures.Against, str], ...] = (("mass", "true mass"), ("z", "redshift"))
    quantities: tuple[trendfigures.Trended, ...] = ("bias", "scatter")
    varies = any(trend.varies for trend in trends.values())
    for binning, chosen in _binnings(rows):
        if binning == "all" and not varies:
            continue
        title = "" if binning == "all" else f"bins: {binning}"
        for against, words in whiches:
            for quantity in quantities:
                figure = trendfigures.trend_figure(chosen, trends, quantity, against, title)
                if figure is not None:
                    text = f"{quantity} against {words}, bins {binning}"
                    panels.append(panel_of(figure, text, quantity, against, binning))
    caption = (
        "Each point is a bin, at the median true mass or redshift of its members; the thin bar spans them, "
        "the thick one is the 68 % interval. The band is what was found for all haloes together, with its "
        "68 % interval: "
    ) + (
        "the fitted trend, at the median of the other quantity."
        if varies
        else "one number, because the model is constant."
    )
    return Group(
        "results", "trends", "Bias and scatter against mass and redshift", caption, panels, wide=True
    )


def trend_of(analysis: AnalysisResult) -> trendfigures.Trend | None:
    """Return what was found for all haloes of an analysis as a function of mass and redshift."""
    posterior = analysis.comparisons.get("all")
    if (
        posterior is None
        or "mass_pivot_msun" not in posterior.metadata
        or "ln_scatter" not in posterior.names
    ):
        return None
    rows = analysis.members("all")
    rows = rows[analysis.usable()[rows]]
    mass, z = analysis.truth()[rows], analysis.column("z")[rows]
    known = np.isfinite(mass) & (mass > 0)
    if not known.any():
        return None
    ends = [(float(values[known].min()), float(values[known].max())) for values in (mass, z)]
    return trendfigures.Trend(posterior, ends[0], ends[1])
