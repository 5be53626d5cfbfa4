"""Point and posterior estimates of a halo's mass from its likelihood on the mass grid."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np

from clmassmod.core.gridstats import summarise
from clmassmod.errors import ConfigError
from clmassmod.fitters.marginal import SignedLikelihood
from clmassmod.records import Array, HaloFit

MassPrior = Literal["flat", "log"]


class Best(NamedTuple):
    """Maximum of a likelihood over masses of both signs."""

    mass_msun: float
    error_msun: float
    ln_like: float


def check_prior(prior: str) -> None:
    """Raise ConfigError unless the prior is known."""
    if prior not in ("flat", "log"):
        raise ConfigError(f"mass prior {prior!r} is neither 'flat' (in mass) nor 'log' (flat in ln M)")


def posterior_summary(mass_msun: Array, ln_like: Array, prior: MassPrior) -> dict[str, float]:
    """Return mean, median, mode and 68 % highest-density interval of the mass [Msun].

    Under a prior between the ends of the grid, which is flat in M, or flat in ln M: then a noisy halo's
    posterior is bounded by the lower end alone. Densities are per unit of M, or of ln M for "log", whose
    mode and interval are those of ln M.
    """
    like = np.exp(ln_like - ln_like.max())
    x = mass_msun if prior == "flat" else np.log(mass_msun)
    found = summarise(x, like)
    if prior == "flat":
        mean = found.mean
        values = [float(v) for v in found[2:]]
    else:
        mean = float(like @ mass_msun / like.sum())
        values = [math.exp(v) for v in found[2:]]
    names = ("median", "mode", "hdi68_lo", "hdi68_hi")
    summary = {f"mass_{name}_msun": v for name, v in zip(names, values, strict=True)}
    return {"mass_mean_msun": mean, **summary}


def with_summary(fit: HaloFit, prior: MassPrior) -> HaloFit:
    """Return a fit with estimates from its likelihood, where a fitter of the user's gave none."""
    if fit.status != "ok" or fit.summary:
        return fit
    ln_like = fit.ln_like[fit.mass_definition]
    like = np.exp(ln_like - ln_like.max())
    found = {"mass_ml_msun": float(summarise(fit.mass_msun, like).mode)}
    return replace(fit, summary={**found, **posterior_summary(fit.mass_msun, ln_like, prior)})


def maximum(mass_msun: Array, ln_like_positive: Array, ln_like_negative: Array, ln_like_zero: float) -> Best:
    """Return the maximum over masses of both signs, and its error.

    The error is half the range in which ln L is within 1/2 of its maximum, across zero if it must; NaN
    where that range leaves the grid.

    Parameters
    ----------
    mass_msun : array (mass,)
        Positive, equally spaced in the logarithm.
    ln_like_positive, ln_like_negative : array (mass,)
        At M and at -M.
    ln_like_zero : float
    """
    masses = np.concatenate([-mass_msun[::-1], [0.0], mass_msun])
    values = np.concatenate([ln_like_negative[::-1], [ln_like_zero], ln_like_positive])
    peak = int(np.argmax(values))
    n = len(mass_msun)
    best, top = float(masses[peak]), float(values[peak])
    if abs(peak - n) > 1 and 0 < peak < 2 * n:
        shift, top = _vertex(*(float(v) for v in values[peak - 1 : peak + 2]))
        step = math.log(mass_msun[1] / mass_msun[0])
        best *= math.exp(shift * step if best > 0 else -shift * step)
    level = top - 0.5
    low = _crossing(masses[peak::-1], values[peak::-1], level)
    high = _crossing(masses[peak:], values[peak:], level)
    return Best(best, 0.5 * (high - low), top)


def _vertex(left: float, middle: float, right: float) -> tuple[float, float]:
    """Return place, in steps from the middle, and height of the parabola through three nodes."""
    curvature = left - 2.0 * middle + right
    if curvature >= 0:
        return 0.0, middle
    shift = 0.5 * (left - right) / curvature
    return shift, middle - 0.25 * (left - right) * shift


def _crossing(masses: Array, values: Array, level: float) -> float:
    """Return where values, from the peak outwards, first fall below a level."""
    below = values < level
    first = int(np.argmax(below))
    if not below[first]:
        return math.nan
    if first == 0:
        return float(masses[0])
    share = (values[first - 1] - level) / (values[first - 1] - values[first])
    return float(masses[first - 1] + share * (masses[first] - masses[first - 1]))


def summarise_mass(mass_msun: Array, ln_like: SignedLikelihood, prior: MassPrior) -> dict[str, float]:
    """Return the estimates of a mass from ln L at masses of both signs on the mass grid [Msun]."""
    best = maximum(mass_msun, ln_like.positive, ln_like.negative, ln_like.zero)
    return {
        "mass_ml_msun": best.mass_msun,
        "mass_err_msun": best.error_msun,
        **posterior_summary(mass_msun, ln_like.positive, prior),
        "snr": significance(best.ln_like, ln_like.zero, best.mass_msun),
    }


def significance(ln_like_best: float, ln_like_zero: float, mass_msun: float) -> float:
    """Return the signal-to-noise ratio of a detection, sqrt(2 (ln L_best - ln L_0)), with the mass' sign."""
    return math.copysign(math.sqrt(2.0 * max(ln_like_best - ln_like_zero, 0.0)), mass_msun)


def chi2_probability(chi2: float, dof: int) -> float:
    """Return the probability of a larger chi squared for a whole number of degrees of freedom.

    Abramowitz & Stegun 1964, eq. 26.4.4 and 26.4.5; no import of scipy, which costs more than a fit.
    """
    if dof < 1:
        return math.nan
    half = 0.5 * chi2
    if dof % 2 == 0:
        term = total = math.exp(-half)
        terms = range(1, dof // 2)
    else:
        total = math.erfc(math.sqrt(half))
        if dof == 1:
            return total
        term = 2.0 * math.sqrt(half / math.pi) * math.exp(-half)
        total += term
        terms = range(2, (dof + 1) // 2)
    for k in terms:
        term *= half / (k if dof % 2 == 0 else k - 0.5)
        total += term
    return min(total, 1.0)
