"""Noise of profiles beside the shape noise: structure along the line of sight, scatter of profiles.

Both are covariances that do not depend on the fitted mass, so that the likelihood stays a normal one with a
fixed normalisation, and all fitters share it.

Structure (Hoekstra 2003, MNRAS 339, 1155): bins i, j of a halo's profiles have the covariance

    C_ij = 1 / (2 pi) * integral of ell d(ell) f_i g_i(ell) f_j g_j(ell) sqrt(P_i(ell) P_j(ell)),

g the mean of J2(ell theta) over an annulus, P the convergence power before the bin's sources and f the
observable of a unit shear. Bins with the same sources have the same P and the formula is exact in Limber's
approximation; for bins of different samples the geometric mean is an upper limit, since all of them lie
behind the same structure (12 % too large for planes at redshifts 0.8 and 1.4). Shears are taken for reduced
shears.

Scatter: C_ij = f^2 m_i m_j exp(-|ln(r_i / r_j)| / l), m the profile of a halo of a reference mass, f the
share by which it scatters and l a length in ln r; l = 0: bins of different radii are independent. One of the
fitted mass itself would make haloes that scatter upwards noisier and so bias their mean; with a fixed one the
weights of the radii do not depend on the data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clmassmod.core.lss import multipoles, tabulated_annulus_filter
from clmassmod.core.sources import SourceDistribution, histogram_sources, named_sources
from clmassmod.errors import ConfigError, FitError
from clmassmod.records import Array, ShearProfile
from clmassmod.tables.structure_noise import PLANE, Sample

if TYPE_CHECKING:  # pydantic costs more time than a fit
    from clmassmod.config.noise import Noise, ProfileScatter
    from clmassmod.config.sources import Sources
    from clmassmod.fitters.likelihood import LensModel

Used = tuple[NDArray[np.bool_], ...]

_PLANES = np.expm1(np.linspace(np.log(1.02), np.log(21.0), 600))  # where a plane's beta_s is looked up
_THINNEST = 1.01  # outer by inner radius of an annulus that the radii alone would make thinner


def noise_samples(noises: Iterable[Noise]) -> dict[str, Sample | None]:
    """Return what ``tables.build`` needs for the noise of some analyses, empty if nothing."""
    found: dict[str, Sample | None] = {}
    for noise in noises:
        if noise.large_scale_structure:
            found[sample_name(noise.sources)] = None if noise.sources is None else _sample(noise.sources)
    return found


def sample_name(sources: Sources | None) -> str:
    """Return the name of a sample in the tables."""
    if sources is None:
        return PLANE
    from clmassmod.config.load import content_hash

    return content_hash(sources.model_dump(mode="json"))


def _sample(sources: Sources) -> Sample:
    if sources.distribution == "plane":
        return lambda _z_lens: (np.array([float(sources.z or 0.0)]), np.ones(1))
    whole = _distribution(sources)
    cut = sources.behind_lens
    return lambda z_lens: whole.quadrature(0.0 if cut is None else z_lens + cut)


def _distribution(sources: Sources) -> SourceDistribution:
    if sources.distribution == "histogram":
        from clmassmod.mock.sources import distribution

        table = distribution(sources)
        beyond = [table.fraction_beyond(float(z)) for z in table.z]
        return histogram_sources(table.z, -np.diff(beyond))
    parameters: dict[str, Any] = {"z_max": sources.z_max}
    if sources.distribution == "smail":
        parameters |= {"alpha": sources.alpha, "beta": sources.beta, "median_z": sources.median_z}
    elif sources.distribution == "desc_srd":
        parameters["year"] = sources.year
    return named_sources(sources.distribution, **parameters)


@dataclass(frozen=True)
class NoiseTerms:
    """The noise that an analysis adds to ``error**2``; ``covariance`` is None where it adds nothing."""

    noise: Noise | None = None

    @classmethod
    def build(cls, noise: Noise | Mapping[str, Any] | None) -> NoiseTerms:
        """Return the terms of a ``config.noise.Noise`` or a mapping of its keys.

        Raises
        ------
        ConfigError
            For a wrong key or value.
        """
        if noise is None:
            return NONE
        from clmassmod.config.load import build
        from clmassmod.config.noise import Noise

        found = build(Noise, dict(noise), "noise") if isinstance(noise, Mapping) else noise
        return NONE if found == Noise() else cls(found)

    @property
    def sample(self) -> str:
        """Name of the sources' sample in the tables; empty without structure."""
        if self.noise is None or not self.noise.large_scale_structure:
            return ""
        return sample_name(self.noise.sources)

    @property
    def description(self) -> dict[str, Any]:
        """What a result file says of it."""
        return {} if self.noise is None else {"noise": self.noise.model_dump(mode="json", exclude_none=True)}

    def scaled(self, profiles: tuple[ShearProfile, ...]) -> tuple[ShearProfile, ...]:
        """Return the profiles with errors times the factor: linear in z, beyond its table the end's."""
        if self.noise is None or self.noise.error_factor is None:
            return profiles
        z, factor = np.array(self.noise.error_factor).T
        return tuple(replace(p, error=p.error * np.interp(p.halo.z, z, factor)) for p in profiles)

    def covariance(self, model: LensModel, profiles: tuple[ShearProfile, ...], used: Used) -> Array | None:
        """Return the covariance of the used bins of all profiles of a halo, (bin, bin).

        Raises
        ------
        FitError
            If structure needs the sources' ``beta_s`` and a profile has none.
        """
        terms = self.noise
        if terms is None or not any(u.any() for u in used):
            return None
        if not terms.large_scale_structure and terms.profile_scatter is None:
            return None
        n = sum(int(u.sum()) for u in used)
        total = np.zeros((n, n))
        if terms.large_scale_structure:
            total += _structure(terms.sources, model, profiles, used)
        if terms.profile_scatter is not None:
            total += _scatter(terms.profile_scatter, model, profiles, used)
        return total


NONE = NoiseTerms()


def _structure(
    sources: Sources | None, model: LensModel, profiles: tuple[ShearProfile, ...], used: Used
) -> Array:
    bounds = [annuli(p) for p in profiles]
    inner, outer = (
        np.concatenate([b[k][u] / p.d_lens_mpc for b, u, p in zip(bounds, used, profiles, strict=True)])
        for k in (0, 1)
    )
    ell = multipoles(np.array([inner.min(), outer.max()]))
    ln_ell = np.log(ell)
    amplitude = [
        _amplitude(sources, model, p, u, ln_ell) for p, u in zip(profiles, used, strict=True) if u.any()
    ]
    weight = ell * np.sqrt((ln_ell[1] - ln_ell[0]) / (2.0 * np.pi))
    weight[[0, -1]] *= np.sqrt(0.5)
    factor = np.concatenate(amplitude) * tabulated_annulus_filter(ell, inner, outer) * weight
    return np.asarray(factor @ factor.T)


def _amplitude(
    sources: Sources | None, model: LensModel, profile: ShearProfile, used: Any, ln_ell: Array
) -> Array:
    """Return f sqrt(P), (bin, ell), of the used bins of a profile."""
    if profile.observable == "kappa":
        raise FitError(
            f"halo {profile.halo.halo_id!r}: noise.large_scale_structure is that of shears, "
            "not of a map's convergence"
        )
    excess = profile.observable == "delta_sigma"
    critical = profile.sigma_crit_inf_msun_mpc2 if excess else 1.0
    n, z = int(used.sum()), profile.halo.z
    if sources is not None:
        name = sample_name(sources)
        power, scale = model.tables.noise_spectrum(name, profile.observable, z, ln_ell)
        return np.broadcast_to(critical * scale * np.sqrt(power), (n, len(ln_ell)))
    beta_s = profile.beta_s[used]
    if not (np.isfinite(beta_s).all() and (beta_s > 0).all()):
        raise FitError(
            f"halo {profile.halo.halo_id!r}: noise.large_scale_structure needs beta_s of the profile's "
            "sources, or their redshift distribution in noise.sources"
        )
    different, place = np.unique(beta_s, return_inverse=True)
    planes = np.interp(different, model.tables.beta_s(_PLANES, z), _PLANES)
    root = np.sqrt(model.tables.plane_spectra(planes, ln_ell))[place]
    return np.asarray(root * (critical / beta_s)[:, np.newaxis] if excess else root)


def annuli(profile: ShearProfile) -> tuple[Array, Array]:
    """Return inner and outer radii of a profile's bins, (bin,) [Mpc].

    The profile's own edges; without them, geometric means of neighbouring radii.
    """
    edges, radius = profile.edges_mpc, profile.radius_mpc
    if edges is not None and len(edges) == len(radius) + 1:
        return edges[:-1], edges[1:]
    good = np.isfinite(radius) & (radius > 0)
    x, place = np.unique(np.log(radius[good]), return_inverse=True)
    if len(x) == 0:
        return radius, radius
    middle = 0.5 * (x[1:] + x[:-1])
    first, last = (
        (2 * x[0] - middle[0], 2 * x[-1] - middle[-1]) if len(middle) else (x[0] - 0.05, x[0] + 0.05)
    )
    thin = 0.5 * np.log(_THINNEST)
    low = np.minimum(np.concatenate([[first], middle]), x - thin)
    high = np.maximum(np.concatenate([middle, [last]]), x + thin)
    inner, outer = np.full(len(radius), np.nan), np.full(len(radius), np.nan)
    inner[good], outer[good] = np.exp(low)[place], np.exp(high)[place]
    return inner, outer


def _scatter(
    scatter: ProfileScatter, model: LensModel, profiles: tuple[ShearProfile, ...], used: Used
) -> Array:
    from clmassmod.fitters.observables import observable
    from clmassmod.fitters.surfaces import surfaces

    environment = model.environment(profiles[0])
    mass = np.array([[scatter.mass_msun]])
    concentration = np.asarray(model.concentration(mass[0], environment.z), dtype=float)[np.newaxis]
    signal, ln_radius = [], []
    for profile, good in zip(profiles, used, strict=True):
        radius = profile.radius_mpc[good]
        found = surfaces(model, radius, environment, mass, concentration)
        signal.append(observable(profile, good, found).reshape(len(radius)))
        ln_radius.append(np.log(radius))
    m, x = scatter.fraction * np.concatenate(signal), np.concatenate(ln_radius)
    apart = np.abs(x[:, np.newaxis] - x)
    if scatter.correlation_ln_r > 0:
        return np.asarray(np.outer(m, m) * np.exp(-apart / scatter.correlation_ln_r))
    return np.asarray(np.outer(m, m) * (apart == 0))


def check_tables(noise: NoiseTerms, tables: Any) -> None:
    """Raise ConfigError unless the tables hold what the noise needs."""
    if noise.sample and not tables.has_noise(noise.sample):
        raise ConfigError(
            "noise.large_scale_structure: the tables hold no noise of structure for these sources; "
            "build them with noise_samples"
        )
