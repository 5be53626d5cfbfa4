"""The steps of whole campaigns: tables, bins, ensemble, compare."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from clmassmod.bins import Assignment, assign, by_edges, fitted_profile
from clmassmod.errors import ConfigError
from clmassmod.fitters.noise import noise_samples
from clmassmod.posterior import Posterior
from clmassmod.readers.common import open_reader
from clmassmod.registry import load_object
from clmassmod.steps.campaign import read_truth_of
from clmassmod.steps.guard import Guard
from clmassmod.steps.halos import provenance_of
from clmassmod.steps.paths import Campaign, read_bins
from clmassmod.steps.population import gather_population, load_population, save_population
from clmassmod.steps.rows import Population
from clmassmod.store import write_text, write_tree

ALL = "all"  # the bin of every halo, in every campaign
TRUE_MASS = "true mass"


def make_tables(campaign: Campaign) -> None:
    """Compute once what costs an import of astropy or colossus, and what the reader needs once."""
    from clmassmod import tables

    guard = Guard(campaign, "tables", "")
    config = campaign.config
    cosmology = config.cosmology.build()
    relations = [
        (a.model.concentration, definition)
        for a in config.analyses.values()
        for definition in (a.mass_definition, *a.more_mass_definitions)
    ]
    z_lo, z_hi = campaign.state["z_range"]
    tree = tables.build(
        cosmology,
        z_range=(z_lo, z_hi),
        relations=list(dict.fromkeys(relations)),
        noise_samples=noise_samples(a.noise for a in config.analyses.values()),
    )
    reader = open_reader(config.simulation, cosmology, config.seed)
    content = {"tables": tree, "reader": reader.prepare()}
    own = config.surveys_of_own_simulation
    if own:
        readers = {s: open_reader(config.simulation_of(s), cosmology, config.seed) for s in own}
        content["reader_of"] = {survey: reader.prepare() for survey, reader in readers.items()}
    guard.check()
    write_tree(campaign.tables_file, "tables", content, provenance_of(campaign, campaign.hash("tables")))


def make_bins(campaign: Campaign, analysis: str, report: Callable[[str], None]) -> None:
    """Gather the fits of an analysis and assign them to bins."""
    guard = Guard(campaign, "bins", analysis)
    population, failed = gather_population(campaign, analysis)
    profiles = [
        fitted_profile(fit, str(campaign.fit_file(analysis, fit.halo_id))) for fit in population.fits()
    ]
    usable = set(population.halo_id[population.status == "ok"])
    bins: dict[str, dict[str, Any]] = {ALL: _entry(ALL, [p.halo_id for p in profiles], usable)}
    remarks: list[str] = []
    for name, binning in campaign.config.bins.items():
        function = by_edges(binning.by) if binning.by is not None else load_object(str(binning.function))
        assignment: Assignment = assign(profiles, function, f"bins.{name}")
        remarks += assignment.remarks
        for label, members in assignment.members.items():
            if label in bins and bins[label]["binning"] != ALL:
                other = bins[label]["binning"]
                raise ConfigError(
                    f"bins.{name}: label {label!r} is also one of bins.{other}; rename one of them"
                )
            bins[label] = _entry(name, members, usable)
    for remark in remarks:
        report(remark)
    config_hash = campaign.hash("bins", analysis)
    guard.check()
    provenance = provenance_of(campaign, config_hash) | _missing(len(failed))
    save_population(campaign.population_file(analysis), population, provenance)
    content = {
        "analysis": analysis,
        "bins": bins,
        "failed": failed,
        "remarks": remarks,
        "config_hash": config_hash,
    }
    write_text(campaign.bins_file(analysis), json.dumps(content, indent=1, sort_keys=True))


def _missing(n_failed: int) -> dict[str, int]:
    """Return what a file says of haloes of the analysis that failed and are not in it."""
    return {"n_failed": n_failed} if n_failed else {}


def _entry(binning: str, members: list[str], usable: set[str]) -> dict[str, Any]:
    return {"binning": binning, "halos": members, "n_usable": sum(h in usable for h in members)}


def _members(
    campaign: Campaign,
    analysis: str,
    label: str,
    definition: str,
    select: Callable[[str], bool] = lambda _: True,
) -> Population:
    """Return the fits in a bin of those haloes that are selected, with the likelihoods of one definition."""
    bins = read_bins(campaign, analysis)["bins"]
    if label not in bins:
        raise ConfigError(f"analysis {analysis}: no bin {label!r} (known: {', '.join(bins)})")
    halo_ids = [h for h in bins[label]["halos"] if select(h)]
    path, config_hash = campaign.population_file(analysis), campaign.hash("bins", analysis)
    return load_population(path, config_hash, halo_ids, [definition])


def posterior_origin(campaign: Campaign, step: str, analysis: str, label: str) -> dict[str, str]:
    """Return what distinguishes one posterior of `ensemble` or `compare` from all others."""
    return {"config_hash": campaign.hash(step, analysis), "step": step, "analysis": analysis, "bin": label}


def fit_ensemble(campaign: Campaign, analysis: str, label: str, report: Callable[[str], None]) -> None:
    """Infer the population of one bin, without truth."""
    from clmassmod import ensemble
    from clmassmod.store import save_posterior

    config = campaign.config.ensemble
    definition = campaign.config.analyses[analysis].mass_definition
    population = _members(campaign, analysis, label, definition)
    posterior = ensemble.fit(
        population.fits(),
        model=config.model,
        method=config.method,
        prior=dict(config.prior),
        seed=campaign.config.seed,
    )
    for warning in posterior.warnings:
        report(f"{analysis}, bin {label}: {warning}")
    origin = posterior_origin(campaign, "ensemble", analysis, label)
    missing = _missing(len(read_bins(campaign, analysis)["failed"]))
    provenance = provenance_of(campaign, origin.pop("config_hash")) | origin | missing
    save_posterior(campaign.ensemble_file(analysis, label), posterior, provenance)


def compare_bin(campaign: Campaign, analysis: str, label: str, report: Callable[[str], None]) -> None:
    """Infer bias and scatter of one bin against the true masses."""
    from clmassmod import bias
    from clmassmod.store import save_posterior

    guard = Guard(campaign, "compare", analysis)
    config, settings = campaign.config, campaign.config.compare
    if config.truth is None:
        raise ConfigError(
            f"{campaign.root}: `compare` needs the key 'truth', which the configuration has not"
        )
    truth = read_truth_of(config)
    definition = config.truth.mass_definition
    if label in campaign.truth_bins:
        edges = settings.true_mass_edges_msun or []
        i = campaign.truth_bins.index(label)
        population = _members(
            campaign, analysis, ALL, definition, lambda h: edges[i] <= truth.get(h, np.nan) < edges[i + 1]
        )
    else:
        population = _members(campaign, analysis, label, definition)
    fits = population.fits()
    influence: dict[str, float] = {}
    if any(fit.status == "ok" for fit in fits):
        same: dict[str, Any] = {
            "mass_definition": config.truth.mass_definition,
            "allow_missing": config.truth.allow_missing,
        }
        posterior = bias.fit(
            fits,
            truth,
            model=settings.model,
            method=settings.method,
            prior=dict(settings.prior),
            seed=config.seed,
            **same,
        )
        if config.wants_shifts:
            influence = bias.influence(fits, truth, posterior, **same)
    else:  # a bin by true mass may be empty; its row in the tables says so
        posterior = Posterior(
            {}, warnings=("no halo with a likelihood in this bin",), metadata={"n_halos": 0}
        )
    for warning in posterior.warnings:
        report(f"{analysis}, bin {label}: {warning}")
    known = [h for h in map(str, population.halo_id) if h in truth]
    observed = {
        "halo_id": np.array(known, dtype=str),
        "true_mass_msun": np.array([truth[h] for h in known], dtype=float),
    }
    if config.wants_shifts:
        of = [fit.parent for fit in fits if fit.halo_id in truth]
        size = Counter(of)
        observed["parent"] = np.array(of, dtype=str)
        observed["ln_bias_influence"] = np.array([influence.get(p, 0.0) / size[p] for p in of], dtype=float)
    origin = posterior_origin(campaign, "compare", analysis, label)
    missing = _missing(len(read_bins(campaign, analysis)["failed"]))
    provenance = provenance_of(campaign, origin.pop("config_hash")) | origin | missing
    guard.check()
    save_posterior(campaign.comparison_file(analysis, label), posterior, provenance, observed)
