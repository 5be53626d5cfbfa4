"""The subcommands and their arguments, taken from the command line's own parser."""

from __future__ import annotations

import argparse
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

from clmassmod.cli import _parser


def subcommands() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each subcommand."""
    action = next(a for a in _parser()._actions if isinstance(a, argparse._SubParsersAction))
    return dict(action.choices)


class Commands(Directive):
    """A section for each subcommand: ``{commands}``."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        made: list[nodes.Node] = []
        for name, parser in subcommands().items():
            parser.prog = f"clmassmod {name}"
            section = nodes.section(ids=[f"clmassmod-{name}"], names=[f"clmassmod-{name}"])
            section += nodes.title(name, "", nodes.literal(name, f"clmassmod {name}"))
            text = parser.description or ""
            section += nodes.paragraph("", f"{text[:1].upper()}{text[1:]}.")
            usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
            section += nodes.literal_block(usage, usage, language="text")
            section += _arguments(parser)
            self.state.document.note_implicit_target(section, section)
            made.append(section)
        return made


def _arguments(parser: argparse.ArgumentParser) -> nodes.definition_list:
    found: Any = nodes.definition_list()
    for action in parser._actions:
        if action.help is None or isinstance(action, argparse._HelpAction):
            continue
        name = ", ".join(action.option_strings) or action.metavar or action.dest
        item = nodes.definition_list_item()
        item += nodes.term("", "", nodes.literal(str(name), str(name)))
        item += nodes.definition("", nodes.paragraph("", str(action.help)))
        found += item
    return found


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directive to Sphinx."""
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
