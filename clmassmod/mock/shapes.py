"""From lensing to ellipticities: reduced shear, shear bias, shape noise, magnification."""

from __future__ import annotations

import numpy as np

from clmassmod.config.survey import Survey
from clmassmod.records import Array


def reduced_shears(kappa: Array, gamma1: Array, gamma2: Array, beta_s: Array) -> tuple[Array, Array]:
    """Return what ellipticities estimate: g, or 1 / g* where |g| > 1, (source,) each.

    Seitz & Schneider 1997 (A&A 318, 687).
    """
    factor = beta_s / (1.0 - beta_s * kappa)
    g1, g2 = gamma1 * factor, gamma2 * factor
    square = g1 * g1 + g2 * g2
    strong = square > 1.0
    if strong.any():
        g1[strong] /= square[strong]
        g2[strong] /= square[strong]
    return g1, g2


def count_factor(
    kappa: Array, gamma1: Array, gamma2: Array, beta_s: Array, slope: float, largest: float
) -> Array:
    """Return by what lensing multiplies the number of galaxies, mu^(2.5 slope - 1), (source,).

    Broadhurst, Taylor & Peacock 1995 (ApJ 438, 49).
    """
    inverse = (1.0 - beta_s * kappa) ** 2 - beta_s**2 * (gamma1 * gamma1 + gamma2 * gamma2)
    with np.errstate(divide="ignore"):
        factor = np.abs(inverse) ** (1.0 - 2.5 * slope)
    return np.asarray(np.minimum(factor, largest))


def noise_of(survey: Survey, magnitude: Array | None) -> Array | None:
    """Return each galaxy's shape noise, (source,), or None where it is the same for all."""
    if magnitude is None or survey.magnitudes is None or survey.magnitudes.shape_noise is None:
        return None
    return _between(magnitude, survey.magnitudes.shape_noise)


def _between(magnitude: Array, pairs: list[tuple[float, float]]) -> Array:
    table = np.asarray(pairs)
    return np.asarray(np.interp(magnitude, table[:, 0], table[:, 1]))


def ellipticities(
    survey: Survey,
    g1: Array,
    g2: Array,
    magnitude: Array | None,
    noise: Array | None,
    rng: np.random.Generator,
) -> tuple[Array, Array]:
    """Return ellipticities with shear bias and normal noise, (source,) each."""
    gain: Array | float = 1.0 + survey.shear_m
    if magnitude is not None and survey.magnitudes is not None and survey.magnitudes.shear_m is not None:
        gain = gain + _between(magnitude, survey.magnitudes.shear_m)
    e1, e2 = gain * g1 + survey.shear_c[0], gain * g2 + survey.shear_c[1]
    sigma = survey.shape_noise if noise is None else noise
    if np.any(sigma):
        draws = rng.standard_normal((2, g1.size))
        e1 += sigma * draws[0]
        e2 += sigma * draws[1]
    if not np.isfinite(np.sum(e1) + np.sum(e2)):
        raise FloatingPointError("the lensing of this halo is not finite at some galaxy")
    return e1, e2
