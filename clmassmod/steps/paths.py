"""Where the files of a campaign lie, and what they depend on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from clmassmod.config import CampaignConfig, Model, content_hash, load_campaign
from clmassmod.errors import ConfigError, StoreError
from clmassmod.records import HaloInfo
from clmassmod.registry import READERS
from clmassmod.steps import layout, listing
from clmassmod.steps.sources import portable
from clmassmod.store.origin import check_origin
from clmassmod.store.tree import FORMAT_VERSION


@dataclass(frozen=True)
class Campaign:
    """One campaign on disk: its frozen configuration, its haloes' shards, its paths.

    Attributes
    ----------
    folder : Path
        ``results/<campaign>``.
    config : CampaignConfig
        The frozen configuration.
    state : dict
        What was found when the campaign was prepared: fingerprints of input files, counts.
    stale : frozenset of str
        Markers of shards that did not hold when the campaign was prepared.
    listing : str
        What ``halos.csv`` says, where it may not be on disk yet.
    """

    folder: Path
    config: CampaignConfig
    state: dict[str, Any]
    stale: frozenset[str] = frozenset()
    listing: str = field(default="", repr=False)

    @classmethod
    def open(cls, folder: Path | str) -> Campaign:
        """Open a campaign that was prepared before."""
        folder = Path(folder)
        try:
            state = json.loads((folder / "campaign.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ConfigError(
                f"{folder}: no campaign here; prepare it with `clmassmod prepare --config FILE` "
                "or run snakemake"
            ) from None
        except ValueError as error:
            raise ConfigError(
                f"{folder / 'campaign.json'}: damaged ({error}); remove it and run again"
            ) from None
        if "shard_size" not in state:
            raise ConfigError(f"{folder}: prepared by an older version; run snakemake again, or prepare it")
        return cls(folder, load_campaign(folder / "config.yaml"), state)

    @property
    def root(self) -> str:
        """The folder, as rules name it."""
        return str(self.folder)

    @cached_property
    def reader_kind(self) -> str:
        """What the reader returns: map, catalog or profile."""
        return str(READERS.load(self.config.simulation.reader).kind)

    @property
    def surveys(self) -> list[str]:
        """Names of the surveys that some analysis uses."""
        return list(dict.fromkeys(a.survey for a in self.config.analyses.values() if a.survey is not None))

    @property
    def analyses(self) -> list[str]:
        """Names of the analyses."""
        return list(self.config.analyses)

    def survey_of(self, analysis: str) -> str | None:
        """Return the survey whose mocks an analysis uses, or None if it reads the simulation itself."""
        return self.config.analyses[analysis].survey

    @property
    def has_truth(self) -> bool:
        """Whether true masses are there to compare with."""
        return self.config.truth is not None

    @property
    def truth_bins(self) -> list[str]:
        """Labels of the bins by true mass that `compare` makes."""
        edges = self.config.compare.true_mass_edges_msun or []
        return [f"truth-{lo:.3g}-{hi:.3g}".replace("+", "") for lo, hi in pairwise(edges)]

    @property
    def n_halos(self) -> int:
        """How many haloes take part."""
        return int(self.state["n_halos"])

    @property
    def shard_size(self) -> int:
        """How many haloes a job takes; the last one may have fewer."""
        return int(self.state["shard_size"])

    @cached_property
    def halo_ids(self) -> list[str]:
        """The haloes that take part, in the simulation's order; jobs of single shards do without."""
        return listing.ids_of(self.listing or self.halos_file.read_text(encoding="utf-8"))

    @cached_property
    def shards(self) -> list[str]:
        """Names of the shards; a shard of one halo has the halo's name."""
        return listing.shard_names(self.halo_ids, self.shard_size)

    def shard_halos(self, shard: str) -> list[HaloInfo]:
        """Return the haloes of a shard; ConfigError if there is no such shard."""
        return listing.read_shard(self.halos_file, self.state, shard)

    @cached_property
    def members(self) -> dict[str, list[str]]:
        """Halo ids of each shard."""
        ids, size = self.halo_ids, self.shard_size
        return {shard: ids[i * size : (i + 1) * size] for i, shard in enumerate(self.shards)}

    def bins(self, analysis: str) -> list[str]:
        """Return the labels of the bins that hold a halo with a likelihood."""
        listed = read_bins(self, analysis)["bins"]
        return [label for label, entry in listed.items() if entry["n_usable"] > 0]

    # paths

    @property
    def tables_file(self) -> Path:
        """Tables of the cosmology and of the reader, made once."""
        return self.folder / "tables.h5"

    @property
    def halos_file(self) -> Path:
        """The haloes that take part."""
        return self.folder / "halos.csv"

    @cached_property
    def digits(self) -> int:
        """Digits of the sub-folders of haloes' files; the selection has no say, so that it moves no file."""
        return layout.digits_for(int(self.state["counts"]["in the simulation"]))

    def halo_file(self, step: str, name: str, halo_id: str) -> Path:
        """Return the file of one halo in `mocks` or `fits`."""
        return layout.halo_file(self.folder / step / name, halo_id, self.digits)

    def mock_file(self, survey: str, halo_id: str) -> Path:
        """Catalogue of one halo."""
        return self.halo_file("mocks", survey, halo_id)

    def fit_file(self, analysis: str, halo_id: str) -> Path:
        """Fit of one halo."""
        return self.halo_file("fits", analysis, halo_id)

    def failure_file(self, step: str, name: str, halo_id: str) -> Path:
        """Return where a halo that raised in `mocks` or `fits` is recorded."""
        return layout.halo_file(self.folder / step / name, halo_id, self.digits, layout.FAILURE)

    def halo_folders(self) -> Iterator[tuple[str, str, Path]]:
        """Yield step, name and folder of what holds a file a halo: the surveys' mocks, the analyses' fits."""
        for step, names in (("mocks", self.surveys), ("fits", self.analyses)):
            for name in names:
                yield step, name, self.folder / step / name

    def marker_file(self, step: str, name: str, shard: str) -> Path:
        """Return what says that a shard of `mocks` or `fits` is done."""
        return self.folder / "markers" / step / name / f"{shard}.json"

    def log_file(self, step: str, name: str, shard: str) -> Path:
        """Return the log of a shard of `mocks` or `fits`, as the rules name it."""
        return self.folder / "logs" / step / name / f"{shard}.log"

    def shard_file(self, analysis: str, shard: str) -> Path:
        """All fits of a shard in one file, for the gather."""
        return self.folder / "markers" / "fits" / analysis / f"{shard}.h5"

    def bins_file(self, analysis: str) -> Path:
        """Members of each bin."""
        return self.folder / "bins" / f"{analysis}.json"

    def population_file(self, analysis: str) -> Path:
        """All fits of an analysis in one file, for the gathers."""
        return self.folder / "bins" / f"{analysis}.h5"

    def ensemble_file(self, analysis: str, label: str) -> Path:
        """Posterior of the population of one bin."""
        return self.folder / "ensembles" / analysis / f"{label}.nc"

    def comparison_file(self, analysis: str, label: str) -> Path:
        """Posterior of bias and scatter of one bin."""
        return self.folder / "comparisons" / analysis / f"{label}.nc"

    # what a step depends on

    def inputs(self, kind: str) -> list[str]:
        """Return the files from outside that `simulation`, `truth` or `bins` read."""
        if kind == "simulation":
            path = self.config.simulation.path
        elif kind == "truth":
            truth = self.config.truth
            path = None if truth is None else truth.path or self.config.simulation.path
        elif kind == "bins":
            functions = (b.function for b in self.config.bins.values() if b.function is not None)
            return list(
                dict.fromkeys(f.rpartition(":")[0] for f in functions if f.rpartition(":")[0].endswith(".py"))
            )
        else:
            raise ConfigError(f"no inputs of kind {kind!r}")
        return [] if path is None else [path]

    def hash(self, step: str, name: str = "") -> str:
        """Return a hash of all that the results of a step depend on.

        Parameters
        ----------
        step : str
            tables, mock, fit, bins, ensemble, compare or report.
        name : str
            The survey of a mock, else the analysis.
        """
        config = self.config
        if step == "mock":
            return content_hash([self._base(), config.seed, self._portable(config.surveys[name])])
        if step == "fit":
            analysis = config.analyses[name]
            source = self.hash("mock", analysis.survey) if analysis.survey else self._base()
            return content_hash([source, config.seed, self._portable(analysis, "survey")])
        if step == "tables":
            analyses = [
                self._portable(a, "survey", "radius_mpc", "radial_bins") for a in config.analyses.values()
            ]
            own = {s: self._portable(config.simulation_of(s)) for s in config.surveys_of_own_simulation}
            return content_hash([self._base(), self.state["z_range"], analyses, *([own] if own else [])])
        if step == "bins":
            bins = {k: self._portable(v) for k, v in config.bins.items()}
            return content_hash(
                [self.hash("fit", name), bins, config.allow_missing, self.state["halos_hash"]]
            )
        if step == "ensemble":
            return content_hash([self.hash("bins", name), config.seed, self._portable(config.ensemble)])
        if step == "compare":
            truth = None if config.truth is None else self._portable(config.truth)
            settings = self._portable(config.compare)
            extra = ["influence"] if config.wants_shifts else []  # is in the file too
            return content_hash([self.hash("bins", name), config.seed, settings, truth, *extra])
        return content_hash([self._portable(config), self.state["halos_hash"]])

    def _base(self) -> list[Any]:
        """Return what all that is read depends on; the seed only where the reader invents its haloes."""
        simulation = self.config.simulation
        seed = self.config.seed if simulation.path is None else None
        return [
            FORMAT_VERSION,
            self._portable(self.config.cosmology),
            self._portable(simulation, "select"),
            seed,
        ]

    def _portable(self, part: Model, *exclude: str) -> Any:
        return portable(part.model_dump(mode="json", exclude=set(exclude)), self.state["fingerprints"])


def parse_bins(path: Path) -> dict[str, Any]:
    """Return what a list of bins holds; StoreError if it is missing or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        for entry in content["bins"].values():
            _ = [str(halo_id) for halo_id in entry["halos"]], int(entry["n_usable"]), entry["binning"]
        _ = str(content["config_hash"]), list(content["failed"])
    except FileNotFoundError:
        raise StoreError(f"{path}: not there; run `clmassmod bins` or snakemake first") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"{path}: damaged ({type(error).__name__}: {error}); remove it and run again"
        ) from None
    return dict(content)


def read_bins(campaign: Campaign, analysis: str) -> dict[str, Any]:
    """Return what `bins` wrote for an analysis.

    Raises
    ------
    StoreError
        Where it is missing, damaged, or of another configuration.
    """
    path = campaign.bins_file(analysis)
    content = parse_bins(path)
    check_origin(path, content, {"config_hash": campaign.hash("bins", analysis), "analysis": analysis})
    return content
