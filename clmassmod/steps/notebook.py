"""One call of the notebook's fit: parameters, profiles and fits, all by the workflow's functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from clmassmod import tables as tables_module
from clmassmod.config import Analysis, build, content_hash, read_yaml
from clmassmod.config.noise import Noise
from clmassmod.config.notebook import (
    ANALYSIS_KEYS,
    EVERY_RADIUS_MPC,
    MODEL_KEYS,
    CallParameters,
    NotebookConfig,
    analysis_of,
)
from clmassmod.cosmology import Cosmology
from clmassmod.errors import ClmassmodError, ConfigError
from clmassmod.fitters import check_options
from clmassmod.fitters.data import select_bins
from clmassmod.fitters.likelihood import LensModel
from clmassmod.fitters.noise import noise_samples
from clmassmod.fitters.options import SHARED
from clmassmod.readers.common import open_reader
from clmassmod.readers.observed import Kind
from clmassmod.records import HaloFit, LensingMap, ShearProfile, SourceCatalog
from clmassmod.registry import FITTERS, suggest
from clmassmod.steps import chain
from clmassmod.steps.campaign import prepare
from clmassmod.steps.observables import MAPS, Lazy, Source, distances, record_digest
from clmassmod.steps.paths import Campaign
from clmassmod.steps.sources import fingerprint, plugin_file
from clmassmod.store.tree import FORMAT_VERSION
from clmassmod.tables import Tables

ALIASES = {"pymc": "nuts"}  # names of the wish
Halo = Mapping[Kind, Source]  # all observables of one halo


@dataclass(frozen=True)
class Call:
    """What one call of ``fit_mass_profiles`` does; ``fitter`` and ``instead`` are the user's functions."""

    config: NotebookConfig
    analysis: Analysis
    seed: int
    n_jobs: int
    every_radius: bool  # measured profiles are fitted as they are
    fitter: Callable[..., HaloFit] | None
    instead: Mapping[str, Any]

    @cached_property
    def cosmology(self) -> Cosmology:
        """The background."""
        return self.config.cosmology.build()

    @cached_property
    def key(self) -> str:
        """Hash of everything but the haloes that a fit depends on."""
        origin, analysis = self.config.origin, self.analysis
        names = (analysis.model.profile, analysis.model.concentration, analysis.method)
        files = [plugin_file(n) for n in names]
        functions = [self.fitter, *self.instead.values()]
        return content_hash(
            [
                FORMAT_VERSION,
                self.config.cosmology.model_dump(),
                self.config.survey.model_dump(),
                analysis.model_dump(),
                [origin.survey, origin.analysis, self.seed, self.every_radius],
                [fingerprint(f, None)["sha256"] for f in files if f and Path(f).exists()],
                [_source_text(f) for f in functions if f is not None],
            ]
        )

    def hash(self, halo: Halo) -> str:
        """Return the hash of one halo's fit: of parameters and data."""
        return content_hash([self.key, [[kind, source.digest] for kind, source in halo.items()]])


def _source_text(function: Any) -> str:
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):
        text = ""
    closed = inspect.getclosurevars(function).nonlocals if inspect.isfunction(function) else {}
    return f"{getattr(function, '__qualname__', function)}\n{text}\n{closed}"


def make_call(config: NotebookConfig, method: Any, parameters: Mapping[str, Any] | None) -> Call:
    """Return a checked call.

    Parameters
    ----------
    config
        Of the ``CLMassMod``.
    method
        Name of a fitter ("pymc" is "nuts"), ``path/to/file.py:function``, or a function.
    parameters
        ``calc_params``.

    Raises
    ------
    ConfigError
        Names the unknown key or method and the nearest known one.
    """
    given = dict(parameters or {})
    if not (callable(method) or isinstance(method, str)):
        raise ConfigError(f"calc_method {method!r} is neither a name nor a function; say 'scan'")
    fitter = method if callable(method) else None
    name = "scan" if fitter is not None else ALIASES.get(str(method).lower(), str(method))
    if fitter is None:
        FITTERS.check(name)
    takes = _options_of(fitter or FITTERS.load(name))
    known = [*CallParameters.model_fields, *MODEL_KEYS, *ANALYSIS_KEYS]
    for key in given:
        if key not in known and takes is not None and key not in takes:
            raise ConfigError(f"calc_params: unknown key {key!r}{suggest(key, [*known, *takes])}")
    call_keys = {k: v for k, v in given.items() if k in CallParameters.model_fields}
    call = build(CallParameters, call_keys, "fit_mass_profiles", "calc_params")
    own = {} if config.method != name or fitter is not None else dict(config.options)
    own |= {k: v for k, v in given.items() if k not in known}
    if call.draws is not None and (takes is None or "draws" in takes):
        own["draws"] = call.draws
    if fitter is None:
        check_options(name, own)
    instead = {k: given.pop(k) for k in ("profile", "concentration") if callable(given.get(k))}
    analysis = analysis_of(config, given, name, own)
    seed = config.seed if call.seed is None else call.seed
    every = given.get("radius_mpc", config.radius_mpc) is None
    return Call(config, analysis, seed, call.n_jobs, every, fitter, instead)


def _options_of(function: Any) -> list[str] | None:
    """Return the keywords that a fitter takes of its own; None: any."""
    parameters = inspect.signature(function).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return None
    return [key for key in parameters if key not in SHARED]


@lru_cache(maxsize=8)
def _tables(
    cosmology: Cosmology,
    z_range: tuple[float, float],
    relations: tuple[tuple[str | float, str], ...],
    noise: Noise,
) -> Tables:
    samples = noise_samples([noise])
    return Tables(tables_module.build(cosmology, z_range=z_range, relations=relations, noise_samples=samples))


@dataclass(frozen=True)
class Session:
    """A call and the haloes that it is for."""

    call: Call
    halos: Mapping[str, Halo]

    @cached_property
    def tables(self) -> Tables:
        """Tables of the cosmology, for the redshifts of these haloes or of their campaign."""
        call, analysis = self.call, self.call.analysis
        z = [s.halo.z for halo in self.halos.values() for s in halo.values()]
        low, high = min(z), max(z)
        if self.campaign is not None:
            start, end = self.campaign.state["z_range"]
            if start <= low and high <= end:
                low, high = start, end
        definitions = dict.fromkeys((analysis.mass_definition, *analysis.more_mass_definitions))
        relation = analysis.model.concentration
        relations = () if "concentration" in call.instead else tuple((relation, d) for d in definitions)
        return _tables(call.cosmology, (low, high), relations, analysis.noise)

    @cached_property
    def model(self) -> LensModel:
        """The lens model, shared by all haloes."""
        return chain.lens_model(self.call.analysis, self.tables, **self.call.instead)

    def catalogs(self, halo: Halo) -> list[SourceCatalog]:
        """Return the mock catalogues of a halo's maps."""
        if self.call.analysis.pixels is not None:
            return []
        return [c for kind in MAPS if kind in halo and (c := self._catalog(halo, kind)) is not None]

    def _catalog(self, halo: Halo, kind: Kind) -> SourceCatalog | None:
        config = self.call.config
        record = halo[kind].read(self.call.cosmology)
        name = _draws(halo, kind, config.survey.draws_of or config.origin.survey)
        if not isinstance(record, LensingMap):
            return None
        return chain.mock_catalog(record, config.survey, name, self.tables, config.seed)

    def profiles(self, halo: Halo) -> list[ShearProfile]:
        """Return the profiles of a halo in the radial range of the fit, one an observable."""
        analysis = self.call.analysis
        seed = self.call.config.seed
        made = [chain.analysis_profile(c, analysis, self.tables, seed) for c in self.catalogs(halo)]
        if analysis.pixels is not None:
            for kind in (k for k in MAPS if k in halo):
                record = halo[kind].read(self.call.cosmology)
                name = _draws(halo, kind, "pixels")
                made.append(chain.analysis_profile(record, analysis, self.tables, seed, name))
        for source in halo.values():
            if source.profile is not None and self.call.every_radius:
                made.append(select_bins(source.profile, EVERY_RADIUS_MPC))
            elif source.profile is not None:
                made.append(chain.analysis_profile(source.profile, analysis, self.tables, seed))
        return made

    @cached_property
    def made_catalogs(self) -> Lazy[tuple[SourceCatalog, ...]]:
        """Mock catalogues of the halos' maps, by halo id, made when first asked for."""
        return Lazy(list(self.halos), lambda h: tuple(self.catalogs(self.halos[h])))

    @cached_property
    def made_profiles(self) -> Lazy[tuple[ShearProfile, ...]]:
        """Profiles by halo id, made when first asked for."""
        return Lazy(list(self.halos), lambda h: tuple(self.profiles(self.halos[h])))

    def fit(self, halo_id: str) -> HaloFit:
        """Return the fit of one halo, all its observables jointly."""
        profiles = self.profiles(self.halos[halo_id])
        call = self.call
        return chain.fit_profiles(
            profiles[0] if len(profiles) == 1 else profiles,
            self.model,
            call.analysis,
            call.config.origin.analysis,
            call.seed,
            call.fitter,
        )

    def provenance(self, halo_id: str) -> dict[str, Any]:
        """Return what the halo's file says of its origin: the campaign's where the fit is the campaign's."""
        halo, call = self.halos[halo_id], self.call
        campaign = self.campaign
        name = call.config.origin.campaign
        if campaign is not None and self._campaign_digests.get(halo_id) == next(iter(halo.values())).digest:
            config_hash = campaign.hash("fit", call.config.origin.analysis)
        else:
            config_hash = call.hash(halo)
        return chain.provenance(name, config_hash, call.seed)

    @cached_property
    def campaign(self) -> Campaign | None:
        """The campaign that does just what this call does, where its files are here."""
        call, origin = self.call, self.call.config.origin
        kinds = {kind for halo in self.halos.values() for kind in halo}
        if origin.file is None or len(kinds) != 1 or call.fitter is not None or call.instead:
            return None
        try:
            file = Path(origin.file)
            campaign = prepare(read_yaml(file), source=origin.file, project=file.parent.parent, dry_run=True)
        except (ClmassmodError, OSError):
            return None  # the campaign's own files are not here: there is nothing to agree with
        config = campaign.config
        theirs = config.analyses[origin.analysis].model_copy(update={"survey": None})
        same = (
            call.analysis.model_copy(update={"survey": None}) == theirs
            and call.config.cosmology == config.cosmology
            and call.seed == call.config.seed == config.seed
            and not (kinds & set(MAPS) and call.config.survey != config.surveys.get(origin.survey))
        )
        return campaign if same else None

    @cached_property
    def _campaign_digests(self) -> dict[str, str]:
        """What the campaign's own reader reads of these haloes, as hashes of records."""
        assert self.campaign is not None
        config = self.campaign.config
        reader = open_reader(config.simulation, self.call.cosmology, config.seed)
        prepared, tables = reader.prepare(), distances(self.call.cosmology)
        found = {}
        for halo in reader.halos():
            if halo.halo_id in self.halos:
                record = reader.read(halo, tables, prepared)
                if isinstance(record, LensingMap | ShearProfile):
                    found[halo.halo_id] = record_digest(record)
        return found


def _draws(halo: Halo, kind: Kind, name: str) -> str:
    """Return what a map's draws are named after; two maps of one halo do not have the same noise."""
    return f"{name}/kappa" if kind == "kappa_map" and "mass_map" in halo else name


def folder_of(save_loc: Any) -> Path:
    """Return the folder of fits; ConfigError for a file."""
    path = Path(save_loc)
    if path.is_file():
        raise ConfigError(f"save_loc {path} is a file; give a folder, which gets one file a halo")
    return path


def keyword_names(function: Any) -> list[str]:
    """Return the names of a function's keyword-only arguments."""
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
