"""Nonlinear matter power spectrum by the revised halofit of Takahashi et al. 2012 (ApJ 761, 152), appendix.

Accurate to about 5 per cent for k < 1 h/Mpc and 10 per cent for k < 10 h/Mpc, as its authors say.
"""

from __future__ import annotations

import numpy as np

from clmassmod.cosmology.model import Cosmology, matter_fraction
from clmassmod.records import Array

_LN_K = np.linspace(np.log(1e-5), np.log(1e4), 6000)  # 1/Mpc, of the integrals over the linear spectrum


def nonlinear_power(
    cosmology: Cosmology, z: float, k_mpc: Array, linear_mpc3: Array, linear_on_grid_mpc3: Array
) -> Array:
    """Return the nonlinear power spectrum in comoving Mpc3, of the shape of ``k_mpc``.

    Parameters
    ----------
    cosmology, z
        For the densities of matter and dark energy.
    k_mpc, linear_mpc3
        Wave numbers in 1/Mpc, and the linear spectrum at ``z`` there.
    linear_on_grid_mpc3
        The linear spectrum at ``z`` on ``wave_numbers()``.
    """
    dimensionless = linear_on_grid_mpc3 * wave_numbers() ** 3 / (2.0 * np.pi**2)
    scale = _nonlinear_scale(dimensionless)
    if scale is None:  # nothing has collapsed yet
        return linear_mpc3
    k_sigma, n, curvature = scale
    dark = float(1.0 - matter_fraction(cosmology, z)) * (1.0 + cosmology.w0 + cosmology.wa * z / (1.0 + z))
    delta = linear_mpc3 * k_mpc**3 / (2.0 * np.pi**2)
    total = _delta(delta, k_mpc / k_sigma, n, curvature, float(matter_fraction(cosmology, z)), dark)
    return np.asarray(total * 2.0 * np.pi**2 / k_mpc**3)


def wave_numbers() -> Array:
    """Return the wave numbers in 1/Mpc on which the integrals need the linear spectrum."""
    return np.exp(_LN_K)


def _nonlinear_scale(delta: Array) -> tuple[float, float, float] | None:
    """Return k_sigma, effective slope and curvature, for a Gaussian filter."""
    k, step = wave_numbers(), _LN_K[1] - _LN_K[0]

    def variance(ln_radius: float) -> float:
        return float((delta * np.exp(-((k * np.exp(ln_radius)) ** 2))).sum() * step)

    low, high = np.log(1e-3), np.log(1e2)
    if variance(low) < 1:
        return None
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if variance(middle) > 1 else (low, middle)
    radius = np.exp(0.5 * (low + high))
    y2 = (k * radius) ** 2
    weight = delta * np.exp(-y2) * step
    first = 2.0 * float((weight * y2).sum())
    second = 4.0 * float((weight * (y2 - y2**2)).sum())
    return 1.0 / radius, first - 3.0, first**2 + second


def _delta(linear: Array, y: Array, n: float, c: float, omega_m: float, dark: float) -> Array:
    """Return the dimensionless nonlinear spectrum with the coefficients of the appendix.

    ``dark`` is Omega_w(z) (1 + w(z)).
    """
    a = 10 ** (
        1.5222 + 2.8553 * n + 2.3706 * n**2 + 0.9903 * n**3 + 0.2250 * n**4 - 0.6038 * c + 0.1749 * dark
    )
    b = 10 ** (-0.5642 + 0.5864 * n + 0.5716 * n**2 - 1.5474 * c + 0.2279 * dark)
    c_n = 10 ** (0.3698 + 2.0404 * n + 0.8161 * n**2 + 0.5869 * c)
    gamma = 0.1971 - 0.0843 * n + 0.8460 * c
    alpha = abs(6.0835 + 1.3373 * n - 0.1959 * n**2 - 5.5274 * c)
    beta = 2.0379 - 0.7354 * n + 0.3157 * n**2 + 1.2490 * n**3 + 0.3980 * n**4 - 0.1682 * c
    nu = 10 ** (5.2105 + 3.6902 * n)
    f1, f2, f3 = omega_m**-0.0307, omega_m**-0.0585, omega_m**0.0743
    quasi = linear * (1.0 + linear) ** beta / (1.0 + alpha * linear) * np.exp(-y / 4.0 - y**2 / 8.0)
    halo = a * y ** (3.0 * f1) / (1.0 + b * y**f2 + (c_n * f3 * y) ** (3.0 - gamma))
    return np.asarray(quasi + halo / (1.0 + nu / y**2))
