"""A campaign on a real SLURM to which everything happens; it must end complete and equal to a local run.

    python tests/workflow/slurm_campaign.py --halos 200

While it runs, one job is cancelled, one hangs over its time limit, a node is taken down, slurmctld is
restarted, and snakemake is killed and started again. Needs root over the daemons of this machine's SLURM.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import yaml
from runner import ROOT, Campaign

RESULTS = ("mocks", "fits", "bins", "ensembles", "comparisons", "report")


def configuration(n_halos: int, halos_per_job: int) -> dict:
    """Return the campaign of config/test.yaml with more haloes and a fitter that takes its time."""
    config = yaml.safe_load((ROOT / "config/test.yaml").read_text())
    config["simulation"]["options"]["n_halos"] = n_halos
    config["halos_per_job"] = halos_per_job
    config["analyses"]["nfw"]["method"] = "slow_fitter.py:fit"
    return config


def shell(*command: str, check: bool = True) -> str:
    """Return what a command prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if check and done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout.strip()


class Story:
    """What happens to a campaign, with the time since it began."""

    def __init__(self, campaign: Campaign, options: argparse.Namespace) -> None:
        self.campaign, self.options = campaign, options
        self.began = time.monotonic()
        self.log = (campaign.folder / "snakemake.log").open("w")
        self.head: subprocess.Popen | None = None

    def say(self, text: str) -> None:
        """Print an event."""
        print(f"{time.monotonic() - self.began:7.1f} s  {text}", flush=True)

    def start(self) -> None:
        """Start snakemake with the SLURM profile."""
        options = self.options
        where = [f"slurm_account={options.account}", f"slurm_partition={options.partition}"]
        command = [*self.campaign.command(), "--workflow-profile", str(ROOT / "workflow/profiles/slurm")]
        at = command.index("--cores")
        command[at : at + 2] = ["--jobs", "12"]
        # a first time limit of one minute, which the halo that hangs exceeds; the second try has two
        command += ["--default-resources", *where, "mem_mb=300", "runtime=5"]
        command += ["--set-resources", "fit:runtime=attempt", "fit:mem_mb=300", "mock:mem_mb=300"]
        command += ["bins:mem_mb=300", "tables:mem_mb=300", "ensemble:mem_mb=300", "compare:mem_mb=300"]
        self.head = subprocess.Popen(
            command, cwd=self.campaign.folder, stdout=self.log, stderr=subprocess.STDOUT
        )

    def fits(self) -> int:
        """Return the number of haloes that are fitted."""
        return sum(name.endswith(".h5") for name in self.campaign.files("fits"))

    def wait_for(self, n_fits: int) -> None:
        """Wait for so many fits."""
        while self.fits() < n_fits:
            if self.head.poll() is not None:
                sys.exit(f"snakemake ended early; see {self.log.name}")
            time.sleep(0.3)

    def running(self) -> list[tuple[str, str]]:
        """Return job and node of the running jobs, the fits first."""
        listed = shell("squeue", "-h", "-t", "R", "-o", "%i %N %k")
        jobs = [line.split(maxsplit=2) for line in listed.splitlines()]
        return [(job[0], job[1]) for job in sorted(jobs, key=lambda job: "fit" not in job[-1])]

    def cancel_a_job(self) -> None:
        """Cancel a job as its owner or an administrator might."""
        job, node = self.running()[0]
        shell("scancel", job)
        self.say(f"scancel {job} (on {node})")

    def take_a_node_down(self) -> str:
        """Kill the slurmd of a node that has a job, and declare the node down."""
        node = self.running()[-1][1]
        pid_file = Path(self.options.slurm_run) / f"slurmd-{node}.pid"
        killed = ""
        if pid_file.is_file():
            os.kill(int(pid_file.read_text()), signal.SIGKILL)
            killed = ", its slurmd killed"
        shell("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
        self.say(f"node {node} down{killed}")
        return node

    def restart_slurmctld(self) -> None:
        """Kill the controller, leave it away for some seconds, start it again."""
        pid_file = Path(self.options.slurm_run) / "slurmctld.pid"
        if not pid_file.is_file():
            self.say(f"slurmctld not restarted: no {pid_file}")
            return
        os.kill(int(pid_file.read_text()), signal.SIGKILL)
        time.sleep(15)
        subprocess.run(["slurmctld"], check=True)
        while subprocess.run(["scontrol", "ping"], capture_output=True, check=False).returncode:
            time.sleep(0.2)
        self.say("slurmctld killed, away for 15 s, started again")

    def kill_the_head(self) -> None:
        """Kill snakemake without warning, and start it again; its jobs go on meanwhile."""
        self.head.send_signal(signal.SIGKILL)
        self.head.wait()
        self.say(f"snakemake killed with {self.fits()} fits and {len(self.running())} jobs running")
        self.start()
        self.say("snakemake started again")


def run(story: Story, n_halos: int) -> str:
    """Run the campaign through all that happens; return the node that was taken down."""
    story.start()
    story.wait_for(n_halos // 10)
    story.cancel_a_job()
    story.wait_for(2 * n_halos // 10)
    node = story.take_a_node_down()
    story.wait_for(3 * n_halos // 10)
    story.restart_slurmctld()
    story.wait_for(4 * n_halos // 10)
    story.kill_the_head()
    code = story.head.wait()
    while code and story.options.starts_left:  # what a user would do
        story.options.starts_left -= 1
        story.say(f"snakemake ended with exit code {code}; started again")
        story.start()
        code = story.head.wait()
    story.say(f"snakemake ended with exit code {code}")
    if code:
        sys.exit(f"not complete; see {story.log.name}")
    return node


def compare(story: Story, local: Campaign) -> int:
    """Say how the campaign differs from a local run, and what was fitted twice; return how much is wrong."""
    ours, theirs = story.campaign.digests(*RESULTS), local.digests(*RESULTS)
    differ = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    lines = (story.campaign.folder / "fits.log").read_text().split("\n")[:-1]
    again = [line for line in lines if line.endswith(" again")]
    begun = Counter(line.split()[0] for line in lines)
    print(f"{len(ours)} result files, {len(differ)} differ from the local run {differ[:5]}")
    print(f"{len(lines)} fits begun for {len(begun)} haloes, {len(again)} of them complete {again[:5]}")
    failed = [name for name in story.campaign.files("mocks", "fits") if name.endswith(".failed.json")]
    print(f"{len(failed)} recorded failures")
    return len(differ) + len(again) + len(failed)


def main() -> None:
    """Run the campaign on SLURM and beside it, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--halos", type=int, default=200)
    parser.add_argument("--halos-per-job", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=1.0, help="that each fit lasts")
    parser.add_argument("--account", default="lab")
    parser.add_argument("--partition", default="main")
    parser.add_argument("--slurm-run", default="/tmp/slurm-lab/run", help="folder of the daemons' pid files")
    parser.add_argument("--folder", help="where it runs; on a file system that all nodes share")
    parser.add_argument(
        "--starts-left", type=int, default=1, help="further starts of snakemake that are allowed"
    )
    options = parser.parse_args()
    folder = Path(options.folder or tempfile.mkdtemp(prefix="slurm-campaign-"))
    campaigns = []
    for name in ("slurm", "local"):
        (folder / name).mkdir(parents=True)
        shutil.copy(Path(__file__).with_name("slow_fitter.py"), folder / name)
        campaigns.append(Campaign(folder / name, configuration(options.halos, options.halos_per_job)))
    slurm, local = campaigns
    (slurm.folder / "slow").write_text(str(options.seconds))
    (slurm.folder / "stuck").write_text(f"halo{options.halos // 2:04d}")
    done = local.run(cores=2)
    if done.code:
        sys.exit(done.screen)
    story = Story(slurm, options)
    story.say(f"begins in {folder}; the local run is complete")
    node = run(story, options.halos)
    shell("scontrol", "update", f"nodename={node}", "state=resume", check=False)
    sys.exit(1 if compare(story, local) else 0)


if __name__ == "__main__":
    main()
