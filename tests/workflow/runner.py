"""Run the real workflow in a folder, and say what it did."""

import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
SNAKEMAKE = [sys.executable, "-m", "snakemake"]
JOB = re.compile(r"^Job \d+: (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """How a run ended: exit code, the jobs' messages in order, what was on the screen."""

    code: int
    jobs: list[str]
    screen: str


class Campaign:
    """A campaign in a folder of its own."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self.folder = folder
        self.config = config
        self.results = folder / "results" / config["campaign"]

    def command(self, *options: str, cores: int = 2) -> list[str]:
        """Return the command line, with the configuration as it now is."""
        (self.folder / "campaign.yaml").write_text(yaml.safe_dump(self.config))
        where = ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(self.folder)]
        config = ["--configfile", str(self.folder / "campaign.yaml")]
        return [*SNAKEMAKE, *where, *config, "--cores", str(cores), *options]

    def run(self, *options: str, cores: int = 2) -> Run:
        """Run the workflow to its end."""
        return self.run_command(self.command(*options, cores=cores))

    def run_command(self, command: list[str]) -> Run:
        """Run a command in the campaign's folder."""
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder, check=False)
        screen = done.stdout + done.stderr
        return Run(done.returncode, JOB.findall(screen), screen)

    def run_and_kill(self, n_fits: int, cores: int = 2) -> int:
        """Run, kill snakemake without warning at so many fits; return how many there are."""
        process = subprocess.Popen(
            self.command(cores=cores), cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while process.poll() is None and len(self.files("fits")) < n_fits:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        return len(self.files("fits"))

    def files(self, *steps: str) -> dict[str, Path]:
        """Return the result files of some steps by their path inside the results folder."""
        found = (p for step in steps for p in sorted((self.results / step).rglob("*")) if p.is_file())
        return {str(p.relative_to(self.results)): p for p in found}

    def digests(self, *steps: str) -> dict[str, str]:
        """Return a digest of the bytes of each file; not of the page, which says how long the jobs took."""
        files = {name: path for name, path in self.files(*steps).items() if name != "report/index.html"}
        return {name: sha256(path.read_bytes()).hexdigest() for name, path in files.items()}

    def stamps(self) -> dict[str, int]:
        """Return when each result, log and marker was last written, by its path inside the results folder."""
        return {name: path.stat().st_mtime_ns for name, path in self.files(".").items() if name != ".lock"}
