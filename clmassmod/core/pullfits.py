"""Normal, Student and Voigt distributions fitted to pulls by maximum likelihood."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LnDensity = Callable[[Array, Array], Array]  # of values (n,) and parameters: location, ln of the others

_LEAST_SCALE, _LARGEST_SCALE = 1e-3, 1e3  # in units of the values' own width
_NU = (0.3, 300.0)  # degrees of freedom; Student's t with 300 is normal for any sample
_STEP = 1e-3  # for second derivatives


@dataclass(frozen=True)
class DistributionFit:
    """Best parameters with their errors; NaN where the data do not bound a parameter.

    ``location`` and ``scale`` of all; ``nu`` degrees of freedom of Student's t; ``gamma``, half the width at
    half maximum of the Lorentzian that a Voigt profile convolves its normal distribution with.
    """

    name: str
    parameters: Mapping[str, float]
    errors: Mapping[str, float]
    ln_likelihood: float

    @property
    def aic(self) -> float:
        """Criterion of Akaike 1974, IEEE Trans. Autom. Control 19, 716: 2 k - 2 ln L, k the parameters."""
        return 2.0 * len(self.parameters) - 2.0 * self.ln_likelihood


def fit_pulls(values: Array) -> tuple[DistributionFit, ...]:
    """Return the normal, Student and Voigt distributions that fit values (n,) best.

    Values that are not finite do not count; none is returned for fewer than 5, nor for equal ones. Errors are
    those of independent values: too small where haloes share parents. They are from the second derivatives of
    -ln L in location and the logarithms of the others; those of the normal distribution, scale / sqrt(n) and
    scale / sqrt(2 n), are the same in closed form.
    """
    used = values[np.isfinite(values)]
    if len(used) < 5 or np.ptp(used) == 0:
        return ()
    low, middle, high = np.quantile(used, [0.16, 0.5, 0.84])
    width = max(0.5 * float(high - low), 1e-3 * float(np.ptp(used)))
    start, scale = float(middle), (_LEAST_SCALE * width, _LARGEST_SCALE * width)
    return (
        _normal(used),
        _fit("student", _ln_student, used, start, {"scale": (width, *scale), "nu": (5.0, *_NU)}),
        _fit("voigt", _ln_voigt, used, start, {n: (0.6 * width, *scale) for n in ("scale", "gamma")}),
    )


def _normal(x: Array) -> DistributionFit:
    from scipy.stats import norm

    location, scale = (float(v) for v in norm.fit(x))
    n = len(x)
    errors = {"location": scale / math.sqrt(n), "scale": scale / math.sqrt(2.0 * n)}
    ln_likelihood = float(norm.logpdf(x, location, scale).sum())
    return DistributionFit("normal", {"location": location, "scale": scale}, errors, ln_likelihood)


def _ln_student(x: Array, p: Array) -> Array:
    from scipy.stats import t

    return np.asarray(t.logpdf(x, math.exp(p[2]), p[0], math.exp(p[1])))


def _ln_voigt(x: Array, p: Array) -> Array:
    from scipy.special import voigt_profile

    return np.asarray(np.log(voigt_profile(x - p[0], math.exp(p[1]), math.exp(p[2]))))


def _fit(
    name: str,
    ln_density: LnDensity,
    x: Array,
    location: float,
    positive: Mapping[str, tuple[float, float, float]],
) -> DistributionFit:
    """Maximise; ``positive`` parameters (start, least, largest) are searched in their logarithm."""
    from scipy.optimize import minimize

    logs = np.log([ends for ends in positive.values()])
    reach = float(np.ptp(x))
    bounds = [(location - reach, location + reach), *[(row[1], row[2]) for row in logs]]

    def cost(p: Array) -> float:
        return -float(ln_density(x, p).sum())

    start = np.array([location, *logs[:, 0]])
    options = {"xatol": 1e-6, "fatol": 1e-8, "maxiter": 4000, "maxfev": 4000}
    best = minimize(cost, start, method="Nelder-Mead", bounds=bounds, options=options)
    error = _errors(cost, best.x, bounds)
    values = [float(best.x[0]), *[math.exp(v) for v in best.x[1:]]]
    names = ("location", *positive)
    to_value = [1.0, *values[1:]]  # d value = value d ln value
    errors = {n: float(e * v) for n, e, v in zip(names, error, to_value, strict=True)}
    return DistributionFit(name, dict(zip(names, values, strict=True)), errors, -float(best.fun))


def _errors(cost: Callable[[Array], float], best: Array, bounds: list[tuple[float, float]]) -> Array:
    """Return standard deviations from the observed information; NaN for parameters at their bounds."""
    free = [i for i, (low, high) in enumerate(bounds) if low + 2 * _STEP < best[i] < high - 2 * _STEP]
    n = len(free)
    hessian = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            total = 0.0
            for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
                p = best.copy()
                p[free[i]] += a * _STEP
                p[free[j]] += b * _STEP
                total += a * b * cost(p)
            hessian[i, j] = total / (4.0 * _STEP**2)
    out = np.full(len(best), np.nan)
    try:
        variance = np.diag(np.linalg.inv(hessian))
    except np.linalg.LinAlgError:
        return out
    out[free] = np.sqrt(np.where(variance > 0, variance, np.nan))
    return out
