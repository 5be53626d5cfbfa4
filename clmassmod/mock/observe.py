"""One halo and one survey: assumed centre, galaxies, their redshifts, shears and shapes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from clmassmod.config.survey import Survey
from clmassmod.core.centres import Offset
from clmassmod.core.fields import LensingField, MapField, ScaledField, position_angle
from clmassmod.core.units import ARCMIN_RAD
from clmassmod.errors import ConfigError
from clmassmod.mock import centre, positions
from clmassmod.mock.catalogue import observe_catalogue
from clmassmod.mock.conditions import Observation, choose
from clmassmod.mock.footprint import Region, draw_region
from clmassmod.mock.galaxies import Galaxies, draw_galaxies
from clmassmod.mock.members import draw_members, per_background
from clmassmod.mock.noise_profile import observe_like
from clmassmod.mock.shapes import count_factor, ellipticities, noise_of, reduced_shears
from clmassmod.mock.streams import Streams
from clmassmod.records import Array, HaloEnvironment, HaloInfo, LensingMap, SourceCatalog
from clmassmod.tables import Tables


def observe(
    lensing: LensingMap | LensingField | SourceCatalog,
    survey: Survey,
    tables: Tables,
    rng: np.random.Generator,
) -> SourceCatalog:
    """Return the catalogue that a survey would have of a halo.

    Parameters
    ----------
    lensing
        The halo's lensing: a pixel map, or anything with ``halo``, ``covers`` and ``at``; or galaxies
        of a simulation with shears, which the survey selects, centres and makes noisy.
    survey
        What is observed. Positions that the map does not cover have no galaxy.
    tables
        Distances of the campaign's cosmology.
    rng
        Centre, footprint, positions, redshifts, shapes and so on have each their own stream of it, so
        that surveys that differ in one alone share the draws of the others.

    Returns
    -------
    SourceCatalog
        Galaxies about the assumed centre. Ellipticities are reduced shears (1 / g* inside critical
        curves) with shear bias and normal shape noise. ``extra`` may hold magnitudes, true redshifts,
        each galaxy's shape noise, and the factor ``boost`` that corrects for cluster members.

    Raises
    ------
    ConfigError
        For a survey that cannot be, such as sources of which none lies behind the halo.
    """
    streams = Streams(rng)
    if isinstance(lensing, SourceCatalog):
        return observe_catalogue(lensing, survey, tables, streams)
    scene = _Scene.build(lensing, survey, tables, streams)
    if survey.noise_profile is not None:
        field = scene.field(np.inf)
        beta_inf = float(tables.beta(np.inf, scene.halo.z))
        return observe_like(
            field, survey.noise_profile, scene.environment, beta_inf, scene.offset, streams["shapes"]
        )
    region = draw_region(survey.footprint, streams["region"])
    galaxies, field = _galaxies(scene, survey, region, streams)
    catalogue = _observed(scene, survey, tables, galaxies, field, streams)
    if centre.takes_catalogue(survey.centre):
        return recentred(catalogue, centre.call(survey.centre, catalogue))
    return catalogue


@dataclass(frozen=True)
class _Scene:
    """A halo as it is placed on the sky."""

    lensing: LensingMap | LensingField
    halo: HaloInfo
    environment: HaloEnvironment
    factor: float  # of the lensing, where the halo was moved to another redshift
    offset: Offset
    observation: Observation | None

    @classmethod
    def build(
        cls, lensing: LensingMap | LensingField, survey: Survey, tables: Tables, streams: Streams
    ) -> _Scene:
        halo, factor = lensing.halo, 1.0
        environment = tables.environment(halo.z)
        seen_as, z = None, survey.rescale_z
        if survey.conditions is not None:
            seen_as = choose(survey.conditions, streams["conditions"])
            z = seen_as.z if survey.conditions.rescale_z else z
        if z is not None:
            critical = environment.sigma_crit_inf_msun_mpc2
            halo, environment = replace(halo, z=z), tables.environment(z)
            factor = critical / environment.sigma_crit_inf_msun_mpc2
        asked = halo if seen_as is None else replace(halo, extra={**halo.extra, **seen_as.observables})
        offset: Offset = (0.0, 0.0)
        if survey.centre.model != "none" and not centre.takes_catalogue(survey.centre):
            offset = centre.draw_centre(
                survey.centre, asked, environment, streams["centre"], lambda: _position_angle(lensing)
            )
        return cls(lensing, halo, environment, factor, offset, seen_as)

    @property
    def mpc_per_arcmin(self) -> float:
        return self.environment.d_lens_mpc * ARCMIN_RAD

    def field(self, half_arcmin: float) -> LensingField:
        """Return the lensing within a square about the assumed centre."""
        field = self.lensing
        if isinstance(field, LensingMap):
            field = MapField(field, half_arcmin * self.mpc_per_arcmin + max(map(abs, self.offset)))
        return field if self.halo is self.lensing.halo else ScaledField(field, self.halo, self.factor)

    def to_mpc(self, x_arcmin: Array, y_arcmin: Array) -> tuple[Array, Array]:
        """Return positions from the true centre."""
        scale = self.mpc_per_arcmin
        return x_arcmin * scale + self.offset[0], y_arcmin * scale + self.offset[1]

    def to_arcmin(self, x_mpc: Array, y_mpc: Array) -> tuple[Array, Array]:
        """Return positions from the assumed centre."""
        scale = 1.0 / self.mpc_per_arcmin
        return (x_mpc - self.offset[0]) * scale, (y_mpc - self.offset[1]) * scale


def _position_angle(lensing: LensingMap | LensingField) -> float:
    if isinstance(lensing, LensingMap):
        return position_angle(lensing)
    angle = getattr(lensing, "position_angle", None)
    if angle is None:
        raise ConfigError("centre.alignment: this kind of halo has no long axis")
    return float(angle)


def _galaxies(
    scene: _Scene, survey: Survey, region: Region, streams: Streams
) -> tuple[Galaxies, LensingField]:
    """Return galaxies that are there to be seen, and the lensing where they are."""
    field = scene.field(region.half_arcmin)
    density = survey.density_per_arcmin2
    if scene.observation is not None and scene.observation.density_per_arcmin2 is not None:
        density = scene.observation.density_per_arcmin2
    extra = survey.magnification.largest if survey.magnification is not None else 1.0
    where = _positions(scene, survey, region, field, None if density is None else density * extra, streams)
    covered = field.covers(*scene.to_mpc(where.x, where.y))
    where = where if covered.all() else where.kept(covered)
    galaxies = draw_galaxies(survey, scene.halo.z, where, streams["redshifts"], streams["photo_z"])
    if survey.members is not None:
        galaxies = _with_members(scene, survey, region, field, galaxies, density or 1.0, streams)
    return galaxies, field


def _positions(
    scene: _Scene,
    survey: Survey,
    region: Region,
    field: LensingField,
    density: float | None,
    streams: Streams,
) -> positions.Positions:
    rng = streams["positions"]
    if survey.positions == "table" and survey.positions_path is not None:
        return positions.from_table(survey.positions_path, region)
    inner = field.field if isinstance(field, ScaledField) else field
    if survey.positions == "pixels" or density is None:
        if not isinstance(inner, MapField):
            raise ConfigError(
                f"positions {survey.positions!r}: this kind of halo has no pixels or galaxies of its own"
            )
        return positions.pixels(region, *scene.to_arcmin(*inner.pixel_positions()), density, rng)
    half = region.half_arcmin
    box = (-half, half, -half, half)
    if isinstance(inner, MapField):
        x0, x1, y0, y1 = inner.extent_mpc
        (left, right), (low, high) = scene.to_arcmin(np.array([x0, x1]), np.array([y0, y1]))
        box = (max(-half, left), min(half, right), max(-half, low), min(half, high))
        box = (box[0], max(box[:2]), box[2], max(box[2:]))
    if survey.clustering is not None:
        members = survey.clustering.members
        if survey.magnification is not None:
            members *= survey.magnification.largest
        return positions.clustered(
            region, box, density, survey.clustering.model_copy(update={"members": members}), rng
        )
    return positions.uniform(region, box, density, rng)


def _with_members(
    scene: _Scene,
    survey: Survey,
    region: Region,
    field: LensingField,
    galaxies: Galaxies,
    density: float,
    streams: Streams,
) -> Galaxies:
    """Return the galaxies and the cluster's own, which the observer cannot tell from them."""
    assert survey.members is not None
    reach = region.half_arcmin * np.sqrt(2.0) * scene.mpc_per_arcmin + float(np.hypot(*scene.offset))
    rng = streams["members"]
    x, y = draw_members(survey.members, density / scene.mpc_per_arcmin**2, reach, rng)
    inside = field.covers(x, y)
    found = positions.Positions(*scene.to_arcmin(x[inside], y[inside]))
    found = found.kept(region.contains(found.x, found.y))
    size = found.x.size
    like = draw_galaxies(survey, scene.halo.z, found, rng, rng)
    like = replace(like, z=np.full(size, scene.halo.z), member=np.ones(size, dtype=bool))
    return replace(galaxies, member=np.zeros(galaxies.x.size, dtype=bool)).joined(like)


def _observed(
    scene: _Scene, survey: Survey, tables: Tables, galaxies: Galaxies, field: LensingField, streams: Streams
) -> SourceCatalog:
    """Return the catalogue: galaxies sheared, counted and measured."""
    environment, observation = scene.environment, scene.observation
    true_beta, beta = _betas(scene, tables, galaxies, observation)
    lensing = field.at(*scene.to_mpc(galaxies.x, galaxies.y))
    if survey.magnification is not None:
        slope = survey.magnification.slope
        if slope is None:
            slope = survey.magnitudes.slope if survey.magnitudes is not None else 0.0
        largest = survey.magnification.largest
        seen = count_factor(*lensing, true_beta, slope, largest)
        keep = streams["magnification"].random(galaxies.x.size) * largest < seen
        if galaxies.member is not None:
            keep |= galaxies.member
        galaxies, true_beta, beta = galaxies.kept(keep), true_beta[keep], beta[keep]
        lensing = (lensing[0][keep], lensing[1][keep], lensing[2][keep])
    g1, g2 = reduced_shears(*lensing, true_beta)
    noise = noise_of(survey, galaxies.magnitude)
    e1, e2 = ellipticities(survey, g1, g2, galaxies.magnitude, noise, streams["shapes"])
    known = observation is None
    return SourceCatalog(
        halo=scene.halo,
        x_arcmin=galaxies.x,
        y_arcmin=galaxies.y,
        e1=e1,
        e2=e2,
        z_source=galaxies.z_observed if known else np.full(e1.size, np.nan),
        beta_s=beta,
        weight=np.ones(e1.size),
        d_lens_mpc=environment.d_lens_mpc,
        sigma_crit_inf_msun_mpc2=environment.sigma_crit_inf_msun_mpc2,
        shape_noise=survey.shape_noise if survey.error_shape_noise is None else survey.error_shape_noise,
        offset_mpc=scene.offset,
        extra=_extra(scene, survey, galaxies, noise),
    )


def _betas(
    scene: _Scene, tables: Tables, galaxies: Galaxies, observation: Observation | None
) -> tuple[Array, Array]:
    """Return beta_s that shears each galaxy, and beta_s that the observer believes."""
    if observation is not None:
        beta_inf = float(tables.beta(np.inf, observation.z))
        beta = np.full(galaxies.x.size, observation.beta / beta_inf)
        if observation.beta > beta_inf:
            raise ConfigError(
                f"conditions: {observation.cluster} has <beta> = {observation.beta:g}, more than a source at "
                f"infinite redshift has behind z = {observation.z:g} in this cosmology, {beta_inf:.4g}"
            )
        return beta if galaxies.member is None else np.where(galaxies.member, 0.0, beta), beta
    true = tables.beta_s(galaxies.z, scene.halo.z)
    if galaxies.z_observed is galaxies.z:
        return true, true
    return true, tables.beta_s(galaxies.z_observed, scene.halo.z)


def _extra(scene: _Scene, survey: Survey, galaxies: Galaxies, noise: Array | None) -> dict[str, Array]:
    extra: dict[str, Array] = {}
    if noise is not None:
        extra["shape_noise"] = noise
    if galaxies.magnitude is not None:
        extra["magnitude"] = galaxies.magnitude
    if galaxies.z_observed is not galaxies.z:
        extra["z_true"] = galaxies.z
    if galaxies.member is not None and survey.members is not None:
        extra["member"] = galaxies.member.astype(float)
        if survey.members.correct:
            radius = np.hypot(galaxies.x, galaxies.y) * scene.mpc_per_arcmin
            assumed = survey.members.assumed_fraction
            extra["boost"] = 1.0 + per_background(survey.members, radius, assumed)
    return extra


def recentred(catalogue: SourceCatalog, further_mpc: Offset) -> SourceCatalog:
    """Return the same galaxies about another centre."""
    scale = 1.0 / (catalogue.d_lens_mpc * ARCMIN_RAD)
    return replace(
        catalogue,
        x_arcmin=catalogue.x_arcmin - further_mpc[0] * scale,
        y_arcmin=catalogue.y_arcmin - further_mpc[1] * scale,
        offset_mpc=(catalogue.offset_mpc[0] + further_mpc[0], catalogue.offset_mpc[1] + further_mpc[1]),
    )
