"""The examples in docstrings run and give what they show."""

import doctest
import importlib
from pathlib import Path

import pytest

import clmassmod

ROOT = Path(clmassmod.__file__).parent
MODULES = sorted(path for path in ROOT.rglob("*.py") if ">>> " in path.read_text(encoding="utf-8"))
# what a user meets first has an example that runs
WITH_EXAMPLES = {
    "clmassmod.massmod.cluster.CLMassMod",
    "clmassmod.records.HaloFit.from_likelihood",
    "clmassmod.bias.fit.fit",
    "clmassmod.ensemble.fit.fit",
    "clmassmod.posterior.Posterior",
    "clmassmod.utils.loading.load_config",
    "clmassmod.core.nfw.projected",
    "clmassmod.core.massdef.convert_nfw",
}


def name_of(path):
    return ".".join(("clmassmod", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


def examples_of(path):
    module = importlib.import_module(name_of(path))
    return [test for test in doctest.DocTestFinder(exclude_empty=True).find(module) if test.examples]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_examples_run(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # an example may write files
    for test in examples_of(path):
        said = []
        failed = doctest.DocTestRunner().run(test, out=said.append).failed
        assert not failed, "".join(said)


def test_what_a_user_meets_first_has_an_example():
    found = {test.name for path in MODULES for test in examples_of(path) if _runs(test)}
    assert found >= WITH_EXAMPLES


def _runs(test):
    return any(not example.options.get(doctest.SKIP) for example in test.examples)


def test_a_wrong_example_is_noticed():
    test = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, None)
    assert doctest.DocTestRunner().run(test, out=lambda text: None).failed == 1
