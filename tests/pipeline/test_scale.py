"""Large campaigns: shards that read themselves alone, results whatever their size, gathers that stream."""

import csv
import json
import tracemalloc

import h5py
import numpy as np
import pytest
from campaigns import run, small

import clmassmod as clmm
from clmassmod.errors import ConfigError
from clmassmod.fitters import quantities
from clmassmod.records import HaloFit, HaloInfo
from clmassmod.steps import layout, listing, shards
from clmassmod.steps.campaign import prepare
from clmassmod.steps.gather import compare_bin, fit_ensemble, make_bins
from clmassmod.steps.halos import provenance_of
from clmassmod.steps.members import BinningWarning
from clmassmod.steps.population import gather_population, load_population, save_population
from clmassmod.steps.reporting import make_report, print_report
from clmassmod.steps.rows import Rows
from clmassmod.store import load_fit, read_tree, save_fit


@pytest.fixture(autouse=True)
def _in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


MASS = np.geomspace(1e12, 2e16, 400)


def fake_fit(halo, rng):
    peak, width = rng.uniform(1e14, 1e15), rng.uniform(0.2, 0.6)
    ln_like = -0.5 * (np.log(MASS / peak) / width) ** 2
    summary = dict.fromkeys(quantities("scan"), 1.0) | {"snr": 1 / width, "mass_ml_msun": peak}
    return HaloFit(halo, "200c", MASS, {"200c": ln_like}, summary=summary)


def test_auto_is_one_job_a_halo_for_few_and_a_hundred_jobs_for_many():
    assert [listing.shard_size("auto", n) for n in (1, 250, 251, 1000, 5000, 100_000)] == [
        1,
        1,
        20,
        20,
        50,
        1000,
    ]
    assert listing.shard_size(7, 100_000) == 7


@pytest.mark.parametrize("size", [1, 4, 6])
def test_a_shard_is_read_from_its_own_lines(size):
    campaign = prepare(small(halos_per_job=size))
    read = [halo for shard in campaign.shards for halo in campaign.shard_halos(shard)]
    assert [halo.halo_id for halo in read] == campaign.halo_ids
    assert read == list(listing.read_halos(campaign.halos_file, campaign.halo_ids))
    for wrong in ("shard00009", "shard1", "nobody", "halo000", "shard-0001"):
        with pytest.raises(ConfigError, match=rf"no shard or halo '{wrong}'"):
            campaign.shard_halos(wrong)


def test_extra_columns_and_parents_survive_in_shards():
    halos = [
        HaloInfo(f"h{i}", 0.1 + 0.2 * i, 'a "parent", Ω' if i else "", {"richness": i / 3, "σ": 1e-300})
        for i in range(5)
    ]
    text = listing.halos_csv(halos)
    assert listing.ids_of(text) == [h.halo_id for h in halos]
    assert listing.extras_of(text) == ["richness", "σ"]
    starts = listing.shard_starts(text, 2)
    assert len(starts) == 4
    assert starts[-1] == len(text.encode())


def test_jobs_do_not_hold_the_list_of_haloes():
    campaign = prepare(small())
    state = json.loads((campaign.folder / "campaign.json").read_text())
    assert "halo0003" not in json.dumps(state)
    assert state["n_halos"] == 6


def test_shards_that_changed_are_done_again_and_their_haloes_are_not():
    first = run(small(halos_per_job=4), upto="fits")
    before = {e.name: e.stat().st_mtime_ns for e in layout.entries(first.folder / "fits/nfw")}
    again = prepare(small(halos_per_job=3))  # shard00000 is there, and is of other haloes
    assert len(again.stale) == 4
    assert list((again.folder / "markers/fits/nfw").iterdir()) == []
    run(small(halos_per_job=3), upto="fits")
    assert {e.name: e.stat().st_mtime_ns for e in layout.entries(first.folder / "fits/nfw")} == before
    assert prepare(small(halos_per_job=3)).stale == frozenset()


def written(campaign):
    steps = ("mocks", "fits", "bins", "ensembles", "comparisons")
    files = (p for step in steps for p in (campaign.folder / step).rglob("*") if p.is_file())
    return {str(p.relative_to(campaign.folder)): p.read_bytes() for p in files}


def test_results_do_not_depend_on_the_size_of_shards(tmp_path):
    made = {}
    for size in (1, 4, 6):
        campaign = run(small(halos_per_job=size))
        made[size] = written(campaign)
        made[size]["summary"] = (campaign.folder / "report/summary.csv").read_bytes()
        (tmp_path / "results").rename(tmp_path / f"size{size}")
    assert made[4] == made[1]
    assert made[6] == made[1]


def test_a_gather_reads_the_files_of_shards_and_haloes_alike():
    """Where a shard's file is gone, damaged, or of other haloes, the haloes' own files are read instead."""
    campaign = run(small(halos_per_job=3), upto="fits")
    whole, failed = gather_population(campaign, "nfw")
    shard = campaign.shard_file("nfw", "shard00001")
    good = shard.read_bytes()
    for content in (None, good[:-9], b"", campaign.shard_file("nfw", "shard00000").read_bytes()):
        shard.unlink()
        if content is not None:
            shard.write_bytes(content)
        found, _ = gather_population(campaign, "nfw")
        np.testing.assert_equal(found.table(), whole.table())
        np.testing.assert_array_equal(found.ln_like["200c"], whole.ln_like["200c"])
        shard.write_bytes(good)
    assert failed == []
    # what a shard's file holds does not stand for a halo's file that was removed
    campaign.fit_file("nfw", "halo0004").unlink()
    with pytest.raises(Exception, match=r"halo0004\.h5: no such file"):
        gather_population(campaign, "nfw")


def test_rows_of_a_population_are_those_of_its_fits(tmp_path):
    rng = np.random.default_rng(3)
    halos = [HaloInfo(f"h{i}", 0.3, "p" if i % 2 else "", {"richness": float(i)}) for i in range(9)]
    fits = {h.halo_id: fake_fit(h, rng) for h in halos}
    lost = HaloFit(halos[4], "200c", MASS, {}, status="unusable", reason="no bin")
    fits["h4"] = lost
    rows = Rows([h.halo_id for h in halos])
    for name in ("h4", "h8", "h0", "h1", "h2", "h3", "h5", "h6", "h7"):  # in any order
        rows.put(fits[name])
    population = rows.population([h.halo_id for h in halos])
    path = tmp_path / "p.h5"
    save_population(path, population, {"config_hash": "x"})
    part = load_population(path, "x", ["h7", "h4", "h1"], ["200c"])
    for name, fit in zip(("h7", "h4", "h1"), part.fits(), strict=True):
        assert (fit.halo_id, fit.parent, fit.status) == (name, fits[name].parent, fits[name].status)
        assert dict(fit.halo.extra) == dict(fits[name].halo.extra)
        if fit.status == "ok":
            assert dict(fit.summary) == dict(fits[name].summary)
            np.testing.assert_array_equal(fit.ln_like["200c"], fits[name].ln_like["200c"])
        else:
            assert dict(fit.ln_like) == {}
    assert dict(load_population(path, definitions=()).ln_like) == {}


def many_fits(n):
    """A campaign of n haloes with made-up fits, in shards."""
    data = small(campaign=f"many{n}", halos_per_job=n // 4)
    data["simulation"]["options"]["n_halos"] = n
    campaign = prepare(data)
    rng = np.random.default_rng(n)
    provenance = provenance_of(campaign, campaign.hash("fit", "nfw"))
    for shard in campaign.shards:
        halos = campaign.shard_halos(shard)
        rows = Rows([h.halo_id for h in halos])
        for halo in halos:
            rows.put(fake_fit(halo, rng))
            campaign.fit_file("nfw", halo.halo_id).parent.mkdir(parents=True, exist_ok=True)
            campaign.fit_file("nfw", halo.halo_id).touch()  # a gather looks whether they are there
        population = rows.population([h.halo_id for h in halos])
        save_population(campaign.shard_file("nfw", shard), population, provenance)
    return campaign


def test_memory_of_a_gather_is_that_of_the_likelihoods():
    """From 500 to 2,000 haloes the peak grows by the likelihoods, one more shard of them, and 2 kB a halo."""
    peaks = {}
    for n in (500, 2000):
        campaign = many_fits(n)
        tracemalloc.start()
        gather_population(campaign, "nfw")
        peaks[n] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    likelihood = MASS.size * 8
    grown = (peaks[2000] - peaks[500]) / 1500
    print(f"{grown:.0f} bytes a halo, {likelihood} of them likelihood")
    assert grown < 1.5 * likelihood + 2000  # a shard is a quarter of all here, read as bytes and as array


def test_a_job_says_how_long_it_will_take():
    time = iter(range(0, 10_000, 7))
    said = []
    progress = shards.Progress(10, said.append, clock=lambda: next(time))
    for _ in range(10):
        progress.advance()
    assert said == ["3 of 10 haloes, 49 s left", "6 of 10 haloes, 28 s left", "9 of 10 haloes, 7 s left"]


def test_what_goes_on_with_haloes_missing_says_how_many(capsys):
    """The list of bins, the population, posteriors, summary, LaTeX, terminal, page and notebook."""
    campaign = run(small(allow_missing=2), upto="fits")
    for name in ("halo0001", "halo0004"):
        campaign.fit_file("nfw", name).unlink()
        record = {"halo_id": name, "reason": "planted"}
        campaign.failure_file("fits", "nfw", name).write_text(json.dumps(record))
    make_bins(campaign, "nfw", print)
    for label in campaign.bins("nfw"):
        fit_ensemble(campaign, "nfw", label, print)
        compare_bin(campaign, "nfw", label, print)
    make_report(campaign)
    assert len(json.loads(campaign.bins_file("nfw").read_text())["failed"]) == 2
    assert read_tree(campaign.population_file("nfw"), "population")["provenance"]["n_failed"] == 2
    for path in (campaign.ensemble_file("nfw", "all"), campaign.comparison_file("nfw", "all")):
        with h5py.File(path) as file:
            assert json.loads(file.attrs["provenance"])["n_failed"] == 2
    report = campaign.folder / "report"
    with (report / "summary.csv").open(newline="") as file:
        rows = {row["bin"]: row for row in csv.DictReader(file)}
    assert (rows["all"]["n_halos"], rows["all"]["n_failed"]) == ("4", "2")
    assert "(2)" in next(report.glob("*.tex")).read_text()
    assert "planted" in (report / "index.html").read_text()
    capsys.readouterr()
    print_report(campaign)
    row = next(line for line in capsys.readouterr().out.splitlines() if " all " in line)
    assert " 4 " in row
    assert " 2 " in row
    massmod = clmm.CLMassMod({"cosmology": {"H0": 70, "Om0": 0.3}, "model": {"concentration": 4}})
    with pytest.warns(BinningWarning, match="2 haloes of this analysis failed and are in no bin"):
        assert len(massmod.read(campaign.bins_file("nfw"), "all")) == 4


def test_a_quantity_that_no_fit_has_is_refused_before_any_job(tmp_path):
    with pytest.raises(ConfigError, match=r"bins\.b\.by: haloes have no quantity 'snrr'.*snr"):
        prepare(small(bins={"b": {"by": {"snrr": [0, 5]}}}), source="my.yaml")
    assert not (tmp_path / "results").exists()
    data = small(bins={"b": {"by": {q: [0, 5] for q in (*quantities("scan"), "z")}}})
    assert prepare(data).n_halos == 6


def test_summaries_hold_the_quantities_that_bins_may_use():
    campaign = run(small(), upto="fits")
    assert set(load_fit(campaign.fit_file("nfw", "halo0001")).summary) == set(quantities("scan"))


def test_files_without_flush_are_the_same(tmp_path):
    fit = fake_fit(HaloInfo("a", 0.3), np.random.default_rng(1))
    save_fit(tmp_path / "a.h5", fit, {})
    save_fit(tmp_path / "b.h5", fit, {}, flush=False)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
