"""Lensing profile of a model, computed directly: every profile, relation and effect, without tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from clmassmod.core.massdef import threshold_density_msun_mpc3
from clmassmod.core.miscentring import miscentring
from clmassmod.core.profile import EFFECTS, Profile
from clmassmod.core.projected import Projected
from clmassmod.core.shear import reduced_shear
from clmassmod.core.sources import SourceDistribution, beta_statistics
from clmassmod.cosmology.concentration import concentration as relation_concentration
from clmassmod.cosmology.model import Cosmology, beta_s, environment
from clmassmod.cosmology.structure import peak_height
from clmassmod.cosmology.two_halo import two_halo
from clmassmod.errors import ConfigError
from clmassmod.records import Array
from clmassmod.registry import PROFILES


class Prediction(NamedTuple):
    """Columns of a predicted profile, (..., bin); lensing for one source redshift or the mean of many."""

    radius_mpc: Array
    sigma_msun_mpc2: Array
    delta_sigma_msun_mpc2: Array
    kappa: Array
    gamma_t: Array
    g_t: Array


def predict(
    profile: str,
    *,
    mass_msun: ArrayLike,
    concentration: float | str,
    mass_definition: str,
    z_lens: float,
    z_source: float | SourceDistribution,
    radius_mpc: ArrayLike,
    cosmology: Cosmology,
    parameters: Mapping[str, Any] | None = None,
) -> Prediction:
    """Return surface densities, convergence, shear and reduced shear of a halo or of several.

    Parameters
    ----------
    profile
        Name of a density profile, or ``path/to/file.py:function``.
    mass_msun
        Mass, scalar or (mass,).
    concentration
        Number or concentration relation.
    mass_definition
        Of mass and concentration: "200c", "500c", "200m", "vir" …
    z_lens, z_source
        Redshifts; ``z_source`` may be infinite, or a distribution of ``core.sources``: convergence and
        shear are then means over all its sources, and the reduced shear follows from <beta_s> and
        <beta_s^2>.
    radius_mpc
        Projected physical radii, (bin,).
    cosmology
        Background; with sigma8, ns and Ob0 where the profile, the relation or an effect needs structure.
    parameters
        Those of the profile; and three of any profile: ``two_halo``, amplitude of the two-halo term in
        units of the linear term with the bias of Tinker et al. 2010; ``offset_mpc``, scale of the
        centre's offset, and ``offset_distribution``, "fixed" (default), "rayleigh" or "gamma".

    Raises
    ------
    ConfigError
        For anything unknown, out of range or missing.
    """
    radius = np.asarray(radius_mpc, dtype=float)
    _check(radius, mass_msun, z_lens, z_source)
    extra = dict(parameters or {})
    effects = {name: extra.pop(name) for name in EFFECTS if name in extra}
    amplitude = _number(effects, "two_halo")
    halo = environment(cosmology, z_lens)
    threshold = threshold_density_msun_mpc3(mass_definition, halo)
    c = relation_concentration(cosmology, concentration, mass_definition, mass_msun, z_lens)
    model: Profile = PROFILES.load(profile)
    if "peak_height" in model.needs and "peak_height" not in extra and _has_structure(cosmology):
        extra["peak_height"] = lambda mass: peak_height(cosmology, mass, z_lens)

    def centred(r: Array) -> Projected:
        result = _profile(model, profile, (r, mass_msun, c, threshold, halo), extra)
        if amplitude == 0:
            return result
        term = two_halo(cosmology, r, z_lens, mass_msun=mass_msun, mass_definition=mass_definition)
        return result + Projected(amplitude * term.sigma, amplitude * term.delta_sigma)

    sigma, delta_sigma = _about_centre(centred, radius, effects)
    return _lensing(radius, sigma, delta_sigma, halo.sigma_crit_inf_msun_mpc2, cosmology, z_lens, z_source)


def _profile(
    model: Profile, name: str, arguments: tuple[Any, ...], parameters: Mapping[str, Any]
) -> Projected:
    """Project, and say which of the user's parameters is not the profile's, or what it lacks."""
    try:
        return model.projected(*arguments, **parameters)
    except TypeError as error:  # a parameter that the profile does not have, or text for a number
        given = ", ".join(f"{k}={v!r}" for k, v in parameters.items() if not callable(v))
        raise ConfigError(f"profile {name}: {_plain(error)} (parameters given: {given or 'none'})") from error
    except ConfigError as error:
        if "peak_height" in model.needs and "peak_height" not in parameters:
            hint = "it follows from cosmology.sigma8, cosmology.ns and cosmology.Ob0"
            raise ConfigError(f"{error}; {hint}") from None
        raise


def _check(radius: Array, mass_msun: ArrayLike, z_lens: float, z_source: float | SourceDistribution) -> None:
    if radius.ndim != 1 or not radius.size or not np.all(np.isfinite(radius) & (radius > 0)):
        raise ConfigError("radii must be one or more finite numbers above 0 Mpc")
    if not np.all(np.isfinite(mass_msun) & (np.asarray(mass_msun) > 0)):
        raise ConfigError(f"a mass must be finite and above 0 Msun, found {mass_msun!r}")
    if not isinstance(z_source, SourceDistribution) and not z_source > z_lens:
        raise ConfigError(f"the source at z = {z_source:g} is not behind the lens at z = {z_lens:g}")


def _plain(error: TypeError) -> str:
    """Return what Python says of arguments in words of parameters."""
    text = str(error)
    unknown = re.search(r"unexpected keyword argument (\S+)", text)
    if unknown:
        return f"has no parameter {unknown[1]}"
    missing = re.search(r"missing \d+ required .*arguments?: (.*)", text)
    return f"needs the parameter {missing[1]}" if missing else f"a parameter is not what it must be: {text}"


def _number(effects: Mapping[str, Any], name: str) -> float:
    try:
        return float(effects.get(name, 0.0))
    except (TypeError, ValueError):
        raise ConfigError(f"parameter {name} must be a number, found {effects[name]!r}") from None


def _has_structure(cosmology: Cosmology) -> bool:
    return None not in (cosmology.sigma8, cosmology.ns, cosmology.Ob0)


def _about_centre(
    centred: Callable[[Array], Projected], radius: Array, effects: Mapping[str, Any]
) -> Projected:
    if "offset_distribution" in effects and "offset_mpc" not in effects:
        raise ConfigError("offset_distribution needs offset_mpc, the scale of the offsets")
    scale = _number(effects, "offset_mpc")
    if scale == 0:
        return centred(radius)
    return miscentring(radius, str(effects.get("offset_distribution", "fixed")), scale)(centred)


def _lensing(
    radius: Array,
    sigma: Array,
    delta_sigma: Array,
    sigma_crit_inf: float,
    cosmology: Cosmology,
    z_lens: float,
    z_source: float | SourceDistribution,
) -> Prediction:
    if isinstance(z_source, SourceDistribution):
        b, b2 = beta_statistics(z_source, z_lens, partial(beta_s, cosmology))
    else:
        b = float(beta_s(cosmology, z_source, z_lens))
        b2 = b**2
    kappa, gamma = b * sigma / sigma_crit_inf, b * delta_sigma / sigma_crit_inf
    g = reduced_shear(sigma, delta_sigma, sigma_crit_inf, b, b2)
    return Prediction(np.broadcast_to(radius, sigma.shape), sigma, delta_sigma, kappa, gamma, g)
