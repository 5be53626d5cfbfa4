"""What changes under a running job is noticed, and one run has a campaign at a time."""

import json
import os
import socket
import subprocess
import sys
from time import sleep

import pytest
from campaigns import run, small

from clmassmod.errors import ConfigError, OutdatedError
from clmassmod.steps import guard, halos, lock
from clmassmod.steps.campaign import prepare
from clmassmod.steps.gather import make_tables
from clmassmod.steps.halos import fit_shard, mock_shard

DEAD = 2**22 + 1  # no Linux has such a process


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(lock.RUN_VARIABLE, raising=False)


def listed(tmp_path):
    """Return a campaign whose masses come from a table, an input file like any other."""
    (tmp_path / "masses.csv").write_text(
        "id,m200,redshift,concen\na,5e14,0.3,4\nb,8e14,0.3,4\nc,1e15,0.3,4\n"
    )
    simulation = {"reader": "analytic", "path": "masses.csv", "options": {}}
    return small(simulation=simulation)


def test_input_that_changes_under_a_job_is_noticed(tmp_path):
    data = listed(tmp_path)
    run(data, upto="fits")
    campaign = prepare(data)
    mock, file = campaign.mock_file("wide", "b"), tmp_path / "masses.csv"
    whole, text = mock.read_bytes(), file.read_text()
    mock.unlink()
    file.write_text(text.replace("8e14", "9e14"))
    with pytest.raises(OutdatedError, match=r"masses\.csv: changed since this campaign was prepared"):
        mock_shard(campaign, "wide", "b", print)
    assert not mock.exists()
    assert not list(campaign.folder.rglob("*.failed.json"))
    file.write_text(text)  # the same content at another time is the same file
    mock_shard(campaign, "wide", "b", print)
    assert mock.read_bytes() == whole
    mock.unlink()
    file.unlink()
    with pytest.raises(OutdatedError, match=r"masses\.csv: cannot be read any more"):
        mock_shard(campaign, "wide", "b", print)


def test_input_that_changes_while_a_halo_is_made_leaves_no_file(tmp_path, monkeypatch):
    data = listed(tmp_path)
    campaign = run(data, upto="fits")
    mock, whole = campaign.mock_file("wide", "b"), halos.mock_halo
    mock.unlink()

    def replaced_meanwhile(inputs, survey, halo):
        made = whole(inputs, survey, halo)
        (tmp_path / "masses.csv").write_text("id,m200,redshift,concen\nb,1e13,0.3,4\n")
        return made

    monkeypatch.setattr(halos, "mock_halo", replaced_meanwhile)
    with pytest.raises(OutdatedError, match="changed since"):
        mock_shard(campaign, "wide", "b", print)
    assert not mock.exists()


def test_inputs_that_take_long_to_look_at_are_seen_to_change_in_the_end(tmp_path, monkeypatch):
    """Not every halo looks at a folder of many files; what was made since the last look does not stay."""
    data = listed(tmp_path) | {"halos_per_job": 3}
    campaign = prepare(data)
    make_tables(campaign)
    monkeypatch.setattr(guard, "_QUICK_SECONDS", -1.0)  # any look is a long one
    look, looks, work = guard.stamp_of, [], halos.mock_halo
    monkeypatch.setattr(guard, "stamp_of", lambda path: (sleep(0.05), looks.append(path), look(path))[2])

    def changed_meanwhile(inputs, survey, halo):
        if halo.halo_id == "b":
            file.write_text(file.read_text() + "\n")
        return work(inputs, survey, halo)

    file = tmp_path / "masses.csv"
    text = file.read_text()
    monkeypatch.setattr(halos, "mock_halo", changed_meanwhile)
    with pytest.raises(OutdatedError, match=r"masses\.csv: changed since"):
        mock_shard(campaign, "wide", "shard00000", print)
    assert len(looks) == 4  # at first and at last, each confirmed
    assert not list((campaign.folder / "mocks").rglob("*.h5"))
    file.write_text(text)
    monkeypatch.setattr(halos, "mock_halo", work)
    mock_shard(campaign, "wide", "shard00000", print)
    assert len(list((campaign.folder / "mocks").rglob("*.h5"))) == 3


def test_configuration_that_changes_under_a_job_is_noticed():
    campaign = run(small(), upto="fits")
    job = halos.Guard(campaign, "fit", "nfw")
    job.check()
    prepare(small(report={"title": "another"}))  # not what this job depends on
    job.check()
    changed = small()
    changed["analyses"]["nfw"]["radius_mpc"] = [0.6, 2.0]
    prepare(changed)
    with pytest.raises(OutdatedError, match="configuration of fit nfw changed"):
        job.check()


def test_job_of_a_dead_or_replaced_run_ends(monkeypatch):
    campaign = run(small(), upto="fits")
    record = {"run": "mine", "host": socket.gethostname(), "process": os.getpid(), "since": "now"}
    lock.lock_file(campaign.folder).write_text(json.dumps(record))
    monkeypatch.setenv(lock.RUN_VARIABLE, "mine")
    first = campaign.fit_file("nfw", "halo0000")
    whole = first.read_bytes()
    first.unlink()
    for change, text in (({"run": "other"}, "taken this campaign over"), ({"process": DEAD}, "is dead")):
        lock.lock_file(campaign.folder).write_text(json.dumps(record | change))
        with pytest.raises(OutdatedError, match=text):
            fit_shard(campaign, "nfw", "halo0000", print)
        assert not first.exists()
    # a run on another host that cannot be seen, one that ended in peace, and one that lives
    for text in (json.dumps(record | {"process": DEAD, "host": "elsewhere"}), "", json.dumps(record)):
        first.unlink(missing_ok=True)
        lock.lock_file(campaign.folder).write_text(text)
        fit_shard(campaign, "nfw", "halo0000", print)
        assert first.read_bytes() == whole


HOLD = """
import sys
from pathlib import Path
from clmassmod.steps.lock import hold
hold(Path("c"))
print("held", flush=True)
sys.stdin.read()
"""


def test_lock_ends_with_its_holder(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    for refusal in (lambda: lock.hold(tmp_path / "c"), lambda: lock.refuse_running(tmp_path / "c", "retry")):
        with pytest.raises(ConfigError, match=f"run has this campaign .process {holder.pid} on") as caught:
            refusal()
        assert "\n" not in str(caught.value)
    locks = tmp_path / ".snakemake/locks"
    locks.mkdir(parents=True)
    (locks / "0.output.lock").write_text("c/tables.h5\n")
    (locks / "1.output.lock").write_text("cc/tables.h5\n")
    holder.kill()
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()
    lock.refuse_running(tmp_path / "c", "retry")
    lock.hold(lock.Path("c"))
    lock.hold(lock.Path("c"))  # this process has it already
    assert [path.name for path in locks.iterdir()] == ["1.output.lock"]  # another campaign's
    assert lock.holder(tmp_path / "c").process == os.getpid()


def test_run_that_began_on_another_host_is_said_in_one_line(tmp_path):
    folder = tmp_path / "c"
    folder.mkdir()
    record = {"run": "1", "host": "login2", "process": 12, "since": "yesterday"}
    lock.lock_file(folder).write_text(json.dumps(record))
    with pytest.raises(ConfigError, match=r"process 12 on login2, since yesterday.*remove .*\.lock"):
        lock.hold(folder)
    lock.lock_file(folder).unlink()
    lock.hold(folder)
