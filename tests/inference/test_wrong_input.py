"""What users of the Python interface get wrong: one line that names it, never a wrong number."""

import copy
import pickle
from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from lenses import empty_profile, model_signal

from clmassmod import bias
from clmassmod.errors import ConfigError, FitError, TruthError
from clmassmod.fitters import nuts, scan
from clmassmod.fitters.likelihood import LensModel
from clmassmod.records import HaloFit

GRID_MSUN = np.geomspace(1e13, 1e16, 200)
NAN = float("nan")


@pytest.fixture(scope="module")
def profile(tables, model):
    empty = empty_profile(tables)
    return replace(empty, value=model_signal(model, empty, 8e14))


def halo(name, best=5e14, parent=None, grid=GRID_MSUN):
    return HaloFit.from_likelihood(name, 0.3, grid, -0.5 * ((grid - best) / 1e14) ** 2, parent=parent)


@pytest.fixture(scope="module")
def fits():
    rng = np.random.default_rng(1)
    return [halo(f"h{i}", 5e14 * np.exp(0.2 * rng.normal())) for i in range(20)]


def relation_of_500c(mass, z):
    return 3.0 + 0.0 * mass


relation_of_500c.definitions = ("500c",)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"concentration": relation_of_500c},
            "is one of 500c masses, the model's primary definition is 200c",
        ),
        ({"parameters": {"offset_mcp": 0.3}}, "has no parameter 'offset_mcp'; did you mean 'offset_mpc'"),
        ({"concentration": -1.0}, "concentration -1.0 is no positive number"),
        ({"concentration": NAN}, "concentration nan is no positive number"),
        ({"profile": relation_of_500c}, "or a clmassmod.core.profile.Profile, not a function"),
        ({"mass_definitions": "200c"}, "a list of at least one"),
    ],
)
def test_wrong_models(tables, options, said):
    with pytest.raises(ConfigError, match=said):
        LensModel.build(tables, **{"concentration": 4.0, **options})


def test_parameters_that_a_profile_refuses(tables, profile):
    model = LensModel.build(tables, concentration=4.0, profile="einasto", parameters={"alfa": 0.2})
    with pytest.raises(ConfigError, match=r"'einasto'.*'alfa'"):
        scan.fit(profile, model)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"observable": "gamma"}, "observable 'gamma' is none of g_t"),
        ({"sigma_crit_inf_msun_mpc2": 0.0}, "sigma_crit_inf_msun_mpc2 0.0"),
        ({"sigma_crit_inf_msun_mpc2": NAN}, "sigma_crit_inf_msun_mpc2 nan"),
        ({"covariance": np.triu(np.full((12, 12), 3e-4))}, "is not symmetric"),
    ],
)
def test_wrong_profiles(model, profile, change, said):
    with pytest.raises(FitError, match=f"halo 'h1'.*{said}"):
        scan.fit(replace(profile, **change), model)


def test_profiles_of_two_redshifts(tables, model, profile):
    with pytest.raises(FitError, match=r"different lens redshifts, 0\.3, 0\.4"):
        scan.fit([profile, empty_profile(tables, z=0.4)], model)


def test_asymmetry_of_rounding_is_none(model, profile):
    rng = np.random.default_rng(1)
    draws = 0.01 * rng.normal(size=(50, 12))
    covariance = np.cov(draws.T) * (1.0 + 1e-12 * rng.normal(size=(12, 12)))
    assert scan.fit(replace(profile, covariance=covariance), model).status == "ok"


@pytest.mark.parametrize("ends", [("a", "b"), 1, (0,), None, (-1, 0, 1), (-np.inf, 1)])
def test_wrong_priors(fits, ends):
    with pytest.raises(ConfigError, match=r"prior\.ln_bias"):
        bias.fit(fits, dict.fromkeys((f.halo_id for f in fits), 5e14), prior={"ln_bias": ends})


@pytest.mark.parametrize("prior", [("a",), "scatter"])
def test_priors_that_are_no_mapping(fits, prior):
    with pytest.raises(ConfigError, match="is no mapping"):
        bias.fit(fits, dict.fromkeys((f.halo_id for f in fits), 5e14), prior=prior)


@pytest.mark.parametrize("truth", ["truth.csv", None, [5e14]])
def test_truth_that_is_none(fits, truth):
    with pytest.raises(TruthError, match="give a mapping of halo id to Msun or a function"):
        bias.fit(fits, truth)


def test_truth_with_units_and_functions_that_know_some(fits):
    plain = {f.halo_id: 5e14 for f in fits}
    expected = bias.fit(fits, plain).ln_bias.mean
    assert bias.fit(fits, {k: (v * u.Msun).to("kg") for k, v in plain.items()}).ln_bias.mean == pytest.approx(
        expected
    )
    del plain["h3"]
    found = bias.fit(fits, lambda fit: plain[fit.halo_id], allow_missing=True)
    assert found.metadata["n_without_truth"] == 1


def test_numbers_as_names_and_parents():
    fits = [halo(i, parent=i // 2) for i in range(20)]
    found = bias.fit(fits, dict.fromkeys(range(20), 5e14))
    assert (found.metadata["n_halos"], found.metadata["n_parents"]) == (20, 10)


def test_likelihoods_that_their_masses_cut_off_are_named(fits):
    cut = [halo(f"c{i}", 1e15, grid=np.geomspace(1e13, 1e15, 100)) for i in range(4)]
    truth = {f.halo_id: 5e14 for f in [*fits, *cut]}
    found = bias.fit([*fits, *cut], truth)
    assert any("the likelihoods of 4 of 24 haloes have not died away" in w for w in found.warnings)
    assert not any("died away" in w for w in bias.fit(fits, truth).warnings)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ln_like": {"200c": np.full(200, NAN)}}, r"ln_like\[0\] is nan"),
        ({"mass_msun": GRID_MSUN[::-1]}, r"mass_msun\[1\] is not above"),
        ({"mass_msun": GRID_MSUN[:-1]}, "two arrays of one length"),
    ],
)
def test_likelihoods_of_user_fitters_are_checked(fits, change, said):
    wrong = replace(fits[0], **change)
    with pytest.raises(FitError, match=f"halo 'h0': .*{said}"):
        bias.fit([wrong, *fits[1:]], {f.halo_id: 5e14 for f in fits})


def test_intervals_are_of_probabilities(fits):
    found = bias.fit(fits, {f.halo_id: 5e14 for f in fits})
    for p in (68, 95, -0.1):
        with pytest.raises(ValueError, match=r"ln_bias: probability .* is not between 0 and 1"):
            found.ln_bias.interval(p)


def test_records_and_models_go_to_other_processes(model, profile, fits):
    fit = scan.fit(profile, model)
    again = scan.fit(pickle.loads(pickle.dumps(profile)), pickle.loads(pickle.dumps(model)))
    assert np.array_equal(again.ln_like["200c"], fit.ln_like["200c"])
    assert copy.deepcopy(fit).summary == fit.summary
    found = bias.fit(fits, {f.halo_id: 5e14 for f in fits})
    assert pickle.loads(pickle.dumps(found)).mean == found.mean


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"value": [0.1, 0.2]}, r"value has shape \(2,\), radius_mpc \(12,\)"),
        ({"cross": None}, "cross has shape"),
        ({"error": ["a"] * 12}, "error: the values are no pure numbers"),
        ({"radius_mpc": np.ones(12) * u.s}, "radius_mpc: values in 's' are no numbers in Mpc"),
        ({"value": np.ones(12) * u.Msun / u.Mpc**2}, "value: values in .* are no pure numbers"),
    ],
)
def test_profiles_that_do_not_match(profile, change, said):
    with pytest.raises(FitError, match=f"profile of halo '{profile.halo.halo_id}': {said}"):
        replace(profile, **change)


def test_profiles_of_lists_masked_arrays_and_quantities(model, profile):
    expected = scan.fit(profile, model).summary
    listed = {name: getattr(profile, name).tolist() for name in ("radius_mpc", "value", "error", "n_gal")}
    assert scan.fit(replace(profile, **listed), model).summary == expected
    in_kpc = (profile.radius_mpc * u.Mpc).to(u.kpc)
    critical = (profile.sigma_crit_inf_msun_mpc2 * u.Msun / u.Mpc**2).to(u.g / u.cm**2)
    other = replace(profile, radius_mpc=in_kpc, sigma_crit_inf_msun_mpc2=critical, d_lens_mpc=9e5 * u.kpc)
    assert other.d_lens_mpc == pytest.approx(900.0)
    assert scan.fit(other, model).summary == pytest.approx(expected, rel=1e-9)
    masked = np.ma.array(profile.value, mask=np.arange(12) < 2)
    assert scan.fit(replace(profile, value=masked), model).summary["n_bins"] == 10


def test_likelihoods_with_units_and_masks():
    ln_like = -0.5 * ((GRID_MSUN - 5e14) / 1e14) ** 2
    plain = HaloFit.from_likelihood("h", 0.3, GRID_MSUN, ln_like)
    in_kg = HaloFit.from_likelihood("h", 0.3, (GRID_MSUN * u.Msun).to(u.kg), ln_like)
    assert in_kg.mass_msun == pytest.approx(plain.mass_msun, rel=1e-12)
    with pytest.raises(FitError, match="mass_msun: values in 'm' are no numbers in Msun"):
        HaloFit.from_likelihood("h", 0.3, GRID_MSUN * u.m, ln_like)
    with pytest.raises(FitError, match=r"ln_like\[0\] is nan; leave it out"):
        HaloFit.from_likelihood("h", 0.3, GRID_MSUN, np.ma.masked_less(ln_like, -10.0))


def test_redshifts_and_single_fits(fits):
    ln_like = -0.5 * ((GRID_MSUN - 5e14) / 1e14) ** 2
    for z in ("x", None, NAN, [0.3, 0.4]):
        with pytest.raises(FitError, match="likelihood of halo 'h': z"):
            HaloFit.from_likelihood("h", z, GRID_MSUN, ln_like)
    one = bias.fit(fits[0], {fits[0].halo_id: 5e14})
    assert one.mean == bias.fit(fits[:1], {fits[0].halo_id: 5e14}).mean


def test_columns_with_units(profile):
    """A column of a table knows its unit and its mask, but is no quantity."""
    from astropy.table import MaskedColumn

    radius = MaskedColumn(1e3 * profile.radius_mpc, unit="kpc", mask=np.arange(12) == 3)
    found = replace(profile, radius_mpc=radius).radius_mpc
    assert np.isnan(found[3])
    assert np.delete(found, 3) == pytest.approx(np.delete(profile.radius_mpc, 3), rel=1e-12)
    unit = u.Msun / u.Mpc**2
    sheared = replace(profile, observable="delta_sigma", covariance=np.eye(12) * 1e26 * unit**2)
    assert sheared.covariance == pytest.approx(1e26 * np.eye(12))


def test_seeds_and_numbers_of_draws(model, profile, fits):
    truth = {fit.halo_id: 5e14 for fit in fits}
    for method in ("grid", "nuts"):
        with pytest.raises(ConfigError, match="seed is -1; give a whole number, 0 or above"):
            bias.fit(fits, truth, method=method, seed=-1)
    with pytest.raises(ConfigError, match=r"n_bootstrap is 1\.5; give a whole number"):
        bias.calibration(fits, truth, n_bootstrap=1.5)
    with pytest.raises(ConfigError, match="draws is 0; give a whole number, 1 or above"):
        nuts.fit(profile, model, draws=0)
