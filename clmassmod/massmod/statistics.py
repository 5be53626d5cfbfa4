"""Results in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from clmassmod.bias.comparison import Comparison
from clmassmod.bias.statistics import calibration
from clmassmod.posterior import Posterior
from clmassmod.records import HaloFit


def statistics(
    fits: Mapping[str, HaloFit], population: Posterior | None, comparison: Comparison | None
) -> dict[str, Any]:
    """Return counts, quality of the fits, quantiles of masses, and the posteriors so far.

    With a comparison also ``calibration``: coverage, tests and distribution of pulls, and the biases by
    stack, mean and median; ``bias.calibration`` explains them, and gives pulls and PIT of each halo.
    """
    usable = [fit for fit in fits.values() if fit.status == "ok"]
    names = dict.fromkeys(name for fit in usable for name in fit.summary)
    columns = {n: np.array([f.summary.get(n, np.nan) for f in usable], dtype=float) for n in names}
    found: dict[str, Any] = {
        "n_halos": len(fits),
        "n_usable": len(usable),
        "n_unusable": len(fits) - len(usable),
        "reasons": sorted({fit.reason for fit in fits.values() if fit.reason}),
        "summary": {name: _quantiles(values) for name, values in columns.items()},
    }
    if "chi2" in columns:
        found["chi2_per_dof"] = float(np.nansum(columns["chi2"]) / np.nansum(columns["dof"]))
    for name, posterior in (
        ("ensemble", population),
        ("bias", None if comparison is None else comparison.posteriors),
    ):
        if posterior is not None:
            found[name] = {
                n: {"mean": m.mean, "sd": m.sd, "interval_68": m.interval(0.68)}
                for n, m in posterior.marginals.items()
            }
            found[f"{name}_warnings"] = list(posterior.warnings)
    if comparison is not None:
        found["calibration"] = _calibration(fits, comparison)
    return found


def _calibration(fits: Mapping[str, HaloFit], comparison: Comparison) -> dict[str, Any]:
    truth = {halo_id: halo.true_mass_msun for halo_id, halo in comparison.likelihoods.items()}
    definition = str(comparison.posteriors.metadata["mass_definition"])
    compared = [fits[halo_id] for halo_id in truth]
    found = calibration(compared, truth, posterior=comparison.posteriors, mass_definition=definition)
    return found.numbers()


def _quantiles(values: np.ndarray) -> dict[str, float]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return {"median": np.nan, "p16": np.nan, "p84": np.nan, "n": 0}
    low, middle, high = (float(v) for v in np.quantile(finite, [0.16, 0.5, 0.84]))
    return {"median": middle, "p16": low, "p84": high, "n": int(finite.size)}
