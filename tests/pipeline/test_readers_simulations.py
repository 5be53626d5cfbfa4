"""Formats of simulations: an NFW halo is written in exactly the format and must come back."""

import struct

import h5py
import numpy as np
import pytest
from astropy.io import fits
from numpy.testing import assert_allclose

from clmassmod.config.analysis import RadialBins
from clmassmod.config.models import Simulation
from clmassmod.core import nfw
from clmassmod.core.units import ARCMIN_RAD, ARCSEC_RAD
from clmassmod.cosmology import Cosmology, beta, beta_s
from clmassmod.cosmology.model import line_of_sight_distance_mpc
from clmassmod.errors import ConfigError, ReaderError
from clmassmod.measure import measure
from clmassmod.readers.common import open_reader
from clmassmod.readers.particles import shrinking_centre

Z = 0.25


def reader(name, path, cosmology, **options):
    return open_reader(Simulation(reader=name, path=str(path), options=options), cosmology, seed=1)


@pytest.fixture(scope="module")
def shear(nfw_profile, tables):
    """Convergence and shear of the test's halo, for a source at infinity, anywhere."""
    critical = tables.environment(Z).sigma_crit_inf_msun_mpc2

    def at(x_mpc, y_mpc):
        r2 = x_mpc**2 + y_mpc**2
        surface = nfw_profile(np.sqrt(r2).ravel())
        kappa, gamma = (v.reshape(r2.shape) / critical for v in surface)
        return kappa, -gamma * (x_mpc**2 - y_mpc**2) / r2, -2 * gamma * x_mpc * y_mpc / r2

    return at


# ---------------------------------------------------------------- mxxl


def write_mxxl(folder, base, values, corners, z=Z, order="="):
    for suffix, v in zip(("convergence_map", "shear_1_map", "shear_2_map"), values, strict=True):
        header = struct.pack(order + "2d2dddf2i", *corners, np.pi / 2, z, 8.6e8, *v.shape)
        (folder / f"{base}.{suffix}").write_bytes(header + v.astype(f"{order}f4").tobytes())


@pytest.fixture
def mxxl(tmp_path, shear, tables, cosmology):
    n, side, shift = 96, 1200.0, 60.0
    scale = ARCSEC_RAD * tables.environment(Z).d_lens_mpc
    centre = (np.arange(n) + 0.5) * side / n - side / 2
    x, y = np.meshgrid((centre + shift) * scale, centre * scale, indexing="ij")  # first index along x
    unit = float(beta(cosmology, np.inf, Z))  # the file's sources: D_ls / D_s = 1
    values = [v / unit for v in shear(x, y)]
    corners = (shift - side / 2, -side / 2, shift + side / 2, side / 2)
    for projection in range(3):
        write_mxxl(tmp_path, f"halo_54_17_{projection}", values, corners)
    return tmp_path


def test_mxxl(mxxl, shear, cosmology, tables):
    it = reader("mxxl", mxxl, cosmology)
    halos = it.halos()
    assert [(h.halo_id, h.parent, h.z) for h in halos] == [(f"17_{i}", "17", Z) for i in range(3)]
    lensing = it.read(halos[1], tables, {})
    n = 96
    x = (np.arange(n) - (n - 1) / 2) * lensing.pixel_mpc - lensing.centre_mpc[0]
    y = (np.arange(n) - (n - 1) / 2) * lensing.pixel_mpc - lensing.centre_mpc[1]
    exact = shear(*np.meshgrid(x, y))
    assert_allclose(lensing.centre_mpc[0], -60 * ARCSEC_RAD * tables.environment(Z).d_lens_mpc)
    for found, wanted in zip((lensing.kappa_inf, lensing.gamma1_inf, lensing.gamma2_inf), exact, strict=True):
        assert_allclose(found, wanted, rtol=1e-6, atol=1e-9)


def test_mxxl_of_another_byte_order(tmp_path, mxxl, cosmology, tables):
    first = reader("mxxl", mxxl, cosmology)
    a = first.read(first.halos()[0], tables, {})
    swapped = tmp_path / "swapped"
    swapped.mkdir()
    for file in mxxl.glob("halo_54_17_0.*"):
        raw = file.read_bytes()
        header = struct.unpack("=2d2dddf2i", raw[:60])
        data = np.frombuffer(raw[60:], "f4")
        (swapped / file.name).write_bytes(struct.pack(">2d2dddf2i", *header) + data.astype(">f4").tobytes())
    second = reader("mxxl", swapped, cosmology, halo_id="{snapshot}-{halo}-{projection}")
    (halo,) = second.halos()
    assert halo.halo_id == "54-17-0"
    assert_allclose(second.read(halo, tables, {}).gamma2_inf, a.gamma2_inf)


def test_mxxl_bad_files(tmp_path, mxxl, cosmology, tables):
    it = reader("mxxl", mxxl, cosmology)
    halos = it.halos()
    cut = mxxl / "halo_54_17_0.shear_1_map"
    cut.write_bytes(cut.read_bytes()[:-4])
    with pytest.raises(
        ReaderError, match=r"halo_54_17_0.shear_1_map: truncated or not a map: header says 96 x 96"
    ):
        it.read(halos[0], tables, {})
    cut.unlink()
    with pytest.raises(ReaderError, match=r"shear_1_map: No such file"):
        it.read(halos[0], tables, {})
    nan = mxxl / "halo_54_17_1.shear_2_map"
    nan.write_bytes(nan.read_bytes()[:-4] + struct.pack("=f", np.nan))
    with pytest.raises(ReaderError, match=r"shear_2_map: the map of halo '17_1' holds NaN"):
        it.read(halos[1], tables, {})
    (tmp_path / "none").mkdir()
    with pytest.raises(ReaderError, match="no file matches"):
        reader("mxxl", tmp_path / "none", cosmology).halos()
    with pytest.raises(ConfigError, match="not a regular expression"):
        reader("mxxl", mxxl, cosmology, pattern="(")
    with pytest.raises(ReaderError, match="given twice"):
        reader("mxxl", mxxl, cosmology, halo_id="{halo}").halos()


# ---------------------------------------------------------------- bk11


@pytest.fixture
def bk11(tmp_path, shear, tables, cosmology):
    n, width, length = 512, 15.0, 40.0  # comoving Mpc/h
    distance = float(line_of_sight_distance_mpc(cosmology, 0.0, Z)) + length / 2 / cosmology.h
    pixel = np.arctan(width / cosmology.h / distance) / n
    place = (np.arange(n) + 0.5 - n / 2) * pixel * tables.environment(Z).d_lens_mpc
    kappa, g1, g2 = (
        float(beta_s(cosmology, 1.0, Z)) * v for v in shear(*np.meshgrid(place, place, indexing="ij"))
    )
    matrix = {"A00": 1 - kappa - g1, "A01": -g2, "A10": -g2, "A11": 1 - kappa + g1}
    columns = [fits.Column(name, f"{n * n}E", array=v.reshape(1, -1)) for name, v in matrix.items()]
    numbers = {
        "BOXWIDTHCOMOVINGHINVMPC": width,
        "BOXLENGTHCOMOVINGHINVMPC": length,
        "ZLENS": Z,
        "ZSOURCE": 1.0,
    }
    numbers |= {"M200C": 1e14, "M500C": 8e13, "C200C": 4.0}
    columns += [fits.Column(name, "D", array=[v]) for name, v in numbers.items()]
    path = tmp_path / "haloid12_zLens0.25_zSource1.0_0kpc.fit"
    fits.BinTableHDU.from_columns(columns).writeto(path)
    return path


def test_bk11(bk11, shear, cosmology, tables):
    it = reader("bk11", bk11.parent, cosmology)
    (halo,) = it.halos()
    assert (halo.halo_id, halo.z) == ("12", Z)
    lensing = it.read(halo, tables, {})
    x = (np.arange(512) - 255.5) * lensing.pixel_mpc
    exact = shear(*np.meshgrid(x, x))
    for found, wanted in zip((lensing.kappa_inf, lensing.gamma1_inf, lensing.gamma2_inf), exact, strict=True):
        assert_allclose(found, wanted, rtol=1e-4, atol=3e-7)  # the file has single precision, near 1


def test_true_masses_of_the_files(bk11, bcc, cosmology):
    it = reader("bk11", bk11, cosmology, mass_unit="Msun/h", mass_definition="500c")
    assert it.truth_mass_definition == "500c"
    assert it.truth() == {"12": pytest.approx(8e13 / cosmology.h)}
    it = reader("bcc", bcc / "cluster_3.hdf5", cosmology, mass_unit="Msun")
    assert it.truth() == {"cluster_3": 5e14}
    for name, path in (("bk11", bk11), ("bcc", bcc / "cluster_3.hdf5")):
        with pytest.raises(ReaderError, match=r"mass_unit, such as 'Msun/h', or give truth\.path"):
            reader(name, path, cosmology).truth()
    with fits.open(bk11, mode="update") as hdus:
        hdus[1].data["M200C"] = -1.0  # not known
    assert reader("bk11", bk11, cosmology, mass_unit="Msun/h").truth() == {}


def test_bk11_bad_files(bk11, cosmology, tables):
    it = reader("bk11", bk11, cosmology)
    halo = it.halos()[0]
    whole = bk11.read_bytes()
    with fits.open(bk11) as hdus:
        table = hdus[1]
        names = [c for c in table.columns if c.name != "A10"]
        fits.BinTableHDU.from_columns(fits.ColDefs(names)).writeto(bk11, overwrite=True)
    with pytest.raises(ReaderError, match="no column 'A10'"):
        it.read(halo, tables, {})
    bk11.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ReaderError, match="not a whole FITS file"):
        it.read(halo, tables, {})


# ---------------------------------------------------------------- bcc


@pytest.fixture
def bcc(tmp_path, shear, tables):
    rng = np.random.default_rng(4)
    n, ra0, dec0 = 6000, 359.97, -41.0
    x, y = rng.uniform(-15, 15, (2, n))
    ra = (ra0 + x / 60 / np.cos(np.radians(dec0 + y / 60))) % 360
    dec = dec0 + y / 60
    z = rng.uniform(0.1, 2.0, n)
    scale = ARCMIN_RAD * tables.environment(Z).d_lens_mpc
    _, g1, g2 = shear(x * scale, y * scale)
    galaxies = np.zeros(n, dtype=[(k, "f8") for k in ("ra", "dec", "z", "gamma1", "gamma2")])
    share = tables.beta_s(z, Z)
    for name, v in zip(galaxies.dtype.names, (ra, dec, z, share * g1, share * g2), strict=True):
        galaxies[name] = v
    cluster = np.array([(ra0, dec0, Z, 5e14)], dtype=[(k, "f8") for k in ("ra", "dec", "z", "m200")])
    with h5py.File(tmp_path / "cluster_3.hdf5", "w") as file:
        file["Cluster/Cluster"] = cluster
        file["Shear/Shear Catalog"] = galaxies
    return tmp_path


def test_bcc(bcc, nfw_profile, cosmology, tables):
    it = reader("bcc", bcc, cosmology)
    (halo,) = it.halos()
    assert (halo.halo_id, halo.z) == ("cluster_3", Z)
    catalog = it.read(halo, tables, {})
    assert catalog.z_source.min() > Z + 0.1
    profile = measure(catalog, (0.3, 2.5), RadialBins(n=8))
    exact = profile.beta_s * nfw_profile(profile.radius_mpc).delta_sigma / profile.sigma_crit_inf_msun_mpc2
    assert_allclose(profile.value, exact, rtol=0.02)  # mean over few galaxies a bin, of various redshifts
    assert_allclose(profile.cross, 0, atol=2e-4)  # x and y of the test are flat-sky to 1e-3
    assert_allclose(profile.beta_s2, 0)  # plain shear: no reduced-shear correction
    assert np.abs(reader("bcc", bcc, cosmology, behind_lens=None).read(halo, tables, {}).e1).size == 6000


def test_bcc_bad_files(bcc, cosmology, tables):
    path = bcc / "cluster_3.hdf5"
    it = reader("bcc", path, cosmology)
    halo = it.halos()[0]
    with h5py.File(path, "r+") as file:
        data = file["Shear/Shear Catalog"][...]
        data["gamma1"][7] = np.nan
        file["Shear/Shear Catalog"][...] = data
    with pytest.raises(ReaderError, match="column 'gamma1' of 'Shear/Shear Catalog': row 7 is NaN"):
        it.read(halo, tables, {})
    with h5py.File(path, "r+") as file:
        del file["Cluster"]
    with pytest.raises(ReaderError, match="no dataset 'Cluster/Cluster'"):
        it.read(halo, tables, {})


# ---------------------------------------------------------------- particles


@pytest.fixture
def snapshot(tmp_path, cosmology):
    """An isothermal sphere, M(<r) = r * 1e15 Msun/Mpc out to 1 Mpc, in a comoving box of 20 Mpc/h."""
    rng = np.random.default_rng(9)
    n, mass = 400_000, 1e15
    r, mu, phi = rng.random(n), rng.uniform(-1, 1, n), rng.uniform(0, 2 * np.pi, n)
    s = np.sqrt(1 - mu**2)
    place = np.stack([r * s * np.cos(phi), r * s * np.sin(phi), r * mu], axis=1)  # physical Mpc
    unit = 1000 * cosmology.h * (1 + Z)
    box = 20_000.0
    stored = (place * unit + np.array([50.0, 10_000.0, 19_990.0])) % box
    path = tmp_path / "cut_5.hdf5"
    with h5py.File(path, "w") as file:
        header = file.create_group("Header")
        table = np.zeros(6)
        table[1] = mass / n * cosmology.h / 1e10
        header.attrs.update({"Redshift": Z, "MassTable": table, "BoxSize": box, "HubbleParam": cosmology.h})
        header.attrs.update({"Omega0": cosmology.Om0, "OmegaLambda": 0.7})
        file["PartType1/Coordinates"] = stored
    return path


@pytest.mark.parametrize("assignment", ["ngp", "cic", "tsc"])
def test_particles(snapshot, cosmology, tables, assignment):
    it = reader(
        "particles", snapshot, cosmology, centre=[50.0, 10_000.0, 19_990.0], width_mpc=4.0, pixel_mpc=0.05,
        assignment=assignment, subtract_mean=False,
    )  # fmt: skip
    halos = it.halos()
    assert [(h.halo_id, h.parent) for h in halos] == [(f"cut_5_{a}", "cut_5") for a in "xyz"]
    critical = tables.environment(Z).sigma_crit_inf_msun_mpc2
    for halo in halos:
        lensing = it.read(halo, tables, {})
        sigma = lensing.kappa_inf * critical
        assert sigma.shape == (80, 80)
        assert_allclose(sigma.sum() * 0.05**2, 1e15, rtol=1e-12)
        r = np.hypot(*np.meshgrid(*[(np.arange(80) - 39.5) * 0.05] * 2))
        for lo, hi in [(0.2, 0.4), (0.4, 0.6)]:
            ring = (r > lo) & (r < hi)
            exact = 1e15 / (2 * np.pi) * np.arctan(np.sqrt(1 / r[ring] ** 2 - 1)) / r[ring]
            assert abs(sigma[ring].mean() / exact.mean() - 1) < 0.01


def test_axes_are_right_handed(tmp_path, cosmology, tables):
    """One particle at (1, 2, 3) kpc... seen along x it lies at (y, z), along y at (z, x)."""
    path = tmp_path / "one.hdf5"
    with h5py.File(path, "w") as file:
        file.create_group("Header").attrs.update({"Redshift": Z, "MassTable": np.zeros(6)})
        file["PartType0/Coordinates"] = [[0.1, 0.2, 0.3]]
        file["PartType0/Masses"] = [1.0]
    it = reader(
        "particles", path, cosmology, centre=[0, 0, 0], length_unit="Mpc", mass_unit="Msun", width_mpc=1.0,
        pixel_mpc=0.1, particle_types=[0], subtract_mean=False, assignment="ngp", periodic=False,
    )  # fmt: skip
    for halo, (right, up) in zip(it.halos(), [(0.2, 0.3), (0.3, 0.1), (0.1, 0.2)], strict=True):
        (row,), (column,) = np.nonzero(it.read(halo, tables, {}).kappa_inf)
        assert abs((column - 4.5) * 0.1 - right) <= 0.051
        assert abs((row - 4.5) * 0.1 - up) <= 0.051


def test_centres_from_a_table_and_from_the_particles(snapshot, tmp_path, cosmology, tables):
    (tmp_path / "list.csv").write_text("halo_id,x,y,z\na,50,10000,19990\nb,900,10000,19990\n")
    it = reader(
        "particles", snapshot, cosmology, centres_path=str(tmp_path / "list.csv"), axes=["z"], width_mpc=4
    )
    assert [h.halo_id for h in it.halos()] == ["a_z", "b_z"]
    a, b = (it.read(h, tables, {}).kappa_inf for h in it.halos())
    assert np.unravel_index(a.argmax(), a.shape) == pytest.approx((100, 100), abs=4)
    assert np.unravel_index(b.argmax(), b.shape)[1] == pytest.approx(100 - 850 / 875 / 0.02, abs=4)
    with h5py.File(snapshot, "r+") as file:
        file["PartType1/Coordinates"][...] = file["PartType1/Coordinates"][...] * 0.3 + 3000.0
    it = reader("particles", snapshot, cosmology, centre=[3010.0, 3010.0, 3010.0], periodic=False)
    assert len(it.halos()) == 3


def test_shrinking_sphere_finds_the_cusp_beside_a_satellite():
    rng = np.random.default_rng(3)

    def cuspy(n, scale, place):
        direction = rng.normal(size=(n, 3))
        direction /= np.linalg.norm(direction, axis=1)[:, np.newaxis]
        return direction * scale * rng.random((n, 1)) + np.asarray(place)

    particles = np.concatenate([cuspy(30_000, 1.0, [5.0, 5.0, 5.0]), cuspy(6_000, 0.8, [6.5, 5.0, 5.0])])
    centre = shrinking_centre(particles, np.ones(len(particles)))
    assert np.linalg.norm(particles.mean(axis=0) - 5.0) > 0.2
    assert np.linalg.norm(centre - 5.0) < 0.01


def test_particles_bad_files(snapshot, cosmology, tables):
    with pytest.raises(ReaderError, match=r"made with H0 = 70"):
        reader("particles", snapshot, Cosmology(H0=67.0, Om0=0.3)).halos()
    it = reader("particles", snapshot, cosmology, particle_types=[4])
    with pytest.raises(ReaderError, match="has no particles of PartType4"):
        it.read(it.halos()[0], tables, {})
    with h5py.File(snapshot, "r+") as file:
        file["Header"].attrs.__delitem__("Redshift")
    with pytest.raises(ReaderError, match="no attribute of Header 'Redshift'"):
        reader("particles", snapshot, cosmology).halos()


# ---------------------------------------------------------------- profile3d


def write_profile3d(
    folder, nfw_enclosed, edges_mpch, h, particle_mass, name="halo_54_8.radial_profile_3D.txt"
):
    edges = edges_mpch / h
    inside = nfw_enclosed(edges)
    lines = ["# profile", f"interior_particles: {round(inside[0] / particle_mass)}", "r_lo r_med r_hi n_diff"]
    for lo, hi, mass in zip(edges_mpch, edges_mpch[1:], np.diff(inside), strict=False):
        lines.append(f"{lo:.8e} {np.sqrt(lo * hi):.8e} {hi:.8e} {round(mass / particle_mass)}")
    (folder / name).write_text("\n".join(lines) + "\n")
    (folder / "redshift").write_text(f"{Z}\n")


@pytest.mark.parametrize(("n_shells", "limit"), [(40, 0.004), (120, 0.001)])
def test_profile3d(tmp_path, nfw_profile, cosmology, tables, n_shells, limit):
    density = nfw_profile.keywords["density_msun_mpc3"]

    def enclosed(radius):
        return nfw.enclosed_mass(radius, 5e14, 4.0, density)

    edges = np.geomspace(0.01, 20.0, n_shells + 1)
    write_profile3d(tmp_path, enclosed, edges, cosmology.h, 1e8)
    it = reader("profile3d", tmp_path, cosmology, particle_mass_msun=1e8)
    (halo,) = it.halos()
    assert (halo.halo_id, halo.z) == ("8", Z)
    assert_allclose(it.truth()["8"], 5e14, rtol=2e-3)
    field = it.read(halo, tables, it.prepare())
    r = np.geomspace(0.1, 3.0, 40)
    error = field.profile(r).delta_sigma / nfw_profile(r).delta_sigma - 1
    print(f"{n_shells} shells: largest error of the excess surface density {np.abs(error).max():.1e}")
    assert np.abs(error).max() < limit
    # what lies beyond the last shell is missing in the surface density: below 1 % here
    assert_allclose(field.profile(r).sigma, nfw_profile(r).sigma, rtol=0.01)


def test_profile3d_bad_files(tmp_path, cosmology):
    path = tmp_path / "halo_54_8.radial_profile_3D.txt"
    path.write_text("a\nb 3\nr_lo r_med r_hi n\n0.1 0.2 0.3 5\n0.4 0.5 0.6 5\n0.6 0.7 0.8 5\n")
    with pytest.raises(ReaderError, match="redshift: holds no redshift"):
        reader("profile3d", tmp_path, cosmology).halos()
    with pytest.raises(ReaderError, match="row 1: shells must increase without gaps"):
        reader("profile3d", tmp_path, cosmology, z=0.3).prepare()
    path.write_text("a\nb 3\nr_lo r_med r_hi n\n0.1 0.2 0.3 x\n")
    with pytest.raises(ReaderError, match=r"row 0: '0.1 0.2 0.3 x' is not four numbers"):
        reader("profile3d", tmp_path, cosmology, z=0.3).prepare()
    path.write_text("nothing\n")
    with pytest.raises(ReaderError, match="no line names the columns"):
        reader("profile3d", tmp_path, cosmology, z=0.3).prepare()
