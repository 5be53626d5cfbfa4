"""A cosmology, its tables, and an NFW halo as a pixel map, shared by the tests of the sky's part."""

from functools import partial

import numpy as np
import pytest

from clmassmod.config import Survey, build
from clmassmod.core import nfw
from clmassmod.core.massdef import threshold_density_msun_mpc3
from clmassmod.cosmology import Cosmology
from clmassmod.records import HaloInfo, LensingMap
from clmassmod.tables import Tables
from clmassmod.tables import build as build_tables

Z_LENS = 0.25
MASS_MSUN, CONCENTRATION = 5e14, 4.0


@pytest.fixture(scope="session")
def cosmology():
    return Cosmology(H0=70.0, Om0=0.3, Ob0=0.047, sigma8=0.82, ns=0.96)


@pytest.fixture(scope="session")
def tables(cosmology):
    return Tables(build_tables(cosmology, z_range=(0.1, 1.5), structure=False))


@pytest.fixture(scope="session")
def halo():
    return HaloInfo("test", Z_LENS)


@pytest.fixture(scope="session")
def nfw_profile(tables):
    """Return the exact projected profile of the test's halo."""
    environment = tables.environment(Z_LENS)
    density = threshold_density_msun_mpc3("200c", environment)
    return partial(nfw.projected, mass_msun=MASS_MSUN, concentration=CONCENTRATION, density_msun_mpc3=density)


@pytest.fixture(scope="session")
def nfw_map(tables, halo, nfw_profile):
    """Return a function that paints the halo: pixel averages by 6 x 6 points, any centre in the map."""
    critical = tables.environment(Z_LENS).sigma_crit_inf_msun_mpc2

    def paint(n=512, pixel_mpc=0.0268, centre_mpc=(0.0, 0.0), fine=6):
        offsets = (np.arange(fine) + 0.5) / fine - 0.5
        x = (np.arange(n) - (n - 1) / 2) * pixel_mpc
        kappa = np.zeros((n, n))
        for dy in offsets * pixel_mpc:
            for dx in offsets * pixel_mpc:
                r = np.hypot(x + dx - centre_mpc[0], (x + dy - centre_mpc[1])[:, np.newaxis])
                kappa += nfw_profile(np.maximum(r, 1e-6)).sigma / (critical * fine**2)
        return LensingMap(halo, pixel_mpc, kappa, centre_mpc=centre_mpc)

    return paint


@pytest.fixture(scope="session")
def survey():
    """Return a function that builds a survey; keys replace those of a noise-free source plane."""

    def make(**changes):
        keys = {
            "density_per_arcmin2": 20,
            "shape_noise": 0.0,
            "error_shape_noise": 0.25,
            "sources": {"distribution": "plane", "z": 1.0},
            "footprint": {"shape": "circle", "radius_arcmin": 13.5},
        }
        return build(Survey, keys | changes)

    return make
