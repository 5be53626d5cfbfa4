"""Bins by the user's own function, and functions for the common schemes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from clmassmod import bins
from clmassmod.bins import BinFunction, FittedProfile
from clmassmod.steps import members
from clmassmod.steps.members import BinMembers


def make_bins(out_data_profiles: Iterable[FittedProfile], bin_all_func: BinFunction | str) -> BinMembers:
    """Return the save locations of the members of each bin.

    Parameters
    ----------
    out_data_profiles : list of FittedProfile
        What ``fit_mass_profiles`` or ``read`` returned.
    bin_all_func : callable, or ``path/to/file.py:function``
        Gets all profiles at once; returns a list of lists, or a mapping of label to list, of profiles, save
        locations or halo ids. The same function serves the workflow's key ``bins``.

    Returns
    -------
    BinMembers
        A list of lists of save locations, with ``.labels``, ``.as_dict()`` and ``.save("bins.json")``.
        Empty bins, haloes in two bins and in none are allowed: a ``BinningWarning`` and ``.remarks`` say so.

    Raises
    ------
    ConfigError
        If the function raises, or names a halo that was not given.
    """
    return members.make_bins(out_data_profiles, bin_all_func)


def mass_bins(edges_msun: Sequence[float], estimate: str = "mass_ml_msun") -> BinFunction:
    """Return a function that bins by an estimate of the lensing mass [Msun]."""
    return bins.by_edges({estimate: edges_msun})


def redshift_bins(edges: Sequence[float]) -> BinFunction:
    """Return a function that bins by redshift."""
    return bins.by_edges({"z": edges})


def snr_bins(edges: Sequence[float]) -> BinFunction:
    """Return a function that bins by signal-to-noise ratio; it selects on the fitted signal itself."""
    return bins.by_edges({"snr": edges})


def richness_bins(edges: Sequence[float], column: str = "richness") -> BinFunction:
    """Return a function that bins by a column of the data, which ``load_*(..., extra=[column])`` read."""
    return bins.by_edges({column: edges})


def quantile_bins(name: str, n_bins: int) -> BinFunction:
    """Return a function that makes bins of equal numbers of haloes in one quantity, such as z or snr."""
    return bins.by_quantiles(name, n_bins)


def product_bins(**edges: Sequence[float]) -> BinFunction:
    """Return a function that bins by several quantities: ``product_bins(z=[0.2, 0.5], snr=[0, 3, 9])``."""
    return bins.by_edges(edges)
