"""Point and posterior estimates of a halo's mass from its likelihood on the mass grid."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np

from clmassmod.core.gridstats import Axis, refine, summarise
from clmassmod.errors import ConfigError
from clmassmod.fitters.grid import MASS_GRID_MSUN
from clmassmod.records import Array, HaloFit

MassPrior = Literal["flat", "log"]
_RESOLVED, _FINER = 8, 8  # nodes within one standard deviation of the peak; so many times more, where fewer
_WITHIN = 0.5  # of the maximum of ln L: one standard deviation of a normal one
_AXES = {"flat": Axis(MASS_GRID_MSUN), "log": Axis(np.log(MASS_GRID_MSUN))}  # of nearly all haloes
_POSTERIOR = (
    "mass_mean_msun",
    "mass_median_msun",
    "mass_mode_msun",
    "mass_hdi68_lo_msun",
    "mass_hdi68_hi_msun",
)


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
    mode and interval are those of ln M; mean and median are of M for both.

    Parameters
    ----------
    mass_msun : array (mass,)
        Positive and increasing, in any steps.
    ln_like : array (mass,)
    prior : {"flat", "log"}
    """
    like = np.exp(ln_like - ln_like.max())
    if mass_msun is MASS_GRID_MSUN:
        axis = _AXES[prior]
    else:
        axis = Axis(mass_msun if prior == "flat" else np.log(mass_msun))
    values: tuple[float, ...] = summarise(axis, like)
    if prior == "log":
        share = like * axis.weight
        values = (float(share @ mass_msun / share.sum()), *map(math.exp, values[1:]))
    return dict(zip(_POSTERIOR, values, strict=True))


def quantities(method: str) -> tuple[str, ...] | None:
    """Return the names in the summaries of a fitter; None for one that is not of this package."""
    if method not in ("scan", "curvefit", "nuts"):
        return None
    return (
        "mass_ml_msun", "mass_err_msun", *_POSTERIOR, "snr", "chi2", "dof", "p_value", "n_bins",
        "concentration_ml",
    )  # fmt: skip


def with_summary(fit: HaloFit, prior: MassPrior) -> HaloFit:
    """Return a fit with estimates from its likelihood, where a fitter of the user's gave none."""
    if fit.status != "ok" or fit.summary:
        return fit
    ln_like = fit.ln_like[fit.mass_definition]
    flat = posterior_summary(fit.mass_msun, ln_like, "flat")
    found = flat if prior == "flat" else posterior_summary(fit.mass_msun, ln_like, prior)
    return replace(fit, summary={"mass_ml_msun": flat["mass_mode_msun"], **found})


def maximum(
    mass_msun: Array, ln_like_positive: Array, ln_like_negative: Array | None, ln_like_zero: float
) -> Best:
    """Return the maximum over masses of both signs, and its error.

    The error is half the range in which ln L is within 1/2 of its maximum, across zero if it must; NaN
    where that range leaves the grid.

    Parameters
    ----------
    mass_msun : array (mass,)
        Positive, equally spaced in the logarithm about the maximum.
    ln_like_positive, ln_like_negative : array (mass,)
        At M and at -M; None where ``matters`` says that it does not matter.
    ln_like_zero : float
    """
    zero = 0 if ln_like_negative is None else len(mass_msun)
    values = np.empty(zero + 1 + len(mass_msun))
    if ln_like_negative is not None:
        values[:zero] = ln_like_negative[::-1]
    values[zero], values[zero + 1 :] = ln_like_zero, ln_like_positive
    peak = int(values.argmax())
    best, top = _signed(mass_msun, peak - zero), float(values[peak])
    if abs(peak - zero) > 1 and 0 < peak < len(values) - 1:
        shift, top = _vertex(*values[peak - 1 : peak + 2].tolist())
        i = abs(peak - zero) - 1
        step = math.log(mass_msun[i] / mass_msun[i - 1])
        best *= math.exp(shift * step if best > 0 else -shift * step)
    low, high = (_crossing(mass_msun, values, zero, peak, way, top - _WITHIN) for way in (-1, 1))
    return Best(best, 0.5 * (high - low), top)


def matters(ln_like_negative: float, ln_like_zero: float, ln_like_best: float) -> bool:
    """Return whether masses below zero may hold the maximum of a likelihood or an end of its error.

    Parameters
    ----------
    ln_like_negative, ln_like_zero, ln_like_best : float
        What ln L does not exceed below zero, at zero, and its maximum above zero.
    """
    return max(ln_like_negative, ln_like_zero) > ln_like_best - _WITHIN - 0.1  # interpolated between nodes


def _signed(mass_msun: Array, i: int) -> float:
    """Return the i-th positive mass; zero for i = 0, and the negative ones below."""
    return 0.0 if i == 0 else math.copysign(float(mass_msun[abs(i) - 1]), i)


def _vertex(left: float, middle: float, right: float) -> tuple[float, float]:
    """Return place, in steps from the middle, and height of the parabola through three nodes."""
    curvature = left - 2.0 * middle + right
    if curvature >= 0:
        return 0.0, middle
    shift = 0.5 * (left - right) / curvature
    return shift, middle - 0.25 * (left - right) * shift


def _crossing(mass_msun: Array, values: Array, zero: int, peak: int, way: int, level: float) -> float:
    """Return the signed mass where values, from the peak one way, first fall below a level; NaN: nowhere."""
    below = values[peak::way] < level
    first = int(below.argmax())
    if not below[first]:
        return math.nan
    place = peak + way * first
    mass = _signed(mass_msun, place - zero)
    if first == 0:
        return mass
    before = float(values[place - way])
    share = (before - level) / (before - float(values[place]))
    inner = _signed(mass_msun, place - way - zero)
    return inner + share * (mass - inner)


def refined(mass_msun: Array, ln_like: Array) -> tuple[Array, Array]:
    """Return masses and ln L with more of them about a peak that the given ones hardly resolve.

    Cubics in ln M between four nodes, as for ensembles; estimates draw straight lines from node to node.
    Masses that are not equally spaced in the logarithm stay as they are.

    Parameters
    ----------
    mass_msun : array (mass,)
        Positive.
    ln_like : array (mass,)
    """
    peak, n = int(ln_like.argmax()), len(ln_like)
    inside = int(np.count_nonzero(ln_like > ln_like[peak] - _WITHIN))
    if inside >= _RESOLVED or not np.isfinite(ln_like).all():
        return mass_msun, ln_like
    steps = np.diff(np.log(mass_msun))
    if np.ptp(steps) > 1e-6 * steps.mean():
        return mass_msun, ln_like
    factor = _FINER * math.ceil(_RESOLVED / inside)
    first, last = max(peak - 3 * _RESOLVED, 0), min(peak + 3 * _RESOLVED, n - 1)
    fine = refine(ln_like[first : last + 1], factor)
    ln_mass = np.linspace(math.log(mass_msun[first]), math.log(mass_msun[last]), len(fine))
    masses = (mass_msun[:first], np.exp(ln_mass), mass_msun[last + 1 :])
    return np.concatenate(masses), np.concatenate((ln_like[:first], fine, ln_like[last + 1 :]))


def summarise_mass(
    mass_msun: Array, positive: Array, negative: Array | None, zero: float, prior: MassPrior
) -> dict[str, float]:
    """Return the estimates of a mass [Msun] from ln L at masses M and -M, (mass,), and at zero."""
    if negative is None:  # detected well: the peak may be narrow
        mass_msun, positive = refined(mass_msun, positive)
    best = maximum(mass_msun, positive, negative, zero)
    return {
        "mass_ml_msun": best.mass_msun,
        "mass_err_msun": best.error_msun,
        **posterior_summary(mass_msun, positive, prior),
        "snr": significance(best.ln_like, zero, best.mass_msun),
    }


def significance(ln_like_best: float, ln_like_zero: float, mass_msun: float) -> float:
    """Return the signal-to-noise ratio of a detection, sqrt(2 (ln L_best - ln L_0)), with the mass' sign.

    Wilks 1938, Ann. Math. Stat. 9, 60, for one parameter. L_0 is that of no signal at all, a two-halo term's
    included.
    """
    return math.copysign(math.sqrt(2.0 * max(ln_like_best - ln_like_zero, 0.0)), mass_msun)


def chi2_probability(chi2: float, dof: int) -> float:
    """Return the probability of a larger chi squared for a whole number of degrees of freedom.

    Abramowitz & Stegun 1964, eq. 26.4.4 and 26.4.5: with x = chi2 / 2 the sum of x^k exp(-x) / Gamma(k + 1)
    over k = 0, 1 ... dof / 2 - 1, or for an odd number erfc(sqrt(x)) and the sum over k = 1/2, 3/2 ... .
    Terms by their logarithms, as exp(-x) is no number for thousands of galaxies. No import of scipy, which
    costs more than a fit. NaN without degree of freedom.
    """
    if dof < 1:
        return math.nan
    half = 0.5 * chi2
    if half == 0:
        return 1.0
    odd, ln_half = dof % 2, math.log(half)
    total = math.erfc(math.sqrt(half)) if odd else 0.0
    for k in range(dof // 2):
        power = k + 0.5 * odd
        total += math.exp(power * ln_half - half - math.lgamma(power + 1.0))
    return min(total, 1.0)
