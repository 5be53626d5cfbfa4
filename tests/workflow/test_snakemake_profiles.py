"""Profiles of clusters: what is said to a scheduler, and what becomes of its jobs."""

import os
import sys
import time
from pathlib import Path

import pytest
import yaml
from runner import ROOT

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("workflow")]
GENERIC = ROOT / "workflow/profiles/generic"
RESOURCES = {"mem_mb": 3000, "runtime": 90, "queue": "long", "account": "lab", "submit_options": "-m 'a b'"}


@pytest.fixture
def schedulers(monkeypatch, tmp_path):
    """Return the module that submit, status and cancel share, in a folder of its own."""
    monkeypatch.syspath_prepend(str(GENERIC))
    monkeypatch.chdir(tmp_path)
    import schedulers

    schedulers.FOLDER.mkdir(parents=True)
    return schedulers


@pytest.mark.parametrize(
    ("scheduler", "parts"),
    [
        ("pbs", ["qsub", "-l ncpus=2,mem=3000mb,walltime=01:30:00", "-q long -A lab"]),
        ("sge", ["qsub -terse", "-pe smp 2", "-l h_vmem=1500M,h_rt=01:30:00", "-q long -P lab"]),
        ("lsf", ["bsub", "-n 2", "-M 3000MB -R rusage[mem=3000MB] -W 90", "-q long -P lab"]),
        ("slurm", ["sbatch --parsable", "--cpus-per-task=2 --mem=3000M --time=90", "-p long -A lab"]),
    ],
)
def test_a_scheduler_is_asked_for_memory_time_queue_and_account(schedulers, scheduler, parts):
    command = schedulers.submit_command(scheduler, "clmm-fit", RESOURCES, 2, "log")
    assert command[-2:] == ["-m", "a b"]
    text = " ".join(command)
    for part in [*parts, "clmm-fit", "log"]:
        assert part in text
    bare = schedulers.submit_command(
        scheduler, "f", {**RESOURCES, "queue": "", "account": "", "submit_options": ""}, 1, "log"
    )
    assert not {"-q", "-A", "-P", "-p", "-pe", ""} & set(bare)


def test_an_unknown_scheduler_is_named(schedulers):
    with pytest.raises(SystemExit, match="'pbspro' is none of pbs, sge, lsf, slurm"):
        schedulers.submit_command("pbspro", "f", RESOURCES, 1, "log")


def test_status_of_jobs_that_run_end_fail_and_vanish(schedulers, monkeypatch):
    listed = {"7"}
    monkeypatch.setattr(schedulers, "listed_jobs", lambda scheduler: listed)
    code = schedulers.FOLDER / "t.exit"
    assert schedulers.status("pbs:7:t") == "running"
    listed = set()
    assert schedulers.status("pbs:7:t") == "running"  # the list may be older than the job
    listed = None
    assert schedulers.status("pbs:7:t") == "running"  # the scheduler does not answer
    listed = set()
    schedulers.status("pbs:7:t")
    monkeypatch.setattr(schedulers, "GONE_AFTER", 0)
    assert schedulers.status("pbs:7:t") == "failed"
    code.write_text("1\n")
    assert schedulers.status("pbs:7:t") == "failed"
    code.write_text("0\n")
    listed = {"7"}
    assert schedulers.status("pbs:7:t") == "success"
    assert not list(schedulers.FOLDER.iterdir())


def test_the_scheduler_is_asked_for_all_jobs_at_once_and_seldom(schedulers, monkeypatch, tmp_path):
    qstat = tmp_path / "qstat"
    listed = 'echo "Job id   Name"\necho "  12.server  a"\necho 13[].x\n'
    qstat.write_text(f"#!/bin/bash\necho asked >> asked\n{listed}")
    qstat.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert [schedulers.listed_jobs("pbs") for _ in range(5)] == [{"12", "13"}] * 5
    assert (tmp_path / "asked").read_text() == "asked\n"
    qstat.write_text("#!/bin/bash\nexit 1\n")
    os.utime(schedulers.FOLDER / "pbs.jobs", (time.time() - 60,) * 2)
    assert schedulers.listed_jobs("pbs") is None


SUBMIT = """#!/bin/bash
echo "$(basename $0) $*" >> $FAKE/submitted
if [[ $(basename $0) == bsub ]]; then cat > $FAKE/$$.sh; script=$FAKE/$$.sh; else script=${@: -1}; fi
setsid bash $script > /dev/null 2>&1 < /dev/null &
echo $! >> $FAKE/jobs
if [[ $(basename $0) == bsub ]]; then echo "Job <$!> is submitted to queue <normal>."; else echo $!.fake; fi
"""
LIST = """#!/bin/bash
for job in $(cat $FAKE/jobs); do if kill -0 $job 2> /dev/null; then echo "$job.fake user R"; fi; done
"""


@pytest.mark.long
@pytest.mark.parametrize(
    ("scheduler", "submit", "lists"), [("sge", "qsub", "qstat"), ("lsf", "bsub", "bjobs")]
)
def test_a_campaign_runs_by_the_generic_profile(campaign, monkeypatch, scheduler, submit, lists):
    """With a scheduler of four lines, which starts what it is given; three jobs."""
    pytest.importorskip("snakemake_executor_plugin_cluster_generic")
    fake = campaign.folder / "fake"
    fake.mkdir()
    for name, text in ((submit, SUBMIT), (lists, LIST)):
        (fake / name).write_text(text)
        (fake / name).chmod(0o755)
    monkeypatch.setenv("FAKE", str(fake))
    monkeypatch.setenv("PATH", f"{fake}:{Path(sys.executable).parent}:{os.environ['PATH']}")
    campaign.config["halos_per_job"] = 3
    command = campaign.command("--until", "mock", "--workflow-profile", str(GENERIC))
    command[command.index("--cores")] = "--jobs"
    command += ["--default-resources", f"scheduler={scheduler}", "queue=", "account=", "submit_options="]
    run = campaign.run_command(command)
    assert run.code == 0, run.screen
    assert len(run.jobs) == 3
    assert len(campaign.files("mocks")) == 6
    assert (fake / "submitted").read_text().count(f"{submit} ") == 3
    left = {path.suffix for path in (campaign.folder / ".snakemake/cluster").iterdir()}
    assert left <= {".jobs"}


def keys(name):
    """Return the keys of a profile."""
    return yaml.safe_load((ROOT / "workflow/profiles" / name / "config.yaml").read_text())


def test_profiles_of_clusters_agree_with_the_default_where_results_depend_on_it():
    for name in ("slurm", "generic"):
        profile = keys(name)
        for key in (
            "rerun-triggers",
            "rerun-incomplete",
            "keep-going",
            "max-checksum-file-size",
            "scheduler",
        ):
            assert profile[key] == keys("default")[key]
        assert profile["retries"] >= 2
