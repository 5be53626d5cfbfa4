"""Interpolate a campaign's tables; numpy alone, errors below 1e-5 against the direct computation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from clmassmod.core.interpolate import cubic, hermite, scalar_stencil
from clmassmod.core.massdef import convert_nfw, threshold_density_msun_mpc3
from clmassmod.core.projected import Projected
from clmassmod.core.units import C_KM_S
from clmassmod.cosmology.lss import lss_covariance
from clmassmod.cosmology.model import Cosmology, environment
from clmassmod.cosmology.structure import COLLAPSE_THRESHOLD, bias_from_peak_height
from clmassmod.cosmology.two_halo import from_template
from clmassmod.errors import ConfigError
from clmassmod.records import Array, HaloEnvironment
from clmassmod.tables.build import is_number, table_name
from clmassmod.tables.structure_noise import PLANE, Spectrum, plane_spectra, sample_spectrum


class Tables:
    """The tables of a campaign, as ``build`` made them.

    Parameters
    ----------
    tree
        Nested mapping of arrays, read back from the campaign's file.
    """

    def __init__(self, tree: Mapping[str, Any]) -> None:
        self._tree = tree

    @cached_property
    def cosmology(self) -> Cosmology:
        """The cosmology that the tables were computed for."""
        values = {name: float(np.asarray(value)) for name, value in self._tree["cosmology"].items()}
        return Cosmology(**{name: None if np.isnan(v) else v for name, v in values.items()})  # type: ignore[arg-type]

    def environment(self, z: float) -> HaloEnvironment:
        """Return densities, distance and critical surface density of a lens at ``z``."""
        return environment(self.cosmology, z)

    @cached_property
    def _distance_slope(self) -> Array:
        """Derivative of the distance with respect to u = 1 / sqrt(1 + z), at the nodes."""
        c = self.cosmology
        u2 = np.linspace(0.0, 1.0, len(self._tree["distance"]["line_of_sight_mpc"])) ** 2
        power = -3.0 * (c.w0 + c.wa)
        dark = c.dark_energy * u2**power * np.exp(-3.0 * c.wa * (1.0 - u2))
        return np.asarray(-2.0 * C_KM_S / c.H0 / np.sqrt(c.Om0 + c.curvature * u2 + dark))

    def line_of_sight_distance_mpc(self, z: ArrayLike) -> Array:
        """Return the comoving distance along the line of sight; ``z`` may be infinite."""
        value = np.asarray(self._tree["distance"]["line_of_sight_mpc"])
        u = 1.0 / np.sqrt(1.0 + np.asarray(z, dtype=float))
        return hermite(u, 0.0, 1.0 / (len(value) - 1), value, self._distance_slope)

    def beta(self, z_source: ArrayLike, z_lens: ArrayLike) -> Array:
        """Return D_ls / D_s, 0 for sources that are not behind the lens; all redshifts may be 0."""
        z_source, z_lens = np.asarray(z_source, dtype=float), np.asarray(z_lens, dtype=float)
        source, lens = self.line_of_sight_distance_mpc(z_source), self.line_of_sight_distance_mpc(z_lens)
        behind = z_source > z_lens
        return np.where(behind, self._beta(np.where(behind, source, lens + 1.0), lens), 0.0)

    def beta_s(self, z_source: ArrayLike, z_lens: ArrayLike) -> Array:
        """Return beta(z_source) / beta(infinity), 0 for sources that are not behind the lens."""
        z_source, z_lens = np.asarray(z_source, dtype=float), np.asarray(z_lens, dtype=float)
        source, lens = self.line_of_sight_distance_mpc(z_source), self.line_of_sight_distance_mpc(z_lens)
        infinity = self._tree["distance"]["line_of_sight_mpc"][0]
        behind = z_source > z_lens
        source = np.where(behind, source, infinity)
        ratio = self._beta(source, lens) / self._beta(infinity, lens)
        return np.where(behind, ratio, 0.0)

    def _beta(self, source: Array, lens: Array) -> Array:
        k = np.sqrt(abs(self.cosmology.curvature)) * self.cosmology.H0 / C_KM_S
        if k == 0:
            return np.asarray(1.0 - lens / source)
        function = np.sinh if self.cosmology.curvature > 0 else np.sin
        return np.asarray(function(k * (source - lens)) / function(k * source))

    def concentration(
        self, relation: str | float, mass_definition: str, mass_msun: ArrayLike, z: float
    ) -> Array:
        """Return the concentrations of a relation, of the masses' shape; edges of the tables hold.

        Raises
        ------
        ConfigError
            If the tables were built without this relation or for other redshifts.
        """
        mass = np.asarray(mass_msun, dtype=float)
        if is_number(relation):
            return np.full(mass.shape, float(relation))
        table = self._concentration_table(relation, mass_definition)
        return np.exp(_at_masses(table, mass, _at_redshift(table["ln_1pz"], table["ln_c"], z)))

    def concentrations(
        self, relation: str | float, mass_definition: str, mass_msun: Array
    ) -> Callable[[float], Array]:
        """Return the function of redshift that ``concentration`` is at these masses, made for many calls."""
        if is_number(relation):
            return lambda _z: np.full(mass_msun.shape, float(relation))
        table = self._concentration_table(relation, mass_definition)
        x, ln_c = np.asarray(table["ln_1pz"]), np.asarray(table["ln_c"])
        rows = np.array([_at_masses(table, mass_msun, row) for row in ln_c])
        return lambda z: np.exp(_at_redshift(x, rows, z))

    def _concentration_table(self, relation: str | float, mass_definition: str) -> Mapping[str, Any]:
        tables = self._tree.get("concentration", {})
        name = table_name(relation, mass_definition)
        if name not in tables:
            raise ConfigError(
                f"the tables hold no concentration relation {relation!r} for {mass_definition} masses "
                f"(they hold: {', '.join(sorted(tables)) or 'none'}): build them again"
            )
        return tables[name]  # type: ignore[no-any-return]

    def convert_mass(
        self,
        mass_msun: ArrayLike,
        concentration: ArrayLike,
        definition_from: str,
        definition_to: str,
        z: float,
    ) -> tuple[Array, Array]:
        """Return mass and concentration of NFW haloes in another mass definition."""
        halo = self.environment(z)
        densities = (threshold_density_msun_mpc3(d, halo) for d in (definition_from, definition_to))
        return convert_nfw(mass_msun, concentration, *densities)

    @property
    def has_structure(self) -> bool:
        """Whether peak heights and the two-halo term are there."""
        return "structure" in self._tree

    @property
    def _structure(self) -> Mapping[str, Any]:
        if not self.has_structure:
            self.cosmology.require("sigma8", "ns", "Ob0", purpose="a peak height or two-halo term")
            raise ConfigError("the tables were built without structure: build them again with it")
        return self._tree["structure"]  # type: ignore[no-any-return]

    def growth(self, z: ArrayLike) -> Array:
        """Return the linear growth factor, 1 today."""
        x, value = (np.asarray(self._structure[key]) for key in ("ln_1pz", "ln_growth"))
        return np.exp(cubic(np.log1p(np.asarray(z, dtype=float)), 0.0, float(x[1]), value))

    def peak_height(self, mass_msun: ArrayLike, z: ArrayLike) -> Array:
        """Return the peak height nu = 1.686 / (sigma(M) D(z)) of masses."""
        x, value = (np.asarray(self._structure[key]) for key in ("ln_mass", "ln_sigma"))
        ln_sigma = cubic(np.log(np.asarray(mass_msun, dtype=float)), float(x[0]), float(x[1] - x[0]), value)
        return np.asarray(COLLAPSE_THRESHOLD / (np.exp(ln_sigma) * self.growth(z)))

    def halo_bias(self, mass_definition: str, mass_msun: ArrayLike, z: float) -> Array:
        """Return the linear halo bias of Tinker et al. 2010, of the masses' shape."""
        return bias_from_peak_height(self.peak_height(mass_msun, z), mass_definition, self.environment(z))

    def two_halo(self, radius_mpc: ArrayLike, z: float, bias: ArrayLike = 1.0) -> Projected:
        """Return the surface densities of linear structure round haloes of a bias, (bias, bin)."""
        unit = from_template(self._structure["two_halo"], radius_mpc, z, float(self.growth(z)))
        b = np.asarray(bias, dtype=float)[..., np.newaxis]
        return Projected(b * unit.sigma, b * unit.delta_sigma)

    def noise_spectrum(self, sample: str, observable: str, z_lens: float, ln_ell: Array) -> Spectrum:
        """Return the convergence power of structure before a sample of sources, as a profile sees it."""
        return sample_spectrum(self._noise_table(sample), observable, z_lens, ln_ell)

    def plane_spectra(self, z_source: Array, ln_ell: Array) -> Array:
        """Return the convergence power of structure before planes of sources (plane,), (plane, ell)."""
        return plane_spectra(self._noise_table(PLANE), z_source, ln_ell)

    def has_noise(self, sample: str) -> bool:
        """Return whether the noise of structure is there for a sample of sources."""
        return sample in self._tree.get("noise", {})

    def _noise_table(self, sample: str) -> Mapping[str, Any]:
        if not self.has_noise(sample):
            raise ConfigError("the tables hold no noise of large-scale structure for this analysis")
        return self._tree["noise"][sample]  # type: ignore[no-any-return]

    def source_plane(self, beta_s: float, z_lens: float) -> float:
        """Return the redshift of a single source plane with this ``beta_s``; infinite for 1."""
        if not 0 < beta_s <= 1:
            raise ConfigError(f"a source plane needs beta_s above 0 and up to 1, found {beta_s!r}")
        low, high = 0.0, 1.0 / np.sqrt(1.0 + z_lens)  # of u = 1 / sqrt(1 + z), which is 0 at infinity
        for _ in range(60):
            middle = 0.5 * (low + high)
            value = float(self.beta_s(1.0 / middle**2 - 1.0, z_lens))
            low, high = (middle, high) if value > beta_s else (low, middle)
        return float(1.0 / (0.5 * (low + high)) ** 2 - 1.0)

    def lss_covariance(
        self, edges_mpc: ArrayLike, z_lens: float, z_source: ArrayLike, weight: ArrayLike | None = None
    ) -> Array:
        """Return the shear covariance of structure along the line of sight, (bin, bin).

        Parameters
        ----------
        edges_mpc
            Edges of the radial bins, physical, (bin + 1,).
        z_lens
            Redshift of the lens.
        z_source, weight
            Sources, or nodes of their redshift distribution, (source,); many galaxies are counted in
            narrow redshift bins first.
        """
        z, w = _condensed(np.asarray(z_source, dtype=float), weight)
        return lss_covariance(
            self.cosmology, edges_mpc, z_lens, z, w, table=self._structure["power"], beta=self.beta
        )


def _at_redshift(ln_1pz: Array, rows: Array, z: float) -> Array:
    """Return the row (node,) at a redshift between rows (z, node)."""
    low, high = float(ln_1pz[0]), float(ln_1pz[-1])
    x = math.log1p(z)
    if not low - 1e-9 <= x <= high + 1e-9:
        raise ConfigError(
            f"the tables hold concentrations for z = {math.expm1(low):.4g} to {math.expm1(high):.4g}, "
            f"not for {z:.4g}: build them again for the haloes' redshifts"
        )
    first, weight = scalar_stencil(x, low, float(ln_1pz[1]) - low, len(ln_1pz))
    return np.asarray(np.array(weight) @ rows[first : first + 4])


def _at_masses(table: Mapping[str, Any], mass_msun: Array, row: Array) -> Array:
    ln_mass = table["ln_mass"]
    return cubic(np.log(mass_msun), float(ln_mass[0]), float(ln_mass[1] - ln_mass[0]), row)


def _condensed(z: Array, weight: ArrayLike | None) -> tuple[Array, Array]:
    """Return at most 200 redshifts and weights that stand for a sample."""
    w = np.ones_like(z) if weight is None else np.asarray(weight, dtype=float)
    if z.size <= 200:
        return z, w
    index = np.minimum(((z - z.min()) / max(float(np.ptp(z)), 1e-9) * 200).astype(np.intp), 199)
    total, mean = (np.asarray(np.bincount(index, v, 200), dtype=float) for v in (w, w * z))
    used = total > 0
    return mean[used] / total[used], total[used]
