"""Tables, figures and page of a campaign, on synthetic results."""

import csv
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from report_inputs import (
    CAVEAT,
    EDGES,
    LN_BIAS,
    SCATTER,
    analysis,
    campaign,
    example,
    posterior,
    two_analyses,
    with_bins,
    with_trend,
)

from clmassmod.errors import ConfigError
from clmassmod.report import (
    AnalysisResult,
    print_summary,
    summary_csv,
    summary_latex,
    summary_rows,
    summary_text,
    write_report,
)
from clmassmod.report.binfigures import by_analysis, by_bin
from clmassmod.report.content import failures
from clmassmod.report.distribution import MassScale, Population, expected_density, mass_distribution
from clmassmod.report.figures import Relation, mass_relation, shear_profile
from clmassmod.report.gallery import trend_of
from clmassmod.report.summary import COLUMNS, counts
from clmassmod.report.trendfigures import trend_figure

ASKED_COLUMNS = (
    "analysis,bin,n_halos,n_failed,ln_bias,ln_bias_err,bias,bias_lo,bias_hi,scatter,scatter_lo,scatter_hi,"
)
TRENDLESS = posterior(np.random.default_rng(3), (0.0, -1.5), (0.1, 0.1), ("ln_bias", "ln_scatter"))
RELATION = Relation(np.exp(LN_BIAS), 0.9, 0.95, SCATTER)
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> ${7*7} {{ 7*7 }} </style> & _%#"


def records(rows):
    return list(csv.DictReader(io.StringIO(summary_csv(rows))))


def test_rows_are_the_quantiles_of_the_posterior():
    result = analysis()
    row = next(r for r in summary_rows(campaign(result)) if r.bin == "z0.2-0.5")
    draws = result.comparisons["z0.2-0.5"].samples
    lo, middle, hi = np.exp(np.quantile(draws["ln_bias"], [0.16, 0.5, 0.84]))
    assert (row.bias, row.bias_lo, row.bias_hi) == pytest.approx((middle, lo, hi), rel=1e-12)
    assert row.ln_bias == pytest.approx(draws["ln_bias"].mean())
    assert row.ln_bias_err == pytest.approx(draws["ln_bias"].std(ddof=1))
    lo, middle, hi = np.quantile(draws["scatter"], [0.16, 0.5, 0.84])
    assert (row.scatter, row.scatter_lo, row.scatter_hi) == pytest.approx((middle, lo, hi), rel=1e-12)
    assert row.mean_ln_mass == pytest.approx(result.ensembles["z0.2-0.5"].samples["mean_ln_mass"].mean())


def test_every_halo_is_counted():
    result = analysis()
    rows = {r.bin: r for r in summary_rows(campaign(result))}
    assert counts(result) == {"fitted": 239, "unusable": 1, "failed": 1, "in no bin": 0}
    everyone = rows["all"]
    assert (everyone.n_halos, everyone.n_unusable) == (239, 1)
    assert everyone.n_failed == 2  # the unusable one, and the one that failed and is in no bin
    assert everyone.n_parents == 80
    by_redshift = [rows["z0.2-0.5"], rows["z0.5-1.0"]]
    assert sum(r.n_halos for r in by_redshift) == 239
    assert sum(r.n_unusable for r in by_redshift) == 1
    # A failed halo that a binning did place counts there alone.
    placed = replace(result, bins={**result.bins, "z0.2-0.5": [*result.bins["z0.2-0.5"], "nb9999.p0"]})
    rows = {r.bin: r for r in summary_rows(campaign(placed))}
    assert rows["z0.5-1.0"].n_failed == rows["z0.5-1.0"].n_unusable
    assert rows["z0.2-0.5"].n_failed == rows["z0.2-0.5"].n_unusable + 1


def test_haloes_without_truth_are_counted():
    result = analysis()
    some = dict(list(result.true_mass_msun.items())[:100])
    row = summary_rows(campaign(replace(result, true_mass_msun=some)))[0]
    assert row.n_no_truth == row.n_halos - 99  # one of the hundred is unusable


def test_csv_has_the_columns_and_comes_back():
    text = summary_csv(summary_rows(campaign()))
    assert text.startswith(ASKED_COLUMNS)
    assert text.splitlines()[0] == ",".join(COLUMNS)
    assert text == summary_csv(summary_rows(campaign()))
    for line, row in zip(records(summary_rows(campaign())), summary_rows(campaign()), strict=True):
        assert float(line["bias"]) == pytest.approx(row.bias, rel=1e-8)
        assert int(line["n_failed"]) == row.n_failed


def test_without_truth_there_is_no_bias(tmp_path):
    rows = summary_rows(campaign(analysis(truth=False)))
    for line in records(rows):
        assert all(line[name] == "" for name in ("ln_bias", "bias", "bias_lo", "scatter", "scatter_upper_95"))
        assert float(line["mean_ln_mass"]) == pytest.approx(33.0, abs=0.02)
        assert float(line["ensemble_scatter"]) == pytest.approx(0.5, abs=0.02)
    assert "ln b" not in summary_text(rows)
    write_report(campaign(with_bins(analysis(truth=False), "all", "z0.2-0.5")), tmp_path)
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {"bins-mean-mass.svg", "bins-ensemble-scatter.svg"} <= names
    assert not any(name.startswith(("relation", "bias")) for name in names)


def test_scatter_at_the_edge_of_its_prior_is_a_limit():
    rows = {r.bin: r for r in summary_rows(campaign())}
    row = rows["z0.5-1.0"]
    assert row.scatter_upper_95 == pytest.approx(0.01 * 30**0.95, rel=0.02)  # grid of 101 nodes
    assert row.scatter_is_limit
    assert not rows["all"].scatter_is_limit
    assert f"< {row.scatter_upper_95:.2g} (95 %)" in summary_text([row])
    assert f"$<{row.scatter_upper_95:.2g}$" in summary_latex([row])
    assert (
        "! comparison: the posterior of scatter touches the lower edge of its prior, 0.01 (shape/z0.5-1.0)"
        in summary_text([row])
    )


def test_text_is_aligned_and_plain_where_there_is_no_terminal():
    rows = summary_rows(campaign())
    lines = summary_text(rows).splitlines()[: len(rows) + 2]
    starts = {line.index(row.bin) for line, row in zip(lines[2:], rows, strict=True)}
    assert len(starts) == 1
    stream = io.StringIO()
    print_summary(rows, stream)
    assert stream.getvalue() == summary_text(rows)


@pytest.mark.parametrize(("truth", "width"), [(True, 80), (False, 76)])
def test_narrow_terminal_gets_fewer_columns_and_whole_cells(monkeypatch, truth, width):
    monkeypatch.setenv("COLUMNS", str(width))
    stream = io.StringIO()
    stream.isatty = lambda: True
    rows = summary_rows(campaign(analysis(truth=truth), analysis("other", seed=2, truth=truth)))
    print_summary(rows, stream)
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in stream.getvalue().splitlines()]
    assert max(map(len, lines)) <= width
    row = rows[0]
    shown = row.bias if truth else row.mean_ln_mass
    line = next(line for line in lines if line.split()[:1] == ["all"])
    assert f"{shown:.3f}" in line
    assert "239 (2)" in line
    assert sum(line.split()[:1] == ["z0.2-0.5"] for line in lines) == 2  # one of each analysis


def test_terminal_gets_a_drawn_table(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    stream = io.StringIO()
    stream.isatty = lambda: True
    print_summary(summary_rows(campaign(analysis(name="a[bold]b"))), stream)
    assert "z0.2-0.5" in stream.getvalue()
    assert "a[bold]b" in stream.getvalue()  # names are not markup


def test_latex_is_escaped_and_every_row_has_all_cells():
    text = summary_latex(summary_rows(campaign(analysis(name="a_b&c%d\\e"))))
    assert r"a\_b\&c\%d\textbackslash{}e" in text
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in body} == {7}


def test_incomplete_table_is_refused():
    with pytest.raises(ConfigError, match="no reason"):
        AnalysisResult("a", {}, {"halo_id": [], "parent": [], "z": [], "status": []}, {})
    short = {**analysis().table, "snr": np.zeros(3)}
    with pytest.raises(ConfigError, match="differ in length"):
        replace(analysis(), table=short)


def line(figure, label):
    found = [x for axes in figure.axes for x in axes.get_lines() if str(x.get_label()).startswith(label)]
    return found[0].get_xydata()


def by_gid(figure, gid):
    found = [x for axes in figure.axes for x in axes.get_lines() if x.get_gid() == gid]
    return found[0] if found else None


def test_relation_is_drawn_as_fitted_and_no_halo_vanishes():
    rng = np.random.default_rng(3)
    true_mass = np.geomspace(1e14, 1e15, 50)
    lens = true_mass * np.exp(rng.normal(0, 0.3, 50))
    lens[:3] = (-5e13, 0.0, 1e11)
    lens[3] = np.nan
    figure = mass_relation(true_mass, lens, RELATION, "bin", "200c")
    drawn = line(figure, "bias b")
    np.testing.assert_allclose(drawn[:, 1], np.exp(LN_BIAS) * drawn[:, 0], rtol=1e-12)
    inside, low = by_gid(figure, "haloes").get_xydata(), by_gid(figure, "low")
    assert len(low.get_xydata()) == 3
    assert low.get_label() == "3 below, 2 of them ≤ 0"
    assert len(inside) == 50 - 3 - 1  # the one that is not finite is left out
    np.testing.assert_allclose(inside, np.column_stack([true_mass, lens])[4:] / 1e14)
    assert not by_gid(figure, "haloes").get_rasterized()


def test_thousands_of_points_are_a_picture():
    mass = np.geomspace(1e14, 1e15, 4000)
    figure = mass_relation(mass, mass, None)
    assert by_gid(figure, "haloes").get_rasterized()


@pytest.mark.parametrize("lens", [[], [np.nan, np.nan], [-1e14, -2e14]])
def test_figures_without_a_positive_mass(lens):
    lens = np.array(lens, dtype=float)
    true_mass = np.full(len(lens), 2e14)
    mass_relation(true_mass, lens, RELATION)
    mass_distribution(lens, np.full(len(lens), 1e14), Population(np.full(9, 33.0), np.full(9, 0.5)))


def test_expected_masses_agree_with_draws():
    rng = np.random.default_rng(5)
    error = rng.uniform(0.5, 1.5, 2000)
    draws = np.exp(rng.normal(33.0, 0.4, 2000)) / 1e14 + rng.normal(0, error)
    grid = np.linspace(-8, 20, 2001)
    density = expected_density(grid, error, np.array([33.0]), np.array([0.4]))[0]
    step = grid[1] - grid[0]
    assert density.sum() * step == pytest.approx(1.0, abs=1e-4)
    mean = (grid * density).sum() * step
    # 4 standard errors of 2,000 draws
    assert mean == pytest.approx(draws.mean(), abs=4 * draws.std() / np.sqrt(2000))
    width = np.sqrt(((grid - mean) ** 2 * density).sum() * step)
    assert width == pytest.approx(draws.std(), rel=0.1)


def test_histogram_and_ensemble_hold_all_haloes():
    rng = np.random.default_rng(6)
    error = np.full(500, 0.8e14)
    mass = np.exp(rng.normal(33.0, 0.4, 500)) + rng.normal(0, error)
    mass[0] = -2e14
    figure = mass_distribution(mass, error, Population(np.full(50, 33.0), np.full(50, 0.4)), "bin")
    bars = figure.axes[0].patches
    assert sum(bar.get_height() for bar in bars) == 500
    curve = line(figure, "ensemble with errors")
    haloes = np.trapezoid(curve[:, 1], curve[:, 0]) / bars[0].get_width()
    assert haloes == pytest.approx(500, rel=0.01)  # what lies outside the axes


def test_mass_scale_goes_there_and_back():
    scale = MassScale(0.7)
    mass = np.array([-30.0, -0.2, 0.0, 1.0, 50.0])
    np.testing.assert_allclose(scale.back(scale.forward(mass)), mass, atol=1e-12)
    step = 1e-6
    slope = (scale.back(scale.forward(mass) + step) - scale.back(scale.forward(mass) - step)) / (2 * step)
    np.testing.assert_allclose(scale.slope(mass), slope, rtol=1e-8)
    ticks = scale.ticks(*scale.forward(np.array([-3.0, 40.0])))
    assert 0.0 in ticks
    assert (np.abs(ticks) <= 40).all()
    narrow = scale.forward(np.array([1.4, 4.2]))
    assert scale.ticks(*narrow).tolist() == [1.5, 2.0, 3.0, 4.0]


def test_bins_are_drawn_with_their_intervals():
    rows = summary_rows(campaign(analysis(), analysis("other", seed=2)))
    figure = by_bin(rows, "bias")
    points = [x.get_xydata() for x in figure.axes[0].get_lines() if x.get_marker() in ("o", "s")]
    drawn = np.sort(np.concatenate([p[:, 0] for p in points]))
    np.testing.assert_allclose(drawn, np.sort([r.bias for r in rows]))
    limits = [by_gid(by_bin(rows, "scatter"), f"limits-{i}").get_xdata()[0] for i in (0, 1)]
    assert limits == [r.scatter_upper_95 for r in rows if r.scatter_is_limit]
    assert by_bin(rows[:1], "bias") is not None
    assert by_bin(summary_rows(campaign(analysis(truth=False))), "bias") is None


def test_trend_needs_bins_that_differ_in_it():
    rows = summary_rows(campaign())
    chosen = {b: [r for r in rows if r.binning == b] for b in ("redshift", "true mass", "all")}
    for quantity in ("bias", "scatter"):
        drawn = trend_figure(chosen["true mass"], {}, quantity, "mass").axes[0].get_lines()
        medians = np.array([r.true_mass_median_msun for r in chosen["true mass"]]) / 1e14
        assert any(len(x.get_xdata()) == 3 and np.allclose(x.get_xdata(), medians) for x in drawn)
    assert trend_figure(chosen["redshift"], {}, "bias", "z") is not None
    assert trend_figure(chosen["redshift"], {}, "bias", "mass") is None
    assert trend_figure(chosen["all"], {}, "bias", "mass") is None
    assert all(EDGES[i] / 1e14 <= m < EDGES[i + 1] / 1e14 for i, m in enumerate(medians))


def test_band_of_a_trend_is_the_quantiles_of_its_draws():
    trend = trend_of(with_trend(analysis()))
    assert trend.varies
    samples = trend.posterior.samples
    mass, z = np.array([2e14, 6e14]), np.array([0.3, 0.9])
    for name, quantity in (("ln_bias", "bias"), ("ln_scatter", "scatter")):
        at = samples[name] + samples[f"{name}_mass"] * np.log(6e14 / 3e14)
        np.testing.assert_allclose(
            trend.band(quantity, "mass", mass)[:, 1], np.quantile(np.exp(at), [0.16, 0.5, 0.84]), rtol=1e-12
        )
        at = samples[name] + samples[f"{name}_z"] * np.log(1.9 / 1.5)
        np.testing.assert_allclose(
            trend.band(quantity, "z", z)[:, 1], np.quantile(np.exp(at), [0.16, 0.5, 0.84]), rtol=1e-12
        )


def test_a_fitted_trend_is_drawn_without_any_binning():
    result = with_trend(with_bins(analysis(), "all"))
    rows = summary_rows(campaign(result))
    figure = trend_figure(rows, {"shape": trend_of(result)}, "bias", "mass")
    x, y = by_gid(figure, "trend-0").get_data()
    assert y[-1] < y[0]  # as the slope of -0.2 says
    assert x[0] * 1e14 == pytest.approx(min(result.true_mass_msun.values()))
    constant = trend_figure(rows, {"shape": replace(trend_of(result), posterior=TRENDLESS)}, "bias", "mass")
    assert constant is None


def test_analyses_are_drawn_side_by_side():
    rows = [r for r in summary_rows(two_analyses()) if r.bin == "all"]
    figure = by_analysis(rows, "bias")
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["shape", "diemer"]
    points = next(x for x in figure.axes[0].get_lines() if x.get_marker() == "o").get_xdata()
    np.testing.assert_allclose(points, [r.bias for r in rows])
    assert by_analysis(rows[:1], "bias") is None


@pytest.mark.parametrize(("observable", "unit"), [("g_t", 1.0), ("delta_sigma", 1e14)])
def test_profile_shows_the_bins_with_galaxies(observable, unit):
    fit = example("h1", np.random.default_rng(1), observable)
    figure = shear_profile(fit)
    points = next(x for x in figure.axes[0].get_lines() if x.get_marker() == "o").get_xydata()
    good = np.isfinite(fit.profile.value)
    assert good.sum() == 9
    np.testing.assert_allclose(
        points, np.column_stack([fit.profile.radius_mpc, fit.profile.value / unit])[good]
    )
    curve = line(figure, "best fit")
    at = np.interp(fit.model["radius_mpc"], curve[:, 0], curve[:, 1])
    # linear interpolation between the 100 drawn nodes: second-order, (0.016)² / 8 of the value
    np.testing.assert_allclose(at, fit.model["value"] / unit, rtol=1e-3)


def test_profile_of_a_halo_without_fit():
    fit = example("h1", np.random.default_rng(1))
    empty = replace(fit.profile, value=np.full(10, np.nan), cross=np.full(10, np.nan))
    shear_profile(replace(fit, status="unusable", model={}, profile=empty))
    with pytest.raises(ValueError, match="h1: no profile"):
        shear_profile(replace(fit, profile=None))


class Page(HTMLParser):
    """Collects what a page loads, its identifiers and its text."""

    VOID = ("meta", "link", "br", "img", "path", "use", "rect")

    def __init__(self, text):
        super().__init__()
        self.ids, self.targets, self.tags, self.words = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "xlink:href"):
                self.targets.append(value)

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def report():
    return two_analyses()


@pytest.fixture(scope="module")
def written(report, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    return folder, write_report(report, folder)


def test_files_of_a_report(written):
    folder, paths = written
    assert paths[0] == folder / "index.html"
    assert all(path.is_file() for path in paths)
    beside = {"summary.csv", "summary.ecsv", "summary.tex", "references.bib"}
    assert {path.name for path in folder.iterdir()} == {"index.html", "figures", *beside}
    assert len(paths) == 5 + len(list((folder / "figures").iterdir()))


def test_the_same_input_gives_the_same_bytes(tmp_path):
    small = campaign(with_bins(analysis(n=600), "all", examples=1))  # enough haloes for a raster
    one, other = write_report(small, tmp_path / "a"), write_report(small, tmp_path / "b")
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in other]
    assert "<dc:date>" not in one[-1].read_text()


def test_page_needs_nothing_else(written):
    page = Page(written[1][0].read_text(encoding="utf-8"))
    assert all(target.startswith(("#", "data:")) for target in page.targets)
    assert len(page.ids) == len(set(page.ids))
    anchors = [target[1:] for target in page.targets if target.startswith("#")]
    assert anchors
    assert set(anchors) <= set(page.ids)
    assert page.tags.count("figure") == page.tags.count("svg") - 1 >= 15  # one svg holds the glyphs of all
    assert "default-src 'none'" in written[1][0].read_text()


def test_page_says_what_a_reader_needs(written):
    text = " ".join(Page(written[1][0].read_text(encoding="utf-8")).words)
    for needed in (
        "N-body haloes at z = 0.25",
        "The core of haloes at z > 0.6 is not resolved by this simulation.",
        CAVEAT,
        "the posterior of scatter touches the lower edge of its prior, 0.01",
        "1 of 241 haloes failed",
        "ReaderError: map holds NaN",
        "nb9999.p0",
        "no bin with a finite value in 0.5-2.5 Mpc",
        "snakemake --cores all --configfile config/default.yaml",
        "0123456789abcdef",
        "workflow/resources/nbody_haloes_z0.25.h5",
        "diemer19",
    ):
        assert needed in text


def test_colours_follow_the_theme(written):
    text = written[1][0].read_text()
    css = text[text.index("<style>") : text.index("</style>")]
    used = set(re.findall(r"var\((--[a-z0-9-]+)\)", text))
    assert {"--ink", "--surface", "--series-1"} <= used
    assert all(f"{name}:" in css for name in used)
    first = text.index("<figure>")
    svg = text[first : text.index("</svg>", first)]
    assert set(re.findall(r"#[0-9a-f]{6}\b", svg)) <= {"#4a86c8"}  # the tone of rastered points


def test_hostile_names_stay_text(tmp_path):
    bad = with_bins(analysis(), "all", examples=1)
    bad.table["reason"][5] = HOSTILE
    bad = replace(
        bad,
        name=HOSTILE,
        config={HOSTILE: HOSTILE},
        failed=[{"halo_id": HOSTILE, "reason": HOSTILE}],
        remarks=[HOSTILE],
        examples=[replace(fit, halo=replace(fit.halo, halo_id=HOSTILE)) for fit in bad.examples],
        bins={HOSTILE: bad.bins["all"], **bad.bins},
    )
    changes = {"title": HOSTILE, "campaign": HOSTILE, "notes": [HOSTILE], "command": HOSTILE}
    bad_campaign = campaign(
        bad, provenance={HOSTILE: HOSTILE}, config={HOSTILE: {HOSTILE: HOSTILE}}, **changes
    )
    page = write_report(bad_campaign, tmp_path)[0].read_text(encoding="utf-8")
    parsed = Page(page)
    assert parsed.tags.count("script") == 1
    assert "img" not in parsed.tags
    assert HOSTILE in "".join(parsed.words)
    assert all(re.fullmatch(r"[A-Za-z0-9-]+\.svg", p.name) for p in (tmp_path / "figures").iterdir())


def test_names_that_differ_in_punctuation_keep_their_figures(tmp_path):
    result = with_bins(analysis(), "all")
    twins = {"z0.2": result.bins["all"], "z0_2": result.bins["all"]}
    twin = replace(
        result, bins=twins, ensembles={}, comparisons=dict.fromkeys(twins, result.comparisons["all"])
    )
    names = {path.stem for path in write_report(campaign(twin), tmp_path) if path.suffix == ".svg"}
    assert {"relation-shape-z0-2", "relation-shape-z0-2-x2"} <= names


def test_report_of_nearly_nothing(tmp_path):
    columns = ("halo_id", "parent", "z", "status", "reason")
    nothing = AnalysisResult("empty", {}, {name: np.array([]) for name in columns}, {"all": []})
    empty = campaign(nothing, config={}, provenance={}, selection={}, notes=[], title="", binning_of={})
    page = write_report(empty, tmp_path)[0].read_text(encoding="utf-8")
    assert "<h1>default</h1>" in page
    line = records(summary_rows(empty))[0]
    assert (line["n_halos"], line["z_min"], line["bias"]) == ("0", "", "")


def test_masses_that_are_not_finite(tmp_path):
    result = analysis()
    result = with_bins(result, "all", "true_mass_0")
    table = {**result.table, "mass_ml_msun": np.full(240, np.nan), "mass_err_msun": np.full(240, np.inf)}
    for name in ("snr", "p_value"):
        del table[name]
    write_report(campaign(replace(result, table=table)), tmp_path)
    assert not list((tmp_path / "figures").glob("profile*"))


def test_masses_of_another_definition_are_not_drawn_against_truth(tmp_path):
    other = posterior(
        np.random.default_rng(1), (0, 0.2), (0.1, 0.1), ("ln_bias", "scatter"), mass_definition="500c"
    )
    result = replace(with_bins(analysis(), "all"), comparisons={"all": other})
    page = write_report(campaign(result), tmp_path)[0].read_text(encoding="utf-8")
    assert not list((tmp_path / "figures").glob("relation*"))
    assert "the bias is that of 500c masses" in page


def test_failures_are_grouped_by_reason():
    result = analysis()
    many = [{"halo_id": f"h{i}", "reason": "FitError: no galaxies"} for i in range(120)]
    first, second = failures(replace(result, failed=many))
    assert (first["n"], len(first["halos"]), first["n_more"]) == (120, 50, 70)
    assert (second["status"], second["halos"]) == ("unusable", ["nb0005.p2"])


def test_many_analyses_leave_the_page_readable(tmp_path):
    small = with_bins(analysis(), "all")
    many = [replace(small, name=f"a{i}", comparisons={}) for i in range(8)]
    paths = write_report(campaign(*many), tmp_path)
    page = paths[0].read_text(encoding="utf-8")
    assert "2 more analyses have no figures here" in page
    assert 'id="masses-of-a5"' in page
    assert 'id="masses-of-a6"' not in page
    assert not list((tmp_path / "figures").glob("*a7*"))
    assert page.count(">a7<") >= 2  # the tables have all of them


def test_analyses_with_figures_can_be_chosen(tmp_path):
    small = with_bins(analysis(), "all")
    many = [replace(small, name=f"a{i}", comparisons={}) for i in range(8)]
    page = write_report(campaign(*many, figures_of=["a7"]), tmp_path)[0].read_text(encoding="utf-8")
    assert 'id="masses-of-a7"' in page
    assert 'id="masses-of-a0"' not in page
