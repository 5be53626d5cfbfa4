"""From a catalogue of galaxies to a profile of reduced tangential shear or excess surface density."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clmassmod.config import halo_rng
from clmassmod.config.analysis import RadialBins
from clmassmod.core.radial import assign, bin_edges, bin_sums, edges_within, tangential_cross
from clmassmod.core.units import ARCMIN_RAD
from clmassmod.errors import ConfigError
from clmassmod.records import Array, ShearProfile, SourceCatalog
from clmassmod.tables import Tables

# (r + 0.3 Mpc)^-1.4 is the shape of g(r) whose bin means lie at the same radii as those of NFW haloes
# of 1e14 to 2e15 Msun, concentrations 3 to 5 and redshifts 0.25 and 0.6, on average from 0.3 to 3 Mpc
_CORE_MPC, _SLOPE = 0.3, 1.4


def measure(
    catalog: SourceCatalog,
    radius_mpc: tuple[float, float],
    bins: RadialBins | None = None,
    *,
    tables: Tables | None = None,
    rng: np.random.Generator | None = None,
) -> ShearProfile:
    """Return the profile of a catalogue about its assumed centre.

    Galaxies in front of the lens count: they dilute the shear as ``beta_s`` = 0 says they do.

    Parameters
    ----------
    catalog
        Galaxies with weights. Columns ``shape_noise``, ``beta_s2`` and ``boost`` of ``extra`` stand for
        each galaxy's own noise, for <beta_s^2> where a galaxy's redshift is a distribution, and for the
        correction for cluster members.
    radius_mpc
        Inner and outer radius.
    bins
        Number and spacing of bins, weights, errors; 10 linear bins by default.
    tables
        For ``bins.structure``.
    rng
        For bootstrap errors; by default a generator named after the halo.

    Returns
    -------
    ShearProfile
        Weighted means; the excess surface density is the mean of e_t Sigma_crit, weighted by the weights
        times Sigma_crit^-2 (Sheldon et al. 2004, AJ 127, 2544). Errors come from the shape noise of one
        component, or the scatter of means of resampled galaxies. ``radius_mpc`` is where a typical
        cluster's shear has its mean in the bin, so that a model evaluated there is the bin's: for NFW
        haloes of 1e14 to 2e15 Msun to 0.02 +- 0.1 % in the bin 0.5 to 0.7 Mpc, where the arithmetic
        mean, which ``bins.radius: mean`` gives, is 0.7 % off. Bins with less than ``bins.min_galaxies``
        galaxies, or without weight, have the value NaN. With ``bins.spacing`` "unbinned" each row is a
        galaxy behind the lens, inside first; its error is that of ``_each``.

    Raises
    ------
    ConfigError
        For a range that is not increasing, or ``bins.structure`` without tables.
    """
    bins = RadialBins() if bins is None else bins
    used = _select(catalog, radius_mpc, bins)
    if bins.spacing == "unbinned":
        return _each(catalog, used, bins)
    sums, n_gal = _sums(used, bins), np.bincount(used.place, minlength=used.n_bins).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums / sums[0]
        mean_beta, mean_beta2 = mean[3], mean[4]
        value, cross, error = mean[1], mean[2], np.sqrt(sums[6]) / sums[0]
        radius = mean[5] if bins.radius == "mean" else mean[5] ** (-1.0 / _SLOPE) - _CORE_MPC
        if bins.errors == "bootstrap":
            rng = halo_rng(0, catalog.halo.halo_id, "bootstrap") if rng is None else rng
            error = _bootstrap(used, bins.bootstrap_samples, rng)
        value, cross, error = (v * mean[7] for v in (value, cross, error))
        if bins.observable == "delta_sigma":
            # sum(w beta e) Sigma_crit_inf / sum(w beta^2): the weights of the sums have the factor beta^2
            value, cross, error = (v * catalog.sigma_crit_inf_msun_mpc2 for v in (value, cross, error))
            if "beta_s2" not in catalog.extra:
                # with the weights' beta^2, <beta_s> is the factor of kappa_inf in the reduced shear
                mean_beta2 = mean_beta**2
    few = (n_gal < bins.min_galaxies) | ~(sums[0] > 0)
    middle = 0.5 * (used.edges[1:] + used.edges[:-1])
    return ShearProfile(
        halo=catalog.halo,
        observable=bins.observable,
        radius_mpc=np.where(few, middle, radius),
        value=np.where(few, np.nan, value),
        error=np.where(few, np.nan, error),
        cross=np.where(few, np.nan, cross),
        n_gal=n_gal,
        beta_s=np.where(few, 0.0, mean_beta),
        beta_s2=np.where(few, 0.0, mean_beta2),
        d_lens_mpc=catalog.d_lens_mpc,
        sigma_crit_inf_msun_mpc2=catalog.sigma_crit_inf_msun_mpc2,
        covariance=_structure(catalog, used, bins, tables) if bins.structure else None,
        edges_mpc=used.edges,
    )


class _Used(NamedTuple):
    """The galaxies of the profile, (source,), and its bins."""

    place: NDArray[np.intp]  # bin of each galaxy
    edges: Array
    n_bins: int
    radius: Array
    e_t: Array  # e_t / beta_s for the excess surface density
    e_x: Array
    weight: Array
    beta_s: Array
    beta_s2: Array
    noise: Array | float
    boost: Array | None
    z: Array


def _select(catalog: SourceCatalog, radius_mpc: tuple[float, float], bins: RadialBins) -> _Used:
    scale = catalog.d_lens_mpc * ARCMIN_RAD
    x, y = catalog.x_arcmin, catalog.y_arcmin
    radius = scale * np.sqrt(x * x + y * y)
    low, high = radius_mpc
    fixed = None
    if bins.edges_mpc is not None:
        fixed = edges_within(bins.edges_mpc, radius_mpc)
        low, high = float(fixed[0]), float(fixed[-1])
    keep = np.flatnonzero((radius >= low) & (radius <= high))
    radius = radius[keep]
    if bins.spacing == "unbinned":
        edges = np.array([low, high])
    else:
        edges = bin_edges((low, high), bins.n, bins.spacing, radius) if fixed is None else fixed
    e_t, e_x = tangential_cross(catalog.e1[keep], catalog.e2[keep], x[keep], y[keep])
    beta_s = catalog.beta_s[keep]
    extra = {
        name: v[keep] for name, v in catalog.extra.items() if name in ("beta_s2", "boost", "shape_noise")
    }
    noise: Array | float = (
        extra.get("shape_noise", np.zeros(0)) if "shape_noise" in extra else catalog.shape_noise
    )
    weight = catalog.weight[keep]
    if bins.weights == "uniform":
        weight = np.ones(keep.size)
    elif bins.weights == "inverse_variance":
        weight = (
            np.full(keep.size, 1.0) / np.square(noise)
            if np.all(np.asarray(noise) > 0)
            else np.ones(keep.size)
        )
    if bins.observable == "delta_sigma":
        with np.errstate(divide="ignore", invalid="ignore"):
            behind = beta_s > 0
            e_t, e_x = np.where(behind, e_t / beta_s, 0.0), np.where(behind, e_x / beta_s, 0.0)
            noise = np.where(behind, noise / beta_s, 0.0)
    if bins.weights == "sigma_crit" or bins.observable == "delta_sigma":
        weight = weight * beta_s * beta_s
    return _Used(
        assign(radius, edges), edges, edges.size - 1, radius, e_t, e_x, weight, beta_s,
        extra.get("beta_s2", beta_s * beta_s), noise, extra.get("boost"), catalog.z_source[keep],
    )  # fmt: skip


def _each(catalog: SourceCatalog, used: _Used, bins: RadialBins) -> ShearProfile:
    """Return a profile whose rows are the galaxies, inside first, each with a noise of its own.

    The weights stand for inverse variances, up to a factor: error_i^2 = sum(w^2 noise^2) / sum(w) / w_i, so
    that a weighted mean of galaxies has the error that it has in bins. Galaxies without weight are left out,
    as are those for which nothing is sheared (``beta_s`` = 0).
    """
    kept = np.flatnonzero((used.weight > 0) & (used.beta_s > 0))
    kept = kept[np.argsort(used.radius[kept], kind="stable")]
    weight = used.weight[kept]
    noise = used.noise[kept] if isinstance(used.noise, np.ndarray) else used.noise
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.sqrt(np.sum(np.square(weight * noise)) / weight.sum() / weight)
    boost = np.ones(kept.size) if used.boost is None else used.boost[kept]
    value, cross, error = used.e_t[kept] * boost, used.e_x[kept] * boost, error * boost
    if bins.observable == "delta_sigma":
        unit = catalog.sigma_crit_inf_msun_mpc2
        value, cross, error = value * unit, cross * unit, error * unit
    return ShearProfile(
        catalog.halo, bins.observable, used.radius[kept], value, error, cross, np.ones(kept.size),
        used.beta_s[kept], used.beta_s2[kept], catalog.d_lens_mpc, catalog.sigma_crit_inf_msun_mpc2,
    )  # fmt: skip


def _sums(used: _Used, bins: RadialBins) -> Array:
    """Return sums of w times 1, e_t, e_x, beta, beta^2, radius; of (w noise)^2; of w boost; (8, bin)."""
    w = used.weight
    r_term = used.radius if bins.radius == "mean" else (used.radius + _CORE_MPC) ** -_SLOPE
    terms = [w, w * used.e_t, w * used.e_x, w * used.beta_s, w * used.beta_s2, w * r_term]
    terms += [np.square(w * used.noise), w if used.boost is None else w * used.boost]
    return bin_sums(used.place, used.n_bins, *terms)


def _bootstrap(used: _Used, samples: int, rng: np.random.Generator) -> Array:
    """Return the scatter of the mean of resampled galaxies, (bin,)."""
    order = np.argsort(used.place, kind="stable")
    parts = np.split(order, np.searchsorted(used.place[order], np.arange(1, used.n_bins)))
    error = np.full(used.n_bins, np.nan)
    for i, part in enumerate(parts):
        if part.size > 1 and used.weight[part].sum() > 0:
            draws = rng.multinomial(part.size, np.full(part.size, 1.0 / part.size), size=samples)
            w = used.weight[part]
            with np.errstate(invalid="ignore"):
                means = (draws @ (w * used.e_t[part])) / (draws @ w)
            error[i] = np.nanstd(means)
    return error


def _structure(catalog: SourceCatalog, used: _Used, bins: RadialBins, tables: Tables | None) -> Array:
    if tables is None:
        raise ConfigError("radial_bins.structure: the covariance of structure needs the campaign's tables")
    weight, unit = used.weight, np.ones(used.n_bins)
    if bins.observable == "delta_sigma":
        # the mean of gamma Sigma_crit, weighted by w beta^2, is one of gamma weighted by w beta
        with np.errstate(divide="ignore", invalid="ignore"):
            weight = np.where(used.beta_s > 0, used.weight / used.beta_s, 0.0)
            sums = bin_sums(used.place, used.n_bins, weight, used.weight)
            unit = catalog.sigma_crit_inf_msun_mpc2 * np.where(sums[1] > 0, sums[0] / sums[1], 0.0)
    known = np.isfinite(used.z) & (weight > 0)
    if not known.any():
        raise ConfigError(
            f"radial_bins.structure: halo {catalog.halo.halo_id!r} has no source redshifts, which it needs"
        )
    covariance = tables.lss_covariance(used.edges, catalog.halo.z, used.z[known], weight[known])
    return np.asarray(covariance * np.outer(unit, unit))
