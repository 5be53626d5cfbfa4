"""Tables that compare analyses with one another: the matrix and the shifts, for the page and as CSV."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from clmassmod.report import matrixfigures, shiftfigures
from clmassmod.report.inputs import ReportInput
from clmassmod.report.matrix import MatrixRow, findings, matrix_csv, matrix_rows
from clmassmod.report.panels import Group, panel_of
from clmassmod.report.shifts import ShiftRow, shift_rows, shifts_csv
from clmassmod.report.summary import SummaryRow

Cell = tuple[str, str | float]  # text, and what it is sorted by


@dataclass(frozen=True)
class Table:
    """One table: headings with their meanings, cells, and the CSV with all columns."""

    short: str
    title: str
    heads: Sequence[tuple[str, str]]
    n_text: int  # columns of text, before those of numbers
    cells: Sequence[Sequence[Cell]]
    csv: str
    sentences: Sequence[str] = ()

    def content(self, link: Callable[[str, str], str]) -> dict[str, Any]:
        """Return what the page shows; ``link`` makes a download of a kind and a text."""
        return {
            "short": self.short,
            "title": self.title,
            "sentences": self.sentences,
            "heads": [{"text": text, "title": title} for text, title in self.heads],
            "n_text": self.n_text,
            "rows": [[{"text": text, "sort": sort} for text, sort in line] for line in self.cells],
            "csv_link": link("text/csv", self.csv),
        }


def tables(report: ReportInput, rows: Sequence[SummaryRow]) -> dict[str, Table]:
    """Return the tables that the campaign has: ``matrix``, ``shifts``."""
    found = {}
    cells = matrix_rows(report, rows)
    if report.matrix is not None and cells:
        axes = [(axis, "variant of this axis") for axis in report.matrix.axes]
        reference = report.matrix.reference
        shift = [(f"shift from {reference}", "of ln b, with the error of paired haloes")] if reference else []
        found["matrix"] = Table(
            "Matrix",
            "Which choice is least biased, and what it costs",
            [
                *axes,
                ("ln b", "posterior mean and standard deviation"),
                ("σ", "intrinsic scatter of ln M_lens at fixed true mass; with <, a 95 % upper limit"),
                ("noise", "median error of one halo's M_lens / (b M_true)"),
                ("σ and noise", "of one halo's ln M_lens at fixed true mass, added in quadrature"),
                *shift,
            ],
            len(axes),
            [_matrix_line(row, shifted=bool(shift)) for row in cells],
            matrix_csv(report.matrix, cells),
            findings(report.matrix, cells),
        )
    pairs = shift_rows(report, rows)
    if pairs:
        found["shifts"] = Table(
            "Shifts",
            "Shifts between analyses of the same haloes",
            [
                ("analysis", ""),
                ("against", ""),
                ("bin", ""),
                ("parents", "haloes, counted once whatever their projections"),
                ("shift of ln b", "difference of posterior means, with the error of paired haloes"),
                ("error if independent", "what the error would be without anything in common"),
                ("correlation", "of the two ln b over samples of haloes"),
            ],
            3,
            [_shift_line(row) for row in pairs],
            shifts_csv(pairs),
        )
    return found


def _matrix_line(row: MatrixRow, *, shifted: bool) -> list[Cell]:
    less = "<" if row.scatter_is_limit else ""
    return [
        *((variant, variant) for variant in row.variants),
        _with_error(row.ln_bias, row.ln_bias_err),
        (f"{less}{row.scatter:.3f}", row.scatter),
        (f"{row.noise:.3f}", row.noise),
        (f"{row.total:.3f}", row.total),
        *([_with_error(row.shift, row.shift_err)] if shifted else []),
    ]


def _shift_line(row: ShiftRow) -> list[Cell]:
    return [
        (row.of, row.of),
        (row.against, row.against),
        (row.bin, row.bin),
        (f"{row.n_parents:,}", row.n_parents),
        _with_error(row.shift, row.shift_err, 4),
        (f"{row.independent_err:.4f}", row.independent_err),
        (f"{row.correlation:.3f}", row.correlation),
    ]


def _with_error(value: float, error: float, digits: int = 3) -> Cell:
    if not math.isfinite(value):
        return "–", ""
    return f"{value:+.{digits}f} ± {error:.{digits}f}".replace("-", "−"), value


def groups(report: ReportInput, rows: Sequence[SummaryRow]) -> list[Group]:
    """Return the figures of the matrix and of the shifts; without panels where there are none."""
    return [_matrix(report, rows), _shifts(report, rows)]


def _matrix(report: ReportInput, rows: Sequence[SummaryRow]) -> Group:
    cells, panels = matrix_rows(report, rows), []
    if report.matrix is not None and cells:
        figure = matrixfigures.main_effects(report.matrix, cells)
        if figure is not None:
            panels.append(panel_of(figure, "bias, scatter and noise by variant", "matrix", "effects"))
        for quantity in matrixfigures.LABELS:
            figure = matrixfigures.heat_map(report.matrix, cells, quantity)
            if figure is not None:
                title = matrixfigures.TITLES[quantity]
                panels.append(panel_of(figure, title, "matrix", quantity))
    caption = (
        "First: each variant's mean over its combinations with the others (dot), the range of 68 % of them "
        "and of all; grey: the error of ln b that all have in common, for they see the same haloes. Then "
        "every combination. Noise: median error of one halo's lensing mass in units of b M_true."
    )
    return Group("matrix", "matrix-figures", "Bias, scatter and noise", caption, panels, wide=True)


def _shifts(report: ReportInput, rows: Sequence[SummaryRow]) -> Group:
    found, panels = shift_rows(report, rows), []
    for figure, words, name in (
        (shiftfigures.against_mass(found), "shift of ln b against true mass", "mass"),
        (shiftfigures.by_bin(found), "shift of ln b by bin", "bins"),
    ):
        if figure is not None:
            panels.append(panel_of(figure, words, "shifts", name))
    caption = (
        "Difference of ln b of two analyses of the same haloes. Bars are standard errors of paired haloes: "
        "what both analyses have in common, intrinsic scatter and noise, is not in them. Thin horizontal "
        "bars span the bin's true masses, dotted lines are the shifts of all haloes."
    )
    return Group("shifts", "shift-figures", "Shifts between analyses", caption, panels, wide=True)
