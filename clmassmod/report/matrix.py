"""The matrix of a campaign: bias, scatter and noise of every combination of variants."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clmassmod.report.inputs import AnalysisResult, MatrixDesign, ReportInput
from clmassmod.report.shifts import as_csv, shift_of
from clmassmod.report.summary import SummaryRow

ALL = "all"  # the bin that the matrix is of: every halo
UNBIASED = 2.0  # errors of ln b within which a bias may be none


@dataclass(frozen=True)
class MatrixRow:
    """One cell: an analysis with its variants, one of each axis; NaN where there is nothing to report.

    ``noise`` is what observing costs: the median over haloes of the error of M_lens / (b M_true). ``total``
    is what one halo's ln M_lens scatters by at fixed true mass, noise and intrinsic scatter together:
    the error of ln b times the root of the number of independent haloes. ``shift`` is that of ln b from the
    reference, with the error of paired haloes.
    """

    analysis: str
    variants: tuple[str, ...]
    n_halos: int
    ln_bias: float
    ln_bias_err: float
    scatter: float
    scatter_is_limit: bool
    noise: float
    shift: float
    shift_err: float

    @property
    def total(self) -> float:
        """Scatter and noise of one halo's ln M_lens."""
        return math.hypot(self.noise, 0.0 if self.scatter_is_limit else self.scatter)


def matrix_rows(report: ReportInput, rows: Sequence[SummaryRow]) -> list[MatrixRow]:
    """Return the cells of the campaign's matrix that have a bias, in the order of its axes."""
    if report.matrix is None:
        return []
    by_name = {row.analysis: row for row in rows if row.bin == ALL and row.has_bias}
    results = {analysis.name: analysis for analysis in report.analyses}
    reference = results.get(report.matrix.reference or "")
    found = []
    for name, variants in report.matrix.cells.items():
        if name not in by_name:
            continue
        row, analysis = by_name[name], results[name]
        moved = (math.nan, math.nan)
        if reference is not None and reference is not analysis:
            moved = shift_of(analysis, reference, ALL)[:2]
        scatter = row.scatter_upper_95 if row.scatter_is_limit else row.scatter
        found.append(
            MatrixRow(
                name,
                tuple(variants),
                row.n_halos,
                row.ln_bias,
                row.ln_bias_err,
                scatter,
                row.scatter_is_limit,
                noise_of(analysis, row.bias),
                *moved,
            )
        )
    return found


def noise_of(analysis: AnalysisResult, bias: float) -> float:
    """Return the median error of a halo's M_lens / (b M_true), also of haloes whose best mass is negative."""
    share = analysis.column("mass_err_msun") / (bias * analysis.truth())
    share = share[analysis.usable() & np.isfinite(share)]
    return float(np.median(share)) if len(share) else math.nan


def matrix_csv(design: MatrixDesign, rows: Sequence[MatrixRow]) -> str:
    """Return the cells as CSV, one column an axis."""
    names = ("n_halos", "ln_bias", "ln_bias_err", "scatter", "scatter_is_limit", "noise", "total")
    columns = ["analysis", *design.axes, *names, "shift", "shift_err"]
    return as_csv(
        columns,
        [
            [row.analysis, *row.variants, *(getattr(row, n) for n in names), row.shift, row.shift_err]
            for row in rows
        ],
    )


def findings(design: MatrixDesign, rows: Sequence[MatrixRow]) -> list[str]:
    """Return what the matrix says in sentences: the least biased cells, and what they cost."""
    if not rows:
        return []
    unbiased = [row for row in rows if abs(row.ln_bias) <= UNBIASED * row.ln_bias_err]
    least = min(rows, key=lambda row: abs(row.ln_bias))
    quiet = min(rows, key=lambda row: row.total)
    said = [
        f"{len(unbiased)} of {len(rows)} analyses have a bias within {UNBIASED:g} of its own errors.",
        f"Nearest to ln b = 0: {_described(least)}.",
        f"Least scatter and noise together: {_described(quiet)}.",
    ]
    if unbiased:
        best = min(unbiased, key=lambda row: row.total)
        said.append(f"The same among those within {UNBIASED:g} errors: {_described(best)}.")
    for i, axis in enumerate(design.axes):
        means = {
            v: float(np.mean([row.ln_bias for row in rows if row.variants[i] == v]))
            for v in design.axes[axis]
            if any(row.variants[i] == v for row in rows)
        }
        if len(means) > 1:
            low, high = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
            said.append(
                f"The choice of {axis} moves the mean ln b by {means[high] - means[low]:.3f}: from "
                f"{means[low]:+.3f} ({low}) to {means[high]:+.3f} ({high})."
            )
    return said


def _described(row: MatrixRow) -> str:
    less = "<" if row.scatter_is_limit else ""
    return (
        f"{row.analysis}, ln b = {row.ln_bias:+.3f} ± {row.ln_bias_err:.3f}, "
        f"σ {less or '= '}{row.scatter:.2f}, noise {row.noise:.2f}"
    )
