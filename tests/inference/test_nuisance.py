"""Marginal likelihoods against brute-force integration over dense grids of the nuisance parameters."""

from dataclasses import replace

import numpy as np
import pytest
from lenses import brute_force, empty_profile, make_tables, model_signal, moments, normal_grid
from numpy.testing import assert_array_equal, assert_equal
from scipy.special import logsumexp

from clmassmod.core.profiles import hernquist
from clmassmod.errors import ConfigError
from clmassmod.fitters import scan
from clmassmod.fitters.grid import MODELS_MSUN
from clmassmod.fitters.likelihood import NODES_MSUN, LensModel
from clmassmod.fitters.memo import Memo
from clmassmod.fitters.nuisance import SIGNIFICANCES
from clmassmod.fitters.nuisance import _nodes as cache_of_nodes
from clmassmod.fitters.observables import observable
from clmassmod.fitters.surfaces import surfaces

pytestmark = pytest.mark.inference

MASSES = np.geomspace(5e13, 4e15, 110)


@pytest.fixture(scope="module")
def tables():
    return make_tables(structure=True)


@pytest.fixture(scope="module")
def fixed(tables):
    return LensModel.build(tables, concentration="duffy08")


def noisy(tables, fixed, error, seed, mass=6e14):
    rng = np.random.default_rng(seed)
    profile = empty_profile(tables, error=error)
    signal = model_signal(fixed, profile, mass, concentration=4.0 * np.exp(0.3 * rng.normal()))
    return replace(profile, value=signal + error * rng.normal(size=len(signal)))


def rayleigh_grid(scale, n=60):
    x = (np.arange(n) + 0.5) * 5.0 / n
    weight = x * np.exp(-0.5 * x * x)
    return scale * x, np.log(weight / weight.sum())


def assert_same_posterior(model, profile, brute, tolerance=0.02):
    mean, sd = moments(MASSES, brute)
    found_mean, found_sd = moments(MASSES, model.ln_likelihood(profile, MASSES))
    print(f"mean off by {(found_mean - mean) / sd:+.4f} sd, sd by {found_sd / sd - 1:+.4f}")
    assert abs(found_mean - mean) < tolerance * sd
    assert found_sd == pytest.approx(sd, rel=tolerance)


@pytest.mark.parametrize("error", [0.04, 0.015, 0.005])
def test_concentration_scatter(tables, fixed, error):
    profile = noisy(tables, fixed, error, seed=1)
    model = LensModel.build(tables, concentration="duffy08", nuisance={"concentration": {"scatter": 0.3}})
    assert_same_posterior(
        model, profile, brute_force(fixed, profile, MASSES, ln_c=normal_grid(0.0, 0.3, 121))
    )


@pytest.mark.parametrize("error", [0.04, 0.015, 0.005])
def test_free_concentration(tables, fixed, error):
    profile = noisy(tables, fixed, error, seed=2)
    model = LensModel.build(
        tables, concentration="duffy08", nuisance={"concentration": {"range": (1.0, 15.0)}}
    )
    x = np.linspace(0.0, np.log(15.0), 401)
    x = 0.5 * (x[1:] + x[:-1])
    assert_same_posterior(
        model, profile, brute_force(fixed, profile, MASSES, c=(x, np.full(400, -np.log(400))))
    )


@pytest.mark.parametrize("error", [0.04, 0.015])
def test_miscentring(tables, fixed, error):
    profile = noisy(tables, fixed, error, seed=3)
    nuisance = {"miscentring": {"scale_mpc": 0.2, "fraction": 0.4}}
    model = LensModel.build(tables, concentration="duffy08", nuisance=nuisance)
    value, ln_weight = rayleigh_grid(0.2)
    mixed = np.concatenate([[0.0], value]), np.concatenate([[np.log(0.6)], ln_weight + np.log(0.4)])
    assert_same_posterior(model, profile, brute_force(fixed, profile, MASSES, offset=mixed))


@pytest.mark.parametrize("observed", ["g_t", "delta_sigma"])
def test_two_halo_amplitude_and_shear_calibration(tables, fixed, observed):
    error = 0.03 if observed == "g_t" else 8e13
    profile = empty_profile(tables, error=error, radius=np.geomspace(0.5, 8.0, 10), observable=observed)
    signal = model_signal(fixed, profile, 5e14)
    profile = replace(profile, value=signal + error * np.random.default_rng(4).normal(size=10))
    for nuisance in (
        {"two_halo": {"mean": 1.0, "sd": 0.5}},
        {"shear_bias": {"mean": 0.02, "sd": 0.05}},
        {"two_halo": {"mean": 1.0, "sd": 0.5}, "shear_bias": {"mean": 0.02, "sd": 0.05}},
    ):
        model = LensModel.build(tables, concentration="duffy08", nuisance=nuisance)
        brute = brute_force(
            fixed,
            profile,
            MASSES,
            two_halo=normal_grid(1.0, 0.5) if "two_halo" in nuisance else None,
            shear=normal_grid(0.02, 0.05) if "shear_bias" in nuisance else None,
        )
        assert_same_posterior(model, profile, brute, tolerance=0.002)


def test_four_parameters_at_once(tables, fixed):
    profile = noisy(tables, fixed, 0.025, seed=5)
    nuisance = {
        "concentration": {"scatter": 0.3},
        "miscentring": {"scale_mpc": 0.15},
        "two_halo": {"mean": 1.0, "sd": 0.5},
        "shear_bias": {"sd": 0.03},
    }
    model = LensModel.build(tables, concentration="duffy08", nuisance=nuisance)
    brute = brute_force(
        fixed,
        profile,
        MASSES,
        ln_c=normal_grid(0.0, 0.3, 25, 4.0),
        offset=rayleigh_grid(0.15, 25),
        two_halo=normal_grid(1.0, 0.5, 11, 4.0),
        shear=normal_grid(0.0, 0.03, 9, 4.0),
    )
    assert_same_posterior(model, profile, brute)


def test_stored_grid_and_direct_evaluation_agree(tables, fixed):
    """Profiles at nodes in ln r_s, interpolated, against one by one."""
    profile = noisy(tables, fixed, 0.03, seed=6)
    nuisance = {"concentration": {"scatter": 0.3}, "miscentring": {"scale_mpc": 0.15}}
    model = LensModel.build(
        tables, concentration="duffy08", nuisance=nuisance, mass_definitions=("200c", "500c")
    )
    fit = scan.fit(profile, model)
    some = fit.mass_msun[[150, 220, 260]]
    for definition in ("200c", "500c"):
        direct = [model.ln_likelihood(profile, m, definition)[0] for m in some]
        assert fit.ln_like[definition][[150, 220, 260]] == pytest.approx(direct, abs=1e-4)


def test_wrong_concentration_prior_is_seen_in_the_best_one(tables, fixed):
    profile = empty_profile(tables, error=0.005)
    profile = replace(profile, value=model_signal(fixed, profile, 8e14, concentration=7.0))
    model = LensModel.build(tables, concentration=4.0, nuisance={"concentration": {"scatter": 1.0}})
    fit = scan.fit(profile, model)
    assert fit.summary["concentration_ml"] == pytest.approx(7.0, rel=0.1)  # the prior pulls
    assert abs(fit.summary["mass_ml_msun"] - 8e14) < 1.5 * fit.summary["mass_err_msun"]
    assert scan.fit(profile, fixed).summary["chi2"] > fit.summary["chi2"] + 10


def test_fixed_effects_are_parameters_of_every_profile(tables):
    profile = empty_profile(tables, radius=np.geomspace(0.3, 6.0, 8))
    plain = LensModel.build(tables, concentration=4.0)
    moved = LensModel.build(
        tables,
        concentration=4.0,
        parameters={"two_halo": 1.0, "offset_mpc": 0.2, "offset_distribution": "rayleigh"},
    )
    # an average profile over offsets is not the marginal likelihood over them, but shares its limit
    centred = LensModel.build(tables, concentration=4.0, parameters={"two_halo": 1.0, "offset_mpc": 1e-4})
    with_term = LensModel.build(tables, concentration=4.0, parameters={"two_halo": 1.0})
    mass = np.array([3e14])
    assert centred.ln_likelihood(profile, mass) == pytest.approx(
        with_term.ln_likelihood(profile, mass), rel=1e-4
    )
    assert moved.ln_likelihood(profile, mass) != pytest.approx(plain.ln_likelihood(profile, mass), rel=1e-2)


def test_more_signal_gets_more_nodes(tables):
    nuisance = {"concentration": {"scatter": 0.3}, "miscentring": {"scale_mpc": 0.2}}
    prior = LensModel.build(tables, concentration=4.0, nuisance=nuisance).nuisance
    made = [prior.nodes(s) for s in SIGNIFICANCES]
    assert np.all(np.diff([len(n.ln_c_weight) for n in made]) >= 0)
    assert np.all(np.diff([len(n.ln_offset_weight) for n in made]) >= 0)
    for nodes in made:
        assert logsumexp(nodes.ln_c_weight) == pytest.approx(0.0, abs=1e-12)
        assert logsumexp(nodes.ln_offset_weight) == pytest.approx(0.0, abs=1e-12)


def dense(model, profiles, *, ln_c=None, c=None, offset=None):
    """Return ln L (halo, mass) at ``NODES_MSUN`` by sums over hundreds of (value, ln weight)."""
    empty, zero = profiles[0], (np.zeros(1), np.zeros(1))
    environment = model.environment(empty)
    relation = model.concentration(NODES_MSUN, environment.z)
    shift, w_c = ln_c or c or zero
    spread = np.exp(shift)[:, np.newaxis] * (np.ones_like(relation) if c else relation)
    s, w_s = offset or (None, zero[1])
    found = surfaces(model, empty.radius_mpc, environment, NODES_MSUN[np.newaxis], spread, s)
    signal = observable(empty, np.ones(len(empty.radius_mpc), bool), found) / empty.error
    cross = np.einsum("hb,scmb->hscm", np.array([p.value for p in profiles]) / empty.error, signal)
    ln_like = cross - 0.5 * np.sum(signal**2, axis=-1) + (w_s[:, np.newaxis] + w_c)[..., np.newaxis]
    return logsumexp(ln_like, axis=(1, 2))


def drawn(model, empty, mass, n, rng, *, c=None, offset=None):
    """Return noisy profiles of haloes whose concentrations or offsets are these draws, (halo,)."""
    environment, size = model.environment(empty), np.array([[mass]])
    profiles = []
    for i in range(n):
        own = model.concentration(size[0], environment.z) if c is None else np.array([c[i]])
        at = None if offset is None else offset[i : i + 1]
        found = surfaces(model, empty.radius_mpc, environment, size, own[np.newaxis], at)
        signal = observable(empty, np.ones(len(empty.radius_mpc), bool), found).ravel()
        profiles.append(replace(empty, value=signal + empty.error * rng.normal(size=len(signal))))
    return profiles


def shifts(ln_like, exact, masses=NODES_MSUN):
    """Return how far the means of ln M are off, in standard deviations, and p(M), of its peak, (halo,)."""
    found, want = ([moments(masses, row) for row in rows] for rows in (ln_like, exact))
    mean = [(a - m) / sd for (a, _), (m, sd) in zip(found, want, strict=True)]
    p, q = (np.exp(rows - rows.max(axis=1, keepdims=True)) for rows in (ln_like, exact))
    p *= q.sum(axis=1, keepdims=True) / p.sum(axis=1, keepdims=True)
    return np.array(mean), np.abs(p - q).max(axis=1)


@pytest.mark.parametrize(("distribution", "scale", "mean"), [("rayleigh", 0.2, 1.25), ("gamma", 0.15, 2.0)])
@pytest.mark.parametrize("error", [0.02, 0.012])
def test_haloes_that_are_off_centre(tables, fixed, distribution, scale, mean, error, monkeypatch):
    """Offsets that are draws of their prior, also far ones; few nodes must fail."""
    rng, n = np.random.default_rng(8), 40
    x = np.linspace(0.0, 6.0 if distribution == "rayleigh" else 14.0, 301)[1:]
    density = x * np.exp(-0.5 * x * x if distribution == "rayleigh" else -x)
    weight = density / density.sum()
    assert scale * (weight @ x) == pytest.approx(scale * mean, rel=0.01)
    empty = empty_profile(tables, error=error)
    profiles = drawn(fixed, empty, 7e14, n, rng, offset=scale * rng.choice(x, n, p=weight))
    exact = dense(fixed, profiles, offset=(scale * x, np.log(weight)))
    nuisance = {"miscentring": {"distribution": distribution, "scale_mpc": scale, "fraction": 1.0}}

    def off():
        model = LensModel.build(tables, concentration="duffy08", nuisance=nuisance)
        found = np.array([model.ln_likelihood(p, NODES_MSUN) for p in profiles])
        return float(np.sqrt(np.mean(shifts(found, exact)[0] ** 2)))

    right = off()
    monkeypatch.setattr("clmassmod.fitters.nuisance._MOST_OFFSETS", 7)
    cache_of_nodes.cache_clear()
    few = off()
    cache_of_nodes.cache_clear()
    print(f"{distribution}, error {error}: means off by {right:.4f} sd, with 7 nodes by {few:.3f}")
    assert right < 0.02
    assert few > 3 * right


@pytest.mark.parametrize("prior", [{"scatter": 0.35}, {"range": (1.0, 15.0)}])
@pytest.mark.parametrize("error", [0.05, 0.02, 0.01, 0.004])
def test_likelihoods_have_no_ripples_from_the_nodes_of_the_concentration(tables, fixed, prior, error):
    """p(M) to 2e-3 of its peak, where sums over the nodes alone err by up to 0.4 of it."""
    rng, n = np.random.default_rng(9), 12
    empty = empty_profile(tables, error=error)
    profiles = drawn(fixed, empty, 7e14, n, rng, c=4.0 * np.exp(0.3 * rng.normal(size=n)))
    if "scatter" in prior:
        exact = dense(fixed, profiles, ln_c=normal_grid(0.0, 0.35, 401, 5.0))
    else:
        x, weight = np.polynomial.legendre.leggauss(300)
        exact = dense(fixed, profiles, c=(0.5 * np.log(15.0) * (x + 1.0), np.log(0.5 * weight)))
    model = LensModel.build(tables, concentration="duffy08", nuisance={"concentration": prior})
    mean, density = shifts(np.array([model.ln_likelihood(p, NODES_MSUN) for p in profiles]), exact)
    print(f"{prior}, error {error}: p(M) off by {density.max():.1e}, means by {np.abs(mean).max():.1e} sd")
    assert density.max() < 2e-3
    assert np.abs(mean).max() < 2e-3


@pytest.mark.parametrize("error", [0.02, 0.005])
def test_wide_shear_calibration_beside_a_two_halo_term(tables, fixed, error):
    """A calibration of 10 % that the data know better than its prior."""
    profile = empty_profile(tables, error=error, radius=np.geomspace(0.5, 8.0, 10))
    signal = model_signal(fixed, profile, 8e14)
    profile = replace(profile, value=signal + error * np.random.default_rng(4).normal(size=10))
    nuisance = {"two_halo": {"mean": 0.0, "sd": 0.5}, "shear_bias": {"mean": 0.0, "sd": 0.1}}
    model = LensModel.build(tables, concentration="duffy08", nuisance=nuisance)
    brute = brute_force(
        fixed, profile, MASSES, two_halo=normal_grid(0.0, 0.5, 101), shear=normal_grid(0.0, 0.1, 101)
    )
    _, density = shifts(model.ln_likelihood(profile, MASSES)[np.newaxis], brute[np.newaxis], MASSES)
    assert density.max() < 5e-3


def test_wrong_priors_are_refused(tables):
    for nuisance, message in (
        ({"concentration": {}}, "either 'scatter' or 'range'"),
        ({"concentraton": {"scatter": 0.3}}, "concentration"),
        ({"miscentring": {"scale_mpc": -1}}, "scale_mpc"),
    ):
        with pytest.raises(ConfigError, match=message):
            LensModel.build(tables, concentration=4.0, nuisance=nuisance)
    bare = make_tables(structure=False)
    with pytest.raises(ConfigError, match="two-halo"):
        LensModel.build(bare, concentration=4.0, nuisance={"two_halo": {"sd": 0.5}})


@pytest.mark.parametrize(
    "nuisance", [None, {"concentration": {"scatter": 0.3}, "two_halo": {"mean": 1.0, "sd": 0.5}}]
)
def test_fits_of_a_batch_are_those_of_single_jobs_to_the_bit(tables, fixed, nuisance):
    """Haloes of a job share the models of their masses: whichever came first, and in any order."""

    def model():
        return LensModel.build(tables, concentration="duffy08", nuisance=nuisance)

    profiles = [
        noisy(tables, fixed, error, seed) for seed, error in enumerate((0.02, 0.05, 0.01, 0.03, 0.02))
    ]
    profiles.append(replace(profiles[0], radius_mpc=profiles[0].radius_mpc * 1.01))
    together = model()
    batch = [scan.fit(p, together) for p in (*profiles, *profiles[::-1])]
    for fit, profile in zip(batch, (*profiles, *profiles[::-1]), strict=True):
        alone = scan.fit(profile, model())
        assert np.array_equal(fit.ln_like["200c"], alone.ln_like["200c"])
        assert_equal(fit.summary, alone.summary)  # of the same NaN, too
        assert fit.best_fit == alone.best_fit


@pytest.mark.parametrize("profile", ["nfw", "dk14"])
def test_a_halo_does_not_depend_on_those_before_it(tables, profile):
    """Surface densities that haloes of one redshift share are the same bits, whichever halo asks first."""
    prior = {"miscentring": {"distribution": "gamma", "scale_mpc": 0.2, "fraction": 0.3}}

    def model():
        return LensModel.build(tables, profile=profile, concentration=4.0, nuisance=prior)

    rng = np.random.default_rng(5)
    profiles = []
    for i in range(3):
        radius = np.geomspace(0.3, 3.0, 8) * rng.uniform(0.6, 1.4)
        empty = empty_profile(tables, radius=radius, halo_id=f"h{i}")
        profiles.append(replace(empty, value=model_signal(model(), empty, 8e14)))
    alone = [scan.fit(p, model()).ln_like["200c"] for p in profiles]
    shared = model()
    for found, expected in zip([scan.fit(p, shared) for p in reversed(profiles)], alone[::-1], strict=True):
        assert_array_equal(found.ln_like["200c"], expected)


def test_haloes_of_one_redshift_share_the_centred_profiles(tables, fixed):
    """Radii of their own change what is averaged about other centres, not the profiles that are averaged."""
    calls = []

    def counted(radius, mass, *rest, **parameters):
        calls.append(len(mass))
        return hernquist.PROFILE.projected(radius, mass, *rest, **parameters)

    nuisance = {"miscentring": {"distribution": "gamma", "scale_mpc": 0.2}, "concentration": {"scatter": 0.3}}
    profile = replace(hernquist.PROFILE, projected=counted)
    model = LensModel.build(tables, profile=profile, concentration="duffy08", nuisance=nuisance)
    first = noisy(tables, fixed, 0.02, 1)
    n = len(model.nuisance.nodes(model.prepare(first).significance).ln_c_shift)
    fits = [scan.fit(replace(first, radius_mpc=first.radius_mpc * f), model) for f in (1.0, 1.001, 1.002)]
    assert len(calls) in (n, 2 * n)  # the grid, rounded outwards, may change once
    assert set(calls) == {len(MODELS_MSUN)}  # one concentration at a time: all would take much memory
    assert fits[0].summary["mass_ml_msun"] != fits[1].summary["mass_ml_msun"]
    calls.clear()
    scan.fit(replace(first, halo=replace(first.halo, z=first.halo.z + 0.01)), model)
    assert len(calls) == n


def test_what_is_kept_for_other_haloes_is_bounded():
    memo, made = Memo(10), []

    def get(key, size):
        return memo.get(key, lambda: made.append(key) or key, size)

    assert [get(key, 4) for key in "aabab"] == list("aabab")
    assert made == ["a", "b"]
    get("c", 4)  # "a" goes
    get("b", 4)
    assert made == ["a", "b", "c"]
    get("a", 4)
    assert made == ["a", "b", "c", "a"]
    get("large", 11)  # nothing is kept
    get("large", 11)
    assert made[-2:] == ["large", "large"]
