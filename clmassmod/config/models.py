"""The configuration of a campaign: these models are the schema, and the YAML is checked against them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from clmassmod.config.analysis import Analysis
from clmassmod.config.base import Model
from clmassmod.config.matrix import Matrix
from clmassmod.config.survey import Survey
from clmassmod.config.values import Edges, Interval, MassDefinition, Name
from clmassmod.core.units import G_MPC_KM2_S2_MSUN
from clmassmod.cosmology import Cosmology
from clmassmod.registry import READERS, suggest


class CosmologyConfig(Model):
    """Background cosmology; the last three keys are needed by relations that use the power spectrum."""

    H0: float = Field(gt=10, lt=200, description="Hubble constant [km/s/Mpc]")
    Om0: float = Field(gt=0, le=2, description="matter density today")
    Ode0: float | None = Field(None, description="dark-energy density today; null: flat")
    w0: float = Field(-1.0, ge=-3, lt=0, description="equation of state of dark energy")
    wa: float = Field(0.0, ge=-3, le=3, description="its evolution, w = w0 + wa z/(1+z)")
    Ob0: float | None = Field(None, gt=0, lt=1, description="baryon density today")
    sigma8: float | None = Field(None, gt=0, lt=3, description="amplitude of the linear power spectrum")
    ns: float | None = Field(None, gt=0, lt=3, description="its spectral index")
    gravitational_constant: float = Field(
        G_MPC_KM2_S2_MSUN, gt=4.26e-9, lt=4.34e-9, description="[Mpc (km/s)2 / Msun]; masses scale as 1 / G"
    )

    def build(self) -> Cosmology:
        """Return the plain record that the physics takes."""
        return Cosmology(**self.model_dump())


class Select(Model):
    """Which haloes of the simulation take part; by observables alone, never by true mass."""

    z: Interval | None = Field(None, description="redshift range, both ends included")
    halo_ids: list[str] | None = Field(None, description="just these haloes")
    max_halos: int | None = Field(None, ge=1, description="at most so many, the first in the file's order")


class Simulation(Model):
    """Where the haloes come from."""

    reader: str = Field(description="name of a reader, or path/to/file.py:Reader")
    path: str | None = Field(None, description="file or folder of the simulation; none for reader 'analytic'")
    options: dict[str, Any] = Field(default_factory=dict, description="the reader's own options")
    select: Select = Select()

    @model_validator(mode="after")
    def _known(self) -> Self:
        READERS.check(self.reader)
        return self


class Truth(Model):
    """Table of true masses, seen by `compare` and `validate` alone."""

    path: str | None = Field(
        None,
        description="HDF5, FITS, ECSV or CSV table; null: the simulation's own file, or the reader's truth",
    )
    halo_id: str = Field("halo_id", description="column of the halo's identifier")
    mass: str = Field("m200c", description="column of the true mass")
    unit: Literal["Msun", "Msun/h"] = Field("Msun", description="of the true mass")
    mass_definition: MassDefinition = "200c"
    allow_missing: bool = Field(False, description="leave haloes without a true mass out, and count them")


class Binning(Model):
    """Bins of haloes: a user's function, or edges in quantities of the fits."""

    function: str | None = Field(None, description="path/to/file.py:function of all profiles")
    by: dict[str, Edges] | None = Field(
        None,
        description="quantity (z, snr, mass_ml_msun, a column of the simulation …) to edges, or several",
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.function is None) == (self.by is None):
            raise ValueError("give either 'function' or 'by'")
        if self.function is not None and ":" not in self.function:
            raise ValueError("'function' must be of the form path/to/file.py:function")
        return self


class Ensemble(Model):
    """Population of lensing masses of a bin, without truth."""

    model: str = Field(
        "constant", description="constant, trend, student, mixture, trend+student or trend+mixture"
    )
    method: Literal["grid", "nuts"] = Field(
        "grid", description="exact on a grid, or a sampler, which trend and mixture need"
    )
    prior: dict[str, Interval] = Field(default_factory=dict, description="parameter to its uniform range")


class Compare(Model):
    """Bias and scatter of the lensing masses of a bin."""

    model: str = Field(
        "constant", description="constant, trend, student, mixture, trend+student or trend+mixture"
    )
    method: Literal["grid", "nuts"] = Field(
        "grid", description="exact on a grid, or a sampler, which trend and mixture need"
    )
    prior: dict[str, Interval] = Field(default_factory=dict, description="parameter to its uniform range")
    true_mass_edges_msun: Edges | None = Field(None, description="further bins, by true mass [Msun]")


class Note(Model):
    """A known limit of the input."""

    text: str = Field(description="a sentence")
    above_z: float | None = Field(None, ge=0, description="it concerns bins that reach beyond this redshift")


class Pair(Model):
    """Two analyses of the same haloes, whose shift is known better than either if they share the noise."""

    of: Name = Field(description="analysis")
    against: Name = Field(description="analysis that its ln b is compared with")


class Report(Model):
    """What the report shows."""

    title: str = Field("", description="heading of the page; empty: the name of the campaign")
    notes: list[str | Note] = Field(
        default_factory=list, description="known limits of the input, shown with the results"
    )
    example_halos: int = Field(6, ge=0, le=100, description="haloes of each analysis that are shown")
    figures_of: list[Name] | None = Field(
        None, min_length=1, description="analyses with figures of their own; null: the first six"
    )
    shifts: list[Pair] = Field(
        default_factory=list,
        description="pairs of analyses whose ln b is compared bin by bin, with the error of paired haloes",
    )

    @model_serializer(mode="wrap")
    def _without_empty_shifts(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {k: v for k, v in handler(self).items() if k != "shifts" or v}


class CampaignConfig(Model):
    """A campaign: one simulation, any number of surveys, analyses and binnings."""

    campaign: Name = Field(description="names the folder results/<campaign>")
    seed: int = Field(ge=0, lt=2**63, description="of all random draws, with the names of halo and step")
    cosmology: CosmologyConfig
    simulation: Simulation
    truth: Truth | None = None
    surveys: dict[Name, Survey] = Field(default_factory=dict)
    analyses: dict[Name, Analysis] = Field(min_length=1, description="none are needed beside a matrix")
    matrix: Matrix | None = Field(None, description="further analyses: all combinations of named variants")
    bins: dict[Name, Binning] = Field(default_factory=dict, description="none: one bin 'all' alone")
    ensemble: Ensemble = Ensemble()
    compare: Compare = Compare()
    report: Report = Report()
    halos_per_job: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        "auto",
        description="haloes of a job, one file each; auto: 1, or of more than 250 in all 20 or a hundredth",
    )
    allow_missing: int = Field(0, ge=0, description="go on with so many failed haloes")

    def simulation_of(self, survey: str | None) -> Simulation:
        """Return the simulation as a survey sees it: with the survey's own options of the reader."""
        own = None if survey is None else self.surveys[survey].simulation_options
        if not own:
            return self.simulation
        return self.simulation.model_copy(update={"options": {**self.simulation.options, **own}})

    @property
    def wants_shifts(self) -> bool:
        """Whether analyses are compared with one another, which takes each halo's influence on ln b."""
        return bool(self.report.shifts) or (self.matrix is not None and self.matrix.reference is not None)

    @property
    def surveys_of_own_simulation(self) -> list[str]:
        """Names of the surveys that see the haloes with options of the reader of their own."""
        return [name for name, survey in self.surveys.items() if survey.simulation_options]

    @model_serializer(mode="wrap")
    def _without_the_matrix_analyses(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        if self.matrix is None:
            data.pop("matrix", None)
        elif "analyses" in data:  # the matrix says it all, and is made to analyses again when it is read
            cells = self.matrix.cells()
            data["analyses"] = {k: v for k, v in data["analyses"].items() if k not in cells}
        return data

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        for name, survey in self.surveys.items():
            if survey.draws_of is not None and survey.draws_of not in self.surveys:
                known = ", ".join(self.surveys)
                raise ValueError(f"surveys.{name}.draws_of: no survey {survey.draws_of!r} (known: {known})")
        for i, pair in enumerate(self.report.shifts):
            for key, name in (("of", pair.of), ("against", pair.against)):
                if name not in self.analyses:
                    raise ValueError(
                        f"report.shifts.{i}.{key}: no analysis {name!r}{suggest(name, list(self.analyses))}"
                    )
            if pair.of == pair.against:
                raise ValueError(f"report.shifts.{i}: {pair.of!r} against itself is no shift")
        if self.wants_shifts and self.truth is None:
            raise ValueError("report.shifts and matrix.reference compare biases, which need the key 'truth'")
        if self.wants_shifts and (self.compare.model, self.compare.method) != ("constant", "grid"):
            raise ValueError(
                "report.shifts and matrix.reference need compare.model: constant and compare.method: grid, "
                f"found {self.compare.model} and {self.compare.method}"
            )
        return self

    @model_validator(mode="after")
    def _surveys_exist(self) -> Self:
        for name, analysis in self.analyses.items():
            if analysis.survey is not None and analysis.survey not in self.surveys:
                known = ", ".join(self.surveys) or "none"
                raise ValueError(f"analyses.{name}.survey: no survey {analysis.survey!r} (known: {known})")
            if analysis.noise.large_scale_structure or analysis.radial_bins.structure:
                absent = [k for k in ("sigma8", "ns", "Ob0") if getattr(self.cosmology, k) is None]
                if absent:
                    raise ValueError(
                        f"analyses.{name}: noise of large-scale structure needs cosmology."
                        + ", cosmology.".join(absent)
                    )
            wanted = [analysis.mass_definition, *analysis.more_mass_definitions]
            if self.truth is not None and self.truth.mass_definition not in wanted:
                raise ValueError(
                    f"analyses.{name}: fits {', '.join(wanted)} but truth.mass_definition is "
                    f"{self.truth.mass_definition!r}; add it to analyses.{name}.more_mass_definitions"
                )
        for name in self.report.figures_of or []:
            if name not in self.analyses:
                raise ValueError(
                    f"report.figures_of: no analysis {name!r}{suggest(name, list(self.analyses))}"
                )
        if self.compare.true_mass_edges_msun is not None and self.truth is None:
            raise ValueError("compare.true_mass_edges_msun needs the key 'truth'")
        return self
