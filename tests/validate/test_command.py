"""The command ``validate``: what it lists, runs, writes, and how it fails."""

import csv
import json
import math
from html.parser import HTMLParser

import pytest

from clmassmod.cli import main
from clmassmod.steps import validation
from clmassmod.validate.checks import Outcome, checks_of, select
from clmassmod.validate.plan import STEPS, record_file, source_hash


def outcome(step="mock", check="shape_noise", value=0.5, passed=True, **changes):
    values = {
        "step": step, "check": check, "value": value, "tolerance": 1.0, "passed": passed, "seconds": 0.25,
        "at_least": False, "quantity": "an error", "proves": "Noise <is> there.", "reason": "a reason",
        "source": "a source", "error": "",
    }  # fmt: skip
    return Outcome(**{**values, **changes})


def test_list_names_every_check(capsys):
    assert main(["validate", "--list"]) == 0
    listed = capsys.readouterr().out
    assert all(f"{check.key}  (" in listed for check in select([]))
    assert main(["validate", "mock/shape_noise", "--list"]) == 0
    assert capsys.readouterr().out.count("against:") == 1


@pytest.mark.parametrize("name", ["tables/constants", "mock/shear_bias", "scan/chi_squared_probability"])
@pytest.mark.parametrize("option", [[], ["--only"]])
def test_one_check(name, option, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["validate", *option, name]) == 0
    assert "1 of 1 checks passed" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_names_of_steps_come_in_their_order():
    assert [c.step for c in select(["scan/likelihood", "tables/angles"])] == ["tables", "scan"]
    assert len(select(["mock", "mock/shape_noise"])) == len(checks_of("mock"))


@pytest.mark.parametrize(
    ("name", "message"), [("moks", "did you mean 'mock'"), ("mock/shape_nois", "did you mean 'shape_noise'")]
)
def test_a_wrong_name_is_answered_with_a_near_one(name, message, capsys):
    assert main(["validate", name]) == 2
    assert message in capsys.readouterr().err


def test_a_failed_check_is_named_and_gives_the_exit_code(capsys, monkeypatch):
    from clmassmod.core import units

    monkeypatch.setattr(units, "C_KM_S", 3.0e5)
    assert main(["validate", "tables/constants", "tables/angles"]) == 8
    said = capsys.readouterr().err
    assert "1 of 2 checks failed: tables/constants; " in said
    assert "FAILED tables/constants: largest relative error 6.92e-4, must be <= 1.00e-8" in said


def test_records_keep_every_number(tmp_path):
    given = [outcome(value=0.1 + 0.2), outcome(check="other", value=math.nan, passed=False, error="Boom: x")]
    validation.write_record(tmp_path / "a.json", given)
    back = validation.read_record(tmp_path / "a.json")
    assert back[0] == given[0]
    assert math.isnan(back[1].value)
    assert back[1].error == "Boom: x"
    assert json.loads((tmp_path / "a.json").read_text())["versions"]["numpy"]


@pytest.mark.parametrize("content", [None, "", "[]", '{"outcomes": [{}]}'])
def test_a_record_that_is_none_is_refused(content, tmp_path, capsys):
    for step in STEPS:
        validation.write_record(record_file(tmp_path, step), [outcome(step=step)])
    path = record_file(tmp_path, "mock")
    path.unlink() if content is None else path.write_text(content)
    assert main(["validate", "--gather", "-o", str(tmp_path)]) == 4
    assert str(path) in capsys.readouterr().err


def test_table_and_page(tmp_path, capsys):
    for step in STEPS:
        failed = step == "shear"
        record = [outcome(step=step, passed=not failed, value=7.0 if failed else 0.0)]
        validation.write_record(record_file(tmp_path, step), record)
    assert main(["validate", "--gather", "--output", str(tmp_path)]) == 0
    with (tmp_path / "validation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:6] == ["step", "check", "value", "tolerance", "passed", "seconds"]
    assert [r["step"] for r in rows] == list(STEPS)
    assert [r["passed"] for r in rows].count("false") == 1
    page = (tmp_path / "index.html").read_text()
    assert "shear/shape_noise" in page
    assert "Noise &lt;is&gt; there." in page
    assert "http://" not in page
    assert "https://" not in page
    _Balanced().feed(page)
    assert main(["validate", "--verdict", "--output", str(tmp_path)]) == 8
    assert "11 of 12 checks passed" in capsys.readouterr().err


def test_the_documentation_names_every_check(root):
    text = " ".join((root / "docs/validation.md").read_text().split())
    assert f"The {len(select([]))} checks" in text
    for check in select([]):
        assert f"`{check.key}`: {check.proves} Against: {check.source}." in text


class _Balanced(HTMLParser):
    """Refuses tags that do not close in order."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_hash_of_the_source_follows_it():
    assert source_hash() == source_hash()
    assert len(source_hash()) == 16


@pytest.mark.inference
def test_values_do_not_depend_on_processes(tmp_path):
    names = ["scan/likelihood", "mock/shape_noise", "ensemble/grid_posterior"]
    values = [[o.value for o in validation.measure(names)] for _ in range(2)]
    assert values[0] == values[1]
    assert main(["validate", *names, "--record", str(tmp_path / "r.json")]) == 0
    assert [o.value for o in validation.read_record(tmp_path / "r.json")] == values[0]
