"""Stacks of clusters: mean excess surface density, and profiles scaled by their NFW prediction.

Weights are inverse variances of the shape noise. Every profile enters with its own bins: a bin belongs to
the stack's bin in which its radius, or scaled radius, lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clmassmod.core import nfw
from clmassmod.core.radial import assign
from clmassmod.core.shear import reduced_shear
from clmassmod.errors import ConfigError, FitError
from clmassmod.fitters.data import usable_bins
from clmassmod.plain import whole_number
from clmassmod.records import Array, ShearProfile

ErrorKind = Literal["analytic", "bootstrap"]


class Prediction(NamedTuple):
    """What an NFW halo predicts for the usable bins of one profile; arrays are (bin,)."""

    observable: Array  # reduced shear, or excess surface density in Msun / Mpc2
    delta_sigma: Array  # Msun / Mpc2
    r_s_mpc: float
    amplitude: float  # rho_s r_s, Msun / Mpc2


@dataclass(frozen=True)
class Rows:
    """Usable bins of all clusters that fall into the stack; arrays are (row,)."""

    cluster: NDArray[np.intp]
    bin: NDArray[np.intp]
    position: Array  # radius in Mpc, or r / r_s
    value: Array
    weight: Array
    noise: Array  # standard deviation by shape noise


@dataclass(frozen=True)
class StackDetails:
    """What a stack was made of; arrays are (bin,) unless said otherwise."""

    method: str
    edges: Array  # (bin + 1,)
    halo_ids: tuple[str, ...]
    left_out: tuple[str, ...]  # without any bin in the stack, or without a prediction
    n_clusters: NDArray[np.intp]
    weight: Array
    error_analytic: Array
    error_bootstrap: Array
    covariance_bootstrap: Array  # (bin, bin)
    scatter: Array  # rms of the clusters about the stack, noise included
    scatter_intrinsic: Array  # what noise does not explain
    rows: Rows


class _Three(NamedTuple):
    value: Array
    error: Array
    position: Array


class Stack(_Three):
    """Mean, error and mean position (bin,) of a stack; unpacks into these three.

    Attributes
    ----------
    value, error, position : array (bin,)
        NaN in a bin without a cluster.
    details : StackDetails
        Weights, both kinds of errors, scatter of the clusters, members.
    """

    details: StackDetails

    @classmethod
    def of(cls, value: Array, error: Array, position: Array, details: StackDetails) -> Stack:
        """Return a stack with its details."""
        made = cls(value, error, position)
        made.details = details
        return made


def stack_delta_sigma(
    profiles: Sequence[ShearProfile],
    edges_mpc: ArrayLike,
    *,
    error: ErrorKind = "analytic",
    n_bootstrap: int = 1000,
    seed: int = 0,
    predictions: Sequence[Prediction | None] | None = None,
) -> Stack:
    """Return the weighted mean excess surface density of clusters.

    Parameters
    ----------
    profiles : sequence of ShearProfile
        Reduced shear becomes excess surface density by Sigma_crit,inf / <beta_s>, weak lensing assumed
        unless ``predictions`` are given.
    edges_mpc : array (bin + 1,)
        Physical radii.
    error : {"analytic", "bootstrap"}
        Shape noise alone, or from resampling the clusters, which holds their scatter too.
    n_bootstrap, seed : int
        Number of resamplings and the seed of their draws.
    predictions : sequence of Prediction, optional
        Of each cluster, (cluster,): the ratio of its excess surface density to its reduced shear replaces
        that of weak lensing.

    Returns
    -------
    Stack
        Excess surface density and error in Msun / Mpc2, weighted mean radius in Mpc, (bin,) each.

    Raises
    ------
    ConfigError
        For edges that do not increase.
    FitError
        Where no cluster has a bin between the edges, and for a profile of convergence.
    """
    edges = _edges(edges_mpc, "radii")
    _check_sheared(profiles)
    parts = []
    for i, profile in enumerate(profiles):
        used = usable_bins(profile)
        factor = np.ones(int(used.sum()))
        if profile.observable == "g_t":
            factor = profile.sigma_crit_inf_msun_mpc2 / profile.beta_s[used]
            prediction = None if predictions is None else predictions[i]
            if prediction is not None:
                factor = prediction.delta_sigma / prediction.observable
        parts.append((profile.radius_mpc[used], factor * profile.value[used], factor * profile.error[used]))
    return _stack("woScaling", profiles, parts, edges, error, n_bootstrap, seed)


def stack_scaled(
    profiles: Sequence[ShearProfile],
    predictions: Sequence[Prediction | None],
    edges: ArrayLike,
    *,
    units: Literal["prediction", "amplitude"] = "prediction",
    error: ErrorKind = "analytic",
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> Stack:
    """Return the mean of clusters scaled by their NFW predictions (Niikura et al. 2015, PASJ 67, 103).

    Parameters
    ----------
    profiles : sequence of ShearProfile
    predictions : sequence of Prediction or None
        Of each cluster, (cluster,); None leaves it out.
    edges : array (bin + 1,)
        Of the scaled radius x = r / r_s.
    units : {"prediction", "amplitude"}
        prediction: F is measurement over NFW prediction, 1 for NFW haloes, reduced shear exactly.
        amplitude: in units of rho_s r_s, which for NFW haloes is one function of x.
    error, n_bootstrap, seed
        As in ``stack_delta_sigma``.

    Returns
    -------
    Stack
        F, its error and the weighted mean of x, (bin,) each.

    Raises
    ------
    ConfigError, FitError
        As ``stack_delta_sigma``.
    """
    limits = _edges(edges, "scaled radii")
    _check_sheared(profiles)
    parts = []
    for profile, prediction in zip(profiles, predictions, strict=True):
        if prediction is None:
            parts.append((np.empty(0), np.empty(0), np.empty(0)))
            continue
        used = usable_bins(profile)
        scale = 1.0 / prediction.observable
        if units == "amplitude":
            scale = scale * prediction.delta_sigma / prediction.amplitude
        x = profile.radius_mpc[used] / prediction.r_s_mpc
        parts.append((x, scale * profile.value[used], np.abs(scale) * profile.error[used]))
    return _stack("wScaling", profiles, parts, limits, error, n_bootstrap, seed)


def nfw_prediction(
    profile: ShearProfile, mass_msun: float, concentration: float, density_msun_mpc3: float
) -> Prediction:
    """Return what an NFW halo predicts for the usable bins of a profile.

    Parameters
    ----------
    profile : ShearProfile
    mass_msun, concentration : float
        In the mass definition whose threshold is ``density_msun_mpc3``.
    density_msun_mpc3 : float
    """
    used = usable_bins(profile)
    surface = nfw.projected(profile.radius_mpc[used], mass_msun, concentration, density_msun_mpc3)
    r_s, rho_s = (float(v) for v in nfw.scale(mass_msun, concentration, density_msun_mpc3))
    observable = surface.delta_sigma
    if profile.observable == "g_t":
        critical = profile.sigma_crit_inf_msun_mpc2
        observable = reduced_shear(*surface, critical, profile.beta_s[used], profile.beta_s2[used])
    return Prediction(observable, surface.delta_sigma, r_s, r_s * rho_s)


def _check_sheared(profiles: Sequence[ShearProfile]) -> None:
    other = next((p.halo.halo_id for p in profiles if p.observable == "kappa"), None)
    if other is not None:
        raise FitError(
            f"halo {other!r}: a profile of convergence has no place in a stack of shears; leave it out"
        )


def _edges(edges: ArrayLike, what: str) -> Array:
    values = np.asarray(edges, dtype=float)
    if values.ndim != 1 or values.size < 2 or not np.all(np.diff(values) > 0) or values[0] < 0:
        raise ConfigError(
            f"stack: the edges of {what} must be two or more increasing numbers, none below 0; "
            f"found {np.array2string(values, threshold=6)}"
        )
    return values


def _stack(
    method: str,
    profiles: Sequence[ShearProfile],
    parts: Sequence[tuple[Array, Array, Array]],
    edges: Array,
    error: ErrorKind,
    n_bootstrap: int,
    seed: int,
) -> Stack:
    if error not in ("analytic", "bootstrap"):
        raise ConfigError(f"stack: error {error!r} is neither 'analytic' nor 'bootstrap'")
    seed, n_bootstrap = whole_number(seed, "stack: seed"), whole_number(n_bootstrap, "stack: n_bootstrap")
    rows = _rows(parts, edges)
    n_bins, n_clusters = len(edges) - 1, len(profiles)
    inside = np.unique(rows.cluster)
    if not len(inside):
        raise FitError(
            f"stack: none of {n_clusters} clusters has a bin between {edges[0]:g} and {edges[-1]:g}"
        )
    place = rows.cluster * n_bins + rows.bin
    sums = [
        np.bincount(place, v, n_clusters * n_bins).astype(np.float64).reshape(n_clusters, n_bins)
        for v in (rows.weight, rows.weight * rows.value, rows.weight * rows.position)
    ]
    total = sums[0].sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        value, position = sums[1].sum(axis=0) / total, sums[2].sum(axis=0) / total
        analytic = np.where(total > 0, 1.0 / np.sqrt(total), np.nan)
    covariance = _bootstrap(sums[0], sums[1], n_bootstrap, seed)
    resampled = np.sqrt(np.diag(covariance))
    scatter, intrinsic = _scatter(sums[0], sums[1], value)
    names = [p.halo.halo_id for p in profiles]
    details = StackDetails(
        method=method,
        edges=edges,
        halo_ids=tuple(names[i] for i in inside),
        left_out=tuple(n for i, n in enumerate(names) if i not in inside),
        n_clusters=np.count_nonzero(sums[0] > 0, axis=0),
        weight=total,
        error_analytic=analytic,
        error_bootstrap=resampled,
        covariance_bootstrap=covariance,
        scatter=scatter,
        scatter_intrinsic=intrinsic,
        rows=rows,
    )
    return Stack.of(value, analytic if error == "analytic" else resampled, position, details)


def _rows(parts: Sequence[tuple[Array, Array, Array]], edges: Array) -> Rows:
    cluster = np.concatenate([np.full(len(p[0]), i, dtype=np.intp) for i, p in enumerate(parts)])
    position, value, noise = (np.concatenate([p[k] for p in parts]) for k in range(3))
    place = assign(position, edges)
    kept = place >= 0
    noise = noise[kept]
    return Rows(cluster[kept], place[kept], position[kept], value[kept], 1.0 / noise**2, noise)


def _bootstrap(weight: Array, weighted: Array, n_bootstrap: int, seed: int) -> Array:
    """Return the covariance (bin, bin) of the mean under resampling of the clusters (cluster, bin)."""
    n = len(weight)
    if n < 2 or n_bootstrap < 2:
        return np.full((weight.shape[1], weight.shape[1]), np.nan)
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(n, np.full(n, 1.0 / n), size=n_bootstrap).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (counts @ weighted) / (counts @ weight)
    there = np.isfinite(means)  # a sample without any cluster in a bin says nothing of it
    both = there.T.astype(float) @ there.astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(there, means, 0.0).sum(axis=0) / there.sum(axis=0)
        residual = np.where(there, means - mean, 0.0)
        return np.asarray(np.where(both > 1, residual.T @ residual / (both - 1.0), np.nan))


def _scatter(weight: Array, weighted: Array, mean: Array) -> tuple[Array, Array]:
    """Return rms of clusters about the mean, and the part that noise leaves (DerSimonian & Laird 1986)."""
    there = weight > 0
    own = np.divide(weighted, weight, out=np.zeros_like(weight), where=there)
    q = np.where(there, weight * (own - mean) ** 2, 0.0).sum(axis=0)
    total, n = weight.sum(axis=0), there.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        rms = np.sqrt(q / total)
        intrinsic = (q - (n - 1)) / (total - (weight**2).sum(axis=0) / total)
    return rms, np.where(n > 1, np.sqrt(np.maximum(intrinsic, 0.0)), np.nan)
