"""How long fits, ensembles and a whole ``clmassmod fit`` take on this machine, one core.

Run: OMP_NUM_THREADS=1 python tests/benchmarks/bench_fitters.py [fits|bias|process|samplers]
Prints the best and the median CPU time of repeated whole calls beside the target; nothing is asserted.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from clmassmod import bias
from clmassmod.cosmology import Cosmology
from clmassmod.fitters import curvefit, scan
from clmassmod.fitters.grid import to_mass_grid
from clmassmod.fitters.likelihood import LensModel
from clmassmod.fitters.marginal import joint_at_nodes, over_nodes
from clmassmod.fitters.observables import observable
from clmassmod.records import HaloFit, HaloInfo, ShearProfile
from clmassmod.tables import Tables, build

ROOT = Path(__file__).resolve().parents[2]
COSMOLOGY = Cosmology(H0=70.0, Om0=0.3, Ob0=0.047, sigma8=0.82, ns=0.96)
NUISANCE = {
    "concentration": {"scatter": 0.3},
    "miscentring": {"scale_mpc": 0.2, "fraction": 0.3},
    "two_halo": {"mean": 1.0, "sd": 0.5},
    "shear_bias": {"mean": 0.0, "sd": 0.02},
}
LINE = "{:<62s} best {:8.3f} {unit}   median {:8.3f} {unit}   target {:g} {unit}"


def cpu_seconds() -> float:
    """Return the CPU time of this process and of those that it waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def timed(label: str, target: float, calls: Iterable[Callable[[], Any]], unit: str = "ms") -> None:
    """Print best and median CPU time of calls."""
    scale = {"ms": 1e3, "s": 1.0}[unit]
    times = []
    for call in calls:
        start = cpu_seconds()
        call()
        times.append(scale * (cpu_seconds() - start))
    print(LINE.format(label, min(times), float(np.median(times)), target, unit=unit))


def profiles(model: LensModel, n: int, *, same: bool) -> list[ShearProfile]:
    """Return noisy profiles of 12 bins, each with a redshift and radii of its own unless ``same``."""
    rng = np.random.default_rng(1)
    found = []
    for i in range(n):
        z = 0.3 if same else float(rng.uniform(0.25, 0.55))
        environment = model.tables.environment(z)
        radius = np.geomspace(0.3, 3.0, 12) * (1.0 if same else rng.uniform(0.98, 1.02, 12))
        ones = np.ones(12)
        profile = ShearProfile(
            HaloInfo(f"h{i}", z), "g_t", radius, 0 * ones, 0.02 * ones, 0 * ones, 100 * ones, 0.6 * ones,
            0.38 * ones, environment.d_lens_mpc, environment.sigma_crit_inf_msun_mpc2,
        )  # fmt: skip
        mass = np.array([rng.uniform(3e14, 1.2e15)])
        surface = model.surface(radius, environment, mass, model.concentration(mass, z))
        signal = observable(profile, np.ones(12, bool), surface)[0]
        found.append(replace(profile, value=signal + 0.02 * rng.normal(size=12)))
    return found


def haloes(n: int) -> tuple[list[HaloFit], dict[str, float]]:
    """Return likelihoods of n haloes at redshifts 0.2 to 0.8, and their true masses."""
    rng = np.random.default_rng(2)
    grid = np.geomspace(1e12, 2e16, 400)
    true = 1e14 * np.exp(rng.exponential(0.5, n))
    noise, z = rng.uniform(0.2, 0.6, n), rng.uniform(0.2, 0.8, n)
    centre = np.log(true) - 0.07 + rng.normal(size=n) * np.hypot(0.22, noise)
    fits = [
        HaloFit.from_likelihood(f"h{i}", z[i], grid, -0.5 * ((np.log(grid) - c) / s) ** 2)
        for i, (c, s) in enumerate(zip(centre, noise, strict=True))
    ]
    return fits, {f"h{i}": float(m) for i, m in enumerate(true)}


def bench_fits() -> None:
    """Time the fitters, one halo a call."""
    tables = Tables(build(COSMOLOGY, z_range=(0.2, 0.6), relations=[("diemer19", "200c")]))
    fixed = LensModel.build(tables)
    with_c = LensModel.build(tables, nuisance={"concentration": {"scatter": 0.3}})
    free_c = LensModel.build(tables, nuisance={"concentration": {"range": (1.0, 15.0)}})
    four = LensModel.build(tables, nuisance=NUISANCE)
    own, same = profiles(fixed, 200, same=False), profiles(fixed, 200, same=True)
    for label, fit, model, given, target in (
        ("fixed M-c relation", scan.fit, fixed, own, 0.3),
        ("fixed M-c relation, haloes that share z and radii", scan.fit, fixed, same, 0.3),
        ("(M, c) posterior, scatter about the relation", scan.fit, with_c, own, 1.4),
        ("(M, c) posterior, free c", scan.fit, free_c, own, 1.4),
        ("(M, c) posterior, haloes that share z and radii", scan.fit, with_c, same, 0.14),
        ("four nuisance parameters", scan.fit, four, own[:60], 5.0),
        ("four nuisance parameters, haloes that share z and radii", scan.fit, four, same[:60], 5.0),
        ("point fit, free c", curvefit.fit, free_c, own, 1.0),
        ("point fit, c with a prior", curvefit.fit, with_c, own, 1.0),
    ):
        fit(given[0], model)
        timed(label, target, [lambda p=p, f=fit, m=model: f(p, m) for p in given[1:]])
    label = "likelihood alone of (M, c), haloes that share z and radii"
    timed(label, 0.14, [lambda p=p: likelihood(with_c, p) for p in same[1:]])


def likelihood(model: LensModel, profile: ShearProfile) -> Any:
    """Return the stored likelihood of a fit, without estimates and record."""
    return to_mass_grid(over_nodes(joint_at_nodes(model, model.prepare(profile), model.primary)[1]))


def bench_bias() -> None:
    """Time the joint posterior of bias and scatter of 1,000 haloes."""
    fits, truth = haloes(1000)
    timed("bias and scatter of 1,000 haloes, grid", 0.5, [lambda: bias.fit(fits, truth)] * 7, "s")
    timed("their calibration: pulls, tests, bootstrap", 5.0, [lambda: bias.calibration(fits, truth)] * 3, "s")


def bench_samplers() -> None:
    """Time the models that NUTS samples, the import of PyMC (or nutpie) and compilation included."""
    for n, model, target in (
        (1000, "trend", 20.0),
        (10_000, "trend", 90.0),
        (1000, "student", 20.0),
        (1000, "trend+student", 60.0),
    ):
        fits, truth = haloes(n)
        label = f"{model} by NUTS, {n:,} haloes"
        timed(label, target, [partial(bias.fit, fits, truth, model=model, method="nuts", seed=1)], "s")


MEASURE = (
    "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL);"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)


def bench_process() -> None:
    """Time ``clmassmod fit`` of one halo of config/test.yaml, start of Python included."""
    with tempfile.TemporaryDirectory() as folder:
        campaign = ["--campaign", "results/test"]

        def run(*arguments: str, prefix: tuple[str, ...] = ()) -> str:
            command = [*prefix, sys.executable, "-m", "clmassmod", *arguments]
            done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
            return done.stdout

        run("prepare", "--config", str(ROOT / "config/test.yaml"))
        run("tables", *campaign)
        run("mock", *campaign, "--survey", "small", "--shard", "halo0000")
        fit = ("fit", *campaign, "--analysis", "nfw", "--shard", "halo0000")
        timed("clmassmod fit: one halo, whole process", 0.6, [lambda: run(*fit)] * 10, "s")
        kilobytes = float(run(*fit, prefix=(sys.executable, "-c", MEASURE)))
        print(f"{'its largest resident memory':<62s}      {kilobytes / 1024:8.0f} MB   target 100 MB")


def main() -> None:
    """Time everything, or what is named: fits, bias, process, samplers."""
    parts = {"fits": bench_fits, "bias": bench_bias, "process": bench_process, "samplers": bench_samplers}
    for name in sys.argv[1:] or parts:
        parts[name]()


if __name__ == "__main__":
    main()
