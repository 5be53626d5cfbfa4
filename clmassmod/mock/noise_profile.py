"""A mock with the measured noise of a real cluster's profile, radius by radius and magnitude bin by bin.

Each row of the profile becomes a group of galaxies in its annulus that share the row's <beta> and
<beta^2>, with a noise that gives the row's error to their mean. Weighted by 1 / sigma^2, any binning
of them has the errors of the real observation.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from clmassmod.config.sources import NoiseProfile
from clmassmod.core.fields import LensingField
from clmassmod.core.units import ARCMIN_RAD
from clmassmod.errors import ConfigError, ReaderError
from clmassmod.mock.files import cached_file
from clmassmod.records import Array, HaloEnvironment, SourceCatalog


@cached_file("noise_profile.path")
def read_noise(path: str) -> Array:
    """Return radius, error, <beta>, <beta^2> and magnitude bin of each row, (row, 5).

    Raises
    ------
    ReaderError
        Names file and row.
    """
    found = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines()):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            radius, _, error, _, _, beta, beta2, magnitude = (float(word) for word in line.split())
        except ValueError:
            raise ReaderError(f"{path}: line {number + 1} is not eight numbers") from None
        if not (radius > 0 and error > 0 and 0 < beta <= 1 and beta2 >= beta**2):
            raise ReaderError(f"{path}: line {number + 1}: radius, error or beta is not possible")
        found.append((radius, error, beta, beta2, magnitude))
    if not found:
        raise ReaderError(f"{path}: holds no row")
    return np.asarray(found)


def observe_like(
    field: LensingField,
    noise: NoiseProfile,
    environment: HaloEnvironment,
    beta_inf: float,
    offset_mpc: tuple[float, float],
    rng: np.random.Generator,
) -> SourceCatalog:
    """Return a catalogue whose binned profile has the measured errors.

    ``beta_inf`` is D_ls / D_s of a source at infinite redshift.
    """
    rows, n = read_noise(noise.path), noise.galaxies_per_bin
    half = 0.5 * noise.bin_width_mpc
    inner, outer = np.maximum(rows[:, 0] - half, 0.0)[:, np.newaxis], (rows[:, 0] + half)[:, np.newaxis]
    place_rng, shape_rng = rng.spawn(2)
    # evenly in area, so that few galaxies sample the annulus well; the phase is random
    share = (np.arange(n) + place_rng.random((len(rows), 1))) / n
    radius = np.sqrt(inner**2 + (outer**2 - inner**2) * share).ravel()
    angle = 2.0 * np.pi * (place_rng.random((len(rows), 1)) + np.arange(n) * 0.6180339887498949).ravel()
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    beta_s, beta_s2 = np.repeat(rows[:, 2] / beta_inf, n), np.repeat(rows[:, 3] / beta_inf**2, n)
    if np.any(beta_s > 1.0):
        raise ConfigError(
            f"noise_profile.path: {noise.path} has <beta> = {rows[:, 2].max():g}, which no source behind z = "
            f"{field.halo.z:g} reaches; set rescale_z to the real cluster's redshift"
        )
    covered = field.covers(x + offset_mpc[0], y + offset_mpc[1])
    x, y, beta_s, beta_s2 = x[covered], y[covered], beta_s[covered], beta_s2[covered]
    sigma = np.repeat(rows[:, 1] * np.sqrt(n), n)[covered]
    kappa, gamma1, gamma2 = field.at(x + offset_mpc[0], y + offset_mpc[1])
    factor = beta_s / (1.0 - beta_s2 / beta_s * kappa)
    draws = shape_rng.standard_normal((2, x.size))
    scale = 1.0 / (environment.d_lens_mpc * ARCMIN_RAD)
    return SourceCatalog(
        halo=field.halo,
        x_arcmin=x * scale,
        y_arcmin=y * scale,
        e1=factor * gamma1 + sigma * draws[0],
        e2=factor * gamma2 + sigma * draws[1],
        z_source=np.full(x.size, np.nan),
        beta_s=beta_s,
        weight=1.0 / sigma**2,
        d_lens_mpc=environment.d_lens_mpc,
        sigma_crit_inf_msun_mpc2=environment.sigma_crit_inf_msun_mpc2,
        shape_noise=float(np.sqrt(np.mean(sigma**2))),
        offset_mpc=offset_mpc,
        extra={"shape_noise": sigma, "beta_s2": beta_s2, "magnitude_bin": np.repeat(rows[:, 4], n)[covered]},
    )
