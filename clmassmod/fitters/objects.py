"""What a fitter leaves for a look by hand: draws for ArviZ, covariance and chi squared, or the grid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from clmassmod.records import Array, HaloFit


class GridFit(NamedTuple):
    """Likelihood on the mass grid, of ``scan``."""

    mass_msun: Array  # (mass,)
    ln_like: Mapping[str, Array]  # mass definition to (mass,), up to a constant
    summary: Mapping[str, float]

    def __repr__(self) -> str:
        """Return what is here, without the arrays."""
        summary = ", ".join(f"{name}={value:.4g}" for name, value in self.summary.items())
        return f"GridFit({len(self.mass_msun)} masses, {', '.join(self.ln_like)}; {summary})"


class CurveFit(NamedTuple):
    """Least squares: best parameters, their covariance, and how well they fit."""

    best_fit: Mapping[str, float]
    parameters: tuple[str, ...]
    covariance: Array  # (parameter, parameter), in the order of ``parameters``; masses in Msun
    chi2: float
    dof: float
    p_value: float


def fitter_object(fit: HaloFit) -> Any:
    """Return what the fitter of a halo gives beside masses.

    Returns
    -------
    arviz.InferenceData
        Of samplers: ``posterior`` (chain, draw), the diagnostics as its attributes.
    CurveFit
        Of ``curvefit``.
    GridFit
        Of ``scan`` and of fitters of the user's.
    """
    if fit.posterior:
        import arviz

        attributes = {k: v for k, v in fit.diagnostics.items() if np.isfinite(v)}
        problems = str(fit.metadata.get("problems", ""))
        return arviz.from_dict(dict(fit.posterior), posterior_attrs={**attributes, "problems": problems})
    if fit.metadata.get("fitter") == "curvefit":
        names = tuple(fit.metadata.get("parameters", ()))
        covariance = np.asarray(fit.model.get("covariance", np.empty((0, 0))))
        chi2, dof, p_value = (float(fit.summary.get(k, np.nan)) for k in ("chi2", "dof", "p_value"))
        return CurveFit(fit.best_fit, names, covariance, chi2, dof, p_value)
    return GridFit(fit.mass_msun, fit.ln_like, fit.summary)
