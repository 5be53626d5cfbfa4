"""The tutorials run, and their figures are the published ones."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

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
    np.testing.assert_allclose(names["noise"], reference["noise"], rtol=1e-3)
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
