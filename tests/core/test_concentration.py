"""Concentration relations: definitions, tables of the user's, colossus's global state."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose

from clmassmod.core.massdef import convert_nfw, threshold_density_msun_mpc3
from clmassmod.cosmology import Cosmology, environment
from clmassmod.cosmology.colossus_state import colossus_cosmology
from clmassmod.cosmology.concentration import concentration
from clmassmod.errors import ConfigError
from clmassmod.registry import CONCENTRATIONS

COSMOLOGY = Cosmology(70.0, 0.3, Ob0=0.05, sigma8=0.8, ns=0.96)
MASS = np.geomspace(1e13, 3e15, 9)


@pytest.mark.parametrize("relation", CONCENTRATIONS.names())
@pytest.mark.parametrize("definition", ["200c", "500c", "2500c", "200m", "vir"])
def test_conversion_is_that_of_the_haloes(relation, definition):
    """A halo's concentration in one definition, converted, is the relation's for the converted mass."""
    function = CONCENTRATIONS.load(relation)
    native = function.definitions[0]
    if definition in function.definitions:
        return  # calibrated by itself
    halo = environment(COSMOLOGY, 0.4)
    start, end = (threshold_density_msun_mpc3(d, halo) for d in (native, definition))
    c = concentration(COSMOLOGY, relation, native, MASS, 0.4)
    mass, converted = convert_nfw(MASS, c, start, end)
    # relations that interpolate inside colossus are not smooth to the last digits
    assert_allclose(concentration(COSMOLOGY, relation, definition, mass, 0.4), converted, rtol=1e-7)


@pytest.mark.parametrize("relation", CONCENTRATIONS.names())
def test_whole_likelihood_grid_has_concentrations(relation):
    c = concentration(COSMOLOGY, relation, "200c", np.geomspace(1e12, 2e16, 60), 1.4)
    assert np.all((c > 1) & (c < 40))


def test_shape_of_the_masses_is_kept():
    assert concentration(COSMOLOGY, "duffy08", "200c", 1e15, 0.3).shape == ()
    assert concentration(COSMOLOGY, "diemer19", "500c", np.full((2, 3), 1e15), 0.3).shape == (2, 3)


def test_numbers_are_constants():
    assert np.array_equal(concentration(COSMOLOGY, 4.2, "500c", MASS, 0.3), np.full(9, 4.2))
    assert np.array_equal(concentration(COSMOLOGY, "4.2", "200m", MASS, 0.3), np.full(9, 4.2))


def test_power_law_needs_no_structure():
    got = concentration(Cosmology(70.0, 0.3), "duffy08", "200c", 2e12 / 0.7, 0.0)
    assert_allclose(got, 5.71)  # the pivot


def test_missing_parameters_are_named():
    with pytest.raises(ConfigError, match=r"cosmology\.ns, cosmology\.Ob0 .*diemer19"):
        concentration(Cosmology(70.0, 0.3, sigma8=0.8), "diemer19", "200c", MASS, 0.3)


def test_unknown_relation_suggests():
    with pytest.raises(ConfigError, match="diemer19"):
        concentration(COSMOLOGY, "diemer91", "200c", MASS, 0.3)


def test_colossus_is_left_as_it_was(tmp_path, monkeypatch):
    from colossus.cosmology import cosmology as colossus
    from colossus.halo import concentration as module

    before = (colossus.current_cosmo, module.storageUser)

    def fail():
        with colossus_cosmology(COSMOLOGY, "a test"):
            assert colossus.getCurrent().name == "clmassmod"
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (colossus.current_cosmo, module.storageUser) == before


def test_no_file_is_left_in_the_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    concentration(COSMOLOGY, "diemer19", "200c", MASS, 0.31)
    assert not list(tmp_path.iterdir())


def test_two_cosmologies_in_turn():
    other = Cosmology(67.0, 0.32, Ob0=0.049, sigma8=0.83, ns=0.965)
    first = concentration(COSMOLOGY, "diemer19", "200c", MASS, 0.3)
    second = concentration(other, "diemer19", "200c", MASS, 0.3)
    assert np.all(first != second)
    assert np.array_equal(concentration(COSMOLOGY, "diemer19", "200c", MASS, 0.3), first)


def write_table(path, rows, header="mass_msun,z,concentration"):
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return str(path)


def test_table_of_the_user(tmp_path):
    """A power law in mass and 1 + z is linear in the logarithms: interpolation is exact."""
    rows = [
        (m, z, 5 * (m / 1e14) ** -0.1 * (1 + z) ** -0.5) for z in (0.0, 0.5, 1.0) for m in (1e13, 1e14, 1e16)
    ]
    want = 5 * (MASS / 1e14) ** -0.1 * 1.37**-0.5
    path = write_table(tmp_path / "c.csv", reversed(rows))
    assert_allclose(concentration(COSMOLOGY, path, "200c", MASS, 0.37), want, rtol=1e-12)
    ecsv = tmp_path / "c.ecsv"
    ecsv.write_text(
        "# %ECSV 1.0\n# ---\nmass_msun z concentration\n" + "\n".join(" ".join(map(str, r)) for r in rows)
    )
    assert_allclose(concentration(COSMOLOGY, str(ecsv), "200c", MASS, 0.37), want, rtol=1e-12)
    import h5py

    with h5py.File(tmp_path / "c.h5", "w") as file:
        for name, column in zip(("mass_msun", "z", "concentration"), np.array(rows).T, strict=True):
            file[name] = column
    got = concentration(COSMOLOGY, str(tmp_path / "c.h5"), "200c", MASS, 0.37)
    assert_allclose(got, want, rtol=1e-12)


@pytest.mark.parametrize(
    ("rows", "header", "says"),
    [
        ([(1e14, 0.1, 4)], "mass,z,concentration", "no column mass_msun"),
        ([(1e14, 0.1, 4), (1e15, 0.2, 4)], "mass_msun,z,concentration", "same masses"),
        ([(1e14, 0.1, -4)], "mass_msun,z,concentration", "above 0"),
        ([(1e14, 0.1, "x")], "mass_msun,z,concentration", "numbers"),
        ([], "mass_msun,z,concentration", "no rows"),
    ],
)
def test_wrong_tables_are_named(tmp_path, rows, header, says):
    path = write_table(tmp_path / "c.csv", rows, header)
    with pytest.raises(ConfigError, match=says) as caught:
        concentration(COSMOLOGY, path, "200c", MASS, 0.3)
    assert "c.csv" in str(caught.value)


def test_missing_and_broken_files(tmp_path):
    with pytest.raises(ConfigError, match="no file"):
        concentration(COSMOLOGY, str(tmp_path / "none.csv"), "200c", MASS, 0.3)
    (tmp_path / "c.h5").write_bytes(b"nothing")
    with pytest.raises(ConfigError, match=r"c\.h5"):
        concentration(COSMOLOGY, str(tmp_path / "c.h5"), "200c", MASS, 0.3)


def test_function_of_the_user(tmp_path):
    path = tmp_path / "relation.py"
    path.write_text(
        "def c(mass_msun, z):\n    return 4.0 * (mass_msun / 1e14) ** -0.1 / (1 + z)\n"
        "def wrong(mass_msun, z):\n    return 3.0\n"
        "def native(mass_msun, z):\n    return 4.0 + 0 * mass_msun\n"
        "native.definitions = ('500c',)\n"
    )
    got = concentration(COSMOLOGY, f"{path}:c", "500c", MASS, 0.5)
    assert_allclose(got, 4 * (MASS / 1e14) ** -0.1 / 1.5)
    assert np.all(concentration(COSMOLOGY, f"{path}:native", "200c", MASS, 0.5) > 5)
    with pytest.raises(ConfigError, match="one finite number"):
        concentration(COSMOLOGY, f"{path}:wrong", "200c", MASS, 0.5)


def test_no_warning_outside_the_calibration():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        concentration(COSMOLOGY, "bhattacharya13", "200c", [1e12, 2e16], 2.5)
