"""The self-contained page of a campaign, and the files beside it."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import yaml
from markupsafe import Markup

from clmassmod.report import calibfigures, comparisons, content
from clmassmod.report.citations import bibtex, references, software_text
from clmassmod.report.formats import summary_latex
from clmassmod.report.gallery import groups
from clmassmod.report.inputs import ReportInput
from clmassmod.report.panels import Group, Panel
from clmassmod.report.style import inline_svg, shared_glyphs
from clmassmod.report.summary import SummaryRow, summary_csv, summary_ecsv, summary_rows
from clmassmod.store import write_text


def write(report: ReportInput, folder: Path) -> list[Path]:
    """Write the page, the tables, the references and the figures; see `write_report`."""
    rows = summary_rows(report)
    found = groups(report, rows)
    tables = comparisons.tables(report, rows)
    texts = {
        "index.html": render(report, rows, found),
        "summary.csv": summary_csv(rows),
        "summary.ecsv": summary_ecsv(rows, report.campaign),
        "summary.tex": summary_latex(rows),
        "references.bib": bibtex(report),
        **{f"{name}.csv": table.csv for name, table in tables.items()},
        **{f"figures/{panel.name}.svg": panel.svg for group in found for panel in group.panels},
    }
    paths = []
    for name, text in texts.items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
        paths.append(path)
    return paths


def render(report: ReportInput, rows: Sequence[SummaryRow], found: Sequence[Group]) -> str:
    """Return the page as HTML that needs nothing else.

    Parameters
    ----------
    report, rows, found
        The campaign, its `summary_rows` and the `groups` of its figures.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("clmassmod", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    glyphs, shown = _groups(found)
    return environment.get_template("index.html").render(
        report=report,
        title=report.title or report.campaign,
        lead=content.lead(report, rows),
        tiles=content.tiles(report, rows),
        warnings=content.collect_warnings(report, rows),
        caveats=content.caveats(report),
        results=content.results(rows),
        csv_link=_data_link("text/csv", summary_csv(rows)),
        ecsv_link=_data_link("text/plain", summary_ecsv(rows, report.campaign)),
        latex_link=_data_link("text/x-tex", summary_latex(rows)),
        comparisons={k: v.content(_data_link) for k, v in comparisons.tables(report, rows).items()},
        compared=any(row.has_bias for row in rows),
        groups=shown,
        glyphs=glyphs,
        sections={group.section for group in found},
        n_analyses_left_out=len(report.analyses) - len(report.drawn),
        selection=list(report.selection.items()),
        analyses=[content.analysis_counts(analysis) for analysis in report.analyses],
        failures=[entry for analysis in report.analyses for entry in content.failures(analysis)],
        asked=content.asked(report),
        configuration=yaml.safe_dump(content.plain(report.config), sort_keys=False, allow_unicode=True),
        provenance=[(name, content.readable(value)) for name, value in report.provenance.items()],
        references=references(report),
        software=software_text(str(report.provenance.get("clmassmod", ""))),
        bibtex=bibtex(report),
        bibtex_link=_data_link("text/plain", bibtex(report)),
        calibration=calibfigures.table(report.drawn),
        resources=content.resources(report.resources),
        command=report.command or f"snakemake --cores all --configfile config/{report.campaign}.yaml",
        css=_asset("report.css"),
        script=_asset("report.js"),
    )


def _asset(name: str) -> Markup:
    """Return a file of the package's own, which needs no escaping."""
    return Markup(files("clmassmod").joinpath("templates", name).read_text(encoding="utf-8"))


def _data_link(kind: str, text: str) -> str:
    return f"data:{kind};charset=utf-8;base64,{base64.b64encode(text.encode()).decode()}"


def _groups(found: Sequence[Group]) -> tuple[Markup, list[dict[str, Any]]]:
    """Return what all figures share, and the groups for the page.

    Of each kind the first is open, so that many analyses stay readable.
    """
    kinds = [group.key.partition("-of-")[0] for group in found]
    panels = [panel for group in found for panel in group.on_page]
    glyphs, drawn = shared_glyphs([_element(panel) for panel in panels])
    pictures = {panel.name: Markup(element) for panel, element in zip(panels, drawn, strict=True)}
    groups = [
        {
            "section": group.section,
            "key": group.key,
            "title": group.title,
            "caption": group.caption,
            "n_left_out": group.n_left_out,
            "open": kind not in kinds[:i],
            "wide": group.wide,
            "rows": _rows(group, pictures),
        }
        for i, (group, kind) in enumerate(zip(found, kinds, strict=True))
    ]
    return Markup(glyphs), groups


def _rows(group: Group, pictures: dict[str, Markup]) -> list[dict[str, Any]]:
    rows: dict[str, list[Markup]] = {}
    for panel in group.on_page:
        rows.setdefault(panel.row, []).append(pictures[panel.name])
    return [{"title": title, "pictures": found} for title, found in rows.items()]


def _element(panel: Panel) -> str:
    return inline_svg(panel.svg, panel.name, html.escape(panel.description, quote=True))


def other_page(template: str, table_csv: str, **values: Any) -> str:
    """Return another page with the look of the report; ``table_csv`` is its table, to be downloaded."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("clmassmod", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(template).render(
        csv_link=_data_link("text/csv", table_csv),
        css=_asset("report.css"),
        script=_asset("report.js"),
        **values,
    )
