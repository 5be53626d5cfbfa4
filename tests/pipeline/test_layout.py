"""Where files of single haloes lie: in sub-folders for large simulations, found by all that reads them."""

import json
from collections import Counter

import pytest
from campaigns import run, small

import clmassmod as clmm
from clmassmod.steps import layout
from clmassmod.steps.campaign import prepare
from clmassmod.steps.status import failures, status_lines


@pytest.fixture(autouse=True)
def _in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("n_halos", "digits"),
    [(1, 0), (1000, 0), (1001, 1), (16_000, 1), (16_001, 2), (100_000, 2), (300_000, 3)],
)
def test_folders_hold_about_a_thousand_files(n_halos, digits):
    assert layout.digits_for(n_halos) == digits
    if n_halos == 100_000:
        sizes = Counter(layout.sub_folder(f"halo_{i}", digits) for i in range(n_halos))
        assert len(sizes) == 256
        assert max(sizes.values()) < 1000


def test_sub_folder_is_the_crc_of_the_id():
    assert layout.sub_folder("123456789", 8) == "cbf43926"  # the check value of CRC-32
    assert layout.sub_folder("123456789", 2) == "cb"


def relative(campaign, step="fits/nfw"):
    return {e.path.removeprefix(f"{campaign.folder}/{step}/") for e in layout.entries(campaign.folder / step)}


def test_large_simulations_have_sub_folders_and_the_same_files(monkeypatch, tmp_path):
    flat = run(small(campaign="flat"))
    (tmp_path / "results/flat").rename(tmp_path / "results/kept")
    monkeypatch.setattr(layout, "FILES_PER_FOLDER", 3)
    deep = run(small(campaign="flat"))
    ids = [f"halo{i:04d}" for i in range(6)]
    assert relative(deep) == {f"{layout.sub_folder(h, 1)}/{h}.h5" for h in ids}
    kept = tmp_path / "results/kept"
    for h in ids:
        for step in ("fits/nfw", "mocks/wide"):
            deep_file = layout.halo_file(deep.folder / step, h, 1)
            assert deep_file.read_bytes() == (kept / step / f"{h}.h5").read_bytes()
    for name in ("bins/nfw.json", "bins/nfw.h5", "comparisons/nfw/all.nc", "report/summary.csv"):
        assert (deep.folder / name).read_bytes() == (kept / name).read_bytes(), name
    assert flat.digits == 0
    massmod = clmm.CLMassMod({"cosmology": {"H0": 70, "Om0": 0.3}, "model": {"concentration": 4}})
    assert [p.halo_id for p in massmod.read(deep.folder / "fits/nfw")] == ids
    assert [p.halo_id for p in massmod.read(deep.folder / "bins/nfw.json", "all")] == ids


def test_the_selection_moves_no_file(monkeypatch):
    monkeypatch.setattr(layout, "FILES_PER_FOLDER", 3)
    whole = run(small(), upto="fits")
    before = {e.path: e.stat().st_mtime_ns for e in layout.entries(whole.folder / "fits/nfw")}
    simulation = {**small()["simulation"], "select": {"halo_ids": ["halo0004"]}}
    part = run(small(simulation=simulation))
    assert {e.path: e.stat().st_mtime_ns for e in layout.entries(part.folder / "fits/nfw")} == before


def test_files_of_another_layout_are_moved_and_not_made_again(monkeypatch):
    flat = run(small(), upto="fits")
    before = {e.name: e.stat().st_mtime_ns for e in layout.entries(flat.folder / "fits/nfw")}
    (flat.folder / "fits/nfw/halo0001.h5").replace(flat.folder / "fits/nfw/halo0001.failed.json")
    monkeypatch.setattr(layout, "FILES_PER_FOLDER", 3)
    untouched = relative(flat)
    assert prepare(small(), dry_run=True).digits == 1
    assert relative(flat) == untouched
    deep = prepare(small())
    assert all("/" in name for name in relative(deep))
    record = deep.failure_file("fits", "nfw", "halo0001")
    assert record.is_file()
    record.replace(deep.fit_file("nfw", "halo0001"))
    assert deep.stale == {str(deep.marker_file("fits", "nfw", "halo0001"))}  # its fit was not there then
    monkeypatch.setattr(layout, "FILES_PER_FOLDER", 1000)
    assert prepare(small()).digits == 0
    after = {e.name: e.stat().st_mtime_ns for e in layout.entries(flat.folder / "fits/nfw")}
    assert after == before
    assert relative(flat) == set(before)


def test_failures_are_counted_and_found_in_sub_folders(monkeypatch):
    monkeypatch.setattr(layout, "FILES_PER_FOLDER", 3)
    campaign = run(small(), upto="fits")
    campaign.fit_file("nfw", "halo0002").unlink()
    record = campaign.failure_file("fits", "nfw", "halo0002")
    record.write_text(json.dumps({"reason": "planted"}))
    assert [(f.halo_id, f.reason, f.record) for f in failures(campaign)] == [("halo0002", "planted", record)]
    assert any("5 done, 0 unusable, 1 failed, 0 to do" in line for line in status_lines(campaign))
