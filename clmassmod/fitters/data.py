"""What is fitted: the usable bins of one or several profiles of a halo, with their noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from clmassmod.errors import FitError
from clmassmod.records import PER_BIN, Array, Observable, ShearProfile

Flags = NDArray[np.bool_]
Covariance = Callable[[tuple[ShearProfile, ...], tuple[Flags, ...]], Array | None]
"""Covariance (bin, bin) of the used bins of all profiles of a halo."""

OBSERVABLES = get_args(Observable)
MANY = 200  # bins: more are galaxies
_GROUPS = 12


def groups(n: int) -> NDArray[np.intp]:
    """Return where each of a dozen groups of n neighbours begins, (group,)."""
    return np.unique(np.linspace(0, n, _GROUPS, endpoint=False).astype(np.intp))


@dataclass(frozen=True)
class FitData:
    """Usable bins of all profiles of a halo; arrays are (bin,) over all of them."""

    profiles: tuple[ShearProfile, ...]
    used: tuple[NDArray[np.bool_], ...]  # (bin,) of each profile
    value: Array
    error: Array
    whitening: Array | None  # (bin, bin), lower triangular; None: independent bins
    n_unused: int

    @property
    def n_bins(self) -> int:
        """Number of bins that are fitted."""
        return len(self.value)

    @cached_property
    def significance(self) -> float:
        """Signal-to-noise ratio of the data about zero, without the part that noise alone has.

        Of many galaxies that are not binned, of means of neighbours: noise would hide the signal of each.
        """
        if self.n_bins <= MANY or self.whitening is not None:
            return math.sqrt(max(self.chi2_zero - self.n_bins, 0.0))
        weight, start = 1.0 / self.error, groups(self.n_bins)
        values = np.add.reduceat(self.value * weight * weight, start)
        values = values / np.sqrt(np.add.reduceat(weight * weight, start))
        return math.sqrt(max(float(values @ values) - len(values), 0.0))

    @cached_property
    def chi2_zero(self) -> float:
        """Chi squared of no signal at all."""
        values = self.whiten(self.value)
        return float(values @ values)

    def parts(self, n: int) -> list[FitData]:
        """Return pieces of at most n bins, each of one profile; the bins must be independent."""
        pieces, first = [], 0
        for profile, used in zip(self.profiles, self.used, strict=True):
            rows = np.flatnonzero(used)
            for start in range(0, len(rows), n):
                chosen = rows[start : start + n]
                flags = np.zeros_like(used)
                flags[chosen] = True
                part = slice(first, first + len(chosen))
                pieces.append(FitData((profile,), (flags,), self.value[part], self.error[part], None, 0))
                first += len(chosen)
        return pieces

    def whiten(self, values: Array) -> Array:
        """Return values (..., bin) in units of the noise, independent of each other."""
        if self.whitening is None:
            return values / self.error
        return np.asarray(values @ self.whitening.T)


def as_profiles(profiles: ShearProfile | Sequence[ShearProfile]) -> tuple[ShearProfile, ...]:
    """Return a tuple of profiles of one halo.

    Raises
    ------
    FitError
        Without profile, with profiles of several haloes or redshifts, or an unknown observable.
    """
    if isinstance(profiles, ShearProfile):
        _check_profile(profiles)
        return (profiles,)
    given = tuple(profiles)
    if not given:
        raise FitError("no profile was given to the fit")
    ids = {profile.halo.halo_id for profile in given}
    if len(ids) > 1:
        raise FitError(
            f"profiles of several haloes in one fit: {', '.join(sorted(ids))}; fit them one by one"
        )
    redshifts = {profile.halo.z for profile in given}
    if len(redshifts) > 1:
        listed = ", ".join(f"{z:g}" for z in sorted(redshifts))
        raise FitError(f"halo {given[0].halo.halo_id!r}: profiles have different lens redshifts, {listed}")
    for profile in given:
        _check_profile(profile)
    return given


def _check_profile(profile: ShearProfile) -> None:
    """Raise FitError for a profile that stands for nothing."""
    where, z = f"halo {profile.halo.halo_id!r}", profile.halo.z
    if profile.observable not in OBSERVABLES:
        raise FitError(f"{where}: observable {profile.observable!r} is none of {', '.join(OBSERVABLES)}")
    if not (math.isfinite(z) and z > 0.0):
        raise FitError(f"{where}: lens redshift {z} is no positive number")
    critical = profile.sigma_crit_inf_msun_mpc2
    if profile.observable != "delta_sigma" and not (math.isfinite(critical) and critical > 0.0):
        raise FitError(f"{where}: sigma_crit_inf_msun_mpc2 {critical} is no positive number")


def usable_bins(profile: ShearProfile) -> NDArray[np.bool_]:
    """Return which bins (bin,) can be fitted: finite numbers, a positive error, at least one galaxy."""
    # a sum is finite where all of its terms are, and NaN is not above zero
    total = profile.value + profile.error + profile.radius_mpc
    least = np.minimum(np.minimum(profile.error, profile.radius_mpc), profile.n_gal)
    if profile.observable != "delta_sigma":
        total = total + profile.beta_s + profile.beta_s2
        least = np.minimum(least, profile.beta_s)
    return np.isfinite(total) & (least > 0)


def select_bins(profile: ShearProfile, radius_mpc: tuple[float, float]) -> ShearProfile:
    """Return the profile with the bins whose radius lies in a range, both ends included [Mpc]."""
    radius = profile.radius_mpc
    kept = (radius >= radius_mpc[0]) & (radius <= radius_mpc[1])
    changes = {name: getattr(profile, name)[kept] for name in PER_BIN}
    if profile.covariance is not None:
        changes["covariance"] = profile.covariance[np.ix_(kept, kept)]
    if profile.edges_mpc is not None and not kept.all():
        changes["edges_mpc"] = _kept_edges(profile.edges_mpc, kept)
    return replace(profile, **changes)


def _kept_edges(edges: Array, kept: NDArray[np.bool_]) -> Array | None:
    """Return the edges of adjacent bins; None where the bins that are left do not adjoin."""
    places = np.flatnonzero(kept)
    if len(places) == 0 or len(edges) != len(kept) + 1 or np.any(np.diff(places) != 1):
        return None
    return np.asarray(edges[places[0] : places[-1] + 2])


def prepare(profiles: tuple[ShearProfile, ...], noise: Covariance | None = None) -> FitData:
    """Return the usable bins of all profiles.

    Parameters
    ----------
    profiles : tuple of ShearProfile
        Their shape noise is independent of each other; inside one, ``covariance`` adds to ``error**2``.
    noise : callable, optional
        Adds a covariance of all bins, which may connect the profiles.

    Raises
    ------
    FitError
        For a covariance of the wrong shape, or one that makes no positive definite matrix.
    """
    used = tuple(usable_bins(profile) for profile in profiles)
    value = joined([p.value[u] for p, u in zip(profiles, used, strict=True)])
    error = joined([p.error[u] for p, u in zip(profiles, used, strict=True)])
    n_unused = sum(len(u) for u in used) - len(value)
    extra = None if noise is None else noise(profiles, used)
    if all(p.covariance is None for p in profiles) and extra is None:
        return FitData(profiles, used, value, error, None, n_unused)
    total = np.diag(error**2) if extra is None else np.diag(error**2) + extra
    first = 0
    for profile, good in zip(profiles, used, strict=True):
        last = first + int(good.sum())
        if profile.covariance is not None:
            total[first:last, first:last] += _cut(profile, profile.covariance, good)
        first = last
    return FitData(profiles, used, value, error, _whitening(total, profiles[0]), n_unused)


def joined(parts: list[Array]) -> Array:
    """Return the bins (..., bin) of all profiles, one after the other."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)


def _cut(profile: ShearProfile, matrix: Array, good: NDArray[np.bool_]) -> Array:
    n = len(profile.value)
    where = f"halo {profile.halo.halo_id!r}: covariance"
    if matrix.shape != (n, n):
        raise FitError(f"{where} has shape {matrix.shape}, but the profile has {n} bins")
    cut = matrix[np.ix_(good, good)]
    if not np.allclose(cut, cut.T, rtol=1e-6, atol=1e-9 * np.abs(cut).max(initial=0.0), equal_nan=True):
        raise FitError(f"{where} is not symmetric; give the whole matrix, not one triangle")
    if not np.isfinite(cut).all():
        raise FitError(f"{where} is not finite in bins that are fitted")
    return np.asarray(cut)


def _whitening(total: Array, profile: ShearProfile) -> Array:
    if len(total) == 0:
        return total
    try:
        lower = np.linalg.cholesky(total)
    except np.linalg.LinAlgError:
        raise FitError(
            f"halo {profile.halo.halo_id!r}: error**2 + covariance is not positive definite; check its unit"
        ) from None
    return np.asarray(np.linalg.inv(lower))
