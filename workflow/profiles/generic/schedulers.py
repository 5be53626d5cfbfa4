"""What `submit`, `status` and `cancel` share: how each scheduler is spoken to.

A job's script is wrapped: it leaves its exit code in a file, so that no scheduler has to remember it. A job
that the scheduler does not list any more and that left none was cancelled, over a limit or lost with a node.
"""

import os
import re
import shlex
import subprocess
import sys
import time
import uuid
from pathlib import Path

FOLDER = Path(".snakemake/cluster")  # of the working directory, which all nodes see
ASKED_EVERY = 20  # seconds between two lists of all jobs
GONE_AFTER = 90  # seconds without a trace until a job counts as lost; file systems and schedulers lag
LIST = {
    "pbs": ["qstat"],
    "sge": ["qstat", "-u", os.environ.get("USER", "*")],
    "lsf": ["bjobs", "-noheader", "-o", "jobid"],
    "slurm": ["squeue", "--noheader", "--me", "--format=%i"],
}
CANCEL = {"pbs": "qdel", "sge": "qdel", "lsf": "bkill", "slurm": "scancel"}


def submit_command(scheduler, name, resources, threads, log):
    """Return the command that submits a script, without the script."""
    mem_mb, minutes = int(resources["mem_mb"]), int(resources["runtime"])
    clock = f"{minutes // 60:02d}:{minutes % 60:02d}:00"
    queue, account = resources.get("queue", ""), resources.get("account", "")
    if scheduler == "pbs":
        command = ["qsub", "-N", name, "-V", "-j", "oe", "-o", log]
        command += ["-l", f"ncpus={threads},mem={mem_mb}mb,walltime={clock}"]
        places = ["-q", queue], ["-A", account]
    elif scheduler == "sge":
        command = ["qsub", "-terse", "-N", name, "-V", "-cwd", "-S", "/bin/bash", "-j", "y", "-o", log]
        command += ["-pe", "smp", str(threads)] if threads > 1 else []
        command += ["-l", f"h_vmem={-(-mem_mb // threads)}M,h_rt={clock}"]  # memory of one slot
        places = ["-q", queue], ["-P", account]
    elif scheduler == "lsf":
        command = ["bsub", "-J", name, "-n", str(threads), "-R", "span[hosts=1]", "-o", log]
        command += ["-M", f"{mem_mb}MB", "-R", f"rusage[mem={mem_mb}MB]", "-W", str(minutes)]
        places = ["-q", queue], ["-P", account]
    elif scheduler == "slurm":
        command = ["sbatch", "--parsable", "--export=ALL", f"--job-name={name}", f"--output={log}"]
        command += [f"--cpus-per-task={threads}", f"--mem={mem_mb}M", f"--time={minutes}"]
        places = ["-p", queue], ["-A", account]
    else:
        sys.exit(f"default-resources: scheduler: {scheduler!r} is none of {', '.join(LIST)}")
    for option, value in places:
        command += [option, value] if value else []
    return command + shlex.split(resources.get("submit_options", ""))


def submit(properties, script):
    """Submit a job; return what `status` and `cancel` are called with."""
    resources = properties["resources"]
    scheduler = resources.get("scheduler", "")
    token = uuid.uuid4().hex
    FOLDER.mkdir(parents=True, exist_ok=True)
    wrapper, code, log = (FOLDER / f"{token}.{end}" for end in ("sh", "exit", "log"))
    here, there = shlex.quote(str(Path.cwd())), shlex.quote(str(Path(script).resolve()))
    leave_code = f"echo $? > {code}.part && mv {code}.part {code}"
    wrapper.write_text(f"#!/bin/bash\ncd {here}\n/bin/bash {there}\n{leave_code}\n")
    wrapper.chmod(0o755)
    name = "clmm-" + re.sub(r"\W", "-", properties.get("rule", "group"))
    command = submit_command(
        scheduler, name, resources, int(properties.get("threads", 1)), str(log.resolve())
    )
    environment = dict(os.environ)
    environment.pop("CLMASSMOD_RUN", None)  # a snakemake that is started again takes these jobs over
    # bsub reads the script from its input: as an argument it would be a command
    script = subprocess.DEVNULL if scheduler != "lsf" else wrapper.open()
    arguments = [*command, str(wrapper.resolve())] if scheduler != "lsf" else command
    done = subprocess.run(
        arguments, stdin=script, capture_output=True, text=True, check=False, env=environment
    )
    number = re.search(r"(?<!\w)\d+", done.stdout)
    if done.returncode or number is None:
        sys.exit(f"{shlex.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
    return f"{scheduler}:{number.group()}:{token}"


def status(job):
    """Return running, success or failed."""
    scheduler, number, token = job.split(":")
    code, missed = FOLDER / f"{token}.exit", FOLDER / f"{token}.missed"
    if not code.is_file():
        listed = listed_jobs(scheduler)
        if listed is None or number in listed:
            missed.unlink(missing_ok=True)
            return "running"
        missed.touch(exist_ok=True)
        if not code.is_file() and time.time() - missed.stat().st_ctime < GONE_AFTER:
            return "running"
    good = code.is_file() and code.read_text().strip() == "0"
    for end in ("sh", "missed", *(["exit", "log"] if good else [])):
        (FOLDER / f"{token}.{end}").unlink(missing_ok=True)
    return "success" if good else "failed"


def listed_jobs(scheduler):
    """Return the numbers of the jobs that the scheduler has, or None while it does not answer."""
    kept = FOLDER / f"{scheduler}.jobs"
    if not kept.is_file() or time.time() - kept.stat().st_mtime > ASKED_EVERY:
        done = subprocess.run(LIST[scheduler], capture_output=True, text=True, check=False)
        empty = "no unfinished job" in (done.stdout + done.stderr).lower()  # of which bjobs makes an error
        if done.returncode and not empty:
            return None
        part = kept.with_suffix(f".{os.getpid()}")
        part.write_text(done.stdout)
        part.replace(kept)
    return set(re.findall(r"^\s*(\d+)", kept.read_text(), re.MULTILINE))
