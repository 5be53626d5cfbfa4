"""Noise of structure from the configuration to the fits, in the workflow and in the notebook."""

import numpy as np
import pytest
from campaigns import run, small
from notebook_inputs import population, write_config, write_delta_sigma

import clmassmod as clmm
from clmassmod.errors import ConfigError
from clmassmod.steps.campaign import prepare
from clmassmod.steps.halos import Inputs
from clmassmod.steps.notebook import folder_of
from clmassmod.store import load_fit


@pytest.fixture(autouse=True)
def _in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def fits(campaign, analysis):
    return [load_fit(path) for path in sorted((campaign.folder / "fits" / analysis).glob("*.h5"))]


def test_campaign():
    config = small()
    plain = config["analyses"]["nfw"]
    sources = config["surveys"]["wide"]["sources"]
    before = run(config, upto="fits")
    assert not Inputs(before).tables.has_noise("plane")
    noise = {"large_scale_structure": True, "sources": sources}
    config["analyses"] |= {
        "lss": {**plain, "noise": noise},
        "plane": {**plain, "noise": {"large_scale_structure": True}},
        "measured": {**plain, "radial_bins": {"n": 5, "structure": True}},
    }
    after = run({**config, "campaign": "noisy"}, upto="fits")
    assert Inputs(after).tables.has_noise("plane")
    # an analysis that asks for nothing has the results and the hash that it had
    assert before.hash("fit", "nfw") == after.hash("fit", "nfw") != after.hash("fit", "lss")
    errors = {}
    for one, same in zip(fits(before, "nfw"), fits(after, "nfw"), strict=True):
        np.testing.assert_array_equal(one.ln_like["200c"], same.ln_like["200c"])
    for name in after.analyses:
        errors[name] = np.array([fit.summary["mass_err_msun"] for fit in fits(after, name)])
    assert np.all(errors["lss"] > 1.01 * errors["nfw"])
    # 2 %: the redshifts of a mock's few thousand galaxies scatter about their distribution
    np.testing.assert_allclose(errors["lss"], errors["measured"], rtol=0.02)
    # a plane of the same mean shear has 10 to 16 % less of this noise than a broad distribution has
    np.testing.assert_allclose(errors["plane"], errors["lss"], rtol=0.05)
    assert "noise" not in fits(after, "nfw")[0].metadata
    assert fits(after, "lss")[0].metadata["noise"]["sources"]["median_z"] == 1.0


def test_cosmology_without_a_power_spectrum():
    config = small()
    config["analyses"]["nfw"]["noise"] = {"large_scale_structure": True}
    del config["cosmology"]["ns"]
    with pytest.raises(
        ConfigError, match=r"analyses\.nfw: noise of large-scale structure needs cosmology\.ns"
    ):
        prepare(config, source="test.yaml", dry_run=True)


def test_notebook(tmp_path):
    ids, z, _, lens = population(4)
    write_delta_sigma(tmp_path / "ds.h5", ids, z, lens)
    massmod = clmm.CLMassMod(clmm.utils.load_config(write_config(tmp_path / "model.yaml")))
    massmod.obs_delta_sigma = clmm.utils.load_delta_sigma(tmp_path / "ds.h5")
    noise = {"large_scale_structure": True, "sources": {"distribution": "chang13"}}
    massmod.fit_mass_profiles("scan", {"concentration": 4}, "plain")
    massmod.fit_mass_profiles("scan", {"concentration": 4, "noise": noise}, "noisy")
    for halo_id in ids:
        plain, noisy = (load_fit(folder_of(f) / f"{halo_id}.h5") for f in ("plain", "noisy"))
        assert noisy.summary["mass_err_msun"] > 1.01 * plain.summary["mass_err_msun"]
    massmod.stackTools.stack(np.linspace(0.5, 2.5, 5), method="woScaling", error="bootstrap")
    stacked = massmod.stackTools.fit_stack("scan", {"concentration": 4, "noise": noise}, "stack")
    assert "noise" not in load_fit(folder_of("stack") / f"{stacked.halo_id}.h5").metadata
    with pytest.raises(ConfigError, match="sources belong to"):
        massmod.fit_mass_profiles("scan", {"noise": {**noise, "large_scale_structure": False}})
