"""Two-halo term: linear structure round a halo, projected along the line of sight.

For haloes of bias b at redshift z, with R in physical units and P the linear power spectrum today,

    sigma(R)       = b D(z)^2 (1 + z)^2 rho_m0 * integral of k dk / (2 pi) P(k) J0(k R (1 + z))
    delta sigma(R) = the same with J2

(Oguri & Hamana 2011, MNRAS 414, 1851, sect. 2, with the flat-sky integral in comoving wave numbers), so
that one template a cosmology serves all masses and redshifts. Hankel transforms by FFTLog (Hamilton
2000, MNRAS 312, 257).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from clmassmod.core.interpolate import cubic
from clmassmod.core.projected import Projected
from clmassmod.cosmology.model import Cosmology, mean_density_msun_mpc3
from clmassmod.cosmology.structure import growth, halo_bias, linear_power_mpc3
from clmassmod.records import Array

_K_RANGE_MPC = (1e-7, 1e7)
_NODES = 4096
_RADIUS_RANGE_MPC = (1e-3, 400.0)  # comoving


def template(cosmology: Cosmology) -> dict[str, Array]:
    """Return the term for b = 1 at z = 0 on comoving radii.

    Returns
    -------
    dict
        ``ln_radius`` (node,), equally spaced, of comoving Mpc; ``sigma`` and ``delta_sigma`` (node,)
        in Msun / Mpc2.
    """
    from scipy.fft import fht

    ln_k = np.linspace(np.log(_K_RANGE_MPC[0]), np.log(_K_RANGE_MPC[1]), _NODES)
    step = ln_k[1] - ln_k[0]
    k = np.exp(ln_k)
    rho_mean = mean_density_msun_mpc3(cosmology, 0.0)
    integrand = rho_mean * k * linear_power_mpc3(cosmology, k) / (2.0 * np.pi)
    ln_radius = ln_k - (ln_k[0] + ln_k[-1])  # k and R have product 1 in the middle of the grid
    radius = np.exp(ln_radius)
    # a power-law bias makes both ends of the periodic transform small
    sigma = fht(integrand, step, mu=0.0, offset=0.0, bias=-0.5) / radius
    delta = fht(integrand, step, mu=2.0, offset=0.0, bias=0.5) / radius
    keep = (radius >= _RADIUS_RANGE_MPC[0]) & (radius <= _RADIUS_RANGE_MPC[1])
    return {"ln_radius": ln_radius[keep], "sigma": sigma[keep], "delta_sigma": delta[keep]}


def from_template(
    table: Mapping[str, Any], radius_mpc: ArrayLike, z: float, growth_factor: float
) -> Projected:
    """Return surface densities for b = 1 at physical radii, of their shape, from ``template``."""
    x = np.asarray(table["ln_radius"])
    ln_radius = np.log(np.asarray(radius_mpc, dtype=float) * (1.0 + z))
    amplitude = (growth_factor * (1.0 + z)) ** 2
    sigma, delta = (
        amplitude * cubic(ln_radius, float(x[0]), float(x[1] - x[0]), np.asarray(table[key]))
        for key in ("sigma", "delta_sigma")
    )
    return Projected(sigma, delta)


def two_halo(
    cosmology: Cosmology,
    radius_mpc: ArrayLike,
    z: float,
    *,
    bias: ArrayLike | None = None,
    mass_msun: ArrayLike | None = None,
    mass_definition: str = "200m",
) -> Projected:
    """Return the two-halo surface densities, (halo, bin), or (bin,) for one halo.

    Parameters
    ----------
    cosmology
        With sigma8, ns and Ob0.
    radius_mpc
        Projected physical radii, (bin,).
    z
        Redshift.
    bias
        Linear halo bias, scalar or (halo,); if None, that of ``mass_msun`` by Tinker et al. 2010.
    mass_msun, mass_definition
        Masses for the bias.
    """
    if bias is None:
        if mass_msun is None:
            raise TypeError("two_halo needs a bias or a mass")
        bias = halo_bias(cosmology, mass_definition, mass_msun, z)
    unit = from_template(template(cosmology), radius_mpc, z, float(growth(cosmology, z)))
    b = np.asarray(bias, dtype=float)[..., np.newaxis]
    return Projected(b * unit.sigma, b * unit.delta_sigma)
