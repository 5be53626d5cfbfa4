"""Analyses spelled out of a matrix, and surveys that are like others: what is made, and what is refused."""

import copy

import numpy as np
import pytest
import yaml
from campaigns import run, small

from clmassmod.config import load_campaign
from clmassmod.errors import ConfigError
from clmassmod.steps.campaign import prepare
from clmassmod.store import load_catalog

AXES = {
    "profile": {
        "nfw": {"model": {"profile": "nfw", "concentration": 4.0}},
        "einasto": {"model": {"profile": "einasto", "concentration": 4.0}},
    },
    "term": {"one": {}, "two": {"model": {"nuisance": {"two_halo": {"sd": 0.1}}}}},
    "range": {"wide": {"radius_mpc": [0.5, 2.0]}, "core": {"radius_mpc": [0.2, 2.0]}},
}
BASE = {"survey": "wide", "radial_bins": {"n": 5}}


def with_matrix(**changes):
    return {**small(), "matrix": {"base": BASE, "axes": AXES, "reference": "nfw_one_wide"}, **changes}


def changed(path, value):
    data = copy.deepcopy(with_matrix())
    *parents, last = path.split("/")
    place = data
    for key in parents:
        place = place[key]
    place[last] = value
    return data


def test_every_combination_is_an_analysis_by_name():
    config = load_campaign(with_matrix())
    assert list(config.analyses) == [
        "nfw",  # written out, and first
        *(f"{p}_{t}_{r}" for p in ("nfw", "einasto") for t in ("one", "two") for r in ("wide", "core")),
    ]
    chosen = config.analyses["einasto_two_core"]
    assert chosen.radius_mpc == (0.2, 2.0)
    assert chosen.model.profile == "einasto"
    assert chosen.model.nuisance.two_halo.sd == 0.1  # joined with the keys of the profile's variant
    assert chosen.radial_bins.n == 5
    assert config.analyses["nfw_one_core"].model.nuisance.two_halo is None


def test_a_matrix_alone_and_the_same_analyses_written_out_are_one():
    matrix = load_campaign(with_matrix(analyses={}))
    written = {name: a.model_dump(mode="json") for name, a in matrix.analyses.items()}
    assert load_campaign(small(analyses=written)).analyses == matrix.analyses


def test_the_frozen_configuration_is_read_as_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    campaign = prepare(with_matrix(), source="test.yaml")
    frozen = yaml.safe_load((campaign.folder / "config.yaml").read_text())
    assert list(frozen["analyses"]) == ["nfw"]  # not hundreds of analyses
    assert load_campaign(campaign.folder / "config.yaml") == campaign.config == load_campaign(with_matrix())


def test_a_variant_may_be_empty_and_says_no_more_than_base():
    base = {**BASE, "radius_mpc": [0.5, 2.0]}
    config = load_campaign(small(matrix={"base": base, "axes": {"one": {"plain": None}}}))
    assert config.analyses["plain"].radius_mpc == (0.5, 2.0)


@pytest.mark.parametrize(
    ("path", "value", "parts"),
    [
        ("matrix/axis", {}, ["matrix.axis", "unknown key", "'axes'"]),
        ("matrix/axes", {}, ["matrix.axes", "at least 1"]),
        ("matrix/axes/range", {}, ["matrix.axes.range", "at least 1"]),
        ("matrix/axes/range", {True: {}}, ["matrix.axes.range", "string", "True"]),
        ("matrix/axes/range", {"a b": {}}, ["matrix.axes.range", "letters"]),
        ("matrix/axes/range/core", {"radius": [1, 2]}, ["matrix.axes.range.core.radius", "'radius_mpc'"]),
        (
            "matrix/axes/range/core",
            {"radius_mpc": [2, 1]},
            ["matrix.axes.range.core.radius_mpc", "lower end"],
        ),
        ("matrix/axes/range/core", None, ["matrix.base.radius_mpc", "required"]),
        ("matrix/axes/profile/nfw/model", {"profile": "nfv"}, ["matrix.axes.profile.nfw.model", "'nfw'"]),
        ("matrix/axes/range/core/model", {"profile": "nfw"}, ["profile and range both set model.profile"]),
        ("matrix/axes/range/core/model", {}, ["profile and range both set model"]),
        ("matrix/axes/more", {"a_b": {}, "a": {}, "b": {}}, None),
        ("matrix/reference", "nfw", ["matrix.reference", "'nfw'", "nfw_one_wide"]),
        ("matrix/base/survey", "sky", ["survey", "'sky'", "wide"]),
        ("matrix/base/radial_bins", {"m": 1}, ["matrix.base.radial_bins.m", "unknown key"]),
        ("analyses/nfw_one_wide", {"radius_mpc": [1, 2]}, ["analyses.nfw_one_wide", "rename"]),
        ("report", {"shifts": [{"of": "nfw", "against": "nfw_on"}]}, ["report.shifts.0.against", "nfw_on"]),
        ("report", {"shifts": [{"of": "nfw", "against": "nfw"}]}, ["report.shifts.0", "itself"]),
        ("truth", None, ["matrix.reference", "truth"]),
    ],
)
def test_what_is_wrong_is_named_where_it_is_written(path, value, parts):
    if parts is None:
        data = changed("matrix/axes", {"x": {"a": {}, "a_b": {}}, "y": {"b_c": {}, "c": {}}})
        data["matrix"]["base"] = {**BASE, "radius_mpc": [0.5, 2]}
        parts = ["a, b_c and a_b, c", "both named a_b_c"]
    else:
        data = changed(path, value)
    with pytest.raises(ConfigError) as error:
        load_campaign(data, "my.yaml")
    assert str(error.value).startswith("my.yaml: ")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300  # once, and not for every analysis that has it
    for part in parts:
        assert part in str(error.value)


def like(**off):
    data = small()
    data["surveys"]["off"] = {"like": "wide", **off}
    return data


def test_a_survey_like_another_has_its_keys_and_its_draws():
    centre = {"model": "rayleigh", "parameters": {"scale_mpc": 0.2}}
    data = like(centre=centre)
    data["surveys"]["far"] = {"like": "off", "shape_noise": 0.1}
    surveys = load_campaign(data).surveys
    assert surveys["off"].draws_of == surveys["far"].draws_of == "wide"
    assert surveys["far"].centre.model == "rayleigh"
    assert surveys["far"].footprint == surveys["wide"].footprint
    assert (surveys["off"].shape_noise, surveys["far"].shape_noise) == (0.25, 0.1)
    assert "draws_of" not in surveys["wide"].model_dump()  # hashes of surveys without the key stay


@pytest.mark.parametrize(
    ("survey", "parts"),
    [
        ({"like": "wid"}, ["surveys.off.like", "'wid'", "did you mean 'wide'"]),
        ({"like": "off"}, ["surveys.off.like", "off is like off"]),
        ({"like": "wide", "shape": 1}, ["surveys.off.shape", "unknown key"]),
        ({"like": "wide", "draws_of": "x"}, ["surveys.off.draws_of", "'x'"]),
    ],
)
def test_a_survey_like_none_is_refused(survey, parts):
    data = small()
    data["surveys"]["off"] = survey
    with pytest.raises(ConfigError) as error:
        load_campaign(data, "my.yaml")
    for part in parts:
        assert part in str(error.value)


def mocks(data, tmp_path, monkeypatch):
    """Return each survey's catalogues by halo."""
    monkeypatch.chdir(tmp_path)
    data["analyses"] |= {s: {**data["analyses"]["nfw"], "survey": s} for s in data["surveys"]}
    campaign = run(data, upto="fits")
    ids = campaign.halo_ids
    return {s: [load_catalog(campaign.mock_file(s, h), h) for h in ids] for s in data["surveys"]}


def shape_noise_and_places(catalogs):
    """Return galaxies' positions, redshifts and β, which no lensing changes."""
    return [np.concatenate([getattr(c, n) for c in catalogs]) for n in ("x_arcmin", "y_arcmin", "beta_s")]


def test_surveys_that_differ_in_centre_share_galaxies_and_noise(tmp_path, monkeypatch):
    """Without lensing in the way: haloes of hardly any mass, whose ellipticities are the shape noise."""
    data = like(centre={"model": "rayleigh", "parameters": {"scale_mpc": 0.3}})
    data["simulation"]["options"]["mass_msun"] = [1e10, 2e10]
    data["surveys"]["own"] = {**data["surveys"]["off"], "draws_of": "own"}
    found = mocks(data, tmp_path, monkeypatch)
    for mine, theirs in zip(*map(shape_noise_and_places, (found["off"], found["wide"])), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    e1, off, own = (np.concatenate([c.e1 for c in found[s]]) for s in ("wide", "off", "own"))
    assert np.abs(off - e1).max() < 0.01  # of 0.25: all that 1e10 Msun lens even in their core
    assert len(own) != len(e1) or np.std(own - e1) > 0.2  # control: draws of its own


def test_haloes_with_and_without_baryons_share_all_but_the_lensing(tmp_path, monkeypatch):
    data = like(simulation_options={"baryons": {}})
    found = mocks(data, tmp_path, monkeypatch)
    for mine, theirs in zip(*map(shape_noise_and_places, (found["off"], found["wide"])), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    differences = np.concatenate([a.e1 - b.e1 for a, b in zip(found["off"], found["wide"], strict=True)])
    assert 0 < np.abs(differences).max() < 0.2
    assert np.std(differences) < 0.01  # the noise of 0.25 is the same


def test_options_that_change_the_haloes_themselves_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for options in ({"mass_msun": [1e14, 2e14]}, {"n_halos": 5}, {"z": 0.4}):
        with pytest.raises(ConfigError, match=r"surveys\.off\.simulation_options.*differ"):
            prepare(like(simulation_options=options), source="my.yaml")
    with pytest.raises(ConfigError, match=r"surveys\.off\.simulation_options.*unknown key"):
        prepare(like(simulation_options={"baryon": {}}), source="my.yaml")


def test_baryons_of_one_survey_leave_the_results_of_the_others(tmp_path, monkeypatch):
    """The hash of a mock without the key, and of its fits, is what it was; the tables hold both readers."""
    monkeypatch.chdir(tmp_path)
    plain = prepare(small(), source="test.yaml", dry_run=True)
    with_baryons = prepare(like(simulation_options={"baryons": {}}), source="test.yaml", dry_run=True)
    for step, name in (("mock", "wide"), ("fit", "nfw")):
        assert plain.hash(step, name) == with_baryons.hash(step, name)
    assert plain.hash("tables") != with_baryons.hash("tables")
