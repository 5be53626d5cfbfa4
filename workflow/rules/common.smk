"""Paths, and what a job needs before it may start."""

import os
import re

from clmassmod.validate import plan

ROOT = campaign.root
TABLES = f"{ROOT}/tables.h5"
MOCKED = f"{ROOT}/markers/mocks/{{survey}}/{{shard}}.json"
FITTED = f"{ROOT}/markers/fits/{{analysis}}/{{shard}}.json"
BINS = f"{ROOT}/bins/{{analysis}}.json"
POPULATION = f"{ROOT}/bins/{{analysis}}.h5"
ENSEMBLE = f"{ROOT}/ensembles/{{analysis}}/{{bin}}.nc"
COMPARISON = f"{ROOT}/comparisons/{{analysis}}/{{bin}}.nc"
REPORT = f"{ROOT}/report/index.html"
SUMMARY = f"{ROOT}/report/summary.csv"
VALIDATION = plan.FOLDER

# The commands of the environment that runs snakemake, also where it was not activated.
os.environ |= {"PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"}
# A job of one halo lives a third of a second; without the package's bytecode, twice as long.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Snakemake sets the threads of OpenMP and BLAS to those of the job, but not these.
shell.prefix("set -euo pipefail; export NUMBA_NUM_THREADS=$OMP_NUM_THREADS; ")


wildcard_constraints:
    survey="|".join(map(re.escape, campaign.surveys)) or "none",
    analysis="|".join(map(re.escape, campaign.analyses)),
    shard="[^/]+",
    bin="[^/]+",


def folder(wildcards):
    """Return the campaign's folder, the one argument that all commands share."""
    return ROOT


def simulation_files(wildcards):
    """Return the simulation's files; their content is in the hashes, so that their times say nothing."""
    return [ancient(path) for path in campaign.inputs("simulation")]


def source_of_fit(wildcards):
    """Return the mocks that an analysis fits, or the simulation where it holds measured profiles."""
    survey = campaign.survey_of(wildcards.analysis)
    if survey is None:
        return simulation_files(wildcards)
    return MOCKED.format(survey=survey, shard=wildcards.shard)


def tables_for(marker):
    """Return an input function: the tables, for a shard that is not done; nothing for one that is.

    Tables that another analysis needs must not rerun a shard that is done. `ancient` would not do: below a job
    that runs, Snakemake looks at nothing that `ancient` inputs alone lead to, neither at changed parameters nor at
    missing files. What a shard depends on is in its hash, and a marker with another hash does not hold.
    """

    def tables(wildcards):
        path = marker.format(**wildcards)
        return [] if os.path.exists(path) and path not in campaign.stale else [TABLES]

    return tables


def fits_of_analysis(wildcards):
    """Return the markers of all fits of an analysis."""
    return expand(FITTED, analysis=wildcards.analysis, shard=campaign.shards)


def all_shards(wildcards):
    """Return the markers of all mocks and fits of the campaign."""
    mocks = expand(MOCKED, survey=campaign.surveys, shard=campaign.shards)
    return mocks + expand(FITTED, analysis=campaign.analyses, shard=campaign.shards)


def populations(wildcards):
    """Return the ensembles and comparisons of all bins, known once the checkpoint has made the bins."""
    files = []
    for analysis in campaign.analyses:
        checkpoints.bins.get(analysis=analysis)
        bins = campaign.bins(analysis)
        files += expand(ENSEMBLE, analysis=analysis, bin=bins)
        if campaign.has_truth:
            files += expand(COMPARISON, analysis=analysis, bin=[*bins, *campaign.truth_bins])
    return files


def content(step, key=None, marker=None):
    """Return a parameter function: the hash of all that the results of a job depend on.

    A marker that does not hold is removed when the workflow starts. A dry run removes nothing, and shows the job
    by another hash instead.
    """
    names = {None: [""], "survey": campaign.surveys, "analysis": campaign.analyses}[key]
    hashes = {name: campaign.hash(step, name) for name in names}

    def content_hash(wildcards):
        if dry_run and marker is not None and marker.format(**wildcards) in campaign.stale:
            return "redo"
        return hashes[getattr(wildcards, key) if key else ""]

    return content_hash


def chains(settings):
    """Return how many cores a population takes: one a chain where it is sampled."""
    return 4 if settings.method == "nuts" else 1


def growing(amount):
    """Return a resource function: more at every attempt."""
    return lambda wildcards, attempt: amount * attempt


def source_hash(wildcards):
    """Return the hash of the package's source: a constant that is edited is validated again."""
    return plan.source_hash()


def validation_folder(wildcards):
    """Return the folder of the table and the page."""
    return str(VALIDATION)
