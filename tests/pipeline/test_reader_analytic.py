"""Reader analytic: masses follow the mass function, concentrations the relation, truth the masses."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import kstest

from clmassmod.config.models import Simulation
from clmassmod.core.massdef import threshold_density_msun_mpc3
from clmassmod.core.nfw import projected
from clmassmod.cosmology import Cosmology
from clmassmod.cosmology.concentration import concentration
from clmassmod.cosmology.mass_function import abundance
from clmassmod.errors import ConfigError, ReaderError
from clmassmod.readers.common import open_reader


def reader(cosmology, seed=1, path=None, **options):
    return open_reader(Simulation(reader="analytic", path=path, options=options), cosmology, seed)


def test_masses_follow_the_mass_function(cosmology):
    """At one redshift: a Kolmogorov–Smirnov test against the integral of Tinker et al. 2008."""
    it = reader(cosmology, n_halos=4000, mass_msun=[2e14, 3e15])
    ln_m = np.linspace(np.log(2e14), np.log(3e15), 4001)
    density = abundance(cosmology, "200c", np.exp(ln_m), 0.25)
    cumulative = np.concatenate([[0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    masses = np.log(list(it.truth().values()))
    result = kstest(masses, lambda x: np.interp(x, ln_m, cumulative / cumulative[-1]))
    assert result.pvalue > 0.01
    assert kstest(masses, lambda x: (x - ln_m[0]) / (ln_m[-1] - ln_m[0])).pvalue < 1e-6  # not flat in ln M


def test_abundance_is_that_of_colossus(cosmology):
    """Number density above 1e14 Msun at z = 0.25 is of order 1e-5 per Mpc3; Om0 = 0.3, sigma8 = 0.82."""
    ln_m = np.linspace(np.log(1e14), np.log(1e16), 400)
    total = np.trapezoid(abundance(cosmology, "200m", np.exp(ln_m), 0.25), ln_m)
    assert 5e-6 < total < 3e-5


def test_masses_depend_on_redshift(cosmology):
    it = reader(cosmology, n_halos=6000, z=[0.2, 1.2], mass_msun=[1e14, 3e15])
    z = np.array([h.z for h in it.halos()])
    assert kstest(z, "uniform", (0.2, 1.0)).pvalue > 0.01
    mass = np.array([it.truth()[h.halo_id] for h in it.halos()])
    near, far = mass[z < 0.4].mean(), mass[z > 1.0].mean()
    assert near > 1.1 * far
    ln_m = np.linspace(np.log(1e14), np.log(3e15), 400)
    for lo, hi, mean in ((0.2, 0.4, near), (1.0, 1.2, far)):
        weight = sum(
            d / np.trapezoid(d, ln_m)
            for d in (abundance(cosmology, "200c", np.exp(ln_m), x) for x in np.linspace(lo, hi, 9))
        )
        expected = np.trapezoid(weight * np.exp(ln_m), ln_m) / np.trapezoid(weight, ln_m)
        assert abs(mean / expected - 1) < 0.06  # four standard errors


def test_concentrations_and_scatter(cosmology):
    it = reader(cosmology, n_halos=3000, z=[0.2, 0.5], concentration="diemer19", concentration_scatter=0.3)
    prepared = it.prepare()
    halos = it.halos()
    exact = [
        float(concentration(cosmology, "diemer19", "200c", prepared["mass_msun"][i], halos[i].z))
        for i in range(20)
    ]
    still = reader(cosmology, n_halos=3000, z=[0.2, 0.5], concentration="diemer19").prepare()
    assert_allclose(still["concentration"][:20], exact, rtol=1e-5)
    scatter = np.log(prepared["concentration"] / still["concentration"])
    assert abs(scatter.std() / 0.3 - 1) < 4 / np.sqrt(2 * 3000)
    assert abs(scatter.mean()) < 4 * 0.3 / np.sqrt(3000)


def test_same_seed_same_haloes(cosmology):
    a, b, c = (reader(cosmology, seed, n_halos=50, concentration_scatter=0.2).prepare() for seed in (1, 1, 2))
    assert_allclose(a["mass_msun"], b["mass_msun"])
    assert_allclose(a["concentration"], b["concentration"])
    assert not np.allclose(a["mass_msun"], c["mass_msun"])


def test_field_is_the_profile(cosmology, tables):
    it = reader(cosmology, n_halos=5, profile="nfw", concentration=5, mass_definition="500c")
    halo = it.halos()[3]
    prepared = it.prepare()
    environment = tables.environment(halo.z)
    field = it.read(halo, tables, prepared)
    r = np.array([0.3, 1.0, 2.0])
    surface = projected(r, it.truth()[halo.halo_id], 5.0, threshold_density_msun_mpc3("500c", environment))
    kappa, g1, g2 = field.at(r, np.zeros(3))
    assert_allclose(kappa * environment.sigma_crit_inf_msun_mpc2, surface.sigma)
    assert_allclose(g1 * environment.sigma_crit_inf_msun_mpc2, -surface.delta_sigma)
    assert_allclose(g2, 0)
    _, g1, g2 = field.at(r / np.sqrt(2), r / np.sqrt(2))
    assert_allclose(g2 * environment.sigma_crit_inf_msun_mpc2, -surface.delta_sigma)


def test_list_of_real_haloes(shared):
    """Units are in the file's first line; -1 and 0 mean not known."""
    cosmology = Cosmology(H0=73.0, Om0=0.25, Ob0=0.045, sigma8=0.9, ns=1.0)
    it = reader(cosmology, path=str(shared / "data/truth_mxxlsnap41.csv"), concentration=4)
    halos = it.halos()
    assert (halos[0].halo_id, halos[0].parent, halos[0].z) == ("0_0", "0", 0.988708)
    assert_allclose(it.truth()["0_0"], 1.37259e15 / 0.73)
    assert_allclose(it.prepare()["concentration"], 4)
    cosmology = Cosmology(H0=70.0, Om0=0.27, Ob0=0.045, sigma8=0.8, ns=0.96)
    it = reader(cosmology, path=str(shared / "data/truth_bk11snap124.csv"), concentration=4)
    assert_allclose(it.prepare()["concentration"][0], 6.07997)
    with pytest.raises(ReaderError, match=r"made with Om0 = 0.27"):
        reader(Cosmology(H0=70.0, Om0=0.3), path=str(shared / "data/truth_bk11snap124.csv")).halos()


def test_wrong_options(cosmology):
    with pytest.raises(ConfigError, match=r"simulation.options.n_halo: unknown key; did you mean 'n_halos'"):
        reader(cosmology, n_halo=3)
    with pytest.raises(ConfigError, match="unknown density profile 'nwf'; did you mean 'nfw'"):
        reader(cosmology, profile="nwf")
    with pytest.raises(ConfigError, match="mass function 'tinker00'"):
        reader(cosmology, mass_function="tinker00").prepare()
    with pytest.raises(ConfigError, match=r"cosmology.sigma8"):
        reader(Cosmology(H0=70, Om0=0.3)).halos()
    with pytest.raises(ConfigError, match="unknown concentration relation 'diemer91'"):
        reader(cosmology, concentration="diemer91").halos()
