"""The NFW profile's surface densities by interpolation: for fitters, which need them at thousands of radii.

Cubic Hermite interpolation in ln x of the closed forms of ``core.nfw``. Slopes are differences of these
forms for Sigma, and d mean / d ln x = 2 (Sigma - mean), as the mean is 2 / x^2 times the integral of x Sigma.
"""

from __future__ import annotations

import functools

import numpy as np

from clmassmod.core import nfw
from clmassmod.records import Array

STEP = 1.0 / 48.0  # in ln x: relative errors below 1e-8
_LOW, _HIGH = -18.0, 14.0


@functools.cache
def _coefficients() -> tuple[Array, ...]:
    """Return the coefficients (cell,) of 1, t, t^2, t^3 of both shapes, t the place in a cell."""
    ln_x = np.arange(_LOW, _HIGH + 0.5 * STEP, STEP)
    sigma, mean = nfw.shapes(np.exp(ln_x))
    e = 1e-3  # fourth-order differences leave 1e-12
    ahead, back, ahead2, back2 = (nfw.shapes(np.exp(ln_x + k * e))[0] for k in (1, -1, 2, -2))
    sigma_slope = (8.0 * (ahead - back) - (ahead2 - back2)) / (12.0 * e)
    excess_slope = 2.0 * (sigma - mean) - sigma_slope
    found: list[Array] = []
    for value, slope in ((sigma, sigma_slope), (mean - sigma, excess_slope)):
        y0, d0, d1 = value[:-1], STEP * slope[:-1], STEP * slope[1:]
        rise = value[1:] - y0
        found += [y0, d0, 3.0 * rise - 2.0 * d0 - d1, d0 + d1 - 2.0 * rise]
    return tuple(found)


def shapes(ln_x: Array) -> tuple[Array, Array]:
    """Return the surface density and the excess surface density at ln(R / r_s), of its shape.

    Units of rho_s r_s; relative error below 1e-8. Outside -18 < ln x < 14 the closed forms answer.
    """
    position = (ln_x - _LOW) * (1.0 / STEP)
    if position.size and not (position.min() >= 0.0 and position.max() < (_HIGH - _LOW) / STEP):
        sigma, mean = nfw.shapes(np.exp(ln_x))
        return sigma, mean - sigma
    cell = position.astype(np.intp)
    position -= cell
    parts = []
    coefficients = _coefficients()
    for first in (0, 4):
        c0, c1, c2, value = (c.take(cell) for c in coefficients[first : first + 4])
        for lower in (c2, c1, c0):
            value *= position
            value += lower
        parts.append(value)
    return parts[0], parts[1]
