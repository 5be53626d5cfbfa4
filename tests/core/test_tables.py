"""Tables against the direct computation: errors below 1e-5, as the design asks."""

import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose

from clmassmod import cosmology as direct
from clmassmod.core.massdef import convert_nfw, threshold_density_msun_mpc3
from clmassmod.cosmology import lss, structure, two_halo
from clmassmod.cosmology.concentration import concentration
from clmassmod.errors import ConfigError
from clmassmod.registry import CONCENTRATIONS
from clmassmod.tables import Tables, build

COSMOLOGY = direct.Cosmology(70.0, 0.3, Ob0=0.05, sigma8=0.8, ns=0.96)
CURVED = direct.Cosmology(68.0, 0.3, Ob0=0.05, sigma8=0.8, ns=0.96, Ode0=0.6, w0=-0.9, wa=0.2)
RELATIONS = [(name, d) for name in CONCENTRATIONS.names() for d in ("200c", "500c")] + [(4.0, "200c")]


@pytest.fixture(scope="module")
def tables():
    return Tables(build(COSMOLOGY, z_range=(0.1, 0.9), relations=RELATIONS))


@pytest.mark.parametrize("relation", [r for r in RELATIONS if r[0] != 4.0])
def test_concentrations(tables, relation):
    rng = np.random.default_rng(5)
    for z in (0.1, 0.9, *rng.uniform(0.1, 0.9, 4)):
        mass = np.exp(rng.uniform(np.log(1e12), np.log(2e16), 40))
        got = tables.concentration(*relation, mass, z)
        assert_allclose(got, concentration(COSMOLOGY, *relation, mass, z), rtol=2e-6)


def test_constant_concentration_needs_no_table(tables):
    assert np.array_equal(tables.concentration(4.0, "500c", np.full(3, 1e15), 5.0), np.full(3, 4.0))


@pytest.mark.parametrize("model", [COSMOLOGY, CURVED])
def test_beta(model):
    tables = Tables(build(model, z_range=(0.3, 0.3), structure=False))
    z = np.concatenate([np.linspace(0.301, 8, 500), [30.0, 1100.0, np.inf]])
    assert_allclose(tables.beta_s(z, 0.3), direct.beta_s(model, z, 0.3), rtol=1e-8)
    assert_allclose(tables.beta(z, 0.3), direct.beta(model, z, 0.3), rtol=1e-8)
    assert np.array_equal(tables.beta_s([0.1, 0.3], 0.3), [0.0, 0.0])
    assert tables.environment(0.3) == direct.environment(model, 0.3)
    assert tables.cosmology == model


def test_source_plane(tables):
    z = tables.source_plane(0.6, 0.4)
    assert_allclose(tables.beta_s(z, 0.4), 0.6, rtol=1e-9)
    with pytest.raises(ConfigError, match="beta_s"):
        tables.source_plane(1.2, 0.4)


def test_structure(tables):
    mass = np.geomspace(1e12, 2e16, 61)
    for z in (0.05, 0.33, 1.7):
        nu = structure.peak_height(COSMOLOGY, mass, z)
        assert_allclose(tables.peak_height(mass, z), nu, rtol=1e-7)
        bias = structure.halo_bias(COSMOLOGY, "200c", mass, z)
        assert_allclose(tables.halo_bias("200c", mass, z), bias, rtol=1e-7)
        radius = np.geomspace(0.1, 30, 20)
        want = two_halo.two_halo(COSMOLOGY, radius, z, bias=[1.0, 3.0])
        got = tables.two_halo(radius, z, [1.0, 3.0])
        assert_allclose(got.sigma, want.sigma, rtol=1e-6)
        assert_allclose(got.delta_sigma, want.delta_sigma, rtol=1e-6)


def test_bias_against_colossus():
    from colossus.lss import bias

    from clmassmod.cosmology.colossus_state import colossus_cosmology

    mass = np.geomspace(1e13, 3e15, 7)
    with colossus_cosmology(COSMOLOGY, "a test"):
        for definition in ("200m", "200c", "500c", "vir"):
            want = bias.haloBias(mass * 0.7, 0.4, definition, model="tinker10")
            assert_allclose(structure.halo_bias(COSMOLOGY, definition, mass, 0.4), want, rtol=1e-6)


def test_covariance_of_structure(tables):
    rng = np.random.default_rng(2)
    z, edges = rng.gamma(3.0, 0.4, 3000), np.geomspace(0.2, 3.0, 9)
    got = tables.lss_covariance(edges, 0.3, z)
    # galaxies are counted in 200 redshift bins
    assert_allclose(got, lss.lss_covariance(COSMOLOGY, edges, 0.3, z[:3000]), rtol=1e-4)


def test_masses_convert(tables):
    halo = tables.environment(0.3)
    densities = [threshold_density_msun_mpc3(d, halo) for d in ("200c", "500c")]
    want = convert_nfw(1e15, 4.0, *densities)
    assert np.array_equal(tables.convert_mass(1e15, 4.0, "200c", "500c", 0.3), want)


def test_what_is_missing_is_said(tables):
    with pytest.raises(ConfigError, match="hold concentrations for"):
        tables.concentration("diemer19", "200c", [1e15], 1.5)
    with pytest.raises(ConfigError, match="2500c"):
        tables.concentration("diemer19", "2500c", [1e15], 0.5)
    plain = Tables(build(direct.Cosmology(70.0, 0.3), z_range=(0.2, 0.4)))
    assert not plain.has_structure
    with pytest.raises(ConfigError, match=r"cosmology\.sigma8"):
        plain.peak_height([1e15], 0.3)
    with pytest.raises(ConfigError, match="built without structure"):
        Tables(build(COSMOLOGY, z_range=(0.2, 0.4), structure=False)).peak_height([1e15], 0.3)
    with pytest.raises(ConfigError, match="above 0"):
        build(COSMOLOGY, z_range=(0.0, 0.4))


@pytest.mark.parametrize("z_range", [(0.25, 0.25), (0.005, 0.02), (0.5, 0.5000001)])
def test_narrow_ranges_of_redshift(z_range):
    tables = Tables(build(COSMOLOGY, z_range=z_range, relations=[("diemer19", "200c")]))
    for z in z_range:
        want = concentration(COSMOLOGY, "diemer19", "200c", [1e14, 1e15], z)
        assert_allclose(tables.concentration("diemer19", "200c", [1e14, 1e15], z), want, rtol=1e-6)


def test_tables_are_plain_and_the_same_each_time():
    first, second = (build(COSMOLOGY, z_range=(0.2, 0.4), relations=[("child18", "200c")]) for _ in range(2))

    def flat(tree, path=""):
        for key, value in tree.items():
            if isinstance(value, dict):
                yield from flat(value, f"{path}/{key}")
            else:
                yield f"{path}/{key}", value

    one, two = dict(flat(first)), dict(flat(second))
    assert one.keys() == two.keys()
    for key, value in one.items():
        assert isinstance(value, np.ndarray)
        assert value.dtype == float
        assert np.array_equal(value, two[key], equal_nan=True), key
        assert "/" not in key.rsplit("/", 1)[1]


def test_a_halo_job_imports_nothing_heavy():
    code = (
        "import sys, numpy as np\n"
        "from clmassmod.tables import Tables\n"
        "from clmassmod.registry import PROFILES\n"
        "from clmassmod.core import lss, miscentring, sources\n"
        "for name in PROFILES.names(): PROFILES.load(name)\n"
        "PROFILES.load('einasto')(np.array([1.0]), 1e15, 4.0, 3e13)\n"
        "heavy = {'scipy', 'astropy', 'colossus', 'pandas', 'matplotlib', 'h5py', 'pymc'}\n"
        "heavy &= set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
