"""The short table of results: text for a terminal, LaTeX for a paper, and the cells of the page."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from clmassmod.report.summary import SummaryRow

if TYPE_CHECKING:  # rich is not needed where there is no terminal
    from rich.table import Table


def pm(value: float, error: float) -> str:
    """Return ``-0.120 ± 0.031``, with the error's two leading digits, or a dash."""
    if not (math.isfinite(value) and math.isfinite(error)):
        return "–"
    n = decimals(error)
    return f"{value:+.{n}f} ± {error:.{n}f}"


def with_interval(value: float, lo: float, hi: float) -> str:
    """Return ``0.88 [0.85, 0.92]``, or a dash."""
    if not all(map(math.isfinite, (value, lo, hi))):
        return "–"
    n = decimals((hi - lo) / 2)
    return f"{value:.{n}f} [{lo:.{n}f}, {hi:.{n}f}]"


def decimals(error: float) -> int:
    """Return how many decimals show two leading digits of an error; 2 to 5."""
    if not (math.isfinite(error) and error > 0):
        return 3
    return min(5, max(2, 1 - math.floor(math.log10(error))))


def headings(rows: Sequence[SummaryRow]) -> list[str]:
    """Return the headings of the short table; without any truth it has no columns of bias."""
    bias = ["ln b", "b [68 %]", "σ [68 %]"] if any(row.has_bias for row in rows) else []
    return ["analysis", "bin", "n", "failed", *bias, "⟨ln M⟩", "ensemble σ [68 %]"]


def scatter_cell(row: SummaryRow) -> str:
    """Return the scatter with its interval, or an upper limit where it reaches its prior's lower edge."""
    if row.scatter_is_limit and math.isfinite(row.scatter_upper_95):
        return f"< {row.scatter_upper_95:.2g} (95 %)"
    return with_interval(row.scatter, row.scatter_lo, row.scatter_hi)


def short_cells(row: SummaryRow, *, bias: bool) -> list[str]:
    """Return a row of the short table, to go with `headings`."""
    cells = [row.analysis, row.bin, str(row.n_halos), str(row.n_failed)]
    if bias:
        cells += [
            pm(row.ln_bias, row.ln_bias_err),
            with_interval(row.bias, row.bias_lo, row.bias_hi),
            scatter_cell(row),
        ]
    return [
        *cells,
        pm(row.mean_ln_mass, row.mean_ln_mass_err).removeprefix("+"),
        with_interval(row.ensemble_scatter, row.ensemble_scatter_lo, row.ensemble_scatter_hi),
    ]


def summary_text(rows: Sequence[SummaryRow]) -> str:
    """Return the short table as plain text in aligned columns, with the warnings below."""
    heads = headings(rows)
    table = [heads, *(short_cells(row, bias="ln b" in heads) for row in rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(heads))]
    lines = [_aligned(line, widths) for line in table]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([*lines, *_warning_lines(rows)]) + "\n"


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    text = [c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))]
    return "  ".join(text).rstrip()


def _warning_lines(rows: Sequence[SummaryRow]) -> list[str]:
    places: dict[str, list[str]] = {}
    for row in rows:
        for text in row.warnings:
            places.setdefault(text, []).append(f"{row.analysis}/{row.bin}")
    notes = dict.fromkeys(note for row in rows for note in row.notes)
    warned = [f"! {text} ({', '.join(where)})" for text, where in places.items()]
    return [*warned, *(f"note: {note}" for note in notes)]


def print_summary(rows: Sequence[SummaryRow], stream: TextIO | None = None) -> None:
    """Write the short table to a stream: drawn by rich on a terminal, plain elsewhere.

    A terminal that is too narrow for all columns gets fewer: what the bins say of the bias, or of the masses.
    """
    stream = sys.stdout if stream is None else stream
    if not stream.isatty():
        stream.write(summary_text(rows))
        return
    from rich.console import Console
    from rich.markup import escape

    console = Console(file=stream)
    table = _wide_table(rows)
    if console.measure(table, options=console.options.update(width=1000)).maximum > console.width:
        console.print(_narrow_table(rows))
        console.print(
            "This terminal is narrow: all columns are in summary.csv beside the report.", style="dim"
        )
    else:
        console.print(table)
    for line in _warning_lines(rows):
        console.print(escape(line), style="yellow", highlight=False)


def _wide_table(rows: Sequence[SummaryRow]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    heads = headings(rows)
    table = Table()
    for i, head in enumerate(heads):
        table.add_column(escape(head), justify="left" if i < 2 else "right")
    for row in rows:
        table.add_row(*map(escape, short_cells(row, bias="ln b" in heads)))
    return table


def _narrow_table(rows: Sequence[SummaryRow]) -> Table:
    """Return a table of four columns, in a section for each analysis, that fits into 80 characters."""
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    bias = any(row.has_bias for row in rows)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("bin", overflow="fold")
    names = ("b [68 %]", "σ [68 %]") if bias else ("⟨ln M⟩", "ensemble σ [68 %]")
    for head in ("n (failed)", *names):
        table.add_column(escape(head), justify="right", no_wrap=True)
    several = len({row.analysis for row in rows}) > 1
    previous = None
    for row in rows:
        if several and row.analysis != previous:
            table.add_section()
            table.add_row(f"[bold]{escape(row.analysis)}[/bold]")
        previous = row.analysis
        cells = short_cells(row, bias=bias)
        table.add_row(*map(escape, (row.bin, _counted(row), *(cells[5:7] if bias else cells[4:6]))))
    return table


def _counted(row: SummaryRow) -> str:
    """Return the number of haloes and, in brackets, of those that are missing."""
    return f"{row.n_halos} ({row.n_failed})" if row.n_failed else str(row.n_halos)


_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def latex_escape(text: str) -> str:
    """Return text with LaTeX's special characters made harmless."""
    return re.sub(r"[\\~^&%$#_{}]", lambda match: _LATEX[match.group()], text)


def summary_latex(rows: Sequence[SummaryRow]) -> str:
    """Return the short table as a LaTeX ``tabular`` that needs no package."""
    n = "$n$ (failed)" if any(row.n_failed for row in rows) else "$n$"
    lines = [
        "% n: haloes fitted; b, sigma, tau: posterior median, 68 per cent interval; <: 95 per cent limit",
        r"\begin{tabular}{llrrrrrr}",
        r"\hline",
        rf"Analysis & Bin & {n} & $\ln b$ & $b$ & $\sigma$ & $\langle\ln M/M_\odot\rangle$ & $\tau$ \\",
        r"\hline",
        *(_latex_row(row) for row in rows),
        r"\hline",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _latex_row(row: SummaryRow) -> str:
    cells = [
        latex_escape(row.analysis),
        latex_escape(row.bin),
        _counted(row),
        _latex_pm(row.ln_bias, row.ln_bias_err),
        _latex_interval(row.bias, row.bias_lo, row.bias_hi),
        _latex_scatter(row),
        _latex_pm(row.mean_ln_mass, row.mean_ln_mass_err),
        _latex_interval(row.ensemble_scatter, row.ensemble_scatter_lo, row.ensemble_scatter_hi),
    ]
    return " & ".join(cells) + r" \\"


def _latex_pm(value: float, error: float) -> str:
    if not (math.isfinite(value) and math.isfinite(error)):
        return "--"
    n = decimals(error)
    return rf"${value:.{n}f} \pm {error:.{n}f}$"


def _latex_interval(value: float, lo: float, hi: float) -> str:
    if not all(map(math.isfinite, (value, lo, hi))):
        return "--"
    n = decimals((hi - lo) / 2)
    return rf"${value:.{n}f}^{{+{hi - value:.{n}f}}}_{{-{value - lo:.{n}f}}}$"


def _latex_scatter(row: SummaryRow) -> str:
    if row.scatter_is_limit and math.isfinite(row.scatter_upper_95):
        return f"$<{row.scatter_upper_95:.2g}$"
    return _latex_interval(row.scatter, row.scatter_lo, row.scatter_hi)
