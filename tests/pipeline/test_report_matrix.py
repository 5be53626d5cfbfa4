"""The report of a matrix: its rows against the posteriors, figures, and a page that stays readable."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from campaigns import run, small
from report_inputs import analysis, campaign, with_bins

from clmassmod import bias
from clmassmod.report import summary_rows, write_report
from clmassmod.report.content import lead
from clmassmod.report.inputs import TRUE_MASS_BINNING, MatrixDesign
from clmassmod.report.matrix import findings, matrix_csv, matrix_rows, noise_of
from clmassmod.report.shifts import shift_rows
from clmassmod.steps.campaign import read_truth_of
from clmassmod.steps.population import load_population
from clmassmod.steps.reporting import report_input
from clmassmod.store import load_posterior

AXES = {
    "profile": {"c4": {"model": {"concentration": 4.0}}, "c8": {"model": {"concentration": 8.0}}},
    "range": {"wide": {"radius_mpc": [0.5, 2.0]}, "outer": {"radius_mpc": [0.8, 2.0]}},
}


def tiny(**changes):
    data = small(analyses={}, **changes)
    data["matrix"] = {"base": {"survey": "wide"}, "axes": AXES, "reference": "c4_wide"}
    data["report"] = {"shifts": [{"of": "c8_wide", "against": "c4_wide"}], "example_halos": 1}
    data["compare"] = {"true_mass_edges_msun": [3e14, 8e14, 2e15]}
    data["simulation"]["options"] |= {"n_halos": 16}
    return data


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a campaign of a matrix of four analyses, 16 haloes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("matrix"))
        data = tiny()
        data["bins"] = {}
        found = run(data)
        yield replace(found, folder=found.folder.resolve())


def test_sentence_below_the_title_does_not_list_hundreds(made):
    report = report_input(made)
    assert lead(report, []).endswith("Analyses: c4_wide, c4_outer, c8_wide, c8_outer.")
    many = replace(report, analyses=report.analyses * 72)
    assert lead(many, []).endswith(" 288 analyses, all combinations of profile, range.")


def test_rows_are_the_comparisons_and_shifts_those_of_the_haloes(made):
    report = report_input(made)
    rows = matrix_rows(report, summary_rows(report))
    assert [row.analysis for row in rows] == ["c4_wide", "c4_outer", "c8_wide", "c8_outer"]
    assert [row.variants for row in rows][1] == ("c4", "outer")
    truth = read_truth_of(made.config)
    by_hand = {}
    for row in rows:
        posterior = load_posterior(made.comparison_file(row.analysis, "all"))
        assert row.ln_bias == posterior.mean["ln_bias"]
        assert row.ln_bias_err == posterior.sd["ln_bias"]
        population = load_population(made.population_file(row.analysis))
        fits = population.fits(population.halo_id)
        fitted = bias.fit(fits, truth, seed=made.config.seed)
        by_hand[row.analysis] = fitted.mean["ln_bias"], bias.influence(fits, truth, fitted)
        errors = [f.summary["mass_err_msun"] / truth[f.halo_id] for f in fits]
        assert row.noise == pytest.approx(np.median(errors) / np.exp(posterior.ln_bias.median))
        expected = bias.shift(*by_hand[row.analysis], *by_hand["c4_wide"])
        if row.analysis == "c4_wide":
            assert np.isnan(row.shift)
        else:
            assert (row.shift, row.shift_err) == pytest.approx(expected[:2], rel=1e-9)
            # one noise and one set of haloes: the shift is known better than two independent biases
            assert row.shift_err < 0.8 * np.hypot(row.ln_bias_err, rows[0].ln_bias_err)
    assert rows[2].shift < 0  # a cuspier model needs less mass for the same shear at these radii
    pairs = shift_rows(report, summary_rows(report))
    assert {(p.bin, p.binning) for p in pairs if p.binning == TRUE_MASS_BINNING} == {
        ("truth-3e14-8e14", TRUE_MASS_BINNING),
        ("truth-8e14-2e15", TRUE_MASS_BINNING),
    }
    whole = next(p for p in pairs if p.bin == "all")
    assert (whole.shift, whole.shift_err) == (rows[2].shift, rows[2].shift_err)
    assert whole.n_parents == 16


def test_the_page_has_the_matrix_and_figures_of_the_reference_alone(made):
    folder = made.folder / "report"
    page = (folder / "index.html").read_text()
    assert 'id="matrix"' in page
    assert 'id="shifts"' in page
    assert "Which choice is least biased" in page
    assert "moves the mean ln b by" in page
    figures = {path.stem for path in (folder / "figures").iterdir()}
    assert {"matrix-effects", "matrix-ln-bias", "matrix-noise", "shifts-mass", "shifts-bins"} <= figures
    assert any(name.startswith("relation-c4-wide") for name in figures)
    assert not any("c8-outer" in name for name in figures)
    lines = list(csv.DictReader(io.StringIO((folder / "matrix.csv").read_text())))
    assert (lines[0]["profile"], lines[0]["range"]) == ("c4", "wide")
    assert len(lines) == 4
    assert len(list(csv.DictReader(io.StringIO((folder / "shifts.csv").read_text())))) == 3


def test_a_campaign_without_matrix_has_neither(tmp_path):
    write_report(campaign(with_bins(analysis(), "all")), tmp_path)
    assert not (tmp_path / "matrix.csv").exists()
    assert 'id="matrix"' not in (tmp_path / "index.html").read_text()


def of_matrix(n=4, **changes):
    """Return a report of n analyses that differ in nothing but their names, as cells of a matrix."""
    axes = {"profile": ["p0", "p1"], "range": [f"r{i}" for i in range(n // 2)]}
    cells = {f"{p}_{r}": (p, r) for p in axes["profile"] for r in axes["range"]}
    results = [with_bins(analysis(name, n=30, seed=i + 1), "all") for i, name in enumerate(cells)]
    return campaign(*results, matrix=MatrixDesign(axes, cells), **changes)


def test_sentences_name_the_least_biased_cell():
    report = of_matrix()
    rows = [replace(row, noise=0.3) for row in matrix_rows(report, summary_rows(report))]
    least = replace(rows[2], ln_bias=0.001, ln_bias_err=0.02, scatter=0.5)
    quiet = replace(rows[1], ln_bias=-0.2, ln_bias_err=0.01, scatter=0.1)
    said = " ".join(findings(report.matrix, [rows[0], quiet, least]))
    assert f"Nearest to ln b = 0: {least.analysis}, ln b = +0.001 ± 0.020" in said
    assert f"Least scatter and noise together: {quiet.analysis}" in said
    assert f"among those within 2 errors: {least.analysis}" in said
    assert findings(report.matrix, []) == []


def test_noise_counts_haloes_of_negative_mass_too():
    result = with_bins(analysis(n=30), "all")
    share = result.column("mass_err_msun") / result.truth() / 0.9
    assert noise_of(result, 0.9) == pytest.approx(np.nanmedian(share))
    assert np.isnan(noise_of(replace(result, true_mass_msun={}), 0.9))


def test_an_analysis_without_comparison_is_left_out_and_names_are_escaped(tmp_path):
    report = of_matrix()
    first = report.analyses[0]
    report = replace(report, analyses=[replace(first, comparisons={}), *report.analyses[1:]])
    assert len(matrix_rows(report, summary_rows(report))) == 3
    write_report(report, tmp_path)  # a hole in the matrix is drawn as one
    text = matrix_csv(report.matrix, matrix_rows(report, summary_rows(report)))
    assert text.splitlines()[0].startswith("analysis,profile,range,n_halos,ln_bias,")
    assert len(text.splitlines()) == 4


def test_a_page_of_many_analyses_stays_small(tmp_path):
    write_report(of_matrix(60), tmp_path)
    assert (tmp_path / "index.html").stat().st_size < 2.5e6
    assert len(list((tmp_path / "figures").iterdir())) < 20
