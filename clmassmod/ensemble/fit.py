"""Mean and scatter of ln M of an ensemble, through each halo's likelihood."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from clmassmod.core.likelihoods import LikelihoodTable
from clmassmod.ensemble.grid import grid_posterior
from clmassmod.ensemble.members import Fits, Select, gather
from clmassmod.ensemble.prior import Range, complete_prior, describe_prior
from clmassmod.errors import ConfigError
from clmassmod.posterior import Posterior, edge_warnings
from clmassmod.registry import suggest

DEFAULT_PRIOR: dict[str, Range] = {
    "mean_ln_mass": (float(np.log(1e12)), float(np.log(2e16))),
    "scatter": (0.01, 10.0),
}

CAVEAT = (
    "mean and scatter describe ln M of the members through their own likelihoods; where the noise grows "
    "with mass, the mean of a bin that is wide in mass is low (-1.6, -4.8, -14 % at 0.2, 0.4, 1 dex), so "
    "that a bias must come from the comparison with truth, never from the difference of two means"
)

MODELS = ("constant",)
METHODS = ("grid",)


def fit(
    fits: Fits,
    *,
    model: str = "constant",
    method: str = "grid",
    prior: Mapping[str, Range] | None = None,
    seed: int = 0,
    mass_definition: str | None = None,
    select: Select | None = None,
) -> Posterior:
    """Return the posterior of the mean and the intrinsic scatter of ln M [Msun] of an ensemble.

    ln M_i ~ N(mean_ln_mass, scatter^2), each halo through its likelihood.

    Parameters
    ----------
    fits : iterable of HaloFit or path
        Fits that are not usable are left out and counted.
    model : {"constant"}
    method : {"grid"}
        grid: exact, on an adaptive grid.
    prior : mapping of name to (low, high), optional
        ``mean_ln_mass``: uniform; ``scatter``: uniform in its logarithm between the given scatters.
    seed : int
        Of the draws.
    mass_definition : str, optional
        Whose likelihood is used; that of the first fit by default.
    select : callable, optional
        Takes a HaloFit, returns whether it belongs to the ensemble.

    Returns
    -------
    Posterior
        ``mean_ln_mass``, ``ln_scatter``, ``scatter``, and ``parent_correlation`` where haloes share parents.
        A warning names each edge of the prior that the posterior touches.

    Raises
    ------
    FitError
        Without usable halo.
    ConfigError
        For an unknown model, method or parameter.
    """
    check_choice("model", model, MODELS)
    check_choice("method", method, METHODS)
    ranges = complete_prior(DEFAULT_PRIOR, prior)
    members = gather(fits, mass_definition, select)
    table = LikelihoodTable(members.curves, np.zeros(len(members.fits)))
    rng = np.random.default_rng(seed)
    marginals, grid = grid_posterior(table, members.group_starts, "mean_ln_mass", ranges, rng)
    metadata: dict[str, Any] = {
        **members.describe(),
        "model": model,
        "method": method,
        "prior": describe_prior(ranges),
        "seed": seed,
        "caveat": CAVEAT,
    }
    return Posterior(marginals, grid, warnings=edge_warnings(marginals, ranges), metadata=metadata)


def check_choice(what: str, value: str, known: tuple[str, ...]) -> None:
    """Raise ConfigError for a name that is none of the known ones."""
    if value not in known:
        raise ConfigError(f"unknown {what} {value!r}{suggest(value, list(known))}")
