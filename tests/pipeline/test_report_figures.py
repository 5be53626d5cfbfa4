"""The report's figures of haloes, bins and calibration, and what it cites."""

import re
from dataclasses import replace

import numpy as np
import pytest
from report_inputs import LN_BIAS, SCATTER, analysis, campaign, example, illustrated, likelihood, posterior

from clmassmod.bias.statistics import calibration
from clmassmod.config.models import CosmologyConfig
from clmassmod.core import nfw
from clmassmod.core.units import critical_density_msun_mpc3
from clmassmod.fitters.likelihood import LensModel
from clmassmod.records import HaloInfo, ShearProfile
from clmassmod.report import calibfigures, summary_rows
from clmassmod.report.binprofiles import NODES_MSUN, bin_profile, bin_profile_figure, population_mean
from clmassmod.report.citations import bibtex, references
from clmassmod.report.content import duration, resources
from clmassmod.report.figures import mass_relation
from clmassmod.report.halofigures import cell_shear, halo_catalogue, halo_map, mass_posterior
from clmassmod.report.inputs import Scene
from clmassmod.report.style import inline_svg, shared_glyphs, to_svg
from clmassmod.report.summary import COLUMNS, summary_ecsv
from clmassmod.steps.resources import resource_use
from clmassmod.tables import Tables, build

CONCENTRATION = 4.0


@pytest.fixture(scope="module")
def shown():
    return illustrated(analysis())


def by_gid(figure, gid):
    return next(x for axes in figure.axes for x in axes.get_children() if x.get_gid() == gid)


def test_shear_of_cells_is_that_of_their_galaxies(shown):
    scene = next(iter(shown.scenes.values()))
    x, y, e1, e2 = cell_shear(scene)
    assert len(x) == 81
    angle = np.arctan2(y, x)
    tangential = -(e1 * np.cos(2 * angle) + e2 * np.sin(2 * angle))
    away = np.hypot(x, y) > 1.2  # where the shear of 0.1 / r hardly changes over a cell of 0.67 Mpc
    # a cell has 49 galaxies with noise 0.02; the mean of 1/r over a cell is up to 4 % above its middle's
    np.testing.assert_allclose(tangential[away], 0.1 / np.hypot(x, y)[away], atol=5 * 0.02 / 7 + 0.004)
    assert len(cell_shear(Scene("h", "s", 1.0, (0.2, 0.8)))[0]) == 0


def test_map_and_catalogue_are_drawn_where_they_are(shown):
    scene = next(iter(shown.scenes.values()))
    figure = halo_map(scene)
    image = figure.axes[0].get_images()[0]
    assert image.get_extent() == [-3.0, 3.0, -3.0, 3.0]
    assert image.origin == "lower"
    centres = [x.get_xydata()[0].tolist() for x in figure.axes[0].get_lines()]
    assert centres == [[0.0, 0.0], [0.2, -0.1]]
    dots = by_gid(halo_catalogue(scene), "galaxies").get_xydata()
    assert len(dots) == 2000  # every second of 4,000: at most 3,000
    edge = replace(scene, kappa_inf=np.where(np.arange(41) < 5, np.nan, scene.kappa_inf))
    to_svg(halo_map(edge))  # a simulation that ends inside the picture
    to_svg(halo_map(replace(scene, kappa_inf=np.full((4, 4), np.nan))))


@pytest.mark.parametrize("prior", ["flat", "log"])
def test_posterior_of_a_mass_is_per_unit_of_its_logarithm(shown, prior):
    fit = likelihood(next(iter(shown.true_mass_msun)), shown, np.random.default_rng(2))
    axes = mass_posterior(fit, prior, 2e14).axes[0]
    density, like = (line.get_ydata() for line in axes.get_lines()[:2])
    mass = fit.mass_msun
    expected = np.exp(fit.ln_like["200c"] - fit.ln_like["200c"].max()) * (mass if prior == "flat" else 1.0)
    np.testing.assert_allclose(density, expected / expected.max(), rtol=1e-12)
    assert like.max() == 1.0
    assert axes.get_xlim()[0] < 2.0 < axes.get_xlim()[1]


def test_many_haloes_are_drawn_as_their_density():
    rng = np.random.default_rng(3)
    true_mass = 1e14 * np.exp(rng.exponential(0.6, 20_000))
    lens = true_mass * np.exp(rng.normal(LN_BIAS, SCATTER, 20_000))
    lens[:7] = -1e13
    figure = mass_relation(true_mass, lens, None)
    mesh = by_gid(figure, "density")
    words = " ".join(text.get_text() for text in figure.legends[0].get_texts())
    bottom = figure.axes[0].get_ylim()[0] * 1e14
    assert f"20,000 haloes in cells, {(lens <= bottom).sum():,} below" in words
    alpha = mesh.get_facecolor()[:, 3].reshape(70, 60)
    assert alpha.max() == pytest.approx(0.9)
    peak = np.unravel_index(alpha.argmax(), alpha.shape)
    edges = mesh.get_coordinates()
    assert edges[0, peak[1], 0] < 1.2  # the steep mass function has most haloes at its lower end
    assert len(to_svg(figure)) < 200_000


@pytest.fixture(scope="module")
def model():
    cosmology = CosmologyConfig(H0=70.0, Om0=0.3).build()
    tables = Tables(build(cosmology, z_range=(0.2, 0.5), relations=[(CONCENTRATION, "200c")]))
    return LensModel.build(tables, concentration=CONCENTRATION)


def noiseless(model, z, mass_msun, observable):
    """Return the profile of an NFW halo by the closed form, from colossus-free code of `core.nfw`."""
    from clmassmod.core.shear import reduced_shear

    environment = model.tables.environment(z)
    radius = np.geomspace(0.5, 2.5, 9)
    surface = nfw.projected(radius, mass_msun, CONCENTRATION, 200 * environment.rho_crit_msun_mpc3)
    beta, beta2 = np.full(9, 0.6), np.full(9, 0.4)
    critical = environment.sigma_crit_inf_msun_mpc2
    value, error = surface.delta_sigma, np.full(9, 1e13)
    if observable == "g_t":
        value = reduced_shear(surface.sigma, surface.delta_sigma, critical, beta, beta2)
        error = error / critical * beta
    edges = np.sqrt(radius[1:] * radius[:-1])
    return ShearProfile(
        HaloInfo(f"h{z:.3f}-{mass_msun:.4e}", z),
        observable,
        radius,
        value,
        error,
        np.zeros(9),
        np.full(9, 100),
        beta,
        beta2,
        environment.d_lens_mpc,
        critical,
        edges_mpc=np.concatenate([[0.45], edges, [2.8]]),
    )


@pytest.mark.parametrize("observable", ["delta_sigma", "g_t"])
def test_population_predicts_the_mean_profile_of_its_haloes(model, observable):
    rng = np.random.default_rng(4)
    mean, scatter = np.log(4e14), 0.3
    # quantiles instead of draws, so that the haloes are the population without sampling noise
    ln_mass = mean + scatter * np.sqrt(2) * np.array([_erfinv(2 * p - 1) for p in (np.arange(40) + 0.5) / 40])
    z = rng.permutation(np.linspace(0.25, 0.45, 40))
    profiles = [noiseless(model, *pair, observable) for pair in zip(z, np.exp(ln_mass), strict=True)]
    names = ("mean_ln_mass", "scatter")
    found = posterior(rng, (mean, scatter), (1e-6, 1e-6), names)
    made = bin_profile(profiles, model, found, 40)
    # ΔΣ from g_t at the mean mass, not each halo's: of second order in kappa, below 1 % outside 0.5 Mpc;
    # 40 quantiles lack the tails of the normal distribution: 0.3 %
    np.testing.assert_allclose(made.delta_sigma, made.model[1], rtol=0.012 if observable == "g_t" else 0.006)
    wrong = bin_profile(profiles, model, posterior(rng, (mean + 0.1, scatter), (1e-6, 1e-6), names), 40)
    assert np.all(np.abs(wrong.model[1] / made.delta_sigma - 1) > 0.03)
    figure = bin_profile_figure(made)
    assert "mean of 40 haloes" in [t.get_text() for t in figure.legends[0].get_texts()]


def test_radial_bins_that_no_halo_fills_are_left_out(model):
    profiles = [noiseless(model, 0.3, mass, "delta_sigma") for mass in (3e14, 5e14)]
    empty = np.arange(9) == 4
    holed = [
        replace(p, value=np.where(empty, np.nan, p.value), n_gal=np.where(empty, 0, p.n_gal))
        for p in profiles
    ]
    found = posterior(
        np.random.default_rng(1),
        (33.6, 0.3),
        (0.02, 0.02),
        ("mean_ln_mass", "scatter"),
        mass_definition="200c",
    )
    made = bin_profile(holed, model, found, 2)
    assert made.model.shape == (3, 8)
    whole = bin_profile(profiles, model, found, 2)
    np.testing.assert_allclose(made.model, whole.model[:, ~empty], rtol=1e-9)


def _erfinv(x):
    from scipy.special import erfinv

    return float(erfinv(x))


def test_mean_over_a_lognormal_population_of_a_power_law(model):
    found = posterior(np.random.default_rng(1), (33.0, 0.4), (0.05, 0.02), ("mean_ln_mass", "scatter"))
    draws = population_mean(np.exp(0.6 * (np.log(NODES_MSUN) - 33.0))[:, np.newaxis], found)
    chosen = np.linspace(0, 999, 200).astype(int)
    mean, scatter = (found.samples[name][chosen] for name in ("mean_ln_mass", "scatter"))
    # E[M^0.6] of a lognormal; linear interpolation between nodes 0.13 apart: (0.6 × 0.13)² / 8 = 0.08 %
    np.testing.assert_allclose(draws[:, 0], np.exp(0.6 * (mean - 33.0) + 0.18 * scatter**2), rtol=1e-3)


def test_profiles_without_a_usable_bin_have_no_mean(model):
    empty = replace(
        example("h1", np.random.default_rng(1)).profile, n_gal=np.zeros(10), value=np.full(10, np.nan)
    )
    assert bin_profile([empty], model, None, 1) is None


def test_calibration_of_a_right_and_a_wrong_relation():
    result = analysis(n=600)
    rng = np.random.default_rng(6)
    ids = [h for h in result.true_mass_msun if h != "nb0005.p2"]
    fits = [likelihood(h, result, rng) for h in ids]
    rows = {}
    for name, ln_bias in (("right", LN_BIAS), ("wrong", LN_BIAS + 0.5)):
        relation = posterior(rng, (ln_bias, SCATTER), (1e-3, 1e-3), ("ln_bias", "scatter"))
        found = calibration(fits, result.true_mass_msun, posterior=relation, n_bootstrap=10)
        table = calibfigures.table([replace(result, calibrations={"all": found})])
        rows[name] = dict(zip([h["text"] for h in table["heads"]], table["rows"][0], strict=True))
        figure = calibfigures.uniformity(found.population_pit, "all", "place")
        counts = [bar.get_height() for bar in figure.axes[0].patches[: -1 if name == "right" else None]]
        assert sum(counts) >= len(ids)
    assert rows["right"]["n"] == f"{len(ids):,}"
    assert float(rows["right"]["p population"]) > 0.01
    assert rows["wrong"]["p population"] == "< 0.0001"


def test_references_are_what_the_configuration_asks_for():
    found = campaign(analysis(seed=2), config={"surveys": {"a": {"sources": {"distribution": "chang13"}}}})
    keys = [reference.key for _, reference in references(found)]
    assert {"NFW1997", "DiemerJoyce2019", "Diemer2018", "Chang2013", "Snakemake2021"} <= set(keys)
    assert len(keys) == len(set(keys))
    without = campaign(analysis(seed=1), config={})
    assert "DiemerJoyce2019" not in [reference.key for _, reference in references(without)]
    text = bibtex(found)
    assert "{Diemer} and {Joyce}" in text
    assert "{Chang} and others" in text
    for entry in text.split("\n\n"):
        assert entry.count("{") == entry.count("}")
        assert re.match(r"@(article|software)\{\w+,\n", entry)


def test_every_known_name_has_a_reference():
    from clmassmod.registry import CONCENTRATIONS, PROFILES
    from clmassmod.report.citations import PAPERS

    for key, registry in (("profile", PROFILES), ("concentration", CONCENTRATIONS)):
        assert set(registry.names()) <= {name for k, name in PAPERS if k == key}


def test_ecsv_has_units_and_comes_back():
    from astropy.table import QTable

    rows = summary_rows(campaign())
    text = summary_ecsv(rows, "default")
    table = QTable.read(text, format="ascii.ecsv")
    assert tuple(table.colnames) == COLUMNS
    assert table["true_mass_median_msun"].unit == "Msun"
    np.testing.assert_allclose(table["bias"], [row.bias for row in rows], rtol=1e-12)
    assert table["scatter_is_limit"].dtype == bool
    assert table.meta["campaign"] == "default"


def test_glyphs_stand_once_on_the_page(shown):
    svg = to_svg(bin_profile_figure(shown.profiles["all"], "title"))
    elements = [inline_svg(svg, name, "a profile") for name in ("one", "two")]
    glyphs, rest = shared_glyphs(elements)
    used = set(re.findall(r'href="#(DejaVu[^"]+)"', "".join(rest)))
    assert used
    assert used == set(re.findall(r'id="(DejaVu[^"]+)"', glyphs))
    assert 'id="DejaVu' not in "".join(rest)
    assert sum(map(len, (glyphs, *rest))) < sum(map(len, elements))


def test_environment_of_the_fixture_is_the_critical_density(model):
    environment = model.tables.environment(0.3)
    hubble = 70.0 * np.sqrt(0.3 * 1.3**3 + 0.7)
    assert environment.rho_crit_msun_mpc3 == pytest.approx(critical_density_msun_mpc3(hubble), rel=1e-6)


BENCHMARK = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def test_resources_are_summed_over_the_jobs_of_a_rule(tmp_path):
    def write(name, *rows):
        path = tmp_path / "benchmarks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = ["\t".join((s, "0:00:01", mb, *("0",) * 6, cpu)) for s, mb, cpu in rows]
        path.write_text(BENCHMARK + "\n".join(lines))

    write("tables.tsv", ("3.0", "150.0", "2.5"))
    write("fits/nfw/a.tsv", ("10.0", "80.0", "9.0"))
    write("fits/other/b.tsv", ("30.0", "120.0", "25.0"))
    write("fits/other/c.tsv", ("0.1", "NA", "NA"))  # too short for Snakemake to look at
    (tmp_path / "benchmarks/fits/other/d.tsv").write_text("")  # of a job that was killed
    found = {use.rule: use for use in resource_use(tmp_path)}
    assert list(found) == ["tables", "fits"]
    fits = found["fits"]
    assert (fits.jobs, fits.median_s, fits.longest_s, fits.peak_mb) == (3, 10.0, 30.0, 120.0)
    assert (fits.wall_s, fits.cpu_s) == pytest.approx((40.1, 34.0))
    rows = resources(list(found.values()))
    assert [row["rule"] for row in rows] == ["tables", "fits", "all"]
    assert [cell["text"] for cell in rows[-1]["cells"][:3]] == ["4", "43 s", "36 s"]
    assert resource_use(tmp_path / "nothing") == []
    assert [duration(s) for s in (0.35, 41.2, 750.0, 12_300.0, float("nan"))] == [
        "0.35 s",
        "41 s",
        "12 min",
        "3.4 h",
        "–",
    ]
