"""Mean and scatter of ln M of an ensemble, through each halo's likelihood."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from clmassmod.ensemble import infer
from clmassmod.ensemble.members import Fits, Select, gather
from clmassmod.ensemble.models import Range
from clmassmod.posterior import Posterior
from clmassmod.records import Array, HaloFit

DEFAULT_PRIOR: dict[str, Range] = {
    "mean_ln_mass": (float(np.log(1e12)), float(np.log(2e16))),
    "scatter": (0.01, 10.0),
    "mean_ln_mass_z": (-10.0, 10.0),
    "ln_scatter_z": (-5.0, 5.0),
}

CAVEAT = (
    "mean and scatter describe ln M of the members through their own likelihoods; where the noise grows "
    "with mass, the mean of a bin that is wide in mass is low (-1.6, -4.8, -14 % at 0.2, 0.4, 1 dex), so "
    "that a bias must come from the comparison with truth, never from the difference of two means"
)


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

    ln M_i ~ N(mean_ln_mass, scatter^2), each halo through its likelihood. Haloes of one parent share a random
    effect, as in ``bias.fit``.

    Parameters
    ----------
    fits : iterable of HaloFit or path
        Fits that are not usable are left out and counted.
    model : str
        ``constant``; ``trend``: mean and ln scatter linear in ln((1 + z) / (1 + z0)), z0 the median;
        ``student``: Student's t; ``mixture``: a second, wider normal component; ``trend+student``,
        ``trend+mixture``.
    method : {"grid", "nuts"}
        grid: exact, on an adaptive grid, for constant, and for student without shared parents; nuts:
        sampler, for all.
    prior : mapping of name to (low, high), optional
        Uniform; ``scatter``, ``student_nu`` and ``outlier_ratio``: uniform in the logarithm.
    seed : int
        Of the draws.
    mass_definition : str, optional
        Whose likelihood is used; that of the first fit by default.
    select : callable, optional
        Takes a HaloFit, returns whether it belongs to the ensemble.

    Returns
    -------
    Posterior
        ``mean_ln_mass``, ``ln_scatter``, ``scatter``, the parameters of the model, and
        ``parent_correlation`` where haloes share parents. A warning names each edge of the prior that the
        posterior touches, and chains that have not converged.

    Raises
    ------
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
    >>> def halo(i):  # ln M ~ N(ln 4e14, 0.3²), errors of 0.5e14 Msun
    ...     best = 4e14 * np.exp(0.3 * rng.normal()) + 0.5e14 * rng.normal()
    ...     return HaloFit.from_likelihood(f"halo{i}", 0.3, mass, -0.5 * ((mass - best) / 0.5e14) ** 2)
    >>> posterior = fit([halo(i) for i in range(200)], seed=1)
    >>> posterior.names
    ('mean_ln_mass', 'ln_scatter', 'scatter')
    >>> abs(posterior.mean_ln_mass.mean - np.log(4e14)) < 3 * posterior.mean_ln_mass.sd < 0.1
    True
    """
    members = gather(fits, mass_definition, select)
    ln_1pz, z_pivot = redshift_regressor(members.fits)
    return infer.infer(
        members,
        np.zeros(len(members.fits)),
        "mean_ln_mass",
        {"z": ln_1pz},
        model=model,
        method=method,
        default_prior=DEFAULT_PRIOR,
        prior=prior,
        seed=seed,
        metadata={"z_pivot": z_pivot, "caveat": CAVEAT},
    )


def check(model: str, method: str, prior: Mapping[str, Range]) -> None:
    """Raise ConfigError for a model, method or prior that ``fit`` would refuse."""
    infer.check("mean_ln_mass", ["z"], DEFAULT_PRIOR, model, method, prior)


def redshift_regressor(fits: list[HaloFit]) -> tuple[Array, float]:
    """Return ln((1 + z) / (1 + z0)) of each halo, (halo,), and the median redshift z0."""
    z = np.array([fit.z for fit in fits])
    pivot = float(np.median(z))
    return np.log1p(z) - np.log1p(pivot), pivot
