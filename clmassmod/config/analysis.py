"""How an observer weighs each halo: radial bins, model, noise, fitter."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from clmassmod.config.base import Model
from clmassmod.config.noise import Noise
from clmassmod.config.nuisance import Nuisance
from clmassmod.config.values import Edges, MassDefinition, PositiveInterval
from clmassmod.registry import CONCENTRATIONS, FITTERS, PROFILES


class RadialBins(Model):
    """Radial bins of a profile that is measured from galaxies."""

    n: int = Field(10, ge=1, le=1000, description="number of bins")
    spacing: Literal["linear", "log", "equal_count", "unbinned"] = Field(
        "linear",
        description="edges equal in r, in ln r, or with as many galaxies in each bin; "
        "unbinned: each galaxy is fitted by itself",
    )
    edges_mpc: Edges | None = Field(
        None, description="fixed edges instead of n and spacing; those inside radius_mpc are used"
    )
    min_galaxies: int = Field(1, ge=1, description="a bin with fewer galaxies is not used")
    radius: Literal["effective", "mean"] = Field(
        "effective",
        description="of a bin: where a cluster's shear has its mean, or the mean of the galaxies' radii",
    )
    observable: Literal["g_t", "delta_sigma"] = Field(
        "g_t", description="delta_sigma: needs beta_s of each galaxy"
    )
    weights: Literal["catalogue", "uniform", "inverse_variance", "sigma_crit"] = Field(
        "catalogue",
        description="sigma_crit: the catalogue's times beta_s^2; inverse_variance: 1 / own shape noise^2",
    )
    errors: Literal["analytic", "bootstrap"] = Field(
        "analytic", description="shape noise, or scatter of resamples"
    )
    bootstrap_samples: int = Field(200, ge=20, le=100_000, description="resamples for errors 'bootstrap'")
    structure: bool = Field(False, description="covariance of structure along the line of sight is added")

    @model_validator(mode="after")
    def _of_bins_alone(self) -> Self:
        if self.spacing == "unbinned":
            fields = type(self).model_fields
            for key in ("n", "edges_mpc", "min_galaxies", "errors", "structure"):
                if getattr(self, key) != fields[key].default:
                    raise ValueError(f"{key} is of bins, and spacing 'unbinned' has none: leave it out")
        return self


class DensityModel(Model):
    """What is fitted."""

    profile: str = Field("nfw", description="name of a density profile, or path/to/file.py:function")
    concentration: str | float = Field(
        "diemer19", description="name of a relation, a number, a table, or path/to/file.py:function"
    )
    parameters: dict[str, Any] = Field(default_factory=dict, description="the profile's own parameters")
    nuisance: Nuisance = Field(Nuisance(), description="what is marginalised over, with its priors")

    @model_validator(mode="after")
    def _known(self) -> Self:
        PROFILES.check(self.profile)
        if isinstance(self.concentration, str):
            if not self.concentration.endswith((".ecsv", ".csv", ".h5")):
                CONCENTRATIONS.check(self.concentration)
        elif not 0.1 <= self.concentration <= 100:
            raise ValueError(f"a constant concentration of {self.concentration:g} is outside 0.1 to 100")
        return self


class MapPixels(Model):
    """Convergence of a map's pixels, which are fitted themselves, without any galaxy."""

    noise: float = Field(
        gt=0, description="standard deviation of the convergence, averaged over one square arcminute"
    )
    beta_s: float = Field(
        1.0,
        gt=0,
        le=1,
        description="of the map's source plane: its convergence over that of a plane at infinity",
    )
    sheet: float = Field(
        0.0,
        ge=0,
        description="standard deviation of a constant that all pixels share and nobody knows (mass sheet)",
    )
    noisy: bool = Field(False, description="the map has this noise already; none is drawn")


class Analysis(Model):
    """How an observer would weigh each halo."""

    survey: str | None = Field(
        None, description="mock survey; null for profiles that are read as measured, and for pixels"
    )
    pixels: MapPixels | None = Field(
        None, description="fit the convergence of a map's pixels; null: galaxies or profiles"
    )
    radius_mpc: PositiveInterval = Field(description="radial range of the fit [Mpc]")
    radial_bins: RadialBins = RadialBins()
    model: DensityModel = DensityModel()
    noise: Noise = Field(Noise(), description="covariance beside the shape noise, in every fitter")
    mass_definition: MassDefinition = "200c"
    more_mass_definitions: list[MassDefinition] = Field(
        default_factory=list, description="the likelihood is stored for these as well"
    )
    method: str = Field("scan", description="name of a fitter, or path/to/file.py:function")
    prior: Literal["flat", "log"] = Field(
        "flat", description="of the posterior summaries: flat in mass, or in its logarithm"
    )
    options: dict[str, Any] = Field(default_factory=dict, description="the fitter's own options")

    @model_validator(mode="after")
    def _known(self) -> Self:
        FITTERS.check(self.method)
        if self.radial_bins.structure and self.noise.large_scale_structure:
            raise ValueError(
                "radial_bins.structure and noise.large_scale_structure are the same noise: keep one of them"
            )
        if self.radial_bins.spacing == "unbinned":
            self._check_unbinned()
        if self.pixels is not None:
            self._check_pixels(self.pixels)
        return self

    def _check_pixels(self, pixels: MapPixels) -> None:
        if isinstance(self.survey, str):  # the notebook's is for other observables
            raise ValueError(
                "pixels are those of the simulation's map, which no survey observes: remove one of them"
            )
        fields = type(self.radial_bins).model_fields
        for key in ("observable", "weights", "errors", "structure"):
            if getattr(self.radial_bins, key) != fields[key].default:
                raise ValueError(f"radial_bins.{key} is of galaxies, and pixels have none: leave it out")
        if self.noise.large_scale_structure:
            raise ValueError(
                "noise.large_scale_structure is that of shears, not of a map's pixels; pixels.sheet is"
            )
        if pixels.sheet > 0 and self.radial_bins.spacing == "unbinned":
            raise ValueError("pixels.sheet connects all pixels, which spacing 'unbinned' cannot: use bins")

    def _check_unbinned(self) -> None:
        remedy = "radial_bins.spacing: linear, log or equal_count goes with it"
        if self.noise.large_scale_structure or self.noise.profile_scatter is not None:
            raise ValueError(f"the noise of unbinned galaxies has no covariance; {remedy}")
        if self.method == "nuts":
            raise ValueError(f"method 'nuts' fits no unbinned galaxies, 'scan' and 'curvefit' do; {remedy}")

    @model_serializer(mode="wrap")
    def _without_what_is_empty(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        if self.noise == Noise():
            data.pop("noise", None)  # what an analysis without it gave before keeps its hash
        if self.pixels is None:
            data.pop("pixels", None)
        return data
