"""Two campaigns compared: which keys differ, which haloes and bins, which numbers moved and by how much."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from clmassmod.posterior import Posterior
from clmassmod.records import HaloFit
from clmassmod.steps.difference import LN_LIKE, RELATIVE, SD, Difference, Row, only_one
from clmassmod.steps.paths import Campaign, read_bins
from clmassmod.steps.population import load_population
from clmassmod.store import load_fit, load_posterior

LIKELY = 10.0  # ln L is compared where either is within this of its maximum


def compare_campaigns(a: Campaign, b: Campaign, tolerance: float = 0.0) -> Difference:
    """Return what differs between two campaigns.

    Parameters
    ----------
    a, b
        They may be incomplete; what only one of them has is said.
    tolerance
        What does not count: a relative change of a number, a difference of ln L, a shift of a posterior's
        mean in standard deviations (of ``a``), or a relative change of that.

    Raises
    ------
    StoreError
        For a result file that is damaged.
    """
    found = Difference(a.root, b.root)
    found.rows += _configuration(a, b)
    haloes = [set(c.halo_ids) for c in (a, b)]
    found.rows += [Row("haloes", h, "", *only_one(h in haloes[0])) for h in sorted(haloes[0] ^ haloes[1])]
    found.compared.append(f"{len(haloes[0] & haloes[1])} haloes")
    for name in dict.fromkeys([*a.analyses, *b.analyses]):
        if name in a.analyses and name in b.analyses:
            found.rows += _analysis(a, b, name, haloes[0] & haloes[1], tolerance, found.compared)
        else:
            found.rows.append(Row("analyses", name, "", *only_one(name in a.analyses)))
    return found


def _configuration(a: Campaign, b: Campaign) -> Iterator[Row]:
    ours, theirs = (dict(_flat(c.config.model_dump(mode="json"))) for c in (a, b))
    for key in dict.fromkeys([*ours, *theirs]):
        values = [side.get(key, "(not there)") for side in (ours, theirs)]
        if values[0] != values[1] and key != "campaign":
            yield Row("configuration", key, "", *values)
    prints = [c.state["fingerprints"] for c in (a, b)]
    for path in sorted(prints[0].keys() & prints[1].keys()):
        hashes = [p[path]["sha256"][:16] for p in prints]
        if hashes[0] != hashes[1]:
            yield Row("configuration", path, "content", *hashes)


def _flat(data: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(data, dict) and data:
        for name, value in data.items():
            yield from _flat(value, f"{key}.{name}" if key else str(name))
    else:
        yield key, data


def _analysis(
    a: Campaign, b: Campaign, name: str, common: set[str], tolerance: float, compared: list[str]
) -> Iterator[Row]:
    ours, theirs = _fits(a, name), _fits(b, name)
    both = [h for h in ours if h in theirs and h in common]
    compared.append(f"{len(both)} fits of {name}")
    for halo_id in sorted((ours.keys() ^ theirs.keys()) & common):
        yield Row("fits", f"{name} {halo_id}", "", *only_one(halo_id in ours))
    for halo_id in both:
        yield from _halo(f"{name} {halo_id}", ours[halo_id], theirs[halo_id], tolerance)
    if a.bins_file(name).is_file() and b.bins_file(name).is_file():
        yield from _bins(a, b, name, compared, tolerance)


def _fits(campaign: Campaign, analysis: str) -> dict[str, HaloFit]:
    """Return the fits that are there, of the gathered file if there is one."""
    path = campaign.population_file(analysis)
    if path.is_file():
        population = load_population(path)
        return {fit.halo_id: fit for fit in population.fits(map(str, population.halo_id))}
    there = ((h, campaign.fit_file(analysis, h)) for h in campaign.halo_ids)
    return {h: load_fit(path, h) for h, path in there if path.is_file()}


def _halo(where: str, a: HaloFit, b: HaloFit, tolerance: float) -> Iterator[Row]:
    if a.status != b.status:
        yield Row("halo", where, "status", a.status, b.status)
        return
    for name in dict.fromkeys(["z", *a.summary, *b.summary]):
        x, y = (f.z if name == "z" else float(f.summary.get(name, math.nan)) for f in (a, b))
        change = _relative(x, y)
        if abs(change) > tolerance:
            yield Row("halo", where, name, x, y, change, RELATIVE)
    for definition in dict.fromkeys([*a.ln_like, *b.ln_like]):
        if definition not in a.ln_like or definition not in b.ln_like:
            yield Row("halo", where, f"likelihood of {definition}", *only_one(definition in a.ln_like))
            continue
        change = _ln_like_change(a, b, definition)
        if change > tolerance:
            yield Row("halo", where, f"likelihood of {definition}", "", "", change, LN_LIKE)


def _relative(x: float, y: float) -> float:
    """Return the change over the larger of both; infinite where one of them is not a number."""
    if x == y or (math.isnan(x) and math.isnan(y)):
        return 0.0
    change = (y - x) / max(abs(x), abs(y))
    return change if math.isfinite(change) else math.inf


def _ln_like_change(a: HaloFit, b: HaloFit, definition: str) -> float:
    """Return the largest difference of ln L, each from its maximum, where either is likely."""
    x, y = (np.asarray(f.ln_like[definition], dtype=float) for f in (a, b))
    if not np.array_equal(a.mass_msun, b.mass_msun):
        if b.mass_msun[0] <= 0 or a.mass_msun[0] <= 0:
            return math.inf
        y = np.interp(np.log(a.mass_msun), np.log(b.mass_msun), y)
    if np.array_equal(x, y):
        return 0.0
    x, y = x - x.max(), y - y.max()
    likely = (x > -LIKELY) | (y > -LIKELY)
    return float(np.max(np.abs(np.maximum(x, -LIKELY) - np.maximum(y, -LIKELY))[likely]))


def _bins(a: Campaign, b: Campaign, analysis: str, compared: list[str], tolerance: float) -> Iterator[Row]:
    ours, theirs = (read_bins(c, analysis)["bins"] for c in (a, b))
    for label in dict.fromkeys([*ours, *theirs]):
        where = f"{analysis} {label}"
        if label not in ours or label not in theirs:
            yield Row(
                "bins", where, "", *(("there", "not there") if label in ours else ("not there", "there"))
            )
            continue
        x, y = (set(side[label]["halos"]) for side in (ours, theirs))
        if x != y:
            text = f"{len(y)} haloes, {len(x - y)} left and {len(y - x)} came"
            yield Row("bins", where, "members", f"{len(x)} haloes", text)
    compared.append(f"{len(ours.keys() & theirs.keys())} bins of {analysis}")
    labels = [*ours, *a.truth_bins]
    for kind, files in (
        ("ensemble", (a.ensemble_file, b.ensemble_file)),
        ("comparison", (a.comparison_file, b.comparison_file)),
    ):
        yield from _posteriors(kind, analysis, labels, files, tolerance)


def _posteriors(
    kind: str, analysis: str, labels: list[str], files: tuple[Callable[..., Any], ...], tolerance: float
) -> Iterator[Row]:
    for label in dict.fromkeys(labels):
        paths = [file(analysis, label) for file in files]
        if not all(path.is_file() for path in paths):
            continue
        a, b = (load_posterior(path) for path in paths)
        yield from _posterior(kind, f"{analysis} {label}", a, b, tolerance)


def _posterior(kind: str, where: str, a: Posterior, b: Posterior, tolerance: float) -> Iterator[Row]:
    for name in dict.fromkeys([*a.names, *b.names]):
        if name not in a.names or name not in b.names:
            yield Row(kind, where, name, *only_one(name in a.names))
            continue
        means: list[Mapping[str, float]] = [a.mean, b.mean]
        sd = a.sd[name]
        step = means[1][name] - means[0][name]
        shift = 0.0 if step == 0 else step / sd if sd > 0 else math.inf
        if abs(shift) > tolerance:
            yield Row(kind, where, name, means[0][name], means[1][name], shift, SD)
        width = _relative(sd, b.sd[name])
        if abs(width) > tolerance:
            yield Row(kind, where, f"sd of {name}", sd, b.sd[name], width, RELATIVE)
