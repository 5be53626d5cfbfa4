"""Values of CLMM 1.17 with CCL and of colossus 1.4, computed elsewhere: the shared reference files."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

from clmassmod.core.massdef import convert_nfw, threshold_density_msun_mpc3
from clmassmod.core.miscentring import miscentring
from clmassmod.core.profiles import dk14
from clmassmod.core.shear import reduced_shear
from clmassmod.cosmology import Cosmology, environment
from clmassmod.cosmology.concentration import concentration
from clmassmod.cosmology.predict import predict
from clmassmod.cosmology.structure import peak_height
from clmassmod.registry import PROFILES

COSMOLOGY = Cosmology(70.0, 0.3, Ob0=0.05, sigma8=0.8, ns=0.96)


@pytest.fixture(scope="session")
def reference(shared):
    return json.loads((shared / "reference" / "profiles.json").read_text())


def profile_of(entry, name, reference, radius):
    halo = environment(COSMOLOGY, entry["z"])
    parameters = {"alpha": reference["einasto_alpha"]} if name == "einasto" else {}
    if name in {"dk14", "diemer23"}:
        parameters["peak_height"] = lambda mass: peak_height(COSMOLOGY, mass, entry["z"])
    threshold = threshold_density_msun_mpc3(entry["mdef"], halo)
    return PROFILES.load(name)(radius, entry["M"], entry["c"], threshold, halo, **parameters)


@pytest.mark.parametrize(
    ("code", "key", "sigma_rtol", "delta_sigma_rtol"),
    [
        ("clmm", "nfw", 1e-10, 1e-10),
        ("clmm", "hernquist", 1e-10, 1e-10),
        # CLMM integrates the mean of its Einasto numerically: colossus, which does it better, agrees
        ("clmm", "einasto", 1e-9, 1.1e-4),
        ("colossus", "nfw", 1e-10, 1e-6),  # colossus integrates delta sigma numerically
        ("colossus", "einasto", 1e-8, 1e-7),
        ("colossus", "dk14_inner_only", 1e-6, 1e-6),
        # where its surface density has fallen by 1e4 colossus stops integrating
        ("colossus", "diemer23_inner_only", 1e-6, 1e-6),
    ],
)
def test_surface_densities(reference, code, key, sigma_rtol, delta_sigma_rtol):
    radius = np.array(reference["R_Mpc"])
    for entry in reference[code]:
        got = profile_of(entry, key.removesuffix("_inner_only"), reference, radius)
        want = np.array(entry[key]["Sigma"])
        there = want > 1e-4 * want[0] if key.startswith("diemer23") else slice(None)
        assert_allclose(got.sigma[there], want[there], rtol=sigma_rtol)
        assert_allclose(got.delta_sigma, entry[key]["DeltaSigma"], rtol=delta_sigma_rtol)


@pytest.mark.parametrize("name", ["nfw", "einasto", "hernquist"])
def test_lensing(reference, name):
    """Tolerance: CLMM's critical surface density is interpolated to 1e-6, and for Einasto see above."""
    parameters = {"alpha": reference["einasto_alpha"]} if name == "einasto" else {}
    rtol = 2e-4 if name == "einasto" else 3e-6
    for entry in reference["clmm"]:
        got = predict(
            name,
            mass_msun=entry["M"],
            concentration=entry["c"],
            mass_definition=entry["mdef"],
            z_lens=entry["z"],
            z_source=reference["z_src"],
            radius_mpc=reference["R_Mpc"],
            cosmology=COSMOLOGY,
            parameters=parameters,
        )
        for quantity in ("kappa", "gamma_t", "g_t"):
            assert_allclose(getattr(got, quantity), entry[name][quantity], rtol=rtol, err_msg=quantity)


def test_miscentred(reference):
    """CLMM integrates over the angle alone for sigma, and sigma over the radius for delta sigma."""
    radius = np.array(reference["R_Mpc"])
    operator = miscentring(radius, "fixed", reference["r_mis_Mpc"])
    for entry in reference["clmm"]:
        threshold = threshold_density_msun_mpc3(entry["mdef"], environment(COSMOLOGY, entry["z"]))
        got = operator(lambda r: PROFILES.load("nfw")(r, entry["M"], entry["c"], threshold))  # noqa: B023
        assert_allclose(got.sigma, entry["nfw"]["Sigma_miscentred"], rtol=2e-6)
        assert_allclose(got.delta_sigma, entry["nfw"]["DeltaSigma_miscentred"], rtol=5e-6)


def test_mass_conversion(reference):
    """CLMM's conversions carry 1e-12; those of colossus its solver's tolerance of 1e-7."""
    for entry in reference["clmm"]:
        halo = environment(COSMOLOGY, entry["z"])
        start = threshold_density_msun_mpc3(entry["mdef"], halo)
        for definition, key in (("500c", "M500c,c500c_clmm"), ("200m", "M200m,c200m_clmm")):
            end = threshold_density_msun_mpc3(definition, halo)
            assert_allclose(convert_nfw(entry["M"], entry["c"], start, end), entry[key], rtol=1e-10)


def test_distances(reference):
    for z, want in reference["distances"].items():
        halo = environment(COSMOLOGY, float(z))
        assert_allclose(halo.rho_crit_msun_mpc3, want["clmm_rho_c_Msun_Mpc3"], rtol=1e-9)
        assert_allclose(halo.rho_mean_msun_mpc3, want["clmm_rho_m_Msun_Mpc3"], rtol=1e-9)
        assert_allclose(halo.d_lens_mpc, want["clmm_da_lens_Mpc"], rtol=1e-6)  # CCL interpolates


def test_concentration_of_colossus(reference):
    for entry in reference["concentration"]:
        got = concentration(COSMOLOGY, entry["model"], entry["mdef"], entry["M"], entry["z"])
        assert_allclose(got, entry["c"], rtol=1e-7, err_msg=f"{entry['model']} {entry['mdef']}")


def test_concentration_of_ccl(reference):
    """CCL's own code of the same papers: identical power law; elsewhere variances differ by parts in 1e-3."""
    for key, by_z in reference["concentration_ccl"].items():
        model, definition = key.split("_")
        rtol = {"duffy08": 1e-12, "bhattacharya13": 2e-3, "ishiyama21": 2e-3, "diemer15": 0.012}[model]
        for z, want in by_z.items():
            if z != "error":
                got = concentration(COSMOLOGY, model, definition, [1e14, 4e14, 1.2e15], float(z))
                assert_allclose(got, want, rtol=rtol, err_msg=key)


def test_concentration_of_first_clmassmod(shared):
    want = json.loads((shared / "reference" / "concentration_diemer15.json").read_text())
    cosmology = Cosmology(73.0, 0.25, Ob0=0.049, sigma8=0.81, ns=0.95)
    mass = np.array(want["m200"]) / cosmology.h
    # the reference left radiation in the cosmology, here there is none
    assert_allclose(concentration(cosmology, "diemer15_orig", "200c", mass, want["z"]), want["c"], rtol=3e-4)


def test_dk14_with_outer_terms_of_first_clmassmod(shared):
    run = json.loads((shared / "reference" / "analytic_bias.json").read_text())["runs"]["wtg_z0.25_zs1_n10"]
    cosmology = Cosmology(70.0, 0.3, Ob0=0.049, sigma8=0.81, ns=0.95)
    halo, h = environment(cosmology, 0.25), cosmology.h
    radius = np.array(run["radii_kpch"]) / 1e3 / h
    for mass, truth in run["truth"].items():
        solved = dk14.haloes(
            float(mass) / h,
            truth["c"],
            threshold_density_msun_mpc3("200c", halo),
            halo,
            peak_height=lambda m: peak_height(cosmology, m, 0.25),
            outer_norm=1.0,
            outer_slope=1.5,
            mean=True,
        )
        # radiation in the reference's cosmology, and its G of 4.3e-9: 2e-4 in all densities
        assert_allclose(solved.r_200m[0] * 1e3 * h, truth["R200m"], rtol=3e-5)
        assert_allclose(solved.r_s[0] * 1e3 * h, truth["rs"], rtol=5e-5)
        assert_allclose(0.155 + 0.0095 * solved.nu[0] ** 2, truth["alpha"], rtol=2e-5)
        sigma, delta_sigma = solved.projected(radius)
        beta_s = run["beta_s"]
        g = reduced_shear(sigma, delta_sigma, halo.sigma_crit_inf_msun_mpc2, beta_s, beta_s**2)
        assert_allclose(g, truth["g"], rtol=4e-4)
