"""Commands of a user at the terminal that need no campaign: init, predict, show, schema."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from clmassmod.errors import ConfigError


def _init(options: argparse.Namespace) -> None:
    from clmassmod.steps.template import write_template

    write_template(Path(options.file), options.name, options.force)
    print(f"wrote {options.file}; edit it, then: snakemake --cores all --configfile {options.file}")


def _predict(options: argparse.Namespace) -> None:
    from clmassmod.config import build
    from clmassmod.config.models import CosmologyConfig
    from clmassmod.cosmology.predict import predict

    cosmology = build(CosmologyConfig, _pairs(options.cosmology, "--cosmology"), "--cosmology").build()
    columns = predict(
        options.profile,
        cosmology=cosmology,
        mass_msun=options.mass,
        concentration=_number_or_name(options.concentration),
        mass_definition=options.mass_definition,
        z_lens=options.z_lens,
        z_source=_sources(options.z_source),
        radius_mpc=_numbers(options.radius, "--radius"),
        parameters=_pairs(",".join(options.parameter), "--parameter"),
    )
    lines = [",".join(columns._fields)]
    lines += [",".join(f"{value:.12g}" for value in row) for row in zip(*columns, strict=True)]
    print("\n".join(lines))


def _sources(text: str) -> Any:
    """Return a redshift, or the distribution that ``smail:alpha=2,beta=1.5,median_z=1`` names."""
    value = _number_or_name(text)
    if not isinstance(value, str):
        return value
    from clmassmod.core.sources import named_sources

    name, _, parameters = text.partition(":")
    pairs = _pairs(parameters, "--z-source")
    try:
        return named_sources(name, **pairs)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"--z-source: distribution {name!r}: {error}") from None


def _numbers(text: str, option: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"{option}: expected numbers with commas between them, found {text!r}") from None


def _number_or_name(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _pairs(text: str, option: str) -> dict[str, Any]:
    pairs: dict[str, Any] = {}
    for part in filter(None, text.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            raise ConfigError(f"{option}: expected KEY=VALUE, found {part!r}")
        if key.strip() in pairs:
            raise ConfigError(f"{option}: {key.strip()} is given twice")
        pairs[key.strip()] = _number_or_name(value.strip())
    return pairs


def _show(options: argparse.Namespace) -> None:
    from clmassmod.steps.single import show_file

    print("\n".join(show_file(options.file)))


def _schema(options: argparse.Namespace) -> None:
    import json

    from clmassmod.config import json_schema
    from clmassmod.store import write_text

    text = json.dumps(json_schema(), indent=1, sort_keys=True) + "\n"
    if options.output is None:
        sys.stdout.write(text)
    else:
        write_text(options.output, text)


def add_commands(commands: Any) -> None:
    """Add the user's commands to the parser."""

    def add(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
        parser.set_defaults(run=run)
        return parser

    init = add("init", _init, "write a commented configuration for a new campaign")
    init.add_argument("file", help="the YAML file to write")
    init.add_argument("--name", default=None, help="name of the campaign (default: that of the file)")
    init.add_argument("--force", action="store_true", help="replace the file if it is there")
    predict = add("predict", _predict, "print a model's lensing profile as CSV")
    predict.add_argument("--profile", default="nfw", help="name of a density profile, or file.py:function")
    predict.add_argument("--mass", type=float, required=True, help="[Msun]")
    predict.add_argument("--concentration", required=True, help="a number, or the name of a relation")
    predict.add_argument("--mass-definition", default="200c", help="200c, 500c, 200m, vir …")
    predict.add_argument("--z-lens", type=float, required=True)
    predict.add_argument(
        "--z-source",
        required=True,
        help="a redshift, or a distribution: chang13, desc_srd:year=Y1, smail:alpha=2,beta=1.5,median_z=1",
    )
    predict.add_argument("--radius", required=True, help="physical radii with commas between them [Mpc]")
    predict.add_argument(
        "--cosmology", required=True, help="H0=70,Om0=0.3[,Ob0=0.05,sigma8=0.8,ns=0.96,w0=-1 …]"
    )
    predict.add_argument(
        "--parameter", action="append", default=[], help="alpha=0.2: a parameter of the profile"
    )
    show = add("show", _show, "verify a result file and print what it holds")
    show.add_argument("file")
    schema = add("schema", _schema, "print the JSON schema of the configuration")
    schema.add_argument("-o", "--output", help="file to write")
