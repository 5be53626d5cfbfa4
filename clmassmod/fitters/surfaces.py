"""Surface densities of one halo for every node of its concentration and of its centre's offset.

An NFW halo is rho_s r_s f(R / r_s): its surface densities at fixed radii, centred or not, are functions of
ln r_s alone, up to an amplitude. About its own centre f comes from a table in ln(R / r_s). About others it is
averaged at nodes in ln r_s and interpolated for all masses and concentrations at once. Other profiles are
computed one by one, about other centres on a grid that haloes of one redshift share. Between many radii,
those of single galaxies, surface densities are interpolated in ln R.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from clmassmod.core import nfw, nfw_table
from clmassmod.core.interpolate import SIX, lagrange
from clmassmod.core.massdef import threshold_density_msun_mpc3
from clmassmod.core.miscentring import Miscentring, at_offsets, lattice
from clmassmod.core.projected import Projected
from clmassmod.fitters.data import MANY
from clmassmod.fitters.likelihood import LensModel
from clmassmod.records import Array, HaloEnvironment

_STEP = 0.12  # in ln r_s: sixth-order interpolation errs by 1e-7
_RADIAL_STEP = 0.08  # in ln R: the excess surface densities of centred profiles err by less than 1e-6
_KINKED_STEP = 0.05  # the same about another centre
_TOGETHER = 4  # nodes in ln R come by so many, so that haloes of about the same radii share them
_VALUES = 16_000  # of a block: arrays of 128 kB, which the system does not hand out page by page
_BLOCK = 20  # masses that share nodes in ln r_s: few of a matrix of weights are not zero


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
    parts = zip(*(found for _, found in blocks), strict=True)
    return Projected(*(np.ascontiguousarray(np.moveaxis(np.concatenate(part), 2, 0)) for part in parts))


def surface_blocks(
    model: LensModel,
    radius_mpc: Array,
    environment: HaloEnvironment,
    masses: Array,
    concentration: Array,
    offset_mpc: Array | None = None,
    unit: Projected | None = None,
) -> Iterator[tuple[slice, Projected]]:
    """Yield the surface densities of ``surfaces`` for some concentrations after the other.

    In blocks that the processor's cache holds: new memory for all of them would cost more than the sums.
    Arrays are (concentration, mass, offset, bin), multiplied by ``unit``, arrays (bin,).
    """
    n, n_mass = concentration.shape
    if offset_mpc is None and "offset_mpc" not in model.parameters:
        exact = tabulated(model) or not model.takes_any_radius
        nodes, weights = (radius_mpc, None) if exact else _between_nodes(radius_mpc, _RADIAL_STEP)
    else:
        nodes, weights = radial_nodes(radius_mpc)
    centres = centre_operators(model, nodes, offset_mpc)
    n_offset = 1 if centres is None else len(centres.sigma)
    size = max(_VALUES // (n_offset * n_mass * len(radius_mpc)), 1)
    early, late = (unit, None) if weights is None else (None, unit)
    project = _projection(model, nodes, environment, masses, concentration, centres, early)
    for start in range(0, n, size):
        part = slice(start, min(start + size, n))
        yield part, _in_unit(between(project(part), weights), late)


def _in_unit(found: Projected, unit: Projected | None) -> Projected:
    if unit is None:
        return found
    return Projected(found.sigma * unit.sigma, found.delta_sigma * unit.delta_sigma)


def radial_nodes(radius_mpc: Array) -> tuple[Array, Array | None]:
    """Return the radii (node,) to compute for many radii, and weights (radius, node) for those between.

    Few radii are their own nodes, without weights.
    """
    return (radius_mpc, None) if len(radius_mpc) <= MANY else _between_nodes(radius_mpc, _KINKED_STEP)


def _between_nodes(radius_mpc: Array, step: float) -> tuple[Array, Array]:
    """Return radii (node,) on multiples of a step in ln R, which haloes share, and weights (radius, node)."""
    x = np.log(radius_mpc)
    first, n = lattice(x.min() - 2.0 * step, x.max(), step, _TOGETHER)
    _, weights = lagrange(x / step - first, n)
    return np.exp(step * (first + np.arange(n))), weights


def between(found: Projected, weights: Array | None) -> Projected:
    """Return surface densities (..., radius) from those (..., node) of ``radial_nodes``."""
    if weights is None:
        return found
    return Projected(found.sigma @ weights.T, found.delta_sigma @ weights.T)


def _projection(
    model: LensModel,
    radius_mpc: Array,
    environment: HaloEnvironment,
    masses: Array,
    concentration: Array,
    centres: Miscentring | None,
    unit: Projected | None,
) -> Callable[[slice], Projected]:
    """Return the function that gives surface densities (concentration, mass, offset, bin) of a slice."""
    if tabulated(model) and centres is not None:
        ln_r_s, amplitude = _scales(model, environment, masses, concentration)
        return _off_centre(ln_r_s, amplitude, centres, unit)

    def mass(part: slice) -> Array:
        return np.broadcast_to(masses if len(masses) == 1 else masses[part], concentration[part].shape)

    def shared(part: slice, grid: Array) -> Projected:
        haloes = zip(mass(part), concentration[part], strict=True)
        rows = [_on_grid(model, grid, environment, *halo) for halo in haloes]
        return Projected(*(np.stack(v) for v in zip(*rows, strict=True)))

    def project(part: slice) -> Projected:
        if centres is not None:
            return _in_unit(centres.of(shared(part, centres.grid_mpc)), unit)
        if tabulated(model):
            found = centred_nfw(model, radius_mpc, environment, mass(part), concentration[part])
        else:
            found = shared(part, radius_mpc)
        found = _in_unit(found, unit)
        return Projected(found.sigma[:, :, np.newaxis], found.delta_sigma[:, :, np.newaxis])

    return project


def _on_grid(
    model: LensModel, grid: Array, environment: HaloEnvironment, masses: Array, concentration: Array
) -> Projected:
    """Return surface densities (mass, node) of centred haloes (mass,), which haloes of one redshift share.

    One concentration at a time: quadratures take memory for a hundred nodes at each of these radii.
    """
    key = (environment, grid.tobytes(), masses.tobytes(), concentration.tobytes())
    size = 2 * len(grid) * len(masses)
    return model.memo.surfaces.get(key, lambda: model.surface(grid, environment, masses, concentration), size)


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
    ln_r_s: Array, amplitude: Array, centres: Miscentring, unit: Projected | None
) -> Callable[[slice], Projected]:
    """Return the same of NFW haloes (concentration, mass) about other centres."""
    nodes, first, weights = _interpolation(ln_r_s)
    inner = Projected(*nfw_table.shapes(np.log(centres.grid_mpc) - nodes[:, np.newaxis]))
    at_nodes = _in_unit(centres.of(inner), unit)
    shape = at_nodes.sigma.shape[1:]
    both = [values.reshape(len(nodes), -1) for values in at_nodes]
    n_mass = ln_r_s.shape[1]

    def project(part: slice) -> Projected:
        out = np.empty((2, part.stop - part.start, n_mass, both[0].shape[1]))
        for i in range(part.start, part.stop):
            for start in range(0, n_mass, _BLOCK):
                block = slice(start, start + _BLOCK)
                low, high = int(first[i, block].min()), int(first[i, block].max()) + SIX
                for values, into in zip(both, out, strict=True):
                    np.matmul(weights[i, block, low:high], values[low:high], out=into[i - part.start, block])
        out *= amplitude[part]
        return Projected(*out.reshape(*out.shape[:3], *shape))

    return project


def centre_operators(model: LensModel, radius_mpc: Array, offset_mpc: Array | None) -> Miscentring | None:
    """Return what offsets (offset,) of the centre do to a profile at these radii; None: it is not off."""
    if offset_mpc is None and "offset_mpc" not in model.parameters:
        return None

    def make() -> Miscentring:
        if offset_mpc is not None:
            return at_offsets(radius_mpc, offset_mpc)
        mean = model.mean_miscentring(radius_mpc)
        return Miscentring(mean.grid_mpc, mean.sigma[np.newaxis], mean.mean_sigma[np.newaxis])

    key = radius_mpc.tobytes(), None if offset_mpc is None else offset_mpc.tobytes()
    return model.memo.centres.get(key, make)


def _interpolation(x: Array) -> tuple[Array, np.ndarray, Array]:
    """Return equally spaced nodes (node,) that cover x, the first of six about each x, and weights.

    The weights, (..., node), are those of Lagrange.
    """
    low, high = float(x.min()), float(x.max())
    n = max(int(np.ceil((high - low) / _STEP)) + 1, SIX)
    nodes: Array = low + _STEP * np.arange(n, dtype=float) + 0.5 * (high - low - _STEP * (n - 1))
    first, weights = lagrange((x - nodes[0]) / _STEP, n)
    return nodes, first, weights
