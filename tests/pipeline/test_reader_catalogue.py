"""Reader catalogue: galaxies of observers and of CLMM, in every layout."""

import numpy as np
import pytest
from astropy.table import Table
from numpy.testing import assert_allclose

from clmassmod.config.analysis import RadialBins
from clmassmod.config.models import Simulation
from clmassmod.core.sky import offsets_arcmin
from clmassmod.core.units import ARCMIN_RAD
from clmassmod.errors import ConfigError, ReaderError
from clmassmod.measure import measure
from clmassmod.readers.common import open_reader

Z, RA, DEC = 0.25, 12.34, 45.67


def reader(path, cosmology, **options):
    return open_reader(Simulation(reader="catalogue", path=str(path), options=options), cosmology, seed=1)


@pytest.fixture
def galaxies(nfw_profile, tables):
    """Noise-free galaxies as CLMM writes them: x towards west, shapes along it."""
    rng = np.random.default_rng(8)
    x, y = rng.uniform(-14, 14, (2, 5000))  # arcmin
    scale = ARCMIN_RAD * tables.environment(Z).d_lens_mpc
    r2 = (x**2 + y**2) * scale**2
    surface = nfw_profile(np.sqrt(r2))
    critical = tables.environment(Z).sigma_crit_inf_msun_mpc2 / float(tables.beta_s(1.0, Z))
    g = surface.delta_sigma / critical / (1 - surface.sigma / critical)
    e1, e2 = -g * (x**2 - y**2) * scale**2 / r2, -2 * g * x * y * scale**2 / r2
    dec = DEC + y / 60
    table = Table({"ra": RA - x / 60 / np.cos(np.radians(DEC)), "dec": dec, "e1": e1, "e2": e2})
    table["z"], table["id"] = 1.0, np.arange(5000)
    table["x"], table["y"] = x, y
    table.meta.update({"z_lens": Z, "ra_lens": RA, "dec_lens": DEC, "halo_id": "CL_1"})
    return table


def check(catalog, nfw_profile, tolerance=0.01):
    profile = measure(catalog, (0.4, 2.6), RadialBins(n=11))
    surface = nfw_profile(profile.radius_mpc)
    kappa, gamma = (v / profile.sigma_crit_inf_msun_mpc2 for v in surface)
    assert_allclose(profile.value, profile.beta_s * gamma / (1 - profile.beta_s * kappa), rtol=tolerance)
    assert_allclose(profile.cross, 0, atol=tolerance * profile.value.max())


@pytest.mark.parametrize("suffix", [".fits", ".ecsv", ".h5"])
def test_clmm_table(tmp_path, galaxies, nfw_profile, cosmology, tables, suffix):
    path = tmp_path / f"galaxies{suffix}"
    if suffix == ".h5":
        import h5py

        with h5py.File(path, "w") as file:
            for name in galaxies.colnames:
                file[name] = np.asarray(galaxies[name])
            file.attrs.update(galaxies.meta)
    else:
        galaxies.write(path)
    it = reader(path, cosmology)
    (halo,) = it.halos()
    assert (halo.halo_id, halo.z) == ("CL_1", Z)
    catalog = it.read(halo, tables, {})
    check(catalog, nfw_profile)
    assert_allclose(catalog.shape_noise, np.sqrt(np.mean(galaxies["e1"] ** 2 + galaxies["e2"] ** 2) / 2))


def test_celestial_frame_and_xy(tmp_path, galaxies, nfw_profile, cosmology, tables):
    galaxies["e2"] *= -1
    galaxies.meta["coordinate_system"] = "celestial"
    galaxies.write(tmp_path / "sky.ecsv")
    it = reader(tmp_path / "sky.ecsv", cosmology)
    check(it.read(it.halos()[0], tables, {}), nfw_profile)
    galaxies["e2"] *= -1
    scale = ARCMIN_RAD * tables.environment(Z).d_lens_mpc
    galaxies["x"] *= scale
    galaxies["y"] *= scale
    galaxies.write(tmp_path / "xy.ecsv")
    it = reader(
        tmp_path / "xy.ecsv", cosmology, columns={"x": "x", "y": "y"}, position_unit="Mpc", shape_noise=0.25
    )
    catalog = it.read(it.halos()[0], tables, {})
    check(catalog, nfw_profile, 0.003)
    assert catalog.shape_noise == 0.25


def test_many_lenses_in_one_file(tmp_path, galaxies, nfw_profile, cosmology, tables):
    del galaxies.meta["halo_id"]
    both = Table(np.concatenate([galaxies[::2].as_array(), galaxies[1::2].as_array()]))
    both["lens"] = ["b"] * 2500 + ["a"] * 2500
    both = both[np.random.default_rng(1).permutation(5000)]
    both.write(tmp_path / "all.fits")
    (tmp_path / "lenses.csv").write_text(f"name,z,ra,dec\na,{Z},{RA},{DEC}\nb,{Z},{RA},{DEC}\n")
    lens = {"path": str(tmp_path / "lenses.csv"), "halo_id": "name", "z": "z", "ra": "ra", "dec": "dec"}
    it = reader(tmp_path / "all.fits", cosmology, columns={"halo_id": "lens"}, lens=lens)
    halos = it.halos()
    assert sorted(h.halo_id for h in halos) == ["a", "b"]
    for halo in halos:
        catalog = it.read(halo, tables, {})
        assert catalog.e1.size == 2500
        check(catalog, nfw_profile, 0.02)


def test_folder_weights_calibration_and_cuts(tmp_path, galaxies, cosmology, tables):
    galaxies["w"], galaxies["m"] = 0.5, 0.25
    galaxies["z"][:2000] = 0.2
    for name in ("one", "two"):
        galaxies.meta["halo_id"] = name
        galaxies.write(tmp_path / f"{name}.ecsv")
    options = {"columns": {"weight": "w", "shear_m": "m"}, "responsivity": 2.0, "behind_lens": 0.1}
    it = reader(tmp_path, cosmology, **options)
    assert [h.halo_id for h in it.halos()] == ["one", "two"]
    catalog = it.read(it.halos()[1], tables, {})
    assert catalog.e1.size == 3000
    assert_allclose(catalog.e1, galaxies["e1"][2000:] / 2.5)
    assert_allclose(catalog.weight, 0.5)


def test_bad_catalogues(tmp_path, galaxies, cosmology):
    path = tmp_path / "bad.ecsv"

    def written(**changes):
        table = galaxies.copy()
        for name, values in changes.items():
            if values is None:
                table.remove_column(name)
            else:
                table[name] = values
        table.write(path, overwrite=True)
        return path

    weights = np.ones(5000)
    weights[17] = -1.0
    with pytest.raises(ReaderError, match="column 'w': row 17 of lens 'CL_1' is -1"):
        reader(written(w=weights), cosmology, columns={"weight": "w"}).halos()
    e1 = np.array(galaxies["e1"])
    e1[3] = np.nan
    with pytest.raises(ReaderError, match="column 'e1': row 3 of lens 'CL_1' is nan"):
        reader(written(e1=e1), cosmology).halos()
    with pytest.raises(
        ReaderError, match=r"no column .for simulation.options.columns.e2. 'e2'; did you mean 'e1'"
    ):
        reader(written(e2=None), cosmology).halos()
    with pytest.raises(ReaderError, match=r"no attribute or column .for simulation.options.lens.z"):
        reader(written(), cosmology, lens={"z": "zl"}).halos()
    with pytest.raises(ConfigError, match="give both 'x' and 'y'"):
        reader(path, cosmology, columns={"x": "x"})
    (tmp_path / "empty").mkdir()
    with pytest.raises(ReaderError, match="the folder holds no table"):
        reader(tmp_path / "empty", cosmology).halos()


def test_positions_on_the_sphere():
    """Distances by unit vectors; the direction is that at the source, across the pole as well."""
    rng = np.random.default_rng(6)
    for ra0, dec0 in [(10.0, 89.9), (0.05, -30.0), (200.0, 0.0)]:
        ra, dec = ra0 + rng.uniform(-3, 3, 50), np.clip(dec0 + rng.uniform(-2, 2, 50), -90, 89.99)
        east, north = offsets_arcmin(ra, dec, ra0, dec0)

        def unit(a, d):
            a, d = np.radians(a), np.radians(d)
            return np.stack(
                [np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d) * np.ones_like(a)], axis=-1
            )

        angle = np.arccos(np.clip(unit(ra, dec) @ unit(ra0, dec0), -1, 1)) / ARCMIN_RAD
        assert_allclose(np.hypot(east, north), angle, rtol=1e-6)
    east, north = offsets_arcmin([10.0, 10.1], [0.1, 0.0], 10.0, 0.0)
    assert_allclose(east, [0.0, 6.0], atol=1e-9)
    assert_allclose(north, [6.0, 0.0], atol=1e-9)
    assert_allclose(offsets_arcmin([5.0], [5.0], 5.0, 5.0), 0.0, atol=1e-12)
