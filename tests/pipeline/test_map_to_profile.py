"""Map, catalogue, profile: a noise-free NFW halo comes back, whatever the map's orientation."""

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose

from clmassmod.config import RadialBins, halo_rng
from clmassmod.core.fields import CircularField, MapField
from clmassmod.core.shear import reduced_shear
from clmassmod.core.units import ARCMIN_RAD
from clmassmod.measure import measure
from clmassmod.mock import observe
from clmassmod.records import LensingMap

DENSE = 200  # galaxies per arcmin2: the sampling noise of the mean radius is far below 0.3 %


def model(profile, nfw_profile):
    surface = nfw_profile(profile.radius_mpc)
    return reduced_shear(
        surface.sigma, surface.delta_sigma, profile.sigma_crit_inf_msun_mpc2, profile.beta_s, profile.beta_s2
    )


@pytest.mark.parametrize(("spacing", "n"), [("linear", 15), ("log", 10), ("equal_count", 40)])
@pytest.mark.parametrize("centre", [(0.0, 0.0), (0.41, -0.23)])
def test_nfw_map_gives_the_model_back(nfw_map, nfw_profile, survey, tables, spacing, n, centre):
    catalog = observe(
        nfw_map(centre_mpc=centre), survey(density_per_arcmin2=DENSE), tables, np.random.default_rng(1)
    )
    profile = measure(catalog, (0.3, 3.0), RadialBins(n=n, spacing=spacing))
    error = profile.value / model(profile, nfw_profile) - 1
    cross = profile.cross / profile.value
    print(f"{spacing}: largest error {np.abs(error).max():.2e}, cross / tangential {np.abs(cross).max():.2e}")
    assert np.abs(error).max() < 0.003
    assert np.abs(cross).max() < 0.001


def test_exact_field_has_no_cross_shear(halo, nfw_profile, survey, tables):
    field = CircularField(halo, nfw_profile, tables.environment(halo.z).sigma_crit_inf_msun_mpc2)
    catalog = observe(field, survey(), tables, np.random.default_rng(1))
    profile = measure(catalog, (0.3, 3.0), RadialBins(n=30))
    assert_allclose(profile.cross, 0, atol=1e-15)
    assert_allclose(profile.value, model(profile, nfw_profile), rtol=0.002)


def elongated(halo, nfw_profile, tables, angle, mirror=1, shift=(0.0, 0.0), n=640, pixel=0.02):
    """A lumpy map that is turned, mirrored and shifted by formula, not by moving pixels."""
    x = (np.arange(n) - (n - 1) / 2) * pixel
    x, y = np.meshgrid(x - shift[0], x - shift[1])
    c, s = np.cos(angle), np.sin(angle)
    u, v = (c * x + s * y), mirror * (c * y - s * x)
    kappa = sum(
        a * np.exp(-((u - p) ** 2 / 0.6 + (v - q) ** 2) / (2 * w**2))
        for a, p, q, w in [(0.3, 0, 0, 0.5), (0.1, 0.9, 0.3, 0.2), (0.05, -0.5, 1.2, 0.3)]
    )
    return LensingMap(halo, pixel, kappa, centre_mpc=shift)


@pytest.mark.parametrize(
    ("angle", "mirror", "shift"),
    [(np.pi / 3, 1, (0.0, 0.0)), (0.0, -1, (0.0, 0.0)), (1.0, -1, (0.0, 0.0)), (0.0, 1, (0.333, -0.511))],
)
def test_rotated_mirrored_or_shifted_map_gives_the_same_profile(
    halo, nfw_profile, tables, angle, mirror, shift
):
    """Galaxies on rings turn with the map, so that the profiles agree to the interpolation's error."""
    rng = np.random.default_rng(5)
    r, phi = np.sqrt(rng.uniform(0.3**2, 3.0**2, 4000)), rng.uniform(0, 2 * np.pi, 4000)

    def tangential(lensing, phi):
        x, y = r * np.cos(phi), r * np.sin(phi)
        kappa, g1, g2 = MapField(lensing, 3.1).at(x, y)
        return np.stack(
            [
                kappa,
                -(g1 * np.cos(2 * phi) + g2 * np.sin(2 * phi)),
                g1 * np.sin(2 * phi) - g2 * np.cos(2 * phi),
            ]
        )

    reference = tangential(elongated(halo, nfw_profile, tables, 0.0), phi)
    moved = tangential(elongated(halo, nfw_profile, tables, angle, mirror, shift), mirror * phi + angle)
    moved[2] *= mirror  # the cross component changes sign in a mirror
    assert_allclose(moved, reference, atol=2e-4)  # largest value 0.3


def test_given_shears_are_used(nfw_map, survey, tables):
    lensing = nfw_map(256, 0.06)
    field = MapField(lensing)
    flat = dataclasses.replace(
        lensing, gamma1_inf=np.full((256, 256), 0.1), gamma2_inf=np.full((256, 256), -0.2)
    )
    kappa, g1, g2 = MapField(flat).at(np.array([0.5]), np.array([0.7]))
    assert_allclose([g1[0], g2[0]], [0.1, -0.2])
    assert_allclose(kappa, field.at(np.array([0.5]), np.array([0.7]))[0])


def test_small_reach_changes_nothing_that_matters(nfw_map):
    lensing = nfw_map()
    x = np.linspace(0.3, 2.0, 50)
    for near, far in zip(
        MapField(lensing, 2.1).at(x, -0.3 * x), MapField(lensing).at(x, -0.3 * x), strict=True
    ):
        assert_allclose(near, far, rtol=0.005, atol=2e-4)  # round against square edge of the map


def test_offset_centre_is_about_the_assumed_centre(nfw_map, survey, tables):
    shifted = survey(
        centre={"model": "gaussian", "parameters": {"sigma_mpc": 0.3}}, density_per_arcmin2=DENSE
    )
    catalog = observe(nfw_map(), shifted, tables, halo_rng(1, "test", "mock/x"))
    dx, dy = catalog.offset_mpc
    assert np.hypot(dx, dy) > 0.05
    assert np.hypot(catalog.x_arcmin, catalog.y_arcmin).max() <= 13.5
    about_truth = dataclasses.replace(
        catalog,
        x_arcmin=catalog.x_arcmin + dx / (catalog.d_lens_mpc * ARCMIN_RAD),
        y_arcmin=catalog.y_arcmin + dy / (catalog.d_lens_mpc * ARCMIN_RAD),
    )
    assert (
        measure(about_truth, (0.1, 0.3), RadialBins(n=1)).value
        > measure(catalog, (0.1, 0.3), RadialBins(n=1)).value
    )
