"""Checks of maps whose pixels are fitted themselves: means, radii, noise and masses."""

from __future__ import annotations

import math

import numpy as np

from clmassmod.config import RadialBins
from clmassmod.config.analysis import MapPixels
from clmassmod.fitters import scan
from clmassmod.pixels import measure_pixels
from clmassmod.records import HaloInfo, LensingMap, ShearProfile
from clmassmod.validate.checks import check
from clmassmod.validate.lab import PLANE, Lab, standard_errors
from clmassmod.validate.reference import ARCMINUTE, Lens, relative

_LENS = Lens(mass=1e15)
_RANGE = (0.5, 2.5)
_SIDE_MPC, _N = 0.025, 256
_WB = "surface density of Wright & Brainerd 2000 at every pixel, over the critical one"


def _map(lens: Lens = _LENS) -> LensingMap:
    x = (np.arange(_N) - 0.5 * (_N - 1)) * _SIDE_MPC
    sigma, _ = lens.surface(np.hypot(x, x[:, np.newaxis]).ravel())
    return LensingMap(
        HaloInfo("map", lens.z), _SIDE_MPC, sigma.reshape(_N, _N) / lens.background.sigma_critical(lens.z)
    )


def _profile(lab: Lab, lensing: LensingMap, *, seed: int | None = None, n: int = 8) -> ShearProfile:
    """Return the profile of a map in so many bins; with a seed, of a noisy one."""
    pixels = MapPixels(noise=0.1, beta_s=PLANE, noisy=seed is None)
    rng = np.random.default_rng(seed or 0)
    return measure_pixels(lensing, _RANGE, pixels, RadialBins(n=n), tables=lab.tables, rng=rng)


@check(3e-3, reason="the shape that gives a bin its radius is not this cluster's: 0.2 % inside", source=_WB)
def convergence_of_pixels(lab: Lab) -> float:
    """Mean convergence of a map's pixels in bins is that at the bins' radii, for the map's source plane."""
    profile = _profile(lab, _map())
    return relative(profile.value, PLANE * _LENS.kappa_gamma(profile.radius_mpc)[0])


@check(
    4.0,
    quantity="deviation in standard errors",
    reason="a chance of 6e-5 for a seed; the seed is fixed",
    source="white noise: that of one square arcminute over the root of the pixels' area",
)
def noise_of_pixels(lab: Lab) -> float:
    """Scatter of 60 noisy maps about the same map without noise is the one that their profiles state."""
    lensing = _map()
    exact = _profile(lab, lensing)
    side_arcmin = _SIDE_MPC / _LENS.background.distance(_LENS.z) / ARCMINUTE
    error = 0.1 / (side_arcmin * np.sqrt(exact.n_gal))
    pulls = np.array([(_profile(lab, lensing, seed=s).value - exact.value) / error for s in range(1, 61)])
    stated = standard_errors(np.square(pulls).ravel(), 1.0)
    return max(abs(stated), abs(standard_errors(pulls.ravel(), 0.0)), 1e3 * relative(exact.error, error))


@check(
    3e-3,
    quantity="largest error of ln M",
    reason="radii of ten bins, 0.1 % of the convergence",
    source="maps by the formula of Wright & Brainerd 2000",
)
def noise_free_mass_of_pixels(lab: Lab) -> float:
    """Mass from the pixels of an exact map of convergence, for haloes of 1.2e14 to 1.6e15 Msun."""
    found = []
    for mass in (1.2e14, 5e14, 1.6e15):
        fit = scan.fit(_profile(lab, _map(Lens(mass)), n=10), lab.model(4.0))
        found.append(math.log(fit.summary["mass_ml_msun"] / mass))
    return float(np.abs(found).max())
