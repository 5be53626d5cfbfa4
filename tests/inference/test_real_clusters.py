"""Measured shear profiles of the 13 SPT clusters of Schrabback et al. 2018, MNRAS 474, 2635."""

from dataclasses import replace

import numpy as np
import pytest
from lenses import make_tables

from clmassmod.cosmology import Cosmology
from clmassmod.fitters import scan
from clmassmod.fitters.likelihood import LensModel, select_bins
from clmassmod.records import HaloInfo, ShearProfile

pytestmark = pytest.mark.inference

REDSHIFTS = {  # their table 1
    "SPT-CLJ0000-5748": 0.702,
    "SPT-CLJ0102-4915": 0.870,
    "SPT-CLJ0533-5005": 0.881,
    "SPT-CLJ0546-5345": 1.066,
    "SPT-CLJ0559-5249": 0.609,
    "SPT-CLJ0615-5746": 0.972,
    "SPT-CLJ2040-5726": 0.930,
    "SPT-CLJ2106-5844": 1.132,
    "SPT-CLJ2331-5051": 0.576,
    "SPT-CLJ2337-5942": 0.775,
    "SPT-CLJ2341-5119": 1.003,
    "SPT-CLJ2342-5411": 1.075,
    "SPT-CLJ2359-5009": 0.775,
}
RANGE_MPC = (0.5, 1.5)


@pytest.fixture(scope="module")
def model():
    cosmology = Cosmology(H0=70.0, Om0=0.3, Ob0=0.047, sigma8=0.82, ns=0.96)
    tables = make_tables(cosmology, z=(0.5, 1.2), relations=[("diemer19", "200c")])
    return LensModel.build(tables, concentration="diemer19", nuisance={"concentration": {"scatter": 0.3}})


@pytest.fixture(scope="module")
def clusters(shared, model):
    """Profiles of all magnitude bins of a cluster, as (profile, magnitude bin of each row)."""
    return {name: read(shared, model.tables, name) for name in REDSHIFTS}


def read(shared, tables, name):
    path = shared / "data/spt_hst_profiles" / f"{name}.xraycenter.profile"
    radius, g_t, sigma, cross, _, beta, beta2, magnitude = np.loadtxt(path).T
    z = REDSHIFTS[name]
    environment = tables.environment(z)
    # the files hold D_ls / D_s itself and its square; beta_s is over that of a source at infinity
    infinity = float(tables.beta(np.inf, z))
    return ShearProfile(
        HaloInfo(name, z), "g_t", radius, g_t, sigma, cross, np.ones(len(radius)), beta / infinity,
        beta2 / infinity**2, environment.d_lens_mpc, environment.sigma_crit_inf_msun_mpc2,
    ), magnitude  # fmt: skip


def test_magnitude_bins_give_masses_jointly(clusters, model):
    n_magnitudes, masses, errors, snr = [], [], [], []
    for name, (profile, magnitude) in clusters.items():
        fit = scan.fit(select_bins(profile, RANGE_MPC), model)
        inside = (profile.radius_mpc >= RANGE_MPC[0]) & (profile.radius_mpc <= RANGE_MPC[1])
        assert fit.status == "ok"
        assert fit.summary["n_bins"] == inside.sum() > 20
        # all magnitude bins count, each with its own sources: their likelihoods multiply
        fixed = LensModel.build(model.tables, concentration="diemer19")
        masses_of = fit.mass_msun[100:360:20]
        alone = sum(
            fixed.ln_likelihood(select_bins(one, RANGE_MPC), masses_of) for one in split(profile, magnitude)
        )
        joint = fixed.ln_likelihood(select_bins(profile, RANGE_MPC), masses_of)
        np.testing.assert_allclose(joint - joint[0], alone - alone[0], atol=1e-6)
        n_magnitudes.append(len(np.unique(magnitude[inside])))
        masses.append(fit.summary["mass_ml_msun"] / 1e14)
        errors.append(fit.summary["mass_err_msun"] / 1e14)
        snr.append(fit.summary["snr"])
        print(
            f"{name}: {n_magnitudes[-1]} magnitude bins, M200c = {masses[-1]:5.1f} +- {errors[-1]:.1f}e14, "
            f"S/N {snr[-1]:4.1f}, chi2 {fit.summary['chi2']:.0f} of {fit.summary['dof']:.0f}"
        )
    masses, errors = np.array(masses), np.array(errors)
    assert min(n_magnitudes) >= 4
    assert np.isfinite(masses).all()
    assert np.isfinite(errors).all()
    assert np.all((errors > 0.5) & (errors < 20))
    # one by one they are noisy: order of 1e14 to 1e15 Msun within two errors
    assert np.all((masses + 2 * errors > 1) & (masses - 2 * errors < 10))
    assert np.sum((masses > 1) & (masses < 20)) >= 11
    weight = errors**-2.0
    mean, error = weight @ masses / weight.sum(), weight.sum() ** -0.5
    print(f"weighted mean {mean:.1f} +- {error:.1f}e14 Msun")
    assert 2 < mean < 10


def split(profile, magnitude):
    """Return one profile a magnitude bin."""
    for value in np.unique(magnitude):
        rows = magnitude == value
        names = ("radius_mpc", "value", "error", "cross", "n_gal", "beta_s", "beta_s2")
        yield replace(profile, **{n: getattr(profile, n)[rows] for n in names})


def test_notebook_loads_the_same_profiles(clusters, shared):
    """``load_gamma_theta`` knows that a column beta is D_ls / D_s."""
    import clmassmod as clmm

    name = "SPT-CLJ2331-5051"
    massmod = clmm.CLMassMod(
        {
            "cosmology": {"H0": 70.0, "Om0": 0.3, "Ob0": 0.047, "sigma8": 0.82, "ns": 0.96},
            "model": {"profile": "nfw", "concentration": 4.0},
        }
    )
    massmod.obs_gamma_theta = clmm.utils.load_gamma_theta(
        shared / "data/spt_hst_profiles" / f"{name}.xraycenter.profile",
        names=["radius", "g_t", "g_t_err", "g_x", "g_x_err", "beta", "beta2", "magnitude_bin"],
        halo_id=name,
        z=REDSHIFTS[name],
        units={"radius": "Mpc"},
        columns={"error": "g_t_err"},
    )
    (loaded,) = massmod.profiles[name]
    expected, _ = clusters[name]
    order = np.lexsort((expected.value, expected.radius_mpc))
    loaded_order = np.lexsort((loaded.value, loaded.radius_mpc))
    for field in ("radius_mpc", "value", "error", "cross", "beta_s", "beta_s2"):
        np.testing.assert_allclose(
            getattr(loaded, field)[loaded_order], getattr(expected, field)[order], rtol=1e-5, err_msg=field
        )
