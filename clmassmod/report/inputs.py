"""What the report is made of: plain records that the step ``report`` fills from result files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clmassmod.bias.statistics import Calibration
from clmassmod.errors import ConfigError
from clmassmod.posterior import Posterior
from clmassmod.records import HaloFit

Array = NDArray[np.float64]
TRUE_MASS_BINNING = "true mass"
MOST_ANALYSES_DRAWN = 6  # with figures of their own, unless the configuration names others
_EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Scene:
    """What one halo looks like to its survey; positions are physical Mpc from the assumed centre.

    Parameters
    ----------
    half_mpc
        The picture reaches so far along both axes.
    rings_mpc
        Radial range of the fit.
    true_centre_mpc
        Of the halo.
    kappa_inf
        Convergence for sources at infinite redshift, (y, x) over the picture; NaN where the simulation
        ends; None where it has no map.
    x_mpc, y_mpc, e1, e2
        Source galaxies, (source,); empty where there is no catalogue.
    """

    halo_id: str
    survey: str
    half_mpc: float
    rings_mpc: tuple[float, float]
    true_centre_mpc: tuple[float, float] = (0.0, 0.0)
    kappa_inf: Array | None = None
    x_mpc: Array = field(default_factory=lambda: np.empty(0))
    y_mpc: Array = field(default_factory=lambda: np.empty(0))
    e1: Array = field(default_factory=lambda: np.empty(0))
    e2: Array = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True)
class RuleUse:
    """What the jobs of one rule took: wall and CPU time in all, of one job, and the most memory of one."""

    rule: str
    jobs: int
    wall_s: float
    cpu_s: float
    median_s: float
    longest_s: float
    peak_mb: float


@dataclass(frozen=True)
class BinProfile:
    """Mean profile of a bin's members, and what the bin's ensemble predicts for it; arrays are (bin,).

    Parameters
    ----------
    radius_mpc, delta_sigma, error
        Weighted mean radius [Mpc], excess surface density and its error [Msun / Mpc2].
    model
        Ends of the 68 % interval and median of the prediction, (3, bin): low, middle, high; empty
        without prediction.
    n_stacked, n_members
        Members in the mean, and usable members of the bin.
    """

    radius_mpc: Array
    delta_sigma: Array
    error: Array
    model: Array
    n_stacked: int
    n_members: int


@dataclass(frozen=True)
class AnalysisResult:
    """All results of one analysis of a campaign.

    Parameters
    ----------
    name
        Name of the analysis in the configuration.
    config
        Its section of the configuration, plain data.
    table
        One entry a halo that has a fit file, each an array (halo,): ``halo_id``, ``parent``, ``z``,
        ``status`` ("ok" or "unusable"), ``reason``, and every summary of the fits (``mass_ml_msun``,
        ``mass_err_msun``, ``snr``, ``chi2``, ``dof``, ``p_value`` …), NaN where a halo has none.
    bins
        Label of a bin to the identifiers of its members (member,), usable or not.
    ensembles, comparisons
        Label of a bin to its posterior; a bin may be missing from either (no truth, no usable halo).
    true_mass_msun
        Identifier to true mass as the comparison files record it; empty on real data.
    influences
        Label of a bin to each parent's influence on the mean of ln b (``bias.influence``), where analyses
        are to be compared with one another.
    examples
        Fits of some haloes with ``profile`` and best-fit ``model``, for the figure of profiles.
    failed
        Haloes whose step raised, each with ``halo_id`` and ``reason``.
    remarks
        What a reader should know of this analysis (of its binning, say); shown with the warnings.
    scenes
        Identifier of an example to its map and catalogue.
    profiles
        Label of a bin to its members' mean profile.
    calibrations
        Label of a bin to the calibration of its haloes against truth.

    Raises
    ------
    ConfigError
        If a needed column is missing or the columns differ in length.
    """

    name: str
    config: Mapping[str, Any]
    table: Mapping[str, NDArray[Any]]
    bins: Mapping[str, NDArray[Any] | Sequence[str]]
    ensembles: Mapping[str, Posterior] = field(default_factory=lambda: _EMPTY)
    comparisons: Mapping[str, Posterior] = field(default_factory=lambda: _EMPTY)
    true_mass_msun: Mapping[str, float] = field(default_factory=lambda: _EMPTY)
    influences: Mapping[str, Mapping[str, float]] = field(default_factory=lambda: _EMPTY)
    examples: Sequence[HaloFit] = ()
    failed: Sequence[Mapping[str, str]] = ()
    remarks: Sequence[str] = ()
    scenes: Mapping[str, Scene] = field(default_factory=lambda: _EMPTY)
    profiles: Mapping[str, BinProfile] = field(default_factory=lambda: _EMPTY)
    calibrations: Mapping[str, Calibration] = field(default_factory=lambda: _EMPTY)

    def __post_init__(self) -> None:
        """Refuse a table that is incomplete."""
        needed = ("halo_id", "parent", "z", "status", "reason")
        missing = [name for name in needed if name not in self.table]
        if missing:
            raise ConfigError(
                f"report of analysis {self.name!r}: the table of haloes has no {', '.join(missing)}"
            )
        lengths = {name: len(column) for name, column in self.table.items()}
        if len(set(lengths.values())) > 1:
            raise ConfigError(f"report of analysis {self.name!r}: columns differ in length: {lengths}")

    @property
    def n_halos(self) -> int:
        """Number of haloes with a fit file."""
        return len(self.table["halo_id"])

    def usable(self) -> NDArray[np.bool_]:
        """Return which haloes of the table could be fitted, shape (halo,)."""
        return np.asarray(np.asarray(self.table["status"]).astype(str) == "ok")

    def members(self, label: str) -> NDArray[np.intp]:
        """Return the rows of the table that belong to a bin, in the table's order, shape (member,)."""
        rows = [self._row[str(name)] for name in self.bins[label] if str(name) in self._row]
        return np.unique(np.array(rows, dtype=np.intp))

    @cached_property
    def _row(self) -> Mapping[str, int]:
        return {str(name): i for i, name in enumerate(self.table["halo_id"])}

    def column(self, name: str) -> NDArray[np.float64]:
        """Return a numeric column of the table, shape (halo,); NaN for a column that is not there."""
        if name not in self.table:
            return np.full(self.n_halos, np.nan)
        return np.asarray(self.table[name], dtype=np.float64)

    def truth(self) -> NDArray[np.float64]:
        """Return the true mass of each row of the table [Msun], NaN where it is unknown, shape (halo,)."""
        return np.array(
            [self.true_mass_msun.get(str(name), np.nan) for name in self.table["halo_id"]], dtype=np.float64
        )


@dataclass(frozen=True)
class MatrixDesign:
    """Axes and their variants, each analysis' own, and the analysis that the others are compared with."""

    axes: Mapping[str, Sequence[str]]
    cells: Mapping[str, Sequence[str]]
    reference: str | None = None


@dataclass(frozen=True)
class ReportInput:
    """A whole campaign, as its report shows it.

    Parameters
    ----------
    title, campaign, notes
        Heading (the campaign's name if empty), name of the results folder, known limits of the input.
    config
        The full configuration, plain data (as in the frozen ``config.yaml``).
    provenance
        Name to value: package version, configuration hash, seed, input files … Shown as given.
    selection
        Name to count, in the order to be shown: haloes in the simulation, selected …
    analyses
        Results, in the order to be shown.
    binning_of
        Label of a bin to the name of its binning ("all", a key of ``bins``, or "true mass").
    command
        What reproduces the campaign, one command a line.
    notes_above_z
        Those of the notes that concern bins beyond a redshift alone: (redshift, note).
    figures_of
        Analyses that have figures of their own; empty: the first few.
    asked
        The configuration without what is at its default; empty: all of it is shown.
    resources
        What the jobs of each rule took, in the order of the workflow.
    pairs
        Analyses whose ln b is compared: (of, against).
    matrix
        The matrix that the analyses, or some of them, are cells of.
    """

    title: str
    campaign: str
    notes: Sequence[str]
    config: Mapping[str, Any]
    provenance: Mapping[str, Any]
    selection: Mapping[str, int]
    analyses: Sequence[AnalysisResult]
    binning_of: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    command: str = ""
    notes_above_z: Sequence[tuple[float, str]] = ()
    figures_of: Sequence[str] = ()
    asked: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    resources: Sequence[RuleUse] = ()
    pairs: Sequence[tuple[str, str]] = ()
    matrix: MatrixDesign | None = None

    @property
    def drawn(self) -> list[AnalysisResult]:
        """Analyses that have figures of their own, in the order of the input."""
        if self.figures_of:
            return [analysis for analysis in self.analyses if analysis.name in self.figures_of]
        cells = () if self.matrix is None else self.matrix.cells
        kept = None if self.matrix is None else self.matrix.reference or next(iter(self.matrix.cells))
        own = [
            a for a in self.analyses if a.name == kept or a.name not in cells
        ]  # the matrix shows the others
        return own[:MOST_ANALYSES_DRAWN]

    def analysis(self, name: str) -> AnalysisResult | None:
        """Return the results of an analysis, if it has any."""
        return next((a for a in self.analyses if a.name == name), None)
