"""Reading a configuration and saying exactly what is wrong with it."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from clmassmod.errors import ConfigError
from clmassmod.registry import suggest

M = TypeVar("M", bound=BaseModel)
MOST_VALUES = 1_000_000  # in a configuration; a list of all haloes of a large simulation is shorter


class _UniqueKeyLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Safe YAML that refuses a key given twice, which plain YAML accepts in silence."""


def _unique_mapping(loader: Any, node: Any) -> dict[Any, Any]:
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    for i, key in enumerate(keys):
        if key in keys[:i]:
            raise ConfigError(f"line {node.value[i][0].start_mark.line + 1}: key {key!r} is given twice")
    return dict(zip(keys, (loader.construct_object(v, deep=True) for _, v in node.value), strict=True))


_UniqueKeyLoader.add_constructor("tag:yaml.org,2002:map", _unique_mapping)


def read_yaml(path: Path | str) -> dict[str, Any]:
    """Return the mapping that a YAML file holds; ConfigError names the file and line of a mistake."""
    path = Path(path)
    try:
        # safe: a subclass of yaml's safe loader
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not a text file in UTF-8") from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    except yaml.YAMLError as error:
        text = " ".join(str(error).split())
        raise ConfigError(f"{path}: not YAML: {text}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected keys and values, found {type(data).__name__}")
    if _values(data, {}) > MOST_VALUES:
        raise ConfigError(f"{path}: more than {MOST_VALUES:,} values, by its aliases (&name, *name)")
    return data


def _values(data: Any, known: dict[int, int]) -> int:
    """Return how many values a mapping or list holds with its aliases written out, which are counted once."""
    if not isinstance(data, dict | list):
        return 1
    if id(data) not in known:
        known[id(data)] = MOST_VALUES + 1  # while it is counted: an alias of itself is without end
        items = data.values() if isinstance(data, dict) else data
        known[id(data)] = 1 + sum(_values(item, known) for item in items)
    return known[id(data)]


def build(model: type[M], data: Any, source: str = "configuration", prefix: str = "") -> M:
    """Return ``model`` built from plain data; ConfigError names each wrong key's path."""
    try:
        return model.model_validate(numbers(data))
    except ValidationError as error:
        lines = [describe(model, detail, prefix) for detail in error.errors(include_url=False)]
        raise ConfigError(f"{source}: " + "; ".join(dict.fromkeys(lines))) from None


def numbers(value: Any) -> Any:
    """Turn strings such as 1e14, which YAML 1.1 does not take for a number, into floats."""
    if isinstance(value, dict):
        return {k: numbers(v) for k, v in value.items()}
    if isinstance(value, list):
        return [numbers(v) for v in value]
    if isinstance(value, str) and value[:1] in "+-.0123456789" and "e" in value.lower():
        try:
            return float(value)
        except ValueError:
            return value
    return value


def describe(model: type[BaseModel], detail: ErrorDetails, prefix: str) -> str:
    """Return what is wrong with one key of a model, named from ``prefix`` on."""
    where = ".".join([*([prefix] if prefix else []), *(str(part) for part in detail["loc"])]) or "(top level)"
    if detail["type"] == "extra_forbidden":
        return (
            f"{where}: unknown key{suggest(str(detail['loc'][-1]), _known_keys(model, detail['loc'][:-1]))}"
        )
    if detail["type"] == "missing":
        return f"{where}: this key is required"
    message = detail["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    found = detail.get("input")
    if isinstance(found, dict | list) or detail["type"] == "value_error":
        return f"{where}: {message}" if where != "(top level)" else message
    return f"{where}: {message}, found {found!r}"


def _known_keys(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    current: Any = model
    for part in loc:
        if _is_model(current):
            field = current.model_fields.get(str(part))
            current = None if field is None else field.annotation
        else:  # a mapping's value or a list's item
            current = get_args(current)[-1] if get_args(current) else None
        if get_origin(current) in (Union, UnionType):
            current = next((a for a in get_args(current) if a is not NoneType and a is not str), None)
    return list(current.model_fields) if _is_model(current) else []


def _is_model(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, BaseModel)


def content_hash(data: Any) -> str:
    """Return a short hash of plain data, the same in every process and on every host."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), default=str)
    return sha256(text.encode()).hexdigest()[:16]
