"""Profiles about a centre that is not the halo's own.

The surface density averaged over a circle of radius R whose centre lies s from the halo's is

    sigma(R | s)      = (1 / pi) * integral over phi of sigma(d),          d^2 = R^2 + s^2 - 2 R s cos(phi)
    mean sigma(R | s) = (1 / pi) * integral over phi of mean sigma(d) (R - s cos(phi)) / R,

the second by Gauss's law: the mass inside the circle is the flux of the deflection field, which is
mean sigma(d) d about the halo's centre, through it. So neither needs a radial integral, and with a
profile that is interpolated between nodes equally spaced in ln d both are linear in its values: one matrix
for each serves all masses and profiles. (Yang et al. 2006, MNRAS 373, 1159, for the first; Johnston
et al. 2007, arXiv:0709.1159, for the distributions.)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from clmassmod.core.projected import Projected
from clmassmod.core.quadrature import unit_nodes
from clmassmod.errors import ConfigError
from clmassmod.records import Array

DISTRIBUTIONS = ("fixed", "rayleigh", "gamma")

_INNERMOST = 1e-4  # of the smallest radius: what lies inside is extrapolated in ln d
_CUSP = 1e-8  # the same where circles of one fixed offset pass the halo's centre closer than that
_ANGLES = 64
_ANGLES_OF_FITS = 32  # errors below those of the step in ln d, also of circles that pass the halo's centre
_OFFSETS = 32  # in each of three panels
_BLOCK = 200
_TOGETHER = 8  # nodes of a grid come by so many


@dataclass(frozen=True)
class Miscentring:
    """Linear operator from a centred profile to its mean about wrong centres.

    ``grid_mpc`` (node,): radii at which it takes the centred profile; ``sigma`` and ``mean_sigma``
    (bin, node), or (offset, bin, node): weights.
    """

    grid_mpc: Array
    sigma: Array
    mean_sigma: Array

    def __call__(self, centred: Callable[[Array], Projected]) -> Projected:
        """Return the miscentred surface densities, (..., bin) or (..., offset, bin).

        Parameters
        ----------
        centred
            Returns the surface densities of the centred profile, (..., node), on radii (node,).
        """
        return self.of(centred(self.grid_mpc))

    def of(self, profile: Projected) -> Projected:
        """Return the same from the centred surface densities on the grid, (..., node)."""
        mean = self._on_bins(profile.mean_sigma, self.mean_sigma)
        sigma = self._on_bins(profile.sigma, self.sigma)
        return Projected(sigma, mean - sigma)

    @staticmethod
    def _on_bins(values: Array, weights: Array) -> Array:
        rows = weights.reshape(-1, weights.shape[-1])
        return np.asarray(values @ rows.T).reshape(*values.shape[:-1], *weights.shape[:-1])


def miscentring(
    radius_mpc: ArrayLike,
    distribution: str = "fixed",
    scale_mpc: float = 0.0,
    *,
    sample_mpc: ArrayLike | None = None,
    step: float = 0.03,
) -> Miscentring:
    """Return the operator for a distribution of projected offsets s between centres.

    Parameters
    ----------
    radius_mpc
        Radii about the wrong centre, (bin,).
    distribution
        "fixed": every halo is off by ``scale_mpc``; "rayleigh": s / scale^2 exp(-s^2 / (2 scale^2));
        "gamma": s / scale^2 exp(-s / scale).
    scale_mpc
        Above 0.
    sample_mpc
        Offsets, (n,), of equal weight, instead of distribution and scale.
    step
        Of the grid in ln d. The default leaves errors of 2e-7 for haloes, more (as step^4) only where a
        profile has fallen steeply to little.

    Raises
    ------
    ConfigError
        For an unknown distribution or an offset that is negative or not finite.
    """
    radius = np.asarray(radius_mpc, dtype=float)
    if sample_mpc is not None:
        offset = np.sort(np.asarray(sample_mpc, dtype=float).ravel())
        if not offset.size or not np.all(np.isfinite(offset) & (offset >= 0)):
            raise ConfigError("a sample of centre offsets must hold finite numbers, none below 0")
        offsets = np.tile(offset, (len(radius), 1))
        weights = np.full_like(offsets, 1.0 / offset.size)
    else:
        offsets, weights = _distribution(radius, distribution, scale_mpc)
    return _operator(radius, offsets, weights, step)


def at_offsets(radius_mpc: ArrayLike, offset_mpc: ArrayLike, step: float = 0.06) -> Miscentring:
    """Return the operator of one fixed offset, or of several (offset,), each of which may be 0.

    The same as ``miscentring(radius_mpc, "fixed", s)`` for each, at once; errors of 1e-5 with its step in
    ln d, as an integral over the offset needs.
    """
    radius, offset = np.asarray(radius_mpc, dtype=float), np.asarray(offset_mpc, dtype=float)
    low, n = _grid(np.log(_INNERMOST * radius.min()), np.log(radius.max() + offset.max()), step)
    u, w = unit_nodes(_ANGLES_OF_FITS)
    phi, w_phi = np.pi * u**3, 3.0 * u**2 * w
    r, s = radius[:, np.newaxis], offset.reshape(-1, 1, 1)
    d = np.sqrt((r - s) ** 2 + 4.0 * r * s * np.sin(0.5 * phi) ** 2)
    position = (np.log(np.maximum(d, 1e-300)) - low) / step
    first, terms = _stencil(position, n)
    rows = offset.size * len(radius)
    row = np.arange(rows).reshape(offset.size, len(radius), 1) * n + first
    place = np.array([row, row + 1, row + 2, row + 3]).ravel()
    weight = w_phi * np.array(terms)
    along = (r - s * np.cos(phi)) / r

    def summed(values: Array) -> Array:
        total = np.bincount(place, values.ravel(), minlength=rows * n).astype(float, copy=False)
        return total.reshape(*offset.shape, len(radius), n)

    return Miscentring(np.exp(low + step * np.arange(n)), summed(weight), summed(weight * along))


def lattice(low: float, high: float, step: float, together: int) -> tuple[int, int]:
    """Return the first and the number of nodes, multiples of ``step``, that cover a range and three more.

    Rounded outwards to so many ``together``, so that haloes of about the same radii share a grid and what is
    computed on it.
    """
    width = together * step
    first, end = math.floor(low / width), math.ceil((high + 3.0 * step) / width)
    return first * together, (end - first) * together


def _grid(low: float, high: float, step: float) -> tuple[float, int]:
    first, n = lattice(low, high, step, _TOGETHER)
    return first * step, n


def _distribution(radius: Array, distribution: str, scale: float) -> tuple[Array, Array]:
    """Return nodes and weights (bin, node) of the offsets; in panels that meet at the kink, s = R."""
    if distribution not in DISTRIBUTIONS:
        raise ConfigError(
            f"unknown distribution of offsets {distribution!r} (known: {', '.join(DISTRIBUTIONS)})"
        )
    if not 0 < scale < np.inf:
        raise ConfigError(f"the scale of centre offsets must be above 0 Mpc, found {scale!r}")
    if distribution == "fixed":
        return np.full((len(radius), 1), scale), np.ones((len(radius), 1))
    end = (9.0 if distribution == "rayleigh" else 40.0) * scale
    kink = np.minimum(radius, end)[:, np.newaxis]
    bulk = np.minimum(kink, 8.0 * scale)  # a narrow distribution needs nodes of its own
    u, w = unit_nodes(_OFFSETS)
    both, slope = u**2 * (3.0 - 2.0 * u), 6.0 * u * (1.0 - u) * w  # nodes crowd at both ends of a panel
    s = np.concatenate([bulk * both, bulk + (kink - bulk) * both, kink + (end - kink) * u**3], axis=-1)
    weight = np.concatenate([bulk * slope, (kink - bulk) * slope, (end - kink) * 3.0 * u**2 * w], axis=-1)
    x = s / scale
    density = x * np.exp(-0.5 * x**2 if distribution == "rayleigh" else -x) / scale
    weight = weight * density
    return s, weight / weight.sum(axis=-1, keepdims=True)


def _operator(radius: Array, offsets: Array, weights: Array, step: float) -> Miscentring:
    innermost = _INNERMOST * radius.min()
    if offsets.shape[1] == 1:  # no mean over offsets smooths a cusp that the circle runs into
        nearest = float(np.abs(radius - offsets[:, 0]).min())
        innermost = float(np.clip(nearest, _CUSP * radius.min(), innermost))
    low, n = _grid(np.log(innermost), np.log(radius.max() + offsets.max()), step)
    sigma, mean = np.zeros((len(radius), n)), np.zeros((len(radius), n))
    u, w = unit_nodes(_ANGLES)
    phi, w_phi = np.pi * u**3, 3.0 * u**2 * w  # crowded at 0, where the line passes the halo's centre
    for i, r in enumerate(radius):
        for start in range(0, offsets.shape[1], _BLOCK):
            s = offsets[i, start : start + _BLOCK, np.newaxis]
            weight = weights[i, start : start + _BLOCK, np.newaxis] * w_phi
            # (R - s)^2 + 4 R s sin^2(phi / 2) does not cancel at small d
            d = np.sqrt((r - s) ** 2 + 4.0 * r * s * np.sin(0.5 * phi) ** 2)
            position = (np.log(np.maximum(d, 1e-300)) - low) / step
            along = (r - s * np.cos(phi)) / r
            _scatter(sigma[i], position, weight)
            _scatter(mean[i], position, weight * along)
    return Miscentring(np.exp(low + step * np.arange(n)), sigma, mean)


def _scatter(row: Array, position: Array, weight: Array) -> None:
    """Add the weights of points between nodes to the nodes: four-point Lagrange, linear below the first."""
    first, terms = _stencil(position, len(row))
    for k, term in enumerate(terms):
        row += np.bincount((first + k).ravel(), (weight * term).ravel(), minlength=len(row))


def _stencil(position: Array, n: int) -> tuple[np.ndarray, tuple[Array, ...]]:
    """Return the first of four nodes about each position, and the weights of the four."""
    first = np.clip(position.astype(np.intp) - 1, 0, n - 4)
    t = np.where(position > 0, position - first, 0.0)
    a, b, c, d = t, t - 1.0, t - 2.0, t - 3.0
    below = np.minimum(position, 0.0)  # extrapolated with the slope of the first two nodes
    return first, (-b * c * d / 6.0 - below, a * c * d / 2.0 + below, -a * b * d / 2.0, a * b * c / 6.0)
