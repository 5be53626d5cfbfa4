"""No-U-turn sampling of a log density with gradient: nutpie where it is installed, else PyMC.

(Hoffman & Gelman 2014, JMLR 15, 1593.) The density is a plain function, so that nothing is compiled for it.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from clmassmod.records import Array

LnDensity = Callable[[Array], tuple[float, Array]]
Expand = Callable[[Array], Mapping[str, float]]

MAX_R_HAT = 1.01  # Vehtari et al. 2021, Bayesian Analysis 16, 667
MIN_ESS = 400.0  # bulk effective sample size, as ArviZ defines it


@dataclass(frozen=True)
class Draws:
    """Draws of named quantities, each (chain, draw), and how well they can be trusted."""

    values: Mapping[str, Array]
    diagnostics: Mapping[str, float]  # r_hat, ess_bulk, ess_tail: the worst over quantities; divergences

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the chains, in words; empty when they have converged."""
        found = []
        if not self.diagnostics["r_hat"] <= MAX_R_HAT:
            found.append(f"R-hat is {self.diagnostics['r_hat']:.3f}, above {MAX_R_HAT}")
        if not self.diagnostics["ess_bulk"] >= MIN_ESS:
            found.append(
                f"bulk effective sample size is {self.diagnostics['ess_bulk']:.0f}, below {MIN_ESS:.0f}"
            )
        if self.diagnostics["divergences"] > 0:
            found.append(f"{self.diagnostics['divergences']:.0f} divergent transitions")
        return tuple(found)


def sample(
    ln_density: LnDensity,
    expand: Expand,
    start: Array,
    *,
    seed: int,
    draws: int = 1000,
    tune: int = 600,
    chains: int = 4,
) -> Draws:
    """Draw from a density over unconstrained parameters.

    Parameters
    ----------
    ln_density : callable
        Takes parameters (parameter,), returns ln density and its gradient (parameter,).
    expand : callable
        Takes parameters (parameter,), returns the quantities that are kept, by name.
    start : array (parameter,)
        Where chains start, each moved a little.
    seed : int
    draws, tune, chains : int
        Draws a chain that are kept, and that are spent on tuning.
    """
    names = list(expand(start))
    run = _nutpie if importlib.util.find_spec("nutpie") else _pymc
    raw, divergences = run(
        ln_density, expand, names, np.asarray(start, dtype=float), seed, draws, tune, chains
    )
    return Draws(raw, diagnose(raw, divergences))


def diagnose(values: Mapping[str, Array], divergences: float) -> dict[str, float]:
    """Return the worst R-hat and effective sample sizes of draws (chain, draw)."""
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)
        import arviz

        r_hat = [float(arviz.rhat(v)) for v in values.values()]
        bulk = [float(arviz.ess(v, method="bulk")) for v in values.values()]
        tail = [float(arviz.ess(v, method="tail")) for v in values.values()]
    return {
        "r_hat": max(r_hat),
        "ess_bulk": min(bulk),
        "ess_tail": min(tail),
        "divergences": float(divergences),
    }


def _nutpie(
    ln_density: LnDensity,
    expand: Expand,
    names: list[str],
    start: Array,
    seed: int,
    draws: int,
    tune: int,
    chains: int,
) -> tuple[dict[str, Array], float]:
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)
        import nutpie
        from nutpie.compiled_pyfunc import from_pyfunc

    def make_expand(_first: int, _second: int, _chain: int) -> Callable[..., dict[str, Array]]:
        return lambda x, **_kept: {name: np.array(value) for name, value in expand(x).items()}

    def make_start(chain: int) -> Array:
        return start + 0.05 * np.random.default_rng([seed % 2**32, chain % 2**32]).normal(size=len(start))

    n = len(names)
    model = from_pyfunc(
        len(start), lambda: ln_density, make_expand, [np.dtype(float)] * n, [()] * n, names,
        make_initial_point_fn=make_start,
    )  # fmt: skip
    found = nutpie.sample(
        model, draws=draws, tune=tune, chains=chains, seed=seed % 2**32, progress_bar=False, save_warmup=False
    )
    raw = {name: np.asarray(found.posterior[name].values, dtype=float) for name in names}
    return raw, float(found.sample_stats["diverging"].values.sum())


def _pymc(
    ln_density: LnDensity,
    expand: Expand,
    names: list[str],
    start: Array,
    seed: int,
    draws: int,
    tune: int,
    chains: int,
) -> tuple[dict[str, Array], float]:
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)
        import pymc
        import pytensor.tensor as pt
        from pytensor.graph.op import Op

    class Density(Op):  # type: ignore[misc]
        """The density and its gradient as one node of PyMC's graph."""

        itypes: ClassVar = [pt.dvector]
        otypes: ClassVar = [pt.dscalar, pt.dvector]

        def perform(self, _node: Any, inputs: Any, outputs: Any) -> None:
            value, gradient = ln_density(inputs[0])
            outputs[0][0], outputs[1][0] = np.array(value), np.asarray(gradient)

        def grad(self, inputs: Any, gradients: Any) -> list[Any]:
            return [gradients[0] * self(inputs[0])[1]]

    logging.getLogger("pymc").setLevel(logging.ERROR)
    with pymc.Model():
        x = pymc.Flat("x", shape=len(start))
        pymc.Potential("ln_density", Density()(x)[0])
        found = pymc.sample(
            draws,
            tune=tune,
            chains=chains,
            cores=1,
            random_seed=seed % 2**32,
            initvals={"x": start},
            progressbar=False,
            compute_convergence_checks=False,
        )
    kept = np.asarray(found.posterior["x"].values)
    expanded = [[expand(x) for x in chain] for chain in kept]
    raw = {name: np.array([[e[name] for e in chain] for chain in expanded], dtype=float) for name in names}
    return raw, float(found.sample_stats["diverging"].values.sum())
