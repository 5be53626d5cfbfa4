"""Lensing by haloes from textbook formulae and plain integrals; nothing of the package."""

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq

C_KM_S, G = 299_792.458, 4.30091727e-9  # Mpc (km/s)2 / Msun


class Background:
    """Flat cosmology of matter and a constant, seen at the redshift of a lens."""

    def __init__(self, H0, Om0, z):
        self.H0, self.Om0, self.z = H0, Om0, z
        self.d_lens = self._comoving(0, z) / (1 + z)
        self.mpc_per_arcmin = self.d_lens * np.pi / 180 / 60
        self.rho_m = 3 * H0**2 / (8 * np.pi * G) * Om0 * (1 + z) ** 3
        self.rho_c = self.rho_m + 3 * H0**2 / (8 * np.pi * G) * (1 - Om0)
        self.sigma_crit = C_KM_S**2 / (4 * np.pi * G * self.d_lens * self.beta(np.inf))

    def _comoving(self, low, high):
        # in u = 1 / sqrt(1 + z)
        def integrand(u):
            return 2 / np.sqrt(self.Om0 + (1 - self.Om0) * u**6)

        return C_KM_S / self.H0 * quad(integrand, (1 + high) ** -0.5, (1 + low) ** -0.5, epsabs=1e-12)[0]

    def beta(self, z_source):
        """Return D_ls / D_s."""
        return self._comoving(self.z, z_source) / self._comoving(0, z_source)

    def reduced(self, sigma, mean_sigma, beta_s):
        """Return the reduced shear of one source plane."""
        kappa, gamma = sigma / self.sigma_crit, (mean_sigma - sigma) / self.sigma_crit
        return beta_s * gamma / (1 - beta_s * kappa)

    def nfw(self, radius, m200c, c, beta_s):
        """Return the reduced shear of an NFW halo: Wright & Brainerd 2000, eq. 11 to 14."""
        r_s = np.cbrt(3 * m200c / (800 * np.pi * self.rho_c)) / c
        rho_s = 200 / 3 * c**3 / (np.log(1 + c) - c / (1 + c)) * self.rho_c
        x = radius / r_s
        inner = np.arccosh(1 / np.minimum(x, 1)) / np.sqrt(np.abs(1 - x**2))
        f = np.where(x < 1, inner, np.arccos(1 / np.maximum(x, 1)) / np.sqrt(np.abs(1 - x**2)))
        sigma = 2 * rho_s * r_s * (1 - f) / (x**2 - 1)
        return self.reduced(sigma, 4 * rho_s * r_s * (np.log(x / 2) + f) / x**2, beta_s)


def duffy08(mass_h, z):
    """Return c200c: Duffy et al. 2008 (MNRAS 390, L64), table 1, full sample; mass in Msun / h."""
    return 5.71 * (mass_h / 2e12) ** -0.084 * (1 + z) ** -0.47


def diemer_kravtsov(cosmology, background, m200c, radius):
    """Return surface density and its mean inside each radius, [Msun / Mpc2], of a halo and its infall.

    Diemer & Kravtsov 2014 (ApJ 789, 1), eq. 4 and 6, selected by mass: Einasto times a transition, plus
    rho_m / (1 / 1000 + (r / 5 R200m)^1.5). The mean density counts in the masses alone.
    """
    from colossus.cosmology import cosmology as colossus
    from colossus.halo import concentration
    from colossus.lss import peaks

    h, z, rho_m = cosmology["H0"] / 100, background.z, background.rho_m
    before = colossus.current_cosmo
    model = colossus.Cosmology(
        flat=True, relspecies=False, persistence="", print_warnings=False, name="brute", **cosmology
    )
    try:
        colossus.setCurrent(model)
        c = concentration.concentration(m200c * h, "200c", z, model="diemer15_orig")

        def nu_of(mass):
            return peaks.peakHeight(mass * h, z)

        r200c = np.cbrt(3 * m200c / (800 * np.pi * background.rho_c))
        r200m = 1.4 * r200c
        for _ in range(40):
            nu = nu_of(800 / 3 * np.pi * rho_m * r200m**3)
            alpha, r_t, r_s = 0.155 + 0.0095 * nu**2, (1.9 - 0.18 * nu) * r200m, r200c / c

            def inner(r, alpha=alpha, r_t=r_t, r_s=r_s):
                return np.exp(-2 / alpha * ((r / r_s) ** alpha - 1)) * (1 + (r / r_t) ** 4) ** -2

            def infall(r, r200m=r200m):
                return rho_m / (1e-3 + (r / (5 * r200m)) ** 1.5)

            def mass(rho, r):
                # in ln r, from where nothing is left
                return 4 * np.pi * quad(lambda u: np.exp(3 * u) * rho(np.exp(u)), np.log(1e-6), np.log(r))[0]

            rest = mass(infall, r200c) + 4 / 3 * np.pi * rho_m * r200c**3
            rho_s = (m200c - rest) / mass(inner, r200c)

            def excess(r, rho_s=rho_s, inner=inner, infall=infall, mass=mass):
                return rho_s * mass(inner, r) + mass(infall, r) - 4 / 3 * np.pi * 199 * rho_m * r**3

            new = brentq(excess, r200c, 4 * r200c, rtol=1e-12)
            if abs(new / r200m - 1) < 1e-9:
                break
            r200m = new
    finally:
        colossus.current_cosmo = before
    t, w = np.polynomial.legendre.leggauss(400)
    t, w = 0.5 * 26 * (t + 1), 0.5 * 26 * w  # along the line of sight, to R cosh 26

    def sigma(r):
        along = r * np.cosh(t)
        return 2 * r * np.sum(w * np.cosh(t) * (rho_s * inner(along) + infall(along)))

    def mean_sigma(r):
        inside = quad(lambda u: np.exp(2 * u) * sigma(np.exp(u)), np.log(1e-5), np.log(r), epsrel=1e-8)[0]
        return 2 * inside / r**2

    return np.array([sigma(r) for r in radius]), np.array([mean_sigma(r) for r in radius])
