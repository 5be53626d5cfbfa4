"""Models where the reduced shear comes to 1 and to its pole: no harm may come from there."""

from dataclasses import replace

import numpy as np
import pytest
from lenses import brute_force, empty_profile, make_tables, model_signal, moments, normal_grid
from scipy.special import logsumexp

from clmassmod.core.miscentring import miscentring
from clmassmod.core.projected import Projected
from clmassmod.core.shear import reduced_shear
from clmassmod.fitters import scan
from clmassmod.fitters.grid import MASS_GRID_MSUN, NODES_MSUN
from clmassmod.fitters.likelihood import LensModel
from clmassmod.fitters.marginal import Joint, _at_nodes, _sums, over_nodes
from clmassmod.fitters.observables import observable, shown, shown_and_slope, units
from clmassmod.fitters.places import Places
from clmassmod.fitters.templates import make_templates

pytestmark = pytest.mark.inference

TWO_HALO = {"mean": 1.0, "sd": 0.5}
OFFSET = {"scale_mpc": 0.2, "fraction": 0.5}


@pytest.fixture(scope="module")
def tables():
    return make_tables(structure=True)


def surface_of(profile, kappa, gamma):
    """Return surface densities (..., bin) that show a convergence and a shear."""
    unit = units(profile, np.ones(len(profile.radius_mpc), bool))
    return Projected(kappa / unit.sigma, gamma / unit.delta_sigma)


def test_shear_goes_on_where_it_reaches_one(tables):
    """The reduced shear below 1; beyond it a smooth, rising function to 2, odd in gamma."""
    profile = empty_profile(tables, radius=[1.0])
    used = np.ones(1, bool)
    strength = np.geomspace(0.0123, 1e4, 4000)[:, np.newaxis]  # none is the pole
    for share in (0.2, 1.0, 5.0):  # of gamma in kappa
        gamma, kappa = share * strength, strength
        surface = surface_of(profile, kappa, gamma)
        g = observable(profile, used, surface)
        plain = reduced_shear(*surface, profile.sigma_crit_inf_msun_mpc2, profile.beta_s, profile.beta_s2)
        weak = gamma < 1.0 - kappa
        assert g[weak] == pytest.approx(plain[weak], rel=1e-13)
        assert np.all(np.diff(g[:, 0]) > 0)
        assert g.max() < 2.0
        assert g[-1, 0] == pytest.approx(2.0 - share / (2.0 * share + 1.0), abs=1e-3)
        slope = np.gradient(g[:, 0], strength[:, 0])
        assert np.abs(np.diff(slope) / slope[1:]).max() < 0.06  # no kink: a step of 0.35 % changes it little
        mirrored = observable(profile, used, Projected(surface.sigma, -surface.delta_sigma))
        assert mirrored == pytest.approx(-g, rel=1e-13)


@pytest.mark.parametrize("observed", ["g_t", "kappa", "delta_sigma"])
def test_slope_is_the_derivative(tables, observed):
    """Arrays (concentration, mass, offset, bin) with weak and strong shears of both signs, by differences."""
    profile = replace(empty_profile(tables, radius=np.geomspace(0.1, 1.0, 6)), observable=observed)
    rng, shape = np.random.default_rng(2), (3, 40, 5, 6)
    size = np.geomspace(0.01, 30.0, 40)[:, np.newaxis, np.newaxis]
    lens = Projected(size * rng.uniform(0.2, 1.0, shape), size * rng.uniform(-1.0, 1.0, shape))
    step = Projected(*(0.1 * size * rng.uniform(0.5, 1.0, shape) for _ in range(2)))

    def at(t):
        strong = np.zeros(shape[:-1], bool)
        moved = Projected(lens.sigma + t * step.sigma, lens.delta_sigma + t * step.delta_sigma)
        return shown(profile, moved, strong), strong

    value, slope = np.empty(shape), np.empty(shape)
    strong = np.zeros(shape[:-1], bool)
    copy = Projected(lens.sigma.copy(), lens.delta_sigma.copy())
    shown_and_slope(profile, copy, step, (value, slope), strong)
    assert value == pytest.approx(at(0.0)[0], rel=1e-13)
    assert np.array_equal(strong, at(0.0)[1])
    assert np.array_equal(strong, (np.abs(value) > 1.0).any(axis=-1) & (observed == "g_t"))
    numeric = (at(1e-6)[0] - at(-1e-6)[0]) / 2e-6
    # beyond 1 a shear through zero jumps from -2 to 2: no derivative there
    smooth = np.abs(lens.delta_sigma) > 1e-3 * size
    assert slope[smooth] == pytest.approx(numeric[smooth], rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("prior", [{"scatter": 0.3}, {"range": (1.0, 15.0)}])
@pytest.mark.parametrize("error", [0.05, 0.02, 0.01])
def test_no_wrong_maximum(tables, model, prior, error, monkeypatch):
    """Concentration and two-halo amplitude, from 0.15 Mpc; without straight lines ln L overshoots."""
    profile = empty_profile(tables, error=error, radius=np.geomspace(0.15, 3.0, 12))
    signal = model_signal(model, profile, 5e14)
    profile = replace(profile, value=signal + error * np.random.default_rng(11).normal(size=12))
    x = np.linspace(0.0, np.log(15.0), 121)
    flat = 0.5 * (x[1:] + x[:-1]), np.full(120, -np.log(120.0))
    sums = {"ln_c": normal_grid(0.0, 0.3, 101)} if "scatter" in prior else {"c": flat}
    exact = brute_force(model, profile, NODES_MSUN, **sums, two_halo=normal_grid(1.0, 0.5, 41))
    mean, sd = moments(NODES_MSUN, exact)
    nuisance = {"concentration": prior, "two_halo": TWO_HALO}

    def off():
        fitted = LensModel.build(tables, concentration="duffy08", nuisance=nuisance)
        both = scan.fit(profile, fitted).ln_like["200c"][::3], fitted.ln_likelihood(profile, NODES_MSUN)
        return [abs(moments(NODES_MSUN, found)[0] - mean) / sd for found in both]

    right = off()
    monkeypatch.setattr(Places, "edges", lambda *_: None)
    wrong = off()
    print(f"{prior}, error {error}: off by {max(right):.4f} sd, without straight lines {max(wrong):.1f}")
    assert max(right) < 0.02
    if "range" in prior and error < 0.05:
        assert max(wrong) > 5.0


ALL = {
    "concentration": {"scatter": 0.3},
    "miscentring": OFFSET,
    "two_halo": TWO_HALO,
    "shear_bias": {"sd": 0.02},
}
SOME = [(), ("concentration", "two_halo"), ("miscentring",), ("miscentring", "two_halo"), tuple(ALL)]


@pytest.mark.parametrize("names", SOME)
@pytest.mark.parametrize("error", [0.05, 0.02, 0.007])
@pytest.mark.parametrize("innermost", [0.1, 0.3])
def test_stored_likelihoods_are_those_of_models_at_every_mass(tables, model, names, error, innermost):
    """Models at 50 masses, ln L interpolated twice, against models at all 400.

    Beside offsets ln L itself has ripples, of the kinks where an offset passes a bin. Far from the maximum,
    where shears come to 1, it may be off, but must stay far.
    """
    profile = empty_profile(tables, error=error, radius=np.geomspace(innermost, 3.0, 12))
    signal = model_signal(model, profile, 1.2e15)
    profile = replace(profile, value=signal + error * np.random.default_rng(12).normal(size=12))
    fitted = LensModel.build(tables, concentration="duffy08", nuisance={name: ALL[name] for name in names})
    direct = fitted.ln_likelihood(profile, MASS_GRID_MSUN)
    found = scan.fit(profile, fitted).ln_like["200c"]
    depth = direct - direct.max()
    near = np.abs(found - direct)[depth > -10.0].max()
    (mean, sd), (want, _) = moments(NODES_MSUN, found[::3]), moments(NODES_MSUN, direct[::3])
    print(
        f"{names} from {innermost} Mpc, error {error}: ln L off by {near:.1e},"
        f" mean by {(mean - want) / sd:+.4f} sd"
    )
    assert near < (0.15 if "miscentring" in names else 0.03)
    assert abs(mean - want) < 0.02 * sd
    assert np.all((found - direct.max())[depth < -18.0] < -15.0)


@pytest.mark.parametrize("innermost", [0.1, 0.2, 0.3])
@pytest.mark.parametrize("error", [0.05, 0.03, 0.02, 0.013, 0.007])
def test_concentrations_beside_offsets(tables, model, innermost, error):
    """All four parameters: fewer nodes of ln c than the data need, interpolated, against 181 of them."""
    profile = empty_profile(tables, error=error, radius=np.geomspace(innermost, 3.0, 12))
    signal = model_signal(model, profile, 1.2e15)
    profile = replace(profile, value=signal + error * np.random.default_rng(12).normal(size=12))
    fitted = LensModel.build(tables, concentration="duffy08", nuisance=ALL)
    data = fitted.prepare(profile)
    nodes = fitted.nuisance.nodes(data.significance)
    x = 0.3 * np.linspace(-4.5, 4.5, 181)
    weight = -0.5 * (x / 0.3) ** 2
    dense = replace(nodes, places=None, ln_c_shift=x, ln_c_weight=weight - logsumexp(weight))
    made = make_templates(fitted, data, NODES_MSUN, "200c", dense, None)
    parts, zero = _at_nodes(_sums(data, made), made, data.significance)
    exact = over_nodes(Joint(parts, zero, NODES_MSUN, made, made.at).terms(1.0))
    found = fitted.ln_likelihood(profile, NODES_MSUN)
    (mean, sd), (want, _) = moments(NODES_MSUN, found), moments(NODES_MSUN, exact)
    p, q = (np.exp(v - logsumexp(v)) for v in (found, exact))
    peak = np.abs(p - q).max() / q.max()
    print(
        f"from {innermost} Mpc, S/N {data.significance:.0f}: mean off by {(mean - want) / sd:+.4f} sd,"
        f" p(M) by {peak:.1e}, {dense.number} nodes instead of {nodes.number}"
    )
    assert abs(mean - want) < 0.02 * sd
    assert peak < (0.15 if data.significance > 7.0 else 0.25)


@pytest.mark.parametrize("seed", [6, 11, 21, 25])
def test_models_that_plunge_make_no_maximum(tables, model, seed, monkeypatch):
    """Offsets about the radius of the first bin: from one mass to the next, shears grow from 0.3 to 2."""
    rng = np.random.default_rng(seed)
    radius = np.geomspace(rng.uniform(0.11, 0.2), 3.0, 12)
    empty = empty_profile(tables, z=0.55, error=0.011, radius=radius, beta_s=0.75)
    mass, environment = np.array([1.1e15]), model.environment(empty)
    c = model.concentration(mass, 0.55) * np.exp(0.3 * rng.normal())
    operator = miscentring(radius, "fixed", rng.uniform(0.1, 0.3))
    signal = observable(empty, np.ones(12, bool), operator(lambda r: model.surface(r, environment, mass, c)))[
        0
    ]
    profile = replace(empty, value=signal + 0.011 * rng.normal(size=12))
    offsets = {"distribution": "gamma", "scale_mpc": 0.05, "fraction": 0.6}
    nuisance = {"miscentring": offsets, "concentration": {"scatter": 0.3}, "two_halo": TWO_HALO}

    def at_large_masses():
        fitted = LensModel.build(tables, concentration="duffy08", nuisance=nuisance)
        found = scan.fit(profile, fitted).ln_like["200c"]
        return (found - found.max())[MASS_GRID_MSUN > 2.5e15].max()

    bounded = at_large_masses()
    monkeypatch.setattr("clmassmod.fitters.places._LITTLE", 1e9)
    free = at_large_masses()
    print(f"seed {seed}: ln L {bounded:.1f} below its maximum, unbounded {free:.1f}")
    assert bounded < -15.0
    assert free > bounded + 10.0
