"""Configuration and observables from files of any usual kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clmassmod.config import read_yaml
from clmassmod.config.notebook import ModelInfo, model_info
from clmassmod.readers.load_maps import load_maps
from clmassmod.readers.load_profiles import load_profiles
from clmassmod.readers.observed import ObservedMaps, ObservedProfiles


def load_config(file: str | Path, analysis: str | None = None) -> ModelInfo:
    """Return the model and its parameters as a dictionary.

    Parameters
    ----------
    file : path
        YAML with ``cosmology: {H0, Om0, Ob0, sigma8, ns}`` and ``model: {profile, concentration}``, which
        are enough; ``survey``, ``radius_mpc``, ``radial_bins``, ``mass_definition``, ``seed`` and others as
        in the workflow. Or the configuration of a campaign, or its folder ``results/<campaign>``.
    analysis : str, optional
        Which analysis of a campaign, where there are several.

    Returns
    -------
    ModelInfo
        ``info["cosmology"]["H0"]``, ``info["model"]["profile"]`` …; ``info.name`` is the profile's. Without
        ``survey``, maps are observed with 20 galaxies per arcmin2, shape noise 0.25 of one component,
        median redshift 1 (Smail), 12 arcmin about the centre.

    Raises
    ------
    ConfigError
        One line that names file, key, and the nearest right key.

    Examples
    --------
    >>> from pathlib import Path
    >>> text = "{cosmology: {H0: 70, Om0: 0.3}, model: {profile: nfw, concentration: 4}}"
    >>> _ = Path("model.yaml").write_text(text)
    >>> model_info = load_config("model.yaml")
    >>> model_info.name, model_info["cosmology"]["H0"]
    ('nfw', 70)
    """
    path = Path(file)
    path = path / "config.yaml" if path.is_dir() else path
    return model_info(read_yaml(path), str(path), analysis)


def load_mass_map(
    source: Any,
    *,
    halo_id: str | Sequence[str] | None = None,
    z: float | Sequence[float] | None = None,
    unit: str | None = None,
    pixel: float | str | None = None,
    pixel_unit: str | None = None,
    **options: Any,
) -> ObservedMaps:
    """Return maps of surface mass density, for ``obs_mass_map``.

    Parameters
    ----------
    source : path or array
        HDF5 (a stack (halo, y, x) or one map), FITS (one map a file), a folder of them, CSV or ECSV
        (columns x, y, sigma, or a bare matrix), .npy, or an array (y, x) or (halo, y, x).
    halo_id, z : optional
        Identifier and redshift where the file does not say: a value, one value a map for arrays, or the
        name of the dataset, attribute or header key. The file's name is the identifier of last resort.
    unit : str, optional
        Of the map where the file does not say: "Msun / Mpc2", "1e10 h Msun / kpc2 comoving" …; factors of
        h and comoving lengths are never guessed.
    pixel, pixel_unit : optional
        Side of a pixel, or the name of what holds it, and its unit: "Mpc", "kpc/h comoving", "arcsec".
    **options
        Of the reader `grid`: ``map`` (dataset or extension), ``gamma1``, ``gamma2``, ``subtract_mean``,
        ``centre_mpc``, ``parent_id``, ``extra``, ``check_cosmology`` …

    Returns
    -------
    ObservedMaps
        With ``repr``, ``.plot()``, ``.to_table()``, ``.halo_ids``, ``.z``, ``.units``, ``.image(halo_id)``.

    Raises
    ------
    ReaderError, ConfigError
        One line that names file, dataset and remedy.
    """
    return load_maps(
        source,
        "mass_map",
        halo_id=halo_id,
        z=z,
        unit=unit,
        pixel=pixel,
        pixel_unit=pixel_unit,
        options=options,
    )


def load_kappa_map(
    source: Any,
    *,
    z_source: float | None = None,
    halo_id: str | Sequence[str] | None = None,
    z: float | Sequence[float] | None = None,
    pixel: float | str | None = None,
    pixel_unit: str | None = None,
    **options: Any,
) -> ObservedMaps:
    """Return maps of convergence, for ``obs_kappa_map``.

    Parameters
    ----------
    source, halo_id, z, pixel, pixel_unit, **options
        As in ``load_mass_map``.
    z_source : float, optional
        Redshift of the source plane that the convergence is for, if the file does not state it; inf is
        infinite redshift, which a warning names where nothing is stated.

    Returns
    -------
    ObservedMaps

    Raises
    ------
    ReaderError, ConfigError
        One line that names file, dataset and remedy.
    """
    keys: dict[str, Any] = {"halo_id": halo_id, "z": z, "pixel": pixel, "pixel_unit": pixel_unit}
    return load_maps(source, "kappa_map", z_source=z_source, options=options, **keys)


def load_gamma_theta(
    source: Any,
    *,
    halo_id: str | None = None,
    z: float | None = None,
    columns: Mapping[str, str | float] | None = None,
    units: Mapping[str, str] | None = None,
    names: Sequence[str] | None = None,
    **options: Any,
) -> ObservedProfiles:
    """Return profiles of reduced tangential shear, for ``obs_gamma_theta``.

    Arguments are those of ``load_delta_sigma``. The table must say how far the sources are: a column,
    header value or number for ``beta_s`` and ``beta_s2`` (means of beta / beta(infinity) and of its
    square), ``beta`` and ``beta2`` (D_ls / D_s), or ``z_source`` (one source plane), such as
    ``columns={"z_source": 1.0}``. Radii may be angles.

    Returns
    -------
    ObservedProfiles

    Raises
    ------
    ReaderError, ConfigError
        One line that names file, column and remedy.
    """
    keys: dict[str, Any] = {"halo_id": halo_id, "z": z, "columns": columns, "units": units, "names": names}
    return load_profiles(source, "gamma_theta", **keys, **options)


def load_delta_sigma(
    source: Any,
    *,
    halo_id: str | None = None,
    z: float | None = None,
    columns: Mapping[str, str | float] | None = None,
    units: Mapping[str, str] | None = None,
    names: Sequence[str] | None = None,
    **options: Any,
) -> ObservedProfiles:
    """Return profiles of excess surface density, for ``obs_delta_sigma``.

    Parameters
    ----------
    source : path, astropy Table, or mapping of arrays
        HDF5, FITS, ECSV or CSV table: a row a halo with columns (halo, bin), or a row a bin.
    halo_id, z : optional
        Identifier and redshift where the table does not say (column or header); the file's name is the
        identifier of last resort.
    columns : mapping, optional
        Quantity to column, or to a number that holds for all: halo_id, z, radius, value, error or weight
        (variance = shape_noise^2 / weight), cross, n_gal, parent_id. Usual names (radius, ds_t,
        delta_sigma, gt, …) are found without.
    units : mapping, optional
        Of "radius", "value" (and errors) and "weight", where the file does not say: "Mpc",
        "kpc/h comoving", "arcmin"; "Msun / Mpc2", "h Msun / pc2 comoving". A column's name may state it:
        radius_mpc, ds_msun_mpc2. Factors of h and comoving lengths are never guessed.
    names : sequence of str, optional
        Names of the columns of a text file that has no line of names.
    **options
        ``group`` (HDF5 group, FITS extension), ``shape_noise``, ``extra`` (columns for bins, such as
        richness), ``check_cosmology``.

    Returns
    -------
    ObservedProfiles
        With ``repr``, ``.plot()``, ``.to_table()``, ``.halo_ids``, ``.z``, ``.units``.

    Raises
    ------
    ReaderError, ConfigError
        One line that names file, column and remedy.
    """
    keys: dict[str, Any] = {"halo_id": halo_id, "z": z, "columns": columns, "units": units, "names": names}
    return load_profiles(source, "delta_sigma", **keys, **options)
