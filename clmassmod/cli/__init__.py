"""Command line: one subcommand a rule, and what a user asks of single files.

Every command imports just what it needs, since a job a halo lives half a second. A user's mistake is
one line on stderr and an exit code of its own, never a traceback.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from clmassmod import __version__
from clmassmod.errors import ClmassmodError

Command = Callable[[argparse.Namespace], int | None]


def _warn(text: str) -> None:
    sys.stderr.write(f"clmassmod: {text}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="clmassmod", description="Calibrate weak-lensing cluster masses on simulated haloes."
    )
    parser.add_argument("--version", action="version", version=f"clmassmod {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    from clmassmod.cli import campaigns, files, rules, validation

    rules.add_commands(commands)
    campaigns.add_commands(commands)
    validation.add_commands(commands)
    files.add_commands(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    from clmassmod.cli.campaigns import split

    own, handed_on = split(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(own, argparse.Namespace(handed_on=handed_on))
    try:
        return options.run(options) or 0
    except ClmassmodError as error:
        if os.environ.get("CLMASSMOD_TRACEBACK"):
            raise
        _warn(f"error: {error}")
        return error.exit_code
    except BrokenPipeError:  # the reader of our output, `head` for example, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _warn("error: " + " ".join(f"{where}{error.strerror or error}".split()))  # HDF5's has several lines
        return 1
    except KeyboardInterrupt:
        _warn("interrupted")
        return 130
