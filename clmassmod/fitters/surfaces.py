"""Surface densities of one halo for every node of its concentration and of its centre's offset.

An NFW halo is rho_s r_s f(R / r_s): its surface densities at fixed radii, centred or not, are functions of
ln r_s alone, up to an amplitude. They are computed at nodes in ln r_s and interpolated for all masses and
concentrations at once. Other profiles are computed one by one.
"""

from __future__ import annotations

import numpy as np

from clmassmod.core import nfw
from clmassmod.core.massdef import threshold_density_msun_mpc3
from clmassmod.core.miscentring import Miscentring, at_offsets
from clmassmod.core.projected import Projected
from clmassmod.fitters.likelihood import LensModel
from clmassmod.records import Array, HaloEnvironment

_STEP = 0.12  # in ln r_s: sixth-order interpolation errs by 1e-7
_POINTS = 6
_FEW = 5000  # values that are computed faster than interpolated


def surfaces(
    model: LensModel,
    radius_mpc: Array,
    environment: HaloEnvironment,
    masses: Array,
    concentration: Array,
    offset_mpc: Array | None = None,
) -> Projected:
    """Return surface densities (offset, concentration, mass, bin).

    Parameters
    ----------
    model : LensModel
    radius_mpc : array (bin,)
    environment : HaloEnvironment
    masses, concentration : array (concentration, mass)
        In the primary mass definition.
    offset_mpc : array (offset,), optional
        Of the centre.
    """
    operators = centre_operators(model, radius_mpc, offset_mpc)
    radius = radius_mpc if operators[0] is None and len(operators) == 1 else _widest(radius_mpc, operators)
    if model.is_nfw and not model.parameters.get("two_halo") and masses.size * len(radius) > _FEW:
        density = threshold_density_msun_mpc3(model.primary, environment)
        r_s, rho_s = nfw.scale(masses.ravel(), concentration.ravel(), density)
        nodes, weights = _interpolation(np.log(r_s))
        sigma, mean = nfw.shapes(radius / np.exp(nodes)[:, np.newaxis])
        at_nodes = _about_centres(Projected(sigma, mean - sigma), radius, radius_mpc, operators)
        amplitude = (rho_s * r_s)[:, np.newaxis]
        n = len(nodes)
        both = [np.moveaxis(part, 1, 0).reshape(n, -1) for part in at_nodes]
        parts = [(amplitude * (weights @ part)).reshape(*masses.shape, len(operators), -1) for part in both]
        return Projected(np.moveaxis(parts[0], 2, 0), np.moveaxis(parts[1], 2, 0))
    found = model.surface(radius, environment, masses.ravel(), concentration.ravel())
    shape = (len(operators), *masses.shape, len(radius_mpc))
    sigma, delta = _about_centres(found, radius, radius_mpc, operators)
    return Projected(sigma.reshape(shape), delta.reshape(shape))


def centre_operators(
    model: LensModel, radius_mpc: Array, offset_mpc: Array | None
) -> list[Miscentring | None]:
    """Return what each offset of the centre does to a profile at these radii; None: nothing."""
    if offset_mpc is None and "offset_mpc" not in model.parameters:
        return [None]
    key = radius_mpc.tobytes() + (b"" if offset_mpc is None else offset_mpc.tobytes())
    if key not in model.centre_cache:
        if offset_mpc is None:
            made = [model.mean_miscentring(radius_mpc)]
        else:
            made = list(at_offsets(radius_mpc, offset_mpc))
        if len(model.centre_cache) >= _REMEMBERED:
            model.centre_cache.pop(next(iter(model.centre_cache)))
        model.centre_cache[key] = made
    found: list[Miscentring | None] = model.centre_cache[key]
    return found


_REMEMBERED = 64


def _widest(radius_mpc: Array, operators: list[Miscentring | None]) -> Array:
    """Return the radii that all operators need, whose grids start alike, after the bins' own."""
    grids = [operator.grid_mpc for operator in operators if operator is not None]
    return np.concatenate([radius_mpc, max(grids, key=len)])


def _about_centres(
    found: Projected, radius: Array, radius_mpc: Array, operators: list[Miscentring | None]
) -> Projected:
    """Return surface densities (offset, mass, bin) from those (mass, node) of a centred profile."""
    if len(radius) == len(radius_mpc):
        return Projected(found.sigma[np.newaxis], found.delta_sigma[np.newaxis])
    n = len(radius_mpc)
    sigma, delta = [], []
    for operator in operators:
        if operator is None:
            sigma.append(found.sigma[:, :n])
            delta.append(found.delta_sigma[:, :n])
            continue
        last = n + len(operator.grid_mpc)
        inner = found.sigma[:, n:last]
        offset = inner @ operator.sigma.T
        sigma.append(offset)
        delta.append((inner + found.delta_sigma[:, n:last]) @ operator.mean_sigma.T - offset)
    return Projected(np.array(sigma), np.array(delta))


def _interpolation(x: Array) -> tuple[Array, Array]:
    """Return equally spaced nodes (node,) that cover x, and weights (x, node) of six about each."""
    low, high = float(x.min()), float(x.max())
    n = max(int(np.ceil((high - low) / _STEP)) + 1, _POINTS)
    nodes: Array = low + _STEP * np.arange(n, dtype=float) + 0.5 * (high - low - _STEP * (n - 1))
    position = (x - nodes[0]) / _STEP
    first = np.clip(position.astype(np.intp) - (_POINTS // 2 - 1), 0, n - _POINTS)
    t = position - first
    weights = np.zeros((len(x), n))
    rows = np.arange(len(x))
    for k in range(_POINTS):
        term = np.ones_like(t)
        for j in range(_POINTS):
            if j != k:
                term *= (t - j) / (k - j)
        weights[rows, first + k] = term
    return nodes, weights
