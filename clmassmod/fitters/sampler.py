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

from clmassmod.core.cores import cores_for
from clmassmod.records import Array

LnDensity = Callable[[Array], tuple[float, Array]]
Expand = Callable[[Array], Mapping[str, float]]

MAX_R_HAT = 1.01  # Vehtari et al. 2021, Bayesian Analysis 16, 667
MIN_ESS = 400.0  # bulk effective sample size, of all chains; the same paper


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


@dataclass(frozen=True)
class _Plan:
    """What to draw, as ``sample`` has it; ``names`` are those of what ``expand`` returns."""

    ln_density: LnDensity
    expand: Expand
    names: list[str]
    start: Array
    seed: int
    draws: int
    tune: int
    chains: int
    target_accept: float


def sample(
    ln_density: LnDensity,
    expand: Expand,
    start: Array,
    *,
    seed: int,
    draws: int = 1000,
    tune: int = 600,
    chains: int = 4,
    target_accept: float = 0.8,
) -> Draws:
    """Draw from a density over unconstrained parameters.

    PyMC's chains run in processes, as many as ``cores_for`` allows; their number changes no draw.

    Parameters
    ----------
    ln_density : callable
        Takes parameters (parameter,), returns ln density and its gradient (parameter,).
    expand : callable
        Takes parameters (parameter,), returns the quantities that are kept, by name.
    start : array (parameter,)
        Where chains start, each moved a little: normally by 0.05 (nutpie), or by at most 1 (PyMC's own).
    seed : int
    draws, tune, chains : int
        Draws a chain that are kept, and that are spent on tuning.
    target_accept : float
        Of the tuned steps: nearer to 1 they are smaller, for densities with sharp bends.
    """
    names = list(expand(start))
    run = _nutpie if importlib.util.find_spec("nutpie") else _pymc
    first = np.asarray(start, dtype=float)
    raw, divergences = run(
        _Plan(ln_density, expand, names, first, seed % 2**32, draws, tune, chains, target_accept)
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


def _nutpie(plan: _Plan) -> tuple[dict[str, Array], float]:
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)
        import nutpie
        from nutpie.compiled_pyfunc import from_pyfunc

    def make_expand(_first: int, _second: int, _chain: int) -> Callable[..., dict[str, Array]]:
        return lambda x, **_kept: {name: np.array(value) for name, value in plan.expand(x).items()}

    def make_start(chain: int) -> Array:
        return plan.start + 0.05 * np.random.default_rng([plan.seed, chain % 2**32]).normal(
            size=len(plan.start)
        )

    n = len(plan.names)
    model = from_pyfunc(
        len(plan.start), lambda: plan.ln_density, make_expand, [np.dtype(float)] * n, [()] * n, plan.names,
        make_initial_point_fn=make_start,
    )  # fmt: skip
    found = nutpie.sample(
        model,
        draws=plan.draws,
        tune=plan.tune,
        chains=plan.chains,
        seed=plan.seed,
        target_accept=plan.target_accept,
        progress_bar=False,
        save_warmup=False,
    )
    raw = {name: np.asarray(found.posterior[name].values, dtype=float) for name in plan.names}
    return raw, float(found.sample_stats["diverging"].values.sum())


def _pymc(plan: _Plan) -> tuple[dict[str, Array], float]:
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
            value, gradient = plan.ln_density(inputs[0])
            outputs[0][0], outputs[1][0] = np.array(value), np.asarray(gradient)

        def grad(self, inputs: Any, gradients: Any) -> list[Any]:
            return [gradients[0] * self(inputs[0])[1]]

    logging.getLogger("pymc").setLevel(logging.ERROR)
    with pymc.Model():
        x = pymc.Flat("x", shape=len(plan.start))
        pymc.Potential("ln_density", Density()(x)[0])
        found = pymc.sample(
            plan.draws,
            tune=plan.tune,
            chains=plan.chains,
            cores=cores_for(plan.chains),
            random_seed=plan.seed,
            target_accept=plan.target_accept,
            initvals={"x": plan.start},
            progressbar=False,
            compute_convergence_checks=False,
        )
    kept = np.asarray(found.posterior["x"].values)
    expanded = [[plan.expand(x) for x in chain] for chain in kept]
    raw = {
        name: np.array([[e[name] for e in chain] for chain in expanded], dtype=float) for name in plan.names
    }
    return raw, float(found.sample_stats["diverging"].values.sum())
