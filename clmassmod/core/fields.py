"""Lensing at any position round a halo: from pixel maps or from formulae.

Everything that can be observed offers ``halo`` and ``at(x_mpc, y_mpc)``; positions are physical Mpc
from the true centre, lensing quantities those of a source at infinite redshift.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from clmassmod.core.maps import convergence_to_shear, inside, interpolate
from clmassmod.core.profiles.elliptical import Ellipse, surface_density_and_shear
from clmassmod.core.projected import Projected
from clmassmod.core.random_field import RandomField
from clmassmod.records import Array, HaloInfo, LensingMap


class LensingField(Protocol):
    """What a mock survey observes."""

    @property
    def halo(self) -> HaloInfo:
        """The halo in the middle of the field."""

    def covers(self, x_mpc: Array, y_mpc: Array) -> NDArray[np.bool_]:
        """Return which positions the field knows, (source,)."""

    def at(self, x_mpc: Array, y_mpc: Array) -> tuple[Array, Array, Array]:
        """Return convergence, gamma1 and gamma2 at positions, (source,) each."""


class MapField:
    """A pixel map between its pixels; missing shears are derived from the convergence.

    Parameters
    ----------
    lensing_map
        Convergence, with or without shears.
    reach_mpc
        Positions are asked for within this distance of the true centre along each axis; the whole
        map by default. A smaller reach costs less where shears are to be derived.
    """

    def __init__(self, lensing_map: LensingMap, reach_mpc: float = math.inf) -> None:
        self.halo = lensing_map.halo
        self._pixel = lensing_map.pixel_mpc
        n_y, n_x = lensing_map.kappa_inf.shape
        x_0 = 0.5 * (n_x - 1) + lensing_map.centre_mpc[0] / self._pixel
        y_0 = 0.5 * (n_y - 1) + lensing_map.centre_mpc[1] / self._pixel
        (left, right), (low, high) = (
            _span(x_0, reach_mpc / self._pixel, n_x),
            _span(y_0, reach_mpc / self._pixel, n_y),
        )
        self._origin = (x_0 - left, y_0 - low)
        kappa = lensing_map.kappa_inf[low:high, left:right]
        g1, g2 = lensing_map.gamma1_inf, lensing_map.gamma2_inf
        if g1 is None or g2 is None:
            edge = min(x_0, y_0, n_x - 1 - x_0, n_y - 1 - y_0)
            corner = math.hypot(max(right - 1 - x_0, x_0 - left), max(high - 1 - y_0, y_0 - low))
            disc = (x_0, y_0, edge) if corner < edge else None
            g1, g2 = convergence_to_shear(lensing_map.kappa_inf, (low, high, left, right), disc)
        else:
            g1, g2 = g1[low:high, left:right], g2[low:high, left:right]
        self._images = np.stack([kappa, g1, g2], axis=-1)

    def _pixels(self, x_mpc: Array, y_mpc: Array) -> tuple[Array, Array]:
        return x_mpc / self._pixel + self._origin[0], y_mpc / self._pixel + self._origin[1]

    @property
    def extent_mpc(self) -> tuple[float, float, float, float]:
        """Positions that the map covers: x from, x to, y from, y to."""
        n_y, n_x = self._images.shape[:2]
        (x, y), pixel = self._origin, self._pixel
        return (1 - x) * pixel, (n_x - 2 - x) * pixel, (1 - y) * pixel, (n_y - 2 - y) * pixel

    def pixel_positions(self) -> tuple[Array, Array]:
        """Return the middles of all pixels that the map covers, (source,)."""
        n_y, n_x = self._images.shape[:2]
        y, x = np.mgrid[1 : n_y - 2, 1 : n_x - 2].reshape(2, -1).astype(float)
        return (x - self._origin[0]) * self._pixel, (y - self._origin[1]) * self._pixel

    def covers(self, x_mpc: Array, y_mpc: Array) -> NDArray[np.bool_]:
        """Return which positions lie inside the map, (source,)."""
        return inside(self._images.shape[:2], *self._pixels(x_mpc, y_mpc))

    def at(self, x_mpc: Array, y_mpc: Array) -> tuple[Array, Array, Array]:
        """Return convergence, gamma1 and gamma2 at positions inside the map, (source,) each."""
        kappa, gamma1, gamma2 = interpolate(self._images, *self._pixels(x_mpc, y_mpc))
        return kappa, gamma1, gamma2


def _span(middle: float, reach: float, n: int) -> tuple[int, int]:
    """Return the range of pixels that positions within ``reach`` of ``middle`` need."""
    if not math.isfinite(reach):
        return 0, n
    return max(0, math.floor(middle - reach) - 2), min(n, math.ceil(middle + reach) + 4)


def pixel_axes(lensing_map: LensingMap) -> tuple[Array, Array]:
    """Return x of a map's columns and y of its rows, (x,) and (y,), from the true centre [Mpc]."""
    pixel, (n_y, n_x) = lensing_map.pixel_mpc, lensing_map.kappa_inf.shape
    x = (np.arange(n_x) - 0.5 * (n_x - 1)) * pixel - lensing_map.centre_mpc[0]
    y = (np.arange(n_y) - 0.5 * (n_y - 1)) * pixel - lensing_map.centre_mpc[1]
    return x, y


def position_angle(lensing_map: LensingMap, radius_mpc: float = 1.0) -> float:
    """Return the angle of the long axis of the convergence within a circle, radians from x."""
    x, y = pixel_axes(lensing_map)
    y = y[:, np.newaxis]
    r2 = x * x + y * y
    weight = np.where(r2 < radius_mpc**2, np.maximum(lensing_map.kappa_inf, 0.0), 0.0)
    return 0.5 * math.atan2(2.0 * float(np.sum(weight * x * y)), float(np.sum(weight * (x * x - y * y))))


@dataclass(frozen=True)
class ScaledField:
    """A field with all its lensing multiplied by a factor, under another halo's name and redshift."""

    field: LensingField
    halo: HaloInfo
    factor: float

    def covers(self, x_mpc: Array, y_mpc: Array) -> NDArray[np.bool_]:
        """Return which positions the field knows, (source,)."""
        return self.field.covers(x_mpc, y_mpc)

    def at(self, x_mpc: Array, y_mpc: Array) -> tuple[Array, Array, Array]:
        """Return convergence, gamma1 and gamma2 at positions, (source,) each."""
        kappa, gamma1, gamma2 = self.field.at(x_mpc, y_mpc)
        return self.factor * kappa, self.factor * gamma1, self.factor * gamma2


@dataclass(frozen=True)
class CircularField:
    """A halo with circular symmetry, evaluated exactly at each position.

    ``profile`` takes radii in Mpc, (source,), and returns the projected profile, up to ``reach_mpc``.
    """

    halo: HaloInfo
    profile: Callable[[Array], Projected]
    sigma_crit_inf_msun_mpc2: float
    reach_mpc: float = math.inf

    def covers(self, x_mpc: Array, y_mpc: Array) -> NDArray[np.bool_]:
        """Return which positions have lensing: all within reach but the centre itself, (source,)."""
        r2 = x_mpc * x_mpc + y_mpc * y_mpc
        return np.asarray((r2 > 0) & (r2 < self.reach_mpc**2))

    def at(self, x_mpc: Array, y_mpc: Array) -> tuple[Array, Array, Array]:
        """Return convergence, gamma1 and gamma2, (source,) each."""
        r2 = x_mpc * x_mpc + y_mpc * y_mpc
        sigma, delta_sigma = self.profile(np.sqrt(r2))
        kappa = sigma / self.sigma_crit_inf_msun_mpc2
        gamma = delta_sigma / (self.sigma_crit_inf_msun_mpc2 * r2)
        return kappa, -gamma * (x_mpc * x_mpc - y_mpc * y_mpc), -2.0 * gamma * x_mpc * y_mpc


@dataclass(frozen=True)
class EllipticalField:
    """A halo whose surface density is constant on similar ellipses, such as a triaxial one."""

    halo: HaloInfo
    spherical: Callable[[Array], Projected]
    ellipse: Ellipse
    sigma_crit_inf_msun_mpc2: float

    @property
    def position_angle(self) -> float:
        """Angle of the long axis from x, radians."""
        return self.ellipse.angle_rad

    def covers(self, x_mpc: Array, y_mpc: Array) -> NDArray[np.bool_]:
        """Return which positions have lensing: all but the centre itself, (source,)."""
        return np.asarray((x_mpc != 0) | (y_mpc != 0))

    def at(self, x_mpc: Array, y_mpc: Array) -> tuple[Array, Array, Array]:
        """Return convergence, gamma1 and gamma2, (source,) each."""
        if x_mpc.size == 0:
            return x_mpc.copy(), x_mpc.copy(), x_mpc.copy()
        found = surface_density_and_shear(self.spherical, x_mpc, y_mpc, self.ellipse)
        kappa, gamma1, gamma2 = (v / self.sigma_crit_inf_msun_mpc2 for v in found)
        return kappa, gamma1, gamma2


@dataclass(frozen=True)
class ShiftedField:
    """A field about another place than the halo's centre."""

    field: LensingField
    x_mpc: float
    y_mpc: float

    @property
    def halo(self) -> HaloInfo:
        """The halo in the middle."""
        return self.field.halo

    def covers(self, x_mpc: Array, y_mpc: Array) -> NDArray[np.bool_]:
        """Return which positions the field knows, (source,)."""
        return self.field.covers(x_mpc - self.x_mpc, y_mpc - self.y_mpc)

    def at(self, x_mpc: Array, y_mpc: Array) -> tuple[Array, Array, Array]:
        """Return convergence, gamma1 and gamma2, (source,) each."""
        return self.field.at(x_mpc - self.x_mpc, y_mpc - self.y_mpc)


@dataclass(frozen=True)
class SkyField:
    """A random field of structure along the line of sight, given in arcmin."""

    halo: HaloInfo
    random: RandomField
    mpc_per_arcmin: float
    factor: float  # from the sources of the field's spectrum to a source at infinity behind the halo

    def covers(self, x_mpc: Array, y_mpc: Array) -> NDArray[np.bool_]:
        """Return that every position is covered, (source,)."""
        return self.random.covers(x_mpc, y_mpc)

    def at(self, x_mpc: Array, y_mpc: Array) -> tuple[Array, Array, Array]:
        """Return convergence, gamma1 and gamma2, (source,) each."""
        scale = 1.0 / self.mpc_per_arcmin
        kappa, gamma1, gamma2 = self.random.at(x_mpc * scale, y_mpc * scale)
        return self.factor * kappa, self.factor * gamma1, self.factor * gamma2


@dataclass(frozen=True)
class SumField:
    """Several fields whose convergences and shears add up: thin lenses at small deflections."""

    fields: tuple[LensingField, ...]

    @property
    def halo(self) -> HaloInfo:
        """The halo of the first field."""
        return self.fields[0].halo

    @property
    def position_angle(self) -> float | None:
        """Long axis of the first field, if it has one."""
        return getattr(self.fields[0], "position_angle", None)

    def covers(self, x_mpc: Array, y_mpc: Array) -> NDArray[np.bool_]:
        """Return which positions all fields know, (source,)."""
        known = self.fields[0].covers(x_mpc, y_mpc)
        for field in self.fields[1:]:
            known = known & field.covers(x_mpc, y_mpc)
        return known

    def at(self, x_mpc: Array, y_mpc: Array) -> tuple[Array, Array, Array]:
        """Return the sums of convergence, gamma1 and gamma2, (source,) each."""
        kappa, gamma1, gamma2 = (np.array(v) for v in self.fields[0].at(x_mpc, y_mpc))
        for field in self.fields[1:]:
            for total, part in zip((kappa, gamma1, gamma2), field.at(x_mpc, y_mpc), strict=True):
                total += part
        return kappa, gamma1, gamma2
