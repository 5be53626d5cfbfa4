"""Result files are whole or not there, verified when read, and equal bytes for equal content."""

import h5py
import numpy as np
import pytest

import clmassmod
from clmassmod.errors import StoreError
from clmassmod.posterior import Posterior, from_grid
from clmassmod.records import HaloFit, HaloInfo, ShearProfile, SourceCatalog
from clmassmod.store import (
    load_catalog,
    load_fit,
    load_observed,
    load_posterior,
    load_profile,
    read_tree,
    save_catalog,
    save_fit,
    save_posterior,
    save_profile,
    write_tree,
)
from clmassmod.store.tree import sign

HALO = HaloInfo("h1_x", 0.25, "h1", {"richness": 31.5})
PROVENANCE = {"campaign": "test", "config_hash": "abc", "seed": 7}


def profile() -> ShearProfile:
    radius = np.linspace(0.5, 2.5, 5)
    return ShearProfile(
        halo=HALO,
        observable="g_t",
        radius_mpc=radius,
        value=np.array([0.1, np.nan, 0.05, 0.04, 0.03]),
        error=np.full(5, 0.01),
        cross=np.zeros(5),
        n_gal=np.array([10.0, 0.0, 20, 30, 40]),
        beta_s=np.full(5, 0.6),
        beta_s2=np.full(5, 0.4),
        d_lens_mpc=806.5,
        sigma_crit_inf_msun_mpc2=2.1e15,
        covariance=np.eye(5) * 1e-5,
    )


def fit() -> HaloFit:
    mass = np.geomspace(1e12, 2e16, 400)
    return HaloFit(
        halo=HALO,
        mass_definition="200c",
        mass_msun=mass,
        ln_like={"200c": -0.5 * np.log(mass / 5e14) ** 2, "500c": -0.5 * np.log(mass / 3e14) ** 2},
        summary={"mass_ml_msun": 5e14, "snr": 4.2, "p_value": float("nan")},
        best_fit={"mass_msun": 5e14},
        profile=profile(),
        model={"value": np.arange(5.0)},
        diagnostics={"n_bins_unused": 1.0},
        metadata={"mass_prior": "flat", "radii": [0.5, 2.5]},
    )


def assert_same(a, b):
    for name in a.__dataclass_fields__:
        x, y = getattr(a, name), getattr(b, name)
        if name == "metadata":
            assert {**y, "provenance": None} == {**x, "provenance": None}
        elif hasattr(x, "keys"):
            assert x.keys() == y.keys()
            for key in x:
                np.testing.assert_array_equal(x[key], y[key])
        elif hasattr(x, "__dataclass_fields__"):
            assert_same(x, y)
        else:
            np.testing.assert_array_equal(x, y)


def test_fit_comes_back_as_it_was(tmp_path):
    save_fit(tmp_path / "fit.h5", fit(), PROVENANCE)
    back = load_fit(tmp_path / "fit.h5", "h1_x", "abc")
    assert_same(fit(), back)
    assert back.metadata["provenance"]["seed"] == 7
    assert back.parent == "h1"


def test_unusable_fit_comes_back(tmp_path):
    unusable = HaloFit(
        HALO, "200c", np.geomspace(1e12, 2e16, 400), {}, status="unusable", reason="no finite bin"
    )
    save_fit(tmp_path / "fit.h5", unusable, PROVENANCE)
    assert_same(unusable, load_fit(tmp_path / "fit.h5"))


def test_profile_and_catalog_come_back(tmp_path):
    save_profile(tmp_path / "p.h5", profile(), PROVENANCE)
    assert_same(profile(), load_profile(tmp_path / "p.h5", "h1_x"))
    columns = {
        k: np.arange(4.0) for k in ("x_arcmin", "y_arcmin", "e1", "e2", "z_source", "beta_s", "weight")
    }
    catalog = SourceCatalog(
        HALO,
        **columns,
        d_lens_mpc=800.0,
        sigma_crit_inf_msun_mpc2=2e15,
        shape_noise=0.25,
        offset_mpc=(0.1, -0.2),
    )
    save_catalog(tmp_path / "c.h5", catalog, PROVENANCE)
    assert_same(catalog, load_catalog(tmp_path / "c.h5"))


def test_equal_content_gives_equal_bytes(tmp_path):
    save_fit(tmp_path / "a.h5", fit(), PROVENANCE)
    save_fit(tmp_path / "b.h5", fit(), PROVENANCE)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_every_flipped_bit_is_noticed(tmp_path):
    save_fit(tmp_path / "a.h5", fit(), PROVENANCE)
    good = (tmp_path / "a.h5").read_bytes()
    rng = np.random.default_rng(5)
    for position in [*range(80), *rng.integers(512, len(good), 300)]:
        bad = bytearray(good)
        bad[position] ^= 1 << int(rng.integers(8))
        (tmp_path / "b.h5").write_bytes(bad)
        with pytest.raises(StoreError, match=r"b\.h5"):
            load_fit(tmp_path / "b.h5")


@pytest.mark.parametrize("keep", [0, 100, 5000, -1])
def test_truncated_file_is_named(tmp_path, keep):
    path = tmp_path / "a.h5"
    save_fit(path, fit(), PROVENANCE)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(StoreError, match=r"a\.h5"):
        load_fit(path)


def test_foreign_kind_halo_and_configuration_are_refused(tmp_path):
    import h5py

    path = tmp_path / "a.h5"
    with pytest.raises(StoreError, match="no such file"):
        load_fit(path)
    with h5py.File(path, "w") as handle:
        handle["x"] = np.arange(3)
    with pytest.raises(StoreError, match="not written by clmassmod"):
        load_fit(path)
    save_fit(path, fit(), PROVENANCE)
    with pytest.raises(StoreError, match="holds a 'fit', expected a 'catalog'"):
        load_catalog(path)
    with pytest.raises(StoreError, match="holds halo 'h1_x', expected 'h2'"):
        load_fit(path, "h2")
    with pytest.raises(StoreError, match="another configuration"):
        load_fit(path, "h1_x", "other")


def test_links_out_of_the_file_are_refused(tmp_path):
    import h5py

    save_fit(tmp_path / "other.h5", fit(), PROVENANCE)
    save_fit(tmp_path / "a.h5", fit(), PROVENANCE)
    with h5py.File(tmp_path / "a.h5", "a") as handle:
        handle["profile/stolen"] = h5py.ExternalLink("other.h5", "/mass_msun")
    with pytest.raises(StoreError, match="checksum"):
        load_fit(tmp_path / "a.h5")
    sign(tmp_path / "a.h5")  # somebody who means it
    with pytest.raises(StoreError, match="is a link"):
        load_fit(tmp_path / "a.h5")


def test_a_failed_write_leaves_the_old_file_and_no_part(tmp_path):
    path = tmp_path / "a.h5"
    save_fit(path, fit(), PROVENANCE)
    before = path.read_bytes()
    with pytest.raises(StoreError):
        write_tree(path, "fit", {"a": np.arange(3), "bad": object()}, PROVENANCE)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]


def test_unreadable_kinds_of_values(tmp_path):
    tree = {
        "text": "Σ",
        "list": np.array(["a", "βγ", ""]),
        "flag": np.array([True, False]),
        "n": 3,
        "none": None,
    }
    write_tree(tmp_path / "t.h5", "thing", tree, {})
    back = read_tree(tmp_path / "t.h5", "thing")
    assert back["text"] == "Σ"
    assert back["list"].tolist() == ["a", "βγ", ""]
    assert back["flag"].tolist() == [True, False]
    assert back["n"] == 3
    assert "none" not in back


def posterior() -> Posterior:
    axes = {"ln_bias": np.linspace(-0.3, 0.1, 21), "ln_scatter": np.linspace(-2, -1, 31)}
    ln_density = -0.5 * (
        ((axes["ln_bias"] + 0.1) / 0.05)[:, None] ** 2 + ((axes["ln_scatter"] + 1.5) / 0.1) ** 2
    )
    marginals, grid = from_grid(axes, ln_density, np.random.default_rng(1))
    return Posterior(
        marginals, grid, warnings=("β is near",), metadata={"n_halos": 3, "prior": {"a": [0, 1]}}
    )


def test_posterior_comes_back_and_arviz_reads_it(tmp_path):
    import arviz

    path = tmp_path / "p.nc"
    observed = {"halo_id": np.array(["a", "b"]), "true_mass_msun": np.array([1e14, 2e14])}
    save_posterior(path, posterior(), PROVENANCE, observed)
    back = load_posterior(path)
    assert back.mean == posterior().mean
    assert back.interval(0.68) == posterior().interval(0.68)
    assert back.warnings == ("β is near",)
    assert back.metadata == {"n_halos": 3, "prior": {"a": [0, 1]}}
    np.testing.assert_array_equal(back.grid.ln_density, posterior().grid.ln_density)
    for name, values in load_observed(path).items():
        np.testing.assert_array_equal(values, observed[name])
    data = arviz.from_netcdf(path)
    assert data.posterior["ln_bias"].dims == ("chain", "draw")
    np.testing.assert_array_equal(data.posterior["ln_bias"].values.ravel(), back.samples["ln_bias"])
    assert data.observed_data["halo_id"].values.tolist() == ["a", "b"]


def test_damaged_posterior_is_refused(tmp_path):
    path = tmp_path / "p.nc"
    save_posterior(path, posterior(), PROVENANCE)
    first = path.read_bytes()
    save_posterior(path, posterior(), PROVENANCE)
    assert path.read_bytes() == first
    path.write_bytes(first[:-10])
    with pytest.raises(StoreError, match=r"p\.nc: truncated or damaged"):
        load_posterior(path)


def by_high_level(group, tree):
    for name in sorted(tree):
        value = tree[name]
        if isinstance(value, dict):
            by_high_level(group.create_group(name), value)
        elif np.ndim(value) == 0:
            group.attrs[name] = value
        elif np.asarray(value).dtype.kind == "U":
            group.create_dataset(name, data=np.asarray(value).astype(object), dtype=h5py.string_dtype())
        else:
            group.create_dataset(name, data=value)


@pytest.mark.parametrize("n_rows", [3, 20_000])
def test_files_are_those_of_the_high_level_interface_byte_for_byte(tmp_path, n_rows):
    """Small files are made in memory and large ones on disk, both by HDF5's low-level calls."""
    tree = {
        "numbers": {"whole": 3, "real": -0.5, "single": np.float32(3), "yes": True, "σ": 2.0},
        "text": {"name": "Größe", "empty": "", "list": np.array(["a", "ß", ""]), "none": np.array([], str)},
        "arrays": {
            "rows": np.arange(150.0 * n_rows).reshape(n_rows, 150),
            "columns": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
            "every other": np.arange(10)[::2],
            "flags": np.array([True, False]),
            "empty": np.zeros(0),
            "Σ": {},
        },
        "many": {f"attribute{i:02d}": float(i) for i in range(40)},
    }
    write_tree(tmp_path / "ours.h5", "test", tree, {"seed": 7})
    head = {"kind": "test", "format_version": 1, "package_version": clmassmod.__version__, "seed": 7}
    with h5py.File(tmp_path / "theirs.h5", "w", userblock_size=512) as file:
        by_high_level(file, {**tree, "provenance": head})
    sign(tmp_path / "theirs.h5")
    assert (tmp_path / "ours.h5").read_bytes() == (tmp_path / "theirs.h5").read_bytes()
