"""Figure of the masses of a bin with what its ensemble predicts for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from clmassmod.posterior import Posterior
from clmassmod.report import style
from clmassmod.report.summary import LEVEL

Array = NDArray[np.float64]
_LINES = 200  # nodes of a drawn curve
_DRAWS = 200  # of a posterior, behind a band


@dataclass(frozen=True)
class Population:
    """ln M ~ N(mean_ln_mass, scatter²), as posterior draws (draw,); they are joint."""

    mean_ln_mass: Array
    scatter: Array

    @classmethod
    def of(cls, posterior: Posterior) -> Population:
        """Return the population of lensing masses that an ensemble describes."""
        return cls(posterior.samples["mean_ln_mass"], posterior.samples["scatter"])


def mass_distribution(
    mass_msun: Array, mass_err_msun: Array, population: Population | None, title: str = ""
) -> Figure:
    """Return the histogram of the best-fit masses of a bin and what its ensemble predicts for it.

    Parameters
    ----------
    mass_msun, mass_err_msun
        Best-fit masses, the negative ones too, and their errors, shape (halo,) [Msun].
    population
        Drawn twice: as it is, and with each halo's error, which is what the histogram should show.
    """
    known = np.isfinite(mass_msun) & np.isfinite(mass_err_msun) & (mass_err_msun > 0)
    mass, error = mass_msun[known] / style.MASS_UNIT, mass_err_msun[known] / style.MASS_UNIT
    with style.figure_style():
        figure, axes = style.new_axes()
        axes.set_title(style.plain(title))
        axes.set_xlabel("best-fit mass" + style.MASS_LABEL)
        axes.set_ylabel("haloes")
        if not len(mass):
            return style.no_data(figure, axes)
        scale = MassScale(float(np.median(error)))
        edges = _histogram_edges(scale.forward(mass))
        axes.hist(scale.forward(mass), list(edges), color=style.SERIES[0], alpha=0.35, label="haloes")
        if population is not None:
            _draw_population(axes, edges, error, population, scale)
        if edges[0] < 0:
            axes.axvline(0.0, color=style.MUTED, lw=0.8)
        ticks = scale.ticks(edges[0], edges[-1])
        axes.set_xticks(scale.forward(ticks), [f"{tick:g}" for tick in ticks])
        axes.set_xlim(edges[0], edges[-1])
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        figure.legend(loc="outside lower left", ncols=2)
    return figure


class MassScale(NamedTuple):
    """An axis linear in mass below a width and logarithmic beyond, on either side: arcsinh(M / width)."""

    width: float

    def forward(self, mass: Array) -> Array:
        """Return places on the axis of masses."""
        return np.arcsinh(np.asarray(mass) / self.width)

    def back(self, place: Array) -> Array:
        """Return masses at places on the axis."""
        return np.sinh(place) * self.width

    def slope(self, mass: Array) -> Array:
        """Return d mass / d place, which turns a density in mass into one on the axis."""
        return np.hypot(mass, self.width)

    def ticks(self, low: float, high: float) -> Array:
        """Return round masses between two places that are not too close to each other."""
        for digits in ([1.0, 2.0, 5.0], [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0]):
            chosen = self._ticks(low, high, digits)
            if len(chosen) > 3:
                break
        return np.array(sorted(chosen))

    def _ticks(self, low: float, high: float, digits: list[float]) -> list[float]:
        above = np.outer(10.0 ** np.arange(-2, 4), digits).ravel()
        chosen = [0.0] if low < 0 < high else []
        for sign in (1.0, -1.0):
            last = 0.0
            for tick in sign * above:
                place = float(self.forward(tick))
                if low < place < high and abs(place - last) > 0.07 * (high - low):
                    chosen.append(float(tick))
                    last = place
        return chosen


def _histogram_edges(places: Array) -> Array:
    low, high = float(places.min()), float(places.max())
    pad = 0.04 * (high - low) or 0.5
    n = int(np.clip(2 * len(places) ** 0.4, 6, 40))
    return np.linspace(low - pad, high + pad, n + 1)


def _draw_population(
    axes: Axes, edges: Array, error: Array, population: Population, scale: MassScale
) -> None:
    highest = axes.get_ylim()[1]
    places = np.linspace(edges[0], edges[-1], _LINES + 1)
    mass = scale.back(places)
    per_bin = len(error) * (edges[1] - edges[0]) * scale.slope(mass)  # density in mass to haloes a bin
    chosen = np.linspace(0, len(population.scatter) - 1, min(_DRAWS, len(population.scatter))).astype(int)
    draws = (population.mean_ln_mass[chosen], population.scatter[chosen])
    observed = expected_density(mass, error, *draws) * per_bin
    lo, middle, hi = np.quantile(observed, [0.5 - LEVEL / 2, 0.5, 0.5 + LEVEL / 2], axis=0)
    axes.fill_between(places, lo, hi, color=style.SERIES[1], alpha=0.3, lw=0)
    axes.plot(places, middle, color=style.SERIES[1], label="ensemble with errors")
    mean, spread = (float(np.median(x)) for x in (population.mean_ln_mass, population.scatter))
    alone = _lognormal_density(mass, mean, spread) * per_bin
    axes.plot(places, alone, color=style.INK, lw=1.2, ls=(0, (4, 2)), label="ensemble")
    highest = max(highest, float(hi.max()))
    # A population much narrower than the errors would flatten all the rest.
    axes.set_ylim(0, 1.05 * min(max(highest, float(alone.max())), 1.5 * highest))


def _lognormal_density(mass: Array, mean_ln_mass: float, scatter: float) -> Array:
    """Density in mass (units of the axes) of ln(M / Msun) ~ N(mean, scatter²); zero below zero."""
    density = np.zeros_like(mass)
    above = mass > 0
    y = (np.log(mass[above] * style.MASS_UNIT) - mean_ln_mass) / scatter
    density[above] = np.exp(-0.5 * y**2) / (np.sqrt(2 * np.pi) * scatter * mass[above])
    return density


def expected_density(mass: Array, error: Array, mean_ln_mass: Array, scatter: Array) -> Array:
    """Return the density of best-fit masses: populations seen with normal errors.

    Parameters
    ----------
    mass, error
        Where to evaluate (node,), and the haloes' errors (halo,), both in 1e14 Msun. At most 50
        quantiles of the errors are used.
    mean_ln_mass, scatter
        The populations, ln(M / Msun) ~ N(mean, scatter²), both (draw,).

    Returns
    -------
    array
        Shape (draw, node), per 1e14 Msun, averaged over the haloes.
    """
    mean, spread = mean_ln_mass[:, None], scatter[:, None]
    low, high = float((mean - 5 * spread).min()), float((mean + 5 * spread).max())
    # A trapezoid sum of a normal density is exact to 1e-6 with steps of its width.
    n = int(np.clip((high - low) / (0.8 * spread.min()), _LINES, 10 * _LINES))
    ln_mass = np.linspace(low, high, n + 1)
    weights = np.exp(-0.5 * ((ln_mass - mean) / spread) ** 2)
    weights /= weights.sum(axis=1, keepdims=True)
    errors = np.quantile(error, (np.arange(50) + 0.5) / 50) if len(error) > 50 else error
    distance = mass - np.exp(ln_mass - np.log(style.MASS_UNIT))[:, None]
    kernel = np.zeros_like(distance)  # (population, node)
    for sigma in errors:
        kernel += np.exp(-0.5 * (distance / sigma) ** 2) / (np.sqrt(2 * np.pi) * sigma)
    density: Array = weights @ kernel / len(errors)
    return density
