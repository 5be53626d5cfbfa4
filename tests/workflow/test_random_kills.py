"""Any process of a campaign may be killed at any moment, any number of times, and the result is the same.

`CLMASSMOD_KILLS=100 python -m pytest tests/workflow/test_random_kills.py` kills a hundred times.
"""

import copy
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest
from runner import Campaign

from clmassmod.steps.paths import Campaign as Opened
from clmassmod.steps.verify import verify_campaign

pytestmark = [pytest.mark.workflow, pytest.mark.long, pytest.mark.xdist_group("kills")]

KILLS = int(os.environ.get("CLMASSMOD_KILLS", "12"))
N_HALOS = 4 + KILLS // 4
RESULTS = ("mocks", "fits", "bins", "ensembles", "comparisons", "report")


def made(folder, config):
    """Return a campaign with a fitter that takes its time where the folder says so."""
    config = copy.deepcopy(config)
    folder.mkdir()
    shutil.copy(Path(__file__).with_name("slow_fitter.py"), folder)
    config["simulation"]["options"]["n_halos"] = N_HALOS
    config["halos_per_job"] = 2
    config["analyses"]["nfw"]["method"] = "slow_fitter.py:fit"
    return Campaign(folder, config)


def kill_something(head, rng):
    """Kill snakemake, one process of a job, or all of them, as when the machine loses power; say which."""
    try:
        jobs = psutil.Process(head.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        jobs = []
    victim = rng.choice(["snakemake", "job", "job", "all"]) if jobs else "snakemake"
    chosen = {"snakemake": [head], "job": [rng.choice(jobs)] if jobs else [], "all": [head, *jobs]}[victim]
    for process in chosen:
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            victim = f"{victim} (over already)"
    return victim


def check_nothing_is_half_written_or_made_twice(campaign, seen):
    """Every file under its final name is whole, and one that was complete is never written again."""
    if not (campaign.results / "campaign.json").is_file():
        return
    bad = [reason for _, reason in verify_campaign(Opened.open(campaign.results)) if reason is not None]
    assert bad == []
    for name, path in campaign.files("mocks", "fits").items():
        if name.endswith(".h5") and not path.name.startswith("."):
            status = path.stat()
            stamp = (status.st_ino, status.st_mtime_ns)
            assert seen.setdefault(name, stamp) == stamp


def test_random_kills_change_no_bit(tmp_path, test_config):
    rng = random.Random(20)
    undisturbed = made(tmp_path / "undisturbed", test_config)
    run = undisturbed.run()
    assert run.code == 0, run.screen
    campaign = made(tmp_path / "killed", test_config)
    (campaign.folder / "slow").write_text("0.7")
    seen, victims, completed = {}, Counter(), 0
    head = None
    while victims.total() < KILLS:
        if head is None:
            command = campaign.command(cores=2)
            with (campaign.folder / "snakemake.log").open("a") as log:
                head = subprocess.Popen(command, cwd=campaign.folder, stdout=log, stderr=subprocess.STDOUT)
            begun = len(campaign.files("logs"))
            early = rng.random() < 0.1  # else wait for a first job: a start is most of the time
            while head.poll() is None and len(campaign.files("logs")) <= begun and not early:
                time.sleep(0.05)
        time.sleep(rng.expovariate(1))
        if head.poll() is None:
            victims[kill_something(head, rng)] += 1
            time.sleep(0.1)
        if head.poll() is not None:
            check_nothing_is_half_written_or_made_twice(campaign, seen)
            if head.returncode == 0:  # begins anew, to have something to kill
                assert campaign.digests(*RESULTS) == undisturbed.digests(*RESULTS)
                shutil.rmtree(campaign.results)
                seen.clear()
                completed += 1
            head = None
    if head is not None:
        head.kill()
        head.wait()
    print(f"{dict(victims)}; {completed} complete campaigns before the last")
    (campaign.folder / "slow").write_text("0")
    for _ in range(2):  # a job that was killed as often as it is repeated needs another start
        run = campaign.run()
        if run.code == 0:
            break
    assert run.code == 0, run.screen
    check_nothing_is_half_written_or_made_twice(campaign, seen)
    assert campaign.digests(*RESULTS) == undisturbed.digests(*RESULTS)
    again = (campaign.folder / "fits.log").read_text().split("\n")
    print(f"{len(again) - 1} fits begun for {N_HALOS} haloes")
    assert completed or not [line for line in again if line.endswith(" again")]
