"""The page and the summary of a validation, from rows that the step ``validation`` fills."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TITLES = {
    "tables": "Tables: constants, distances, structure, concentrations",
    "profiles": "Density profiles and their lensing",
    "reader": "Readers, synthetic haloes and the store",
    "shear": "From maps to shears",
    "mock": "Mock surveys",
    "measurement": "From galaxies to profiles",
    "scan": "Fitter scan: the likelihood of a halo",
    "curvefit": "Fitter curvefit: least squares",
    "nuts": "Fitter nuts: sampling",
    "ensemble": "Ensemble: the population without truth",
    "comparison": "Comparison with truth: bias and scatter",
    "end_to_end": "End to end: whole campaigns",
}


@dataclass(frozen=True)
class CheckRow:
    """One check and what it gave."""

    step: str
    check: str
    value: float
    tolerance: float
    passed: bool
    seconds: float
    at_least: bool
    quantity: str
    proves: str
    reason: str
    source: str
    error: str = ""

    @property
    def share(self) -> float:
        """Part of the tolerance that is used up, 0 to 1; 1 where the check failed."""
        if not self.passed:
            return 1.0
        if self.at_least:
            return min(self.tolerance / self.value, 1.0)
        return min(abs(self.value) / self.tolerance, 1.0) if self.tolerance else 0.0


def number(value: float) -> str:
    """Return a number in three digits."""
    if math.isnan(value):
        return "no number"
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.3g}"
    head, _, power = f"{value:.2e}".partition("e")
    return f"{head}e{int(power)}"


def _steps(rows: Sequence[CheckRow]) -> list[dict[str, Any]]:
    found = []
    for name in dict.fromkeys(row.step for row in rows):
        own = [row for row in rows if row.step == name]
        found.append(
            {
                "name": name,
                "title": TITLES.get(name, name),
                "rows": own,
                "n_failed": sum(not row.passed for row in own),
                "seconds": sum(row.seconds for row in own),
            }
        )
    return found


def summary_lines(rows: Sequence[CheckRow]) -> list[str]:
    """Return the summary for a terminal: a line a step, then every check that failed."""
    lines = []
    for step in _steps(rows):
        worst = max(step["rows"], key=lambda row: row.share)
        n = len(step["rows"])
        state = f"FAILED {step['n_failed']} of {n}" if step["n_failed"] else f"passed {n:3d}"
        lines.append(
            f"{step['name']:12s} {state:14s} {step['seconds']:6.1f} s   nearest to its tolerance: "
            f"{worst.check}, {worst.share:.0%} of it"
        )
    width = shutil.get_terminal_size((110, 24)).columns
    for row in rows:
        if not row.passed:
            sign = ">=" if row.at_least else "<="
            lines.append(f"FAILED {row.step}/{row.check}: {row.quantity} {number(row.value)}, "
                         f"must be {sign} {number(row.tolerance)}")  # fmt: skip
            lines += [f"       {text}"[: max(width, 80)] for text in (row.proves, row.error) if text]
    passed = sum(row.passed for row in rows)
    lines.append(f"{passed} of {len(rows)} checks passed in {sum(row.seconds for row in rows):.0f} s of work")
    return lines


def render_validation(rows: Sequence[CheckRow], versions: Mapping[str, str], csv_text: str) -> str:
    """Return the page as HTML that needs nothing else.

    Parameters
    ----------
    rows
        In the order of the steps.
    versions
        Of what the results may depend on, by name.
    csv_text
        The table, for a download.
    """
    from clmassmod.report.page import other_page

    return other_page(
        "validation.html",
        csv_text,
        steps=_steps(rows),
        n=len(rows),
        n_failed=sum(not row.passed for row in rows),
        failed=[row for row in rows if not row.passed],
        seconds=sum(row.seconds for row in rows),
        versions=list(versions.items()),
        number=number,
    )
