"""The steps by themselves: what fails is recorded, what is done is left alone, truth is seen by one step."""

import csv
import json

import h5py
import numpy as np
import pytest
from campaigns import run, small

from clmassmod.errors import ConfigError, FitError, ReaderError, StoreError, TruthError
from clmassmod.steps.campaign import prepare
from clmassmod.steps.gather import make_bins
from clmassmod.steps.halos import fit_shard
from clmassmod.steps.status import forget_failures, status_lines
from clmassmod.store import load_fit, load_posterior


@pytest.fixture(autouse=True)
def _in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def table(path, n=5, **changes):
    """Write a table of profiles with true masses, as a user would."""
    rng = np.random.default_rng(1)
    radius = np.tile(np.linspace(0.6, 2.4, 6), (n, 1))
    data = {
        "halo_id": np.array([f"c{i}" for i in range(n)], dtype="S"),
        "z": np.full(n, 0.3),
        "radius": radius,
        "ds_t": 1e14 / radius + rng.normal(0, 1e13, radius.shape),
        "ds_x": rng.normal(0, 1e13, radius.shape),
        "w": np.full(radius.shape, 1e-28),
        "m200c": np.full(n, 5e14),
    }
    data |= changes
    units = {
        "radius": "Mpc",
        "ds_t": "Msun / Mpc2",
        "ds_x": "Msun / Mpc2",
        "w": "Mpc4 / Msun2",
        "m200c": "Msun",
    }
    with h5py.File(path, "w") as handle:
        for name, values in data.items():
            if values is not None:
                handle[name] = values
                if name in units:
                    handle[name].attrs["unit"] = units[name]
    return path


def measured(path="t.h5", **changes):
    columns = {
        "halo_id": "halo_id",
        "z": "z",
        "radius": "radius",
        "value": "ds_t",
        "cross": "ds_x",
        "weight": "w",
    }
    data = small(
        campaign="measured",
        simulation={"reader": "profiles", "path": str(path), "options": {"columns": columns}},
        truth={"path": str(path), "mass_definition": "200c"},
        surveys={},
        analyses={"nfw": {"radius_mpc": [0.5, 2.5], "model": {"concentration": 4}}},
    )
    return {**data, **changes}


def summary(campaign):
    with (campaign.folder / "report" / "summary.csv").open(newline="") as handle:
        return {row["bin"]: row for row in csv.DictReader(handle)}


def test_whole_campaign_from_maps():
    campaign = run(small(compare={"true_mass_edges_msun": [1e14, 2e14, 8e14, 5e15]}))
    rows = summary(campaign)
    assert rows["all"]["n_halos"] == "6"
    assert abs(float(rows["all"]["ln_bias"])) < 5 * float(rows["all"]["ln_bias_err"])
    assert rows["truth-1e14-2e14"]["n_halos"] == "0"  # an empty bin is a row, not a failure
    page = (campaign.folder / "report" / "index.html").read_text()
    assert "http" + "://" not in page.replace("http" + "://www.w3.org", "")


def test_whole_campaign_from_pixels_of_maps():
    """No survey, no galaxies: the map's convergence with little noise gives the masses back."""
    pixels = {
        "radius_mpc": [0.5, 2.0],
        "pixels": {"noise": 0.01, "beta_s": 0.7},
        "model": {"concentration": 4},
    }
    single = {**pixels, "radial_bins": {"spacing": "unbinned"}}
    options = {**small()["simulation"]["options"], "concentration": 4}
    campaign = run(
        small(
            simulation={"reader": "analytic", "options": options},
            surveys={},
            analyses={"bins": pixels, "pixels": single},
        )
    )
    assert not (campaign.folder / "mocks").exists()
    for analysis in ("bins", "pixels"):
        posterior = load_posterior(campaign.comparison_file(analysis, "all"))
        assert posterior.mean["ln_bias"] == pytest.approx(0.0, abs=max(4 * posterior.sd["ln_bias"], 5e-3))
        assert posterior.sd["ln_bias"] < 0.03
    page = (campaign.folder / "report" / "index.html").read_text()
    assert "convergence" in page


def test_campaign_from_profiles_and_without_truth(monkeypatch):
    table("t.h5", m200c=None)  # no true mass anywhere

    def refuse(*arguments, **options):
        raise AssertionError("true masses were read")

    monkeypatch.setattr("clmassmod.bias.truth.read_truth", refuse)
    monkeypatch.setattr("clmassmod.bias.truth.from_reader", refuse)
    campaign = run(measured(truth=None))
    rows = summary(campaign)
    assert rows["all"]["ln_bias"] == ""
    assert float(rows["all"]["mean_ln_mass"]) == pytest.approx(np.log(4e14), abs=1)
    assert not (campaign.folder / "comparisons").exists()
    assert load_posterior(campaign.ensemble_file("nfw", "all")).mean["scatter"] > 0


def test_a_halo_that_raises_is_recorded_and_the_others_go_on(monkeypatch):
    from clmassmod.steps import halos

    whole = halos.mock_halo

    def broken(inputs, survey, halo):
        if halo.halo_id == "halo0002":
            raise ZeroDivisionError("a planted failure")
        return whole(inputs, survey, halo)

    monkeypatch.setattr(halos, "mock_halo", broken)
    said = []
    campaign = run(small(halos_per_job=6), said.append, upto="fits")
    assert any("halo0002" in text and "planted" in text for text in said)
    done = sorted(p.name for p in (campaign.folder / "fits/nfw").iterdir())
    assert done == [f"halo000{i}.h5" if i != 2 else "halo0002.failed.json" for i in range(6)]
    record = json.loads((campaign.folder / "mocks/wide/halo0002.failed.json").read_text())
    assert record["reason"] == "ZeroDivisionError: a planted failure"
    assert "mock_halo" in record["traceback"] or "broken" in record["traceback"]
    with pytest.raises(
        FitError, match=r"1 of 6 haloes failed, allow_missing is 0: halo0002.*clmassmod retry"
    ):
        make_bins(campaign, "nfw", said.append)
    assert any("halo0002" in line and "planted" in line for line in status_lines(campaign))

    allowed = run(small(halos_per_job=6, allow_missing=1), upto="report")
    assert summary(allowed)["all"]["n_failed"] == "1"

    # mended: the retry redoes that halo, and no other file is touched
    monkeypatch.setattr(halos, "mock_halo", whole)
    before = {p.name: p.stat().st_mtime_ns for p in (campaign.folder / "fits/nfw").glob("*.h5")}
    assert {f.halo_id for f in forget_failures(campaign, [])} == {"halo0002"}
    fresh = prepare(small(halos_per_job=6))
    assert {m.rsplit("/", 3)[-3] for m in fresh.stale} == {"mocks", "fits"}
    run(small(halos_per_job=6), upto="fits")
    after = {p.name: p.stat().st_mtime_ns for p in (campaign.folder / "fits/nfw").glob("*.h5")}
    assert after.pop("halo0002.h5")
    assert after == before
    assert not list(campaign.folder.rglob("*.failed.json"))


def test_batches_give_the_same_files():
    one = run(small(campaign="small"), upto="fits")
    files = {p.name: p.read_bytes() for p in (one.folder / "fits/nfw").iterdir()}
    for path in (one.folder / "fits/nfw").iterdir():
        path.unlink()
    run(small(halos_per_job=4), upto="fits")
    assert {p.name: p.read_bytes() for p in (one.folder / "fits/nfw").iterdir()} == files


def test_damaged_and_foreign_fits_are_made_again():
    campaign = run(small(), upto="fits")
    good = {p: p.read_bytes() for p in sorted((campaign.folder / "fits/nfw").iterdir())}
    paths = list(good)
    paths[0].write_bytes(good[paths[0]][:-7])
    paths[1].write_bytes(good[paths[2]])
    for shard in campaign.shards:
        fit_shard(campaign, "nfw", shard, print)
    assert {p: p.read_bytes() for p in good} == good
    paths[3].write_bytes(b"")
    with pytest.raises(StoreError, match=paths[3].name):
        make_bins(campaign, "nfw", print)


def test_hashes_follow_what_a_step_depends_on():
    base = prepare(small())
    data = small()
    data["analyses"]["second"] = {**data["analyses"]["nfw"], "radius_mpc": [0.7, 2.0]}
    more = prepare(data)
    assert more.hash("mock", "wide") == base.hash("mock", "wide")
    assert more.hash("fit", "nfw") == base.hash("fit", "nfw")
    assert more.hash("fit", "second") != base.hash("fit", "nfw")
    changed = small()
    changed["surveys"]["wide"]["shape_noise"] = 0.3
    assert prepare(changed).hash("fit", "nfw") != base.hash("fit", "nfw")
    reseeded = prepare(small(seed=4))
    assert reseeded.hash("mock", "wide") != base.hash("mock", "wide")
    compared = prepare(small(compare={"prior": {"scatter": [0.02, 2.0]}}))
    assert compared.hash("bins", "nfw") == base.hash("bins", "nfw")
    assert compared.hash("compare", "nfw") != base.hash("compare", "nfw")


def test_a_dry_run_writes_nothing(tmp_path):
    prepare(small(), dry_run=True)
    assert list(tmp_path.iterdir()) == []


def test_a_stale_marker_is_dropped_when_its_fit_is_gone():
    campaign = run(small(), upto="fits")
    assert prepare(small()).stale == frozenset()
    campaign.fit_file("nfw", "halo0003").unlink()
    again = prepare(small())
    assert again.stale == {str(campaign.marker_file("fits", "nfw", "halo0003"))}
    assert not campaign.marker_file("fits", "nfw", "halo0003").exists()


def test_a_halo_without_usable_bin_is_recorded_and_counted():
    weights = np.full((5, 6), 1e-28)
    weights[1] = 0.0
    table("t.h5", w=weights)
    campaign = run(measured())
    fit = load_fit(campaign.fit_file("nfw", "c1"))
    assert (fit.status, bool(fit.reason)) == ("unusable", True)
    assert summary(campaign)["all"]["n_unusable"] == "1"


@pytest.mark.parametrize(
    ("changes", "error", "part"),
    [
        ({"w": np.full((5, 6), np.nan)}, ReaderError, "'w'"),
        ({"w": np.full((5, 6), -1.0)}, ReaderError, "'w'"),
        ({"ds_t": None}, ReaderError, "'ds_t'"),
        ({"halo_id": np.array(["a", "b", "a", "c", "d"], dtype="S")}, ReaderError, "'a' is given twice"),
        ({"halo_id": np.array(["../x", "b", "a", "c", "d"], dtype="S")}, ReaderError, "'../x'"),
        ({"m200c": None}, TruthError, "m200c"),
        ({"m200c": np.array([1e15, np.nan, 1e15, 1e15, 1e15])}, TruthError, "c1"),
        ({"m200c": np.array([1e15, -1e15, 1e15, 1e15, 1e15])}, TruthError, "'c1', -1e+15, is no positive"),
    ],
)
def test_bad_tables_are_refused_before_any_job(changes, error, part, tmp_path):
    table("t.h5", **changes)
    with pytest.raises(error) as caught:
        prepare(measured(), source="my.yaml")
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "results").exists()


def test_truncated_simulation_and_other_mistakes_are_refused_before_any_job(tmp_path):
    table("t.h5")
    (tmp_path / "t.h5").write_bytes((tmp_path / "t.h5").read_bytes()[:3000])
    with pytest.raises(ReaderError, match=r"t\.h5"):
        prepare(measured())
    with pytest.raises(ConfigError, match=r"simulation\.path: no file nowhere\.h5"):
        prepare(measured("nowhere.h5"))
    table("t.h5")
    simulation = {**measured()["simulation"], "select": {"z": [1, 2]}}
    with pytest.raises(ConfigError, match=r"none of the 5 haloes"):
        prepare(measured(simulation=simulation))
    units = {"columns": measured()["simulation"]["options"]["columns"], "units": {"weight": "Mpc"}}
    with pytest.raises(ReaderError, match=r"'w'.*not of the dimension"):
        prepare(measured(simulation={"reader": "profiles", "path": "t.h5", "options": units}))
    analysis = {"radius_mpc": [0.5, 2], "model": {"concentration": "diemer19"}}
    with pytest.raises(ConfigError, match=r"analyses\.a\.model\.concentration: cosmology\.sigma8"):
        prepare(measured(analyses={"a": analysis}, cosmology={"H0": 70.0, "Om0": 0.3}))
    with pytest.raises(ConfigError, match=r"takes? no survey"):
        prepare(measured(surveys=small()["surveys"], analyses=small()["analyses"]))
    with pytest.raises(ConfigError, match="need a survey"):
        prepare(small(analyses={"nfw": {"radius_mpc": [0.5, 2]}}))
    analysis = {"radius_mpc": [0.5, 2], "pixels": {"noise": 0.1}}
    with pytest.raises(ConfigError, match=r"gives no maps.*remove analyses\.a\.pixels"):
        prepare(measured(analyses={"a": analysis}))
    with pytest.raises(ConfigError, match=r"bins\.mine\.function: no file my_bins\.py"):
        prepare(measured(bins={"mine": {"function": "my_bins.py:f"}}))
    (tmp_path / "my_bins.py").write_text("def g(profiles):\n    return []\n")
    with pytest.raises(ConfigError, match=r"has no 'f'.*did you mean 'g'|has no 'f'.*known: g"):
        prepare(measured(bins={"mine": {"function": "my_bins.py:f"}}))


def test_two_binnings_may_not_share_a_label(tmp_path):
    (tmp_path / "b.py").write_text("def f(profiles):\n    return {'snr0-5': profiles}\n")
    bins = {"a": {"by": {"snr": [0, 5]}}, "b": {"function": "b.py:f"}}
    campaign = run(small(bins=bins), upto="fits")
    with pytest.raises(ConfigError, match=r"label 'snr0-5' is also one of bins\.a"):
        make_bins(campaign, "nfw", print)


def test_true_mass_that_is_nan_is_missing_from_the_first_step_to_the_last():
    table("t.h5", m200c=np.array([1e15, np.nan, 1e15, 1e15, 1e15]))
    truth = {**measured()["truth"], "allow_missing": True}
    row = summary(run(measured(truth=truth)))["all"]
    assert row["n_no_truth"] == "1"
    assert float(row["ln_bias_err"]) > 0
