"""The tutorials run, and their figures are the published ones."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
from brute_force import Background, diemer_kravtsov, duffy08
from scipy.optimize import minimize_scalar

NOTEBOOKS = Path(__file__).parents[2] / "workflow" / "notebooks"


@pytest.fixture
def execute(tmp_path, monkeypatch):
    """Run a tutorial in an empty folder; return its names."""
    import matplotlib as mpl

    mpl.use("Agg")
    monkeypatch.chdir(tmp_path)

    def run(name):
        from matplotlib import pyplot as plt

        names = runpy.run_path(str(NOTEBOOKS / f"{name}.py"))
        plt.close("all")
        return names

    return run


@pytest.mark.inference
def test_wish_ends_with_the_known_bias(execute):
    names = execute("wish")
    bias, scatter = names["posteriors"].bias, names["posteriors"].scatter
    assert abs(bias.mean - names["BIAS"]) < 3 * bias.sd
    assert abs(bias.mean - 1.0) > 1.5 * bias.sd
    assert scatter.interval(0.95)[0] < names["SCATTER"] < scatter.interval(0.95)[1]
    assert np.all(np.abs(names["massmod"].F - 1) < 4 * names["massmod"].errF)


def test_analytic_bias_is_that_of_the_first_clmassmod(execute, shared):
    names = execute("analytic_bias")
    reference = json.loads((shared / "reference/analytic_bias.json").read_text())["runs"]["wtg_z0.25_zs1_n10"]
    np.testing.assert_allclose(names["errors"](names["edges"], 0.25), reference["noise"], rtol=1e-3)
    for relation, fits in reference["fits"]["independent"].items():
        # a step of the reference's mass grid, 1e12 Msun/h, is up to 0.01; its G and radiation are 3e-4
        found = names["bias"][relation, "0.7-3 Mpc/h"]
        np.testing.assert_allclose(found, fits["maxlike_ratio_interp"], atol=2e-3)


def test_statistical_power_is_that_of_the_first_clmassmod(execute, shared):
    names = execute("statistical_power")
    rows = json.loads((shared / "reference/statistical_power.json").read_text())["rows"]
    assert len(rows) == len(names["power"])
    for row in rows:
        assert names["power"][row["z"], row["r_in"]] == pytest.approx(row["std_m200"], rel=1e-3)


@pytest.mark.parametrize(
    ("z", "inner", "survey"),
    [
        (0.45, 0.4, {"mass": 5e14, "outer": 3.0, "density": 20.0, "beta_s": 0.6}),
        (0.2, 0.75, {"mass": 1.2e15, "n_bins": 7, "shape_noise": 0.35, "beta_s": 0.8}),
    ],
)
def test_statistical_power_of_other_surveys_by_brute_force(execute, z, inner, survey):
    found = execute("statistical_power")["precision"](z, inner, **survey)
    given = {"mass": 2e14, "outer": 2.5, "n_bins": 12, "beta_s": 0.49, "density": 9.7, "shape_noise": 0.25}
    given |= survey
    background = Background(70.0, 0.3, z)
    edges = np.linspace(inner, given["outer"], given["n_bins"] + 1)
    count = given["density"] * np.pi * np.diff(edges**2) / background.mpc_per_arcmin**2
    radius, error = 0.5 * (edges[1:] + edges[:-1]), given["shape_noise"] / np.sqrt(count)

    def shear(mass):
        return np.sign(mass) * background.nfw(radius, abs(mass), duffy08(abs(mass) * 0.7, z), given["beta_s"])

    masses = np.arange(-5.05e14, 3e15, 1e13)
    chi2 = np.array([np.sum(((shear(given["mass"]) - shear(m)) / error) ** 2) for m in masses])
    p = np.exp(-0.5 * chi2)
    p /= p.sum()
    assert found[0] == pytest.approx(p @ masses, rel=2e-4)
    assert found[1] == pytest.approx(np.sqrt(p @ (masses - p @ masses) ** 2), rel=2e-4)


@pytest.mark.parametrize(
    ("cosmology", "z", "z_source"),
    [({"H0": 73.0, "Om0": 0.25}, 0.5, 1.5), ({"H0": 70.0, "Om0": 0.3}, 0.3, 0.8)],
)
def test_analytic_bias_of_other_settings_by_brute_force(execute, cosmology, z, z_source):
    """Diemer-Kravtsov haloes projected by quadrature in the test; colossus gives nu(M) and c(M)."""
    names = execute("analytic_bias")
    true, edges = np.array([2e14, 8e14]), np.linspace(0.6, 2.6, 12)
    whole = cosmology | {"Ob0": 0.049, "sigma8": 0.81, "ns": 0.95}
    massmod = names["observe"](z, z_source, edges, true, whole, density=25.0)
    radius = 0.5 * (edges[1:] + edges[:-1])
    background = Background(cosmology["H0"], cosmology["Om0"], z)
    error = 0.25 / np.sqrt(25.0 * np.pi * np.diff(edges**2) / background.mpc_per_arcmin**2)
    beta_s = background.beta(z_source) / background.beta(np.inf)
    h = cosmology["H0"] / 100
    for name, relation in (("c4", lambda _: 4.0), ("duffy08", lambda m: duffy08(m * h, z))):
        found = names["ratios"](massmod, true, names["RELATIONS"][name], (0.6, 2.6))
        for mass, ratio in zip(true, found, strict=True):
            shear = background.reduced(*diemer_kravtsov(whole, background, mass, radius), beta_s)

            def chi2(ln_m, shear=shear, relation=relation):
                model = background.nfw(radius, np.exp(ln_m), relation(np.exp(ln_m)), beta_s)
                return np.sum(((shear - model) / error) ** 2)

            best = minimize_scalar(chi2, bounds=np.log([0.3 * mass, 3 * mass]), method="bounded")
            assert ratio == pytest.approx(np.exp(best.x) / mass, abs=1e-3)


def test_real_data_need_no_truth(execute, shared, monkeypatch):
    monkeypatch.setenv("CLMASSMOD_PROFILES", str(shared / "data" / "spt_hst_profiles"))
    names = execute("real_data")
    assert len(names["out_data_profiles"]) == 13
    # mean mass of these clusters from X-ray and SZ data is about 5e14 (Schrabback et al. 2018, table 4)
    low, high = np.exp(names["clust_mass_dist"].mean_ln_mass.interval(0.95))
    assert low < 7e14
    assert high > 3e14
    assert names["stacked"].mass["snr"] > 5


@pytest.mark.parametrize("name", ["wish", "analytic_bias", "statistical_power", "real_data"])
def test_tutorials_become_notebooks(name, tmp_path):
    jupytext = pytest.importorskip("jupytext")
    notebook = jupytext.read(NOTEBOOKS / f"{name}.py")
    assert notebook.cells[0].cell_type == "markdown"
    assert sum(cell.cell_type == "code" for cell in notebook.cells) >= 4
    jupytext.write(notebook, tmp_path / f"{name}.ipynb")
    assert json.loads((tmp_path / f"{name}.ipynb").read_text())["nbformat"] == 4
