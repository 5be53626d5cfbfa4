"""What campaigns of 100 to 100,000 haloes cost: the workflow itself, run on tables that this script writes.

Run: python tests/benchmarks/bench_scale.py --haloes 100 1000 10000 --maps 1000
Prints a row of a Markdown table for each campaign; nothing is asserted. On a machine with other work, the
CPU times are what counts.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import yaml

from clmassmod.cosmology import Cosmology
from clmassmod.fitters.likelihood import LensModel
from clmassmod.steps.resources import resource_use
from clmassmod.tables import Tables, build

ROOT = Path(__file__).resolve().parents[2]
COSMOLOGY = {"H0": 70, "Om0": 0.3, "Ob0": 0.047, "sigma8": 0.82, "ns": 0.96}
BINS = 10
RADIUS_MPC = np.geomspace(0.5, 2.5, BINS)
ERROR_MSUN_MPC2 = 3e13  # of every bin
SCATTER = 0.2
COLUMNS = (
    "campaign",
    "jobs",
    "DAG [s]",
    "wall [s]",
    "CPU [s]",
    "snakemake [MB]",
    "largest job [MB]",
    "files",
)


def write_profiles(path: Path, n: int) -> None:
    """Write profiles of NFW haloes of concentration 4 with lognormal lensing masses, and the true masses."""
    rng = np.random.default_rng(1)
    tables = Tables(build(Cosmology(**COSMOLOGY), z_range=(0.2, 0.6), structure=False))
    model = LensModel.build(tables, profile="nfw", concentration=4, mass_definitions=("200c",))
    true = 2e14 * np.exp(rng.exponential(0.5, n))
    lensing = true * 0.95 * np.exp(SCATTER * rng.normal(size=n))
    redshifts = np.linspace(0.2, 0.6, 41)
    which = rng.integers(0, redshifts.size, n)
    signal = np.empty((n, BINS))
    for i, z in enumerate(redshifts):
        rows = np.flatnonzero(which == i)
        if rows.size:
            masses = lensing[rows]
            environment = model.tables.environment(float(z))
            surface = model.surface(RADIUS_MPC, environment, masses, np.full(rows.size, 4.0))
            signal[rows] = surface.delta_sigma
    columns = {
        "halo_id": np.array([f"halo{i:06d}" for i in range(n)], dtype="S"),
        "z": redshifts[which],
        "radius": RADIUS_MPC,
        "ds_t": signal + rng.normal(0.0, ERROR_MSUN_MPC2, signal.shape),
        "error": np.full(signal.shape, ERROR_MSUN_MPC2),
        "m200c": true,
    }
    units = {"radius": "Mpc", "ds_t": "Msun / Mpc2", "error": "Msun / Mpc2", "m200c": "Msun"}
    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            file[name] = np.broadcast_to(values, signal.shape) if name == "radius" else values
            if name in units:
                file[name].attrs["unit"] = units[name]


def of_profiles(table: Path, n: int) -> dict[str, Any]:
    """Return a campaign whose input is the table."""
    columns = {"halo_id": "halo_id", "z": "z", "radius": "radius", "value": "ds_t", "cross": None}
    return {
        "campaign": f"profiles{n}",
        "seed": 1,
        "cosmology": COSMOLOGY,
        "simulation": {
            "reader": "profiles",
            "path": str(table),
            "options": {"columns": {**columns, "error": "error"}},
        },
        "truth": {"mass": "m200c", "mass_definition": "200c"},
        "analyses": {"nfw": {"radius_mpc": [0.4, 3.0], "model": {"concentration": 4}}},
        "bins": {"redshift": {"by": {"z": [0.1, 0.3, 0.45, 0.7]}}},
    }


def of_maps(n: int) -> dict[str, Any]:
    """Return a campaign from maps of synthetic NFW haloes to masses: mock, measure and fit."""
    return {
        "campaign": f"maps{n}",
        "seed": 1,
        "cosmology": COSMOLOGY,
        "simulation": {
            "reader": "analytic",
            "options": {"n_halos": n, "z": 0.3, "mass_msun": [2e14, 2e15], "concentration": 4},
        },
        "truth": {"mass_definition": "200c"},
        "surveys": {
            "survey": {
                "density_per_arcmin2": 20,
                "shape_noise": 0.25,
                "sources": {"distribution": "smail", "median_z": 1.0},
                "footprint": {"shape": "circle", "radius_arcmin": 12},
            }
        },
        "analyses": {"nfw": {"survey": "survey", "radius_mpc": [0.5, 2.5], "model": {"concentration": 4}}},
    }


@dataclass(frozen=True)
class Run:
    """What one call of snakemake took, with all its jobs."""

    wall_s: float
    cpu_s: float
    peak_mb: float  # of snakemake itself


def snakemake(folder: Path, cores: int) -> Run:
    """Run the workflow in a folder; its memory is looked at every half second."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--configfile", str(folder / "campaign.yaml")]
    start = time.monotonic()
    with (folder / "screen.txt").open("a") as screen:
        process = subprocess.Popen([*command, "--cores", str(cores)], stdout=screen, stderr=screen)
        peak = 0.0
        while True:
            done, status, used = os.wait4(process.pid, os.WNOHANG)
            if done:
                break
            peak = max(peak, _high_water_mb(process.pid))
            time.sleep(0.5)
    if status != 0:
        raise SystemExit(f"snakemake failed: see {folder / 'screen.txt'}")
    return Run(time.monotonic() - start, used.ru_utime + used.ru_stime, peak)


def _high_water_mb(process: int) -> float:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((float(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def measure(folder: Path, config: dict[str, Any], cores: int) -> list[str]:
    """Run a campaign and return its row of the table."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "campaign.yaml").write_text(yaml.safe_dump(config))
    whole = snakemake(folder, cores)
    again = snakemake(folder, cores)  # nothing to do: all of it is the DAG, and looking at what is there
    results = folder / "results" / config["campaign"]
    used = resource_use(results)
    return [
        config["campaign"],
        str(sum(rule.jobs for rule in used)),
        f"{again.wall_s:.1f}",
        f"{whole.wall_s:.0f}",
        f"{whole.cpu_s:.0f}",
        f"{max(whole.peak_mb, again.peak_mb):.0f}",
        f"{np.nanmax([rule.peak_mb for rule in used]):.0f}",
        str(sum(len(files) for _, _, files in os.walk(results))),
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--haloes", type=int, nargs="*", default=[], help="campaigns from profiles")
    parser.add_argument("--maps", type=int, nargs="*", default=[], help="campaigns from maps")
    parser.add_argument("--halos-per-job", type=int, default=None, help="default: auto")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=None, help="kept; default: a temporary one")
    options = parser.parse_args()
    changes = {} if options.halos_per_job is None else {"halos_per_job": options.halos_per_job}
    print("| " + " | ".join(COLUMNS) + " |")
    print("|---" + "|---:" * (len(COLUMNS) - 1) + "|", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        place = options.folder or Path(temporary)
        for n in options.maps:
            row = measure(place / f"maps{n}", of_maps(n) | changes, options.cores)
            print(f"| {' | '.join(row)} |", flush=True)
        for n in options.haloes:
            table = place / f"profiles{n}.h5"
            table.parent.mkdir(parents=True, exist_ok=True)
            write_profiles(table, n)
            row = measure(place / f"profiles{n}", of_profiles(table.resolve(), n) | changes, options.cores)
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
