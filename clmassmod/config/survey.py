"""What a mock survey is: sources, noise, footprint, centre."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from clmassmod.config.base import Model
from clmassmod.config.footprint import Footprint
from clmassmod.config.sources import (
    Clustering,
    Conditions,
    Magnification,
    Magnitudes,
    Members,
    NoiseProfile,
    PhotoZ,
    Sources,
)
from clmassmod.registry import CENTRES

__all__ = ["Centre", "Footprint", "Sources", "Survey"]


class Centre(Model):
    """Offset of the assumed centre from the true one."""

    model: str = Field("none", description="name of a centre model, or path/to/file.py:function")
    parameters: dict[str, Any] = Field(default_factory=dict, description="the model's own parameters")
    fraction: float = Field(1.0, ge=0, le=1, description="of haloes that are off centre at all")
    z_power: float = Field(0.0, ge=-10, le=10, description="offsets grow as ((1 + z) / (1 + z_ref))^z_power")
    z_ref: float = Field(0.0, ge=0, description="redshift at which the model's offsets hold as they are")
    alignment: float = Field(
        0.0,
        ge=-1,
        le=1,
        description="density of directions 1 + alignment cos 2 phi about the halo's long axis",
    )

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.model != "none":
            CENTRES.check(self.model)
        return self


def _needs_keys_or_like(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [{"required": schema.pop("required")}, {"required": ["like"]}]


def _one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, dict | Footprint) else value


class Survey(Model):
    """A mock survey: a halo's lensing becomes a catalogue of source galaxies."""

    model_config = ConfigDict(json_schema_extra=_needs_keys_or_like)

    like: str | None = Field(
        None,
        description="survey whose keys hold where this one has none, and whose random draws it takes: the "
        "same galaxies and noise, about its own centre",
    )
    draws_of: str | None = Field(
        None,
        description="survey whose random draws it takes; null: its own, or those of 'like'. Positions, "
        "redshifts, shapes and so on are the same where the keys that they depend on are the same",
    )
    simulation_options: dict[str, Any] = Field(
        default_factory=dict,
        description="options of the reader in place of the simulation's: the same haloes with other physics",
    )
    density_per_arcmin2: float | None = Field(
        None,
        gt=0,
        le=1000,
        description="source galaxies per square arcminute; null: all that there are (see positions)",
    )
    positions: Literal["uniform", "pixels", "table"] = Field(
        "uniform",
        description="at random; at the map's pixels; from 'positions_path', or the simulation's own galaxies",
    )
    positions_path: str | None = Field(
        None, description="table with columns x_arcmin, y_arcmin, and may have z_source"
    )
    clustering: Clustering | None = None
    shape_noise: float = Field(ge=0, le=1, description="standard deviation of one ellipticity component")
    error_shape_noise: float | None = Field(
        None,
        gt=0,
        le=1,
        description="that the errors are computed from, for mocks without noise; null: shape_noise",
    )
    noise_profile: NoiseProfile | None = None
    sources: Sources
    magnitudes: Magnitudes | None = None
    photo_z: PhotoZ | None = None
    magnification: Magnification | None = None
    members: Members | None = None
    footprint: Annotated[list[Footprint], BeforeValidator(_one_or_more)] = Field(
        min_length=1, description="a shape, or several that are applied in their order"
    )
    centre: Centre = Centre()
    conditions: Conditions | None = None
    rescale_z: float | None = Field(
        None, gt=0, lt=20, description="haloes as they would look at this redshift"
    )
    shear_m: float = Field(0.0, gt=-1, lt=1, description="multiplicative shear bias put into the mock")
    shear_c: tuple[float, float] = Field((0.0, 0.0), description="additive shear bias put into the mock")

    @model_serializer(mode="wrap")
    def _without_unused(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # what a survey without these keys gave before they were there keeps its hash
        unused = {"like", "draws_of", "simulation_options"}
        return {k: v for k, v in handler(self).items() if v or k not in unused}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.footprint[0].action != "add":
            raise ValueError("footprint: the first shape must have action 'add'")
        if self.positions == "uniform" and self.density_per_arcmin2 is None:
            raise ValueError("density_per_arcmin2: positions 'uniform' need a density")
        if self.positions == "table" and self.clustering is not None:
            raise ValueError("clustering: positions from a table are as they are")
        if self.noise_profile is not None and self.shape_noise > 0:
            raise ValueError("shape_noise must be 0 with a noise_profile, which has all the noise")
        if self.magnification is not None and self.magnification.slope is None and self.magnitudes is None:
            raise ValueError("magnification.slope: give it, or magnitudes")
        if self.conditions is not None and self.conditions.rescale_z and self.rescale_z is not None:
            raise ValueError("rescale_z: conditions.rescale_z already moves the haloes")
        return self
