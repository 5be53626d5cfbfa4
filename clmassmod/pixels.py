"""From a map of convergence to its radial profile: the map's pixels are the data, without any galaxy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from clmassmod.config.analysis import MapPixels, RadialBins
from clmassmod.core.fields import LensingField, pixel_axes
from clmassmod.core.radial import assign, bin_edges, bin_sums, edges_within
from clmassmod.core.units import ARCMIN_RAD
from clmassmod.errors import ReaderError
from clmassmod.records import Array, LensingMap, ShearProfile
from clmassmod.tables import Tables

# (r + 0.15 Mpc)^-1.8 is the shape of Sigma(r) whose means in bins lie at the radii of those of NFW haloes
# with scale radii of 0.15 to 0.7 Mpc: to 0.2 % (rms) and 0.8 % (at most), for 8 to 10 bins, 0.1 to 3 Mpc
_CORE_MPC, _SLOPE = 0.15, 1.8
_PIXELS_TO_EDGE = 100  # of haloes that are formulae: their pixels are as small as that


def measure_pixels(
    lensing: LensingMap | LensingField,
    radius_mpc: tuple[float, float],
    pixels: MapPixels,
    bins: RadialBins | None = None,
    *,
    tables: Tables,
    rng: np.random.Generator,
) -> ShearProfile:
    """Return the profile of convergence of a map about the halo's centre.

    Parameters
    ----------
    lensing
        A pixel map of convergence; or anything with ``halo``, ``covers`` and ``at``, whose pixels are a
        hundredth of the outer radius.
    radius_mpc
        Inner and outer radius.
    pixels
        Noise of the map, its source plane, and what is not known of its level.
    bins
        Number and spacing of bins; 10 linear bins by default. With spacing "unbinned" each row is a pixel,
        inside first.
    tables
        Distances of the campaign's cosmology.
    rng
        Draws the noise, unless the map has its own.

    Returns
    -------
    ShearProfile
        Of ``observable`` "kappa": means of pixels, at the radii where a typical cluster's surface density
        has its mean. Pixels have independent normal noise of standard deviation ``pixels.noise`` over the
        root of their area in arcmin^2; ``n_gal`` counts them. A mass sheet adds its variance to every
        element of the covariance.

    Raises
    ------
    ReaderError
        For a map that holds no pixel in the radial range.
    ConfigError
        For edges of bins of which fewer than two lie in the range.
    """
    bins = RadialBins() if bins is None else bins
    halo = lensing.halo
    environment = tables.environment(halo.z)
    fixed = None
    if bins.edges_mpc is not None:
        fixed = edges_within(bins.edges_mpc, radius_mpc)
        radius_mpc = float(fixed[0]), float(fixed[-1])
    radius, kappa_inf, chosen, side_mpc = _read(lensing, radius_mpc)
    if radius.size == 0:
        low, high = radius_mpc
        raise ReaderError(f"halo {halo.halo_id}: its map has no pixel from {low:g} to {high:g} Mpc")
    noise = pixels.noise / (side_mpc / (environment.d_lens_mpc * ARCMIN_RAD))
    kappa = pixels.beta_s * kappa_inf
    if not pixels.noisy:  # of all pixels: a pixel has the same noise whatever range is fitted
        kappa = kappa + noise * rng.standard_normal(chosen.shape)[chosen]
    if bins.spacing == "unbinned":
        order = np.argsort(radius, kind="stable")
        radius, value, n = radius[order], kappa[order], np.ones(radius.size)
        edges = None
    else:
        edges = bin_edges(radius_mpc, bins.n, bins.spacing, radius) if fixed is None else fixed
        radius, value, n = _means(radius, kappa, edges, bins)
    known = n > 0
    beta_s = np.where(known, pixels.beta_s, 0.0)
    return ShearProfile(
        halo, "kappa", radius, value,
        np.where(known, noise / np.sqrt(np.maximum(n, 1.0)), np.nan), np.full(n.size, np.nan), n,
        beta_s, beta_s**2, environment.d_lens_mpc, environment.sigma_crit_inf_msun_mpc2,
        np.full((n.size, n.size), pixels.sheet**2) if pixels.sheet > 0 else None, edges,
    )  # fmt: skip


def _read(
    lensing: LensingMap | LensingField, radius_mpc: tuple[float, float]
) -> tuple[Array, Array, NDArray[np.bool_], float]:
    """Return radius and convergence of pixels (pixel,), which of the map (y, x) they are, their side [Mpc].

    They are those in the range; pixels that are not finite, which maps of real surveys have behind their
    masks, are not there.
    """
    low, high = radius_mpc
    if isinstance(lensing, LensingMap):
        side = lensing.pixel_mpc
        x, y = pixel_axes(lensing)
    else:
        side = high / _PIXELS_TO_EDGE
        x = y = np.asarray((np.arange(-_PIXELS_TO_EDGE, _PIXELS_TO_EDGE) + 0.5) * side, dtype=float)
    radius = np.hypot(x, y[:, np.newaxis])
    within = (radius >= low) & (radius <= high)
    if isinstance(lensing, LensingMap):
        within &= np.isfinite(lensing.kappa_inf)
        return radius[within], np.asarray(lensing.kappa_inf[within], dtype=float), within, side
    row, column = np.nonzero(within)
    known = lensing.covers(x[column], y[row])
    within[row[~known], column[~known]] = False
    return radius[within], lensing.at(x[column][known], y[row][known])[0], within, side


def _means(radius: Array, kappa: Array, edges: Array, bins: RadialBins) -> tuple[Array, Array, Array]:
    """Return radius, mean convergence and number of pixels, (bin,); a bin with too few has the value NaN."""
    place = assign(radius, edges)
    shape = radius if bins.radius == "mean" else (radius + _CORE_MPC) ** -_SLOPE
    sums = bin_sums(place, edges.size - 1, np.ones(radius.size), kappa, shape)
    n = sums[0]
    few = n < bins.min_galaxies
    with np.errstate(invalid="ignore", divide="ignore"):
        value, typical = sums[1] / n, sums[2] / n
        middle = typical if bins.radius == "mean" else typical ** (-1.0 / _SLOPE) - _CORE_MPC
    return (
        np.where(few, 0.5 * (edges[1:] + edges[:-1]), middle),
        np.where(few, np.nan, value),
        np.where(few, 0.0, n),
    )
