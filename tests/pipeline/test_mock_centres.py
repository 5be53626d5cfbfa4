"""Offsets have the requested distribution: Kolmogorov–Smirnov tests, each with a wrong one that must fail."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from clmassmod.config import Centre, build, halo_rng
from clmassmod.core.fields import CircularField, MapField, position_angle
from clmassmod.core.units import ARCMIN_RAD
from clmassmod.errors import ConfigError, ReaderError
from clmassmod.mock import observe
from clmassmod.mock.centre import draw_centre
from clmassmod.records import HaloInfo, LensingMap

N = 3000


def draws(tables, model, n=N, z=0.25, extra=None, angle=0.0, **keys):
    centre = build(Centre, {"model": model, **keys})
    halo = HaloInfo("h", z, extra=extra or {})
    environment = tables.environment(z)
    return np.array(
        [draw_centre(centre, halo, environment, halo_rng(1, str(i), "c"), lambda: angle) for i in range(n)]
    )


@pytest.mark.parametrize(
    ("model", "parameters", "exact"),
    [
        ("gaussian", {"sigma_mpc": 0.2}, stats.rayleigh(scale=0.2)),
        ("rayleigh", {"scale_mpc": 0.2}, stats.rayleigh(scale=0.2)),
        ("gamma", {"scale_mpc": 0.15}, stats.gamma(2.0, scale=0.15)),
        ("lognormal", {"median_mpc": 0.0724, "sigma_ln": 1.413}, stats.lognorm(1.413, scale=0.0724)),
    ],
)
def test_lengths_and_directions(tables, model, parameters, exact):
    offsets = draws(tables, model, parameters=parameters)
    length, angle = np.hypot(*offsets.T), np.arctan2(offsets[:, 1], offsets[:, 0])
    assert stats.kstest(length, exact.cdf).pvalue > 0.01
    assert stats.kstest(length * 1.15, exact.cdf).pvalue < 0.01
    assert stats.kstest(angle, "uniform", (-np.pi, 2 * np.pi)).pvalue > 0.01


def test_sz_offsets(tables):
    """sqrt(beam^2 + core^2) / significance arcmin on each axis."""
    offsets = draws(tables, "sz", parameters={"beam_arcmin": 1.2, "core_arcmin": 0.5, "significance": 5.0})
    arcmin = offsets / (ARCMIN_RAD * tables.environment(0.25).d_lens_mpc)
    assert stats.kstest(arcmin.ravel() / (1.3 / 5), "norm").pvalue > 0.01
    same = draws(tables, "sz", n=5, extra={"xi": 5.0, "core": 0.5}, parameters={"core_arcmin": "core"})
    assert_allclose(same, offsets[:5])
    with pytest.raises(ConfigError, match=r"no observable 'xi' \(known: none\)"):
        draws(tables, "sz", n=1, parameters={"core_arcmin": 0.5})


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("wtg_offsets", "Mpc"),
        ("cccp_offsets", "kpc"),
        ("sptxvp_bcgxray", "Mpc"),
        ("xray_offsets_may2016", "kpc"),
    ],
)
def test_measured_offsets(tables, shared, name, unit):
    path = shared / f"data/offsets_{name}.txt"
    offsets = draws(tables, "sample", parameters={"path": str(path), "unit": unit})
    values = []
    for line in path.read_text().splitlines():
        try:
            values.append(float(line.split()[0]) * (1e-3 if unit == "kpc" else 1.0))
        except ValueError:
            continue
    length = np.hypot(*offsets.T)
    assert stats.ks_2samp(length, values).pvalue > 0.01
    nearest = np.abs(np.subtract.outer(length[:200], values)).min(axis=1)
    assert nearest.max() < 1e-12  # each is one of the measured values


def test_simulated_sz_detections(tables, shared):
    path = str(shared / "data/offsets_SPT_SN_offset.txt")
    table = np.loadtxt(path)
    rows = table[np.abs(table[:, 5] - 0.25) < 1e-6]
    offsets = draws(tables, "sz_simulation", parameters={"path": path, "core_arcmin": 0.25})
    arcmin = np.hypot(*offsets.T) / (ARCMIN_RAD * tables.environment(0.25).d_lens_mpc)
    assert stats.ks_2samp(arcmin, np.hypot(rows[:, 0] - rows[:, 2], rows[:, 1] - rows[:, 3])).pvalue > 0.01
    strong = draws(tables, "sz_simulation", n=500, parameters={"path": path, "significance": 15.0})
    weak = draws(tables, "sz_simulation", n=500, parameters={"path": path, "significance": 4.6})
    assert np.hypot(*strong.T).mean() < np.hypot(*weak.T).mean()
    with pytest.raises(ConfigError, match=r"no detection with a core of 0.3 arcmin"):
        draws(tables, "sz_simulation", n=1, parameters={"path": path, "core_arcmin": 0.3})


def test_fraction_redshift_and_alignment(tables):
    parameters = {"scale_mpc": 0.2}
    half = np.hypot(*draws(tables, "rayleigh", parameters=parameters, fraction=0.4).T)
    assert abs(np.mean(half > 0) - 0.4) < 4 * np.sqrt(0.24 / N)
    scaled = draws(tables, "rayleigh", parameters=parameters, z_power=-2.0, z_ref=0.5, z=0.25)
    plain = draws(tables, "rayleigh", parameters=parameters)
    assert_allclose(np.hypot(*scaled.T), np.hypot(*plain.T) * (1.25 / 1.5) ** -2)
    aligned = draws(tables, "rayleigh", parameters=parameters, alignment=0.8, angle=0.7)
    phi = np.arctan2(aligned[:, 1], aligned[:, 0]) - 0.7
    assert abs(np.mean(np.cos(2 * phi)) - 0.4) < 4 * np.sqrt(0.5 / N)  # <cos 2 phi> = alignment / 2
    assert abs(np.mean(np.sin(2 * phi))) < 4 * np.sqrt(0.5 / N)
    assert_allclose(np.hypot(*aligned.T), np.hypot(*plain.T))


def test_long_axis_of_a_map(halo):
    x, y = np.meshgrid(*[(np.arange(200) - 99.5) * 0.02] * 2)
    u, v = x * np.cos(0.5) + y * np.sin(0.5), y * np.cos(0.5) - x * np.sin(0.5)
    lensing = LensingMap(halo, 0.02, np.exp(-(u**2 / 0.5 + v**2 / 0.2)))
    assert_allclose(position_angle(lensing), 0.5, atol=1e-3)


def test_wrong_parameters_and_files(tables, tmp_path):
    with pytest.raises(ConfigError, match="unknown centre model 'rayliegh'; did you mean 'rayleigh'"):
        build(Centre, {"model": "rayliegh"})
    with pytest.raises(ConfigError, match=r"centre.parameters of model 'rayleigh': .*sigma"):
        draws(tables, "rayleigh", n=1, parameters={"sigma": 1})
    with pytest.raises(ConfigError, match="no file"):
        draws(tables, "sample", n=1, parameters={"path": str(tmp_path / "none.txt")})
    (tmp_path / "bad.txt").write_text("0.1\n-0.2\n")
    with pytest.raises(ReaderError, match=r"bad.txt: an offset is NaN, infinite or negative"):
        draws(tables, "sample", n=1, parameters={"path": str(tmp_path / "bad.txt")})
    with pytest.raises(ConfigError, match="unit 'furlong'"):
        draws(tables, "sample", n=1, parameters={"path": str(tmp_path / "bad.txt"), "unit": "furlong"})


def test_centre_from_a_users_file(tables, tmp_path):
    (tmp_path / "mine.py").write_text("def shift(rng, halo, environment, *, by):\n    return by, 2 * by\n")
    assert_allclose(draws(tables, f"{tmp_path}/mine.py:shift", n=1, parameters={"by": 0.1})[0], [0.1, 0.2])


def test_peak_of_the_shear(halo, nfw_profile, survey, tables):
    """Noise-free the halo is found to 20 kpc; with noise within the search radius, and not at the centre."""
    field = CircularField(halo, nfw_profile, tables.environment(halo.z).sigma_crit_inf_msun_mpc2)
    peak = {"model": "shear_peak", "parameters": {"search_mpc": 0.4}}
    clean = observe(field, survey(centre=peak, density_per_arcmin2=30), tables, np.random.default_rng(1))
    assert np.hypot(*clean.offset_mpc) < 0.02
    noisy = [
        observe(field, survey(centre=peak, shape_noise=0.25), tables, np.random.default_rng(s)).offset_mpc
        for s in range(5)
    ]
    length = np.hypot(*np.transpose(noisy))
    assert (length < 0.45).all()
    assert length.max() > 0.03


def test_offset_reaches_the_map(nfw_map, survey, tables):
    """A survey centred far off is about the assumed centre, and sees the map's shears there."""
    lensing = nfw_map(256, 0.06)
    shifted = survey(centre={"model": "rayleigh", "parameters": {"scale_mpc": 1.0}})
    catalog = observe(lensing, shifted, tables, np.random.default_rng(3))
    scale = ARCMIN_RAD * catalog.d_lens_mpc
    x, y = catalog.x_arcmin * scale + catalog.offset_mpc[0], catalog.y_arcmin * scale + catalog.offset_mpc[1]
    share = float(tables.beta_s(1.0, 0.25))
    kappa, g1, _ = MapField(lensing, 5.0).at(x, y)
    assert_allclose(catalog.e1, share * g1 / (1 - share * kappa), atol=2e-3)
