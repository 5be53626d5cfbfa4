"""One halo and one survey: assumed centre, galaxies, their redshifts, shears and shapes."""

from __future__ import annotations

import math

import numpy as np

from clmassmod.config.survey import Survey
from clmassmod.core.fields import LensingField, MapField
from clmassmod.core.units import ARCMIN_RAD
from clmassmod.mock.footprint import draw_positions, half_size_arcmin
from clmassmod.mock.sources import draw_redshifts
from clmassmod.records import Array, HaloEnvironment, HaloInfo, LensingMap, SourceCatalog
from clmassmod.registry import CENTRES
from clmassmod.tables import Tables


def observe(
    lensing: LensingMap | LensingField, survey: Survey, tables: Tables, rng: np.random.Generator
) -> SourceCatalog:
    """Return the catalogue that a survey would have of a halo.

    Parameters
    ----------
    lensing
        The halo's lensing: a pixel map, or anything with ``halo``, ``covers`` and ``at``.
    survey
        What is observed. Positions that the map does not cover have no galaxy.
    tables
        Distances of the campaign's cosmology.
    rng
        Centre, positions, redshifts and shapes have each their own stream of it, so that surveys that
        differ in one alone share the draws of the others.

    Returns
    -------
    SourceCatalog
        Galaxies about the assumed centre. Ellipticities are reduced shears (1 / g* inside critical
        curves) with shear bias and normal shape noise.
    """
    halo = lensing.halo
    environment = tables.environment(halo.z)
    centre_rng, position_rng, redshift_rng, shape_rng = rng.spawn(4)
    offset = draw_centre(survey, halo, environment, centre_rng)
    mpc_per_arcmin = environment.d_lens_mpc * ARCMIN_RAD
    if isinstance(lensing, LensingMap):
        reach = half_size_arcmin(survey.footprint) * mpc_per_arcmin + max(map(abs, offset))
        lensing = MapField(lensing, reach)
    x, y = draw_positions(survey.footprint, survey.density_per_arcmin2, position_rng)
    x_mpc, y_mpc = x * mpc_per_arcmin + offset[0], y * mpc_per_arcmin + offset[1]
    covered = lensing.covers(x_mpc, y_mpc)
    if not covered.all():
        x, y, x_mpc, y_mpc = x[covered], y[covered], x_mpc[covered], y_mpc[covered]
    z_source = draw_redshifts(survey.sources, halo.z, redshift_rng, x.size)
    beta_s = tables.beta_s(z_source, halo.z)
    g1, g2 = reduced_shears(*lensing.at(x_mpc, y_mpc), beta_s)
    e1, e2 = _shapes(survey, g1, g2, shape_rng)
    return SourceCatalog(
        halo=halo,
        x_arcmin=x,
        y_arcmin=y,
        e1=e1,
        e2=e2,
        z_source=z_source,
        beta_s=beta_s,
        weight=np.ones(x.size),
        d_lens_mpc=environment.d_lens_mpc,
        sigma_crit_inf_msun_mpc2=environment.sigma_crit_inf_msun_mpc2,
        shape_noise=survey.shape_noise if survey.error_shape_noise is None else survey.error_shape_noise,
        offset_mpc=offset,
    )


def draw_centre(
    survey: Survey, halo: HaloInfo, environment: HaloEnvironment, rng: np.random.Generator
) -> tuple[float, float]:
    """Return the assumed minus the true centre in Mpc."""
    if survey.centre.model == "none":
        return 0.0, 0.0
    x, y = CENTRES.load(survey.centre.model)(rng, halo, environment, **survey.centre.parameters)
    return float(x), float(y)


def reduced_shears(kappa: Array, gamma1: Array, gamma2: Array, beta_s: Array) -> tuple[Array, Array]:
    """Return what ellipticities estimate: g, or 1 / g* where |g| > 1, (source,) each."""
    factor = beta_s / (1.0 - beta_s * kappa)
    g1, g2 = gamma1 * factor, gamma2 * factor
    square = g1 * g1 + g2 * g2
    strong = square > 1.0
    if strong.any():
        g1[strong] /= square[strong]
        g2[strong] /= square[strong]
    return g1, g2


def _shapes(survey: Survey, g1: Array, g2: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    gain = 1.0 + survey.shear_m
    c1, c2 = survey.shear_c
    e1, e2 = gain * g1 + c1, gain * g2 + c2
    if survey.shape_noise > 0:
        noise = rng.standard_normal((2, g1.size))
        e1 += survey.shape_noise * noise[0]
        e2 += survey.shape_noise * noise[1]
    if not math.isfinite(float(np.sum(e1) + np.sum(e2))):
        raise FloatingPointError("the lensing of this halo is not finite at some galaxy")
    return e1, e2
