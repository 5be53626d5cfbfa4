"""The campaigns of the repository, each with the words at the head of its file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx


def head(text: str) -> str:
    """Return the comment at the head of a YAML file as one paragraph."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# "))
    return " ".join(lines)


class Campaigns(Directive):
    """A section for each file of a folder, beside the folder of the documentation: ``{campaigns} config``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the sections, by name."""
        made: list[nodes.Node] = []
        source = Path(self.state.document.settings.env.srcdir).parent / self.arguments[0]
        for path in sorted(source.glob("*.yaml")):
            words = head(path.read_text(encoding="utf-8"))
            if not words:
                raise self.error(f"{path}: no comment at its head says what the campaign is")
            section = nodes.section(ids=[nodes.make_id(path.stem)], names=[path.name])
            section += nodes.title("", "", nodes.literal(path.name, path.name))
            section += nodes.paragraph("", "", *_inline(words))
            self.state.document.note_implicit_target(section, section)
            made.append(section)
        return made


def _inline(text: str) -> list[Any]:
    """Return text with what stands between backticks as literals."""
    parts = re.split(r"`([^`]+)`", text)
    return [nodes.literal(p, p) if i % 2 else nodes.Text(p) for i, p in enumerate(parts)]


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directive to Sphinx."""
    app.add_directive("campaigns", Campaigns)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
