"""What a campaign says of itself: status, retry, verify, diff; and which damaged files are noticed where."""

import csv
import io
import json
import shutil

import numpy as np
import pytest
from campaigns import run, small

from clmassmod.cli import main
from clmassmod.errors import StoreError
from clmassmod.steps import halos, running
from clmassmod.steps.campaign import prepare
from clmassmod.steps.diff import compare_campaigns
from clmassmod.steps.gather import compare_bin, fit_ensemble, make_bins
from clmassmod.steps.halos import fit_shard
from clmassmod.steps.paths import Campaign
from clmassmod.steps.reporting import make_report
from clmassmod.steps.status import status_lines
from clmassmod.steps.verify import verify_campaign


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return the folder of a complete campaign, to be copied."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run(small())
    return folder


@pytest.fixture(autouse=True)
def campaign(tmp_path, monkeypatch, made):
    """Return a copy of the complete campaign, in the working directory."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return Campaign.open("results/small")


def broken(monkeypatch, halo_id):
    """Make the mock of one halo raise."""
    whole = halos.mock_halo

    def raises(inputs, survey, halo):
        if halo.halo_id == halo_id:
            raise ZeroDivisionError("a planted failure")
        return whole(inputs, survey, halo)

    monkeypatch.setattr(halos, "mock_halo", raises)


def test_status_names_failures_with_log_and_command(campaign, monkeypatch):
    for step in ("mocks", "fits"):
        shutil.rmtree(campaign.folder / step)
        shutil.rmtree(campaign.folder / "markers" / step)
    broken(monkeypatch, "halo0002")
    campaign = run(small(), upto="fits")
    log = campaign.log_file("mocks", "wide", "halo0002")
    log.parent.mkdir(parents=True)
    log.touch()
    campaign.fit_file("nfw", "halo0005").unlink()
    lines = status_lines(campaign)
    assert lines[1].split() == [
        "mocks",
        "wide",
        "5",
        "done,",
        "0",
        "unusable,",
        "1",
        "failed,",
        "0",
        "to",
        "do",
    ]
    assert lines[2].split() == [
        "fits",
        "nfw",
        "4",
        "done,",
        "0",
        "unusable,",
        "1",
        "failed,",
        "1",
        "to",
        "do",
    ]
    record = campaign.failure_file("mocks", "wide", "halo0002")
    assert (
        f"failed: mocks wide halo0002: ZeroDivisionError: a planted failure (log: {log}, traceback: {record})"
    ) in lines
    assert sum(line.startswith("failed:") for line in lines) == 1  # its fit failed as well, for that reason
    assert "1 fits failed because their mocks did" in lines
    assert lines[-1] == "repeat just these: clmassmod retry results/small halo0002"


def test_status_counts_unusable_haloes_and_files_of_another_configuration(campaign):
    data = small()
    data["analyses"]["nfw"]["radial_bins"] = {"n": 5, "min_galaxies": 10**6}
    prepare(data)
    campaign = Campaign.open("results/small")
    assert "0 done, 0 unusable, 0 failed, 6 to do" in status_lines(campaign)[2]
    for shard in campaign.shards:
        fit_shard(campaign, "nfw", shard, print)
    for marker in (campaign.folder / "markers/fits/nfw").iterdir():
        if marker.stem == "halo0003":
            marker.unlink()  # under way: its file is there, not its marker
    lines = status_lines(campaign)
    assert "0 done, 6 unusable, 0 failed, 0 to do" in lines[2]
    assert (
        lines[3] == "unusable, which needs no repeating: nfw halo0000, nfw halo0001, nfw halo0002 and 3 more"
    )


@pytest.fixture
def started(monkeypatch):
    """Return the commands that would have replaced this process."""
    commands = []
    monkeypatch.setattr(running, "replace_process", commands.append)
    return commands


def test_retry_runs_snakemake_on_the_frozen_configuration(campaign, monkeypatch, started, capsys):
    record = campaign.failure_file("fits", "nfw", "halo0002")
    text = json.dumps({"reason": "planted"})
    options = ["--snakefile", str(halos.__file__), "--cores", "3"]
    record.write_text(text)
    assert main(["retry", campaign.root, "--dry-run", *options]) == 0
    assert record.is_file()
    assert "--dry-run" in started.pop()
    assert main(["retry", campaign.root, "halo0002", *options, "--", "--quiet", "all"]) == 0
    assert not record.exists()
    command = started.pop()
    at = command.index("--configfile")
    assert command[at + 1] == str((campaign.folder / "config.yaml").resolve())
    assert command[at + 2 :] == ["--quiet", "all"]
    assert command[command.index("--cores") + 1] == "3"
    record.write_text(text)
    assert main(["retry", campaign.root, "--only", *options, "--", "--jobs", "5"]) == 0
    assert "results/small/markers/fits/nfw/halo0002.json" in started.pop()
    record.write_text(text)
    assert main(["retry", campaign.root, "--no-run"]) == 0
    assert "1 halo to be tried again: halo0002" in capsys.readouterr().out
    assert main(["retry", campaign.root]) == 0
    assert "nothing to try again" in capsys.readouterr().out
    assert started == []
    campaign.folder.rename("results/other")
    assert main(["retry", "results/other"]) == 2
    assert "the workflow looks for this campaign in results/small" in capsys.readouterr().err


def test_retry_removes_the_mock_that_a_fit_found_damaged(campaign):
    mock, fit = campaign.mock_file("wide", "halo0002"), campaign.fit_file("nfw", "halo0002")
    mock.write_bytes(mock.read_bytes()[:-9])
    fit.unlink()
    fit_shard(campaign, "nfw", "halo0002", print)
    assert "truncated or damaged" in "\n".join(status_lines(campaign))
    assert main(["retry", campaign.root, "--no-run"]) == 0
    assert not mock.exists()
    assert campaign.mock_file("wide", "halo0001").is_file()


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["nowhere.yaml"], "nowhere.yaml: No such file or directory"),
        (["bad.yaml"], "bad.yaml: not YAML"),
        (["wrong.yaml"], "campain: unknown key; did you mean 'campaign'"),
        (["results/small/config.yaml", "--snakefile", "none"], "no workflow (looked for none)"),
    ],
)
def test_run_refuses_in_one_line_before_snakemake(options, part, tmp_path, started, capsys):
    (tmp_path / "bad.yaml").write_text("a: [1\nb: 2")
    (tmp_path / "wrong.yaml").write_text("campain: x\n")
    assert main(["run", *options]) == 2
    error = capsys.readouterr().err
    assert part in error
    assert error.count("\n") == 1
    assert started == []


def test_verify_names_what_cannot_be_used(campaign, capsys):
    assert main(["verify", campaign.root]) == 0
    checked = capsys.readouterr().out
    assert "0 of them damaged" in checked
    n_files = int(checked.split()[0])
    # tables, 6 mocks, 6 fits, bins and population, 3 ensembles, 3 comparisons
    assert n_files == 1 + 6 + 6 + 2 + len(list(campaign.folder.rglob("*.nc")))
    fits = [campaign.fit_file("nfw", f"halo000{i}") for i in range(3)]
    shutil.copy(fits[1], fits[0])
    fits[2].write_bytes(b"")
    campaign.bins_file("nfw").write_text("{}")
    assert main(["verify", campaign.root]) == 4
    assert "3 files cannot be used" in capsys.readouterr().err
    assert main(["verify", "--remove", campaign.root]) == 0
    said = capsys.readouterr().out
    assert f"{fits[0]}: holds halo 'halo0001', expected 'halo0000'" in said
    assert not fits[0].exists()
    assert fits[1].exists()
    assert not fits[2].exists()
    assert not campaign.bins_file("nfw").exists()


def flipped(content):
    """Return the content with one bit changed."""
    changed = bytearray(content)
    changed[len(changed) // 2] ^= 4
    return bytes(changed)


def test_damaged_and_foreign_files_of_every_stage_are_refused(campaign):
    """By the step that reads them, with the file's name; whole ones of something else as well."""
    other_bin = campaign.ensemble_file("nfw", "all")
    analysis = small(campaign="other")
    analysis["analyses"]["nfw"]["radius_mpc"] = [0.7, 2.0]
    other = run(analysis, upto="bins")
    first = campaign.fit_file("nfw", "halo0000")

    def ensemble():
        fit_ensemble(campaign, "nfw", "all", print)

    stages = [
        (campaign.tables_file, lambda: halos.Inputs(campaign).tables, None),
        (first, lambda: make_bins(campaign, "nfw", print), other.fit_file("nfw", "halo0000")),
        (first, lambda: make_bins(campaign, "nfw", print), campaign.fit_file("nfw", "halo0001")),
        (campaign.population_file("nfw"), ensemble, other.population_file("nfw")),
        (campaign.bins_file("nfw"), ensemble, other.bins_file("nfw")),
        (campaign.population_file("nfw"), lambda: compare_bin(campaign, "nfw", "all", print), first),
        (other_bin, lambda: make_report(campaign), other.ensemble_file("nfw", "all")),
        (other_bin, lambda: make_report(campaign), campaign.comparison_file("nfw", "all")),
        (campaign.comparison_file("nfw", "all"), lambda: make_report(campaign), other_bin),
    ]
    for path, reads, foreign in stages:
        good = path.read_bytes()
        contents = [good[:-20], b"\x93random" * 99, b""]
        contents += [flipped(good)] if path.suffix != ".json" else []  # in a text it may be another word
        contents += [foreign.read_bytes()] if foreign is not None else []
        for content in contents:
            path.write_bytes(content)
            with pytest.raises(StoreError, match=path.name) as caught:
                reads()
            assert "\n" not in str(caught.value)
        path.write_bytes(good)
        reads()


def test_what_all_jobs_read_is_checked_when_a_run_begins(campaign):
    said = []
    state, listed = campaign.folder / "campaign.json", campaign.halos_file.read_bytes()
    whole = state.read_bytes()
    campaign.tables_file.write_bytes(flipped(campaign.tables_file.read_bytes()))
    campaign.bins_file("nfw").write_text('{"bins": {"all": {}}}')
    campaign.halos_file.write_bytes(listed[:-30])
    (campaign.folder / "config.yaml").write_text("campaign: [\n")
    prepare(small(), tell=said.append)
    assert [line.partition(":")[0] for line in said] == [
        str(campaign.tables_file),
        str(campaign.bins_file("nfw")),
    ]
    assert not campaign.tables_file.exists()
    assert not campaign.bins_file("nfw").exists()
    assert campaign.halos_file.read_bytes() == listed
    for text in (b"", b"[]", b'{"fingerprints": 3}', whole.replace(b'"counts"', b'"kounts"'), whole[:-9]):
        state.write_bytes(text)
        prepare(small(), tell=said.append)
        assert state.read_bytes() == whole
    assert len(said) == 2


def test_shards_that_were_cut_otherwise_are_looked_at_again(campaign):
    """The marker of a shard with fewer haloes than it has now does not hold."""
    shutil.rmtree(campaign.folder / "markers")
    halves = run(small(halos_per_job=3), upto="fits")
    assert len(halves.shards) == 2
    halves.fit_file("nfw", "halo0005").unlink()
    (halves.folder / "markers/fits/nfw/shard00001.json").unlink()
    whole = prepare(small(halos_per_job=6))
    assert str(whole.marker_file("fits", "nfw", "shard00000")) in whole.stale


def test_equal_campaigns_have_no_difference(campaign, capsys):
    shutil.copytree("results/small", "copy")
    assert main(["diff", campaign.root, "copy"]) == 0
    assert "no number moved" in capsys.readouterr().out


def test_diff_says_which_numbers_moved(campaign, capsys, tmp_path):
    changed = small(campaign="changed", bins={"significance": {"by": {"snr": [-50, 5, 100]}}})
    changed["analyses"]["nfw"]["radius_mpc"] = [0.6, 2.0]
    changed["simulation"]["options"] = {**changed["simulation"]["options"], "n_halos": 5}
    other = run(changed, upto="bins")
    assert main(["diff", campaign.root, other.root, "--csv", "d.csv"]) == 1
    said = capsys.readouterr().out
    assert "analyses.nfw.radius_mpc: [0.5, 2.0] → [0.6, 2.0]" in said
    assert "halo0005: there → not there" in said
    rows = list(csv.DictReader(io.StringIO((tmp_path / "d.csv").read_text())))
    assert {"configuration", "haloes", "halo", "bins", "ensemble", "comparison"} == {r["kind"] for r in rows}
    row = next(r for r in rows if r["kind"] == "comparison" and r["where"] == "nfw all")
    assert row["quantity"] == "ln_bias"
    from clmassmod.store import load_posterior

    ours, theirs = (load_posterior(c.comparison_file("nfw", "all")) for c in (campaign, other))
    shift = (theirs.mean["ln_bias"] - ours.mean["ln_bias"]) / ours.sd["ln_bias"]
    assert float(row["change"]) == pytest.approx(shift, rel=1e-12)
    assert row["unit"] == "sd"


def test_tolerance_of_diff_is_in_the_numbers_own_units(campaign):
    from dataclasses import replace

    from clmassmod.store import load_fit, save_fit

    shutil.copytree("results/small", "copy/results/small")
    other = Campaign.open("copy/results/small")
    for c in (campaign, other):
        c.population_file("nfw").unlink()  # then the fits themselves are compared
    path = other.fit_file("nfw", "halo0001")
    fit = load_fit(path)
    summary = {**fit.summary, "mass_ml_msun": fit.summary["mass_ml_msun"] * 1.001}
    ln_like = {k: v + 0.5 * np.linspace(0, 1, len(v)) + 5 for k, v in fit.ln_like.items()}
    kept = {k: v for k, v in fit.metadata["provenance"].items() if k not in ("kind", "format_version")}
    metadata = {k: v for k, v in fit.metadata.items() if k != "provenance"}
    save_fit(path, replace(fit, summary=summary, ln_like=ln_like, metadata=metadata), kept)
    rows = compare_campaigns(campaign, other).rows
    assert {(r.where, r.quantity) for r in rows} == {
        ("nfw halo0001", "mass_ml_msun"),
        ("nfw halo0001", "likelihood of 200c"),
    }
    assert rows[0].change == pytest.approx(0.001 / 1.001)
    assert 0 < rows[1].change < 0.5  # the constant does not count
    assert [r.quantity for r in compare_campaigns(campaign, other, 2e-3).rows] == ["likelihood of 200c"]
    assert not compare_campaigns(campaign, other, 0.5).moved


def test_verify_reads_every_kind_of_file(campaign):
    kinds = {path.parent.name for path, _ in verify_campaign(campaign)}
    assert kinds == {"small", "wide", "nfw", "bins"}


def test_every_result_file_knows_configuration_seed_and_versions(campaign):
    import h5py
    import numpy
    import scipy

    files = [
        campaign.tables_file,
        campaign.mock_file("wide", "halo0001"),
        campaign.fit_file("nfw", "halo0001"),
    ]
    files += [campaign.population_file("nfw"), campaign.ensemble_file("nfw", "all")]
    for path in [*files, campaign.comparison_file("nfw", "all")]:
        with h5py.File(path) as file:
            stored = file.attrs.get("provenance")
            found = dict(file["provenance"].attrs) if stored is None else json.loads(stored)
        assert found["seed"] == 3
        assert len(found["config_hash"]) == 16
        assert (found["numpy"], found["scipy"]) == (numpy.__version__, scipy.__version__)
        assert {"package_version", "format_version", "python", "campaign"} <= found.keys()


def test_the_report_names_the_functions_that_were_run(tmp_path):
    (tmp_path / "mine.py").write_text("def halves(profiles):\n    return [profiles[:3], profiles[3:]]\n")
    campaign = run(small(bins={"mine": {"function": "mine.py:halves"}}))
    page = (campaign.folder / "report/index.html").read_text()
    assert "mine.py:halves" in page
    assert campaign.state["fingerprints"]["mine.py"]["sha256"][:16] in page
