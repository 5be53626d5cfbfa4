"""The assumed centre of one halo: a centre model, and what holds for all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from clmassmod.config.survey import Centre
from clmassmod.core.centres import Offset, isotropic, observable
from clmassmod.core.units import ARCMIN_RAD
from clmassmod.errors import ConfigError, ReaderError
from clmassmod.mock.files import cached_file
from clmassmod.records import Array, HaloEnvironment, HaloInfo
from clmassmod.registry import CENTRES

PositionAngle = Callable[[], float]
"""Angle of the halo's long axis from x, radians."""


def takes_catalogue(centre: Centre) -> bool:
    """Return whether the model needs a catalogue, such as the peak of the shear."""
    return centre.model != "none" and getattr(CENTRES.load(centre.model), "takes_catalogue", False)


def draw_centre(
    centre: Centre,
    halo: HaloInfo,
    environment: HaloEnvironment,
    rng: np.random.Generator,
    position_angle: PositionAngle,
) -> Offset:
    """Return the assumed minus the true centre in Mpc.

    Raises
    ------
    ConfigError
        For wrong parameters of the model.
    """
    if centre.model == "none":
        return 0.0, 0.0
    model_rng, rng = rng.spawn(2)
    x, y = call(centre, model_rng, halo, environment)
    if rng.random() >= centre.fraction:
        return 0.0, 0.0
    length = float(np.hypot(x, y)) * ((1.0 + halo.z) / (1.0 + centre.z_ref)) ** centre.z_power
    if not np.isfinite(length):
        raise ConfigError(
            f"centre model {centre.model!r} gives an offset of {length} for halo {halo.halo_id!r}"
        )
    angle = float(np.arctan2(y, x))
    if centre.alignment != 0.0:
        angle = position_angle() + _aligned(centre.alignment, rng)
    return length * float(np.cos(angle)), length * float(np.sin(angle))


def call(centre: Centre, *arguments: Any) -> Offset:
    """Return what the model gives; its wrong parameters are errors of the configuration."""
    model = CENTRES.load(centre.model)
    try:
        x, y = model(*arguments, **centre.parameters)
    except TypeError as error:
        raise ConfigError(f"centre.parameters of model {centre.model!r}: {error}") from None
    return float(x), float(y)


def _aligned(alignment: float, rng: np.random.Generator) -> float:
    """Return an angle of the density 1 + alignment cos 2 phi, by rejection."""
    while True:
        angle = 2.0 * np.pi * rng.random()
        if rng.random() * (1.0 + abs(alignment)) < 1.0 + alignment * np.cos(2.0 * angle):
            return float(angle)


_UNITS = {"Mpc": 1.0, "kpc": 1e-3}


def sample(
    rng: np.random.Generator,
    halo: HaloInfo,  # noqa: ARG001  one signature for all models
    environment: HaloEnvironment,
    *,
    path: str,
    unit: str = "Mpc",
    column: int = 0,
) -> Offset:
    """Return an offset whose length is drawn from a file with one value a line.

    Parameters
    ----------
    path
        Text file; lines that do not begin with a number are left out.
    unit
        "Mpc", "kpc", "arcmin" or "arcsec".
    column
        Which number of each line, from 0.
    """
    if unit not in (*_UNITS, "arcmin", "arcsec"):
        raise ConfigError(f"centre model 'sample': unit {unit!r} is not Mpc, kpc, arcmin or arcsec")
    values = _lengths(path, column)
    angular = ARCMIN_RAD * environment.d_lens_mpc * (1.0 if unit == "arcmin" else 1.0 / 60.0)
    return isotropic(rng, float(values[rng.integers(values.size)]) * _UNITS.get(unit, angular))


def sz_simulation(
    rng: np.random.Generator,
    halo: HaloInfo,
    environment: HaloEnvironment,
    *,
    path: str,
    core_arcmin: float | str | None = None,
    significance: float | str | None = None,
    nearest: int = 50,
) -> Offset:
    """Return the offset of a simulated SZ detection, in a random direction.

    Parameters
    ----------
    path
        Text table whose first columns are x and y of the peak, x and y of the cluster [arcmin], the
        signal to noise and the core [arcmin] of the filter.
    core_arcmin
        Detections of this core alone; a number or an observable of the halo; None: all.
    significance
        The ``nearest`` detections in S/N alone; None: all.
    nearest
        How many.
    """
    rows = _rows(path)
    if core_arcmin is not None:
        core = observable(halo, core_arcmin)
        rows = rows[np.abs(rows[:, 5] - core) < 1e-3]
        if not len(rows):
            raise ConfigError(
                f"centre model 'sz_simulation': {path} has no detection with a core of {core:g} arcmin"
            )
    if significance is not None:
        order = np.argsort(np.abs(rows[:, 4] - observable(halo, significance)), kind="stable")
        rows = rows[order[:nearest]]
    row = rows[rng.integers(len(rows))]
    length = float(np.hypot(row[0] - row[2], row[1] - row[3]))
    return isotropic(rng, length * ARCMIN_RAD * environment.d_lens_mpc)


@cached_file("centre.parameters.path")
def _rows(path: str) -> Array:
    found = _numbers(path)
    width = min(len(row) for row in found)
    if width < 6:
        raise ReaderError(f"{path}: a row has {width} numbers; six are needed")
    return np.asarray([row[:width] for row in found])


@cached_file("centre.parameters.path")
def _lengths(path: str, column: int) -> Array:
    rows = _numbers(path)
    if min(len(row) for row in rows) <= column:
        raise ReaderError(f"{path}: a row has no column {column}")
    values = np.asarray([row[column] for row in rows])
    if not (np.all(np.isfinite(values)) and np.all(values >= 0)):
        raise ReaderError(f"{path}: an offset is NaN, infinite or negative")
    return values


def _numbers(path: str) -> list[list[float]]:
    """Return the numbers of each line that begins with one."""
    rows = []
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        try:
            rows.append([float(word) for word in line.replace(",", " ").split()])
        except ValueError:
            continue
    rows = [row for row in rows if row]
    if not rows:
        raise ReaderError(f"{path}: holds no number")
    return rows
