"""Residuals of data and priors as a function of mass and nuisance parameters, for the point fitter."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from clmassmod.core.projected import Projected
from clmassmod.fitters.data import FitData, joined
from clmassmod.fitters.likelihood import LensModel
from clmassmod.fitters.observables import observable
from clmassmod.fitters.surfaces import between, centre_operators, centred_nfw, radial_nodes, tabulated
from clmassmod.records import Array

MASS_UNIT_MSUN = 1e14
_LEAST_MASS = 1e-6  # in that unit: where a mass changes sign, no profile is computed closer to zero
_SMALL_MASS = 1e-2  # below it, derivatives are differences over as much
_STARTS_MSUN = np.geomspace(2e13, 8e15, 12)  # and their negatives


class Residuals:
    """Residuals of data and priors as a function of the parameters (parameter,): M / 1e14, ln c, A, m."""

    def __init__(self, model: LensModel, data: FitData, max_mass_msun: float) -> None:
        self.model, self.data = model, data
        self.environment = model.environment(data.profiles[0])
        nuisance = model.nuisance
        top = max_mass_msun / MASS_UNIT_MSUN
        self.names, lows, highs, start, sds = ["mass"], [-top], [top], [0.0], [math.inf]
        if nuisance.ln_c_range is not None or nuisance.ln_c_scatter is not None:
            low, high = nuisance.ln_c_range or (-math.inf, math.inf)
            self.names.append("ln_c")
            lows.append(low)
            highs.append(high)
            start.append(0.5 * (low + high) if nuisance.ln_c_range else 0.0)
            sds.append(nuisance.ln_c_scatter or math.inf)
        for name, normal in (("two_halo", nuisance.two_halo), ("shear_bias", nuisance.shear_bias)):
            if normal is not None and normal[1] > 0:
                self.names.append(name)
                lows.append(-math.inf)
                highs.append(math.inf)
                start.append(normal[0])
                sds.append(normal[1])
        self.low, self.high, self.centre, self.sd = (np.array(v) for v in (lows, highs, start, sds))
        self.target = data.whiten(data.value)

    def signal(self, parameters: Array) -> tuple[Array, Array]:
        """Return observables (set, bin) and concentrations (set,) of parameters (set, parameter)."""
        column = dict(zip(self.names, parameters.T, strict=True))
        sign = np.where(column["mass"] < 0, -1.0, 1.0)
        mass = MASS_UNIT_MSUN * np.maximum(np.abs(column["mass"]), _LEAST_MASS)
        nuisance = self.model.nuisance
        if nuisance.ln_c_range is not None:
            concentration = np.exp(column["ln_c"])
        else:
            concentration = self.model.concentration(mass, self.environment.z)
            if "ln_c" in column:
                concentration = concentration * np.exp(column["ln_c"])
        amplitude = column.get("two_halo", nuisance.two_halo[0] if nuisance.two_halo else 0.0)
        calibration = 1.0 + column.get("shear_bias", nuisance.shear_bias[0] if nuisance.shear_bias else 0.0)
        parts = [
            observable(profile, used, self._surface(profile.radius_mpc[used], mass, concentration, amplitude))
            for profile, used in zip(self.data.profiles, self.data.used, strict=True)
        ]
        return (sign * calibration)[:, np.newaxis] * joined(parts), concentration

    def _surface(self, radius: Array, mass: Array, concentration: Array, amplitude: ArrayLike) -> Projected:
        nodes, weights = radial_nodes(radius)
        average = centre_operators(self.model, nodes, None)
        if average is None and tabulated(self.model):
            found = centred_nfw(self.model, radius, self.environment, mass, concentration)
        elif average is None:
            found = between(self.model.surface(nodes, self.environment, mass, concentration), weights)
        else:
            about = average(lambda r: self.model.surface(r, self.environment, mass, concentration))
            found = between(Projected(*(values[:, 0] for values in about)), weights)
        if self.model.nuisance.two_halo is None:
            return found
        term = self.model.two_halo(radius, self.environment.z, mass)
        a = np.reshape(amplitude, (-1, 1))
        return Projected(found.sigma + a * term.sigma, found.delta_sigma + a * term.delta_sigma)

    def residuals(self, parameters: Array) -> Array:
        """Return whitened residuals (set, bin + parameter); those of flat priors are zero."""
        return self._with_priors(self.data.whiten(self.signal(parameters)[0]), parameters)

    def _with_priors(self, whitened: Array, parameters: Array) -> Array:
        return np.concatenate([self.target - whitened, (parameters - self.centre) / self.sd], axis=1)

    def linearise(self, point: Array) -> tuple[Array, Array]:
        """Return residuals (row,) and their derivatives (row, parameter) at a point, by one-sided steps."""
        step = 1e-6 * np.maximum(np.abs(point), 0.1)
        if abs(point[0]) < _SMALL_MASS:  # away from zero, where a two-halo term changes its sign
            step[0] = math.copysign(_SMALL_MASS, point[0])
        step = np.where(point + step > self.high, -step, step)
        n = len(point)
        points = np.repeat(point[np.newaxis], n + 1, axis=0)
        points.flat[n :: n + 1] += step
        values = self.residuals(points)
        return values[0], ((values[1:] - values[0]) / step[:, np.newaxis]).T

    def start(self) -> Array:
        """Return the best of a few masses of either sign, other parameters at the centre of their priors."""
        masses = np.minimum(_STARTS_MSUN / MASS_UNIT_MSUN, self.high[0])
        points = np.tile(self.centre, (len(masses), 1))
        points[:, 0] = masses
        if "ln_c" in self.names:
            near = (
                np.maximum(self.centre[1] - 0.6, self.low[1]),
                np.minimum(self.centre[1] + 0.6, self.high[1]),
            )
            points = np.tile(points, (3, 1))
            points[:, 1] = np.repeat([near[0], self.centre[1], near[1]], len(masses))
        mirrored = points.copy()
        mirrored[:, 0] *= -1.0
        whitened = self.data.whiten(self.signal(points)[0])  # that of -M is its negative
        both = (self._with_priors(whitened, points), self._with_priors(-whitened, mirrored))
        cost = np.sum(np.square(both), axis=2)
        sign, place = np.unravel_index(np.argmin(cost), cost.shape)
        best: Array = (points, mirrored)[sign][place]
        return best
