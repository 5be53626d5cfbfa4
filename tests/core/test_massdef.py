"""Mass definitions and their conversion."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis.strategies import floats, sampled_from
from numpy.testing import assert_allclose
from scipy.optimize import brentq

from clmassmod.core import massdef, nfw
from clmassmod.cosmology import Cosmology, environment
from clmassmod.errors import ConfigError
from clmassmod.registry import PROFILES

HALO = environment(Cosmology(70.0, 0.3), 0.4)
DEFINITIONS = ["200c", "500c", "2500c", "200m", "vir", "180m", "101.5c"]


@given(sampled_from(DEFINITIONS), sampled_from(DEFINITIONS), floats(1.0, 20.0))
def test_conversion_and_back(first, second, c):
    a, b = (massdef.threshold_density_msun_mpc3(d, HALO) for d in (first, second))
    mass, new_c = massdef.convert_nfw(3e14, c, a, b)
    back, old_c = massdef.convert_nfw(mass, new_c, b, a)
    assert_allclose(back, 3e14, rtol=1e-11)
    assert_allclose(old_c, c, rtol=1e-11)


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_conversion_against_another_root(definition):
    start = massdef.threshold_density_msun_mpc3("200c", HALO)
    end = massdef.threshold_density_msun_mpc3(definition, HALO)

    def excess(r):
        mass = nfw.enclosed_mass(np.array([r]), 3e14, 4.0, start)[0]
        return mass / (4 / 3 * np.pi * r**3) - end

    radius = brentq(excess, 1e-3, 20, xtol=1e-14, rtol=1e-14)
    mass, c = massdef.convert_nfw(3e14, 4.0, start, end)
    assert_allclose(mass, 4 / 3 * np.pi * radius**3 * end, rtol=1e-10)  # the issue asks for 1e-8
    assert_allclose(c, radius / (massdef.radius_mpc(3e14, "200c", HALO) / 4.0), rtol=1e-10)


def test_same_definition_changes_nothing():
    mass, c = massdef.convert_nfw(np.array([1e14, 1e15]), np.array([5.0, 3.0]), 3e13, 3e13)
    assert_allclose(mass, [1e14, 1e15], rtol=1e-13)
    assert_allclose(c, [5.0, 3.0], rtol=1e-13)


@pytest.mark.parametrize(
    ("name", "parameters"), [("nfw", {}), ("hernquist", {}), ("einasto", {"alpha": 0.2})]
)
def test_any_profile(name, parameters):
    profile = PROFILES.load(name)
    mass, c = np.array([1e14, 1e15]), np.array([5.0, 3.0])
    start = massdef.threshold_density_msun_mpc3("200c", HALO)
    end = massdef.threshold_density_msun_mpc3("500c", HALO)
    radius = massdef.solve_overdensity_radius(
        lambda r: profile.enclosed_mass(r, mass, c, start, HALO, **parameters), [1.0, 2.0], end
    )
    inside = profile.enclosed_mass(radius[:, np.newaxis], mass, c, start, HALO, **parameters)[:, 0]
    assert_allclose(inside, 4 / 3 * np.pi * radius**3 * end, rtol=1e-11)
    if name == "nfw":
        assert_allclose(inside, massdef.convert_nfw(mass, c, start, end)[0], rtol=1e-11)


def test_thresholds():
    assert massdef.threshold_density_msun_mpc3("500c", HALO) == 500 * HALO.rho_crit_msun_mpc3
    assert massdef.threshold_density_msun_mpc3("200m", HALO) == 200 * HALO.rho_mean_msun_mpc3
    # Bryan & Norman 1998: 18 pi^2 in an Einstein–de Sitter universe
    assert_allclose(massdef.virial_overdensity(1.0), 18 * np.pi**2)
    assert_allclose(massdef.virial_overdensity(0.3), 18 * np.pi**2 - 82 * 0.7 - 39 * 0.49)


@pytest.mark.parametrize("wrong", ["200", "c200", "-200c", "0c", "200C", "virial", "200cm", ""])
def test_wrong_definitions_are_named(wrong):
    with pytest.raises(ConfigError, match="mass definition"):
        massdef.parse(wrong)


def test_overdensity_that_is_never_reached():
    with pytest.raises(ConfigError, match="does not cross"):
        massdef.solve_overdensity_radius(lambda r: 1e10 * r**3, [1.0], 1e14)
