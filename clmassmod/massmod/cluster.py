"""``CLMassMod``: observables in, profiles, masses, ensembles and bias out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from clmassmod import bias, ensemble
from clmassmod.bias.comparison import Comparison, compare
from clmassmod.bins import FittedProfile, fitted_profile
from clmassmod.config import build, read_yaml
from clmassmod.config.notebook import ModelInfo, NotebookConfig, model_info
from clmassmod.errors import ConfigError, FitError
from clmassmod.fitters.objects import fitter_object
from clmassmod.massmod.data import Data
from clmassmod.massmod.plots import Plots
from clmassmod.massmod.stacking import StackTools
from clmassmod.massmod.statistics import statistics
from clmassmod.posterior import Posterior
from clmassmod.records import HaloFit
from clmassmod.registry import suggest
from clmassmod.steps.fitting import fit_all
from clmassmod.steps.members import read_fits
from clmassmod.steps.notebook import folder_of, keyword_names
from clmassmod.steps.observables import KINDS
from clmassmod.steps.saving import save_fits


class CLMassMod(Data, Plots):
    """Masses of one cluster, or of all clusters of a stack or bin, step by step.

    1. ``massmod = CLMassMod(clmm.utils.load_config("model.yaml"))``: cosmology and lens model.
    2. ``massmod.obs_delta_sigma = clmm.utils.load_delta_sigma("clusters.ecsv")``: data, of any number of
       clusters; kind, units and shape are checked now. ``print`` and ``.plot()`` show what was loaded.
    3. ``massmod.stackTools.stack(presetX, "woScaling")``: optional, value, error and position (bin,) of
       the mean profile, for edges (bin + 1,) in Mpc; "wScaling" in units of each cluster's NFW prediction.
    4. ``profiles, fit_info = massmod.fit_mass_profiles("scan", {}, "fits")``: one mass [Msun] and one
       likelihood a cluster, one file each; ``profiles[0].mass["mass_ml_msun"]``.
    5. ``bins = clmm.utils.make_bins(profiles, my_function)``: lists of files, by your own function or by
       ``clmm.utils.redshift_bins([0.2, 0.4, 0.6])`` and the like.
    6. For each bin a new ``CLMassMod``: ``read(bins[0])``, then ``ensemble_fit({})``: median mass and
       scatter of the bin, without any truth.
    7. ``compare(truth)``: samples (draw,) of the bias M_lens / M_true and of its scatter.

    Lengths are physical Mpc, masses Msun, angles of maps arcmin; no factor h anywhere.

    Parameters
    ----------
    model_info : mapping or path
        What ``clmm.utils.load_config`` returns: ``cosmology`` (H0 [km/s/Mpc], Om0, Ob0, sigma8, ns) and
        ``model`` (profile, concentration) are enough. It is copied: two objects never share anything.

    Attributes
    ----------
    obs_mass_map, obs_kappa_map : from ``utils.load_mass_map``, ``utils.load_kappa_map``
        Maps (y, x), which the survey of ``model_info`` observes: mock galaxies, then profiles.
    obs_gamma_theta, obs_delta_sigma : from ``utils.load_gamma_theta``, ``utils.load_delta_sigma``
        Profiles (bin,) of reduced tangential shear and of excess surface density [Msun / Mpc2], used as
        they were measured. Each takes one loaded object, a list of them, or a mapping of halo id to
        object. Several kinds are fitted jointly; their halo ids and redshifts must agree. None takes an
        observable off again.
    catalogs : mapping of halo id to tuple of SourceCatalog
        Mock galaxies (source,) of the maps: x, y in arcmin from the assumed centre, e1, e2, z_source …
    profiles : mapping of halo id to tuple of ShearProfile
        What is fitted, one an observable: radius [Mpc, physical], value and error (bin,), pure numbers
        for ``g_t`` and Msun / Mpc2 for ``delta_sigma``.
    fits : mapping of halo id to HaloFit
        Of the last fit or read: ln L(data | ln M) on a grid of masses (mass,) [Msun], summaries, chi
        squared.
    stackTools : StackTools
        ``stack(presetX, method)``, ``fit_stack``, ``plot``; see ``help(massmod.stackTools)``.
    clust_mass_dist, comparison : Posterior, Comparison
        Of the last ``ensemble_fit`` and ``compare``.

    Raises
    ------
    ConfigError
        One line that names the wrong key and the nearest right one.

    Examples
    --------
    Two NFW haloes of 4e14 and 8e14 Msun without noise, and what fits of them find:

    >>> import numpy as np
    >>> import clmassmod as clmm
    >>> from clmassmod.core import nfw
    >>> cosmology = {"H0": 70.0, "Om0": 0.3}
    >>> massmod = CLMassMod({"cosmology": cosmology, "model": {"profile": "nfw", "concentration": 4.0}})
    >>> threshold = 200 * 1.36e11 * (0.3 * 1.3**3 + 0.7)  # Msun / Mpc3, at z = 0.3
    >>> radius, truth = np.linspace(0.5, 2.5, 8), {"halo1": 4e14, "halo2": 8e14}
    >>> def load(name, mass):
    ...     value = nfw.projected(radius, mass, 4.0, threshold).delta_sigma
    ...     table = {"radius_mpc": radius, "ds_msun_mpc2": value, "error": np.full(8, 5e12)}
    ...     return clmm.utils.load_delta_sigma(table, z=0.3, halo_id=name)
    >>> massmod.obs_delta_sigma = [load(name, mass) for name, mass in truth.items()]
    >>> profiles, info = massmod.fit_mass_profiles("scan")
    >>> [f"{profile.mass['mass_ml_msun']:.2g}" for profile in profiles]
    ['4e+14', '8e+14']
    >>> likelihoods, posteriors, bias, scatter = massmod.compare(truth)
    >>> abs(posteriors.ln_bias.mean) < 0.01
    True
    """

    def __init__(self, model_info: Mapping[str, Any] | str | Path) -> None:
        super().__init__(_checked(model_info))
        self._fits: dict[str, HaloFit] = {}
        self._locations: dict[str, str] = {}
        self.clust_mass_dist: Posterior | None = None
        self.comparison: Comparison | None = None

    def __repr__(self) -> str:
        """Say what is here."""
        model = self._config.model
        parts = [
            f"obs_{kind} of {len(self._observables[kind])}" for kind in KINDS if kind in self._observables
        ]
        parts += [f"fits of {len(self._fits)}"] if self._fits else []
        return f"<CLMassMod {model.profile}, {model.concentration}: {', '.join(parts) or 'no data yet'}>"

    @property
    def model_info(self) -> ModelInfo:
        """A copy of the configuration, with all defaults."""
        return ModelInfo(self._config.model_dump(mode="json"))

    @cached_property
    def stackTools(self) -> StackTools:  # noqa: N802  the name is the users'
        """Stacks of all clusters that are here."""
        return StackTools(self)

    # masses

    @property
    def fits(self) -> Mapping[str, HaloFit]:
        """Fits of the last ``fit_mass_profiles`` or ``read``, by halo id."""
        return dict(self._fits)

    def fit_mass_profiles(
        self,
        calc_method: Any = None,
        calc_params: Mapping[str, Any] | None = None,
        save_loc: str | Path | None = None,
    ) -> tuple[list[FittedProfile], dict[str, Any]]:
        """Fit the mass of every halo.

        Parameters
        ----------
        calc_method : str or callable
            "scan" (the exact likelihood on a grid, default), "curvefit" (least squares), "nuts" or "pymc"
            (sampling), a fitter's ``path/to/file.py:function``, or a function
            ``fit(profiles, model, *, prior, rng) -> HaloFit``: ``profiles`` is the halo's ShearProfile,
            or a list of them where several observables are fitted; ``HaloFit.from_likelihood`` makes
            the result. Further keywords of the function are keys of ``calc_params``.
        calc_params : mapping
            {} takes all from the configuration. Keys: ``mass_definition`` ("200c", "500c", "vir" …),
            ``more_mass_definitions`` (list), ``prior`` ("flat" in M or "log"; of the summaries alone),
            ``radius_mpc`` [lo, hi] physical, ``radial_bins`` {n, spacing} of profiles from maps,
            ``profile``, ``concentration`` (relation such as "duffy08", number, or a function
            c(mass_msun, z)), ``nuisance`` to marginalise over: {concentration: {scatter: 0.3},
            miscentring: {scale_mpc: 0.2}, two_halo: {sd: 0.3}, shear_bias: {sd: 0.05}}, each optional;
            ``draws`` (of samplers), ``seed``, ``n_jobs`` (processes, -1: all cores), and the fitter's own.
        save_loc : path, optional
            Folder; each halo's file is written whole as soon as it is fitted. Called again, only haloes
            are fitted that are missing or were fitted with other parameters or data. The files are those
            of the workflow.

        Returns
        -------
        out_data_profiles : list of FittedProfile
            Named tuples (halo_id, z, mass, pdf, metadata, loc), in the order of the data: ``mass`` maps
            mass_ml_msun, mass_median_msun, mass_hdi68_lo_msun, snr … to numbers, ``pdf`` is the likelihood
            as a density in mass (mass [Msun], density [1 / Msun]), each (mass,), ``loc`` the file. Where
            ``metadata["status"]`` is "unusable", ``metadata["reason"]`` says why, and ``mass`` is empty.
        fit_info : mapping of halo id to the fitter's own object
            ``GridFit`` of scan, ``CurveFit`` (covariance, chi squared) of curvefit, ArviZ data of nuts.

        Raises
        ------
        ConfigError
            For an unknown method or key; names the nearest known one.
        FitError
            After all haloes were tried, where some raised.
        """
        session = self.session_for(self._config.method if calc_method is None else calc_method, calc_params)
        folder = None if save_loc is None else folder_of(save_loc)
        self._session = session
        self._fits = fit_all(session, folder)
        self._locations = {} if folder is None else {h: str(folder / f"{h}.h5") for h in self._fits}
        return self._listed(), {h: fitter_object(fit) for h, fit in self._fits.items()}

    def _listed(self) -> list[FittedProfile]:
        return [fitted_profile(fit, self._locations.get(h, "")) for h, fit in self._fits.items()]

    def save_mass_profiles(self, save_loc: str | Path) -> list[str]:
        """Write the fits, one file a halo, and their summaries as ``summary.csv``; return the files.

        Parameters
        ----------
        save_loc : path
            Folder; files of the same halo are replaced.
        """
        self._need_fits("save_mass_profiles")
        folder = folder_of(save_loc)
        session = self._session
        provenance = {} if session is None else {h: session.provenance(h) for h in session.halos}
        return save_fits(folder, self._fits, provenance)

    def read(self, bin_loc: Any, label: str | None = None) -> list[FittedProfile]:
        """Read fits that were saved before: those of one bin.

        Parameters
        ----------
        bin_loc : list of paths, folder, glob pattern, or bins file
            One of the lists of ``utils.make_bins``; "fits"; "fits/SPT*.h5"; a bins file of
            ``utils.make_bins(...).save`` or of the workflow (``results/<campaign>/bins/<analysis>.json``).
        label : str, optional
            Which bin of a bins file; "bins.json:label" says the same.

        Returns
        -------
        list of FittedProfile
            As ``fit_mass_profiles`` gives it.
        """
        found = read_fits(bin_loc, label)
        self._fits = {fit.halo_id: fit for fit in found.values()}
        self._locations = {fit.halo_id: path for path, fit in found.items()}
        self._session = None
        self.clust_mass_dist = self.comparison = None
        return self._listed()

    def _need_fits(self, what: str) -> None:
        if not self._fits:
            raise FitError(f"{what}: there are no fits yet; call fit_mass_profiles or read first")

    # ensembles

    def ensemble_fit(self, calc_params: Mapping[str, Any] | None = None) -> Posterior:
        """Infer the distribution of the lensing masses of all haloes here; no truth is needed.

        Parameters
        ----------
        calc_params : mapping
            {} is fine. Keys: ``model`` ("constant" or what ``help(clmm.ensemble.fit)`` names), ``method``
            ("grid", "nuts"), ``prior`` {mean_ln_mass: [lo, hi], scatter: [lo, hi]}, ``seed``,
            ``mass_definition``, ``select`` (function of a HaloFit).

        Returns
        -------
        Posterior
            ``mean_ln_mass`` (ln of Msun; its exponential is the median mass) and ``scatter`` (of ln M), each
            with mean, sd, interval(p) and samples (draw,).
        """
        self._need_fits("ensemble_fit")
        options = _known(calc_params, ensemble.fit, "ensemble_fit", self._config.seed)
        self.clust_mass_dist = ensemble.fit(self._fits.values(), **options)
        return self.clust_mass_dist

    def compare(self, truth: Any, calc_params: Mapping[str, Any] | None = None, **columns: Any) -> Comparison:
        """Infer bias and scatter of the lensing masses against true masses.

        Parameters
        ----------
        truth : mapping, table, path or callable
            Halo id to true mass [Msun]; an astropy or pandas table or a file (HDF5, FITS, ECSV, CSV) with
            columns halo_id and m200c (of the fits' mass definition); or a function of the halo id.
        calc_params : mapping
            Keys: ``model`` ("constant" or what ``help(clmm.bias.fit)`` names), ``method`` ("grid", "nuts"),
            ``prior`` {ln_bias: [lo, hi], scatter: [lo, hi]}, ``seed``,
            ``mass_definition`` (of the truth), ``select``, ``allow_missing``.
        **columns
            ``halo_id``, ``mass``: names of columns; ``unit``: "Msun" or "Msun/h".

        Returns
        -------
        Comparison
            likelihoods (halo id to ln L against M / M_true, (mass,)), posteriors (``.bias.mean``,
            ``.scatter.interval(0.68)`` …), mass_dist_bias_samps (draw,) of b = M_lens / M_true, the
            median, mass_dist_scatter_samps (draw,) of sigma(ln M).

        Raises
        ------
        TruthError
            Names the haloes without a true mass.
        """
        self._need_fits("compare")
        options = _known(calc_params, bias.fit, "compare", self._config.seed)
        for key in columns:
            if key not in ("halo_id", "mass", "unit"):
                raise ConfigError(
                    f"compare: unknown argument {key!r}{suggest(key, ['halo_id', 'mass', 'unit'])}"
                )
        h = self._config.cosmology.H0 / 100.0
        self.comparison = compare(self._fits.values(), truth, h=h, **columns, **options)
        return self.comparison

    def statistics(self) -> dict[str, Any]:
        """Return the results in numbers, as a dictionary of dictionaries.

        ``n_halos``, ``n_usable`` and ``reasons`` of the others; ``chi2_per_dof``; ``summary``: median, p16
        and p84 over the haloes of each estimate (masses in Msun); after ``ensemble_fit``: ``ensemble``;
        after ``compare``: ``bias`` (mean, sd, interval_68 of each parameter) and ``calibration``
        (coverage, tests and distribution of the pulls).
        """
        self._need_fits("statistics")
        return statistics(self._fits, self.clust_mass_dist, self.comparison)


def _checked(given: Mapping[str, Any] | str | Path) -> NotebookConfig:
    if isinstance(given, str | Path):
        given = model_info(read_yaml(given), str(given))
    if not isinstance(given, Mapping):
        raise ConfigError(f"CLMassMod takes what utils.load_config returns, found a {type(given).__name__}")
    if "analyses" in given or "simulation" in given:
        given = model_info(dict(given), "model_info")
    return build(NotebookConfig, dict(given), "model_info")


def _known(parameters: Mapping[str, Any] | None, function: Any, caller: str, seed: int) -> dict[str, Any]:
    """Return keyword arguments of a function of the layers below; ConfigError for one it has not."""
    given = dict(parameters or {})
    known = keyword_names(function)
    for key in given:
        if key not in known:
            raise ConfigError(f"{caller}: calc_params: unknown key {key!r}{suggest(key, known)}")
    return {"seed": seed, **given}
