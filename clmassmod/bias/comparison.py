"""Comparison of fits with truth in whatever form a user has it, and all that comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from clmassmod.bias.fit import fit
from clmassmod.bias.truth import Truth, in_msun, true_masses
from clmassmod.bias.truth import read_truth as read_truth_file
from clmassmod.ensemble.members import Fits, gather, opened_fits
from clmassmod.errors import TruthError
from clmassmod.plain import as_floats
from clmassmod.posterior import Posterior
from clmassmod.records import Array, HaloFit
from clmassmod.registry import suggest

_UNITS = {"Msun": 1.0, "solMass": 1.0, "M_sun": 1.0}


class HaloLikelihood(NamedTuple):
    """ln L of one halo against the ratio of lensing mass to true mass; arrays are (mass,)."""

    ratio: Array
    ln_like: Array
    true_mass_msun: float


class Comparison(NamedTuple):
    """What the comparison with truth gives, in the order in which it unpacks.

    Attributes
    ----------
    likelihoods : mapping of halo id to HaloLikelihood
        Prior-free, one a halo.
    posteriors : Posterior
        Joint posterior: ``posteriors.ln_bias``, ``.bias``, ``.scatter`` …
    mass_dist_bias_samps : array (draw,)
        Draws of b = M_lens / M_true, the median ratio.
    mass_dist_scatter_samps : array (draw,)
        Draws of sigma(ln M) at fixed true mass; the same place is the same draw.
    """

    likelihoods: Mapping[str, HaloLikelihood]
    posteriors: Posterior
    mass_dist_bias_samps: Array
    mass_dist_scatter_samps: Array

    def __repr__(self) -> str:
        """Return the number of haloes and the posterior's moments."""
        return f"<Comparison of {len(self.likelihoods)} haloes: {self.posteriors!r}>"


class HaloName(str):
    """The halo's id as text, which knows ``halo_id``, ``z`` and ``parent`` too; for truth functions."""

    halo_id: str
    z: float
    parent: str

    @classmethod
    def of(cls, halo: HaloFit) -> HaloName:
        """Return the name of a fit's halo."""
        name = cls(halo.halo_id)
        name.halo_id, name.z, name.parent = halo.halo_id, halo.z, halo.parent
        return name


def compare(
    fits: Fits,
    truth: Any,
    *,
    mass_definition: str | None = None,
    halo_id: str = "halo_id",
    mass: str | None = None,
    unit: str = "Msun",
    h: float | None = None,
    **options: Any,
) -> Comparison:
    """Return bias and scatter of lensing masses against true masses.

    Parameters
    ----------
    fits : iterable of HaloFit or path
    truth : mapping, table, path or callable
        Halo id to mass [Msun]; a table (astropy, pandas, or a mapping of columns) or a file with the columns
        ``halo_id`` and ``mass``; or a function of the halo's id, which knows ``.z`` too.
    mass_definition : str, optional
        Of the true masses; that of the fits by default.
    halo_id, mass : str
        Names of columns; ``mass`` is m200c for 200c masses, and so on, by default.
    unit : {"Msun", "Msun/h"}
        Of files and tables; ``h`` = H0 / 100 for Msun/h.
    **options
        Of ``bias.fit``: model, method, prior, seed, select, allow_missing.

    Raises
    ------
    TruthError
        Naming the haloes that have no true mass.
    """
    opened = opened_fits(fits)
    members = gather(opened, mass_definition, options.get("select"))
    definition = members.mass_definition
    given = _truth(truth, definition, halo_id, mass or f"m{definition}", unit, h)
    posterior = fit(opened, given, mass_definition=definition, **options)
    allow_missing = bool(options.get("allow_missing", False))
    masses = true_masses(given, members.fits, definition, allow_missing)
    likelihoods = {
        f.halo_id: HaloLikelihood(f.mass_msun / m, f.ln_like[definition], float(m))
        for f, m in zip(members.fits, masses, strict=True)
        if np.isfinite(m)
    }
    samples = posterior.samples
    return Comparison(likelihoods, posterior, samples["bias"], samples["scatter"])


def _truth(truth: Any, definition: str, halo_id: str, mass: str, unit: str, h: float | None) -> Any:
    if isinstance(truth, Truth):
        return truth
    if isinstance(truth, str | Path):
        return read_truth_file(truth, halo_id=halo_id, mass=mass, unit=unit, h=h, mass_definition=definition)
    if hasattr(truth, "colnames") or hasattr(truth, "columns") or _is_columns(truth, halo_id):
        return _from_table(truth, definition, halo_id, mass, unit, h)
    if isinstance(truth, Mapping):
        return Truth({str(k): in_msun(v) for k, v in truth.items()}, definition, "the mapping of true masses")
    if callable(truth):
        return lambda halo: truth(HaloName.of(halo))
    raise TruthError(
        f"truth is a {type(truth).__name__}; give a mapping of halo id to Msun, a table, a file or a function"
    )


def _is_columns(truth: Any, halo_id: str) -> bool:
    return isinstance(truth, Mapping) and halo_id in truth and np.ndim(truth[halo_id]) == 1


def _from_table(table: Any, definition: str, halo_id: str, mass: str, unit: str, h: float | None) -> Truth:
    names = [str(n) for n in getattr(table, "colnames", None) or list(getattr(table, "columns", table))]
    for name in (halo_id, mass):
        if name not in names:
            raise TruthError(f"the table of true masses has no column {name!r}{suggest(name, names)}")
    column = table[mass]
    stated = str(getattr(column, "unit", None) or "")
    if stated and stated not in _UNITS:
        raise TruthError(f"the table of true masses: column {mass!r} is in {stated!r}; convert it to Msun")
    if unit not in ("Msun", "Msun/h") or (unit == "Msun/h" and h is None):
        raise TruthError(
            f"the table of true masses: unit {unit!r} is not 'Msun', or 'Msun/h' with h = H0 / 100"
        )
    if stated and unit == "Msun/h":
        raise TruthError(
            f"the table of true masses: column {mass!r} is in {stated!r}, but the unit was given as 'Msun/h'"
        )
    factor = 1.0 / h if unit == "Msun/h" and h is not None else 1.0
    ids = [i.decode() if isinstance(i, bytes) else str(i) for i in np.asarray(table[halo_id]).tolist()]
    if len(set(ids)) < len(ids):
        raise TruthError(f"the table of true masses: ids repeat in column {halo_id!r}")
    masses = as_floats(column, f"the table of true masses: column {mass!r}", "Msun", TruthError)
    values = (factor * masses).tolist()
    return Truth(dict(zip(ids, values, strict=True)), definition, "the table of true masses")
