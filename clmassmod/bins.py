"""Bins of haloes: the user's function, or edges in quantities of the fits. No truth."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from clmassmod.errors import ConfigError
from clmassmod.records import Array, HaloFit

LONGEST_LABEL = 200  # it names a file
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


class FittedProfile(NamedTuple):
    """One fitted halo, as a binning function sees it.

    Attributes
    ----------
    halo_id : str
        The halo or projection; ``parent`` is what its projections share.
    z : float
        Redshift of the lens.
    mass : mapping
        Summaries of the fit: mass_ml_msun, mass_mean_msun, mass_hdi68_lo_msun, snr, chi2 …
    pdf : (mass_msun, density)
        Likelihood of the mass, normalised as a density in mass [1 / Msun]; both (mass,), computed when
        they are looked at. Straight lines
        between these masses err by 3 % for a mass known to 5 %: ``fitters.ln_likelihood`` does not.
    metadata : mapping
        Columns of the simulation's own (richness …) and what the fit says of itself.
    loc : str
        The halo's file, or its id where there is none.
    """

    halo_id: str
    z: float
    mass: Mapping[str, float]
    pdf: Sequence[Array]
    metadata: Mapping[str, Any]
    loc: str

    @property
    def parent(self) -> str:
        """Identifier shared by all projections of one halo."""
        return str(self.metadata.get("parent", self.halo_id))

    def __repr__(self) -> str:
        """Return the halo and its mass; the arrays are left out."""
        mass = {k: self.mass[k] for k in ("mass_ml_msun", "mass_err_msun", "snr") if k in self.mass}
        said = ", ".join(f"{k}={v:.4g}" for k, v in mass.items()) or self.metadata.get("reason", "")
        return f"FittedProfile(halo_id={self.halo_id!r}, z={self.z:.4g}, {said}, loc={self.loc!r})"


class Density(Sequence[Array]):
    """The pair (mass_msun, density) of a likelihood; it is computed when it is looked at, and not kept."""

    __slots__ = ("_ln_like", "_mass_msun")

    def __init__(self, mass_msun: Array, ln_like: Array) -> None:
        self._mass_msun, self._ln_like = mass_msun, ln_like

    def __len__(self) -> int:
        """Return 2."""
        return 2

    def __getitem__(self, i: Any) -> Any:
        """Return masses or densities."""
        return (self._mass_msun, self._density())[i]

    def _density(self) -> Array:
        mass = np.asarray(self._mass_msun, dtype=float)
        ln_like = np.asarray(self._ln_like, dtype=float)
        density = np.exp(ln_like - ln_like.max()) if len(ln_like) else ln_like
        norm = np.trapezoid(density, mass) if len(mass) else 1.0
        return np.asarray(density / norm)


BinFunction = Callable[[list[FittedProfile]], Any]


@dataclass(frozen=True)
class Assignment:
    """Members of each bin by halo id, and what a user should know of the binning."""

    members: Mapping[str, list[str]]
    remarks: tuple[str, ...]


def fitted_profile(fit: HaloFit, loc: str = "") -> FittedProfile:
    """Return a fit as binning functions see it."""
    ln_like = fit.ln_like.get(fit.mass_definition)
    return FittedProfile(
        fit.halo_id,
        fit.z,
        fit.summary,
        Density(fit.mass_msun, np.zeros_like(fit.mass_msun) if ln_like is None else ln_like),
        {
            **fit.metadata,
            **fit.halo.extra,
            "parent": fit.parent,
            "status": fit.status,
            "reason": fit.reason,
        },
        loc or fit.halo_id,
    )


def quantity(profile: FittedProfile, name: str) -> float:
    """Return z, a summary of the fit or a column of the simulation; ConfigError names what is known."""
    if name == "z":
        return profile.z
    for source in (profile.mass, profile.metadata):
        if name in source and isinstance(source[name], int | float | np.number):
            return float(source[name])
    if profile.metadata.get("status") == "unusable":
        return float("nan")
    numbers = [k for k, v in profile.metadata.items() if isinstance(v, int | float)]
    known = ", ".join(["z", *profile.mass, *numbers])
    raise ConfigError(f"bins: halo {profile.halo_id} has no quantity {name!r} (known: {known})")


def by_edges(edges: Mapping[str, Sequence[float]]) -> BinFunction:
    """Return a function that bins by one quantity or by the product of several.

    Bins hold their lower edge, the last one its upper edge too. Labels are such as ``z0.2-0.4`` and
    ``z0.2-0.4_snr3-5``; empty bins are kept.

    Raises
    ------
    ConfigError
        For edges that do not increase.
    """
    for name, values in edges.items():
        if len(values) < 2 or np.any(np.diff(np.asarray(values, dtype=float)) <= 0):
            raise ConfigError(
                f"bins: edges of {name!r} must be two or more increasing numbers: {list(values)}"
            )

    def function(profiles: list[FittedProfile]) -> dict[str, list[str]]:
        names = list(edges)
        values = {n: np.array([quantity(p, n) for p in profiles]) for n in names}
        index = {n: _bin_index(values[n], np.asarray(edges[n], dtype=float)) for n in names}
        bins: dict[str, list[str]] = {}
        for cell in product(*(range(len(edges[n]) - 1) for n in names)):
            label = "_".join(
                edge_label(n, edges[n][i], edges[n][i + 1]) for n, i in zip(names, cell, strict=True)
            )
            inside = np.all([index[n] == i for n, i in zip(names, cell, strict=True)], axis=0)
            bins[label] = [p.loc for p, keep in zip(profiles, inside, strict=True) if keep]
        return bins

    return function


def by_quantiles(name: str, n_bins: int) -> BinFunction:
    """Return a function that makes bins of equal numbers of haloes in one quantity."""

    def function(profiles: list[FittedProfile]) -> dict[str, list[str]]:
        values = np.array([quantity(p, name) for p in profiles])
        edges = np.nanquantile(values, np.linspace(0, 1, n_bins + 1))
        index = _bin_index(values, edges)
        return {
            f"{name}_q{i + 1}": [p.loc for p, k in zip(profiles, index, strict=True) if k == i]
            for i in range(n_bins)
        }

    return function


def edge_label(name: str, lo: float, hi: float) -> str:
    """Return the label of one bin, such as z0.2-0.4; fit for a file's name."""
    return f"{name}{lo:g}-{hi:g}".replace("e+", "e")


def _bin_index(values: Array, edges: Array) -> np.ndarray:
    index = np.searchsorted(edges, values, side="right") - 1
    index[values == edges[-1]] = len(edges) - 2
    index[~np.isfinite(values)] = -1
    return index


def assign(profiles: Iterable[FittedProfile], function: BinFunction, source: str = "bins") -> Assignment:
    """Apply a binning function and check what it returns.

    Parameters
    ----------
    profiles : iterable of FittedProfile
        All of them, also those of haloes that could not be fitted.
    function : callable
        Takes the list of profiles; returns a mapping of label to members, or a list of lists (labels
        ``bin0``, ``bin1`` …). A member is a profile, its ``loc`` or its ``halo_id``.
    source : str
        Name of the binning, for messages.

    Raises
    ------
    ConfigError
        If the function raises, or returns something else.
    """
    listed = list(profiles)
    try:
        result = function(listed)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f"{source}: the function raised {type(error).__name__}: {error}") from error
    if isinstance(result, list | tuple):
        result = {f"bin{i}": members for i, members in enumerate(result)}
    if not isinstance(result, Mapping):
        raise ConfigError(
            f"{source}: the function returned a {type(result).__name__}, expected a list of lists or a dict"
        )
    known = {p.halo_id: p.halo_id for p in listed} | {p.loc: p.halo_id for p in listed}
    members = {str(label): _members(str(label), items, known, source) for label, items in result.items()}
    return Assignment(members, tuple(_remarks(listed, members, source)))


def _members(label: str, items: Any, known: Mapping[str, str], source: str) -> list[str]:
    if not LABEL.fullmatch(label) or len(label) > LONGEST_LABEL:
        raise ConfigError(
            f"{source}: label {label[:80]!r} may hold letters, digits and . _ + - alone, "
            f"at most {LONGEST_LABEL} of them"
        )
    if isinstance(items, str) or not isinstance(items, Iterable):
        raise ConfigError(f"{source}: bin {label}: expected a list of profiles, locations or halo ids")
    ids = []
    for item in items:
        name = item.halo_id if isinstance(item, FittedProfile) else str(item)
        if name not in known:
            raise ConfigError(
                f"{source}: bin {label}: {name!r} is neither a halo nor a location that was given"
            )
        ids.append(known[name])
    return list(dict.fromkeys(ids))


def _remarks(profiles: list[FittedProfile], members: Mapping[str, list[str]], source: str) -> list[str]:
    counts: dict[str, int] = {}
    for ids in members.values():
        for halo_id in ids:
            counts[halo_id] = counts.get(halo_id, 0) + 1
    remarks = [f"{source}: bin {label} is empty" for label, ids in members.items() if not ids]
    twice = sum(n > 1 for n in counts.values())
    if twice:
        remarks.append(f"{source}: {twice} haloes are in more than one bin")
    outside = len(profiles) - len(counts)
    if outside:
        remarks.append(f"{source}: {outside} of {len(profiles)} haloes are in no bin")
    return remarks
