"""One row for each analysis and bin, and as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from clmassmod.posterior import Posterior
from clmassmod.report.inputs import AnalysisResult, ReportInput

_TWO_SIGMA = math.exp(-2.0)  # likelihood ratio
LEVEL = 0.68  # of all intervals, equal-tailed
DIGITS = 9  # significant digits of the CSV


@dataclass(frozen=True)
class SummaryRow:
    """Results of one analysis and bin; NaN where there is nothing to report.

    ``ln_bias`` and its error are posterior mean and standard deviation; ``bias`` (= M_lens / M_true),
    ``scatter`` (of ln M_lens at fixed true mass) and ``ensemble_scatter`` (of ln M_lens over the bin,
    known without truth) are medians, with equal-tailed 68 % intervals; ``scatter_upper_95`` lies above
    95 % of the posterior, and ``scatter_is_limit`` says that it is all that can be said: that the
    marginal likelihood at the lower edge of the prior is within exp(-2) of its peak (2 sigma).
    ``mean_ln_mass`` is the posterior mean of the ensemble's mean ln(M_lens / Msun).

    ``n_halos`` counts the members that could be fitted, ``n_no_truth`` those of them without a true
    mass, ``n_unusable`` members that could not be fitted, ``n_failed`` these and the haloes whose
    step raised: in this bin, or in none, since a halo without a fit may belong anywhere.
    """

    analysis: str
    bin: str
    n_halos: int
    n_failed: int
    ln_bias: float
    ln_bias_err: float
    bias: float
    bias_lo: float
    bias_hi: float
    scatter: float
    scatter_lo: float
    scatter_hi: float
    scatter_upper_95: float
    scatter_is_limit: bool
    mean_ln_mass: float
    mean_ln_mass_err: float
    ensemble_scatter: float
    ensemble_scatter_lo: float
    ensemble_scatter_hi: float
    n_parents: int
    n_unusable: int
    n_no_truth: int
    z_min: float
    z_median: float
    z_max: float
    mean_ln_true_mass: float
    true_mass_min_msun: float
    true_mass_median_msun: float
    true_mass_max_msun: float
    binning: str
    warnings: tuple[str, ...]
    notes: tuple[str, ...]  # known limits of the input at this bin's redshifts

    @property
    def has_bias(self) -> bool:
        """Whether the bin was compared with truth."""
        return math.isfinite(self.ln_bias)

    @property
    def has_ensemble(self) -> bool:
        """Whether the bin has an ensemble."""
        return math.isfinite(self.mean_ln_mass)


COLUMNS = tuple(field.name for field in fields(SummaryRow))


def summary_rows(report: ReportInput) -> list[SummaryRow]:
    """Return the rows of a campaign, by analysis and then by bin, in the order of the input."""
    return [_row(analysis, label, report) for analysis in report.analyses for label in analysis.bins]


def _row(analysis: AnalysisResult, label: str, report: ReportInput) -> SummaryRow:
    members = analysis.members(label)
    used = members[analysis.usable()[members]]
    true_mass = analysis.truth()[used]
    comparison, ensemble = analysis.comparisons.get(label), analysis.ensembles.get(label)
    n_unusable = len(members) - len(used)
    messages = [f"comparison: {text}" for text in (comparison.warnings if comparison else ())]
    messages += [f"ensemble: {text}" for text in (ensemble.warnings if ensemble else ())]
    redshifts = _range("z_{}", analysis.column("z")[used])
    return SummaryRow(
        analysis=analysis.name,
        bin=label,
        n_halos=len(used),
        n_failed=n_unusable + _n_crashed(analysis, label),
        **_bias_columns(comparison),
        **_ensemble_columns(ensemble),
        n_parents=len({str(name) for name in np.asarray(analysis.table["parent"])[used]}),
        n_unusable=n_unusable,
        n_no_truth=int(np.isnan(true_mass).sum()),
        **redshifts,
        mean_ln_true_mass=_mean_log(true_mass),
        **_range("true_mass_{}_msun", true_mass),
        binning=report.binning_of.get(label, ""),
        warnings=tuple(messages),
        notes=tuple(note for z, note in report.notes_above_z if redshifts["z_max"] > z),
    )


def _n_crashed(analysis: AnalysisResult, label: str) -> int:
    """Count haloes whose step raised and which are in this bin, or in no bin at all."""
    members = {str(name) for name in analysis.bins[label]}
    placed = {str(name) for ids in analysis.bins.values() for name in ids}
    crashed = {str(halo["halo_id"]) for halo in analysis.failed}
    return len((crashed & members) | (crashed - placed))


def _range(pattern: str, values: np.ndarray) -> dict[str, Any]:
    finite = values[np.isfinite(values)]
    numbers = (finite.min(), np.median(finite), finite.max()) if len(finite) else (np.nan,) * 3
    return {pattern.format(key): float(x) for key, x in zip(("min", "median", "max"), numbers, strict=True)}


def _mean_log(masses: np.ndarray) -> float:
    known = masses[masses > 0]
    return float(np.log(known).mean()) if len(known) else math.nan


def _bias_columns(posterior: Posterior | None) -> dict[str, Any]:
    if posterior is None:
        names = COLUMNS[COLUMNS.index("ln_bias") : COLUMNS.index("mean_ln_mass")]
        return {**dict.fromkeys(names, math.nan), "scatter_is_limit": False}
    ln_lo, ln_hi = posterior.interval(LEVEL)["ln_bias"]
    lo, hi = posterior.interval(LEVEL)["scatter"]
    return {
        "ln_bias": float(posterior.mean["ln_bias"]),
        "ln_bias_err": float(posterior.sd["ln_bias"]),
        "bias": math.exp(posterior.marginals["ln_bias"].median),
        "bias_lo": math.exp(ln_lo),
        "bias_hi": math.exp(ln_hi),
        "scatter": posterior.marginals["scatter"].median,
        "scatter_lo": float(lo),
        "scatter_hi": float(hi),
        "scatter_upper_95": posterior.marginals["scatter"].quantile(0.95),
        "scatter_is_limit": scatter_is_limit(posterior),
    }


def scatter_is_limit(posterior: Posterior) -> bool:
    """Whether the scatter cannot be told from the lower edge of its prior, which is flat in ln scatter."""
    marginal = posterior.marginals.get("ln_scatter")
    if marginal is None:
        return False
    if marginal.density is not None:
        density = marginal.density
    else:  # draws alone: the sampler's prior range ends at the lowest
        density = np.histogram(marginal.samples, bins=25)[0].astype(float)
    return bool(density[0] > _TWO_SIGMA * density.max())


def _ensemble_columns(posterior: Posterior | None) -> dict[str, Any]:
    names = (
        "mean_ln_mass",
        "mean_ln_mass_err",
        "ensemble_scatter",
        "ensemble_scatter_lo",
        "ensemble_scatter_hi",
    )
    if posterior is None:
        return dict.fromkeys(names, math.nan)
    lo, hi = posterior.interval(LEVEL)["scatter"]
    numbers = (
        posterior.mean["mean_ln_mass"],
        posterior.sd["mean_ln_mass"],
        posterior.marginals["scatter"].median,
        lo,
        hi,
    )
    return {name: float(x) for name, x in zip(names, numbers, strict=True)}


def summary_csv(rows: Sequence[SummaryRow]) -> str:
    """Return the rows as CSV (RFC 4180, LF), numbers with 9 significant digits, empty where there is none."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_cell(getattr(row, name)) for name in COLUMNS])
    return buffer.getvalue()


def summary_ecsv(rows: Sequence[SummaryRow], campaign: str) -> str:
    """Return the rows as ECSV, with units; astropy's ``Table.read`` and ``QTable.read`` understand it."""
    from astropy.table import Table

    numbers = {field.name for field in fields(SummaryRow) if field.type in ("float", "int", "bool")}
    columns = {
        name: [getattr(row, name) if name in numbers else _cell(getattr(row, name)) for row in rows]
        for name in COLUMNS
    }
    kinds = [{"float": float, "int": int, "bool": bool}.get(str(f.type), str) for f in fields(SummaryRow)]
    table = Table(columns, dtype=kinds, meta={"campaign": campaign})
    for name in COLUMNS:
        if name.endswith("_msun"):
            table[name].unit = "Msun"
    buffer = io.StringIO()
    table.write(buffer, format="ascii.ecsv")
    return buffer.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, tuple):
        return "; ".join(value)
    if isinstance(value, float):
        return f"{value:.{DIGITS}g}" if math.isfinite(value) else ""
    return str(value)


def counts(analysis: AnalysisResult) -> Mapping[str, int]:
    """Return how many haloes of an analysis were fitted, unusable, failed, and are in no bin."""
    placed = {str(name) for ids in analysis.bins.values() for name in ids}
    n_usable = int(analysis.usable().sum())
    return {
        "fitted": n_usable,
        "unusable": analysis.n_halos - n_usable,
        "failed": len(analysis.failed),
        "in no bin": sum(str(name) not in placed for name in analysis.table["halo_id"]),
    }
