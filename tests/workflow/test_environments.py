"""The files that describe the environment agree with one another and with pyproject.toml."""

import re
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Packages that conda channels hold under another name.
CONDA_NAMES = {"matplotlib-base": "matplotlib", "snakemake-minimal": "snakemake"}


@pytest.fixture(scope="module")
def pins(root):
    lines = (root / "envs/constraints.txt").read_text().splitlines()
    pinned = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pinned}


@pytest.fixture(scope="module")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def requirements(project):
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    return [Requirement(text) for group in groups for text in group]


@pytest.fixture(scope="module")
def conda(root):
    content = yaml.safe_load((root / "envs/environment.yaml").read_text())
    entries = content["dependencies"]
    versions = dict(re.split("=+", e) for e in entries if isinstance(e, str) and "=" in e)
    versions |= dict(e.split("==") for e in entries[-1]["pip"])
    return {CONDA_NAMES.get(name, name): version for name, version in versions.items()}


def test_constraints_hold_every_requirement(requirements, pins):
    for requirement in requirements:
        version = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement} but {version} in constraints.txt"


def test_conda_has_the_same_versions(conda, pins):
    python = conda.pop("python")
    assert python == "3.11"
    assert {name: pins.get(name) for name in conda} == conda


def test_conda_holds_every_requirement(conda, project):
    extras = {
        k: v for k, v in project["optional-dependencies"].items() if k != "docs"
    }  # `make docs` has its own
    requirements = [
        Requirement(text) for group in (project["dependencies"], *extras.values()) for text in group
    ]
    wanted = {canonicalize_name(r.name) for r in requirements}
    assert wanted - set(conda) == {"clmm"}  # another code's tables: who has it, has it already


def test_image_installs_what_the_repository_holds(root):
    definition = (root / "envs/clmassmod.def").read_text()
    files = re.search(r"%files\n((?:    .*\n)+)", definition).group(1).split("\n")
    for source in (line.split()[0] for line in files if line):
        assert (root / source).exists(), source
