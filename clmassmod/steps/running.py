"""Start snakemake on a campaign from our own command line, once all that can be checked before it was."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from clmassmod.config import load_campaign
from clmassmod.errors import ConfigError
from clmassmod.steps.campaign import RESULTS
from clmassmod.steps.paths import Campaign

_SAYS_HOW_MANY = ("--cores", "-c", "--jobs", "-j", "--profile", "--executor", "-e")


def find_snakefile(given: str | None = None) -> Path:
    """Return the workflow: the file given, that of the working directory, or the one beside the package.

    Raises
    ------
    ConfigError
        Where there is none.
    """
    beside = Path(__file__).resolve().parents[2] / "Snakefile"
    places = [Path(given)] if given is not None else [Path("Snakefile"), beside]
    for place in places:
        if place.is_file():
            return place.resolve()
    looked = ", ".join(str(p) for p in places)
    raise ConfigError(f"no workflow (looked for {looked}); name the Snakefile of clmassmod with --snakefile")


def run_command(
    config: Path,
    cores: str | None = None,
    options: Sequence[str] = (),
    targets: Sequence[str] = (),
    directory: Path = Path(),
    snakefile: str | None = None,
) -> list[str]:
    """Return the command line that runs a configuration.

    Parameters
    ----------
    config
        The YAML file; refused here, in one line, rather than by a traceback of snakemake.
    cores
        Number or "all"; None: "all", unless ``options`` say where or on how many jobs are run.
    options
        Of snakemake, handed on.
    targets
        Files to make; none: the whole campaign.
    directory
        The working directory, in which ``results`` lies.
    snakefile
        The workflow, where it is not the one that ``find_snakefile`` finds.

    Raises
    ------
    ConfigError
        For a configuration that is missing or wrong.
    """
    load_campaign(config)
    said = any(option.partition("=")[0] in _SAYS_HOW_MANY for option in options)
    how_many = [] if cores is None and said else ["--cores", cores or "all"]
    where = [] if directory.resolve() == Path.cwd() else ["--directory", str(directory.resolve())]
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(find_snakefile(snakefile)), *where]
    # the targets before the options of many values, which would swallow them
    return [*command, *how_many, *targets, "--configfile", str(config.resolve()), *options]


def working_directory(campaign: Campaign) -> Path:
    """Return the folder in which a campaign's ``results`` lies.

    Raises
    ------
    ConfigError
        For a campaign that was renamed or moved elsewhere, which the workflow would not find.
    """
    place = campaign.folder.resolve()
    if place.parent.name != RESULTS.name or place.name != campaign.config.campaign:
        raise ConfigError(
            f"{campaign.root}: the workflow looks for this campaign in {RESULTS / campaign.config.campaign}; "
            "move it there"
        )
    return place.parent.parent


def markers_of(campaign: Campaign, jobs: Sequence[tuple[str, str, str]]) -> list[str]:
    """Return the files that make snakemake repeat (step, name, halo) and nothing else."""
    shards = {h: shard for shard, members in campaign.members.items() for h in members}
    within = RESULTS / campaign.config.campaign
    marked = [
        campaign.marker_file(step, name, shards[h]).relative_to(campaign.folder) for step, name, h in jobs
    ]
    return list(dict.fromkeys(str(within / marker) for marker in marked))


def replace_process(command: Sequence[str]) -> None:
    """Become snakemake, which so has the terminal, its signals and the exit code."""
    sys.stdout.flush()
    os.execv(command[0], list(command))
