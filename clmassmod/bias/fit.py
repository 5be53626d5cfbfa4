"""Joint posterior of the bias ln b and the intrinsic scatter sigma of lensing masses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from clmassmod.bias.truth import TrueMasses, true_masses
from clmassmod.ensemble import infer
from clmassmod.ensemble.fit import redshift_regressor
from clmassmod.ensemble.members import Fits, Members, Select, gather
from clmassmod.ensemble.models import Range
from clmassmod.posterior import Posterior

DEFAULT_PRIOR: dict[str, Range] = {
    "ln_bias": (-1.0, 1.0),
    "scatter": (0.01, 10.0),
    "ln_bias_mass": (-2.0, 2.0),
    "ln_bias_z": (-5.0, 5.0),
    "ln_scatter_mass": (-2.0, 2.0),
    "ln_scatter_z": (-5.0, 5.0),
}


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
    model : str
        ``constant``; ``trend``: ln b = ln_bias + ln_bias_mass ln(M / M0) + ln_bias_z ln((1 + z) / (1 + z0))
        and ln sigma alike, with the medians M0 and z0 in ``metadata``; ``student``: Student's t scatter;
        ``mixture``: a second, wider normal component, where ln b and sigma are those of the first;
        ``trend+student``, ``trend+mixture``. See ``ensemble.models.Model``.
    method : {"grid", "nuts"}
        grid: exact, on an adaptive grid, for constant, and for student without shared parents; nuts:
        sampler, for all.
    prior : mapping of name to (low, high), optional
        Uniform; ``scatter``, ``student_nu`` and ``outlier_ratio``: uniform in the logarithm. Defaults:
        ``ln_bias`` -1 to 1, ``scatter`` 0.01 to 10.
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
        ``ln_bias``, ``bias``, ``ln_scatter``, ``scatter``, the parameters of the model, and
        ``parent_correlation`` where haloes share parents. A warning names each edge of the prior that the
        posterior touches, and chains that have not converged.

    Raises
    ------
    TruthError
        For haloes without true mass, and for true masses of another definition.
    FitError
        Without usable halo.
    ConfigError
        For an unknown model, method or parameter.

    Examples
    --------
    >>> import numpy as np
    >>> from clmassmod import HaloFit
    >>> rng = np.random.default_rng(1)
    >>> mass = np.geomspace(1e13, 1e16, 300)
    >>> true = {f"halo{i}": 4e14 for i in range(300)}
    >>> def halo(name):  # masses 10 % low, 20 % scatter, errors of 5e13 Msun
    ...     best = 0.9 * true[name] * np.exp(0.2 * rng.normal()) + 5e13 * rng.normal()
    ...     return HaloFit.from_likelihood(name, 0.3, mass, -0.5 * ((mass - best) / 5e13) ** 2)
    >>> fits = [halo(name) for name in true]
    >>> posterior = fit(fits, true, seed=1)
    >>> abs(posterior.ln_bias.mean - np.log(0.9)) < 3 * posterior.ln_bias.sd < 0.1
    True
    >>> low, high = posterior.scatter.interval(0.99)
    >>> low < 0.2 < high
    True
    """
    definition = mass_definition or getattr(truth, "mass_definition", None)
    members, ln_true, n_without = match(gather(fits, definition, select), truth, allow_missing)
    ln_1pz, z_pivot = redshift_regressor(members.fits)
    ln_pivot = float(np.median(ln_true))
    found = infer.infer(
        members,
        ln_true,
        "ln_bias",
        {"mass": ln_true - ln_pivot, "z": ln_1pz},
        model=model,
        method=method,
        default_prior=DEFAULT_PRIOR,
        prior=prior,
        seed=seed,
        metadata={
            "n_without_truth": n_without,
            "mass_pivot_msun": float(np.exp(ln_pivot)),
            "z_pivot": z_pivot,
        },
    )
    return replace(
        found, marginals={**found.marginals, "bias": found.marginals["ln_bias"].exponential("bias")}
    )


def check(model: str, method: str, prior: Mapping[str, Range]) -> None:
    """Raise ConfigError for a model, method or prior that ``fit`` would refuse."""
    infer.check("ln_bias", ["mass", "z"], DEFAULT_PRIOR, model, method, prior)


def match(members: Members, truth: TrueMasses, allow_missing: bool) -> tuple[Members, np.ndarray, int]:
    """Return the members that have a true mass, its logarithm (halo,), and how many have none."""
    masses = true_masses(truth, members.fits, members.mass_definition, allow_missing)
    known = np.isfinite(masses)
    kept = [fit for fit, has in zip(members.fits, known, strict=True) if has]
    return replace(members, fits=kept), np.log(masses[known]), int((~known).sum())
