"""The documentation is in step with the code: every key, command, reader and campaign is described."""

import re
import shlex
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import yaml

from clmassmod.cli import _parser, main
from clmassmod.config import build, load_campaign
from clmassmod.config.models import CampaignConfig
from clmassmod.config.notebook import CallParameters, NotebookConfig
from clmassmod.errors import ConfigError
from clmassmod.registry import CENTRES, CONCENTRATIONS, FITTERS, PROFILES, READERS
from clmassmod.store import load_fit

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.xdist_group("docs")  # one build of the pages for all


@pytest.fixture(scope="module")
def pages(root):
    texts = {p.relative_to(root / "docs").as_posix(): p.read_text() for p in (root / "docs").rglob("*.md")}
    return {name: text for name, text in texts.items() if not name.startswith(("_build", "reference/gener"))}


def undescribed(model):
    """Return the keys of a model and all below it that neither have words nor hold a section that has."""
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    found = []
    for name, part in [(model.__name__, schema), *definitions.items()]:
        for key, entry in part.get("properties", {}).items():
            sections = re.findall(r"#/\$defs/(\w+)", str(entry))
            if not entry.get("description") and not any(definitions[s].get("description") for s in sections):
                found.append(f"{name}.{key}")
    return found


@pytest.mark.parametrize("model", [CampaignConfig, NotebookConfig, CallParameters])
def test_every_key_is_described(model):
    assert undescribed(model) == []


@pytest.mark.parametrize("reader", READERS.names())
def test_every_option_of_a_reader_is_described_and_documented(reader, pages):
    options = READERS.load(reader).Options
    assert undescribed(options) == []
    assert f"clmassmod.readers.{reader}:Reader.Options" in pages["reference/configuration.md"]


def test_a_key_without_words_is_noticed():
    from clmassmod.config.base import Model

    class Bad(Model):
        silent: int = 1

    assert undescribed(Bad) == ["Bad.silent"]


def test_every_name_of_a_registry_is_documented(pages):
    text = "\n".join(pages.values())
    for registry in (READERS, PROFILES, CONCENTRATIONS, CENTRES, FITTERS):
        missing = [name for name in registry.names() if f"`{name}`" not in text]
        assert not missing, f"{registry.kind}: {missing}"


def commands(text):
    """Return the lines of code blocks and of inline code that call clmassmod, without comments."""
    lines = re.findall(r"^ *(clmassmod [^\n\\]*(?:\\\n[^\n\\]*)*)", text, flags=re.MULTILINE)
    lines += re.findall(r"`(clmassmod [^`]*)`", text)
    return [re.sub(r"\s+#.*", "", line.replace("\\\n", " ")) for line in lines]


def test_commands_in_readme_and_docs_exist(root, pages):
    texts = [(root / "README.md").read_text(), *pages.values()]
    found = [words for text in texts for line in commands(text) if (words := shlex.split(line)[1:])]
    subcommands = next(a for a in _parser()._actions if hasattr(a, "choices") and a.choices).choices
    assert len(found) > 10
    for words in found:
        assert words[0] in subcommands or words[0] == "--version", words
        known = subcommands[words[0]]._option_string_actions if words[0] in subcommands else {"--version": 0}
        ours = words[1 : words.index("--")] if "--" in words else words[1:]  # what follows is snakemake's
        for word in ours:
            if word.startswith("--"):
                assert word.partition("=")[0] in known, words


def test_unknown_subcommand_is_an_error(capsys):
    with pytest.raises(SystemExit):
        main(["nothing-of-this-name"])
    assert "invalid choice" in capsys.readouterr().err


def yaml_blocks(pages):
    for name, text in pages.items():
        for block in re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL):
            yield name, block


ANALYSIS = {"survey": "wide", "radius_mpc": [0.5, 2.5]}
REST = {  # what an example of a page leaves out
    "campaign": "test",
    "seed": 1,
    "cosmology": {"H0": 70.0, "Om0": 0.3, "Ob0": 0.048, "sigma8": 0.81, "ns": 0.96},
    "simulation": {"reader": "analytic"},
    "surveys": {
        "wide": {
            "density_per_arcmin2": 20,
            "shape_noise": 0.26,
            "sources": {"distribution": "smail", "median_z": 1.0},
            "footprint": {"shape": "circle", "radius_arcmin": 12},
        }
    },
    "truth": {},
}
REST["surveys"]["gravity"] = REST["surveys"]["wide"]  # which an example is like


def test_examples_of_configuration_are_valid(pages):
    """Each YAML example, with what it leaves out, is a campaign that would start."""
    seen = 0
    for name, block in yaml_blocks(pages):
        data = yaml.safe_load(block)
        surveys = {**REST["surveys"], **data.get("surveys", {})}
        analyses = data.get("analyses", {"nfw": ANALYSIS, "wide": ANALYSIS, "narrow": ANALYSIS})
        if "matrix" in data and "analyses" not in data:
            analyses = {}
        campaign = load_campaign({**REST, "analyses": analyses, **data, "surveys": surveys}, name)
        simulation = campaign.simulation
        build(READERS.load(simulation.reader).Options, simulation.options, name, "simulation.options")
        seen += 1
    assert seen >= 5


def test_a_wrong_example_is_noticed():
    wrong = {"x.md": "```yaml\nbins: {mine: {funktion: a.py:f}}\n```"}
    with pytest.raises(ConfigError, match=r"x\.md: bins\.mine\.funktion"):
        test_examples_of_configuration_are_valid(wrong)


def python_blocks(text):
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


def test_functions_of_the_how_tos_run(pages, tmp_path, monkeypatch):
    """The reader, survey, models, fitter and bins of the pages make a campaign that runs to its report."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT / "tests/pipeline"))
    from campaigns import run

    for file, page in (
        ("my_reader.py", "01-simulation"),
        ("my_centres.py", "02-survey"),
        ("my_models.py", "03-own-model"),
        ("my_bins.py", "04-bins"),
    ):
        (tmp_path / file).write_text("\n".join(python_blocks(pages[f"howto/{page}.md"])))
    folder = tmp_path / "maps"
    folder.mkdir()
    y, x = (np.indices((401, 401)) - 200) * 0.02
    for i in range(3):
        np.save(folder / f"halo{i}.npy", (0.05 + 0.01 * i) / np.hypot(np.hypot(x, y), 0.1))
    survey = {
        **REST["surveys"]["wide"],
        "centre": {"model": "my_centres.py:off", "parameters": {"scale_mpc": 0.1}},
    }
    model = {
        "profile": "my_models.py:cored",
        "concentration": "my_models.py:relation",
        "parameters": {"core": 0.1},
    }
    mine = {"survey": "wide", "radius_mpc": [0.5, 2.0], "model": model, "method": "my_models.py:fit"}
    made = run(
        {
            "campaign": "mine",
            "seed": 1,
            "cosmology": REST["cosmology"],
            "halos_per_job": 3,
            "simulation": {"reader": "my_reader.py:Reader", "path": "maps"},
            "surveys": {"wide": survey},
            "analyses": {"mine": mine},
            "bins": {"mine": {"function": "my_bins.py:near_and_far"}},
        }
    )
    fits = [load_fit(made.fit_file("mine", f"halo{i}")) for i in range(3)]
    assert all(fit.status == "ok" for fit in fits)
    assert fits[2].summary["mass_ml_msun"] > fits[0].summary["mass_ml_msun"] > 1e13
    assert (made.folder / "report" / "index.html").is_file()


@pytest.fixture(scope="module")
def built(root, tmp_path_factory):
    if find_spec("sphinx") is None or find_spec("furo") is None:
        pytest.skip("Sphinx is not installed; `make docs` sets it up")
    folder = tmp_path_factory.mktemp("docs")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-b",
        "html",
        "-d",
        folder / "trees",
    ]
    done = subprocess.run([*command, root / "docs", folder / "html"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "html"


def test_pages_need_no_network(built):
    loaded = r'<(?:script|link|img|iframe|source)[^>]*(?:src|href)="((?:https?:)?//[^"]*)"'
    for page in built.rglob("*.html"):
        assert re.findall(loaded, page.read_text()) == [], page.name
    for sheet in built.rglob("*.css"):
        assert not re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", sheet.read_text()), sheet.name


def test_formulae_are_mathml_without_leftovers(built):
    text = "".join(page.read_text() for page in (built / "steps").glob("*.html"))
    assert text.count("<math") > 50
    assert not re.findall(r"<m[in]>(?:&amp;|&|\\[a-z]+)</m[in]>", text)
    assert "<mtext>\\" not in text
    assert "merror" not in text


def test_every_campaign_is_listed(root, built):
    text = (built / "campaigns.html").read_text()
    for path in (root / "config").glob("*.yaml"):
        assert path.name in text


def test_public_names_are_in_the_reference(built):
    import clmassmod as clmm

    text = (built / "reference/api.html").read_text()
    for name in (*clmm._OBJECTS, *(f"utils.{n}" for n in import_module("clmassmod.utils").__all__)):
        assert name.rpartition(".")[2] in text, name
