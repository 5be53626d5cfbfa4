"""Constants in the units of the package: physical Mpc, Msun, km/s, radians.

The gravitational constant is the IAU/CODATA 2018 value, as CCL and CLMM use it: GM_sun =
1.32712440041e20 m3/s2 is known better than either factor, so that G in these units has nine digits.
"""

from __future__ import annotations

import math

C_KM_S = 299_792.458
"""Speed of light in km/s."""

G_MPC_KM2_S2_MSUN = 4.30091727e-9
"""Gravitational constant in Mpc (km/s)2 / Msun."""

ARCMIN_RAD = math.pi / 10_800.0
"""One arcminute in radians."""

ARCSEC_RAD = ARCMIN_RAD / 60.0
"""One arcsecond in radians."""


def critical_density_msun_mpc3(
    hubble_km_s_mpc: float, gravitational_constant: float = G_MPC_KM2_S2_MSUN
) -> float:
    """Return the critical density 3 H2 / (8 pi G) in Msun / Mpc3 for a Hubble rate in km/s/Mpc."""
    return 3.0 * hubble_km_s_mpc**2 / (8.0 * math.pi * gravitational_constant)
