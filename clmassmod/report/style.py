"""How figures look, and how they become SVG that follows the page's light or dark theme."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

INK = "#1b2129"
MUTED = "#5c6672"
GRID = "#e3e7ec"
SURFACE = "#ffffff"
# Told apart by readers with deutan, protan and tritan vision: smallest OKLab distance 0.13 in both themes,
# contrast with the page at least 3. Beyond five, series differ in marker and line as well.
SERIES = ("#1757a5", "#d4691e", "#3fa08c", "#9b67f1", "#74193f")
# A raster cannot follow the theme: a tone that reads on both.
RASTER_POINT = "#4a86c8"
MARKERS = ("o", "s", "D", "^", "v", "P", "X")
RASTER_ABOVE = 400  # points; more of them as vectors make the page heavy
HISTOGRAM_ABOVE = 5000  # points; more of them hide each other, and their density is drawn instead
ROW_SIZE = (3.5, 3.1)  # inches of panels that stand four in a row

_GLYPH = r"(?:DejaVu|STIX|Cmr|Cmmi|Cmsy|Cmex|cmr|cmmi|cmsy|cmex)[A-Za-z0-9]*(?:-[A-Za-z]+)*-[0-9a-f]+"
MASS_UNIT = 1e14  # Msun, of all axes
MASS_LABEL = r"  [$10^{14}\,\mathrm{M}_\odot$]"
THEME_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    SURFACE: "--surface",
    **{colour: f"--series-{i + 1}" for i, colour in enumerate(SERIES)},
}

_RC: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": SURFACE,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.fontsize": 8.0,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "figure.facecolor": SURFACE,
    "figure.dpi": 100,
    "savefig.dpi": 220,
    "svg.fonttype": "path",  # the same picture on machines without the font
    "svg.hashsalt": "clmassmod",  # the same file every time
}


@contextmanager
def figure_style() -> Iterator[None]:
    """Apply the report's style inside a ``with`` block, and nothing of it outside."""
    with mpl.rc_context(_RC):
        yield


def new_axes(width_inch: float = 4.2, height_inch: float = 3.2) -> tuple[Figure, Axes]:
    """Return a figure with one axes, of a size that still reads at the width of a phone."""
    figure = Figure(figsize=(width_inch, height_inch), layout="constrained")
    return figure, figure.add_subplot()


def series_style(index: int) -> dict[str, Any]:
    """Return colour and marker of the series number ``index``; the pair repeats after 35."""
    return {"color": SERIES[index % len(SERIES)], "marker": MARKERS[index % len(MARKERS)]}


def plain(text: str) -> str:
    """Return text that matplotlib does not take for mathematics."""
    return text.replace("$", r"\$")


def no_data(figure: Figure, axes: Axes) -> Figure:
    """Return the figure with a sentence in place of data."""
    axes.text(0.5, 0.5, "no halo to show", ha="center", va="center", transform=axes.transAxes)
    axes.set_xticks([])
    axes.set_yticks([])
    return figure


def log_axis(axes: Axes, which: Literal["x", "y"]) -> None:
    """Make an axis logarithmic, with a few ticks a decade written as a reader would write them."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    low, high = axis.get_data_interval()
    narrow = not (low > 0 and np.isfinite(high) and high > 10 * low)
    subs = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0) if narrow else (1.0, 2.0, 5.0)
    axis.set_major_locator(LogLocator(subs=subs, numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
    axis.set_minor_formatter(NullFormatter())


def _tick(value: float) -> str:
    if not value > 0:
        return ""
    if 1e-3 <= value < 1e5:
        return f"{value:.4g}"
    power = int(np.floor(np.log10(value) + 1e-9))
    factor = f"{value / 10**power:.3g}"
    head = "" if factor == "1" else rf"{factor}\times"
    return rf"${head}10^{{{power}}}$"


def to_svg(figure: Figure) -> str:
    """Return a figure as an SVG file's text; the same figure gives the same text."""
    buffer = io.StringIO()
    with mpl.rc_context(_RC):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def inline_svg(svg: str, name: str, description: str) -> str:
    """Return an SVG file's text as an element for a page.

    Colours become the page's CSS variables, so that the figure follows its theme; identifiers get
    the prefix ``name``, because all figures of a page share one namespace. Those of glyphs stay, which are
    the same in all figures: `shared_glyphs` takes them out, to stand once on the page.

    Parameters
    ----------
    svg
        Text of `to_svg`.
    name
        Unique on the page; letters, digits and ``-`` alone.
    description
        What the figure shows, for readers who do not see it. Must be escaped for HTML.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", name):
        raise ValueError(f"{name!r} cannot be the name of a figure")
    body = svg[svg.index("<svg") :]
    for colour, variable in THEME_VARIABLES.items():
        body = body.replace(colour, f"var({variable})")
    body = re.sub(rf'\bid="(?!{_GLYPH}")([^"]+)"', rf'id="{name}-\1"', body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", body)
    body = re.sub(rf'href="#(?!{_GLYPH}")([^"]+)"', rf'href="#{name}-\1"', body)
    body = re.sub(r"\s*(<metadata>.*?</metadata>|<!--.*?-->)", "", body, flags=re.DOTALL)
    opening = re.match(r"<svg\b[^>]*>", body)
    assert opening is not None
    view_box = re.search(r'viewBox="([^"]+)"', opening.group())
    box = view_box.group(1) if view_box else "0 0 1 1"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{box}" '
        f'role="img" aria-label="{description}">'
    )
    return head + body[opening.end() :].strip()


def shared_glyphs(elements: Sequence[str]) -> tuple[str, list[str]]:
    """Return an element that holds the glyphs of all figures once, and the figures without them.

    Parameters
    ----------
    elements
        Of `inline_svg`.
    """
    found: dict[str, str] = {}

    def take(match: re.Match[str]) -> str:
        found[match.group(1)] = match.group()
        return ""

    pattern = re.compile(rf'<path id="({_GLYPH})"[^>]*/>\s*', re.DOTALL)
    rest = [re.sub(r"<defs>\s*</defs>\s*", "", pattern.sub(take, element)) for element in elements]
    glyphs = "".join(found[key] for key in sorted(found))
    hidden = '<svg xmlns="http://www.w3.org/2000/svg" width="0" height="0" class="glyphs" aria-hidden="true">'
    return f"{hidden}<defs>{glyphs}</defs></svg>", rest
