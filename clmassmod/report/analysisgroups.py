"""The figures of one analysis: example haloes, its bins, their calibration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from clmassmod.records import HaloFit
from clmassmod.report import binprofiles, calibfigures, distribution, figures, halofigures, style
from clmassmod.report.inputs import AnalysisResult
from clmassmod.report.panels import Group, Panel, group_of, panel_of


def groups(analysis: AnalysisResult) -> list[Group]:
    """Return all groups of figures of an analysis; some may be without a figure."""
    return [
        _examples(analysis),
        _profiles(analysis),
        _relations(analysis),
        _distributions(analysis),
        _calibration(analysis),
    ]


def _examples(analysis: AnalysisResult) -> Group:
    panels = [
        replace(panel, row=f"{fit.halo_id}, z = {fit.z:.3g}")
        for fit in analysis.examples
        for panel in _example(analysis, fit)
    ]
    caption = (
        "From high to low signal-to-noise. Map: convergence about the assumed centre (+), the radial range "
        "of the fit dashed, the true centre × where it is another. Catalogue: the source galaxies, with "
        "their mean shear in cells. Profile: what was fitted, with its errors, the best-fit model, and of "
        "shears the cross component, which lensing leaves at zero. Mass: likelihood and posterior, per "
        "unit of ln M."
    )
    return group_of(analysis, "examples", "profiles-of", "Example haloes", caption, panels)


def _example(analysis: AnalysisResult, fit: HaloFit) -> Iterator[Panel]:
    """Return map, catalogue, profile and posterior of one halo, those that there are."""
    of = f"of halo {fit.halo_id}, analysis {analysis.name}"
    name = (analysis.name, fit.halo_id)
    scene = analysis.scenes.get(fit.halo_id)
    if scene is not None and scene.kappa_inf is not None:
        yield panel_of(halofigures.halo_map(scene), f"convergence map {of}", "map", *name)
    if scene is not None and len(scene.x_mpc):
        yield panel_of(halofigures.halo_catalogue(scene), f"source galaxies {of}", "catalogue", *name)
    if fit.profile is not None:
        yield panel_of(figures.shear_profile(fit, style.ROW_SIZE), f"shear profile {of}", "profile", *name)
    if fit.status == "ok" and fit.mass_definition in fit.ln_like:
        prior = str(analysis.config.get("prior", "flat"))
        truth = analysis.true_mass_msun.get(fit.halo_id) if _same_definition(analysis) else None
        figure = halofigures.mass_posterior(fit, prior, truth)
        yield panel_of(figure, f"posterior of the mass {of}", "posterior", *name)


def _same_definition(analysis: AnalysisResult) -> bool:
    """Whether true masses are of the definition of the best fits."""
    fitted = str(analysis.config.get("mass_definition", ""))
    return all(
        str(p.metadata.get("mass_definition", fitted)) == fitted for p in analysis.comparisons.values()
    )


def _profiles(analysis: AnalysisResult) -> Group:
    panels = []
    for label, profile in analysis.profiles.items():
        words = f"mean profile, analysis {analysis.name}, bin {label}"
        figure = binprofiles.bin_profile_figure(profile, label)
        panels.append(panel_of(figure, words, "stack", analysis.name, label))
    caption = (
        "Points: weighted mean excess surface density of the bin's haloes, with errors from resampling "
        "them. Line with its 68 % band: what the bin's ensemble predicts, the mean of the model over the "
        "population of masses that it found, each halo at its own redshift. The ensemble was fitted to the "
        "haloes one by one, not to these points; centres are taken as right and concentrations as the "
        "relation's."
    )
    if any(profile.n_stacked < profile.n_members for profile in analysis.profiles.values()):
        caption += f" At most {binprofiles.MOST_STACKED} haloes of a bin are averaged."
    return group_of(analysis, "bins", "stacks-of", "Mean profile of each bin", caption, panels)


def _relations(analysis: AnalysisResult) -> Group:
    panels = []
    definition = str(analysis.config.get("mass_definition", ""))
    lens, truth, usable = analysis.column("mass_ml_msun"), analysis.truth(), analysis.usable()
    for label, posterior in analysis.comparisons.items():
        of_truth = str(posterior.metadata.get("mass_definition", definition))
        if definition and of_truth != definition:
            continue  # the best-fit masses of the table are of another definition than the truth
        rows = analysis.members(label)
        rows = rows[usable[rows]]
        figure = figures.mass_relation(
            truth[rows], lens[rows], figures.Relation.of(posterior), label, definition
        )
        words = f"best-fit lensing mass against true mass, analysis {analysis.name}, bin {label}"
        panels.append(panel_of(figure, words, "relation", analysis.name, label))
    caption = (
        "Each point is the best fit of one halo, noise included; haloes below the axis, the negative masses "
        "among them, are triangles on its edge. Line: the fitted relation b M_true with its 68 % band; wide "
        "band: the intrinsic scatter about it. The relation is fitted to the haloes' likelihoods, not to "
        "these points, so noise widens the cloud beyond the band. Of more than "
        f"{style.HISTOGRAM_ABOVE:,} haloes the number in cells is drawn."
    )
    return group_of(analysis, "bins", "relation-of", "Lensing mass against true mass", caption, panels)


def _distributions(analysis: AnalysisResult) -> Group:
    panels = []
    mass, error, usable = (
        analysis.column("mass_ml_msun"),
        analysis.column("mass_err_msun"),
        analysis.usable(),
    )
    for label, posterior in analysis.ensembles.items():
        rows = analysis.members(label)
        rows = rows[usable[rows]]
        population = distribution.Population.of(posterior)
        figure = distribution.mass_distribution(mass[rows], error[rows], population, label)
        words = f"histogram of best-fit masses, analysis {analysis.name}, bin {label}"
        panels.append(panel_of(figure, words, "masses", analysis.name, label))
    caption = (
        "Histogram: best-fit masses, the negative ones too (axis: linear round zero, else logarithmic). "
        "Dashed: the lognormal population of lensing masses that the ensemble found. Line with band: the "
        "same population seen with the haloes' errors (taken as normal), to be compared with the histogram."
    )
    return group_of(analysis, "bins", "masses-of", "Masses of each bin", caption, panels)


def _calibration(analysis: AnalysisResult) -> Group:
    panels = []
    for label, calibration in analysis.calibrations.items():
        of = f"analysis {analysis.name}, bin {label}"
        figure = calibfigures.uniformity(
            calibration.population_pit,
            calibfigures.with_p_value(label, calibration.population_uniform),
            "place of the lensing mass in the bin's relation",
        )
        if len(calibration.population_pit):
            panels.append(panel_of(figure, f"population PIT, {of}", "population-pit", analysis.name, label))
        figure = calibfigures.uniformity(
            calibration.pit,
            calibfigures.with_p_value(label, calibration.pit_uniform),
            "place of the true mass in the halo's posterior",
        )
        panels.append(panel_of(figure, f"PIT of the haloes, {of}", "halo-pit", analysis.name, label))
        figure = calibfigures.pull_histogram(calibration, label)
        panels.append(panel_of(figure, f"pulls, {of}", "pulls", analysis.name, label))
    caption = (
        "The place of the lensing mass in the relation is uniform if bias and scatter describe the bin: the "
        "grey band holds 95 % of the bars then. The place of the true mass in each halo's posterior, and "
        "the pulls, have bias and intrinsic scatter in them: they would be uniform and standard normal were "
        "there neither, and show what an observer's stated errors leave out."
    )
    return group_of(analysis, "calibration", "calibration-of", "Calibration", caption, panels)
