"""Surface densities of one halo for every node of its concentration and of its centre's offset.

An NFW halo is rho_s r_s f(R / r_s): its surface densities at fixed radii, centred or not, are functions of
ln r_s alone, up to an amplitude. About its own centre f comes from a table in ln(R / r_s). About others it is
averaged at nodes in ln r_s and interpolated for all masses and concentrations at once. Other profiles are
computed one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from clmassmod.core import nfw, nfw_table
from clmassmod.core.massdef import threshold_density_msun_mpc3
from clmassmod.core.miscentring import Miscentring, at_offsets
from clmassmod.core.projected import Projected
from clmassmod.fitters.likelihood import LensModel
from clmassmod.records import Array, HaloEnvironment

_STEP = 0.12  # in ln r_s: sixth-order interpolation errs by 1e-7
_POINTS = 6
_VALUES = 16_000  # of a block
_BLOCK = 48  # masses that share nodes in ln r_s: few of a matrix of weights are not zero


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
    masses : array (concentration, mass), or (1, mass) for all
    concentration : array (concentration, mass)
        Both in the primary mass definition.
    offset_mpc : array (offset,), optional
        Of the centre.
    """
    blocks = surface_blocks(model, radius_mpc, environment, masses, concentration, offset_mpc)
    sigma, delta = (np.concatenate(part, axis=1) for part in zip(*(b for _, b in blocks), strict=True))
    return Projected(sigma, delta)


def surface_blocks(
    model: LensModel,
    radius_mpc: Array,
    environment: HaloEnvironment,
    masses: Array,
    concentration: Array,
    offset_mpc: Array | None = None,
) -> Iterator[tuple[slice, Projected]]:
    """Yield the surface densities of ``surfaces`` for some concentrations after the other.

    In blocks that the processor's cache holds: new memory for all of them would cost more than the sums.
    """
    operators = centre_operators(model, radius_mpc, offset_mpc)
    n, n_mass = concentration.shape
    size = max(_VALUES // (len(operators) * n_mass * len(radius_mpc)), 1)
    project = _projection(model, radius_mpc, environment, masses, concentration, operators)
    for start in range(0, n, size):
        part = slice(start, min(start + size, n))
        yield part, project(part)


def _projection(
    model: LensModel,
    radius_mpc: Array,
    environment: HaloEnvironment,
    masses: Array,
    concentration: Array,
    operators: list[Miscentring | None],
) -> Callable[[slice], Projected]:
    """Return the function that gives surface densities (offset, concentration, mass, bin) of a slice."""
    centred = operators[0] is None and len(operators) == 1
    if tabulated(model) and not centred:
        ln_r_s, amplitude = _scales(model, environment, masses, concentration)
        return _off_centre(ln_r_s, amplitude, radius_mpc, operators)
    radius = radius_mpc if centred else _widest(radius_mpc, operators)

    def project(part: slice) -> Projected:
        c = concentration[part]
        mass = np.broadcast_to(masses if len(masses) == 1 else masses[part], c.shape)
        if tabulated(model):
            found = centred_nfw(model, radius, environment, mass, c)
            return Projected(found.sigma[np.newaxis], found.delta_sigma[np.newaxis])
        found = model.surface(radius, environment, mass.ravel(), c.ravel())
        sigma, delta = _about_centres(found, radius, radius_mpc, operators)
        shape = (len(operators), *c.shape, len(radius_mpc))
        return Projected(sigma.reshape(shape), delta.reshape(shape))

    return project


def tabulated(model: LensModel) -> bool:
    """Return whether ``centred_nfw`` gives the profiles of a model."""
    return model.is_nfw and not model.parameters.get("two_halo")


def centred_nfw(
    model: LensModel, radius_mpc: Array, environment: HaloEnvironment, masses: Array, concentration: Array
) -> Projected:
    """Return surface densities (..., bin) of NFW haloes (...) about their own centres."""
    ln_r_s, amplitude = _scales(model, environment, masses, concentration)
    sigma, delta = nfw_table.shapes(np.log(radius_mpc) - ln_r_s[..., np.newaxis])
    sigma *= amplitude
    delta *= amplitude
    return Projected(sigma, delta)


def _scales(
    model: LensModel, environment: HaloEnvironment, masses: Array, concentration: Array
) -> tuple[Array, Array]:
    """Return ln r_s (...) and rho_s r_s (..., 1) of NFW haloes (...)."""
    density = threshold_density_msun_mpc3(model.primary, environment)
    r_s, rho_s = nfw.scale(masses, concentration, density)
    return np.log(r_s), (rho_s * r_s)[..., np.newaxis]


def _off_centre(
    ln_r_s: Array, amplitude: Array, radius_mpc: Array, operators: list[Miscentring | None]
) -> Callable[[slice], Projected]:
    """Return the same of NFW haloes (concentration, mass) about other centres."""
    radius = _widest(radius_mpc, operators)
    nodes, first, weights = _interpolation(ln_r_s)
    at_nodes = Projected(*nfw_table.shapes(np.log(radius) - nodes[:, np.newaxis]))
    both = np.array(_about_centres(at_nodes, radius, radius_mpc, operators))  # (2, offset, node, bin)
    shape = both.shape[:2] + both.shape[3:]
    both = np.moveaxis(both, 2, 0).reshape(len(nodes), -1)

    def project(part: slice) -> Projected:
        out = np.empty((2, shape[1], part.stop - part.start, ln_r_s.shape[1], shape[2]))
        for i in range(part.start, part.stop):
            for start in range(0, ln_r_s.shape[1], _BLOCK):
                block = slice(start, start + _BLOCK)
                low, high = int(first[i, block].min()), int(first[i, block].max()) + _POINTS
                values = (weights[i, block, low:high] @ both[low:high]).reshape(-1, *shape)
                into = out[:, :, i - part.start, block]
                np.multiply(values.transpose(1, 2, 0, 3), amplitude[i, block], out=into)
        return Projected(out[0], out[1])

    return project


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


def _interpolation(x: Array) -> tuple[Array, np.ndarray, Array]:
    """Return equally spaced nodes (node,) that cover x, the first of six about each x, and weights.

    The weights, (..., node), are those of Lagrange.
    """
    low, high = float(x.min()), float(x.max())
    n = max(int(np.ceil((high - low) / _STEP)) + 1, _POINTS)
    nodes: Array = low + _STEP * np.arange(n, dtype=float) + 0.5 * (high - low - _STEP * (n - 1))
    position = (x - nodes[0]) / _STEP
    first = np.clip(position.astype(np.intp) - (_POINTS // 2 - 1), 0, n - _POINTS)
    t = position - first
    a, b, c, d, e, f = (t - k for k in range(_POINTS))
    ab, cd, ef = a * b, c * d, e * f
    cdef, abef, abcd = cd * ef / 24.0, ab * ef / 12.0, ab * cd / 24.0
    weights = np.zeros((x.size, n))
    place = first.ravel() + n * np.arange(x.size)
    terms = (b * cdef / -5.0, a * cdef, -d * abef, c * abef, -f * abcd, e * abcd / 5.0)
    for k, term in enumerate(terms):
        weights.ravel()[place + k] = term.ravel()
    return nodes, first, weights.reshape(*x.shape, n)
