"""Commands that the workflow's rules call, one a rule."""

from __future__ import annotations

import argparse
import sys
from typing import Any


def _report(text: str) -> None:
    sys.stderr.write(f"clmassmod: {text}\n")


def _open(options: argparse.Namespace) -> Any:
    from clmassmod.steps.paths import Campaign

    return Campaign.open(options.campaign)


def _prepare(options: argparse.Namespace) -> None:
    from clmassmod.config import read_yaml
    from clmassmod.steps.campaign import prepare

    campaign = prepare(read_yaml(options.config), source=options.config, exclusive=True)
    counts = ", ".join(f"{n} {what}" for what, n in campaign.state["counts"].items())
    print(f"{campaign.root}: {counts}")


def _tables(options: argparse.Namespace) -> None:
    from clmassmod.steps.gather import make_tables

    make_tables(_open(options))


def _mock(options: argparse.Namespace) -> None:
    from clmassmod.steps.halos import mock_shard

    mock_shard(_open(options), options.survey, options.shard, _report)


def _fit(options: argparse.Namespace) -> None:
    if options.file is not None:
        from clmassmod.steps.single import fit_file

        fit_file(options.file, _open(options), options.analysis, options.output)
        return
    if options.shard is None:
        from clmassmod.errors import ConfigError

        raise ConfigError("fit: give a halo's FILE, or --shard")
    from clmassmod.steps.halos import fit_shard

    fit_shard(_open(options), options.analysis, options.shard, _report)


def _bins(options: argparse.Namespace) -> None:
    from clmassmod.steps.gather import make_bins

    make_bins(_open(options), options.analysis, _report)


def _ensemble(options: argparse.Namespace) -> None:
    from clmassmod.steps.gather import fit_ensemble

    fit_ensemble(_open(options), options.analysis, options.bin, _report)


def _compare(options: argparse.Namespace) -> None:
    from clmassmod.steps.gather import compare_bin

    compare_bin(_open(options), options.analysis, options.bin, _report)


def _report_command(options: argparse.Namespace) -> None:
    from clmassmod.steps.reporting import make_report, print_report

    campaign = _open(options)
    if options.print:
        print_report(campaign)
    else:
        make_report(campaign)


def add_commands(commands: Any) -> None:
    """Add the rules' commands to the parser."""

    def add(name: str, run: Any, text: str, *needs: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
        if "config" in needs:
            parser.add_argument("--config", required=True, help="the campaign's YAML file")
        else:
            parser.add_argument("--campaign", required=True, help="folder results/<campaign>")
        for need in needs:
            if need in ("survey", "analysis", "bin"):
                parser.add_argument(f"--{need}", required=True, help=f"name of the {need}")
        parser.set_defaults(run=run)
        return parser

    add("prepare", _prepare, "check a configuration and list its haloes", "config")
    add("tables", _tables, "compute the tables of cosmology and reader, once a campaign")
    mock = add("mock", _mock, "observe the haloes of a shard with a survey", "survey")
    mock.add_argument(
        "--shard", required=True, help="name of the shard; the halo's where one job is one halo"
    )
    fit = add("fit", _fit, "fit the haloes of a shard, or one halo's file", "analysis")
    fit.add_argument(
        "file", nargs="?", help="a mock catalogue, profile or fit of one halo, to be fitted by itself"
    )
    fit.add_argument("--shard", help="name of the shard; the halo's where one job is one halo")
    fit.add_argument("-o", "--output", help="where the fit of FILE goes (none: print it)")
    add("bins", _bins, "gather the fits of an analysis and assign them to bins", "analysis")
    add(
        "ensemble",
        _ensemble,
        "infer the population of lensing masses of a bin, without truth",
        "analysis",
        "bin",
    )
    add("compare", _compare, "infer bias and scatter of a bin against the true masses", "analysis", "bin")
    report = add("report", _report_command, "write tables, figures and the page")
    report.add_argument("--print", action="store_true", help="print the table of biases of a finished report")
