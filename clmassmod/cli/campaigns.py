"""Commands on a whole campaign: run, status, retry, verify, diff."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clmassmod.errors import StoreError

HAND_ON = ("run", "retry")  # commands that hand on to snakemake what follows `--`


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return a command's own arguments, and those that it hands on to snakemake."""
    listed = list(arguments)
    if listed and listed[0] in HAND_ON and "--" in listed:
        at = listed.index("--")
        return listed[:at], listed[at + 1 :]
    return listed, []


def _open(options: argparse.Namespace) -> Any:
    from clmassmod.steps.paths import Campaign

    return Campaign.open(options.campaign)


def _become(command: Sequence[str]) -> None:
    from clmassmod.steps.running import replace_process

    print("+ " + shlex.join(["snakemake", *command[3:]]))
    replace_process(command)


def _snakemake_options(options: argparse.Namespace) -> list[str]:
    return [*(["--dry-run"] if options.dry_run else []), *options.handed_on]


def _run(options: argparse.Namespace) -> None:
    from clmassmod.steps.running import run_command

    command = run_command(
        Path(options.config), options.cores, _snakemake_options(options), snakefile=options.snakefile
    )
    _become(command)


def _status(options: argparse.Namespace) -> None:
    from clmassmod.steps.status import status_lines

    print("\n".join(status_lines(_open(options), options.all)))


def _retry(options: argparse.Namespace) -> None:
    from clmassmod.steps.lock import refuse_running
    from clmassmod.steps.running import markers_of, run_command, working_directory
    from clmassmod.steps.status import forget_failures

    campaign = _open(options)
    refuse_running(campaign.folder, "try again")
    directory = working_directory(campaign)
    forgotten = forget_failures(campaign, options.halo, options.dry_run)
    if not forgotten:
        print("none of these haloes failed; nothing to try again")
        return
    halos = list(dict.fromkeys(failure.halo_id for failure in forgotten))
    named = ", ".join(halos[:10]) + (" …" if len(halos) > 10 else "")
    print(f"{len(halos)} halo{'es' * (len(halos) > 1)} to be tried again: {named}")
    if options.no_run:
        return
    targets = markers_of(campaign, [(f.step, f.name, f.halo_id) for f in forgotten]) if options.only else []
    command = run_command(
        campaign.folder / "config.yaml",
        options.cores,
        _snakemake_options(options),
        targets,
        directory,
        options.snakefile,
    )
    _become(command)


def _verify(options: argparse.Namespace) -> None:
    from clmassmod.steps.lock import refuse_running
    from clmassmod.steps.verify import verify_campaign

    campaign = _open(options)
    if options.remove:
        refuse_running(campaign.folder, "remove damaged files")
    n_checked, bad = 0, []
    for path, reason in verify_campaign(campaign):
        n_checked += 1
        if reason is not None:
            bad.append(path)
            print(reason)
            if options.remove:
                path.unlink(missing_ok=True)
    print(f"{n_checked} result files read, {len(bad)} of them damaged or of another configuration")
    if bad and not options.remove:
        raise StoreError(
            f"{options.campaign}: {len(bad)} files cannot be used; `clmassmod verify --remove "
            f"{options.campaign}` removes them, and snakemake makes them again"
        )


def _diff(options: argparse.Namespace) -> int:
    from clmassmod.steps.diff import compare_campaigns
    from clmassmod.steps.paths import Campaign
    from clmassmod.store import write_text

    report = compare_campaigns(Campaign.open(options.a), Campaign.open(options.b), options.tolerance)
    print("\n".join(report.lines(options.lines)))
    if options.csv is not None:
        write_text(options.csv, report.csv())
    return int(report.moved)


def add_commands(commands: Any) -> None:
    """Add the commands to the parser."""

    def add(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
        parser.set_defaults(run=run)
        return parser

    def add_snakemake(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--cores", default=None, help="of this machine (default: all)")
        parser.add_argument("-n", "--dry-run", action="store_true", help="say what would be run")
        parser.add_argument("--snakefile", default=None, help="the workflow, where it is not found")
        parser.epilog = "Options of snakemake follow after --, for example: -- --workflow-profile FOLDER"

    run = add("run", _run, "check a configuration and run snakemake on it")
    run.add_argument("config", help="the campaign's YAML file")
    add_snakemake(run)
    status = add("status", _status, "what is done, what failed and why, and what repeats just that")
    status.add_argument("campaign", help="folder results/<campaign>")
    status.add_argument("--all", action="store_true", help="name every failure, however many")
    retry = add("retry", _retry, "run the haloes that failed again, and what depends on them; nothing else")
    retry.add_argument("campaign", help="folder results/<campaign>")
    retry.add_argument("halo", nargs="*", help="just these haloes (default: all that failed)")
    retry.add_argument("--only", action="store_true", help="their mocks and fits, not what depends on them")
    retry.add_argument("--no-run", action="store_true", help="let the next run of snakemake repeat them")
    add_snakemake(retry)
    verify = add("verify", _verify, "read every result file and name those that cannot be used")
    verify.add_argument("campaign", help="folder results/<campaign>")
    verify.add_argument("--remove", action="store_true", help="remove them, for snakemake to make them again")
    diff = add("diff", _diff, "compare two campaigns and say which numbers moved; exit code 1 if any did")
    diff.add_argument("a", help="folder results/<campaign>")
    diff.add_argument("b", help="another one")
    diff.add_argument(
        "--tolerance",
        type=float,
        default=0.0,
        help="relative change of a number, or shift of a likelihood or posterior in standard deviations, "
        "that does not count (default: 0)",
    )
    diff.add_argument("--lines", type=int, default=10, help="of each kind that are shown (default: 10)")
    diff.add_argument("--csv", default=None, help="write all that moved to this file")
