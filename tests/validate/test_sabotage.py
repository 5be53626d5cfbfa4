"""Each check passes, and fails when what it checks is wrong: a check that cannot fail is none."""

import importlib

import pytest
from sabotage import SABOTAGES, forget

from clmassmod.steps.validation import run_campaign
from clmassmod.validate.checks import run, select
from clmassmod.validate.lab import Lab
from clmassmod.validate.plan import STEPS

# of many seconds: samplers, ensembles, campaigns
LONG_NAMES = {
    "nuts": ("density", "gradient", "posterior", "noise_free_mass", "stored_likelihood"),
    "ensemble": ("sampled_posterior", "redshift_trend"),
    "comparison": (
        "grid_against_sampler", "injected_trends", "heavy_tails", "mixture", "injected_common_scatter",
        "ranks_of_bias_and_scatter", "coverage_of_bias_and_scatter", "probability_integral_transforms",
    ),
    "end_to_end": (
        "closure_without_noise", "closure_bias", "closure_scatter", "comparison_of_the_workflow",
        "known_biases", "determinism", "nbody_haloes",
    ),
    "mock": ("clustering", "magnification", "source_density"),
    "measurement": ("boost_correction",),
    "profiles": ("diemer_kravtsov", "diemer23"),
}  # fmt: skip
LONG = {f"{step}/{name}" for step, names in LONG_NAMES.items() for name in names}
CHECKS = select([])
QUICK = [check for check in CHECKS if check.key not in LONG]


@pytest.fixture(scope="session")
def tables(tmp_path_factory):
    return Lab(tmp_path_factory.mktemp("tables")).tables


@pytest.fixture
def lab(tmp_path, tables):
    made = Lab(tmp_path, run_campaign)
    made.__dict__["tables"] = tables
    return made


def named(checks):
    return [pytest.param(c, id=c.key, marks=[pytest.mark.long] if c.key in LONG else []) for c in checks]


def test_every_check_has_a_sabotage_and_a_reason():
    assert {c.key for c in CHECKS} == set(SABOTAGES)
    assert {c.step for c in CHECKS} == set(STEPS)
    for check in CHECKS:
        assert all((check.proves, check.reason, check.source, check.quantity))


def test_expectations_take_no_constant_of_the_package():
    source = importlib.import_module("clmassmod.validate.reference").__dict__
    theirs = [v for v in source.values() if getattr(v, "__module__", "").startswith("clmassmod.core")]
    assert not theirs


@pytest.mark.inference
@pytest.mark.parametrize("step", STEPS)
def test_checks_pass(step, lab):
    wrong = [o for o in run([c for c in QUICK if c.step == step], lab) if not o.passed]
    assert not wrong, [(o.check, o.value, o.error) for o in wrong]


@pytest.mark.long
@pytest.mark.parametrize("step", STEPS)
def test_long_checks_pass(step, lab):
    wrong = [o for o in run([c for c in CHECKS if c.step == step and c.key in LONG], lab) if not o.passed]
    assert not wrong, [(o.check, o.value, o.error) for o in wrong]


@pytest.mark.inference
@pytest.mark.filterwarnings("ignore")  # what is wrong may warn
@pytest.mark.parametrize("check", named(CHECKS))
def test_sabotage_is_seen(check, lab, monkeypatch):
    sabotage = SABOTAGES[check.key]
    if sabotage.fresh:
        del lab.__dict__["tables"]
    forget()
    sabotage.apply(monkeypatch)
    try:
        (outcome,) = run([check], lab)
    finally:
        monkeypatch.undo()
        forget()
    print(f"{check.key}: {outcome.value:.3g} against {outcome.tolerance:.3g} {outcome.error}")
    assert not outcome.passed
    assert not outcome.error  # it measured something wrong, it did not break
