"""Covariances beside the shape noise: by brute force, from random fields, and what leaving them out does."""

from dataclasses import replace

import numpy as np
import pytest
from lenses import COSMOLOGY, Z, empty_profile, model_signal
from scipy.stats import multivariate_normal

from clmassmod import bias
from clmassmod.config import Analysis, CampaignConfig, RadialBins, build, load_campaign
from clmassmod.config.noise import Noise
from clmassmod.core.random_field import RandomField
from clmassmod.core.sources import named_sources
from clmassmod.core.units import ARCMIN_RAD
from clmassmod.cosmology import Cosmology
from clmassmod.cosmology.lss import convergence_power
from clmassmod.errors import ConfigError, FitError
from clmassmod.fitters import curvefit, scan
from clmassmod.fitters.density import LN_M_HIGH, LN_M_LOW, HaloDensity
from clmassmod.fitters.likelihood import MASS_GRID_MSUN, LensModel
from clmassmod.fitters.noise import annuli, noise_samples
from clmassmod.measure import measure
from clmassmod.records import SourceCatalog
from clmassmod.tables import Tables
from clmassmod.tables import build as build_tables

pytestmark = pytest.mark.inference

EDGES = np.geomspace(0.8, 3.6, 8)
RADIUS = np.sqrt(EDGES[1:] * EDGES[:-1])
PLANE = {"large_scale_structure": True}
SURVEY = {
    "large_scale_structure": True,
    "sources": {"distribution": "desc_srd", "year": "Y1", "behind_lens": 0.1},
}
ONE = {"large_scale_structure": True, "sources": {"distribution": "plane", "z": 1.0}}


@pytest.fixture(scope="module")
def tables():
    samples = noise_samples(build(Noise, n) for n in (PLANE, SURVEY, ONE))
    return Tables(
        build_tables(COSMOLOGY, z_range=(0.2, 0.6), relations=[("duffy08", "200c")], noise_samples=samples)
    )


@pytest.fixture(scope="module")
def signal_model(tables):
    return LensModel.build(tables, concentration="duffy08")


def model_of(tables, noise, **more):
    return LensModel.build(tables, concentration="duffy08", noise=noise, **more)


def profile_of(tables, observable="g_t", beta_s=0.6, error=0.008, z=Z):
    empty = empty_profile(tables, radius=RADIUS, beta_s=beta_s, error=error, z=z)
    if observable == "delta_sigma":
        unit = empty.sigma_crit_inf_msun_mpc2 / beta_s
        empty = replace(empty, observable="delta_sigma", error=empty.error * unit)
    return replace(empty, edges_mpc=EDGES)


def structure(tables, z_source, weight=None, z=Z):
    """The covariance of shears that the tables compute from scratch, without tables of spectra."""
    return tables.lss_covariance(EDGES, z, np.atleast_1d(z_source), weight)


def brute(model, profiles, covariance, masses):
    """ln L of masses by scipy's multivariate normal, all profiles in one vector."""
    data = np.concatenate([p.value for p in profiles])
    return np.array(
        [
            multivariate_normal.logpdf(
                data, np.concatenate([model_signal(model, p, m) for p in profiles]), covariance
            )
            for m in masses
        ]
    )


def same_up_to_a_constant(got, want, tolerance):
    difference = got - want
    assert np.ptp(difference) < tolerance * np.ptp(want)


def sample(z=Z):
    z_source, w = named_sources("desc_srd", year="Y1", z_max=6.0).quadrature(z + 0.1)
    return z_source, w


@pytest.mark.parametrize("observable", ["g_t", "delta_sigma"])
def test_likelihood_is_a_multivariate_normal(tables, signal_model, observable):
    """Structure is computed from the sources' redshifts here, in the fit from interpolated spectra."""
    empty = profile_of(tables, observable)
    z_source, w = sample()
    if observable == "delta_sigma":
        # sum(w Sigma_crit gamma) / sum(w) with w = Sigma_crit^-2: sources weigh beta
        b = tables.beta_s(z_source, Z)
        factor = empty.sigma_crit_inf_msun_mpc2 * (w @ b) / (w @ b**2)
        lss = factor**2 * structure(tables, z_source, w * b)
    else:
        lss = structure(tables, z_source, w)
    covariance = lss + np.diag(empty.error**2)
    noise = np.linalg.cholesky(covariance) @ np.random.default_rng(5).normal(size=len(RADIUS))
    profile = replace(empty, value=model_signal(signal_model, empty, 5e14) + noise)
    model = model_of(tables, SURVEY)
    fit = scan.fit(profile, model)
    rows = slice(150, 330, 20)
    want = brute(signal_model, [profile], covariance, MASS_GRID_MSUN[rows])
    # 1e-3: sources are counted in 200 redshift bins by tables.lss_covariance
    same_up_to_a_constant(fit.ln_like["200c"][rows], want, 1e-3)
    without = scan.fit(profile, signal_model)
    assert fit.summary["mass_err_msun"] > 1.15 * without.summary["mass_err_msun"]
    assert fit.metadata["noise"]["sources"]["year"] == "Y1"
    assert "noise" not in without.metadata


def test_planes_of_the_profiles_own_beta(tables):
    """Without a distribution each bin's sources are one plane, of the same shear as those that were given."""
    model = model_of(tables, PLANE)
    for beta_s in (0.35, 0.6, 0.8):
        want = structure(tables, tables.source_plane(beta_s, Z))
        shear, excess = (profile_of(tables, o, beta_s) for o in ("g_t", "delta_sigma"))
        every = np.ones(len(RADIUS), dtype=bool)
        got = model.noise.covariance(model, (shear,), (every,))
        assert got == pytest.approx(want, rel=1e-3)
        critical = shear.sigma_crit_inf_msun_mpc2 / beta_s
        assert model.noise.covariance(model, (excess,), (every,)) == pytest.approx(
            critical**2 * got, rel=1e-6
        )


@pytest.mark.parametrize("z", [0.2, 0.27, 0.44, 0.6])
def test_interpolated_between_redshifts_of_lenses(tables, z):
    model, empty = model_of(tables, SURVEY), profile_of(tables, z=z)
    got = model.noise.covariance(model, (empty,), (np.ones(len(RADIUS), dtype=bool),))
    assert got == pytest.approx(structure(tables, *sample(z), z=z), rel=2e-3)


def test_structure_is_the_variance_of_shears_in_random_fields(tables):
    """Mean tangential shears of 2,000 circles in Gaussian convergence; variances err by 3 %."""
    model, empty = model_of(tables, ONE), profile_of(tables)
    want = model.noise.covariance(model, (empty,), (np.ones(len(RADIUS), dtype=bool),))
    ell = np.geomspace(20, 4e4, 300)
    power = convergence_power(COSMOLOGY, tables._structure["power"], ell, [1.0])
    rng = np.random.default_rng(11)
    scale = empty.d_lens_mpc * ARCMIN_RAD
    centre = np.mgrid[0:16, 0:16].reshape(2, -1) * 32.0
    shears = []
    for _ in range(8):
        field = RandomField(ell, power, 512.0, 0.5, rng)
        rows = []
        for low, high in zip(EDGES[:-1] / scale, EDGES[1:] / scale, strict=True):
            theta = np.sqrt(low**2 + (high**2 - low**2) * (np.arange(160) + 0.5) / 160)
            phi = 2 * np.pi * 0.618034 * np.arange(160)  # a sunflower: uniform over the annulus
            x, y = (
                c[:, None] + d
                for c, d in zip(centre, (theta * np.cos(phi), theta * np.sin(phi)), strict=True)
            )
            _, g1, g2 = field.at(x.ravel(), y.ravel())
            tangential = -(g1.reshape(x.shape) * np.cos(2 * phi) + g2.reshape(x.shape) * np.sin(2 * phi))
            rows.append(tangential.mean(axis=1))
        shears.append(rows)
    shears = np.concatenate(shears, axis=1)
    got, sd = np.cov(shears), np.sqrt(np.diag(want))
    ratio = np.diag(got) / np.diag(want)
    print("variance in random fields / covariance:", np.round(ratio, 3))
    assert np.all(np.abs(ratio - 1) < 0.12)
    assert ratio.mean() == pytest.approx(1, abs=0.05)
    # sampling error of a covariance of normal deviates
    error = np.sqrt((np.outer(sd, sd) ** 2 + want**2) / shears.shape[1])
    assert np.all(np.abs(got - want) < 3.5 * error)


@pytest.mark.parametrize("observable", ["g_t", "delta_sigma"])
def test_measured_galaxies_have_the_noise_of_their_distribution(tables, observable):
    """From 20,000 galaxies' own redshifts, as a profile is measured, and from their distribution."""
    rng = np.random.default_rng(2)
    n, empty = 20_000, profile_of(tables, observable)
    z_source, w = sample()
    z = rng.choice(z_source, size=n, p=w / w.sum())
    radius = np.sqrt(rng.uniform(EDGES[0] ** 2, EDGES[-1] ** 2, n)) / (empty.d_lens_mpc * ARCMIN_RAD)
    phi = rng.uniform(0, 2 * np.pi, n)
    x, y, zero = radius * np.cos(phi), radius * np.sin(phi), np.zeros(n)
    catalog = SourceCatalog(
        empty.halo, x, y, zero, zero, z, tables.beta_s(z, Z), zero + 1,
        empty.d_lens_mpc, empty.sigma_crit_inf_msun_mpc2, 0.25,
    )  # fmt: skip
    bins = RadialBins(edges_mpc=list(EDGES), structure=True, observable=observable)
    profile = measure(catalog, (EDGES[0], EDGES[-1]), bins, tables=tables)
    model, every = model_of(tables, SURVEY), np.ones(len(RADIUS), dtype=bool)
    want = model.noise.covariance(model, (replace(profile, covariance=None),), (every,))
    # the galaxies of a bin, 1,000 in the smallest, err by 1 % in the mean Sigma_crit
    assert profile.covariance == pytest.approx(want, rel=0.05)


def joint(tables, signal_model, seed=3):
    """Two magnitude bins with their own beta and covariance, and an excess surface density."""
    rng = np.random.default_rng(seed)
    empties = [profile_of(tables), profile_of(tables, beta_s=0.75, error=0.012)]
    empties += [profile_of(tables, "delta_sigma", error=0.02)]
    extra = 2e-5 * np.exp(-np.abs(np.subtract.outer(np.log(RADIUS), np.log(RADIUS))))
    empties[1] = replace(empties[1], covariance=extra)
    return [
        replace(p, value=model_signal(signal_model, p, 6e14) + p.error * rng.normal(size=len(RADIUS)))
        for p in empties
    ]


def test_log_likelihoods_of_several_profiles_add(tables, signal_model):
    profiles = joint(tables, signal_model)
    alone = [scan.fit(p, signal_model).ln_like["200c"] for p in profiles]
    together = scan.fit(profiles, signal_model)
    rows = slice(180, 300)  # the floor of stored likelihoods lies outside
    same_up_to_a_constant(together.ln_like["200c"][rows], sum(alone)[rows], 1e-9)
    noises = [np.diag(p.error**2) + (0 if p.covariance is None else p.covariance) for p in profiles]
    by_hand = sum(
        brute(signal_model, [p], c, MASS_GRID_MSUN[rows][::25]) for p, c in zip(profiles, noises, strict=True)
    )
    same_up_to_a_constant(together.ln_like["200c"][rows][::25], by_hand, 1e-5)
    point = curvefit.fit(profiles, signal_model)
    error = together.summary["mass_err_msun"]
    assert point.summary["mass_ml_msun"] == pytest.approx(together.summary["mass_ml_msun"], abs=0.01 * error)
    assert error < min(scan.fit(p, signal_model).summary["mass_err_msun"] for p in profiles)


def test_several_profiles_share_their_structure(tables, signal_model):
    """All of a halo's profiles lie behind the same structure, which more of them do not average out."""
    profiles = joint(tables, signal_model)
    model = model_of(tables, PLANE)
    every = tuple(np.ones(len(RADIUS), dtype=bool) for _ in profiles)
    whole = model.noise.covariance(model, tuple(profiles), every)
    n = len(RADIUS)
    assert whole[:n, :n] == pytest.approx(model.noise.covariance(model, (profiles[0],), every[:1]), rel=1e-3)
    near, far = (tables.source_plane(b, Z) for b in (0.6, 0.75))
    # covariance of two samples by the identity for their mean, whose structure is that of both
    sides = [structure(tables, near), structure(tables, far), structure(tables, [near, far])]
    exact = 2 * sides[2] - 0.5 * (sides[0] + sides[1])
    assert whole[:n, n : 2 * n] == pytest.approx(exact, rel=0.15)
    assert np.all(np.diag(whole[:n, n : 2 * n]) >= np.diag(exact))  # an upper limit
    noises = np.diag(np.concatenate([p.error**2 for p in profiles]))
    noises[n : 2 * n, n : 2 * n] += profiles[1].covariance
    rows = slice(180, 300, 25)
    # scipy takes a matrix of shears and surface densities for singular: all in units of the shape noise
    unit = np.concatenate([p.error for p in profiles])
    scaled = [replace(p, value=p.value / p.error) for p in profiles]
    got = scan.fit(profiles, model).ln_like["200c"][rows]
    data = np.concatenate([p.value for p in scaled])
    signals = [
        np.concatenate([model_signal(signal_model, p, m) for p in profiles]) for m in MASS_GRID_MSUN[rows]
    ]
    covariance = (noises + whole) / np.outer(unit, unit)
    want = np.array([multivariate_normal.logpdf(data, s / unit, covariance) for s in signals])
    same_up_to_a_constant(got, want, 1e-5)


def test_bins_that_are_not_used_leave_the_others_noise(tables, signal_model):
    profile = joint(tables, signal_model)[0]
    holes = replace(profile, n_gal=np.where(np.arange(7) == 3, 0.0, 100.0))
    model = model_of(tables, SURVEY)
    every = np.ones(7, dtype=bool)
    whole = model.noise.covariance(model, (profile,), (every,))
    data = model.prepare(holes)
    covariance = np.linalg.inv(data.whitening.T @ data.whitening)
    kept = np.arange(7) != 3
    want = whole[np.ix_(kept, kept)] + np.diag(profile.error[kept] ** 2)
    assert covariance == pytest.approx(want, rel=1e-8)
    empty = replace(profile, n_gal=np.zeros(7))
    assert scan.fit(empty, model).status == "unusable"


def test_all_fitters_have_the_noise(tables, signal_model):
    profile = joint(tables, signal_model)[0]
    model = model_of(tables, {**SURVEY, "profile_scatter": {"fraction": 0.2, "correlation_ln_r": 0.3}})
    exact, point = scan.fit(profile, model), curvefit.fit(profile, model)
    error = exact.summary["mass_err_msun"]
    assert point.summary["mass_ml_msun"] == pytest.approx(exact.summary["mass_ml_msun"], abs=0.01 * error)
    assert point.summary["chi2"] == pytest.approx(exact.summary["chi2"], abs=1e-3)
    assert point.summary["mass_err_msun"] == pytest.approx(error, rel=0.1)
    density = HaloDensity(model, model.prepare(profile), "log")
    rows = np.arange(200, 300, 20)
    u = (np.log(MASS_GRID_MSUN[rows]) - LN_M_LOW) / (LN_M_HIGH - LN_M_LOW)
    ln_like = [density(np.array([np.log(v / (1 - v))]))[0] - np.log(v * (1 - v)) for v in u]
    same_up_to_a_constant(np.array(ln_like), exact.ln_like["200c"][rows], 1e-4)


@pytest.mark.parametrize("length", [0.0, 0.4])
def test_scatter_of_profiles(tables, signal_model, length):
    profiles = joint(tables, signal_model)[:1]
    model = model_of(
        tables, {"profile_scatter": {"fraction": 0.3, "mass_msun": 3e14, "correlation_ln_r": length}}
    )
    m = model_signal(signal_model, profiles[0], 3e14)
    apart = np.abs(np.subtract.outer(np.log(RADIUS), np.log(RADIUS)))
    shape = np.eye(len(RADIUS)) if length == 0 else np.exp(-apart / length)
    covariance = np.diag(profiles[0].error ** 2) + 0.09 * np.outer(m, m) * shape
    rows = slice(180, 330, 25)
    got = scan.fit(profiles[0], model).ln_like["200c"][rows]
    same_up_to_a_constant(got, brute(signal_model, profiles, covariance, MASS_GRID_MSUN[rows]), 1e-5)


def population(tables, signal_model, n, scatter, covariance, seed):
    """Haloes of known mass whose lensing masses scatter, behind structure."""
    rng = np.random.default_rng(seed)
    lower = np.linalg.cholesky(covariance)
    empty = profile_of(tables, error=0.006)
    profiles, truth = [], {}
    for i in range(n):
        ln_true = np.log(2e14) + rng.exponential(0.6)
        mass = np.exp(ln_true + scatter * rng.normal())
        noise = lower @ rng.normal(size=len(RADIUS)) + empty.error * rng.normal(size=len(RADIUS))
        halo = replace(empty.halo, halo_id=f"h{i:04d}")
        profiles.append(replace(empty, halo=halo, value=model_signal(signal_model, empty, mass) + noise))
        truth[halo.halo_id] = float(np.exp(ln_true))
    return profiles, truth


def test_structure_left_out_widens_the_scatter(tables, signal_model):
    """With its covariance ln b and σ are recovered; a control without it must find too large a scatter."""
    lss = structure(tables, *sample())
    profiles, truth = population(tables, signal_model, 800, 0.2, lss, 20)
    found = {}
    for name, model in (("with", model_of(tables, SURVEY)), ("without", signal_model)):
        fits = [scan.fit(p, model) for p in profiles]
        found[name] = bias.fit(fits, truth)
        print(name, {k: (found[name].mean[k], found[name].sd[k]) for k in ("ln_bias", "scatter")})
    right, wrong = found["with"], found["without"]
    assert abs(right.mean["ln_bias"]) < 3 * right.sd["ln_bias"]
    assert abs(right.mean["scatter"] - 0.2) < 3 * right.sd["scatter"]
    assert wrong.mean["scatter"] - 0.2 > 5 * wrong.sd["scatter"]


def test_goodness_of_fit_of_profiles_that_scatter(tables, signal_model):
    """chi2 / dof is 1 with the covariance of scatter, and far above without."""
    rng = np.random.default_rng(4)
    model = model_of(tables, {"profile_scatter": {"fraction": 0.3, "mass_msun": 4e14}})
    empty = profile_of(tables, error=0.003)
    signal = model_signal(signal_model, empty, 4e14)
    ratio = {"with": [], "without": []}
    for _ in range(200):
        value = signal * (1 + 0.3 * rng.normal(size=7)) + empty.error * rng.normal(size=7)
        profile = replace(empty, value=value)
        for name, m in (("with", model), ("without", signal_model)):
            summary = scan.fit(profile, m).summary
            ratio[name].append(summary["chi2"] / summary["dof"])
    # its standard error is sqrt(2 / 6 / 200) = 0.04
    assert np.mean(ratio["with"]) == pytest.approx(1.0, abs=0.12)
    assert np.mean(ratio["without"]) > 2.0


def test_errors_that_change_with_redshift(tables, signal_model):
    profile = joint(tables, signal_model)[0]  # at z = 0.3
    model = model_of(tables, {**SURVEY, "error_factor": [[0.2, 1.2], [0.4, 0.8], [0.6, 0.5]]})
    plain = model_of(tables, SURVEY)
    assert scan.fit(profile, model).ln_like["200c"] == pytest.approx(scan.fit(profile, plain).ln_like["200c"])
    model = model_of(tables, {"error_factor": [[0.1, 2.0], [0.2, 1.5]]})
    wide = scan.fit(replace(profile, error=1.5 * profile.error), signal_model)
    got = scan.fit(profile, model)
    assert got.ln_like["200c"] == pytest.approx(wide.ln_like["200c"], rel=1e-12)
    assert curvefit.fit(profile, model).summary["mass_err_msun"] == pytest.approx(
        curvefit.fit(replace(profile, error=1.5 * profile.error), signal_model).summary["mass_err_msun"]
    )
    with pytest.raises(ConfigError, match="factors must be above 0"):
        model_of(tables, {"error_factor": [[0.1, 0.0]]})
    with pytest.raises(ConfigError, match="must increase"):
        model_of(tables, {"error_factor": [[0.2, 1.0], [0.1, 1.0]]})


def test_annuli_without_edges():
    from clmassmod.records import HaloInfo, ShearProfile

    def bare(radius, edges=None):
        r = np.array(radius, dtype=float)
        return ShearProfile(HaloInfo("h", 0.3), "g_t", r, r, r, r, r, r, r, 900.0, 4e15, None, edges)

    inner, outer = annuli(bare(RADIUS))
    assert inner[0] == pytest.approx(EDGES[0])
    assert outer == pytest.approx(EDGES[1:])
    assert annuli(bare(RADIUS, EDGES))[1] is not None
    # magnitude bins as rows of one profile, unsorted; a bin without radius
    inner, outer = annuli(bare([2.0, 1.0, 1.0, np.nan, 4.0]))
    assert inner[[1, 2]] == pytest.approx(2**-0.5)
    assert outer[0] == pytest.approx(8**0.5)
    assert np.isnan(inner[3])
    inner, outer = annuli(bare([1.5]))
    assert inner[0] < 1.5 < outer[0]


def test_wrong_noise_is_refused(tables, signal_model):
    with pytest.raises(ConfigError, match=r"large_scale_structur.*large_scale_structure"):
        model_of(tables, {"large_scale_structur": True})
    with pytest.raises(ConfigError, match="sources belong to large_scale_structure"):
        model_of(tables, {"sources": {"distribution": "chang13"}})
    with pytest.raises(ConfigError, match="the tables hold no noise"):
        model_of(tables, {"large_scale_structure": True, "sources": {"distribution": "chang13"}})
    model = model_of(tables, PLANE)
    bare = replace(profile_of(tables, "delta_sigma"), beta_s=np.full(7, np.nan))
    with pytest.raises(FitError, match=r"noise\.sources"):
        scan.fit(bare, model)
    samples = noise_samples([build(Noise, ONE)])
    with pytest.raises(ConfigError, match="no source lies behind a lens at z = 1"):
        build_tables(COSMOLOGY, z_range=(0.9, 1.2), noise_samples=samples)
    with pytest.raises(ConfigError, match=r"cosmology\.sigma8"):
        build_tables(Cosmology(H0=70, Om0=0.3), z_range=(0.2, 0.3), noise_samples=samples)
    far = profile_of(tables, z=0.9)
    with pytest.raises(ConfigError, match=r"not for 0\.9"):
        model_of(tables, SURVEY).prepare(far)


def test_configuration(root):
    campaign = load_campaign(root / "config/cosmodc2.yaml")
    assert campaign.analyses["shape_lss"].noise.large_scale_structure
    plain = campaign.model_dump(mode="json")
    assert "noise" not in plain["analyses"]["shape"]  # nor in the hash of its fits
    assert plain["analyses"]["shape_lss"]["noise"]["sources"]["behind_lens"] == 0.1
    assert build(CampaignConfig, plain) == campaign
    del plain["cosmology"]["sigma8"]
    with pytest.raises(ConfigError, match=r"shape_lss.*cosmology.sigma8"):
        build(CampaignConfig, plain)
    twice = {"radius_mpc": [0.5, 2], "radial_bins": {"structure": True}, "noise": PLANE}
    with pytest.raises(ConfigError, match="the same noise"):
        build(Analysis, twice)
    with pytest.raises(ConfigError, match=r"noise.profile_scatter.fraction"):
        build(Analysis, {"radius_mpc": [0.5, 2], "noise": {"profile_scatter": {"fraction": -0.1}}})
