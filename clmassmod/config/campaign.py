"""Loading a campaign: what its configuration says in short is spelled out, then all of it is checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from clmassmod.config.analysis import Analysis
from clmassmod.config.load import build, describe, numbers, read_yaml
from clmassmod.config.matrix import Matrix
from clmassmod.config.models import CampaignConfig
from clmassmod.errors import ConfigError
from clmassmod.registry import suggest


def load_campaign(source: Path | str | dict[str, Any], name: str = "configuration") -> CampaignConfig:
    """Return the checked configuration of a campaign from a YAML file or plain data."""
    data, name = (source, name) if isinstance(source, dict) else (read_yaml(source), str(source))
    matrix = None if data.get("matrix") is None else build(Matrix, data["matrix"], name, "matrix")
    try:
        spelled_out = _with_matrix(_with_surveys(data), matrix)
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from None
    return build(CampaignConfig, spelled_out, name)


def _with_surveys(data: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration with the keys that surveys take from those that they are like."""
    surveys = data.get("surveys")
    if not isinstance(surveys, Mapping):
        return data
    return {**data, "surveys": {name: _like(surveys, name, ()) for name in surveys}}


def _like(surveys: Mapping[str, Any], name: str, through: tuple[str, ...]) -> Any:
    survey = surveys[name]
    if not isinstance(survey, Mapping) or survey.get("like") is None:
        return survey
    other = survey["like"]
    if other not in surveys:
        raise ConfigError(
            f"surveys.{name}.like: no survey {other!r}{suggest(str(other), [str(s) for s in surveys])}"
        )
    if other in (*through, name):
        raise ConfigError(f"surveys.{name}.like: {' is like '.join((*through, name, other))}, for ever")
    model = _like(surveys, other, (*through, name))
    if not isinstance(model, Mapping):
        return survey
    own = {k: v for k, v in survey.items() if k != "like"}
    return {**model, "draws_of": model.get("draws_of") or other, **own}


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of a campaign's configuration, for editors."""
    schema = CampaignConfig.model_json_schema()
    schema["required"].remove("analyses")
    schema["anyOf"] = [{"required": ["analyses"]}, {"required": ["matrix"]}]
    schema["title"] = "clmassmod campaign"
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return schema


def _with_matrix(data: dict[str, Any], matrix: Matrix | None) -> dict[str, Any]:
    """Return the configuration with the analyses of its matrix beside the others."""
    if matrix is None:
        return data
    cells = matrix.cells()
    _check_variants(matrix)
    written = data.get("analyses") or {}
    if not isinstance(written, Mapping):
        return data  # which building the configuration refuses
    for name in cells:
        if name in written:
            raise ConfigError(f"analyses.{name}: the matrix has an analysis of this name; rename this one")
    return {**data, "analyses": {**written, **{k: matrix.keys_of(v) for k, v in cells.items()}}}


def _check_variants(matrix: Matrix) -> None:
    """Refuse a wrong key or value where it is written, rather than in every analysis that has it."""
    first = tuple(next(iter(variants)) for variants in matrix.axes.values())
    looked_at = dict.fromkeys([first])
    for i, variants in enumerate(matrix.axes.values()):
        looked_at |= dict.fromkeys((*first[:i], variant, *first[i + 1 :]) for variant in variants)
    problems: dict[str, None] = {}
    for cell in looked_at:
        try:
            Analysis.model_validate(numbers(matrix.keys_of(cell)))
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                problems[describe(Analysis, detail, matrix.origin_of(cell, detail["loc"]))] = None
    if problems:
        raise ConfigError("; ".join(problems))
