"""Formulae as MathML: the pages need no script and no network to show them."""

from __future__ import annotations

from html import escape
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)


def mathml(latex: str, display: str, place: Any = None) -> str:
    """Return a formula as MathML; one that cannot be converted is a warning at its place."""
    try:
        return convert(latex, display=display)
    except Exception as error:  # the converter raises many kinds
        logger.warning("formula %r: %s: %s", latex, type(error).__name__, error, location=place)
        return f"<code>{escape(latex)}</code>"


def visit_inline(writer: Any, node: nodes.math) -> None:
    """Write a formula inside a sentence."""
    writer.body.append(mathml(node.astext(), "inline", node))
    raise nodes.SkipNode


def visit_block(writer: Any, node: nodes.math_block) -> None:
    """Write a formula in a line of its own, with its number if it has a label."""
    name = f' id="equation-{node["label"]}"' if node.get("label") else ""
    number = f'<span class="number">({node["number"]})</span>' if node.get("number") else ""
    writer.body.append(f'<div class="formula"{name}>{mathml(node.astext(), "block", node)}{number}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the renderer to Sphinx."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
