"""The command ``validate``: the precision of every step, against expectations from outside of the package."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any


def _report(text: str) -> None:
    sys.stderr.write(f"clmassmod: {text}\n")


def _validate(options: argparse.Namespace) -> None:
    names = [*options.only, *options.chosen]
    if options.list:
        print("\n".join(_listed(names)))
        return
    from clmassmod.core.cores import available_cores
    from clmassmod.steps import validation
    from clmassmod.validate.plan import FOLDER, STEPS, record_file

    folder = Path(options.output) if options.output else FOLDER
    records = [record_file(folder, step) for step in STEPS]
    if options.record:
        validation.write_record(Path(options.record), validation.measure(names))
        return
    if options.gather:
        validation.write_validation(validation.gather(records), folder)
        return
    if options.verdict:
        outcomes = validation.gather(records)
        print("\n".join(validation.verdict(outcomes, folder)))
        return
    if names:  # a part of the table is not the table: nothing is written
        print("\n".join(validation.verdict(validation.measure(names, _report), None)))
        return
    outcomes = validation.measure_all(folder, options.cores or available_cores(), _report)
    validation.write_validation(outcomes, folder)
    print("\n".join(validation.verdict(outcomes, folder)))


def _listed(names: list[str]) -> list[str]:
    from clmassmod.validate.checks import select

    lines = []
    for found in select(names):
        sign = ">=" if found.at_least else "<="
        lines.append(f"{found.key}  ({found.quantity} {sign} {found.tolerance:g})")
        lines += [f"    {found.proves}", f"    against: {found.source}"]
    return lines


def add_commands(commands: Any) -> None:
    """Add the command to the parser."""
    text = "measure the precision of every step and write results/validation"
    parser: argparse.ArgumentParser = commands.add_parser(
        "validate", help=text, description=f"{text}; the exit code is 8 where a check fails"
    )
    parser.set_defaults(run=_validate)
    parser.add_argument("only", nargs="*", metavar="STEP[/CHECK]", help="just these, and write nothing")
    parser.add_argument(
        "--only",
        dest="chosen",
        action="extend",
        nargs="+",
        default=[],
        metavar="STEP[/CHECK]",
        help="the same",
    )
    parser.add_argument("--list", action="store_true", help="what there is: quantity, tolerance, expectation")
    parser.add_argument("--cores", type=int, help="processes at once (default: all cores)")
    parser.add_argument(
        "-o", "--output", help="folder of the table and the page (default: results/validation)"
    )
    parser.add_argument(
        "--record", metavar="FILE", help="measure and keep the outcomes as JSON, whatever they are"
    )
    parser.add_argument("--gather", action="store_true", help="write table and page from the steps' records")
    parser.add_argument("--verdict", action="store_true", help="print the summary of the steps' records")
