"""What the jobs of a campaign took, from the benchmark files that Snakemake writes."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from clmassmod.report.inputs import RuleUse

RULES = ("tables", "mocks", "fits", "bins", "ensembles", "comparisons", "report")  # in their order


def resource_use(folder: Path) -> list[RuleUse]:
    """Return the use of each rule, in the order of the workflow, from ``<folder>/benchmarks``.

    Each job counts with its last run. Times that Snakemake did not measure (``NA``, of jobs of a moment) do
    not count; a file that is empty or damaged, of a job that was killed, counts as none.
    """
    found = []
    for rule in RULES:
        files = sorted((folder / "benchmarks" / rule).rglob("*.tsv"))
        single = folder / "benchmarks" / f"{rule}.tsv"
        rows = list(_rows([*files, *([single] if single.is_file() else [])]))
        if rows:
            wall, cpu, memory = np.array(rows).T
            found.append(
                RuleUse(
                    rule=rule,
                    jobs=len(rows),
                    wall_s=float(np.nansum(wall)),
                    cpu_s=float(np.nansum(cpu)),
                    median_s=_or_nan(np.nanmedian, wall),
                    longest_s=_or_nan(np.nanmax, wall),
                    peak_mb=_or_nan(np.nanmax, memory),
                )
            )
    return found


def _or_nan(function: Callable[[np.ndarray], Any], values: np.ndarray) -> float:
    return float(function(values)) if np.isfinite(values).any() else math.nan


def _rows(files: Iterable[Path]) -> Iterable[tuple[float, float, float]]:
    """Yield wall time [s], CPU time [s] and peak memory [MB] of each job."""
    for path in files:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                yield _number(row.get("s")), _number(row.get("cpu_time")), _number(row.get("max_rss"))


def _number(text: str | None) -> float:
    try:
        return float(text or "")
    except ValueError:
        return math.nan
