"""To and from CLMM (Aguena et al. 2021, MNRAS 508, 6092): its tables and clusters; CLMM is optional."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from clmassmod import tables as tables_module
from clmassmod.cosmology import Cosmology
from clmassmod.errors import ConfigError
from clmassmod.readers.load_profiles import load_profiles
from clmassmod.readers.observed import Kind, Observed, ObservedProfiles
from clmassmod.records import ShearProfile, SourceCatalog
from clmassmod.tables import Tables

_UNITS = {"radians": "rad", "degrees": "deg"}  # CLMM's names, and those of astropy
_VALUES: dict[str, Kind] = {"gt": "gamma_theta", "DeltaSigma": "delta_sigma"}


def from_clmm(
    cluster: Any,
    *,
    halo_id: str | None = None,
    z: float | None = None,
    kind: Kind | None = None,
    columns: Mapping[str, str | float] | None = None,
    units: Mapping[str, str] | None = None,
) -> ObservedProfiles:
    """Return the profile of a CLMM ``GalaxyCluster`` or ``GCData``, for an ``obs_*``.

    Parameters
    ----------
    cluster : clmm.GalaxyCluster or clmm.GCData
        A cluster after ``make_radial_profile``, or a profile's table: radius, gt or DeltaSigma
        [Msun / Mpc2], gt_err or DeltaSigma_err.
    halo_id, z : optional
        Of a table whose ``meta`` has no unique_id or z.
    kind : {"gamma_theta", "delta_sigma"}, optional
        What the values are; by the column's name unless given. CLMM calls the column gt also after
        ``compute_tangential_and_cross_components(is_deltasigma=True)``: then say "delta_sigma".
    columns : mapping, optional
        Of shears, how far the sources are, as in ``utils.load_gamma_theta``: {"beta_s": ..., "beta_s2": ...}
        or {"z_source": ...}, unless columns beta_s and beta_s2 are there. CLMM's mean source redshift per
        bin is not taken for it, since one mean redshift makes masses wrong by more than ten per cent.
    units : mapping, optional
        {"radius": ...}; the profile's ``bin_units`` by default.

    Raises
    ------
    ConfigError
        For an object without profile.
    ReaderError
        Where something is missing; when it is assigned, also where CLMM's H0 or Om0 is another one.
    """
    profile = getattr(cluster, "profile", cluster)
    if profile is None or not hasattr(profile, "colnames") or "radius" not in profile.colnames:
        raise ConfigError("from_clmm: there is no profile here; call the cluster's make_radial_profile first")
    meta = dict(getattr(profile, "meta", {}))
    value = "DeltaSigma" if kind != "gamma_theta" and "DeltaSigma" in profile.colnames else "gt"
    chosen = kind or _VALUES[value]
    table = _Table(
        {name: np.asarray(profile[name]) for name in profile.colnames if name not in ("z", "z_err")}
    )
    table.meta = _cosmology(str(meta.get("cosmo")))
    stated = meta.get("bin_units") or getattr(profile, "bin_units", None)
    lengths = {} if not stated else {"radius": _UNITS.get(str(stated), str(stated))}
    surface = {"value": "Msun / Mpc2"} if chosen == "delta_sigma" else {}
    name = halo_id or getattr(cluster, "unique_id", None) or meta.get("unique_id")
    redshift = z if z is not None else getattr(cluster, "z", None) or meta.get("z")
    return load_profiles(
        table,
        chosen,
        halo_id=None if name is None else str(name),
        z=None if redshift is None else float(redshift),
        columns={"value": value, "error": f"{value}_err", "radius": "radius", **dict(columns or {})},
        units={**lengths, **surface, **dict(units or {})},
    )


class _Table(dict[str, np.ndarray]):
    """Columns and header, as far as the loader looks at them."""

    meta: dict[str, Any]

    @property
    def colnames(self) -> list[str]:
        return list(self)


def _cosmology(text: str) -> dict[str, float]:
    """Return H0 and Om0 of the cosmology that CLMM noted, such as ``CCLCosmology(H0=70.0, …)``."""
    found = {name: float(value) for name, value in re.findall(r"(\w+)=([\d.eE+-]+)", text)}
    if not {"H0", "Omega_dm0", "Omega_b0"} <= found.keys():
        return {}
    return {"H0": found["H0"], "Om0": found["Omega_dm0"] + found["Omega_b0"]}


def to_clmm(
    record: ShearProfile | SourceCatalog | ObservedProfiles,
    *,
    cosmology: Cosmology | Mapping[str, Any] | None = None,
    halo_id: str | None = None,
) -> Any:
    """Return a profile as ``clmm.GCData``, or a catalogue as ``clmm.GalaxyCluster``.

    Parameters
    ----------
    record
        One of ``massmod.profiles[halo_id]`` or ``massmod.catalogs[halo_id]``, or what ``load_gamma_theta``
        or ``load_delta_sigma`` returned.
    cosmology : Cosmology or mapping, optional
        Of what was loaded: for h factors and angles, such as ``model_info["cosmology"]``.
    halo_id : str, optional
        Which halo of what was loaded; the first by default.

    Returns
    -------
    clmm.GCData
        Columns radius [Mpc, physical], gt or DeltaSigma [Msun / Mpc2], their errors, gx, n_src, and of
        shears beta_s and beta_s2, so that ``from_clmm`` gives the same profile again.
    clmm.GalaxyCluster
        Of a catalogue: ra, dec [deg] with the cluster at (0, 0) and x towards west, e1, e2, z, w_ls.

    Raises
    ------
    ConfigError
        Where CLMM is not installed, for maps, or without ``cosmology`` where it is needed.
    """
    if isinstance(record, Observed):
        record = _loaded(record, cosmology, halo_id)
    if not isinstance(record, ShearProfile | SourceCatalog):
        raise ConfigError(
            f"to_clmm: a {type(record).__name__} is no profile or catalogue; maps become both: "
            "massmod.catalogs[halo_id][0], massmod.profiles[halo_id][0]"
        )
    try:
        import clmm
    except ImportError:
        raise ConfigError("to_clmm: CLMM is not installed; pip install clmm") from None
    flat = {"coordinate_system": "euclidean"}
    if isinstance(record, ShearProfile):
        meta = {"bin_units": "Mpc", "unique_id": record.halo.halo_id, "z": record.halo.z, **flat}
        return clmm.GCData(_profile_columns(record), meta=meta)
    data = clmm.GCData(_galaxy_columns(record), meta=flat)
    return clmm.GalaxyCluster(record.halo.halo_id, 0.0, 0.0, record.halo.z, data)


def _loaded(loaded: Observed, cosmology: Cosmology | Mapping[str, Any] | None, halo_id: str | None) -> Any:
    if not isinstance(loaded, ObservedProfiles):
        return loaded
    if cosmology is None:
        raise ConfigError("to_clmm: give cosmology=model_info['cosmology'], for lengths in Mpc without h")
    background = cosmology if isinstance(cosmology, Cosmology) else Cosmology(**cosmology)
    reader = loaded.open(background)
    halo = loaded.halos[loaded.halo_ids.index(halo_id) if halo_id in loaded.halo_ids else 0]
    if halo_id not in (None, halo.halo_id):
        raise ConfigError(f"to_clmm: {loaded.source} has no halo {halo_id!r}")
    distances = Tables(tables_module.build(background, z_range=(0.1, 1.0), structure=False))
    return reader.read(halo, distances, reader.prepare())


def _profile_columns(profile: ShearProfile) -> dict[str, np.ndarray]:
    name = "gt" if profile.observable == "g_t" else "DeltaSigma"
    columns = {
        "radius": profile.radius_mpc,
        name: profile.value,
        f"{name}_err": profile.error,
        "gx": profile.cross,
        "n_src": profile.n_gal,
    }
    if profile.observable == "g_t":
        columns |= {"beta_s": profile.beta_s, "beta_s2": profile.beta_s2}
    return columns


def _galaxy_columns(catalog: SourceCatalog) -> dict[str, np.ndarray]:
    # in CLMM's frame "euclidean" x grows towards west, as it does in the reader of catalogues
    return {
        "ra": -catalog.x_arcmin / 60.0,
        "dec": catalog.y_arcmin / 60.0,
        "e1": catalog.e1,
        "e2": catalog.e2,
        "z": catalog.z_source,
        "w_ls": catalog.weight,
    }
