"""What goes wrong with machines and people: a clear line, nothing lost, the same result in the end."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("workflow")]

RESULTS = ("mocks", "fits", "bins", "ensembles", "comparisons", "report")
CLMASSMOD = [sys.executable, "-m", "clmassmod"]
FAILS_ONCE = """
from pathlib import Path
from clmassmod.fitters import scan

def fit(profiles, model, **settings):
    if profiles.halo.halo_id == "halo0002" and Path("broken").exists():
        raise ZeroDivisionError("planted")
    return scan.fit(profiles, model, **settings)
"""


def lines_of(run):
    """Return what our own code says on the screen."""
    return [line for line in run.screen.splitlines() if line.startswith("clmassmod:")]


def halo_stamps(campaign):
    return {n: p.stat().st_mtime_ns for n, p in campaign.files("mocks", "fits").items() if n.endswith(".h5")}


@pytest.fixture
def tmpfs(campaign):
    """Return a function that mounts a small file system of its own on the campaign's results."""
    mounted = []

    def mount(*options):
        place = campaign.folder / "results"
        place.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", *options, "tmpfs", str(place)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("file systems cannot be mounted here")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_one_failed_halo_is_run_again_by_one_line(campaign):
    """As README has it: status, retry; no other halo is touched, and the result is that of a whole run."""
    (campaign.folder / "mine.py").write_text(FAILS_ONCE)
    campaign.config["analyses"]["nfw"]["method"] = "mine.py:fit"
    (campaign.folder / "broken").touch()
    run = campaign.run()
    assert run.code == 1
    assert "1 of 6 haloes failed, allow_missing is 0: halo0002 (ZeroDivisionError: planted)" in run.screen
    status = campaign.run_command([*CLMASSMOD, "status", "results/test"])
    assert "failed: fits nfw halo0002: ZeroDivisionError: planted (log: results/test/logs/" in status.screen
    command = status.screen.splitlines()[-1].removeprefix("repeat just these: ").split()
    assert command == ["clmassmod", "retry", "results/test", "halo0002"]
    (campaign.folder / "broken").unlink()
    before = halo_stamps(campaign)
    run = campaign.run_command([*CLMASSMOD, *command[1:], "--cores", "2"])
    assert run.code == 0, run.screen
    assert [job for job in run.jobs if job.startswith(("Mock", "Fit"))] == ["Fit of halo0002, analysis nfw"]
    after = halo_stamps(campaign)
    assert after.keys() - before.keys() == {"fits/nfw/halo0002.h5"}
    assert all(after[name] == stamp for name, stamp in before.items())
    whole = campaign.digests(*RESULTS)
    shutil.rmtree(campaign.results)
    run = campaign.run()  # undisturbed, from the same configuration
    assert campaign.digests(*RESULTS) == whole


def test_two_runs_at_once_and_one_that_was_killed(campaign):
    """The second is refused while the first lives, and goes on where it was killed."""
    shutil.copy(Path(__file__).with_name("slow_fitter.py"), campaign.folder)
    campaign.config["analyses"]["nfw"]["method"] = "slow_fitter.py:fit"
    campaign.config["halos_per_job"] = 6
    (campaign.folder / "slow").write_text("3")
    first = subprocess.Popen(
        campaign.command(), cwd=campaign.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not campaign.files("fits"):
        assert first.poll() is None
        time.sleep(0.05)
    run = campaign.run()
    assert (run.code, run.jobs) == (1, [])
    assert len(lines_of(run)) == 1
    assert f"another run has this campaign (process {first.pid} on " in lines_of(run)[0]
    assert campaign.run("--dry-run").code == 0
    retry = campaign.run_command([*CLMASSMOD, "retry", "results/test"])
    assert (retry.code, "try again when it has ended" in retry.screen) == (2, True)
    first.send_signal(signal.SIGKILL)
    first.wait()
    complete = halo_stamps(campaign)
    (campaign.folder / "slow").write_text("0")
    run = campaign.run()
    assert run.code == 0, run.screen
    after = halo_stamps(campaign)
    assert all(after[name] == stamp for name, stamp in complete.items())
    assert not [line for line in (campaign.folder / "fits.log").read_text().split("\n") if "again" in line]
    time.sleep(3.5)  # the halo that the killed run's job had under way
    assert halo_stamps(campaign) == after


def test_full_disk_loses_nothing(campaign, reference, tmpfs):
    place = tmpfs("-o", "size=600k")
    run = campaign.run()
    assert run.code == 1
    assert "No space left on device" in run.screen
    complete = halo_stamps(campaign)
    kept = campaign.digests("mocks", "fits")
    whole = reference.digests("mocks", "fits")
    assert all(whole[name] == digest for name, digest in kept.items() if not Path(name).name.startswith("."))
    subprocess.run(["mount", "-o", "remount,size=60m", str(place)], check=True)
    run = campaign.run()
    assert run.code == 0, run.screen
    after = halo_stamps(campaign)
    assert all(after[name] == stamp for name, stamp in complete.items())
    assert campaign.digests(*RESULTS) == reference.digests(*RESULTS)


def test_folder_that_cannot_be_written_is_said_in_one_line(campaign, tmpfs):
    tmpfs("-o", "ro")
    run = campaign.run()
    assert (run.code, run.jobs) == (1, [])
    assert "Traceback" not in run.screen
    assert len(lines_of(run)) == 1
    assert "Read-only file system" in lines_of(run)[0]


def test_clocks_that_jump_neither_repeat_nor_skip(complete, reference):
    """Files of single haloes and inputs from another year are what they are; content decides."""
    for n, path in enumerate(complete.files("mocks", "fits", "markers").values()):
        year = 1990 + 80 * (n % 2)
        os.utime(path, (time.mktime((year, 1, 1, 0, 0, 0, 0, 0, 0)),) * 2)
    run = complete.run()
    assert run.code == 0, run.screen
    assert not [job for job in run.jobs if job.startswith(("Mock of halo0000", "Tables"))]
    assert complete.digests(*RESULTS) == reference.digests(*RESULTS)
    (complete.results / "fits/nfw/halo0003.h5").unlink()
    run = complete.run()
    assert "Fit of halo0003, analysis nfw" in run.jobs
    assert complete.digests(*RESULTS) == reference.digests(*RESULTS)


@pytest.mark.long
def test_damaged_files_are_named_and_made_again(complete, reference):
    """One of each kind at once: what all jobs read by itself, the rest after `verify --remove`."""
    for name in ("tables.h5", "fits/nfw/halo0001.h5", "bins/nfw.h5", "ensembles/nfw/all.nc"):
        path = complete.results / name
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    shutil.copy(complete.results / "fits/nfw/halo0004.h5", complete.results / "fits/nfw/halo0005.h5")
    (complete.results / "campaign.json").write_text("{")
    (complete.results / "halos.csv").write_text("halo_id\n")
    (complete.results / "config.yaml").write_text("campaign: [\n")
    run = complete.run()
    assert "tables.h5: truncated or damaged" in run.screen
    assert not [job for job in run.jobs if job.startswith(("Mock", "Fit"))]
    removed = complete.run_command([*CLMASSMOD, "verify", "--remove", "results/test"])
    for name in ("halo0001.h5: truncated or damaged", "halo0005.h5: holds halo 'halo0004'"):
        assert name in removed.screen
    run = complete.run()
    assert run.code == 0, run.screen
    assert sorted(job for job in run.jobs if job.startswith(("Mock", "Fit"))) == [
        "Fit of halo0001, analysis nfw",
        "Fit of halo0005, analysis nfw",
    ]
    assert complete.digests(*RESULTS) == reference.digests(*RESULTS)
