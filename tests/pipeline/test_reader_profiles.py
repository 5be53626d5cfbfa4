"""Reader profiles: any table, any unit; what bad tables get."""

import h5py
import numpy as np
import pytest
from astropy.table import Table
from numpy.testing import assert_allclose, assert_array_equal

from clmassmod.config.models import Simulation
from clmassmod.cosmology import Cosmology, beta
from clmassmod.errors import ConfigError, ReaderError
from clmassmod.readers.common import open_reader

N_HALO, N_BIN, NOISE = 40, 8, 0.2
WIDE = {"halo_id": "id", "z": "z", "radius": "r", "value": "ds", "cross": "dx", "weight": "w"}


def reader(path, cosmology, columns=WIDE, **options):
    simulation = Simulation(reader="profiles", path=str(path), options={"columns": columns, **options})
    return open_reader(simulation, cosmology, seed=1)


@pytest.fixture
def data():
    rng = np.random.default_rng(7)
    w = rng.uniform(1e-28, 1e-27, (N_HALO, N_BIN))
    w[3, 0] = 0.0
    r = np.tile(np.geomspace(0.3, 3, N_BIN), (N_HALO, 1))
    r[3, 0] = 0.0  # the mean radius of no galaxy, as such tables write it
    return {
        "id": np.arange(100, 100 + N_HALO),
        "z": rng.uniform(0.2, 0.6, N_HALO),
        "r": r,
        "ds": 1e14 * rng.normal(1, 0.3, (N_HALO, N_BIN)),
        "dx": NOISE * rng.normal(size=(N_HALO, N_BIN)) / np.sqrt(np.where(w > 0, w, 1)),
        "w": w,
        "rich": rng.uniform(10, 90, N_HALO),
    }


UNITS = {"r": "Mpc", "ds": "Msun / Mpc2", "dx": "Msun / Mpc2", "w": "Mpc4 / Msun2"}


def write_h5(path, data, **units):
    with h5py.File(path, "w") as file:
        for name, values in data.items():
            file[name] = values
            if name in UNITS | units:
                file[name].attrs["unit"] = (UNITS | units)[name]
        file.attrs["H0"] = 70.0
    return path


def all_profiles(it, tables):
    prepared = it.prepare()
    return [it.read(halo, tables, prepared) for halo in it.halos()]


def test_hdf5(tmp_path, data, cosmology, tables):
    it = reader(write_h5(tmp_path / "t.h5", data), cosmology, extra=["rich"])
    halos = it.halos()
    assert halos[5].halo_id == "105"
    assert halos[5].extra["rich"] == data["rich"][5]
    used = data["w"] > 0
    noise = float(it.prepare()["shape_noise"])
    assert_allclose(noise, np.sqrt(np.mean((data["dx"] ** 2 * data["w"])[used])))
    assert abs(noise / NOISE - 1) < 4 / np.sqrt(2 * used.sum())
    profile = all_profiles(it, tables)[3]
    assert profile.observable == "delta_sigma"
    assert_array_equal(profile.n_gal, [0, 1, 1, 1, 1, 1, 1, 1])
    assert np.isnan(profile.value[0])
    assert_allclose(profile.value[1:], data["ds"][3, 1:])
    assert_allclose(profile.error[1:], noise / np.sqrt(data["w"][3, 1:]))
    assert_allclose(profile.cross[1:], data["dx"][3, 1:])


@pytest.mark.parametrize("suffix", [".fits", ".ecsv"])
def test_fits_and_ecsv(tmp_path, data, cosmology, tables, suffix):
    table = Table({k: v.astype(float) if v.dtype.kind == "f" else v for k, v in data.items()})
    for name, unit in {"r": "Mpc", "ds": "solMass / Mpc2", "dx": "solMass / Mpc2"}.items():
        table[name].unit = unit
    path = tmp_path / f"t{suffix}"
    table.write(path)
    reference = all_profiles(reader(write_h5(tmp_path / "t.h5", data), cosmology), tables)
    for a, b in zip(all_profiles(reader(path, cosmology), tables), reference, strict=True):
        assert_allclose(a.value, b.value)
        assert_allclose(a.error, b.error)
        assert a.halo.z == b.halo.z


def test_a_row_a_bin_in_csv(tmp_path, data, cosmology, tables):
    lines = ["# made by a test H0=70; Om0=0.3", "id,z,r,ds,dx,w"]
    for i in range(N_HALO):
        columns = [np.full(N_BIN, data["id"][i]), np.full(N_BIN, data["z"][i])]
        columns += [data[k][i] for k in ("r", "ds", "dx", "w")]
        lines += [
            ",".join([str(int(row[0])), *(repr(float(v)) for v in row[1:])])
            for row in zip(*columns, strict=True)
        ]
    path = tmp_path / "long.csv"
    path.write_text("\n".join(lines) + "\n")
    it = reader(path, cosmology, units={"radius": "Mpc", "value": "Msun/Mpc2"})
    reference = all_profiles(reader(write_h5(tmp_path / "t.h5", data), cosmology), tables)
    for a, b in zip(all_profiles(it, tables), reference, strict=True):
        assert a.halo.halo_id == b.halo.halo_id
        assert_allclose(a.value, b.value)
        assert_allclose(a.error, b.error)


@pytest.mark.parametrize("by_attribute", [True, False])
def test_units_with_h_and_comoving(tmp_path, data, cosmology, tables, by_attribute):
    """The numbers of a file in comoving Mpc/h and h Msun/pc2, made by hand."""
    h, a = 0.7, 1 / (1 + data["z"][:, np.newaxis])
    foreign = data | {"r": data["r"] / a * h}
    for name in ("ds", "dx"):
        foreign[name] = data[name] * a**2 / h / 1e12  # Msun/Mpc2 physical to h Msun/pc2 comoving
    foreign["w"] = data["w"] / a**4 * h**2 * 1e24
    units = {"r": "Mpc/h comoving", "ds": "h Msun / pc2 (comoving)", "w": "pc4 h^-2 Msun^-2 comoving"}
    units["dx"] = units["ds"]
    if by_attribute:
        it = reader(write_h5(tmp_path / "f.h5", foreign, **units), cosmology)
    else:
        stated = {"radius": units["r"], "value": units["ds"], "weight": units["w"]}
        it = reader(write_h5(tmp_path / "f.h5", foreign), cosmology, units=stated)
    reference = reader(write_h5(tmp_path / "t.h5", data), cosmology)
    assert_allclose(it.prepare()["shape_noise"], reference.prepare()["shape_noise"])
    for p, q in zip(all_profiles(it, tables), all_profiles(reference, tables), strict=True):
        for name in ("radius_mpc", "value", "error", "cross"):
            assert_allclose(getattr(p, name), getattr(q, name))


def test_errors_from_a_column_and_shear(tmp_path, data, cosmology, tables):
    data["r"][3, 0] = 0.3  # without weights every bin is one to be fitted
    data["g"], data["err"] = data["ds"] / 2e15, np.full_like(data["ds"], 0.02)
    data["mean_beta"], data["mean_beta2"] = np.full(N_HALO, 0.5), np.full(N_HALO, 0.27)
    columns = {"halo_id": "id", "z": "z", "radius": "r", "value": "g", "error": "err"}
    path = write_h5(tmp_path / "g.h5", data)
    it = reader(path, cosmology, columns | {"beta": "mean_beta", "beta2": "mean_beta2"}, observable="g_t")
    profile = all_profiles(it, tables)[2]
    infinite = float(beta(cosmology, np.inf, profile.halo.z))
    assert_allclose(profile.beta_s, 0.5 / infinite)
    assert_allclose(profile.beta_s2, 0.27 / infinite**2)
    assert_allclose(profile.error, 0.02)
    assert np.isnan(profile.cross).all()
    it = reader(path, cosmology, columns | {"z_source": 1.0}, observable="g_t")
    profile = all_profiles(it, tables)[2]
    assert_allclose(profile.beta_s2, profile.beta_s**2)
    with pytest.raises(ConfigError, match=r"needs columns.beta_s, columns.beta or columns.z_source"):
        reader(path, cosmology, columns, observable="g_t")


@pytest.mark.parametrize(
    ("column", "place", "value", "message"),
    [
        ("w", (4, 2), np.nan, r"column 'w': row 4, bin 2 \(halo '104'\) is NaN, infinite or negative"),
        ("w", (4, 2), -1.0, "column 'w': row 4"),
        ("ds", (4, 2), np.nan, "column 'ds': row 4, bin 2 .* NaN though its weight is not 0"),
        ("ds", (0, 0), np.inf, "column 'ds': row 0, bin 0 .* infinite"),
        ("r", (1, 1), -0.3, "column 'r': row 1, bin 1 .* is not above 0"),
        ("z", 3, np.nan, "row 3: halo '103' has redshift nan"),
        ("id", 3, 100, "rows 0 and 3: halo id '100' is given twice"),
    ],
)
def test_bad_values(tmp_path, data, cosmology, column, place, value, message):
    data[column][place] = value
    path = write_h5(tmp_path / "t.h5", data)
    with pytest.raises(ReaderError, match=message) as caught:
        reader(path, cosmology).halos()
    assert str(caught.value).startswith(str(path))


def test_bad_files(tmp_path, data, cosmology):
    path = write_h5(tmp_path / "t.h5", data)
    with pytest.raises(
        ReaderError, match=r"no column .for simulation.options.columns.weight. 'ww'; did you mean 'w'"
    ):
        reader(path, cosmology, WIDE | {"weight": "ww"}).halos()
    cut = tmp_path / "cut.h5"
    cut.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(ReaderError, match=r"cut.h5"):
        reader(cut, cosmology).halos()
    with pytest.raises(ReaderError, match=r"column 'ds' states no unit; set simulation.options.units.value"):
        reader(write_h5(tmp_path / "u.h5", data, ds=""), cosmology).halos()
    with pytest.raises(
        ReaderError, match=r"column 'ds': unit 'Msun / Mpc' is not of the dimension Msun.1 Mpc.-2"
    ):
        reader(write_h5(tmp_path / "u.h5", data, ds="Msun / Mpc"), cosmology).halos()
    with pytest.raises(ReaderError, match="made with H0 = 70"):
        reader(path, Cosmology(H0=72.0, Om0=0.3)).halos()
    short = data | {"w": data["w"][:, :-1]}
    with pytest.raises(ReaderError, match=r"column 'w' has shape \(40, 7\), but 'ds' has \(40, 8\)"):
        reader(write_h5(tmp_path / "s.h5", short), cosmology).halos()
    (tmp_path / "x.pkl").write_text("x")
    with pytest.raises(ReaderError, match="not a table that is known by its suffix"):
        reader(tmp_path / "x.pkl", cosmology).halos()
    with pytest.raises(ConfigError, match="either 'weight' or 'error'"):
        reader(path, cosmology, {k: v for k, v in WIDE.items() if k != "weight"})


WTG = {"halo_id": None, "z": "z_lens", "radius": "radius_arcmin", "value": "g_t", "error": "g_t_err"}
WTG_OPTIONS = {"observable": "g_t", "units": {"radius": "arcmin"}, "source_redshifts": "{halo_id}_nz.csv"}


def test_a_folder_of_observed_clusters(shared, cosmology, tables):
    """Weighing the Giants: one file a cluster, its redshift in a comment, radii in arcmin, own n(z)."""
    it = reader(shared / "data/observed_wtg", cosmology, WTG, **WTG_OPTIONS)
    halos = it.halos()
    assert len(halos) == 12
    assert (halos[0].halo_id, halos[0].z) == ("a1835", 0.2523)
    profile = it.read(halos[0], tables, it.prepare())
    rows = np.loadtxt(shared / "data/observed_wtg/a1835.csv", delimiter=",", skiprows=2)
    d_lens = tables.environment(0.2523).d_lens_mpc
    assert_allclose(profile.radius_mpc, rows[:, 0] * d_lens * np.pi / 10800)
    assert_allclose(profile.value, rows[:, 1])
    assert_allclose(profile.error, rows[:, 2])
    z, count = np.loadtxt(shared / "data/observed_wtg/a1835_nz.csv", delimiter=",", skiprows=1).T
    share = beta(cosmology, z, 0.2523) / float(beta(cosmology, np.inf, 0.2523))
    assert_allclose(profile.beta_s, np.sum(count * share) / count.sum(), rtol=1e-6)
    assert_allclose(profile.beta_s2, np.sum(count * share**2) / count.sum(), rtol=1e-6)
    one = reader(shared / "data/observed_wtg/a2204.csv", cosmology, WTG, **WTG_OPTIONS)
    assert [h.halo_id for h in one.halos()] == ["a2204"]


def test_bad_folders(tmp_path, cosmology, tables):
    with pytest.raises(ReaderError, match="the folder holds no table"):
        reader(tmp_path, cosmology, WTG, **WTG_OPTIONS).halos()
    (tmp_path / "a.csv").write_text("# a z_lens=0.3\nradius_arcmin,g_t,g_t_err\n1,0.1,0.1\n2,0.1,0.1\n")
    (tmp_path / "b.csv").write_text("# b\nradius_arcmin,g_t,g_t_err\n1,0.1,0.1\n")
    with pytest.raises(ReaderError, match=r"b.csv: no column or value in its head 'z_lens'"):
        reader(tmp_path, cosmology, WTG, **WTG_OPTIONS).halos()
    (tmp_path / "b.csv").unlink()
    it = reader(tmp_path, cosmology, WTG, **WTG_OPTIONS)
    halo = it.halos()[0]
    with pytest.raises(ReaderError, match=r"a_nz.csv: no such file"):
        it.read(halo, tables, it.prepare())
    (tmp_path / "a_nz.csv").write_text("z_source,count\n0.5,0\n")
    with pytest.raises(ReaderError, match=r"a_nz.csv: z_source must be finite"):
        it.read(halo, tables, it.prepare())


def test_broken_text_tables(tmp_path, cosmology):
    (tmp_path / "a.csv").write_text("id,z,r,ds,dx,w\n1,0.3,1\n")
    with pytest.raises(ReaderError, match=r"a.csv: row 0: 3 values for 6 columns"):
        reader(tmp_path / "a.csv", cosmology).halos()
    (tmp_path / "b.csv").write_text("id,z,r,ds,dx,w\n1,0.3,1_0,1,1,1\n")
    with pytest.raises(ReaderError, match=r"b.csv: column 'r' is not numeric"):
        reader(tmp_path / "b.csv", cosmology, units={"radius": "Mpc", "value": "Msun/Mpc2"}).halos()
    (tmp_path / "c.csv").write_text("# nothing\n")
    with pytest.raises(ReaderError, match="holds no table"):
        reader(tmp_path / "c.csv", cosmology).halos()
    (tmp_path / "d.ecsv").write_text("# %ECSV 1.0\n# ---\n# datatype:\n# - {name: id\n")
    with pytest.raises(ReaderError, match=r"d.ecsv: not a whole ECSV file"):
        reader(tmp_path / "d.ecsv", cosmology).halos()


def test_cosmodc2(shared, tables):
    """The file's own statement of the shape noise is 0.133 (NUMERICS); its empty bins are w = 0."""
    cosmology = Cosmology(H0=71.0, Om0=0.2648, Ob0=0.0448, sigma8=0.8, ns=0.963)
    columns = {
        "halo_id": "halo_id",
        "z": "z",
        "radius": "radius",
        "value": "ds_t",
        "cross": "ds_x",
        "weight": "w",
    }
    it = reader(shared / "data/cosmodc2_halos.h5", cosmology, columns)
    halos = it.halos()
    assert len(halos) == 4199
    prepared = it.prepare()
    assert_allclose(prepared["shape_noise"], 0.133, atol=5e-4)
    for halo in halos:  # every one of them, also that whose inmost bin holds no galaxy
        profile = it.read(halo, tables, prepared)
        assert profile.value.shape == (15,)
        assert np.isfinite(profile.error[profile.n_gal > 0]).all()
    assert sum(h.halo_id == "2885308915235" for h in halos) == 1
