"""Noise of a shear profile from structure along the line of sight that has nothing to do with the halo."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from clmassmod.core.bessel import j0_j1
from clmassmod.core.interpolate import cubic
from clmassmod.records import Array


def annulus_filter(ell: Array, edges_rad: Array) -> Array:
    """Return the mean of J2(ell theta) over each annulus, (bin, ell).

    2 [F(ell theta_2) - F(ell theta_1)] / (ell^2 (theta_2^2 - theta_1^2)), F(x) = -2 J0(x) - x J1(x), with
    the power series of F where its terms cancel. dF/dx = 2 J1 - x J0 = x J2 (Abramowitz & Stegun 1964, eq.
    9.1.27 and 9.1.30). Angles theta in radians.
    """
    area = np.diff(edges_rad**2)[:, np.newaxis] * ell**2
    return np.asarray(2.0 * np.diff(_primitive(edges_rad[:, np.newaxis] * ell), axis=0) / area)


def _primitive(x: Array) -> Array:
    """Return F(x) + 2, the integral of x J2(x) from 0."""
    small = np.minimum(x, 0.5) ** 2
    # F(x) + 2 = x^4 / 32 (1 - x^2 / 18 + x^4 / 768 - x^6 / 57600 ...)
    series = small**2 / 32.0 * (1.0 - small / 18.0 * (1.0 - small * 3.0 / 128.0 * (1.0 - small / 75.0)))
    j0, j1 = j0_j1(x)
    return np.where(x < 0.5, series, 2.0 - 2.0 * j0 - x * j1)


_LN_X_LOW, _LN_X_HIGH, _LN_X_STEP = float(np.log(1e-3)), float(np.log(3e3)), 0.0025


@cache
def _primitive_table() -> Array:
    return _primitive(np.exp(np.arange(_LN_X_LOW, _LN_X_HIGH, _LN_X_STEP)))


def tabulated_annulus_filter(ell: Array, inner_rad: Array, outer_rad: Array) -> Array:
    """Return ``annulus_filter`` of any annuli (bin,), ten times as fast, (bin, ell).

    Interpolated to 1e-5 of its largest value where ell times the radius is below 100; beyond, where the
    filter oscillates within a step of the multipoles, it has the right size alone.
    """
    x = np.stack([inner_rad, outer_rad])[..., np.newaxis] * ell
    low = np.exp(_LN_X_LOW)
    primitive = cubic(np.log(np.maximum(x, low)), _LN_X_LOW, _LN_X_STEP, _primitive_table())
    primitive *= np.minimum(x / low, 1.0) ** 4
    area = (outer_rad**2 - inner_rad**2)[:, np.newaxis] * ell**2
    return np.asarray(2.0 * (primitive[1] - primitive[0]) / area)


def shear_covariance(ell: ArrayLike, power: ArrayLike, edges_rad: ArrayLike) -> Array:
    """Return the covariance of the mean tangential shear in annuli, (bin, bin).

    1 / (2 pi) * integral of ell d(ell) P_kappa(ell) g_i(ell) g_j(ell), g the filter of ``annulus_filter``:
    Hoekstra 2003 (MNRAS 339, 1155); Gruen et al. 2015 (MNRAS 449, 4264).

    Parameters
    ----------
    ell, power
        Multipoles, equally spaced in the logarithm, and the convergence power spectrum, (ell,).
    edges_rad
        Edges of adjoining annuli [radian], (bin + 1,).
    """
    ell, edges = np.asarray(ell, dtype=float), np.asarray(edges_rad, dtype=float)
    g = annulus_filter(ell, edges)
    step = np.log(ell[1] / ell[0])
    weight = ell**2 * np.asarray(power, dtype=float) * step / (2.0 * np.pi)
    weight[[0, -1]] *= 0.5
    return np.asarray((g * weight) @ g.T)


def multipoles(edges_rad: ArrayLike, n_min: int = 1024) -> Array:
    """Return multipoles, equally spaced in the logarithm, that resolve the filters of these annuli."""
    edges = np.asarray(edges_rad, dtype=float)
    low, high = 0.02 / edges[-1], 60.0 / edges[0]
    low = max(low, 1.0)
    # the fastest oscillation at which a filter still matters: ell theta_max = 100
    n = max(n_min, int(np.ceil(np.log(high / low) * 100.0)))
    return np.geomspace(low, high, n)
