"""How long a catalogue, its profile and the reading of haloes take on this machine, one core.

Run: OMP_NUM_THREADS=1 python tests/benchmarks/sky.py
Prints the best and the median of repeated whole calls; nothing here is asserted.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from clmassmod.config import RadialBins, Survey, build
from clmassmod.config.models import Simulation
from clmassmod.core.fields import CircularField, MapField
from clmassmod.cosmology import Cosmology
from clmassmod.measure import measure
from clmassmod.mock import observe
from clmassmod.readers.common import make_halos, open_reader
from clmassmod.records import LensingMap
from clmassmod.tables import Tables
from clmassmod.tables import build as build_tables

ROOT = Path(__file__).resolve().parents[2]
COSMOLOGY = Cosmology(H0=70.0, Om0=0.3, Ob0=0.047, sigma8=0.82, ns=0.96)
GALAXIES = 7500


def timed(label: str, call: Callable[[], Any], repeats: int = 40) -> Any:
    """Print best and median time of a call, and return its result."""
    result, times = None, []
    for _ in range(repeats):
        start = time.perf_counter()
        result = call()
        times.append(1e3 * (time.perf_counter() - start))
    print(f"{label:<58s} best {min(times):8.2f} ms   median {np.median(times):8.2f} ms")
    return result


def main() -> None:
    """Time the parts of one halo's mock, and the listing of many haloes."""
    tables = Tables(build_tables(COSMOLOGY, z_range=(0.2, 0.6), structure=False))
    radius = float(np.sqrt(GALAXIES / (20 * np.pi)))
    survey = build(
        Survey,
        {
            "density_per_arcmin2": 20,
            "shape_noise": 0.25,
            "sources": {"distribution": "smail", "median_z": 1.0},
            "footprint": {"shape": "circle", "radius_arcmin": radius},
        },
    )
    analytic = open_reader(Simulation(reader="analytic", options={"n_halos": 10}), COSMOLOGY, 1)
    halos, prepared = analytic.halos(), analytic.prepare()
    field = analytic.read(halos[0], tables, prepared)
    assert isinstance(field, CircularField)
    seed = iter(range(10**9))

    def mock(lensing: Any) -> Any:
        return observe(lensing, survey, tables, np.random.default_rng(next(seed)))

    catalog = timed(f"catalogue of {GALAXIES} galaxies, NFW halo", lambda: mock(field))
    timed("its profile, 10 bins", lambda: measure(catalog, (0.3, 2.5), RadialBins(n=10)))
    timed(
        "its profile, bootstrap errors",
        lambda: measure(catalog, (0.3, 2.5), RadialBins(errors="bootstrap")),
        5,
    )

    path = ROOT / "workflow/resources/nbody_haloes_z0.25.h5"
    grid = open_reader(Simulation(reader="grid", path=str(path)), COSMOLOGY, 1)
    maps = grid.halos()
    lensing: LensingMap = timed(
        "map of 512 x 512 pixels read", lambda: grid.read(maps[next(seed) % 246], tables, {})
    )
    timed("its shear and a catalogue of it", lambda: mock(lensing))
    sheared = MapField(lensing, 3.0)
    timed("a catalogue of a map whose shear is there", lambda: mock(sheared))

    ids = [f"h{i}" for i in range(100_000)]
    timed(
        "100,000 haloes listed",
        lambda: make_halos("x", ids, np.full(100_000, 0.3), ids, {"n": np.ones(100_000)}),
        3,
    )
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "profiles.csv"
        rows = ["halo_id,z,radius,ds_t,ds_x,w"]
        rows += [f"{i},0.3,{r},1e14,1e13,1e-28" for i in range(3000) for r in (0.5, 1.0, 1.5, 2.0)]
        table.write_text("\n".join(rows))
        options = {"units": {"radius": "Mpc", "value": "Msun/Mpc2"}}

        def read_profiles() -> Any:
            reader = open_reader(
                Simulation(reader="profiles", path=str(table), options=options), COSMOLOGY, 1
            )
            return reader.halos(), reader.prepare()

        timed("a CSV table of 3,000 profiles checked", read_profiles, 3)


if __name__ == "__main__":
    main()
