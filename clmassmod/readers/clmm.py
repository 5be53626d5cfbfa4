"""To and from CLMM (Aguena et al. 2021, MNRAS 508, 6092): its tables and clusters; CLMM is optional."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from clmassmod.errors import ConfigError
from clmassmod.readers.load_profiles import load_profiles
from clmassmod.readers.observed import ObservedProfiles
from clmassmod.records import ShearProfile, SourceCatalog


def from_clmm(
    cluster: Any,
    *,
    columns: Mapping[str, str | float] | None = None,
    units: Mapping[str, str] | None = None,
) -> ObservedProfiles:
    """Return the profile of a CLMM ``GalaxyCluster``, for ``obs_gamma_theta``.

    Parameters
    ----------
    cluster : clmm.GalaxyCluster
        After ``make_radial_profile``: ``profile`` with radius, gt, gt_err, gx; ``unique_id`` and ``z``.
    columns : mapping
        How far the sources are, as in ``utils.load_gamma_theta``: {"beta_s": ..., "beta_s2": ...}, or
        {"z_source": ...}. CLMM's mean source redshift per bin is not taken for it, since one mean redshift
        makes masses wrong by more than ten per cent.
    units : mapping, optional
        {"radius": ...}; the profile's ``bin_units`` by default.

    Raises
    ------
    ConfigError
        For an object without profile.
    """
    profile = getattr(cluster, "profile", None)
    if profile is None:
        raise ConfigError("from_clmm: the cluster has no profile; call its make_radial_profile first")
    meta = dict(getattr(profile, "meta", {}))
    stated = meta.get("bin_units") or getattr(profile, "bin_units", None)
    lengths = {"radians": "rad"}.get(str(stated), str(stated)) if stated else None
    table = {name: np.asarray(profile[name]) for name in profile.colnames if name != "z"}
    given = {"value": "gt", "error": "gt_err", "radius": "radius", **dict(columns or {})}
    return load_profiles(
        table,
        "gamma_theta",
        halo_id=str(cluster.unique_id),
        z=float(cluster.z),
        columns=given,
        units=units or ({} if lengths is None else {"radius": lengths}),
    )


def to_clmm(record: ShearProfile | SourceCatalog) -> Any:
    """Return a profile as ``clmm.GCData``, or a catalogue as ``clmm.GalaxyCluster``.

    A profile has columns radius [Mpc], gt or DeltaSigma [Msun / Mpc2], their errors and gx; a catalogue has
    ra, dec [deg] with the cluster at (0, 0), e1, e2 and z, e1 as CLMM's epsilon along ra.

    Raises
    ------
    ConfigError
        Where CLMM is not installed.
    """
    try:
        import clmm
    except ImportError:
        raise ConfigError("to_clmm: CLMM is not installed; pip install clmm") from None
    if isinstance(record, ShearProfile):
        name = "gt" if record.observable == "g_t" else "DeltaSigma"
        columns = {
            "radius": record.radius_mpc,
            name: record.value,
            f"{name}_err": record.error,
            "gx": record.cross,
            "n_src": record.n_gal,
        }
        return clmm.GCData(
            columns, meta={"bin_units": "Mpc", "unique_id": record.halo.halo_id, "z": record.halo.z}
        )
    data = clmm.GCData(
        {
            "ra": record.x_arcmin / 60.0,
            "dec": record.y_arcmin / 60.0,
            "e1": record.e1,
            "e2": record.e2,
            "z": record.z_source,
            "w_ls": record.weight,
        }
    )
    return clmm.GalaxyCluster(record.halo.halo_id, 0.0, 0.0, record.halo.z, data)
