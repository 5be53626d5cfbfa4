"""Files of clusters as a user of the notebook has them."""

import h5py
import numpy as np
import yaml

from clmassmod.cosmology import Cosmology
from clmassmod.cosmology.predict import predict

COSMOLOGY = {"H0": 70.0, "Om0": 0.3, "Ob0": 0.047, "sigma8": 0.82, "ns": 0.96}
RADIUS_MPC = np.linspace(0.55, 2.45, 10)
SURVEY = {
    "density_per_arcmin2": 10,
    "shape_noise": 0.25,
    "sources": {"distribution": "smail", "median_z": 1.0},
    "footprint": {"shape": "circle", "radius_arcmin": 9},
}


def write_config(path, **more):
    """Write a configuration of the notebook with the two keys and more."""
    keys = {"cosmology": COSMOLOGY, "model": {"profile": "nfw", "concentration": 4.0}, **more}
    path.write_text(yaml.safe_dump(keys))
    return path


def nfw(mass_msun, z, radius_mpc=RADIUS_MPC, z_source=1.0):
    """Return the lensing of one NFW halo of concentration 4 (200c)."""
    return predict(
        "nfw",
        mass_msun=mass_msun,
        concentration=4.0,
        mass_definition="200c",
        z_lens=z,
        z_source=z_source,
        radius_mpc=radius_mpc,
        cosmology=Cosmology(**COSMOLOGY),
    )


def population(n=30, seed=4, ln_bias=0.0, scatter=0.0, low=3e14, high=1.5e15):
    """Return ids, redshifts, true masses and lensing masses of haloes."""
    rng = np.random.default_rng(seed)
    true = np.exp(rng.uniform(np.log(low), np.log(high), n))
    lens = true * np.exp(ln_bias + scatter * rng.normal(size=n))
    return [f"c{i:03d}" for i in range(n)], rng.uniform(0.2, 0.5, n), true, lens


def write_delta_sigma(path, ids, z, masses, error=8e12, seed=5):
    """Write excess surface densities, a row a halo, HDF5; return the true signals (halo, bin)."""
    signal = np.array([nfw(m, zz).delta_sigma_msun_mpc2 for m, zz in zip(masses, z, strict=True)])
    noise = np.random.default_rng(seed).normal(size=signal.shape) * error
    with h5py.File(path, "w") as handle:
        handle["halo_id"] = np.array(ids, dtype="S")
        handle["z"] = z
        for name, values, unit in (
            ("radius", np.tile(RADIUS_MPC, (len(ids), 1)), "Mpc"),
            ("delta_sigma", signal + noise, "Msun / Mpc2"),
            ("delta_sigma_err", np.full(signal.shape, error), "Msun / Mpc2"),
        ):
            handle[name] = values
            handle[name].attrs["unit"] = unit
    return signal


def write_maps(path, ids, z, masses, n=96, pixel_mpc=0.07):
    """Write maps of surface mass density of NFW haloes (halo, y, x)."""
    x = (np.arange(n) - 0.5 * (n - 1)) * pixel_mpc
    radius = np.hypot(x, x[:, np.newaxis]).ravel()
    order, back = np.unique(radius, return_inverse=True)
    maps = [nfw(m, zz, order).sigma_msun_mpc2[back].reshape(n, n) for m, zz in zip(masses, z, strict=True)]
    with h5py.File(path, "w") as handle:
        handle["halo_id"] = np.array(ids, dtype="S")
        handle["z"] = z
        handle["sigma"] = np.array(maps)
        handle["sigma"].attrs["unit"] = "Msun / Mpc2"
        handle.attrs["pixel_mpc"] = pixel_mpc
        handle["m200c"] = masses
    return path
