"""Tables, figures and the page of a campaign, from records that the step ``report`` read."""

from __future__ import annotations

from pathlib import Path

from clmassmod.report.formats import print_summary, summary_latex, summary_text
from clmassmod.report.inputs import AnalysisResult, ReportInput
from clmassmod.report.summary import SummaryRow, summary_csv, summary_rows

__all__ = [
    "AnalysisResult",
    "ReportInput",
    "SummaryRow",
    "print_summary",
    "summary_csv",
    "summary_latex",
    "summary_rows",
    "summary_text",
    "write_report",
]


def write_report(report: ReportInput, folder: Path) -> list[Path]:
    """Write the page, the tables and the figures of a campaign.

    Parameters
    ----------
    report
        What to show.
    folder
        Where to; made if it is not there. Receives ``index.html`` (which needs no other file),
        ``summary.csv``, ``summary.ecsv``, ``summary.tex``, ``references.bib`` and ``figures/*.svg``.

    Returns
    -------
    list of Path
        The files that were written, the page first. Each appears whole or not at all.
    """
    from clmassmod.report.page import write  # matplotlib and jinja2 only where a page is made

    return write(report, folder)
