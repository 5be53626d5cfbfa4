"""Population models by name: which parameters they have, and their default priors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from clmassmod.errors import ConfigError
from clmassmod.registry import suggest

Range = tuple[float, float]

KERNELS = ("normal", "student", "mixture")

EXTRA_PRIORS: Mapping[str, dict[str, Range]] = {
    "normal": {},
    "student": {"student_nu": (2.0, 100.0)},
    "mixture": {"outlier_fraction": (0.0, 0.5), "outlier_shift": (-1.5, 1.5), "outlier_ratio": (1.0, 10.0)},
}

# a component that is narrower than the first would be the first, and not be resolved
LIMITS: Mapping[str, Range] = {
    "student_nu": (0.5, math.inf),
    "outlier_fraction": (0.0, 1.0),
    "outlier_ratio": (1.0, math.inf),
}

POSITIVE = ("scatter", "student_nu", "outlier_ratio")  # their priors are uniform in the logarithm


@dataclass(frozen=True)
class Model:
    """A population model.

    ``kernel`` is the distribution of ln M about its mean: normal; Student's t with ``student_nu`` degrees of
    freedom nu and ``scatter`` its scale, whose standard deviation is sqrt(nu / (nu - 2)) times as large; or a
    mixture of two normal distributions, (1 - w) N(m, s^2) + w N(m + d, (k s)^2), with w ``outlier_fraction``,
    d ``outlier_shift`` in ln M and k ``outlier_ratio``. The mean m and ``scatter`` s are those of the first.
    """

    name: str
    kernel: str
    trend: bool


def parse(name: str) -> Model:
    """Return the model of a name: constant, trend, student, mixture, or trend with one of the last two.

    Raises
    ------
    ConfigError
        For any other name.
    """
    known = ["constant", "trend", "student", "mixture", "trend+student", "trend+mixture"]
    if name not in known:
        raise ConfigError(f"unknown model {name!r}{suggest(name, known)}")
    parts = name.split("+")
    kernel = parts[-1] if parts[-1] in KERNELS else "normal"
    return Model(name, kernel, "trend" in parts)
