"""Checks of the fitter ``curvefit``: least squares, errors by the covariance matrix, nuisance parameters."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from clmassmod.fitters import curvefit
from clmassmod.validate.checks import check
from clmassmod.validate.lab import PLANE, Lab, standard_errors
from clmassmod.validate.reference import Array, Lens, relative

_MASSES = (1.2e14, 5e14, 1.6e15)
_RADIUS = np.geomspace(0.35, 2.8, 10)
_WB = "Wright & Brainerd 2000, data made by the formula"
_STEP = "the last step is below 1e-3 standard deviations"
_FREE = {"concentration": {"range": (1.0, 20.0)}}


@check(1e-5, quantity="largest error of ln M", reason=_STEP, source=_WB)
def noise_free_mass(lab: Lab) -> float:
    """Mass of an exact reduced-shear profile, for haloes of 1.2e14 to 1.6e15 Msun, and mirrored ones."""
    found = []
    for m in _MASSES:
        profile = lab.profile(Lens(m))
        for sign in (1.0, -1.0):
            fit = curvefit.fit(replace(profile, value=sign * profile.value), lab.model(4.0))
            found.append(math.log(sign * fit.summary["mass_ml_msun"] / m))
    return float(np.abs(found).max())


@check(1e-4, quantity="largest error of ln M or ln c", reason=_STEP, source=_WB)
def noise_free_mass_and_concentration(lab: Lab) -> float:
    """Mass and concentration of an exact profile, both free."""
    found = []
    for m, c in ((1.2e14, 6.0), (5e14, 4.0), (1.6e15, 2.5)):
        fit = curvefit.fit(lab.profile(Lens(m, c)), lab.model(4.0, nuisance=_FREE))
        found += [math.log(fit.summary["mass_ml_msun"] / m), math.log(fit.best_fit["concentration"] / c)]
    return float(np.abs(found).max())


def _jacobian(lens: Lens) -> Array:
    """Return derivatives of the reduced shear with respect to M [Msun] and ln c, (bin, 2)."""
    m, c = lens.mass, lens.concentration
    by_mass = [Lens(m * f, c).reduced_shear(_RADIUS, PLANE) for f in (1.0005, 0.9995)]
    by_c = [Lens(m, c * math.exp(s)).reduced_shear(_RADIUS, PLANE) for s in (5e-4, -5e-4)]
    return np.column_stack([(by_mass[0] - by_mass[1]) / (0.001 * m), (by_c[0] - by_c[1]) / 0.001])


@check(
    1e-4,
    reason="one-sided derivatives with steps of 1e-6",
    source="inverse Fisher matrix by central differences of Wright & Brainerd",
)
def covariance_of_parameters(lab: Lab) -> float:
    """Errors and correlation of mass and concentration."""
    fit = curvefit.fit(lab.profile(Lens()), lab.model(4.0, nuisance=_FREE))
    j = _jacobian(Lens()) / 0.02
    want = np.linalg.inv(j.T @ j)
    alone = curvefit.fit(lab.profile(Lens()), lab.model(4.0))
    single = 1.0 / math.sqrt(float(j[:, 0] @ j[:, 0]))
    return max(relative(fit.model["covariance"], want), relative(alone.summary["mass_err_msun"], single))


@check(
    1e-3,
    reason="one-sided derivatives, parameters at the centre of their priors",
    source="Fisher matrix with the priors' inverse variances added: scatter of ln c of 0.3, shear "
    "bias of 0.05",
)
def errors_with_priors(lab: Lab) -> float:
    """Priors of concentration and shear calibration widen the error of the mass as they must."""
    nuisance = {"concentration": {"scatter": 0.3}, "shear_bias": {"mean": 0.0, "sd": 0.05}}
    fit = curvefit.fit(lab.profile(Lens()), lab.model(4.0, nuisance=nuisance))
    signal = Lens().reduced_shear(_RADIUS, PLANE)
    j = np.column_stack([_jacobian(Lens()), signal]) / 0.02
    fisher = j.T @ j + np.diag([0.0, 0.3**-2, 0.05**-2])
    return relative(fit.summary["mass_err_msun"], math.sqrt(np.linalg.inv(fisher)[0, 0]))


@check(
    4.0,
    quantity="deviation in standard errors",
    reason="a chance of 6e-5 for a seed; the seed is fixed",
    source="(M - M_true) / error is standard normal where the model is linear: errors of 3 % of the mass",
)
def pulls(lab: Lab) -> float:
    """Estimates of 400 noisy textbook haloes scatter by their errors."""
    rng, lens, model = np.random.default_rng(2), Lens(), lab.model(4.0)
    exact, empty = lens.reduced_shear(_RADIUS, PLANE), lab.profile(lens, error=0.002)
    found = []
    for _ in range(400):
        fit = curvefit.fit(replace(empty, value=exact + 0.002 * rng.normal(size=10)), model)
        found.append((fit.summary["mass_ml_msun"] - lens.mass) / fit.summary["mass_err_msun"])
    pull = np.array(found)
    return max(abs(standard_errors(pull, 0.0)), abs(standard_errors(pull**2, 1.0)))


@check(
    1e-6,
    reason="interpolation to 1e-7",
    source="chi^2 of Wright & Brainerd 2000 at the minimum that scipy finds",
)
def chi_squared(lab: Lab) -> float:
    """Least chi squared of noisy data, and where it is."""
    from scipy.optimize import minimize_scalar

    value = Lens().reduced_shear(_RADIUS, PLANE) + 0.02 * np.random.default_rng(5).normal(size=10)
    fit = curvefit.fit(lab.profile(Lens(), value), lab.model(4.0))

    def cost(ln_mass: float) -> float:
        model = Lens(math.exp(ln_mass)).reduced_shear(_RADIUS, PLANE)
        return float((((value - model) / 0.02) ** 2).sum())

    best = minimize_scalar(
        cost, bounds=(math.log(5e13), math.log(5e15)), method="bounded", options={"xatol": 1e-10}
    )
    apart = abs(math.log(fit.summary["mass_ml_msun"]) - float(best.x))
    return max(relative(fit.summary["chi2"], best.fun), 0.01 * apart)  # a least value is flat
