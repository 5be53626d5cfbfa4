"""Shifts of ln b between analyses of the same haloes: rows and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

from clmassmod.bias import shift
from clmassmod.report.inputs import AnalysisResult, ReportInput
from clmassmod.report.summary import DIGITS, SummaryRow


@dataclass(frozen=True)
class ShiftRow:
    """Shift of ln b of one analysis against another in one bin.

    ``shift_err`` is that of paired haloes; ``independent_err`` would be the error if the analyses had
    nothing in common, and ``correlation`` is that of their ln b over samples of haloes.
    """

    of: str
    against: str
    bin: str
    binning: str
    n_parents: int
    shift: float
    shift_err: float
    independent_err: float
    correlation: float
    true_mass_min_msun: float
    true_mass_median_msun: float
    true_mass_max_msun: float


COLUMNS = tuple(field.name for field in fields(ShiftRow))


def shift_of(one: AnalysisResult, other: AnalysisResult, label: str) -> tuple[float, float, float, int]:
    """Return shift of ln b, its error, the correlation and the number of parents; NaN where not known."""
    if not all(label in a.comparisons and label in a.influences for a in (one, other)):
        return math.nan, math.nan, math.nan, 0
    means = [a.comparisons[label].mean["ln_bias"] for a in (one, other)]
    return tuple(shift(means[0], one.influences[label], means[1], other.influences[label]))  # type: ignore[return-value]


def shift_rows(report: ReportInput, rows: Sequence[SummaryRow]) -> list[ShiftRow]:
    """Return the shifts of the pairs that the campaign asks for, bin by bin."""
    by_name = {(row.analysis, row.bin): row for row in rows}
    found = []
    for of, against in report.pairs:
        one, other = report.analysis(of), report.analysis(against)
        if one is None or other is None:
            continue
        for label in one.bins:
            mine, theirs = by_name.get((of, label)), by_name.get((against, label))
            value, error, correlation, n = shift_of(one, other, label)
            if mine is None or theirs is None or not math.isfinite(value):
                continue
            independent = math.hypot(mine.ln_bias_err, theirs.ln_bias_err)
            masses = mine.true_mass_min_msun, mine.true_mass_median_msun, mine.true_mass_max_msun
            found.append(
                ShiftRow(of, against, label, mine.binning, n, value, error, independent, correlation, *masses)
            )
    return found


def shifts_csv(rows: Sequence[ShiftRow]) -> str:
    """Return the rows as CSV (RFC 4180, LF), numbers with 9 significant digits."""
    return as_csv(COLUMNS, [[getattr(row, name) for name in COLUMNS] for row in rows])


def as_csv(columns: Sequence[str], lines: Sequence[Sequence[str | float | int]]) -> str:
    """Return lines as CSV, numbers with 9 significant digits, empty where there is none."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    for line in lines:
        writer.writerow([_cell(value) for value in line])
    return buffer.getvalue()


def _cell(value: str | float | int) -> str:
    if isinstance(value, float):
        return f"{value:.{DIGITS}g}" if math.isfinite(value) else ""
    return str(value)
