"""Which figures a report has, in groups, with captions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from matplotlib.figure import Figure

from clmassmod.report import binfigures, distribution, figures, style
from clmassmod.report.inputs import AnalysisResult, ReportInput
from clmassmod.report.summary import SummaryRow

Section = Literal["results", "examples", "bins", "calibration"]  # in the order of the page
MOST_BINS_TOGETHER = 24  # in one figure; beyond, one for each binning
MOST_ON_PAGE = 12  # panels of one group; the others are files beside the page
MOST_ANALYSES_ON_PAGE = 6  # with figures of their own on the page; the others have files


@dataclass(frozen=True)
class Panel:
    """One figure: its file name without suffix, what it shows, the SVG."""

    name: str
    description: str
    svg: str


@dataclass(frozen=True)
class Group:
    """Figures that belong together in a section of the page, of one ``analysis`` unless that is empty."""

    section: Section
    key: str
    title: str
    caption: str
    panels: Sequence[Panel]
    analysis: str = ""
    wide: bool = False

    @property
    def on_page(self) -> Sequence[Panel]:
        """The panels that the page shows."""
        return self.panels[:MOST_ON_PAGE]

    @property
    def n_left_out(self) -> int:
        """Number of panels that are files alone."""
        return len(self.panels) - len(self.on_page)


def file_name(*parts: str) -> str:
    """Return parts as one name for files and HTML identifiers: letters, digits and ``-``."""
    words = [re.sub(r"[^A-Za-z0-9]+", "-", part).strip("-") for part in parts]
    return "-".join(word for word in words if word) or "figure"


def groups(report: ReportInput, rows: Sequence[SummaryRow]) -> list[Group]:
    """Return all figures of a campaign; a group without a figure is left out."""
    found = [_by_bin(rows), _trends(rows)]
    for analysis in report.analyses:
        found += [_relations(analysis), _distributions(analysis), _examples(analysis)]
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
            panels.append(Panel(name, panel.description, panel.svg))
        result.append(replace(group, panels=panels))
    return result


def _panel(figure: Figure, description: str, *name: str) -> Panel:
    return Panel(file_name(*name), description, style.to_svg(figure))


def _of(
    analysis: AnalysisResult, section: Section, kind: str, title: str, caption: str, panels: list[Panel]
) -> Group:
    key, title = file_name(kind, analysis.name), f"{title}: {analysis.name}"
    return Group(section, key, title, caption, panels, analysis.name)


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
                panels.append(_panel(figure, f"{words} by bin {binning}", "bins", binning, quantity))
    caption = (
        "Posterior medians and 68 % intervals, one line a bin. An open triangle is a 95 % upper limit: the "
        "scatter cannot be told from the lower edge of its prior."
    )
    return Group("results", "by-bin", "Results by bin", caption, panels, wide=True)


def _trends(rows: Sequence[SummaryRow]) -> Group:
    panels = []
    whiches: tuple[tuple[binfigures.Against, str], ...] = (("mass", "true mass"), ("z", "redshift"))
    for binning, chosen in _binnings(rows):
        for against, words in whiches:
            figure = binfigures.bias_trend(chosen, against, f"bins: {binning}")
            if figure is not None:
                panels.append(
                    _panel(figure, f"bias against {words}, bins {binning}", "bias", against, binning)
                )
    caption = (
        "Bias of each bin at the median true mass or redshift of its members; the thin bar spans them, the "
        "thick one is the 68 % interval."
    )
    return Group("results", "trends", "Bias against mass and redshift", caption, panels, wide=True)


def _relations(analysis: AnalysisResult) -> Group:
    panels = []
    definition = str(analysis.config.get("mass_definition", ""))
    lens, truth, usable = analysis.column("mass_ml_msun"), analysis.truth(), analysis.usable()
    for label, posterior in analysis.comparisons.items():
        of_truth = str(posterior.metadata.get("mass_definition", definition))
        if definition and of_truth != definition:
            continue  # the best-fit masses of the table are of another definition than the truth
        rows = analysis.members(label)
        rows = rows[usable[rows]]
        figure = figures.mass_relation(
            truth[rows], lens[rows], figures.Relation.of(posterior), label, definition
        )
        words = f"best-fit lensing mass against true mass, analysis {analysis.name}, bin {label}"
        panels.append(_panel(figure, words, "relation", analysis.name, label))
    caption = (
        "Each point is the best fit of one halo, noise included; haloes below the axis, the negative masses "
        "among them, are triangles on its edge. Line: the fitted relation b M_true with its 68 % band; wide "
        "band: the intrinsic scatter about it. The relation is fitted to the haloes' likelihoods, not to "
        "these points, so noise widens the cloud beyond the band."
    )
    return _of(analysis, "bins", "relation-of", "Lensing mass against true mass", caption, panels)


def _distributions(analysis: AnalysisResult) -> Group:
    panels = []
    mass, error, usable = (
        analysis.column("mass_ml_msun"),
        analysis.column("mass_err_msun"),
        analysis.usable(),
    )
    for label, posterior in analysis.ensembles.items():
        rows = analysis.members(label)
        rows = rows[usable[rows]]
        population = distribution.Population.of(posterior)
        figure = distribution.mass_distribution(mass[rows], error[rows], population, label)
        words = f"histogram of best-fit masses, analysis {analysis.name}, bin {label}"
        panels.append(_panel(figure, words, "masses", analysis.name, label))
    caption = (
        "Histogram: best-fit masses, the negative ones too (axis: linear round zero, else logarithmic). "
        "Dashed: the lognormal population of lensing masses that the ensemble found. Line with band: the "
        "same population seen with the haloes' errors (taken as normal), to be compared with the histogram."
    )
    return _of(analysis, "bins", "masses-of", "Masses of each bin", caption, panels)


def _examples(analysis: AnalysisResult) -> Group:
    panels = [
        _panel(
            figures.shear_profile(fit),
            f"shear profile of halo {fit.halo_id}, analysis {analysis.name}",
            "profile",
            analysis.name,
            fit.halo_id,
        )
        for fit in analysis.examples
        if fit.profile is not None
    ]
    caption = (
        "Tangential profile with the errors of the fit, the best-fit model through the fitted radii, "
        "and the cross component, which lensing leaves at zero."
    )
    return _of(analysis, "examples", "profiles-of", "Example haloes", caption, panels)
