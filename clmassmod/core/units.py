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

C2_4PIG_MSUN_MPC = C_KM_S**2 / (4.0 * math.pi * G_MPC_KM2_S2_MSUN)
"""c2 / (4 pi G) in Msun / Mpc: the critical surface density times D_l D_ls / D_s."""

ARCMIN_RAD = math.pi / 10_800.0
"""One arcminute in radians."""

ARCSEC_RAD = ARCMIN_RAD / 60.0
"""One arcsecond in radians."""


def critical_density_msun_mpc3(hubble_km_s_mpc: float) -> float:
    """Return the critical density 3 H2 / (8 pi G) in Msun / Mpc3 for a Hubble rate in km/s/Mpc."""
    return 3.0 * hubble_km_s_mpc**2 / (8.0 * math.pi * G_MPC_KM2_S2_MSUN)
