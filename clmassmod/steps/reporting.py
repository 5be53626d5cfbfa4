"""The report step: read what the other steps wrote, and hand it to the report."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from clmassmod import __version__
from clmassmod.config.matrix import Matrix
from clmassmod.config.models import Note
from clmassmod.errors import ConfigError
from clmassmod.posterior import Posterior
from clmassmod.report import print_summary, summary_rows, write_report
from clmassmod.report.inputs import TRUE_MASS_BINNING, AnalysisResult, MatrixDesign, ReportInput
from clmassmod.steps.chain import versions
from clmassmod.steps.gather import posterior_origin
from clmassmod.steps.illustrations import Illustrations
from clmassmod.steps.paths import Campaign, read_bins
from clmassmod.steps.population import load_population
from clmassmod.steps.resources import resource_use
from clmassmod.steps.rows import Population
from clmassmod.steps.sources import functions_in
from clmassmod.store import load_fit, load_observed, load_posterior


def report_input(campaign: Campaign) -> ReportInput:
    """Return all results of a campaign, as its report shows them."""
    config = campaign.config
    analyses = [_analysis(campaign, name) for name in campaign.analyses]
    binning_of: dict[str, str] = dict.fromkeys(campaign.truth_bins, TRUE_MASS_BINNING)
    for name in campaign.analyses:
        binning_of |= {label: entry["binning"] for label, entry in read_bins(campaign, name)["bins"].items()}
    notes = [Note(text=n) if isinstance(n, str) else n for n in config.report.notes]
    functions = functions_in(config.model_dump(mode="json"))
    provenance = {
        "clmassmod": __version__,
        **versions(),
        "seed": config.seed,
        "configuration": campaign.hash("report"),
        "functions of the user's that were run": ", ".join(functions) or "none",
        **{path: f"sha256 {entry['sha256'][:16]}" for path, entry in campaign.state["fingerprints"].items()},
    }
    return ReportInput(
        title=config.report.title,
        campaign=config.campaign,
        notes=[note.text for note in notes],
        notes_above_z=[(note.above_z, note.text) for note in notes if note.above_z is not None],
        config=config.model_dump(mode="json"),
        provenance=provenance,
        selection=campaign.state["counts"],
        analyses=analyses,
        binning_of=binning_of,
        figures_of=config.report.figures_of or (),
        asked=config.model_dump(mode="json", exclude_defaults=True),
        resources=resource_use(campaign.folder),
        pairs=[(pair.of, pair.against) for pair in config.report.shifts],
        matrix=None if config.matrix is None else _matrix(config.matrix),
    )


def with_figures(report: ReportInput, campaign: Campaign) -> ReportInput:
    """Return a report whose drawn analyses have all that their figures need."""
    illustrations = Illustrations(campaign)
    drawn = {analysis.name for analysis in report.drawn}
    seen: set[tuple[str | None, str]] = set()
    analyses = []
    for analysis in report.analyses:
        if analysis.name in drawn:
            analysis = _illustrated(illustrations, analysis, seen)
        analyses.append(analysis)
    return replace(report, analyses=analyses)


def _illustrated(
    illustrations: Illustrations, analysis: AnalysisResult, seen: set[tuple[str | None, str]]
) -> AnalysisResult:
    """Return an analysis with what its figures need; a scene that was shown is not shown again."""
    campaign, name = illustrations.campaign, analysis.name
    truth = campaign.config.truth
    definitions = () if truth is None else (truth.mass_definition,)
    population = load_population(campaign.population_file(name), definitions=definitions)
    examples = _examples(campaign, name, population)
    survey = campaign.survey_of(name)
    new = [fit for fit in examples if (survey, fit.halo_id) not in seen]
    scenes = illustrations.scenes(name, new)
    seen |= {(survey, halo_id) for halo_id in scenes}
    return replace(
        analysis,
        examples=examples,
        scenes=scenes,
        profiles=illustrations.profiles(name, population, analysis.ensembles, analysis.bins),
        calibrations=illustrations.calibrations(
            name, population, analysis.comparisons, analysis.bins, analysis.true_mass_msun
        ),
    )


def _matrix(matrix: Matrix) -> MatrixDesign:
    axes = {axis: tuple(variants) for axis, variants in matrix.axes.items()}
    return MatrixDesign(axes, matrix.cells(), matrix.reference)


def _analysis(campaign: Campaign, name: str) -> AnalysisResult:
    listed = read_bins(campaign, name)
    population = load_population(campaign.population_file(name), campaign.hash("bins", name), definitions=())
    bins = {label: entry["halos"] for label, entry in listed["bins"].items()}
    ensembles = {
        label: load_posterior(
            campaign.ensemble_file(name, label), **posterior_origin(campaign, "ensemble", name, label)
        )
        for label in campaign.bins(name)
    }
    comparisons: dict[str, Posterior] = {}
    true_mass: dict[str, float] = {}
    influences: dict[str, dict[str, float]] = {}
    if campaign.has_truth:
        for label in [*campaign.bins(name), *campaign.truth_bins]:
            path = campaign.comparison_file(name, label)
            posterior = load_posterior(path, **posterior_origin(campaign, "compare", name, label))
            if posterior.names:  # none for a bin by true mass that is empty
                comparisons[label] = posterior
            observed = load_observed(path)
            halos = [str(h) for h in observed["halo_id"]]
            true_mass |= dict(zip(halos, observed["true_mass_msun"].tolist(), strict=True))
            if label in campaign.truth_bins:
                bins[label] = halos
            if "ln_bias_influence" in observed:
                influences[label] = _by_parent(observed["parent"], observed["ln_bias_influence"])
    return AnalysisResult(
        name=name,
        config=campaign.config.analyses[name].model_dump(mode="json"),
        table=population.table(),
        bins=bins,
        ensembles=ensembles,
        comparisons=comparisons,
        true_mass_msun=true_mass,
        influences=influences,
        failed=listed["failed"],
    )


def _by_parent(parent: np.ndarray, share: np.ndarray) -> dict[str, float]:
    """Return each parent's influence on ln b, the sum of its haloes' shares."""
    names, place = np.unique(parent, return_inverse=True)
    total = np.bincount(place, weights=share, minlength=len(names))
    return dict(zip(names.tolist(), total.tolist(), strict=True))


def _examples(campaign: Campaign, name: str, population: Population) -> list[Any]:
    """Return fits spread evenly over the signal-to-noise of the usable haloes, best first."""
    usable = np.flatnonzero(population.status == "ok")
    wanted = min(campaign.config.report.example_halos, len(usable))
    if wanted == 0:
        return []
    snr = population.summary.get("snr", np.zeros(len(population.status)))  # a user's fitter need not give it
    order = usable[np.argsort(-snr[usable], kind="stable")]
    chosen = order[np.linspace(0, len(order) - 1, wanted).astype(int)]
    return [load_fit(campaign.fit_file(name, str(population.halo_id[i]))) for i in chosen]


def make_report(campaign: Campaign) -> list[Path]:
    """Write tables, figures and the page of a campaign; return what was written."""
    folder = campaign.folder / "report"
    if folder.is_dir():
        shutil.rmtree(folder)  # figures of analyses that are no more
    return write_report(with_figures(report_input(campaign), campaign), folder)


def print_report(campaign: Campaign) -> None:
    """Print the table of biases and where the page lies."""
    page = campaign.folder / "report" / "index.html"
    if not page.is_file():
        raise ConfigError(
            f"{page}: not there; run snakemake, or `clmassmod report --campaign {campaign.root}`"
        )
    print_summary(summary_rows(report_input(campaign)))
    print(f"report: {page}")  # noqa: T201  (the command's output)
