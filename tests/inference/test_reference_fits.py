"""Masses of one measured profile through the notebook, against the first clmassmod and by brute force."""

import json
import math

import numpy as np
import pytest
from scipy.optimize import brentq

import clmassmod as clmm
from clmassmod.errors import FitError

G_FIRST = 4.3e-9  # Mpc (km/s)2 / Msun, of the first clmassmod
C_KM_S = 299_792.458
BACKGROUND = {"H0": 73.0, "Om0": 0.25, "Ob0": 0.049, "sigma8": 0.81, "ns": 0.95}


@pytest.fixture(scope="module")
def reference(shared):
    return json.loads((shared / "reference/nfw_fit_m200.json").read_text())


def fitted(reference, definition="200c", more=(), concentration="diemer15_orig", **constants):
    """Return the fit of the reference's profile, as a user of the notebook makes it.

    The reference's beta_s is relative to a source at z = 1e6, not to infinity: that is 8e-5.
    """
    cosmology = BACKGROUND | constants
    massmod = clmm.CLMassMod(
        {"cosmology": cosmology, "model": {"profile": "nfw", "concentration": concentration}}
    )
    z = reference["header"]["zlens"]
    farthest = float(clmm.cosmology.beta_s(clmm.Cosmology(**cosmology), 1e6, z))
    table = {name: np.array(values, dtype=float) for name, values in reference["table"].items()}
    massmod.obs_gamma_theta = clmm.utils.load_gamma_theta(
        {
            "radius_mpc": table["r_mpc"],
            "gt": table["ghat"],
            "error": table["sigma_ghat"],
            "n_gal": table["ngals"],
            "beta_s": table["beta_s"] * farthest,
            "beta_s2": table["beta_s2"] * farthest**2,
        },
        halo_id="reference",
        z=z,
    )
    massmod.fit_mass_profiles("scan", {"mass_definition": definition, "more_mass_definitions": list(more)})
    return massmod.fits["reference"]


def peak_difference(fit, grid, pdf, definition=None):
    """Return the largest difference of two densities, of unit sum on a grid, in units of the peak."""
    found = np.exp(clmm.fitters.ln_likelihood(fit, grid, definition))
    want = pdf / pdf.sum()
    return np.abs(found / found.sum() - want).max() / want.max()


def test_mass_posterior_of_the_first_clmassmod(reference):
    """p(M200c) to 1e-3 of its peak with the constants that it took.

    Lensing knows G M alone: its G relabels masses by 2.1e-4, which is 2.4e-3 of the peak of a mass that is
    known to 5 %. The value that the references of CLMM and colossus need to 1e-6 cannot do both.
    """
    grid, pdf = np.array(reference["masses"]), np.array(reference["pdf"])
    assert pdf[grid <= 0].sum() < 1e-12 * pdf.sum()
    grid, pdf = grid[grid > 0], pdf[grid > 0]
    difference = peak_difference(fitted(reference, gravitational_constant=G_FIRST), grid, pdf)
    print(f"largest difference {difference:.1e} of the peak")
    assert difference < 1e-3
    assert 1e-3 < peak_difference(fitted(reference), grid, pdf) < 4e-3  # the control: with CODATA's


class BruteForce:
    """Textbook NFW lensing by scalar functions; nothing of the package."""

    def __init__(self, reference, concentration):
        table = reference["table"]
        self.table = {name: np.array(values, dtype=float) for name, values in table.items()}
        self.z, self.c = reference["header"]["zlens"], concentration
        h2 = BACKGROUND["H0"] ** 2 * (0.25 * (1 + self.z) ** 3 + 0.75)
        self.rho = 3 * h2 / (8 * math.pi * G_FIRST)
        # comoving distances by the trapezium rule in a = 1 / (1 + z)
        a = np.linspace(1e-8, 1, 2_000_001)
        inverse = 1 / np.sqrt(0.25 * a + 0.75 * a**4)
        steps = 0.5 * (inverse[1:] + inverse[:-1]) * np.diff(a)
        to_now = np.concatenate([[0], np.cumsum(steps[::-1])]) * C_KM_S / BACKGROUND["H0"]
        lens, far = (np.interp(1 - 1 / (1 + z), 1 - a[::-1], to_now) for z in (self.z, 1e6))
        d_lens = lens / (1 + self.z)
        self.sigma_crit = C_KM_S**2 / (4 * math.pi * G_FIRST * d_lens * (1 - lens / far))

    @staticmethod
    def m(x):
        return math.log(1 + x) - x / (1 + x)

    def other_mass(self, m200, overdensity):
        """Return the mass inside which the same halo has another mean overdensity, by bracketing."""
        contrast = overdensity / 200 * self.m(self.c) / self.c**3
        x = brentq(lambda x: self.m(x) / x**3 - contrast, 1e-3, 1e3, xtol=1e-14, rtol=1e-14)
        return m200 * self.m(x) / self.m(self.c)

    def ln_like(self, m200):
        r200 = (3 * m200 / (800 * math.pi * self.rho)) ** (1 / 3)
        r_s = r200 / self.c
        rho_s = 200 / 3 * self.c**3 / self.m(self.c) * self.rho
        total = 0.0
        for r, g, error, b, b2 in zip(
            *(self.table[n] for n in ("r_mpc", "ghat", "sigma_ghat", "beta_s", "beta_s2")), strict=True
        ):
            x = r / r_s
            f = (math.acosh(1 / x) if x < 1 else math.acos(1 / x)) / math.sqrt(abs(1 - x * x))
            sigma = 2 * rho_s * r_s / (x * x - 1) * (1 - f)
            mean = 4 * rho_s * r_s / x**2 * (math.log(x / 2) + f)
            kappa, gamma = sigma / self.sigma_crit, (mean - sigma) / self.sigma_crit
            total -= 0.5 * ((g - b * gamma / (1 - b2 / b * kappa)) / error) ** 2
        return total


@pytest.mark.parametrize("overdensity", [500, 2500])
def test_masses_of_other_overdensities_by_brute_force(reference, overdensity):
    """p(M500c) and p(M2500c) to 1e-3 of their peaks against textbook formulae, c200c = 4."""
    brute = BruteForce(reference, 4.0)
    m200 = np.geomspace(5e14, 1.2e16, 1500)
    mass = np.array([brute.other_mass(m, overdensity) for m in m200])
    values = np.array([brute.ln_like(m) for m in m200])
    grid = np.arange(5e12, 6e15, 1e13)
    pdf = np.where(
        (grid > mass[0]) & (grid < mass[-1]), np.exp(np.interp(grid, mass, values - values.max())), 0
    )
    definition = f"{overdensity}c"
    fit = fitted(reference, more=[definition], concentration=4.0, gravitational_constant=G_FIRST)
    assert peak_difference(fit, grid, pdf, definition) < 1e-3
    assert peak_difference(fit, grid, pdf) > 0.5  # a control: masses of another definition


def test_a_relation_is_that_of_the_same_haloes_in_every_definition(reference):
    """M500c as the primary mass, with the relation's c500c, or converted from M200c with its c200c."""
    grid = np.arange(3e14, 4e15, 1e13)
    converted = fitted(reference, more=["500c", "2500c"])
    for definition in ("500c", "2500c"):
        pdf = np.exp(clmm.fitters.ln_likelihood(converted, grid, definition))
        assert peak_difference(fitted(reference, definition), grid, pdf) < 1e-3


def test_a_likelihood_is_asked_for_what_it_holds(reference):
    fit = fitted(reference)
    for arguments, message in (
        ((1e15, "500c"), "no likelihood of 500c.*there is 200c"),
        ((-1e14,), "above 0"),
    ):
        with pytest.raises(FitError, match=message):
            clmm.fitters.ln_likelihood(fit, *arguments)
