"""Reader grid: HDF5 stacks and single maps, FITS with WCS, every unit; what bad files get."""

import dataclasses

import h5py
import numpy as np
import pytest
from astropy.io import fits
from numpy.testing import assert_allclose

from clmassmod.config.models import Simulation
from clmassmod.core.units import ARCMIN_RAD
from clmassmod.cosmology import Cosmology, beta_s
from clmassmod.errors import ConfigError, ReaderError
from clmassmod.readers.common import open_reader
from clmassmod.readers.units import parse_unit

N = 16
H = 0.7


def reader(path, cosmology, **options):
    return open_reader(Simulation(reader="grid", path=str(path), options=options), cosmology, seed=1)


def read_first(it, tables):
    return it.read(it.halos()[0], tables, it.prepare())


@pytest.fixture
def sigma():
    return np.random.default_rng(3).uniform(0, 3e15, (4, N, N))


@pytest.fixture
def stack(tmp_path, sigma):
    """A file like that of the default campaign."""
    path = tmp_path / "stack.h5"
    with h5py.File(path, "w") as file:
        file.attrs.update({"z": 0.25, "H0": 70.0, "Om0": 0.3, "flat": 1, "pixel_mpc": 0.05})
        data = file.create_dataset("sigma", data=sigma)
        data.attrs["unit"] = "Msun / Mpc2"
        file["halo_id"] = [b"a_x", b"a_y", b"b_x", b"b_y"]
        file["parent_id"] = [b"a", b"a", b"b", b"b"]
        file["richness"] = [20.0, 20.0, 31.0, 31.0]
    return path


def edit(path, change):
    with h5py.File(path, "r+") as file:
        change(file)


def test_stack(stack, sigma, cosmology, tables):
    it = reader(stack, cosmology, extra=["richness"])
    halos = it.halos()
    assert [(h.halo_id, h.parent, h.z, h.extra["richness"]) for h in halos][2] == ("b_x", "b", 0.25, 31.0)
    lensing = it.read(halos[2], tables, it.prepare())
    assert_allclose(lensing.kappa_inf, sigma[2] / tables.environment(0.25).sigma_crit_inf_msun_mpc2)
    assert lensing.pixel_mpc == 0.05
    assert lensing.gamma1_inf is None


def test_packed_values_and_transposed_axes(stack, sigma, cosmology, tables):
    def pack(file):
        del file["sigma"]
        data = file.create_dataset("sigma", data=np.round(sigma / 1e12).astype(np.uint16).transpose(0, 2, 1))
        data.attrs.update(
            {"unit": "Msun / Mpc2", "scale_factor": 1e12, "add_offset": -2e14, "dims": "map, x, y"}
        )

    edit(stack, pack)
    it = reader(stack, cosmology)
    kappa = it.read(it.halos()[1], tables, {}).kappa_inf
    assert_allclose(kappa * tables.environment(0.25).sigma_crit_inf_msun_mpc2, sigma[1] - 2e14, atol=1e12)


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("Msun / Mpc2", 1.0),
        ("h Msun / Mpc^2", H),
        ("Msun h / pc2", H * 1e12),
        ("Msun/kpc**2", 1e6),
        ("1e10 Msun/h / (kpc/h)^2", 1e16 * H),
        ("(Msun / h) / (Mpc/h)**2 physical", H),
        ("Msun h Mpc^-2 (comoving)", H * 1.25**2),
        ("Msun/cMpc2", 1.25**2),
        ("10^14 Msun / Mpc2, physical", 1e14),
    ],
)
def test_units_of_surface_density(stack, sigma, cosmology, tables, unit, factor):
    it = reader(stack, cosmology, unit=unit)
    halo = it.halos()[0]
    kappa = it.read(halo, tables, {}).kappa_inf
    assert_allclose(kappa * tables.environment(0.25).sigma_crit_inf_msun_mpc2, factor * sigma[0], rtol=1e-12)


@pytest.mark.parametrize(
    ("unit", "size"),
    [
        ("Mpc", 0.1),
        ("kpc", 1e-4),
        ("Mpc/h", 0.1 / H),
        ("Mpc/h comoving", 0.1 / H / 1.25),
        ("cMpc", 0.1 / 1.25),
    ],
)
def test_units_of_pixels(stack, cosmology, tables, unit, size):
    it = reader(stack, cosmology, pixel=0.1, pixel_unit=unit)
    assert_allclose(it.read(it.halos()[0], tables, {}).pixel_mpc, size)


@pytest.mark.parametrize("text", ["Msun / furlong", "Msun / (Mpc", "Msun)", "^2", "Mpc 3 ?"])
def test_unknown_units_are_refused(text):
    with pytest.raises(ReaderError, match="is not known"):
        parse_unit(text)


def test_convergence_with_shears_for_a_source_plane(tmp_path, cosmology, tables):
    rng = np.random.default_rng(4)
    maps = {name: rng.normal(size=(N, N)) for name in ("kappa", "g1", "g2")}
    path = tmp_path / "cluster7.h5"
    with h5py.File(path, "w") as file:
        for name, values in maps.items():
            file[name] = values
        file.attrs["z"] = 0.4
    it = reader(
        path, cosmology, map="kappa", gamma1="g1", gamma2="g2", shear_sign=[1, -1], quantity="kappa",
        z_source=1.0, pixel=0.2, pixel_unit="arcmin",
    )  # fmt: skip
    (halo,) = it.halos()
    assert (halo.halo_id, halo.z, halo.parent) == ("cluster7", 0.4, "cluster7")
    lensing = it.read(halo, tables, {})
    scale = 1 / float(beta_s(cosmology, 1.0, 0.4))
    assert_allclose(lensing.kappa_inf, scale * maps["kappa"])
    assert_allclose(lensing.gamma1_inf, scale * maps["g1"])
    assert_allclose(lensing.gamma2_inf, -scale * maps["g2"])
    assert_allclose(lensing.pixel_mpc, 0.2 * ARCMIN_RAD * tables.environment(0.4).d_lens_mpc)


def test_fits_folder_with_wcs(tmp_path, sigma, cosmology, tables):
    for i in range(3):
        header = fits.Header(
            {"Z": 0.3, "HALO_ID": f"h{i}", "BUNIT": "Msun / Mpc2", "H0": 70.0, "RICH": 10.0 + i}
        )
        header["CD1_1"], header["CD1_2"], header["CD2_1"], header["CD2_2"] = -0.003, 0.004, 0.004, 0.003
        hdus = [fits.PrimaryHDU(), fits.ImageHDU(sigma[i], header, name="SIGMA")]
        fits.HDUList(hdus).writeto(tmp_path / f"map{i}.fits")
    it = reader(tmp_path, cosmology, extra=["RICH"], z="Z", halo_id="HALO_ID")
    halos = it.halos()
    assert [(h.halo_id, h.z, h.extra["RICH"]) for h in halos] == [(f"h{i}", 0.3, 10.0 + i) for i in range(3)]
    lensing = it.read(halos[1], tables, {})
    environment = tables.environment(0.3)
    assert_allclose(lensing.kappa_inf, sigma[1] / environment.sigma_crit_inf_msun_mpc2)
    assert_allclose(lensing.pixel_mpc, 0.005 * 60 * ARCMIN_RAD * environment.d_lens_mpc)
    assert lensing.kappa_inf.dtype == np.float64


def test_subtract_mean_and_centre(stack, cosmology, tables):
    it = reader(stack, cosmology, subtract_mean=True, centre_mpc=[0.1, -0.05])
    lensing = it.read(it.halos()[0], tables, {})
    assert_allclose(lensing.kappa_inf.mean(), 0, atol=1e-15)
    assert lensing.centre_mpc == (0.1, -0.05)


def test_the_default_campaigns_file(root, cosmology, tables):
    it = reader(root / "workflow/resources/nbody_haloes_z0.25.h5", cosmology)
    halos = it.halos()
    assert len(halos) == 246
    assert len({h.parent for h in halos}) == 82
    lensing = it.read(halos[0], tables, {})
    assert lensing.kappa_inf.shape == (512, 512)
    surface = lensing.kappa_inf * tables.environment(0.25).sigma_crit_inf_msun_mpc2
    # the most massive halo, 1.1e15 Msun inside 1.9 Mpc: matter near it adds to the cylinder
    r = np.hypot(*np.meshgrid(*[(np.arange(512) - 255.5) * lensing.pixel_mpc] * 2))
    assert 1.0e15 < surface[r < 1.9].sum() * lensing.pixel_mpc**2 < 2.0e15


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.__delitem__("sigma"), "no dataset 'sigma'"),
        (lambda f: f.move("halo_id", "haloid"), r"no dataset 'halo_id'; did you mean 'haloid'"),
        (lambda f: f.attrs.pop("z"), "no attribute or dataset .for simulation.options.z. 'z'"),
        (lambda f: f["sigma"].attrs.pop("unit"), "states no unit; set simulation.options.unit"),
        (lambda f: f["sigma"].attrs.modify("unit", "erg"), "'erg' is not known"),
        (lambda f: f["sigma"].attrs.modify("unit", "Msun"), "neither surface density nor convergence"),
        (lambda f: f.attrs.modify("Om0", 0.25), "made with Om0 = 0.25, but cosmology.Om0 is 0.3"),
        (lambda f: f.attrs.modify("z", -0.1), "row 0: halo 'a_x' has redshift -0.1"),
        (lambda f: f["halo_id"].__setitem__(2, b"../x"), r"row 2: halo id '../x' cannot name a file"),
        (lambda f: f["halo_id"].__setitem__(3, b"a_y"), "rows 1 and 3: halo id 'a_y' is given twice"),
        (lambda f: f["halo_id"].__setitem__(1, b""), "row 1: halo id ''"),
        (lambda f: f["sigma"].__setitem__((0, 3, 3), np.nan), "'sigma' of halo 'a_x' holds NaN"),
        (lambda f: f.attrs.modify("pixel_mpc", 1000.0), "pixel of 1000 Mpc is not possible"),
    ],
)
def test_bad_files(stack, cosmology, tables, change, message):
    edit(stack, change)
    with pytest.raises(ReaderError, match=message) as caught:
        read_first(reader(stack, cosmology), tables)
    assert str(stack) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_wrong_number_of_ids(stack, cosmology):
    def change(file):
        del file["halo_id"]
        file["halo_id"] = [b"a", b"b"]

    edit(stack, change)
    with pytest.raises(ReaderError, match="4 maps in 'sigma', but 2 values"):
        reader(stack, cosmology).halos()


def test_truncated_and_foreign_files(stack, tmp_path, cosmology):
    whole = stack.read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.h5").write_text("not hdf5")
    (tmp_path / "cut.fits").write_bytes(b"SIMPLE  =                    T" + b" " * 50)
    (tmp_path / "empty").mkdir()
    for name in ("cut.h5", "text.h5", "cut.fits", "empty"):
        with pytest.raises(ReaderError, match=name):
            reader(tmp_path / name, cosmology).halos()
    with pytest.raises(ReaderError, match="no such file"):
        reader(tmp_path / "gone.h5", cosmology)


def test_wrong_options(stack, cosmology):
    with pytest.raises(ConfigError, match=r"simulation.options.pixle: unknown key; did you mean 'pixel'"):
        reader(stack, cosmology, pixle=1)
    it = reader(stack, cosmology, quantity="kappa")
    with pytest.raises(ReaderError, match="does not fit quantity 'kappa'"):
        it.halos()


def test_cosmology_check_can_be_switched_off(stack):
    other = Cosmology(H0=68.0, Om0=0.3)
    with pytest.raises(ReaderError, match="H0 = 70"):
        reader(stack, other).halos()
    assert len(reader(stack, other, check_cosmology=False).halos()) == 4


def test_unknown_halo(stack, cosmology, tables):
    it = reader(stack, cosmology)
    with pytest.raises(ReaderError, match="no halo 'z'"):
        it.read(dataclasses.replace(it.halos()[0], halo_id="z"), tables, {})
