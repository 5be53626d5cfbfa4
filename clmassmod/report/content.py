"""What the page says, as plain data: counts, warnings, failures, configuration, results."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from clmassmod.report.formats import headings, short_cells
from clmassmod.report.inputs import AnalysisResult, ReportInput, RuleUse
from clmassmod.report.summary import SummaryRow, counts

_ALWAYS_SHOWN = ("model.profile", "model.concentration", "mass_definition", "method", "prior")
MOST_HALOES_NAMED = 50  # of one reason for failing
MOST_NAMED = 12  # analyses in the sentence below the title


def lead(report: ReportInput, rows: Sequence[SummaryRow]) -> str:
    """Return the sentence below the title."""
    compared = any(row.has_bias for row in rows)
    what = (
        "How far the weak-lensing masses of simulated haloes lie from the true ones: bias "
        "b = M_lens / M_true and intrinsic scatter σ of ln M_lens at fixed true mass, bin by bin."
        if compared
        else "The distribution of weak-lensing masses in each bin. Without true masses there is no bias."
    )
    names = [analysis.name for analysis in report.analyses]
    if len(names) > MOST_NAMED:
        of = f", all combinations of {', '.join(report.matrix.axes)}" if report.matrix is not None else ""
        return f"{what} {len(names)} analyses{of}."
    return f"{what} {'Analyses' if len(names) > 1 else 'Analysis'}: {', '.join(names)}."


def tiles(report: ReportInput, rows: Sequence[SummaryRow]) -> list[dict[str, Any]]:
    """Return the numbers at the top; a range where the analyses differ."""
    numbers = [counts(analysis) for analysis in report.analyses]
    fitted, bad = (
        [n["fitted"] for n in numbers] or [0],
        [n["unusable"] + n["failed"] for n in numbers] or [0],
    )
    n_bins = len({row.bin for row in rows})
    return [
        {"value": _span(fitted), "label": "haloes fitted", "alarm": False},
        {"value": _span(bad), "label": "unusable or failed", "alarm": max(bad) > 0},
        {
            "value": str(len(report.analyses)),
            "label": "analyses" if len(report.analyses) > 1 else "analysis",
            "alarm": False,
        },
        {"value": str(n_bins), "label": "bin" if n_bins == 1 else "bins", "alarm": False},
    ]


def _span(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def collect_warnings(report: ReportInput, rows: Sequence[SummaryRow]) -> list[tuple[str, list[str]]]:
    """Return each warning once, with the analyses and bins that it holds for."""
    found: dict[str, list[str]] = {}
    for analysis in report.analyses:
        number = counts(analysis)
        for kind, meaning in (
            ("failed", "haloes failed: their step raised an error; they are in no result"),
            ("unusable", "haloes could not be fitted; they are in no result"),
            ("in no bin", "haloes are in no bin"),
        ):
            if number[kind]:
                total = analysis.n_halos + len(analysis.failed)
                found.setdefault(f"{number[kind]:,} of {total:,} {meaning}", []).append(analysis.name)
        for remark in (*analysis.remarks, *_definitions(analysis)):
            found.setdefault(remark, []).append(analysis.name)
    for row in rows:
        where = f"{row.analysis}/{row.bin}"
        for text in row.warnings:
            found.setdefault(text, []).append(where)
        if row.has_bias and row.n_no_truth:
            found.setdefault(f"{row.n_no_truth:,} of {row.n_halos:,} haloes have no true mass", []).append(
                where
            )
        if 0 < row.n_halos < 10:
            found.setdefault("fewer than 10 haloes", []).append(where)
    return list(found.items())


def _definitions(analysis: AnalysisResult) -> list[str]:
    fitted = str(analysis.config.get("mass_definition", ""))
    others = {str(p.metadata.get("mass_definition", fitted)) for p in analysis.comparisons.values()} - {
        fitted
    }
    return [
        f"the bias is that of {other} masses, the best fits are {fitted}: no figure of one against the other"
        for other in sorted(others)
        if fitted
    ]


def caveats(report: ReportInput) -> list[str]:
    """Return what the fits say of themselves, each sentence once."""
    posteriors = [
        p
        for analysis in report.analyses
        for p in (*analysis.comparisons.values(), *analysis.ensembles.values())
    ]
    return list(dict.fromkeys(str(p.metadata["caveat"]) for p in posteriors if p.metadata.get("caveat")))


_SORT_KEYS = ("analysis", "bin", "n_halos", "n_failed")
_SORT_BIAS = ("ln_bias", "bias", "scatter")
_SORT_ENSEMBLE = ("mean_ln_mass", "ensemble_scatter")
_EXPLAINED = {
    "n": "members of the bin that could be fitted",
    "failed": "members without a usable fit, and haloes that failed and may belong to any bin",
    "ln b": "posterior mean and standard deviation",
    "b [68 %]": "median of M_lens / M_true with its equal-tailed interval",
    "σ [68 %]": "intrinsic scatter of ln M_lens at fixed true mass; with <, a 95 % upper limit",
    "⟨ln M⟩": "mean of ln(M_lens / Msun) of the bin's population, without truth",
    "ensemble σ [68 %]": "spread of ln M_lens over the bin, without truth",
}


def results(rows: Sequence[SummaryRow]) -> dict[str, Any]:
    """Return headings and cells of the table of results, each cell with a key to sort by."""
    heads = headings(rows)
    bias = "ln b" in heads
    keys = (*_SORT_KEYS, *(_SORT_BIAS if bias else ()), *_SORT_ENSEMBLE)
    lines = [
        {
            "cells": [
                {"text": text, "sort": _sort_value(getattr(row, key))}
                for text, key in zip(short_cells(row, bias=bias), keys, strict=True)
            ],
            "warnings": "; ".join(row.warnings),
        }
        for row in rows
    ]
    return {"heads": [{"text": head, "title": _EXPLAINED.get(head, "")} for head in heads], "rows": lines}


def _sort_value(value: Any) -> str:
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else ""
    return str(value)


def analysis_counts(analysis: AnalysisResult) -> dict[str, str]:
    """Return how many haloes went which way, and how good the fits are."""
    usable = analysis.usable()
    mass, snr, p_value = (analysis.column(name)[usable] for name in ("mass_ml_msun", "snr", "p_value"))
    snr, p_value = snr[np.isfinite(snr)], p_value[np.isfinite(p_value)]
    return {
        "analysis": analysis.name,
        **{name: f"{number:,}" for name, number in counts(analysis).items()},
        "best-fit mass ≤ 0": f"{int((mass <= 0).sum()):,}",
        "median S/N": f"{np.median(snr):.3g}" if len(snr) else "–",
        "χ² p-value < 0.01": f"{(p_value < 0.01).mean():.1%}" if len(p_value) else "–",
    }


def failures(analysis: AnalysisResult) -> list[dict[str, Any]]:
    """Return, for each reason, the haloes of an analysis without a usable fit, the most frequent first."""
    found: dict[tuple[str, str], list[str]] = {}
    bad = ~analysis.usable()
    ids, reasons = np.asarray(analysis.table["halo_id"])[bad], np.asarray(analysis.table["reason"])[bad]
    for halo, reason in zip(ids, reasons, strict=True):
        found.setdefault(("unusable", str(reason)), []).append(str(halo))
    for record in analysis.failed:
        found.setdefault(("failed", str(record.get("reason", ""))), []).append(str(record["halo_id"]))
    return [
        {
            "analysis": analysis.name,
            "status": status,
            "reason": reason or "no reason recorded",
            "n": len(halos),
            "halos": halos[:MOST_HALOES_NAMED],
            "n_more": max(0, len(halos) - MOST_HALOES_NAMED),
        }
        for (status, reason), halos in sorted(found.items(), key=lambda item: -len(item[1]))
    ]


def asked(report: ReportInput) -> dict[str, Any]:
    """Return the configuration for reading: what was set, and what tells the analyses apart."""
    config = report.asked or report.config
    sections = {
        name: flatten(plain(config[name]))
        for name in ("simulation", "cosmology", "truth", "surveys", "bins", "ensemble", "compare")
        if config.get(name)
    }
    settings = {analysis.name: flatten(plain(analysis.config)) for analysis in report.analyses}
    keys = list(dict.fromkeys(key for entries in settings.values() for key in entries))
    common = {k: v[0] for k in keys if len(set(v := [s.get(k, "") for s in settings.values()])) == 1}
    differing = [key for key in keys if key not in common]
    if report.asked:  # of what all have in common, what was set, and what matters most
        was_set = {k for a in report.asked.get("analyses", {}).values() for k in flatten(plain(a))}
        common = {k: v for k, v in common.items() if k in was_set or k in _ALWAYS_SHOWN}
    title = "analyses: common to all" if len(settings) > 1 else f"analysis {next(iter(settings), '')}"
    if common:
        sections[title] = common
    return {
        "sections": sections,
        "differing": differing,
        "analyses": [
            {"name": n, "values": [s.get(key, "") for key in differing]} for n, s in settings.items()
        ],
    }


def resources(used: Sequence[RuleUse]) -> list[dict[str, Any]]:
    """Return a row for each rule, and one for all, each cell with a key to sort by."""
    if not used:
        return []
    rows = [_use_cells(use.rule, use.jobs, use.wall_s, use.cpu_s, use) for use in used]
    totals = [sum(getattr(use, name) for use in used) for name in ("jobs", "wall_s", "cpu_s")]
    return [*rows, _use_cells("all", totals[0], totals[1], totals[2], None)]


def _use_cells(rule: str, jobs: int, wall_s: float, cpu_s: float, one: RuleUse | None) -> dict[str, Any]:
    cells = [(f"{jobs:,}", float(jobs)), (duration(wall_s), wall_s), (duration(cpu_s), cpu_s)]
    values = (one.median_s, one.longest_s) if one else ()
    cells += [(duration(value), value) for value in values]
    if one is not None:
        cells.append((f"{one.peak_mb:,.0f} MB" if math.isfinite(one.peak_mb) else "–", one.peak_mb))
    cells += [("", math.nan)] * (6 - len(cells))
    return {"rule": rule, "cells": [{"text": text, "sort": _sort_value(value)} for text, value in cells]}


def duration(seconds: float) -> str:
    """Return a time as a reader would say it: 0.35 s, 41 s, 12 min, 3.4 h."""
    if not math.isfinite(seconds):
        return "–"
    if seconds < 100:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested mappings as ``a.b.c`` to text; empty values are left out."""
    flat: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        elif isinstance(value, list) and value and all(isinstance(entry, Mapping) for entry in value):
            for i, entry in enumerate(value):  # a list of one reads as if it were none
                flat |= flatten(entry, f"{prefix}{key}." if len(value) == 1 else f"{prefix}{key}[{i}].")
        elif value not in (None, "", []):
            flat[f"{prefix}{key}"] = readable(value)
    return flat


def readable(value: Any) -> str:
    """Return a value of the configuration as a reader would write it."""
    if isinstance(value, list | tuple):
        return ", ".join(map(readable, value))
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def plain(value: Any) -> Any:
    """Return mappings, tuples and numpy numbers as what YAML can write."""
    return json.loads(json.dumps(value, default=_jsonable))


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return value.tolist() if hasattr(value, "tolist") else str(value)
