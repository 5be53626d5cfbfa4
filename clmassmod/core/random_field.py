"""Gaussian random convergence and its shear on a periodic square."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from clmassmod.core.maps import interpolate
from clmassmod.core.units import ARCMIN_RAD
from clmassmod.records import Array

_MARGIN = 2


class RandomField:
    """One realisation of convergence with a given power spectrum.

    Parameters
    ----------
    ell, power
        Multipoles, increasing, and the convergence power spectrum at them, (ell,); interpolated in
        logarithms, none outside.
    size_arcmin, pixel_arcmin
        Side of the square, which repeats beyond, and of its pixels.
    rng
        For the realisation.
    """

    def __init__(
        self, ell: Array, power: Array, size_arcmin: float, pixel_arcmin: float, rng: np.random.Generator
    ) -> None:
        n = max(16, 2 * math.ceil(0.5 * size_arcmin / pixel_arcmin))
        self.size_arcmin = size_arcmin
        self._pixel = size_arcmin / n
        frequency = 2.0 * np.pi / (self._pixel * ARCMIN_RAD)
        l_y = frequency * np.fft.fftfreq(n)[:, np.newaxis]
        l_x = frequency * np.fft.rfftfreq(n)[np.newaxis, :]
        l2 = l_x**2 + l_y**2
        l2[0, 0] = 1.0
        with np.errstate(divide="ignore"):
            amplitude = np.exp(
                0.5 * np.interp(0.5 * np.log(l2), np.log(ell), np.log(power), -np.inf, -np.inf)
            )
        amplitude[0, 0] = 0.0
        # white noise of unit variance a pixel has the power of one pixel's solid angle
        white = np.fft.rfft2(rng.standard_normal((n, n)))
        kappa = white * amplitude / (self._pixel * ARCMIN_RAD)
        kappa[n // 2] = 0.0  # the shear of a wave at the Nyquist frequency has no sign
        kappa[:, -1] = 0.0
        fields = (kappa, kappa * (l_x**2 - l_y**2) / l2, kappa * 2.0 * l_x * l_y / l2)
        images = np.stack([np.fft.irfft2(f, s=(n, n)) for f in fields], axis=-1)
        self._images = np.pad(images, ((_MARGIN, _MARGIN + 1), (_MARGIN, _MARGIN + 1), (0, 0)), mode="wrap")

    def at(self, x_arcmin: Array, y_arcmin: Array) -> tuple[Array, Array, Array]:
        """Return convergence, gamma1 and gamma2 at positions from the middle of the square, (source,)."""
        x, y = (
            np.mod(v / self._pixel, self.size_arcmin / self._pixel) + _MARGIN for v in (x_arcmin, y_arcmin)
        )
        kappa, gamma1, gamma2 = interpolate(self._images, x, y)
        return kappa, gamma1, gamma2

    def covers(self, x_arcmin: Array, y_arcmin: Array) -> NDArray[np.bool_]:
        """Return that every position is covered, the field repeating, (source,)."""
        return np.ones(np.broadcast_shapes(x_arcmin.shape, y_arcmin.shape), dtype=bool)
