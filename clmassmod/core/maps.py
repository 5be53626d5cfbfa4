"""Shear from convergence on a pixel grid, and values between pixels.

Kaiser & Squires 1993 (ApJ 404, 441) with the boundary of an isolated field: the kernel
-exp(2 i phi) / (pi r^2) is cut at a radius beyond which no pair of pixels lies, so that the copies of
the map that a Fourier transform implies do not act on each other (the construction of Vico, Greengard
& Ferrando 2016, J. Comput. Phys. 323, 191). Its transform is exp(2 i phi_k) (1 - 2 J1(k R) / (k R)).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clmassmod.records import Array

Box = tuple[int, int, int, int]
"""Rows y0 to y1 and columns x0 to x1 of a map, ends not included."""


def convergence_to_shear(
    kappa: ArrayLike, box: Box | None = None, disc: tuple[float, float, float] | None = None
) -> tuple[Array, Array]:
    """Return the shear that a map of convergence causes, as if nothing lay outside the map.

    Parameters
    ----------
    kappa
        Convergence, (y, x).
    box
        Part of the map where the shear is wanted; the whole map by default. A small box needs a
        smaller transform.
    disc
        x, y and radius in pixels of a circle outside of which the convergence is left out. What lies
        outside a map is unknown; a round edge about a halo makes it vanish on average, where a square
        one leaves a pattern of four poles (1 % of the shear at 3 Mpc in a map of 10 Mpc).

    Returns
    -------
    gamma1, gamma2
        Shears, (y, x) of the box.
    """
    kappa = np.asarray(kappa, dtype=float)
    n_y, n_x = kappa.shape
    y0, y1, x0, x1 = box or (0, n_y, 0, n_x)
    if disc is None:
        mass_y, mass_x = (0.0, n_y - 1.0), (0.0, n_x - 1.0)
        reach = math.hypot(max(y1 - 1, n_y - 1 - y0), max(x1 - 1, n_x - 1 - x0))
    else:
        x, y, radius = disc
        mass_y, mass_x = (y - radius, y + radius), (x - radius, x + radius)
        reach = radius + math.hypot(max(y1 - 1 - y, y - y0), max(x1 - 1 - x, x - x0))
        r2 = np.square(np.arange(n_y)[:, np.newaxis] - y) + np.square(np.arange(n_x) - x)
        kappa = np.where(r2 <= radius**2, kappa, 0.0)
    reach = math.ceil(reach + 1.0)
    size_y = _fast_size(max(n_y, reach + math.ceil(max(y1 - 1 - mass_y[0], mass_y[1] - y0))))
    size_x = _fast_size(max(n_x, reach + math.ceil(max(x1 - 1 - mass_x[0], mass_x[1] - x0))))
    spectrum = np.fft.fft(np.fft.rfft(kappa, n=size_x, axis=1), n=size_y, axis=0)
    shears = []
    for kernel in _shear_kernels(size_y, size_x, reach):
        rows = np.fft.ifft(spectrum * kernel, axis=0)[y0:y1]
        shears.append(np.fft.irfft(rows, n=size_x, axis=1)[:, x0:x1])
    return shears[0], shears[1]


@lru_cache(maxsize=4)
def _shear_kernels(size_y: int, size_x: int, reach_pixels: int) -> tuple[Array, Array]:
    k_y = 2.0 * np.pi * np.fft.fftfreq(size_y)[:, np.newaxis]
    k_x = 2.0 * np.pi * np.fft.rfftfreq(size_x)[np.newaxis, :]
    k2 = k_x**2 + k_y**2
    k2[0, 0] = 1.0
    cut = 1.0 - _two_j1_ratio(np.sqrt(k2) * reach_pixels)
    cut[0, 0] = 0.0
    cut /= k2
    first, second = (k_x**2 - k_y**2) * cut, 2.0 * k_x * k_y * cut
    # at the Nyquist frequency the sign of k is not defined, and an odd kernel has to vanish
    if size_y % 2 == 0:
        second[size_y // 2] = 0.0
    if size_x % 2 == 0:
        second[:, -1] = 0.0
    return first, second


# Rational approximations of the Bessel function J1, Abramowitz & Stegun 9.4.4 and 9.4.6
_J1_SMALL = (0.5, -0.56249985, 0.21093573, -0.03954289, 0.00443319, -0.00031761, 0.00001109)
_J1_MODULUS = (0.79788456, 0.00000156, 0.01659667, 0.00017105, -0.00249511, 0.00113653, -0.00020033)
_J1_PHASE = (-2.35619449, 0.12499612, 0.00005650, -0.00637879, 0.00074348, 0.00079824, -0.00029166)


def _two_j1_ratio(x: Array) -> Array:
    """Return 2 J1(x) / x to 1e-7, without the import of scipy.special, which a halo's job feels."""
    near = np.minimum(x, 3.0)
    inverse = 3.0 / np.maximum(x, 3.0)
    small = 2.0 * np.polynomial.polynomial.polyval((near / 3.0) ** 2, _J1_SMALL)
    modulus = np.polynomial.polynomial.polyval(inverse, _J1_MODULUS)
    phase = np.polynomial.polynomial.polyval(inverse, _J1_PHASE)
    far = 2.0 * modulus * np.cos(x + phase) / np.maximum(x, 3.0) ** 1.5
    return np.where(x < 3.0, small, far)


@lru_cache(maxsize=64)
def _fast_size(n: int) -> int:
    """Return the smallest even 2^a 3^b 5^c of at least n."""
    best: int = 2 ** math.ceil(math.log2(max(n, 2)))
    for fives in (1, 5, 25, 125):
        for threes in (1, 3, 9, 27, 81):
            odd = fives * threes
            twos = max(1, math.ceil(math.log2(max(n, 2) / odd)))
            best = min(best, odd * 2**twos)
    return best


def _cubic_weights(t: Array) -> NDArray[np.float64]:
    """Return the weights of four neighbours: Keys 1981 (IEEE TASSP 29, 1153), a = -1/2."""
    t2, t3 = t * t, t * t * t
    return np.stack(
        [
            -0.5 * t3 + t2 - 0.5 * t,
            1.5 * t3 - 2.5 * t2 + 1.0,
            -1.5 * t3 + 2.0 * t2 + 0.5 * t,
            0.5 * t3 - 0.5 * t2,
        ]
    )


def interpolate(images: Array, x_pixel: ArrayLike, y_pixel: ArrayLike) -> Array:
    """Return images at positions between pixels, by cubic convolution.

    Parameters
    ----------
    images
        Maps, (y, x, image).
    x_pixel, y_pixel
        Pixel coordinates, (source,): 0 is the middle of the first pixel. Positions must lie between
        1 and n - 2; see ``inside``.

    Returns
    -------
    ndarray
        (image, source).
    """
    n_x = images.shape[1]
    flat = images.reshape(-1, images.shape[2])
    x, y = np.asarray(x_pixel, dtype=float), np.asarray(y_pixel, dtype=float)
    column, row = np.floor(x), np.floor(y)
    weight_x, weight_y = _cubic_weights(x - column), _cubic_weights(y - row)
    first = (row.astype(np.intp) - 1) * n_x + column.astype(np.intp) - 1
    total = np.zeros((x.size, flat.shape[1]))
    for j in range(4):
        line = weight_x[0][:, np.newaxis] * flat.take(first + j * n_x, axis=0)
        for i in range(1, 4):
            line += weight_x[i][:, np.newaxis] * flat.take(first + j * n_x + i, axis=0)
        total += weight_y[j][:, np.newaxis] * line
    return total.T


def inside(shape: tuple[int, int], x_pixel: ArrayLike, y_pixel: ArrayLike) -> NDArray[np.bool_]:
    """Return which positions ``interpolate`` can serve in a map of this (y, x) shape."""
    x, y = np.asarray(x_pixel), np.asarray(y_pixel)
    n_y, n_x = shape
    return np.asarray((x >= 1) & (x < n_x - 2) & (y >= 1) & (y < n_y - 2))
