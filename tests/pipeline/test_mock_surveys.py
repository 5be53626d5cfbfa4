"""What a survey may add: footprints, clustering, magnification, members, photo-z, measured conditions."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from clmassmod.config import Footprint, RadialBins, build
from clmassmod.core.fields import CircularField, MapField
from clmassmod.core.units import ARCMIN_RAD
from clmassmod.cosmology import beta
from clmassmod.errors import ConfigError, ReaderError
from clmassmod.measure import measure
from clmassmod.mock import observe
from clmassmod.mock.conditions import read_conditions
from clmassmod.mock.footprint import draw_region


@pytest.fixture
def field(halo, nfw_profile, tables):
    return CircularField(halo, nfw_profile, tables.environment(halo.z).sigma_crit_inf_msun_mpc2)


def catalog_of(field, survey, tables, seed=1, **changes):
    return observe(field, survey(**changes), tables, np.random.default_rng(seed))


def region(*shapes, seed=0):
    return draw_region([build(Footprint, s) for s in shapes], np.random.default_rng(seed))


def area(found, half=20.0, n=400_000):
    x, y = half * (2 * np.random.default_rng(5).random((2, n)) - 1)
    inside = found.contains(x, y)
    return inside.mean() * (2 * half) ** 2, x[inside], y[inside]


# ---------------------------------------------------------------- footprints


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ({"shape": "acs"}, 3.2**2),
        ({"shape": "acs_mosaic"}, 6.4**2),
        ({"shape": "wfc3"}, 2.56**2),
        ({"shape": "megacam"}, 625.0),
        ({"shape": "polygon", "vertices_arcmin": [[0, 0], [8, 0], [0, 6]]}, 24.0),
        ({"shape": "polygon", "vertices_arcmin": [[0, 0], [8, 0], [0, 6]], "angle_deg": 77}, 24.0),
        ({"shape": "rectangle", "width_arcmin": 8, "height_arcmin": 3, "offset_arcmin": [5, 2]}, 24.0),
    ],
)
def test_areas(shape, expected):
    found = region(shape)
    size, x, y = area(found)
    assert abs(size - expected) < 4 * np.sqrt(expected * 1600 / 400_000)
    assert max(np.abs(x).max(), np.abs(y).max()) <= found.half_arcmin + 1e-9


def test_wfc3_stands_on_a_corner_and_lsst_is_wide():
    _, x, y = area(region({"shape": "wfc3"}))
    assert np.max(np.abs(x) + np.abs(y)) < 2.56 / np.sqrt(2) + 1e-9
    assert region({"shape": "lsst"}).half_arcmin == 105.0


def test_pointings_are_combined_in_their_order():
    acs, wfc3 = {"shape": "acs", "offset_arcmin": [0, -3]}, {"shape": "wfc3", "offset_arcmin": [0, 3]}
    size, _, y = area(region(acs, wfc3))
    assert abs(size - 3.2**2 - 2.56**2) < 1.0
    assert y.max() > 4.0
    circle, hole = (
        {"shape": "circle", "radius_arcmin": 5},
        {"shape": "circle", "radius_arcmin": 3, "action": "remove"},
    )
    square = {"shape": "square", "width_arcmin": 2}
    assert abs(area(region(circle, hole, square))[0] - (np.pi * 16 + 4)) < 2.0
    assert abs(area(region(circle, square, hole))[0] - np.pi * 16) < 2.0  # the other order
    keep = {"shape": "square", "width_arcmin": 4, "action": "keep"}
    assert abs(area(region(circle, keep))[0] - 16) < 1.0


def test_polygons_that_are_concave_or_cross():
    star = region({"shape": "polygon", "vertices_arcmin": [[0, 0], [4, 4], [4, 0], [0, 4]]})
    x, y = np.array([1.0, 3.0, 2.0, 2.0]), np.array([2.0, 2.0, 1.0, 3.0])
    assert_array_equal(star.contains(x, y), [True, True, False, False])  # a bow tie


def test_random_pointings_differ_between_haloes():
    shape = {"shape": "acs", "random_offset_arcmin": 3.0}
    middles = np.array(
        [[area(region(shape, seed=s), n=100_000)[i].mean() for i in (1, 2)] for s in range(60)]
    )
    assert_allclose(np.hypot(*middles.T), 3.0, atol=0.2)  # five standard errors of the mean of 640 points
    assert stats.kstest(np.arctan2(*middles.T), "uniform", (-np.pi, 2 * np.pi)).pvalue > 0.01
    turned = {"shape": "rectangle", "width_arcmin": 8, "height_arcmin": 1, "random_angle": True}
    slopes = [np.polyfit(*area(region(turned, seed=s), n=20_000)[1:], 1)[0] for s in (1, 2)]
    assert abs(slopes[0] - slopes[1]) > 0.01


def test_star_holes_cover_the_expected_area():
    """1 - exp(-density pi <r^2>) of the field is lost."""
    circle = {"shape": "circle", "radius_arcmin": 18}
    stars = {
        "shape": "stars",
        "action": "remove",
        "density_per_arcmin2": 0.5,
        "star_radius_arcmin": [0.2, 0.6],
    }
    lost = [1 - area(region(circle, stars, seed=s), n=50_000)[0] / (np.pi * 18**2) for s in range(8)]
    mean_r2 = (0.6**3 - 0.2**3) / 3 / 0.4
    assert abs(np.mean(lost) - (1 - np.exp(-0.5 * np.pi * mean_r2))) < 0.01
    with pytest.raises(ConfigError, match=r"shape 'stars' makes holes: give action: remove"):
        build(Footprint, stars | {"action": "add"})


def test_wrong_footprints(survey):
    with pytest.raises(ConfigError, match="shape 'polygon' needs the key 'vertices_arcmin'"):
        survey(footprint={"shape": "polygon"})
    with pytest.raises(ConfigError, match="the first shape must have action 'add'"):
        survey(footprint=[{"shape": "acs", "action": "remove"}])
    with pytest.raises(
        ConfigError, match=r"footprint.1.radius_arcmn: unknown key; did you mean 'radius_arcmin'"
    ):
        survey(footprint=[{"shape": "acs"}, {"shape": "circle", "radius_arcmn": 3}])


# ---------------------------------------------------------------- positions


def test_clustered_sources(field, survey, tables):
    """The mean density stays; counts in cells scatter more than Poisson ones, as the groups' size says."""
    clustering = {"fraction": 0.6, "members": 8.0, "size_arcmin": 0.3}
    square = {"shape": "square", "width_arcmin": 20}
    settings = {"footprint": square, "clustering": clustering, "density_per_arcmin2": 30}
    counts, variance = [], []
    for seed in range(12):
        catalog = catalog_of(field, survey, tables, seed, **settings)
        counts.append(catalog.e1.size)
        cells, *_ = np.histogram2d(catalog.x_arcmin, catalog.y_arcmin, bins=10, range=[[-10, 10]] * 2)
        variance.append(cells.var() / cells.mean())
    expected = 30 * 400
    assert abs(np.mean(counts) / expected - 1) < 4 * np.sqrt(7 / expected / 12)
    # groups inside a cell of 2': variance / mean = 1 + fraction * members * (share of pairs in one cell)
    u = 2.0 / (2 * 0.3)
    pairs = (2 * stats.norm.cdf(u * np.sqrt(2)) - 1 - (1 - np.exp(-(u**2))) / (u * np.sqrt(np.pi))) ** 2
    assert abs(np.mean(variance) / (1 + 0.6 * 8 * pairs) - 1) < 0.15


def test_groups_share_redshifts(field, survey, tables):
    clustering = {"fraction": 1.0, "members": 10.0, "size_arcmin": 0.05}
    sources = {"distribution": "smail", "median_z": 1.0}
    catalog = catalog_of(field, survey, tables, clustering=clustering, sources=sources)
    assert np.unique(catalog.z_source).size < 0.3 * catalog.e1.size
    apart = clustering | {"same_redshift": False}
    catalog = catalog_of(field, survey, tables, clustering=apart, sources=sources)
    assert np.unique(catalog.z_source).size == catalog.e1.size


def test_all_pixels_or_some(nfw_map, survey, tables, nfw_profile):
    lensing = nfw_map(128, 0.05)
    square = {"shape": "square", "width_arcmin": 20}
    settings = {"positions": "pixels", "density_per_arcmin2": None, "footprint": square}
    everything = catalog_of(lensing, survey, tables, **settings)
    pixel = 0.05 / (ARCMIN_RAD * everything.d_lens_mpc)
    assert_allclose(everything.e1.size, (20 / pixel) ** 2, rtol=0.02)
    field = MapField(lensing)
    scale = ARCMIN_RAD * everything.d_lens_mpc
    kappa, g1, _ = field.at(everything.x_arcmin * scale, everything.y_arcmin * scale)
    share = everything.beta_s[0]
    assert_allclose(everything.e1, share * g1 / (1 - share * kappa), atol=1e-3)
    some = catalog_of(lensing, survey, tables, positions="pixels", density_per_arcmin2=5, footprint=square)
    assert abs(some.e1.size - 2000) < 4 * np.sqrt(2000)
    with pytest.raises(ReaderError, match="more than the map's"):
        catalog_of(lensing, survey, tables, positions="pixels", density_per_arcmin2=900)


def test_positions_of_a_table(field, survey, tables, tmp_path):
    rng = np.random.default_rng(2)
    rows = np.column_stack([rng.uniform(-20, 20, (500, 2)), rng.uniform(0.1, 2, 500)])
    path = tmp_path / "galaxies.csv"
    path.write_text("x_arcmin,y_arcmin,z_source\n" + "\n".join(",".join(map(repr, r)) for r in rows.tolist()))
    settings = {"positions": "table", "positions_path": str(path), "density_per_arcmin2": None}
    catalog = catalog_of(field, survey, tables, **settings)
    inside = np.hypot(rows[:, 0], rows[:, 1]) <= 13.5
    assert_allclose(catalog.x_arcmin, rows[inside, 0])
    assert_allclose(catalog.z_source, rows[inside, 2])
    sources = {"distribution": "plane", "z": 1.0, "behind_lens": 0.2}
    cut = catalog_of(field, survey, tables, sources=sources, **settings)
    assert_array_equal(cut.z_source, rows[inside, 2][rows[inside, 2] > 0.45])


def test_density_map_has_no_galaxies_of_its_own(field, survey, tables):
    with pytest.raises(ConfigError, match="positions 'pixels': this kind of halo has no pixels"):
        catalog_of(field, survey, tables, positions="pixels", density_per_arcmin2=5)


# ---------------------------------------------------------------- magnitudes, magnification, members


def test_magnitudes(field, survey, tables):
    magnitudes = {
        "bright": 20, "faint": 24, "slope": 0.4, "z_slope": 0.1,
        "shape_noise": [[20, 0.2], [24, 0.4]], "shear_m": [[20, 0.0], [24, -0.2]],
    }  # fmt: skip
    sources = {"distribution": "smail", "median_z": 0.9, "behind_lens": 0.1}
    settings = {"magnitudes": magnitudes, "sources": sources, "density_per_arcmin2": 60}
    noisy = catalog_of(field, survey, tables, shape_noise=0.3, error_shape_noise=None, **settings)
    m = noisy.extra["magnitude"]
    u = (10 ** (0.4 * (m - 24)) - 10**-1.6) / (1 - 10**-1.6)
    assert stats.kstest(u, "uniform").pvalue > 0.01
    assert np.corrcoef(m, np.log(noisy.z_source))[0, 1] > 0.05
    assert noisy.z_source.min() > 0.35
    assert_allclose(noisy.extra["shape_noise"], 0.2 + 0.05 * (m - 20))
    plain = catalog_of(field, survey, tables, **(settings | {"magnitudes": magnitudes | {"shear_m": None}}))
    biased = catalog_of(field, survey, tables, **settings)
    noise = plain.e1  # the same draws of noise: only the bias differs
    factor = (biased.e1 - noise) / (-0.05 * (m - 20))
    far = np.abs(factor) > 1e-6
    scale = ARCMIN_RAD * plain.d_lens_mpc
    kappa, g1, _ = field.at(plain.x_arcmin * scale, plain.y_arcmin * scale)
    assert_allclose(factor[far], (plain.beta_s * g1 / (1 - plain.beta_s * kappa))[far], rtol=1e-6)
    fainter = noisy.extra["shape_noise"] > 0.35
    spread = [np.std(plain.e1[s]) for s in (fainter, ~fainter)]
    assert spread[0] > 1.1 * spread[1]


@pytest.mark.parametrize("slope", [0.2, 0.6])
def test_magnification(field, survey, tables, slope):
    """Counts follow mu^(2.5 s - 1) of the exact halo."""
    settings = {"magnification": {"slope": slope}, "density_per_arcmin2": 150}
    lensed = catalog_of(field, survey, tables, **settings)
    scale = ARCMIN_RAD * lensed.d_lens_mpc
    r = np.hypot(lensed.x_arcmin, lensed.y_arcmin) * scale
    share = float(tables.beta_s(1.0, 0.25))
    for lo, hi in [(0.2, 0.5), (0.5, 1.0), (1.0, 2.0), (2.0, 3.0)]:
        x = np.sqrt(np.linspace(lo**2, hi**2, 400))
        kappa, g1, _ = field.at(x, np.zeros(400))
        mu = 1 / np.abs((1 - share * kappa) ** 2 - (share * g1) ** 2)
        expected = 150 * np.pi * (hi**2 - lo**2) / scale**2 * np.mean(np.minimum(mu ** (2.5 * slope - 1), 3))
        count = np.count_nonzero((r > lo) & (r < hi))
        assert abs(count - expected) < 4 * np.sqrt(expected)
    flat = catalog_of(field, survey, tables, magnification={"slope": 0.4}, density_per_arcmin2=150)
    assert abs(flat.e1.size - 150 * np.pi * 13.5**2) < 4 * np.sqrt(150 * np.pi * 13.5**2)


@pytest.mark.parametrize("shape", ["exponential", "isothermal"])
def test_members_dilute_and_the_boost_corrects(field, survey, tables, shape):
    members = {"fraction": 0.2, "scale_mpc": 1.0, "shape": shape}
    settings = {"density_per_arcmin2": 150}
    clean = measure(catalog_of(field, survey, tables, **settings), (0.4, 2.4), RadialBins(n=5))
    diluted = catalog_of(field, survey, tables, members=members, **settings)
    profile = measure(diluted, (0.4, 2.4), RadialBins(n=5))
    r = profile.radius_mpc
    per_background = 0.2 * (np.exp(1 - r) if shape == "exponential" else 1 / r)
    assert_allclose(profile.value / clean.value, 1 / (1 + per_background), rtol=0.02)
    assert_allclose(profile.beta_s, clean.beta_s)  # the observer believes that they are background
    assert diluted.extra["member"].sum() > 1000
    assert_allclose(np.hypot(diluted.e1, diluted.e2)[diluted.extra["member"] > 0], 0)
    corrected = catalog_of(field, survey, tables, members=members | {"correct": True}, **settings)
    found = measure(corrected, (0.4, 2.4), RadialBins(n=5))
    assert_allclose(found.value, clean.value, rtol=0.02)
    assert (found.error > profile.error).all()


def test_photometric_redshifts(field, survey, tables):
    photo_z = {"scatter": 0.05, "bias": 0.02, "outlier_fraction": 0.1, "outlier_z": [0.0, 3.0]}
    sources = {"distribution": "smail", "median_z": 0.9}
    catalog = catalog_of(field, survey, tables, photo_z=photo_z, sources=sources, density_per_arcmin2=100)
    z, observed = catalog.extra["z_true"], catalog.z_source
    residual = (observed - z) / (1 + z)
    outside = np.abs(residual - 0.02) > 0.3
    assert 0.03 < outside.mean() < 0.1  # of the 10 % outliers some lie near the truth by chance
    normal = photo_z | {"outlier_fraction": 0.0}
    plain = catalog_of(field, survey, tables, photo_z=normal, sources=sources, density_per_arcmin2=100)
    true = plain.extra["z_true"]
    far = true > 0.5  # photometric redshifts are not below 0
    assert stats.kstest(((plain.z_source - true) / (1 + true))[far], "norm", (0.02, 0.05)).pvalue > 0.01
    assert_allclose(catalog.beta_s, tables.beta_s(observed, 0.25))
    scale = ARCMIN_RAD * catalog.d_lens_mpc
    kappa, g1, _ = field.at(catalog.x_arcmin * scale, catalog.y_arcmin * scale)
    true = tables.beta_s(z, 0.25)
    weak = np.hypot(catalog.x_arcmin, catalog.y_arcmin) > 2.0
    assert_allclose(catalog.e1[weak], (true * g1 / (1 - true * kappa))[weak], rtol=1e-9)
    cut = sources | {"behind_lens": 0.1}
    kept = catalog_of(field, survey, tables, photo_z=photo_z, sources=cut, density_per_arcmin2=100)
    assert kept.z_source.min() > 0.35
    assert (kept.extra["z_true"] < 0.25).any()  # foreground that photometry takes for background
    assert abs(kept.e1.size / catalog.e1.size - 1) < 0.02  # the density is that of the galaxies that are used


def test_histogram_of_redshifts(field, survey, tables, shared):
    path = shared / "data/observed_wtg/a1835_nz.csv"
    table = np.loadtxt(path, delimiter=",", skiprows=1)
    sources = {"distribution": "histogram", "path": str(path)}
    z = catalog_of(field, survey, tables, sources=sources, density_per_arcmin2=100).z_source
    count, _ = np.histogram(z, np.append(table[:, 0] - 0.025, table[-1, 0] + 0.025))
    expected = table[:, 1] / table[:, 1].sum() * z.size
    used = expected > 20
    assert stats.chi2.sf(np.sum((count - expected)[used] ** 2 / expected[used]), used.sum() - 1) > 0.01


# ---------------------------------------------------------------- real clusters' conditions


def test_measured_noise_profile(field, survey, tables, shared):
    """Means over mocks scatter as the file's errors say, bin by bin, combined over magnitude bins."""
    path = shared / "data/spt_hst_profiles/SPT-CLJ2331-5051.xraycenter.profile"
    rows = np.loadtxt(path)
    settings = {
        "noise_profile": {"path": str(path)}, "error_shape_noise": None, "density_per_arcmin2": None,
        "positions": "pixels", "rescale_z": 0.576,
    }  # fmt: skip
    edges = [0.5, 0.7, 0.9, 1.2]
    bins = RadialBins(edges_mpc=edges)
    profiles = [
        measure(catalog_of(field, survey, tables, s, **settings), (0.4, 1.5), bins) for s in range(60)
    ]
    first = profiles[0]
    for i, (lo, hi) in enumerate(pairwise(edges)):
        inside = (rows[:, 0] > lo) & (rows[:, 0] < hi)
        assert_allclose(first.error[i], np.sum(rows[inside, 2] ** -2.0) ** -0.5, rtol=0.05)
    values = np.array([p.value for p in profiles])
    cross = np.array([p.cross for p in profiles])
    pulls = (np.concatenate([values - values.mean(axis=0), cross]) / first.error).ravel()
    assert abs(pulls.std() - 1) < 4 / np.sqrt(2 * pulls.size)
    infinite = float(beta(tables.cosmology, np.inf, 0.576))
    weight = rows[:, 2] ** -2.0
    inside = (rows[:, 0] > 0.9) & (rows[:, 0] < 1.2)
    assert_allclose(
        first.beta_s[2], np.average(rows[inside, 5], weights=weight[inside]) / infinite, rtol=0.02
    )
    assert first.halo.z == 0.576


def test_bad_noise_profiles(field, survey, tables, tmp_path):
    path = tmp_path / "noise.profile"
    settings = {"noise_profile": {"path": str(path)}, "density_per_arcmin2": None, "positions": "pixels"}
    path.write_text("0.5 0.1 0.2 0.1 0.2 0.95 0.95 11\n")
    with pytest.raises(ConfigError, match=r"which no source behind z = 0.25 reaches; set rescale_z"):
        catalog_of(field, survey, tables, **settings)
    path.write_text("# comment\n0.5 0.1 -0.2 0.1 0.2 0.5 0.3 11\n")
    with pytest.raises(ReaderError, match="line 2: radius, error or beta is not possible"):
        catalog_of(field, survey, tables, **settings)
    with pytest.raises(ConfigError, match="shape_noise must be 0 with a noise_profile"):
        survey(**settings, shape_noise=0.2)


def test_survey_conditions(field, survey, tables, shared):
    path = str(shared / "data/megacam_siminput.list")
    conditions = {"path": path, "cluster": "SPT-CLJ2031-5638"}
    centre = {"model": "sz", "parameters": {"beam_arcmin": 1.0}}
    settings = {"conditions": conditions, "centre": centre}
    catalog = catalog_of(field, survey, tables, **settings)
    assert catalog.halo.z == 0.394018
    infinite = float(beta(tables.cosmology, np.inf, 0.394018))
    assert_allclose(catalog.beta_s, 0.506486 / infinite)
    expected = 9.01355 * np.pi * 13.5**2
    assert abs(catalog.e1.size - expected) < 4 * np.sqrt(expected)
    offsets = [catalog_of(field, survey, tables, s, **settings).offset_mpc for s in range(300)]
    arcmin = np.ravel(offsets) / (ARCMIN_RAD * catalog.d_lens_mpc)
    assert stats.kstest(arcmin / (np.hypot(1.0, 1.0) / 5.5028901), "norm").pvalue > 0.01
    any_of_them = {catalog_of(field, survey, tables, s, conditions={"path": path}).halo.z for s in range(30)}
    assert len(any_of_them) > 10
    with pytest.raises(ConfigError, match=r"has no 'SPT-X' \(known: SPT-CLJ0516-5430"):
        catalog_of(field, survey, tables, conditions={"path": path, "cluster": "SPT-X"})


def test_conditions_without_density_or_core(field, survey, tables, shared):
    """-1 means not given: the survey's density holds, and the core follows from its index."""
    rows = {row.cluster: row for row in read_conditions(str(shared / "data/hst_siminput.list"))}
    assert rows["SPT-CLJ2359-5009"].density_per_arcmin2 is None
    assert rows["SPT-CLJ2359-5009"].core_arcmin == 1.0
    assert rows["SPT-CLJ2359-5009"].xi == 6.6814771


def test_bad_conditions(tmp_path, field, survey, tables):
    path = tmp_path / "list"
    path.write_text("#cluster zcluster ndensity beta core coreindex\nA 0.3 1 0.5 1 1\n")
    with pytest.raises(ReaderError, match="the first line names no column 'xi'"):
        catalog_of(field, survey, tables, conditions={"path": str(path)})
    path.write_text("#cluster zcluster ndensity beta core coreindex xi\nA 0.3 1 1.5 1 1 5\n")
    with pytest.raises(ReaderError, match="row 0: zcluster and xi must be above 0 and beta between 0 and 1"):
        catalog_of(field, survey, tables, conditions={"path": str(path)})


def test_halo_at_another_redshift(halo, nfw_profile, survey, tables):
    """The same surface density in Mpc, seen at another distance against another critical density."""
    field = CircularField(halo, nfw_profile, tables.environment(0.25).sigma_crit_inf_msun_mpc2)
    moved = catalog_of(
        field, survey, tables, rescale_z=0.6, footprint={"shape": "circle", "radius_arcmin": 7}
    )
    assert moved.halo.z == 0.6
    profile = measure(moved, (0.4, 2.4), RadialBins(n=5))
    surface = nfw_profile(profile.radius_mpc)
    critical = tables.environment(0.6).sigma_crit_inf_msun_mpc2
    share = float(tables.beta_s(1.0, 0.6))
    expected = share * surface.delta_sigma / critical / (1 - share * surface.sigma / critical)
    assert_allclose(profile.value, expected, rtol=0.01)


# ---------------------------------------------------------------- a simulation's own galaxies


def test_survey_of_a_simulations_galaxies(field, survey, tables):
    own = catalog_of(
        field, survey, tables, density_per_arcmin2=60, sources={"distribution": "smail", "median_z": 0.9}
    )
    own = dataclasses.replace(own, shape_noise=0.0)
    settings = {
        "density_per_arcmin2": 20, "positions": "table", "shape_noise": 0.25, "error_shape_noise": None,
        "sources": {"distribution": "plane", "z": 1.0, "behind_lens": 0.1},
        "footprint": {"shape": "circle", "radius_arcmin": 8},
        "centre": {"model": "gaussian", "parameters": {"sigma_mpc": 0.1}},
    }  # fmt: skip
    seen = catalog_of(own, survey, tables, **settings)
    share = np.mean(own.z_source > 0.35)
    assert abs(seen.e1.size - 20 * np.pi * 64) < 5 * np.sqrt(20 * np.pi * 64)
    assert share * 60 > 20
    assert seen.z_source.min() > 0.35
    assert seen.shape_noise == 0.25
    assert abs(np.std(seen.e1) / 0.25 - 1) < 0.05
    assert np.hypot(seen.x_arcmin, seen.y_arcmin).max() <= 8
    with pytest.raises(ConfigError, match="more than the simulation's"):
        catalog_of(own, survey, tables, **(settings | {"density_per_arcmin2": 200}))
    with pytest.raises(ConfigError, match="members: the simulation's own galaxies cannot be given this"):
        catalog_of(own, survey, tables, members={"fraction": 0.1})
