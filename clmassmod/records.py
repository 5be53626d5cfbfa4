"""Frozen records that the steps exchange; numpy alone.

Lengths are physical Mpc, masses Msun, angles arcmin where the name says so and radians otherwise.
Lensing quantities with the suffix ``_inf`` are those of a source at infinite redshift: a source at
redshift z_s sees ``beta_s`` times as much, beta_s = beta(z_s) / beta(infinity).
"""

from __future__ import annotations

import copyreg
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clmassmod.errors import FitError
from clmassmod.plain import as_floats

Array = NDArray[np.float64]
Observable = Literal["g_t", "delta_sigma", "kappa"]

PER_BIN = ("radius_mpc", "value", "error", "cross", "n_gal", "beta_s", "beta_s2")
"""Arrays of a profile that hold one number a bin."""


def _profile_units(measured: str) -> dict[str, str]:
    """Return what quantities in a profile are converted to, by the unit of its values."""
    lengths = dict.fromkeys(("radius_mpc", "edges_mpc", "d_lens_mpc"), "Mpc")
    values = dict.fromkeys(("value", "error", "cross"), measured)
    others = {"sigma_crit_inf_msun_mpc2": "Msun / Mpc2", "covariance": "Msun2 / Mpc4" if measured else ""}
    return dict.fromkeys(PER_BIN, "") | lengths | values | others


_PROFILE_UNITS = {True: _profile_units("Msun / Mpc2"), False: _profile_units("")}
_OPTIONAL = ("covariance", "edges_mpc")
_SCALARS = ("d_lens_mpc", "sigma_crit_inf_msun_mpc2")

_EMPTY: Mapping[str, float] = MappingProxyType({})


def _read_only(values: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(values)


# records are handed to other processes, and Python itself pickles no read-only mapping
copyreg.pickle(MappingProxyType, lambda mapping: (_read_only, (dict(mapping),)))


@dataclass(frozen=True)
class HaloInfo:
    """One halo (or one projection of a halo) of a simulation or survey, without truth."""

    halo_id: str
    z: float
    parent_id: str = ""  # empty: the halo is its own parent
    extra: Mapping[str, float] = field(default_factory=lambda: _EMPTY)  # richness, S/N of detection …

    @property
    def parent(self) -> str:
        """Identifier shared by all projections of one halo."""
        return self.parent_id or self.halo_id


@dataclass(frozen=True)
class HaloEnvironment:
    """What a density profile and its lensing need of the background at the lens redshift."""

    z: float
    rho_crit_msun_mpc3: float  # physical, at z
    rho_mean_msun_mpc3: float  # physical matter density, at z
    d_lens_mpc: float  # angular-diameter distance
    sigma_crit_inf_msun_mpc2: float  # for a source at infinite redshift


@dataclass(frozen=True)
class LensingMap:
    """Pixelised lensing of one halo for sources at infinite redshift; arrays are (y, x).

    The halo's true centre is the middle of the map, pixel coordinate ((n_x - 1) / 2, (n_y - 1) / 2),
    plus ``centre_mpc``. Shears that the simulation does not give are None.
    """

    halo: HaloInfo
    pixel_mpc: float
    kappa_inf: Array
    gamma1_inf: Array | None = None
    gamma2_inf: Array | None = None
    centre_mpc: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class SourceCatalog:
    """Background galaxies round one halo; all arrays are (source,).

    Positions are relative to the **assumed** centre. Ellipticities estimate the reduced shear; a
    positive e1 is an elongation along x.
    """

    halo: HaloInfo
    x_arcmin: Array
    y_arcmin: Array
    e1: Array
    e2: Array
    z_source: Array
    beta_s: Array
    weight: Array
    d_lens_mpc: float
    sigma_crit_inf_msun_mpc2: float
    shape_noise: float  # of one component; 0: none was added
    offset_mpc: tuple[float, float] = (0.0, 0.0)  # assumed minus true centre
    extra: Mapping[str, Array] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class ShearProfile:
    """Binned reduced tangential shear, excess surface density or convergence; arrays are (bin,).

    ``value``, ``error`` and ``cross`` are pure numbers for ``g_t`` and ``kappa`` (that of sources with
    <beta_s>) and Msun / Mpc2 for ``delta_sigma``. ``error`` holds the noise of galaxies' shapes, or of a
    map's pixels, alone. A bin that holds no galaxy (or pixel) has ``n_gal == 0`` and a value of NaN, and is
    never fitted.
    """

    halo: HaloInfo
    observable: Observable
    radius_mpc: Array
    value: Array
    error: Array
    cross: Array
    n_gal: Array
    beta_s: Array
    beta_s2: Array
    d_lens_mpc: float
    sigma_crit_inf_msun_mpc2: float
    covariance: Array | None = None  # (bin, bin), in addition to error**2 on the diagonal
    edges_mpc: Array | None = None  # (bin + 1,)

    def __post_init__(self) -> None:
        """Make arrays of lists, masked arrays (NaN where masked) and quantities; see that they match."""
        where = f"profile of halo {self.halo.halo_id!r}"
        for name, unit in _PROFILE_UNITS[self.observable == "delta_sigma"].items():
            given = getattr(self, name)
            if given is not None or name not in _OPTIONAL:
                values = as_floats(given, f"{where}: {name}", unit)
                object.__setattr__(self, name, float(values) if name in _SCALARS else values)
        shape = self.radius_mpc.shape
        for name in PER_BIN:
            values = getattr(self, name)
            if values.ndim != 1 or values.shape != shape:
                raise FitError(f"{where}: {name} has shape {values.shape}, radius_mpc {shape}; give (bin,)")


@dataclass(frozen=True)
class HaloFit:
    """Result of one halo and one analysis.

    The product is ``ln_like``: for each mass definition, ln L(data | ln M) on ``mass_msun`` (mass,),
    free of any prior on the mass, up to one constant a halo. ``summary`` holds point and posterior
    estimates under the prior that ``metadata`` names. ``status`` is "ok", or "unusable" with a
    ``reason`` for a halo that cannot be fitted for a scientific reason.
    """

    halo: HaloInfo
    mass_definition: str
    mass_msun: Array
    ln_like: Mapping[str, Array]
    status: Literal["ok", "unusable"] = "ok"
    reason: str = ""
    summary: Mapping[str, float] = field(default_factory=lambda: _EMPTY)
    best_fit: Mapping[str, float] = field(default_factory=lambda: _EMPTY)
    profile: ShearProfile | None = None
    model: Mapping[str, Array] = field(default_factory=lambda: MappingProxyType({}))
    diagnostics: Mapping[str, float] = field(default_factory=lambda: _EMPTY)
    posterior: Mapping[str, Array] = field(default_factory=lambda: MappingProxyType({}))  # (chain, draw)
    metadata: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def from_likelihood(
        cls,
        halo_id: str,
        z: float,
        mass_msun: ArrayLike,
        ln_like: ArrayLike,
        mass_definition: str = "200c",
        parent: str | None = None,
    ) -> HaloFit:
        """Return the fit of a halo whose likelihood another code computed.

        Parameters
        ----------
        halo_id : str
        z : float
            Redshift of the lens.
        mass_msun : array (mass,)
            Increasing, linear or logarithmic or neither; masses of zero and below are left out, as a
            likelihood over ln M has no place for them.
        ln_like : array (mass,)
            ln L(data | M), without any prior, up to a constant; -inf where it is excluded.
        mass_definition : str
            Of the masses: 200c, 500c, 200m, vir …
        parent : str, optional
            Identifier that projections of one halo share.

        Raises
        ------
        FitError
            Masses that do not increase, NaN or +inf, a likelihood that is zero everywhere, fewer than 4
            positive masses; a redshift that is no number.

        Examples
        --------
        >>> import numpy as np
        >>> mass = np.geomspace(1e13, 1e16, 200)
        >>> fit = HaloFit.from_likelihood("halo1", 0.3, mass, -0.5 * ((mass - 5e14) / 1e14) ** 2)
        >>> fit.halo_id, fit.z, fit.status, list(fit.ln_like)
        ('halo1', 0.3, 'ok', ['200c'])
        """
        where = f"likelihood of halo {halo_id!r}"
        masses = as_floats(mass_msun, f"{where}: mass_msun", "Msun")
        values = as_floats(ln_like, f"{where}: ln_like")
        check_likelihood(halo_id, masses, values)
        redshift = as_floats(z, f"{where}: z")
        if redshift.size != 1 or not (np.isfinite(redshift).all() and redshift > -1.0):
            raise FitError(f"{where}: z is {z}; give the redshift of the lens")
        positive = masses > 0
        halo = HaloInfo(str(halo_id), redshift.item(), "" if parent is None else str(parent))
        return cls(halo, mass_definition, masses[positive], {mass_definition: values[positive]})

    @property
    def halo_id(self) -> str:
        """Identifier of the halo or projection."""
        return self.halo.halo_id

    @property
    def z(self) -> float:
        """Redshift of the lens."""
        return self.halo.z

    @property
    def parent(self) -> str:
        """Identifier shared by all projections of one halo."""
        return self.halo.parent


def check_likelihood(halo_id: str, mass_msun: Array, ln_like: Array) -> None:
    """Raise FitError unless a tabulated likelihood can be used."""
    where = f"likelihood of halo {halo_id!r}"
    if mass_msun.ndim != 1 or mass_msun.shape != ln_like.shape:
        shapes = f"{mass_msun.shape} and {ln_like.shape}"
        raise FitError(f"{where}: mass_msun and ln_like have shapes {shapes}; give two arrays of one length")
    for name, bad in (
        ("mass_msun", ~np.isfinite(mass_msun)),
        ("ln_like", np.isnan(ln_like) | (ln_like == np.inf)),
    ):
        if bad.any():
            place = int(np.argmax(bad))
            value = (mass_msun if name == "mass_msun" else ln_like)[place]
            raise FitError(f"{where}: {name}[{place}] is {value}; leave it out, or give -inf for L = 0")
    falling = np.diff(mass_msun) <= 0
    if falling.any():
        place = int(np.argmax(falling)) + 1
        raise FitError(f"{where}: mass_msun[{place}] is not above the one before; sort, drop repeats")
    positive = mass_msun > 0
    if positive.sum() < 4:
        raise FitError(f"{where}: {int(positive.sum())} positive masses; at least 4 are needed")
    if not np.isfinite(ln_like[positive]).any():
        raise FitError(f"{where}: ln_like is -inf at every positive mass; its grid misses the mass")
