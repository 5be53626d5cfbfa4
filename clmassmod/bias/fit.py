"""Joint posterior of the bias ln b and the intrinsic scatter sigma of lensing masses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from clmassmod.bias.truth import TrueMasses, true_masses
from clmassmod.core.likelihoods import LikelihoodTable
from clmassmod.ensemble.fit import check_choice
from clmassmod.ensemble.grid import grid_posterior
from clmassmod.ensemble.members import Fits, Members, Select, gather
from clmassmod.ensemble.prior import Range, complete_prior, describe_prior
from clmassmod.posterior import Posterior, edge_warnings

DEFAULT_PRIOR: dict[str, Range] = {"ln_bias": (-1.0, 1.0), "scatter": (0.01, 10.0)}

MODELS = ("constant",)
METHODS = ("grid",)


def fit(
    fits: Fits,
    truth: TrueMasses,
    *,
    model: str = "constant",
    method: str = "grid",
    prior: Mapping[str, Range] | None = None,
    seed: int = 0,
    mass_definition: str | None = None,
    select: Select | None = None,
    allow_missing: bool = False,
) -> Posterior:
    """Return the posterior of bias and intrinsic scatter of lensing masses.

    ln M_lens,i ~ N(ln M_true,i + ln b, sigma^2), marginal over each halo's likelihood. Projections of one
    parent share a random effect, so that they do not count as independent haloes.

    Parameters
    ----------
    fits : iterable of HaloFit or path
        Fits that are not usable are left out and counted.
    truth : mapping of halo id to Msun, or callable
        True masses in the mass definition of the fits; a callable takes a HaloFit.
    model : {"constant"}
    method : {"grid"}
        grid: exact, on an adaptive grid.
    prior : mapping of name to (low, high), optional
        ``ln_bias``: uniform, default -1 to 1; ``scatter``: uniform in its logarithm, default 0.01 to 10.
    seed : int
        Of the draws.
    mass_definition : str, optional
        Whose likelihood is used; by default that of the truth where it says, or of the first fit.
    select : callable, optional
        Takes a HaloFit, returns whether it takes part.
    allow_missing : bool
        Leave haloes without a true mass out and count them, instead of an error.

    Returns
    -------
    Posterior
        ``ln_bias``, ``bias``, ``ln_scatter``, ``scatter``, and ``parent_correlation`` where haloes share
        parents. A warning names each edge of the prior that the posterior touches.

    Raises
    ------
    TruthError
        For haloes without true mass, and for true masses of another definition.
    FitError
        Without usable halo.
    ConfigError
        For an unknown model, method or parameter.
    """
    check_choice("model", model, MODELS)
    check_choice("method", method, METHODS)
    ranges = complete_prior(DEFAULT_PRIOR, prior)
    definition = mass_definition or getattr(truth, "mass_definition", None)
    members, ln_true, n_without = match(gather(fits, definition, select), truth, allow_missing)
    table = LikelihoodTable(members.curves, ln_true)
    rng = np.random.default_rng(seed)
    marginals, grid = grid_posterior(table, members.group_starts, "ln_bias", ranges, rng)
    marginals["bias"] = marginals["ln_bias"].exponential("bias")
    metadata: dict[str, Any] = {
        **members.describe(),
        "n_without_truth": n_without,
        "model": model,
        "method": method,
        "prior": describe_prior(ranges),
        "seed": seed,
    }
    return Posterior(marginals, grid, warnings=edge_warnings(marginals, ranges), metadata=metadata)


def match(members: Members, truth: TrueMasses, allow_missing: bool) -> tuple[Members, np.ndarray, int]:
    """Return the members that have a true mass, its logarithm (halo,), and how many have none."""
    masses = true_masses(truth, members.fits, members.mass_definition, allow_missing)
    known = np.isfinite(masses)
    kept = [fit for fit, has in zip(members.fits, known, strict=True) if has]
    return replace(members, fits=kept), np.log(masses[known]), int((~known).sum())
