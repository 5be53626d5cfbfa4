"""Loading: formats, units and names; what is not stated is asked for, never guessed."""

import sys
import types

import h5py
import numpy as np
import pytest
from notebook_inputs import COSMOLOGY, RADIUS_MPC, nfw, write_maps
from numpy.testing import assert_allclose

from clmassmod.cosmology import Cosmology, environment
from clmassmod.errors import ConfigError, ReaderError
from clmassmod.records import HaloInfo, SourceCatalog
from clmassmod.steps.observables import distances
from clmassmod.utils import (
    from_clmm,
    load_config,
    load_delta_sigma,
    load_gamma_theta,
    load_kappa_map,
    load_mass_map,
    to_clmm,
)

MASS, Z = 6e14, 0.3
BACKGROUND = Cosmology(**COSMOLOGY)


@pytest.fixture(autouse=True)
def _in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def halo():
    return nfw(MASS, Z)


def record(loaded):
    """Return the first halo's record in physical units."""
    reader = loaded.open(BACKGROUND)
    return reader.read(reader.halos()[0], distances(BACKGROUND), reader.prepare())


def table(halo, **meta):
    from astropy import units as u
    from astropy.table import QTable

    ds = halo.delta_sigma_msun_mpc2 * u.Msun / u.Mpc**2
    made = QTable({"r": RADIUS_MPC * u.Mpc, "ds_t": ds, "ds_err": 0.1 * ds})
    made.meta.update({"z": Z, **meta})
    return made


@pytest.mark.parametrize("name", ["one.ecsv", "one.fits", "(table)"])
def test_tables_with_units(halo, name):
    source = table(halo)
    if name != "(table)":
        source.write(name)
        source = name
    loaded = load_delta_sigma(source, halo_id="x", z=Z)
    found = record(loaded)
    assert loaded.halo_ids == ["x"]
    assert_allclose(found.radius_mpc, RADIUS_MPC, rtol=1e-12)
    assert_allclose(found.value, halo.delta_sigma_msun_mpc2, rtol=1e-12)
    assert_allclose(found.error, 0.1 * found.value, rtol=1e-12)
    assert "Msun" in repr(loaded) or "solMass" in repr(loaded)


@pytest.mark.parametrize("name", ["one.ecsv", "(table)"])
def test_masked_integers_are_no_numbers(halo, name):
    """An entry that is missing must not be read as what lies under its mask."""
    from astropy.table import MaskedColumn, Table

    source = Table(table(halo), masked=True)
    missing = np.arange(len(RADIUS_MPC)) < 2
    source["ds_t"] = MaskedColumn((halo.delta_sigma_msun_mpc2 / 1e12).astype(int), mask=missing)
    source["ds_t"].unit = "1e12 Msun / Mpc2"
    if name != "(table)":
        source.write(name)
        source = name
    found = record(load_delta_sigma(source, halo_id="x", z=Z))
    assert np.array_equal(np.isnan(found.value), missing)
    assert_allclose(found.value[-1], halo.delta_sigma_msun_mpc2[-1], rtol=0.05)  # of whole numbers


def test_redshift_from_the_header_and_name_from_the_file(halo):
    table(halo).write("A2029.ecsv")
    loaded = load_delta_sigma("A2029.ecsv")
    assert (loaded.halo_ids, loaded.z.tolist()) == (["A2029"], [Z])
    table(halo, halo_id="Abell 1").write("named.ecsv")
    with pytest.raises(ReaderError, match="'Abell 1' cannot name a file"):
        load_delta_sigma("named.ecsv")


def test_units_of_a_csv_are_asked_for_or_in_the_names(halo):
    rows = np.column_stack([RADIUS_MPC, halo.delta_sigma_msun_mpc2, 0.1 * halo.delta_sigma_msun_mpc2])
    np.savetxt("bare.csv", rows, delimiter=",", header="radius,delta_sigma,error", comments="")
    with pytest.raises(ReaderError, match=r"column 'radius' states no unit; set units.radius"):
        load_delta_sigma("bare.csv", z=Z)
    given = load_delta_sigma("bare.csv", z=Z, units={"radius": "Mpc", "value": "Msun / Mpc2"})
    np.savetxt("named.csv", rows, delimiter=",", header="radius_mpc,ds_msun_mpc2,error", comments="")
    for loaded in (given, load_delta_sigma("named.csv", z=Z)):
        assert_allclose(record(loaded).value, halo.delta_sigma_msun_mpc2)
    with pytest.raises(ReaderError, match="no redshift of the lens"):
        load_delta_sigma("named.csv")


def test_h_and_comoving_units_are_explicit(halo):
    h = BACKGROUND.h
    columns = {
        "r": RADIUS_MPC * h * (1 + Z) * 1e3,
        "ds": halo.delta_sigma_msun_mpc2 / h / (1 + Z) ** 2 / 1e12,
        "err": np.ones(10),
    }
    units = {"radius": "kpc/h comoving", "value": "h Msun / pc2 comoving"}
    found = record(load_delta_sigma(columns, z=Z, halo_id="x", units=units))
    assert_allclose(found.radius_mpc, RADIUS_MPC, rtol=1e-12)
    assert_allclose(found.value, halo.delta_sigma_msun_mpc2, rtol=1e-12)
    with pytest.raises(ReaderError, match="units: no quantity 'radii'"):
        load_delta_sigma(columns, z=Z, units={"radii": "Mpc"})


@pytest.mark.parametrize("wide", [True, False])
def test_shear_against_angle(halo, wide):
    distance = environment(BACKGROUND, Z).d_lens_mpc
    theta = np.degrees(RADIUS_MPC / distance) * 60
    shape = (2, 1) if wide else (2,)
    columns = {
        "cluster": ["a", "b"] if wide else np.repeat(["a", "b"], 10),
        "theta_arcmin": np.tile(theta, shape),
        "gt": np.tile(halo.g_t, shape),
        "gt_err": np.full(np.tile(theta, shape).shape, 0.02),
    }
    loaded = load_gamma_theta(columns, z=Z, columns={"z_source": 1.0})
    assert loaded.halo_ids == ["a", "b"]
    found = record(loaded)
    assert_allclose(found.radius_mpc, RADIUS_MPC, rtol=1e-10)
    assert found.observable == "g_t"
    with pytest.raises(ReaderError, match="nothing says how far the sources are"):
        load_gamma_theta(columns, z=Z)


def test_ambiguous_and_unknown_columns_are_named(halo):
    two = {"r_mpc": RADIUS_MPC, "r_arcmin": RADIUS_MPC, "ds": halo.g_t, "err": halo.g_t}
    with pytest.raises(ReaderError, match="radius may be any of r_mpc, r_arcmin"):
        load_delta_sigma(two, z=Z)
    with pytest.raises(ReaderError, match="no column is known as value of delta_sigma"):
        load_delta_sigma({"r_mpc": RADIUS_MPC, "signal": halo.g_t}, z=Z)
    with pytest.raises(ReaderError, match="no quantity 'values'; did you mean 'value'"):
        load_delta_sigma({"r_mpc": RADIUS_MPC, "signal": halo.g_t}, z=Z, columns={"values": "signal"})
    with pytest.raises(ReaderError, match="no column of errors or weights"):
        load_delta_sigma({"r_mpc": RADIUS_MPC, "ds_msun_mpc2": halo.g_t}, z=Z)
    with pytest.raises(ReaderError, match="no such file"):
        load_delta_sigma("nowhere.fits", z=Z)
    with pytest.raises(ConfigError, match="cannot be loaded from a int"):
        load_delta_sigma(3, z=Z)


def test_text_without_names(halo):
    np.savetxt("x.profile", np.column_stack([RADIUS_MPC, halo.g_t, 0.1 * halo.g_t]))
    keys = {"z": Z, "columns": {"z_source": 1.0}, "units": {"radius": "Mpc"}}
    found = record(load_gamma_theta("x.profile", names=["r", "gt", "err"], **keys))
    assert_allclose(found.value, halo.g_t)
    with pytest.raises(ReaderError, match="3 columns, but 2 names"):
        load_gamma_theta("x.profile", names=["r", "gt"], **keys)


def test_a_loaded_table_leaves_its_file_alone(tmp_path, halo):
    for factor in (1.0, 2.0):
        with h5py.File("ds.h5", "w") as handle:
            handle.attrs["z"] = Z
            handle["radius_mpc"] = RADIUS_MPC
            handle["ds_msun_mpc2"] = factor * halo.delta_sigma_msun_mpc2
            handle["error"] = np.ones(10)
        assert_allclose(record(load_delta_sigma("ds.h5")).value, factor * halo.delta_sigma_msun_mpc2)


@pytest.fixture
def image():
    """Return a map of an NFW halo (y, x) and the side of its pixels in Mpc."""
    path = write_maps("maps.h5", ["a"], np.array([Z]), np.array([MASS]), n=32, pixel_mpc=0.2)
    with h5py.File(path) as handle:
        return handle["sigma"][0], 0.2


def test_maps_of_every_kind(image):
    from astropy.io import fits
    from astropy.table import Table

    sigma, side = image
    header = fits.Header({"BUNIT": "Msun / Mpc2", "Z": Z, "HALO_ID": "a"})
    angle = np.degrees(side / environment(BACKGROUND, Z).d_lens_mpc)
    header.update({"CDELT1": -angle, "CDELT2": angle, "CUNIT1": "deg"})
    fits.PrimaryHDU(sigma, header).writeto("map.fits")
    x, y = np.meshgrid(*[(np.arange(32) - 15.5) * side] * 2)
    columns = {"x_mpc": x.ravel(), "y_mpc": y.ravel(), "sigma_msun_mpc2": sigma.ravel()}
    Table(columns, meta={"z": Z, "halo_id": "a"}).write("map.ecsv")
    np.savetxt("matrix.csv", sigma / 1e12, delimiter=",")
    np.save("map.npy", sigma)
    keys = {"z": Z, "halo_id": "a", "pixel": 1e3 * side, "pixel_unit": "kpc"}
    expected = record(load_mass_map("maps.h5"))
    for loaded in (
        load_mass_map("map.fits"),
        load_mass_map("map.ecsv"),
        load_mass_map("matrix.csv", unit="Msun / pc2", **keys),
        load_mass_map("map.npy", unit="Msun / Mpc2", **keys),
        load_mass_map(sigma, unit="Msun / Mpc2", **keys),
    ):
        found = record(loaded)
        assert loaded.halo_ids == ["a"]
        assert_allclose(found.kappa_inf, expected.kappa_inf, rtol=1e-9)
        assert_allclose(found.pixel_mpc, side, rtol=1e-9)
        assert len(loaded.to_table()) == 1
        assert "1 halo" in repr(loaded)


def test_convergence_of_a_plane_and_of_infinity(image):
    sigma, side = image
    kappa = sigma / 4e15
    keys = {"z": Z, "halo_id": "a", "pixel": side, "pixel_unit": "Mpc"}
    infinite = record(load_kappa_map(kappa, z_source=np.inf, **keys))
    assert_allclose(infinite.kappa_inf, kappa)
    plane = record(load_kappa_map(kappa, z_source=1.0, **keys))
    assert_allclose(plane.kappa_inf * distances(BACKGROUND).beta_s(1.0, Z), kappa)
    from astropy.io import fits

    header = {"REDSHIFT": Z, "ZSOURCE": 1.0, "CDELT1": 0.01, "CDELT2": 0.01, "OBJECT": "a"}
    fits.PrimaryHDU(kappa, fits.Header(header)).writeto("kappa.fits")
    stated = load_kappa_map("kappa.fits")
    assert stated.halo_ids == ["a"]
    assert_allclose(record(stated).kappa_inf, plane.kappa_inf)
    with pytest.warns(UserWarning, match="no z_source is stated"):
        load_kappa_map(kappa, **keys)
    with pytest.raises(ReaderError, match="does not fit quantity 'kappa'"):
        load_kappa_map("maps.h5", map="sigma", z_source=1.0)


def test_maps_without_unit_or_shape_are_refused(image):
    sigma, side = image
    keys = {"z": Z, "pixel": side, "pixel_unit": "Mpc"}
    with pytest.raises(ReaderError, match="states no unit; set unit"):
        load_mass_map(sigma, **keys)
    with pytest.raises(ConfigError, match="nothing says pixel_unit"):
        load_mass_map(sigma, z=Z, pixel=side, unit="Msun / Mpc2")
    with pytest.raises(ConfigError, match=r"shape \(32,\); give \(y, x\)"):
        load_mass_map(sigma[0], unit="Msun / Mpc2", **keys)
    with h5py.File("pixel.h5", "w") as handle:
        handle["sigma"] = sigma
        handle["sigma"].attrs["unit"] = "Msun / Mpc2"
        handle.attrs.update({"z": Z, "pixel_size": side})
    with pytest.raises(ReaderError, match="the pixel's side has no unit"):
        load_mass_map("pixel.h5")
    with pytest.raises(ReaderError, match="no such file or folder"):
        load_mass_map("nowhere.fits")
    with pytest.raises(ConfigError, match="mapp: unknown key"):
        load_mass_map("maps.h5", mapp="sigma")


def test_configuration(tmp_path):
    (tmp_path / "two.yaml").write_text(
        "cosmology: {H0: 70, Om0: 0.3}\nmodel: {profile: nfw, concentration: 4}\n"
    )
    info = load_config("two.yaml")
    assert info.name == info["model"]["profile"] == "nfw"
    assert dict(info).keys() == {"cosmology", "model"}
    (tmp_path / "wrong.yaml").write_text("cosmology: {H0: 70, Omega: 0.3}\n")
    with pytest.raises(ConfigError, match=r"wrong.yaml: .*cosmology.Omega: unknown key"):
        load_config("wrong.yaml")
    with pytest.raises(ConfigError, match=r"nowhere.yaml: No such file"):
        load_config("nowhere.yaml")
    (tmp_path / "bad.yaml").write_text("cosmology: {H0: 70, Om0: 0.3}\nmodel: {profile: nfv}\n")
    with pytest.raises(ConfigError, match="did you mean 'nfw'"):
        load_config("bad.yaml")


class FakeTable(dict):
    """What CLMM's tables have of astropy's."""

    meta: dict

    @property
    def colnames(self):
        return list(self)


def test_clusters_of_clmm(halo, monkeypatch):
    profile = FakeTable(radius=RADIUS_MPC, gt=halo.g_t, gt_err=0.1 * halo.g_t, z=np.ones(10))
    profile.meta = {"bin_units": "Mpc"}
    cluster = types.SimpleNamespace(unique_id="c1", z=Z, profile=profile)
    loaded = from_clmm(cluster, columns={"z_source": 1.0})
    assert loaded.halo_ids == ["c1"]
    found = record(loaded)
    assert_allclose(found.value, halo.g_t)
    with pytest.raises(ReaderError, match="how far the sources are"):
        from_clmm(cluster)
    with pytest.raises(ConfigError, match="make_radial_profile"):
        from_clmm(types.SimpleNamespace(unique_id="c1", z=Z))
    monkeypatch.setitem(sys.modules, "clmm", None)
    with pytest.raises(ConfigError, match="CLMM is not installed"):
        to_clmm(found)


def test_round_trip_through_clmm(halo):
    clmm = pytest.importorskip("clmm")
    columns = {"r_mpc": RADIUS_MPC, "gt": halo.g_t, "err": 0.1 * halo.g_t}
    loaded = load_gamma_theta(columns, z=Z, halo_id="a", columns={"z_source": 1.0})
    data = to_clmm(loaded, cosmology=COSMOLOGY)
    assert isinstance(data, clmm.GCData)
    assert_allclose(data["gt"], halo.g_t)
    back = record(from_clmm(data))
    for name in ("radius_mpc", "value", "error", "beta_s", "beta_s2"):
        assert_allclose(getattr(back, name), getattr(record(loaded), name), rtol=1e-12)
    surface = {"r_mpc": RADIUS_MPC, "ds_msun_mpc2": halo.delta_sigma_msun_mpc2, "err": np.ones(10)}
    data = to_clmm(record(load_delta_sigma(surface, z=Z, halo_id="a")))
    assert_allclose(record(from_clmm(data)).value, halo.delta_sigma_msun_mpc2)


def test_galaxies_have_the_same_shear_in_clmm(monkeypatch):
    """CLMM's frame has x towards west; a wrong sign of x makes its tangential shear vanish."""
    angle = np.linspace(0.1, 6.2, 40)
    g_t, distance = 0.07, 5.0  # arcmin
    galaxies = SourceCatalog(
        HaloInfo("a", Z),
        *(distance * np.cos(angle), distance * np.sin(angle)),
        *(-g_t * np.cos(2 * angle), -g_t * np.sin(2 * angle)),
        *(np.ones(40), np.full(40, 0.6), np.ones(40)),
        d_lens_mpc=900.0,
        sigma_crit_inf_msun_mpc2=2e15,
        shape_noise=0.0,
    )
    seen = {}
    fake = types.SimpleNamespace(
        GCData=lambda columns, meta: dict(columns), GalaxyCluster=lambda *a: seen.update(a[4]) or a
    )
    monkeypatch.setitem(sys.modules, "clmm", fake)
    to_clmm(galaxies)
    phi = np.arctan2(seen["dec"], -seen["ra"])  # clmm.dataops, flat sky, "euclidean"
    assert_allclose(-seen["e1"] * np.cos(2 * phi) - seen["e2"] * np.sin(2 * phi), g_t)
    monkeypatch.undo()
    clmm = pytest.importorskip("clmm")
    cluster = to_clmm(galaxies)
    assert isinstance(cluster, clmm.GalaxyCluster)
    cluster.compute_tangential_and_cross_components()
    assert_allclose(cluster.galcat["et"], g_t, rtol=1e-4)
