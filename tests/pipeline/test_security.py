"""What is read is data: no code in files, no way out of the results folder or of a file."""

import ast

import h5py
import numpy as np
import pytest
import yaml
from campaigns import run, small

import clmassmod
from clmassmod.bins import assign, fitted_profile
from clmassmod.config import load_campaign, read_yaml
from clmassmod.errors import ClmassmodError, ConfigError, ReaderError, StoreError
from clmassmod.hdf5 import columns, find, load, names, open_hdf5
from clmassmod.readers.common import check_ids
from clmassmod.readers.hdf5 import dataset
from clmassmod.readers.table import open_table
from clmassmod.store import load_fit, read_tree, write_tree
from clmassmod.store.tree import sign

BAD_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "subprocess"}
BAD_CALLS = {"eval", "exec", "compile", "__import__", "system", "popen", "read_pickle", "to_pickle"}
RUNS_USER_CODE = {"registry.py"}  # functions that a configuration names, and nothing else
BECOMES_SNAKEMAKE = {"running.py"}
STARTS_ITSELF = {"validation.py"}  # `clmassmod validate` runs its steps in processes of their own


def sources(root):
    return sorted((root / "clmassmod").rglob("*.py"))


def calls(tree):
    """Yield each call's name and keywords."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            owner = ast.unparse(function.value) if isinstance(function, ast.Attribute) else ""
            yield owner, name, {k.arg: k.value for k in node.keywords}


def test_no_file_is_read_as_code(root):
    for path in sources(root):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                module = getattr(node, "module", None) or ""
                imported = {module.split(".")[0], *(a.name.split(".")[0] for a in node.names)}
                starts = {"subprocess"} if path.name in STARTS_ITSELF else set()
                assert not imported & BAD_MODULES - starts, path
        for owner, name, keywords in calls(tree):
            assert not (name in BAD_CALLS and owner != "re"), (path, name)
            assert not (name.startswith("exec") and path.name not in RUNS_USER_CODE | BECOMES_SNAKEMAKE), path
            if (owner, name) in (("np", "load"), ("numpy", "load")):
                assert ast.unparse(keywords["allow_pickle"]) == "False", path
            if owner == "yaml" and "load" in name and name != "safe_load":
                assert "_UniqueKeyLoader" in ast.unparse(keywords["Loader"]), path


def test_validation_starts_nothing_but_this_package(root):
    source = (root / "clmassmod/steps/validation.py").read_text()
    assert source.count("subprocess.") == 1
    assert 'command = [sys.executable, "-m", "clmassmod", "validate", ' in source
    assert "shell=" not in source


def test_yaml_makes_no_objects(tmp_path):
    file = tmp_path / "c.yaml"
    for text in ("a: !!python/object/apply:os.system [touch x]\n", "a: !!python/name:os.system\n"):
        file.write_text(text)
        with pytest.raises(ConfigError, match=r"c\.yaml: not YAML"):
            read_yaml(file)
    levels = [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 12)]
    file.write_text("\n".join(["l0: &l0 [x, x, x, x, x, x, x, x, x]", *levels]))  # billions by aliases
    with pytest.raises(ConfigError, match=r"c\.yaml: more than 1,000,000 values, by its aliases"):
        read_yaml(file)
    file.write_text("a: &a [1, *a]\n")
    with pytest.raises(ConfigError, match=r"c\.yaml"):
        read_yaml(file)


NAMES = [
    "../x",
    "a/b",
    "/etc/passwd",
    "..",
    ".",
    ".hidden",
    "-rf\0",
    "a\0b",
    "a\nb",
    "a b",
    "{shard}",
    "{a,b}",
]
NAMES += [
    "{a,b}",
    "*",
    "~",
    "$HOME",
    "",
    "x" * 201,
    "e\u0301",
    "é",
    "\uff0e\uff0e",
    "a;b",
    "a'b",
    "con\u202etxt",
]


@pytest.mark.parametrize("name", NAMES)
def test_no_name_leaves_its_folder(name):
    with pytest.raises(ReaderError, match="cannot name a file") as caught:
        check_ids([name], "t.h5")
    assert "\n" not in str(caught.value)
    changes = [
        {"campaign": name},
        {"analyses": {name: small()["analyses"]["nfw"]}},
        {"surveys": {name: small()["surveys"]["wide"]}, "analyses": {}},
        {"bins": {name: {"by": {"snr": [0, 1]}}}},
    ]
    for change in changes:
        with pytest.raises(ConfigError):
            load_campaign({**small(), **change})
    campaign = clmassmod.HaloFit.from_likelihood("h", 0.3, np.geomspace(1e13, 1e16, 9), np.zeros(9))
    with pytest.raises(ConfigError, match="may hold letters, digits"):
        assign([fitted_profile(campaign)], lambda profiles: {name: profiles})


def test_a_halo_named_like_an_option_is_only_a_halo(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = ["id,m200,redshift,concen", "--help,8e14,0.3,4", "-v,9e14,0.3,4"]
    (tmp_path / "list.csv").write_text("\n".join(rows))
    campaign = run(small(simulation={"reader": "analytic", "path": "list.csv", "options": {}}), upto="fits")
    assert campaign.fit_file("nfw", "--help").is_file()


# files of users


def hostile(path):
    """Write datasets of every kind that is refused, each by itself."""
    with h5py.File(path.with_name("secret.h5"), "w") as other:
        other["x"] = np.arange(4.0)
    with h5py.File(path, "w") as file:
        file["good"] = np.arange(4.0)
        file["soft"] = h5py.SoftLink("/good")
        file["loop"] = h5py.SoftLink("/pool")
        file["pool"] = h5py.SoftLink("/loop")
        file["outside"] = h5py.ExternalLink("secret.h5", "/x")
        file["by_way"] = h5py.SoftLink("/outside")
        layout = h5py.VirtualLayout(shape=(4,), dtype=float)
        layout[:] = h5py.VirtualSource("secret.h5", "x", shape=(4,))
        file.create_virtual_dataset("virtual", layout)
        raw = [(str(path.with_name("secret.h5")), 0, 32)]
        file.create_dataset("external", shape=(4,), dtype=float, external=raw)
        file.create_dataset("huge", shape=(10**7, 10**7), dtype=float, chunks=(1000, 1000))
        file.create_dataset("bomb", shape=(2**35,), dtype="u1", chunks=(2**20,), compression="gzip")
        file.create_dataset("objects", shape=(2,), dtype=h5py.ref_dtype)
        file.create_dataset("ragged", shape=(2,), dtype=h5py.vlen_dtype(float))
        group = file
        for _ in range(2000):
            group = group.create_group("g")
        file["circle/inner"] = 1.0
        file["circle/again"] = file["/"]  # a hard link to its parent


@pytest.fixture
def file(tmp_path):
    hostile(tmp_path / "h.h5")
    with open_hdf5(tmp_path / "h.h5") as opened:
        yield opened


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("outside", "link to another file"),
        ("by_way", "link to another file"),
        ("loop", "without end"),
        ("virtual", "from other files"),
        ("external", "from other files"),
        ("huge", "claims 8e.05 GB, but 0 bytes"),
        ("bomb", "claims 34.4 GB"),
        ("objects", "not numbers or text"),
        ("ragged", "not numbers or text"),
        ("nothing", "no dataset 'nothing'"),
        ("good/deeper", "no dataset"),
    ],
)
def test_hostile_datasets_of_users_are_refused(file, tmp_path, name, part):
    path = tmp_path / "h.h5"
    with pytest.raises(ReaderError, match=part) as caught:
        load(dataset(file, name, path), path)
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value)) < 9000
    with pytest.raises(ReaderError):
        load(dataset(file, name, path), path, 0)


def test_good_datasets_beside_hostile_ones_are_read(file, tmp_path):
    path = tmp_path / "h.h5"
    np.testing.assert_array_equal(load(dataset(file, "soft", path), path), np.arange(4.0))
    assert load(dataset(file, "circle/again/circle/inner", path), path) == 1.0
    assert len(names(file)) <= 200
    assert find(file, "/".join(["g"] * 2000), path) is not None
    with pytest.raises(ReaderError, match=r"link to another file|without end"):
        columns(file, path)
    with pytest.raises(ReaderError):
        open_table(path)


def test_hostile_tables_of_truth_and_relations_are_refused(tmp_path):
    from clmassmod.bias.truth import read_truth
    from clmassmod.cosmology.relation_table import read_relation

    with h5py.File(tmp_path / "secret.h5", "w") as other:
        other["x"] = np.ones(2)
    path = tmp_path / "t.h5"
    with h5py.File(path, "w") as table:
        for name in ("halo_id", "m200c", "mass_msun", "z", "concentration"):
            table[name] = h5py.ExternalLink("secret.h5", "/x")
    with pytest.raises(ClmassmodError, match="link to another file"):
        read_truth(path, halo_id="halo_id", mass="m200c", unit="Msun", h=0.7, mass_definition="200c")
    with pytest.raises(ClmassmodError, match="link to another file"):
        read_relation(path)


# result files of somebody who signs them


def signed(path, change):
    write_tree(path, "thing", {"a": np.arange(3.0), "text": "b"}, {})
    with h5py.File(path, "a") as file:
        change(file)
    sign(path)
    return path


def nested(file):
    group = file
    for _ in range(50):
        group = group.create_group("g")


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (nested, "nested deeper"),
        (lambda f: f.__setitem__("circle", f["/"]), "nested deeper"),
        (lambda f: f.__setitem__("soft", h5py.SoftLink("/a")), "is a link"),
        (lambda f: f.__setitem__("out", h5py.ExternalLink("o.h5", "/a")), "is a link"),
        (
            lambda f: f.create_dataset("huge", shape=(10**9,), dtype=float, chunks=True),
            "larger than the file",
        ),
        (
            lambda f: f.create_dataset("bomb", data=np.zeros(10**7), chunks=True, compression="gzip"),
            "larger than the file",
        ),
        (lambda f: f.create_dataset("o", shape=(2,), dtype=h5py.ref_dtype), "not numbers or text"),
        (lambda f: f.create_dataset("v", shape=(2,), dtype=h5py.vlen_dtype(float)), "not numbers or text"),
    ],
)
def test_hostile_result_files_are_refused_also_when_signed(tmp_path, change, part):
    with pytest.raises(StoreError, match=part):
        read_tree(signed(tmp_path / "t.h5", change), "thing")


def test_a_hostile_posterior_is_refused(tmp_path):
    from clmassmod.posterior import Posterior
    from clmassmod.store import load_posterior, save_posterior

    path = tmp_path / "p.nc"
    save_posterior(path, Posterior({}), {})
    with h5py.File(path, "a") as file:
        file["posterior/x"] = h5py.ExternalLink("o.h5", "/a")
    sign(path)
    with pytest.raises(StoreError, match="is a link"):
        load_posterior(path)


def test_a_pickle_is_no_map(tmp_path):
    from clmassmod import utils

    path = tmp_path / "m.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ReaderError, match=r"m\.npy"):
        utils.load_mass_map(path, z=0.3, pixel=0.1, pixel_unit="Mpc")
    (tmp_path / "f.h5").write_bytes(b"\x80\x04\x95junk")
    with pytest.raises(StoreError, match="not written by clmassmod"):
        load_fit(tmp_path / "f.h5")


def test_yaml_that_we_write_is_plain(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from clmassmod.steps.campaign import prepare

    campaign = prepare(small())
    text = (campaign.folder / "config.yaml").read_text()
    assert "!!" not in text
    assert yaml.safe_load(text)["campaign"] == "small"
