"""Bins: edges, quantiles, user functions, and what a function may get wrong."""

import numpy as np
import pytest

from clmassmod.bins import assign, by_edges, by_quantiles, edge_label, fitted_profile
from clmassmod.errors import ConfigError
from clmassmod.records import HaloFit, HaloInfo

MASS = np.geomspace(1e12, 2e16, 400)


def profiles(n=12):
    made = []
    for i in range(n):
        halo = HaloInfo(f"h{i}", 0.1 * (i + 1), extra={"richness": 10.0 * i})
        fit = HaloFit(
            halo, "200c", MASS, {"200c": -0.5 * (np.log(MASS / 5e14) / 0.3) ** 2}, summary={"snr": float(i)}
        )
        made.append(fitted_profile(fit, f"/somewhere/h{i}.h5"))
    return made


def test_profile_density_is_normalised():
    mass, density = profiles(1)[0].pdf
    assert np.trapezoid(density, mass) == pytest.approx(1)


def test_edges_hold_the_lower_and_at_the_end_the_upper_one():
    result = assign(profiles(), by_edges({"snr": [0, 3, 11]})).members
    assert result == {"snr0-3": ["h0", "h1", "h2"], "snr3-11": [f"h{i}" for i in range(3, 12)]}


def test_products_and_columns_of_the_simulation():
    result = assign(profiles(), by_edges({"z": [0.05, 0.65, 1.3], "richness": [0, 50, 200]})).members
    assert list(result) == [
        "z0.05-0.65_richness0-50",
        "z0.05-0.65_richness50-200",
        "z0.65-1.3_richness0-50",
        "z0.65-1.3_richness50-200",
    ]
    assert result["z0.05-0.65_richness50-200"] == ["h5"]
    assert result["z0.65-1.3_richness0-50"] == []


def test_quantiles_have_equal_numbers():
    result = assign(profiles(), by_quantiles("richness", 3)).members
    assert [len(m) for m in result.values()] == [4, 4, 4]


def test_unknown_quantity_names_the_known_ones():
    with pytest.raises(ConfigError, match=r"no quantity 'sn'.*z, snr.*richness"):
        assign(profiles(), by_edges({"sn": [0, 1]}))


def test_halo_that_was_not_fitted_is_in_no_bin_of_a_fitted_quantity():
    unusable = fitted_profile(
        HaloFit(HaloInfo("bad", 0.3), "200c", MASS, {}, status="unusable", reason="no bin")
    )
    result = assign([*profiles(), unusable], by_edges({"snr": [-100, 100]}))
    assert "bad" not in result.members["snr-100-100"]
    assert "1 of 13 haloes are in no bin" in result.remarks[-1]


@pytest.mark.parametrize("member", [lambda p: p, lambda p: p.loc, lambda p: p.halo_id])
def test_members_may_be_profiles_locations_or_ids(member):
    result = assign(profiles(), lambda ps: [[member(ps[1])], [], [member(ps[1]), member(ps[2])]])
    assert result.members == {"bin0": ["h1"], "bin1": [], "bin2": ["h1", "h2"]}
    assert result.remarks == (
        "bins: bin bin1 is empty",
        "bins: 1 haloes are in more than one bin",
        "bins: 10 of 12 haloes are in no bin",
    )


@pytest.mark.parametrize(
    ("function", "part"),
    [
        (lambda ps: 3, "returned a int"),
        (lambda ps: {"../x": ps}, "label '../x'"),
        (lambda ps: {"a": ["h99"]}, "'h99' is neither"),
        (lambda ps: {"a": "h1"}, "expected a list"),
        (lambda ps: ps[99], "raised IndexError"),
    ],
)
def test_mistakes_of_a_function_are_one_line(function, part):
    with pytest.raises(ConfigError, match=r"bins\.mine") as error:
        assign(profiles(), function, "bins.mine")
    assert part in str(error.value)
    assert "\n" not in str(error.value)


def test_labels_name_files():
    assert edge_label("mass_ml_msun", 1e14, 2.5e15) == "mass_ml_msun1e14-2.5e15"
