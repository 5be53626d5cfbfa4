"""What a check is, and the list of all of them.

A check is a function that measures one number and returns it; the number is a deviation that must stay at or
below a tolerance, or a probability that must reach one. Its expectation comes from outside of the package:
a formula written in the check, an integral by scipy, astropy or colossus, a symmetry or a limit.
"""

from __future__ import annotations

import importlib
import inspect
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from clmassmod.errors import ConfigError
from clmassmod.registry import suggest
from clmassmod.validate.lab import Lab
from clmassmod.validate.plan import STEPS

Measure = Callable[[Lab], float]


@dataclass(frozen=True)
class Check:
    """One check: what it measures, against what, and how far off it may be."""

    step: str
    name: str
    quantity: str  # what the value is, with its unit
    tolerance: float
    at_least: bool  # the value is a probability that must reach the tolerance
    proves: str
    reason: str  # of the tolerance
    source: str  # of the expectation
    measure: Measure

    @property
    def key(self) -> str:
        """Step and name, as ``--only`` takes them."""
        return f"{self.step}/{self.name}"

    def holds(self, value: float) -> bool:
        """Return whether a value passes; NaN does not."""
        return value >= self.tolerance if self.at_least else abs(value) <= self.tolerance


@dataclass(frozen=True)
class Outcome:
    """What a check gave."""

    step: str
    check: str
    value: float
    tolerance: float
    passed: bool
    seconds: float
    at_least: bool
    quantity: str
    proves: str
    reason: str
    source: str
    error: str = ""  # of a check that raised

    def as_record(self) -> dict[str, Any]:
        """Return plain values for a file; NaN is None."""
        record = asdict(self)
        record["value"] = None if math.isnan(self.value) else self.value
        return record

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Outcome:
        """Return the outcome of ``as_record``."""
        value = math.nan if record["value"] is None else record["value"]
        return cls(**{**record, "value": value})


_CHECKS: dict[str, Check] = {}


def check(
    tolerance: float,
    *,
    reason: str,
    source: str,
    quantity: str = "largest relative error",
    at_least: bool = False,
) -> Callable[[Measure], Measure]:
    """Register a function as a check; its name is the check's and its docstring says what it proves.

    Parameters
    ----------
    tolerance : float
        Largest size of the value, or the smallest value with ``at_least``.
    reason : str
        Why this tolerance.
    source : str
        Where the expectation comes from.
    quantity : str
        What the value is.
    at_least : bool
    """

    def register(measure: Measure) -> Measure:
        step = _step_of(measure.__module__.rpartition(".")[2])
        made = Check(
            step,
            measure.__name__,
            quantity,
            tolerance,
            at_least,
            " ".join(inspect.getdoc(measure).split()),  # type: ignore[union-attr]
            reason,
            source,
            measure,
        )
        _CHECKS[made.key] = made
        return measure

    return register


def _step_of(module: str) -> str:
    return next(step for step, modules in STEPS.items() if module in modules)


def checks_of(step: str) -> list[Check]:
    """Return the checks of a step, in the order in which they are written.

    Raises
    ------
    ConfigError
        For an unknown step.
    """
    if step not in STEPS:
        raise ConfigError(f"no step {step!r} to validate{suggest(step, list(STEPS))}")
    for module in STEPS[step]:
        importlib.import_module(f"clmassmod.validate.{module}")
    return [found for found in _CHECKS.values() if found.step == step]


def select(names: Sequence[str]) -> list[Check]:
    """Return the checks of names such as ``mock`` or ``mock/shape_noise``; all without a name.

    Raises
    ------
    ConfigError
        For an unknown step or check.
    """
    wanted: dict[str, None] = {}
    for name in names or list(STEPS):
        step, _, single = name.partition("/")
        found = {c.name: c for c in checks_of(step)}
        if single and single not in found:
            raise ConfigError(f"no check {single!r} of step {step!r}{suggest(single, list(found))}")
        wanted |= dict.fromkeys(c.key for c in found.values() if single in ("", c.name))
    order = {step: i for i, step in enumerate(STEPS)}
    return sorted((_CHECKS[key] for key in wanted), key=lambda c: order[c.step])


def run(checks: Sequence[Check], lab: Lab) -> Iterator[Outcome]:
    """Measure checks one by one; one that raises has failed and stops nobody."""
    for item in checks:
        start = time.perf_counter()
        value, error = math.nan, ""
        try:
            value = float(item.measure(lab))
        except Exception as raised:
            error = f"{type(raised).__name__}: {raised}"
        yield Outcome(
            item.step,
            item.name,
            value,
            item.tolerance,
            item.holds(value),
            round(time.perf_counter() - start, 3),
            item.at_least,
            item.quantity,
            item.proves,
            item.reason,
            item.source,
            " ".join(error.split()),
        )
