"""Synthetic haloes and models for the tests of the fitters."""

import numpy as np
from scipy.special import logsumexp

from clmassmod.core.miscentring import miscentring
from clmassmod.core.projected import Projected
from clmassmod.cosmology import Cosmology
from clmassmod.fitters.likelihood import LensModel
from clmassmod.fitters.observables import observable
from clmassmod.records import HaloFit, HaloInfo, ShearProfile
from clmassmod.tables import Tables, build

COSMOLOGY = Cosmology(H0=70.0, Om0=0.3, Ob0=0.049, sigma8=0.81, ns=0.95)
Z = 0.3


def make_tables(cosmology=COSMOLOGY, z=(0.25, 0.6), relations=(("duffy08", "200c"),), structure=False):
    return Tables(build(cosmology, z_range=z, relations=relations, structure=structure))


def empty_profile(
    tables, *, z=Z, radius=None, error=0.02, beta_s=0.6, observable="g_t", halo_id="h1", n_bins=12
):
    """Return a profile of zeros with noise ``error``, to be filled by a model."""
    environment = tables.environment(z)
    radius = np.geomspace(0.3, 3.0, n_bins) if radius is None else np.asarray(radius, dtype=float)
    ones = np.ones(len(radius))
    return ShearProfile(
        HaloInfo(halo_id, z),
        observable,
        radius,
        0.0 * ones,
        error * ones,
        0.0 * ones,
        100.0 * ones,
        beta_s * ones,
        1.05 * beta_s**2 * ones,
        environment.d_lens_mpc,
        environment.sigma_crit_inf_msun_mpc2,
    )


def model_signal(model: LensModel, profile: ShearProfile, mass, concentration=None):
    """Return the observables of one mass, straight from profile and relation."""
    environment = model.environment(profile)
    size = np.array([float(mass)])
    c = (
        model.concentration(size, environment.z)
        if concentration is None
        else np.array([float(concentration)])
    )
    surface = model.surface(profile.radius_mpc, environment, size, c)
    return observable(profile, np.ones(len(profile.radius_mpc), bool), surface)[0]


def numeric_gradient(density, x, step, n=None):
    """Return derivatives of a ln density by central differences, of the first n parameters."""
    steps = step * np.eye(len(x))[:n]
    return np.array([(density(x + s)[0] - density(x - s)[0]) / (2 * step) for s in steps])


def normal_fits(offset, noise, projections=1, mass_msun=5e14):
    """Return fits whose likelihoods are normal in ln M about ln M_true + offset, (halo,), and their truth."""
    grid = np.geomspace(1e12, 2e16, 400)
    y = np.log(grid / mass_msun)
    fits = [
        HaloFit.from_likelihood(
            f"h{i:04d}",
            0.3,
            grid,
            -0.5 * ((y - x) / s) ** 2,
            parent=f"p{i // projections:04d}" if projections > 1 else None,
        )
        for i, (x, s) in enumerate(zip(offset, noise, strict=True))
    ]
    return fits, dict.fromkeys((fit.halo_id for fit in fits), mass_msun)


def normal_grid(mean, sd, n=41, reach=5.0):
    x = np.linspace(-reach, reach, n)
    weight = np.exp(-0.5 * x * x)
    return mean + sd * x, np.log(weight / weight.sum())


def brute_force(model, profile, masses, *, ln_c=None, c=None, offset=None, two_halo=None, shear=None):
    """Return ln L (mass,) by summing over dense grids of (value, ln weight)."""
    environment = model.environment(profile)
    everywhere = np.ones(len(profile.radius_mpc), bool)
    terms = model.two_halo(profile.radius_mpc, environment.z, masses) if two_halo else None
    zero = (np.zeros(1), np.zeros(1))
    grid_c = ln_c or c or zero
    total = []
    for s, w_s in zip(*(offset or zero), strict=True):
        operator = miscentring(profile.radius_mpc, "fixed", s) if s > 0 else None
        for x, w_c in zip(*grid_c, strict=True):
            relation = model.concentration(masses, environment.z)
            values = np.full(len(masses), np.exp(x)) if c else relation * np.exp(x)

            def centred(r, values=values):
                return model.surface(r, environment, masses, values)

            base = operator(centred) if operator else centred(profile.radius_mpc)
            for a, w_a in zip(*(two_halo or zero), strict=True):
                whole = base
                if terms is not None:
                    whole = Projected(base.sigma + a * terms.sigma, base.delta_sigma + a * terms.delta_sigma)
                shape = observable(profile, everywhere, whole)
                for m, w_m in zip(*(shear or zero), strict=True):
                    residual = (profile.value - (1 + m) * shape) / profile.error
                    total.append(w_s + w_c + w_a + w_m - 0.5 * np.sum(residual**2, axis=1))
    return logsumexp(total, axis=0)


def moments(masses, ln_like):
    x = np.log(masses)
    p = np.exp(ln_like - ln_like.max())
    p /= p.sum()
    mean = p @ x
    return mean, np.sqrt(p @ (x - mean) ** 2)
