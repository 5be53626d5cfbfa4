"""A wrong configuration is refused with the key's path, what was found and what is allowed."""

import copy

import pytest

from clmassmod.config import halo_rng, json_schema, load_campaign, read_yaml
from clmassmod.errors import ConfigError

GOOD = {
    "campaign": "test",
    "seed": 1,
    "cosmology": {"H0": 70, "Om0": 0.3},
    "simulation": {"reader": "analytic"},
    "surveys": {
        "ground": {
            "density_per_arcmin2": 20,
            "shape_noise": 0.25,
            "sources": {"distribution": "smail", "median_z": 1.0},
            "footprint": {"shape": "circle", "radius_arcmin": 10},
        }
    },
    "analyses": {"nfw": {"survey": "ground", "radius_mpc": [0.5, 2.5], "model": {"concentration": 4}}},
}


def changed(path: str, value):
    data = copy.deepcopy(GOOD)
    *parents, last = path.split("/")
    place = data
    for key in parents:
        place = place[key]
    if value is KeyError:
        del place[last]
    else:
        place[last] = value
    return data


def test_good_configuration_is_accepted():
    config = load_campaign(GOOD)
    assert config.analyses["nfw"].radius_mpc == (0.5, 2.5)


def test_shipped_configurations_are_accepted(root):
    files = sorted((root / "config").glob("*.yaml"))
    assert {"default.yaml", "closure.yaml", "cosmodc2.yaml"} <= {f.name for f in files}
    for file in files:
        assert load_campaign(file).campaign == file.stem


@pytest.mark.parametrize(
    ("path", "value", "parts"),
    [
        ("sed", 3, ["sed", "unknown key", "'seed'"]),
        ("seed", KeyError, ["seed", "required"]),
        ("seed", -1, ["seed", "-1", "greater than or equal to 0"]),
        ("campaign", "../x", ["campaign", "letters"]),
        ("cosmology/h0", 70, ["cosmology.h0", "'H0'"]),
        ("cosmology/Om0", "much", ["cosmology.Om0", "'much'"]),
        ("cosmology/H0", 0.7, ["cosmology.H0", "greater than 10", "0.7"]),
        ("simulation/reader", "grids", ["simulation", "'grids'", "did you mean 'grid'"]),
        ("surveys/ground/footprint/radius", 3, ["surveys.ground.footprint.0.radius", "'radius_arcmin'"]),
        ("surveys/ground/footprint/radius_arcmin", KeyError, ["surveys.ground.footprint", "'radius_arcmin'"]),
        ("surveys/ground/sources/median_z", KeyError, ["surveys.ground.sources", "median_z"]),
        ("surveys/ground/shape_noise", float("nan"), ["surveys.ground.shape_noise", "nan"]),
        ("analyses/nfw/radius_mpc", [2.5, 0.5], ["analyses.nfw.radius_mpc", "lower end"]),
        ("analyses/nfw/radius_mpc", [0, 0.5], ["analyses.nfw.radius_mpc", "above 0"]),
        ("analyses/nfw/survey", "sky", ["analyses.nfw.survey", "'sky'", "ground"]),
        ("analyses/nfw/mass_definition", "200x", ["analyses.nfw.mass_definition", "200x"]),
        ("analyses/nfw/model/profile", "nfv", ["analyses.nfw.model", "did you mean 'nfw'"]),
        ("analyses", {}, ["analyses", "at least 1"]),
        ("truth", {"mass_definition": "500c"}, ["500c", "more_mass_definitions"]),
        ("bins", {"b": {}}, ["bins.b", "function", "by"]),
        ("bins", {"b": {"by": {"z": [1, 0.5]}}}, ["bins.b.by.z", "increasing"]),
        ("compare", {"true_mass_edges_msun": [1e14, 1e15]}, ["truth"]),
        ("halos_per_job", 0, ["halos_per_job", "1"]),
    ],
)
def test_wrong_keys_are_named(path, value, parts):
    with pytest.raises(ConfigError) as error:
        load_campaign(changed(path, value), "my.yaml")
    message = str(error.value)
    assert message.startswith("my.yaml: ")
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_numbers_that_yaml_takes_for_text(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("a: 1e14\nb: [2E15, 1.0e+13]\nc: e14\n")
    from clmassmod.config.load import numbers

    assert numbers(read_yaml(file)) == {"a": 1e14, "b": [2e15, 1e13], "c": "e14"}


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a: [1, 2", "not YAML"),
        ("a: 1\na: 2\n", "'a' is given twice"),
        ("- 1\n- 2\n", "list"),
        ("a: !!python/object/apply:os.system ['true']\n", "not YAML"),
    ],
)
def test_yaml_mistakes_name_the_file(tmp_path, text, part):
    file = tmp_path / "my.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=part) as error:
        read_yaml(file)
    assert str(file) in str(error.value)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: No such file"):
        read_yaml(tmp_path / "nowhere.yaml")


def test_schema_in_the_repository_is_that_of_the_models(root):
    import json

    stored = json.loads((root / "workflow/schemas/campaign.json").read_text())
    assert stored == json_schema(), "run: clmassmod schema -o workflow/schemas/campaign.json"


def test_generators_depend_on_names_alone():
    first = halo_rng(1, "a", "mock").random(3)
    assert (halo_rng(1, "a", "mock").random(3) == first).all()
    for other in (halo_rng(2, "a", "mock"), halo_rng(1, "b", "mock"), halo_rng(1, "a", "fit")):
        assert (other.random(3) != first).all()
