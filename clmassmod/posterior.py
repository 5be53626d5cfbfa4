"""Posterior of a few population parameters: moments, intervals, samples, the grid it came from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clmassmod.core.gridstats import cumulative, quantile, refine

Array = NDArray[np.float64]

N_CHAINS = 4  # independent draws from a grid are handed out as so many chains
TOUCHES = 0.01  # share of the marginal's peak density that a prior's edge may see


@dataclass(frozen=True)
class Marginal:
    """Posterior of one parameter.

    ``x`` and ``density`` tabulate it where it was computed on a grid; a sampler gives ``samples`` alone.
    """

    name: str
    mean: float
    sd: float
    samples: Array  # (draw,)
    x: Array | None = None
    density: Array | None = None

    def __repr__(self) -> str:
        """Return mean and standard deviation."""
        return f"Marginal({self.name} = {self.mean:.5g} +- {self.sd:.2g})"

    def quantile(self, p: float) -> float:
        """Return the value below which the probability is ``p``."""
        if not 0.0 <= p <= 1.0:
            raise ValueError(f"{self.name}: probability {p:g} is not between 0 and 1")
        if self.x is None or self.density is None:
            return float(np.quantile(self.samples, p))
        return float(quantile(self.x, cumulative(self.x, self.density), p))

    def interval(self, p: float = 0.68) -> tuple[float, float]:
        """Return the equal-tailed interval that holds the probability ``p``."""
        if not 0.0 <= p <= 1.0:
            raise ValueError(f"{self.name}: probability {p:g} is not between 0 and 1; give 0.68 for 68 %")
        return self.quantile(0.5 - 0.5 * p), self.quantile(0.5 + 0.5 * p)

    @property
    def median(self) -> float:
        """Value with half of the probability on either side."""
        return self.quantile(0.5)

    @classmethod
    def from_density(cls, name: str, x: Array, density: Array, samples: Array) -> Marginal:
        """Tabulated on an equally spaced grid (n,), normalised here."""
        mean, sd = _moments(x, density)
        return cls(name, mean, sd, samples, x, density)

    @classmethod
    def from_samples(cls, name: str, samples: Array) -> Marginal:
        """Known by draws (draw,) alone."""
        return cls(name, float(samples.mean()), float(samples.std(ddof=1)), samples)

    def exponential(self, name: str) -> Marginal:
        """Return the marginal of exp(this parameter)."""
        samples = np.exp(self.samples)
        if self.x is None or self.density is None:
            return Marginal.from_samples(name, samples)
        x = np.exp(self.x)
        mean, sd = _moments(x, self.density)  # the nodes' probabilities stay the same
        return Marginal(name, mean, sd, samples, x, self.density / x)


def _moments(values: Array, density: Array) -> tuple[float, float]:
    """Return mean and standard deviation of values at equally spaced nodes, by the trapezoid rule."""
    weight = density.copy()
    weight[[0, -1]] *= 0.5
    weight /= weight.sum()
    mean = float(weight @ values)
    return mean, float(np.sqrt(weight @ (values - mean) ** 2))


@dataclass(frozen=True)
class PosteriorGrid:
    """Log density on a grid, up to a constant; ``ln_density`` has one dimension for each of ``axes``."""

    axes: Mapping[str, Array]
    ln_density: Array


@dataclass(frozen=True)
class Posterior:
    """Joint posterior; parameters are attributes as well: ``posterior.ln_bias.sd``.

    Examples
    --------
    >>> import numpy as np
    >>> draws = np.random.default_rng(1).normal(-0.1, 0.02, 4000)
    >>> posterior = Posterior({"ln_bias": Marginal.from_samples("ln_bias", draws)})
    >>> print(f"{posterior.ln_bias.mean:.2f} {posterior.sd['ln_bias']:.2f}")
    -0.10 0.02
    >>> low, high = posterior.interval(0.68)["ln_bias"]
    >>> print(f"{low:.2f} {high:.2f}")
    -0.12 -0.08
    """

    marginals: Mapping[str, Marginal]
    grid: PosteriorGrid | None = None
    n_chains: int = N_CHAINS
    warnings: tuple[str, ...] = ()
    diagnostics: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    metadata: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def __repr__(self) -> str:
        """Return each parameter's mean and standard deviation, and the warnings."""
        said = [f"{name} = {m.mean:.5g} +- {m.sd:.2g}" for name, m in self.marginals.items()]
        return f"<Posterior {', '.join(said)}{'; ' if self.warnings else ''}{'; '.join(self.warnings)}>"

    def __getattr__(self, name: str) -> Marginal:
        """Return the marginal of a parameter."""
        if not name.startswith("_") and name in self.marginals:
            return self.marginals[name]
        known = "" if name.startswith("_") else f" (parameters: {', '.join(self.marginals)})"
        raise AttributeError(f"Posterior has no attribute {name!r}{known}")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters and of what is derived from them."""
        return tuple(self.marginals)

    @property
    def mean(self) -> dict[str, float]:
        """Posterior mean of each parameter."""
        return {name: marginal.mean for name, marginal in self.marginals.items()}

    @property
    def sd(self) -> dict[str, float]:
        """Posterior standard deviation of each parameter."""
        return {name: marginal.sd for name, marginal in self.marginals.items()}

    @property
    def samples(self) -> dict[str, Array]:
        """Draws (draw,) of each parameter, joint: the same place is the same draw."""
        return {name: marginal.samples for name, marginal in self.marginals.items()}

    def interval(self, p: float = 0.68) -> dict[str, tuple[float, float]]:
        """Return each parameter's equal-tailed interval that holds the probability ``p``."""
        return {name: marginal.interval(p) for name, marginal in self.marginals.items()}

    def to_arviz(self) -> Any:
        """Return an ``arviz.InferenceData`` with the draws as (chain, draw)."""
        import arviz

        draws = {name: values.reshape(self.n_chains, -1) for name, values in self.samples.items()}
        attributes = {k: v for k, v in self.metadata.items() if isinstance(v, str | int | float)}
        return arviz.from_dict(draws, posterior_attrs=attributes)


def from_grid(
    axes: Mapping[str, Array],
    ln_density: Array,
    rng: np.random.Generator,
    *,
    cells: Mapping[str, float] | None = None,
    n_draws: int = 4000,
) -> tuple[dict[str, Marginal], PosteriorGrid]:
    """Return marginals and samples of a log density on a grid.

    Parameters
    ----------
    axes : mapping of name to array
        Two equally spaced axes, which are refined by interpolation, and any number of further ones, whose
        nodes are centres of equal cells.
    ln_density : array
        One dimension an axis; the prior included, up to a constant.
    rng : numpy.random.Generator
        For the draws.
    cells : mapping, optional
        Width of the cells of the further axes.
    n_draws : int
        A multiple of the number of chains.
    """
    names = list(axes)
    grid = PosteriorGrid(MappingProxyType(dict(axes)), ln_density)
    factor = 4
    fine = np.moveaxis(refine(np.moveaxis(refine(ln_density, factor), 1, 0), factor), 0, 1)
    density = np.exp(fine - fine.max())
    nodes = {name: _refined(axes[name], factor) if i < 2 else axes[name] for i, name in enumerate(names)}
    mass = density.copy()
    for axis in (0, 1):  # end nodes stand for half a cell
        for end in (0, -1):
            mass[(slice(None),) * axis + (end,)] *= 0.5
    samples = _draw(nodes, mass, cells or {}, rng, n_draws)
    marginals = {}
    for i, name in enumerate(names):
        others = tuple(j for j in range(len(names)) if j != i)
        x, values = nodes[name], mass.sum(axis=others)
        if i < 2:
            values[[0, -1]] *= 2.0  # back from mass to density
        else:
            x, values = _to_cell_edges(x, values)
        marginals[name] = Marginal.from_density(name, x, values, samples[name])
    return marginals, grid


def _refined(axis: Array, factor: int) -> Array:
    return np.linspace(axis[0], axis[-1], (len(axis) - 1) * factor + 1)


def _to_cell_edges(centres: Array, density: Array) -> tuple[Array, Array]:
    """Go on linearly from the centres of the outermost cells to their edges."""
    half = 0.5 * (centres[1] - centres[0])
    x = np.linspace(centres[0] - half, centres[-1] + half, 2 * len(centres) + 1)
    values = np.interp(x, centres, density)
    values[0] = max(1.5 * density[0] - 0.5 * density[1], 0.0)
    values[-1] = max(1.5 * density[-1] - 0.5 * density[-2], 0.0)
    return x, values


def _draw(
    nodes: Mapping[str, Array],
    mass: Array,
    cells: Mapping[str, float],
    rng: np.random.Generator,
    n_draws: int,
) -> dict[str, Array]:
    """Draw cells by stratified inversion, then uniformly inside a cell."""
    total = np.cumsum(mass.ravel())
    ticks = (np.arange(n_draws) + rng.random(n_draws)) / n_draws * total[-1]
    chosen = rng.permutation(np.minimum(np.searchsorted(total, ticks), mass.size - 1))
    places = np.unravel_index(chosen, mass.shape)
    draws = {}
    for (name, x), place in zip(nodes.items(), places, strict=True):
        width = cells[name] if name in cells else x[1] - x[0]
        values = x[place] + width * (rng.random(n_draws) - 0.5)
        if name not in cells:  # a draw beyond the end node is one inside the half cell, mirrored
            values = np.where(values < x[0], 2 * x[0] - values, values)
            values = np.where(values > x[-1], 2 * x[-1] - values, values)
        draws[name] = values
    return draws


def edge_warnings(
    marginals: Mapping[str, Marginal],
    prior: Mapping[str, tuple[float, float]],
    positive: Collection[str] = (),
) -> tuple[str, ...]:
    """Return a sentence for each edge of a prior at which the posterior has not died away.

    The posterior touches an edge when its marginal density there is more than 1 % of its peak (2 % where it
    is known by draws); for a normal posterior: when the edge is less than 3 standard deviations from the
    mean. Densities are per unit of what the prior is uniform in: the logarithm of ``positive`` parameters.
    """
    found: list[str] = []
    for name, ends in prior.items():
        in_log = name in positive
        low, high = (float(np.log(e)) if in_log else e for e in ends)
        at = _at_edges_of_grid if marginals[name].density is not None else _at_edges_of_draws
        for touched, edge, side in zip(
            at(marginals[name], low, high, in_log), ends, ("lower", "upper"), strict=True
        ):
            if touched:
                found.append(f"the posterior of {name} touches the {side} edge of its prior, {edge:.4g}")
    return tuple(found)


def _at_edges_of_grid(marginal: Marginal, low: float, high: float, in_log: bool) -> tuple[bool, bool]:
    assert marginal.x is not None
    assert marginal.density is not None
    x = np.log(marginal.x) if in_log else marginal.x
    density = marginal.density * marginal.x if in_log else marginal.density
    level, tolerance = TOUCHES * density.max(), 1e-9 * (high - low)
    at_low = x[0] <= low + tolerance and density[0] > level
    return bool(at_low), bool(x[-1] >= high - tolerance and density[-1] > level)


def _at_edges_of_draws(marginal: Marginal, low: float, high: float, in_log: bool) -> tuple[bool, bool]:
    x = np.log(marginal.samples) if in_log else marginal.samples
    n = int(np.clip(np.ceil((high - low) / (0.25 * x.std() + 1e-300)), 4, 2000))
    counts, _ = np.histogram(x, bins=n, range=(low, high))
    level = 2.0 * TOUCHES * counts.max()
    return bool(counts[0] > level), bool(counts[-1] > level)


def stack_draws(draws: Mapping[str, Array]) -> dict[str, Array]:
    """Flatten draws (chain, draw) of a sampler to (chain * draw,)."""
    return {name: np.asarray(values, dtype=float).reshape(-1) for name, values in draws.items()}
