"""Checks of readers and of the store: factors of h, pixels on the sky, files that come back whole."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from clmassmod.bias.truth import read_truth
from clmassmod.config.models import Simulation
from clmassmod.core.deposit import surface_density
from clmassmod.errors import StoreError
from clmassmod.fitters import scan
from clmassmod.readers.common import open_reader
from clmassmod.records import HaloFit
from clmassmod.store import load_fit, save_fit
from clmassmod.validate.checks import check
from clmassmod.validate.lab import PARAMETERS, Lab, nbody_maps
from clmassmod.validate.reference import ARCMINUTE, GRAVITY, LIGHT_KM_S, Background, Lens, relative

_H = PARAMETERS["H0"] / 100.0
_Z = 0.25


def _first(lab: Lab, reader: str, path: Path, **options: Any) -> Any:
    it = open_reader(Simulation(reader=reader, path=str(path), options=options), lab.cosmology, seed=1)
    return it.read(it.halos()[0], lab.tables, it.prepare())


def _stack(path: Path, name: str, values: np.ndarray, unit: str) -> Path:
    with h5py.File(path, "w") as file:
        file[name] = values[np.newaxis]
        file[name].attrs["unit"] = unit
        file["halo_id"] = ["a"]
        file.attrs["z"] = _Z
    return path


def _some_map() -> np.ndarray:
    return np.random.default_rng(3).uniform(1e13, 3e15, (16, 16))


@check(
    1e-8,
    reason="the digits of G M_sun",
    source="1 Msun/h / (kpc/h)^2 comoving = h (1 + z)^2 1e6 Msun/Mpc2, and so on",
)
def maps_with_factors_of_h(lab: Lab) -> float:
    """Surface densities of maps in units with h, comoving and physical, as convergence; sides of pixels."""
    values, worst = _some_map(), 0.0
    critical = Background().sigma_critical(_Z)
    cases = (
        ("Msun / Mpc2", 1.0, "Mpc", 1.0),
        ("h Msun / pc2", _H * 1e12, "kpc", 1e-3),
        ("1e10 Msun/h / (kpc/h)^2", 1e16 * _H, "Mpc/h", 1.0 / _H),
        ("Msun h Mpc^-2 (comoving)", _H * (1.0 + _Z) ** 2, "kpc/h comoving", 1e-3 / _H / (1.0 + _Z)),
    )
    for unit, factor, side, size in cases:
        path = _stack(lab.folder / "units.h5", "sigma", values / factor, unit)
        read = _first(lab, "grid", path, pixel=0.05, pixel_unit=side)
        worst = max(worst, relative(read.kappa_inf, values / critical), relative(read.pixel_mpc, 0.05 * size))
    return worst


@check(
    1e-9,
    reason="rounding and distances",
    source="side in arcsec times the angular-diameter distance; kappa over beta_s",
)
def maps_on_the_sky(lab: Lab) -> float:
    """Pixels in arcseconds, and convergence of a source plane taken to infinite redshift."""
    background, values = Background(), _some_map() / 1e16
    path = _stack(lab.folder / "sky.h5", "kappa", values, "")
    read = _first(
        lab, "grid", path, map="kappa", quantity="kappa", z_source=1.0, pixel=3.0, pixel_unit="arcsec"
    )
    side = 3.0 / 60.0 * ARCMINUTE * background.distance(_Z)
    beta = float(background.beta_s(1.0, _Z))
    return max(relative(read.kappa_inf, values / beta), relative(read.pixel_mpc, side))


@check(1e-12, reason="rounding", source="the file itself, by h5py, over c2 / (4 pi G) / (D beta)")
def default_campaigns_maps(lab: Lab) -> float:
    """Maps of the default campaign: values, orientation, pixel and the projections of one halo."""
    path = nbody_maps()
    it = open_reader(
        Simulation(reader="grid", path=str(path), options={"check_cosmology": False}), lab.cosmology, seed=1
    )
    halos = it.halos()
    unit = lab.tables.environment(_Z).sigma_crit_inf_msun_mpc2
    with h5py.File(path, locking=False) as file:
        row = len(halos) // 2
        image = it.read(halos[row], lab.tables, it.prepare())
        stored = np.asarray(file["sigma"][row], dtype=float) * float(
            file["sigma"].attrs.get("scale_factor", 1.0)
        )
        stored += float(file["sigma"].attrs.get("add_offset", 0.0))
        pixel = float(file.attrs["pixel_mpc"])
        groups = len(set(file["parent_id"][()].tolist()))
    wrong = abs(len({h.parent for h in halos}) - groups)
    return max(relative(image.kappa_inf * unit, stored), relative(image.pixel_mpc, pixel), float(wrong))


@check(
    1e-12,
    reason="rounding",
    source="h Msun / pc2 = h 1e12 Msun / Mpc2; a comoving Mpc/h = 1 / (h (1 + z)) Mpc",
)
def profiles_with_factors_of_h(lab: Lab) -> float:
    """A table of excess surface densities with comoving radii and factors of h; errors from its weights."""
    radius, value = np.array([0.3, 0.8, 2.0]), np.array([40.0, 20.0, 7.0])
    path = lab.folder / "profiles.h5"
    with h5py.File(path, "w") as file:
        file["halo_id"], file["z"] = ["a", "b"], [_Z, _Z]
        for name, row in (
            ("radius", radius),
            ("ds_t", value),
            ("ds_x", 0.1 * value),
            ("w", [4.0, 16.0, 64.0]),
        ):
            file[name] = np.array([row, row])
    units = {"radius": "Mpc/h comoving", "value": "h Msun / pc2", "weight": "pc4 / (h Msun)^2"}
    read = _first(lab, "profiles", path, units=units, shape_noise=6.0)
    expected = (radius / (_H * (1.0 + _Z)), value * _H * 1e12, np.array([3.0, 1.5, 0.75]) * _H * 1e12)
    return max(
        relative(a, b) for a, b in zip((read.radius_mpc, read.value, read.error), expected, strict=True)
    )


@check(1e-12, reason="rounding", source="Msun/h over h")
def true_masses_with_factors_of_h(lab: Lab) -> float:
    """True masses of a table in Msun/h."""
    path = lab.folder / "truth.csv"
    path.write_text("halo_id,mass\n007,3.5e14\nb,1.4e15\n", encoding="utf-8")
    truth = read_truth(path, halo_id="halo_id", mass="mass", unit="Msun/h", h=_H)
    return relative([truth["007"], truth["b"]], [3.5e14 / _H, 1.4e15 / _H])


@check(1e-12, reason="rounding", source="mass and centre of mass of the particles themselves")
def particles_on_a_grid(lab: Lab) -> float:
    """Particles shared between pixels: all of their mass is there, and where it is."""
    rng = np.random.default_rng(8)
    x, y = rng.uniform(-3.0, 3.0, (2, 5000))
    mass = rng.uniform(1e10, 1e11, 5000)
    middle = (np.arange(64) - 31.5) * 0.125
    worst = 0.0
    for assignment in ("cic", "tsc"):
        image = surface_density(x, y, mass, 64, 0.125, assignment) * 0.125**2
        worst = max(
            worst,
            relative(image.sum(), mass.sum()),
            abs(float((image @ middle).sum() / mass.sum() - x @ mass / mass.sum())),
            abs(float((middle @ image).sum() / mass.sum() - y @ mass / mass.sum())),
        )
    return worst


@check(
    1e-9, reason="rounding", source="beta = beta_s beta(infinity); c2 / (4 pi G) = Sigma_crit D beta, in SI"
)
def source_plane_of_profiles(lab: Lab) -> float:
    """beta_s of the sources of a shear profile, given by their mean <beta> or by a redshift."""
    background, worst = Background(), 0.0
    for column, stored in (("beta", background.beta(1.1, _Z)), ("z_source", 1.1)):
        path = lab.folder / "plane.h5"
        with h5py.File(path, "w") as file:
            file["halo_id"], file["z"] = ["a"], [_Z]
            file["radius"], file["value"] = [[0.5, 1.0]], [[0.1, 0.05]]
            file["error"] = [[0.01, 0.01]]
            file["radius"].attrs["unit"] = "Mpc"
        columns = {"value": "value", "error": "error", column: stored}
        read = _first(lab, "profiles", path, observable="g_t", columns=columns)
        worst = max(
            worst,
            relative(read.beta_s, background.beta_s(1.1, _Z)),
            relative(
                read.sigma_crit_inf_msun_mpc2 * read.d_lens_mpc * background.beta(math.inf, _Z),
                LIGHT_KM_S**2 / (4 * math.pi * GRAVITY),
            ),
        )
    return worst


def _some_fit(lab: Lab) -> HaloFit:
    return scan.fit(lab.profile(Lens()), lab.model(4.0, mass_definitions=("200c", "500c")))


@check(
    0.0, reason="a file holds all bits", source="the record that was saved", quantity="numbers that differ"
)
def stored_fits_come_back(lab: Lab) -> float:
    """A fit saved and loaded again has the same likelihoods, summaries and profile, bit by bit."""
    fit, path = _some_fit(lab), lab.folder / "fit.h5"
    save_fit(path, fit, {"seed": 1})
    back = load_fit(path, fit.halo_id)
    different = sum(int(np.sum(fit.ln_like[k] != back.ln_like[k])) for k in fit.ln_like)
    different += sum(fit.summary[k] != back.summary[k] for k in fit.summary)
    assert fit.profile is not None
    assert back.profile is not None
    for name in ("radius_mpc", "value", "error", "beta_s", "beta_s2"):
        different += int(np.sum(getattr(fit.profile, name) != getattr(back.profile, name)))
    return float(different)


@check(
    0.0,
    reason="no damage may pass",
    source="a flipped bit and a cut at 40 places",
    quantity="damaged files accepted",
)
def damaged_files_are_refused(lab: Lab) -> float:
    """A result file with one bit changed, or cut short, is refused by its checksum."""
    path = lab.folder / "damaged.h5"
    save_fit(path, _some_fit(lab), {"seed": 1})
    whole = path.read_bytes()
    accepted = 0
    for place in np.linspace(512, len(whole) - 1, 40).astype(int):
        flipped = bytearray(whole)
        flipped[place] ^= 1
        for content in (bytes(flipped), whole[:place]):
            path.write_bytes(content)
            try:
                load_fit(path)
            except StoreError:
                continue
            except Exception:  # it came as far as the HDF5 library, which damage may crash
                accepted += 1
                continue
            accepted += 1
    return float(accepted)
