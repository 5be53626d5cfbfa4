"""What campaigns of 100 to 100,000 haloes cost: the workflow itself, run on tables that this script writes.

Run: python tests/benchmarks/bench_scale.py [--haloes 100 1000 10000] [--maps 1000]
Prints a row of a Markdown table for each campaign; nothing is asserted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from clmassmod.cosmology import Cosmology
from clmassmod.fitters.likelihood import LensModel
from clmassmod.tables import Tables, build

ROOT = Path(__file__).resolve().parents[2]
COSMOLOGY = {"H0": 70, "Om0": 0.3, "Ob0": 0.047, "sigma8": 0.82, "ns": 0.96}
BINS = 10
RADIUS_MPC = np.geomspace(0.5, 2.5, BINS)
ERROR_MSUN_MPC2 = 3e13  # of every bin
SCATTER = 0.2
HEAD = (
    "| haloes | jobs | nothing to do [s] | wall [s] | CPU [s] | snakemake [MB] | largest job [MB] | files |\n"
    "|---:|---:|---:|---:|---:|---:|---:|---:|"
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
