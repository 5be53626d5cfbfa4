"""Figures as the page has them: panels in groups, groups in sections."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from matplotlib.figure import Figure

from clmassmod.report import style
from clmassmod.report.inputs import AnalysisResult

# in the order of the page
Section = Literal["matrix", "shifts", "results", "examples", "bins", "calibration"]
MOST_ON_PAGE = 12  # panels of one group, or rows of panels; the others are files beside the page


@dataclass(frozen=True)
class Panel:
    """One figure: file name without suffix, what it shows, the SVG; panels of one ``row`` stand together."""

    name: str
    description: str
    svg: str
    row: str = ""


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
        rows = list(dict.fromkeys(panel.row for panel in self.panels))
        if len(rows) > 1:
            return [panel for panel in self.panels if panel.row in rows[:MOST_ON_PAGE]]
        return self.panels[:MOST_ON_PAGE]

    @property
    def n_left_out(self) -> int:
        """Number of panels that are files alone."""
        return len(self.panels) - len(self.on_page)


def file_name(*parts: str) -> str:
    """Return parts as one name for files and HTML identifiers: letters, digits and ``-``."""
    words = [re.sub(r"[^A-Za-z0-9]+", "-", part).strip("-") for part in parts]
    return "-".join(word for word in words if word) or "figure"


def panel_of(figure: Figure, description: str, *name: str) -> Panel:
    """Return a figure as a panel, its name made of parts."""
    return Panel(file_name(*name), description, style.to_svg(figure))


def group_of(
    analysis: AnalysisResult, section: Section, kind: str, title: str, caption: str, panels: list[Panel]
) -> Group:
    """Return a group of one analysis."""
    key, title = file_name(kind, analysis.name), f"{title}: {analysis.name}"
    return Group(section, key, title, caption, panels, analysis.name)
