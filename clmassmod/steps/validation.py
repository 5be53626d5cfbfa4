"""The validation: measure the checks of steps, keep what they gave, and show it as a table and a page."""

from __future__ import annotations

import csv
import io
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import clmassmod
from clmassmod.errors import ConfigError, StoreError, ValidationError
from clmassmod.report.validation import CheckRow, render_validation, summary_lines
from clmassmod.steps.campaign import prepare
from clmassmod.steps.gather import compare_bin, fit_ensemble, make_bins, make_tables
from clmassmod.steps.halos import fit_shard, mock_shard
from clmassmod.store import write_text
from clmassmod.validate.checks import Outcome, run, select
from clmassmod.validate.lab import Lab
from clmassmod.validate.plan import LONGEST, PAGE, STEPS, TABLE, record_file

COLUMNS = (
    "step",
    "check",
    "value",
    "tolerance",
    "passed",
    "seconds",
    "criterion",
    "quantity",
    "proves",
    "reason",
    "source",
    "error",
)
_PACKAGES = ("numpy", "scipy", "astropy", "colossus", "pymc", "arviz", "h5py", "numba")

Report = Callable[[str], None]


def run_campaign(configuration: Mapping[str, Any], folder: Path) -> Path:
    """Run a campaign in this process, without a report, in ``folder``; return the folder of its results."""
    campaign = prepare(dict(configuration), source="validation", results=Path(folder))

    def report(_text: str) -> None:
        """Say nothing: what matters is in the results."""

    make_tables(campaign)
    for shard in campaign.shards:
        for survey in campaign.surveys:
            mock_shard(campaign, survey, shard, report)
        for analysis in campaign.analyses:
            fit_shard(campaign, analysis, shard, report)
    for analysis in campaign.analyses:
        make_bins(campaign, analysis, report)
        for label in campaign.bins(analysis):
            fit_ensemble(campaign, analysis, label, report)
            if campaign.has_truth:
                compare_bin(campaign, analysis, label, report)
    return campaign.folder


def measure(names: Sequence[str], report: Report = lambda _text: None) -> list[Outcome]:
    """Return what the checks of these names gave, all without a name; in this process, one by one."""
    checks, outcomes = select(names), []
    with TemporaryDirectory() as folder:
        lab = Lab(Path(folder), run_campaign)
        for outcome in run(checks, lab):
            report(f"{'passed' if outcome.passed else 'FAILED'}  {outcome.step}/{outcome.check}")
            outcomes.append(outcome)
    return outcomes


def write_record(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Keep what the checks of a step gave as JSON."""
    content = {"versions": versions(), "outcomes": [o.as_record() for o in outcomes]}
    write_text(path, json.dumps(content, indent=1))


def read_record(path: Path) -> list[Outcome]:
    """Return what ``write_record`` kept.

    Raises
    ------
    StoreError
        For a file that is missing or none of ours.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        return [Outcome.from_record(record) for record in content["outcomes"]]
    except FileNotFoundError:
        raise StoreError(f"{path}: no such file; run the validation again") from None
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{path}: not a record of the validation ({error}); remove it and run again"
        ) from None


def measure_all(folder: Path, cores: int, report: Report) -> list[Outcome]:
    """Measure all steps in ``cores`` processes, keep their records in ``folder``, return all outcomes."""
    one = {
        name: "1"
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    }

    def work(step: str) -> None:
        path = record_file(folder, step)
        command = [sys.executable, "-m", "clmassmod", "validate", step, "--record", str(path)]
        done = subprocess.run(command, env={**os.environ, **one}, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ConfigError(f"validation of step {step} ended with: {' '.join(done.stderr.split())[-500:]}")
        outcomes = read_record(path)
        failed = sum(not o.passed for o in outcomes)
        seconds = sum(o.seconds for o in outcomes)
        report(f"{step}: {len(outcomes)} checks, {failed or 'none'} failed, {seconds:.0f} s")

    order = [*LONGEST, *(step for step in STEPS if step not in LONGEST)]
    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(work, order))
    return gather([record_file(folder, step) for step in STEPS])


def gather(records: Sequence[Path]) -> list[Outcome]:
    """Return the outcomes of several records in the order of the steps."""
    outcomes = [outcome for path in records for outcome in read_record(path)]
    order = {step: i for i, step in enumerate(STEPS)}
    return sorted(outcomes, key=lambda o: order[o.step])


def write_validation(outcomes: Sequence[Outcome], folder: Path) -> list[Path]:
    """Write the table and the page; return them."""
    rows = [_row(o) for o in outcomes]
    texts = {TABLE: table(outcomes), PAGE: render_validation(rows, versions(), table(outcomes))}
    for name, text in texts.items():
        write_text(Path(folder) / name, text)
    return [Path(folder) / name for name in texts]


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the table as CSV, a row a check."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for o in outcomes:
        criterion = "value >= tolerance" if o.at_least else "|value| <= tolerance"
        writer.writerow(
            [
                o.step,
                o.check,
                repr(o.value),
                repr(o.tolerance),
                str(o.passed).lower(),
                f"{o.seconds:.3f}",
                criterion,
                o.quantity,
                o.proves,
                o.reason,
                o.source,
                o.error,
            ]
        )
    return text.getvalue()


def _row(outcome: Outcome) -> CheckRow:
    return CheckRow(**{name: getattr(outcome, name) for name in CheckRow.__dataclass_fields__})


def verdict(outcomes: Sequence[Outcome], where: Path | None) -> list[str]:
    """Return the summary in lines.

    Raises
    ------
    ValidationError
        Naming the checks that failed, the first step's first.
    """
    lines = summary_lines([_row(o) for o in outcomes])
    if where is not None:
        lines.append(f"page: {Path(where) / PAGE}")
    failed = [f"{o.step}/{o.check}" for o in outcomes if not o.passed]
    if failed:
        raise ValidationError(
            "\n".join([*lines, ""]) + f"{len(failed)} of {len(outcomes)} checks failed: {', '.join(failed)}; "
            f"later steps are built on earlier ones: look at {failed[0]} first"
        )
    return lines


def versions() -> dict[str, str]:
    """Return the versions that results may depend on."""
    found = {
        "clmassmod": clmassmod.__version__,
        "Python": platform.python_version(),
        "machine": platform.machine(),
    }
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
