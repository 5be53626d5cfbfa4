"""A matrix of analyses: all combinations of named variants, so that hundreds need not be written out."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations, product
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from clmassmod.config.base import Model
from clmassmod.config.values import Name
from clmassmod.errors import ConfigError


def _null_is_empty(value: Any) -> Any:
    return {} if value is None else value


Keys = Annotated[dict[str, Any], BeforeValidator(_null_is_empty)]
Variants = Annotated[dict[Name, Keys], Field(min_length=1)]


class Matrix(Model):
    """One analysis for each combination of variants, one of each axis, named by them: nfw_wide_centred."""

    base: Keys = Field(default_factory=dict, description="keys of an analysis that all have")
    axes: dict[Name, Variants] = Field(
        min_length=1,
        description="axis, its variants, and the keys of an analysis that each sets or adds to base",
    )
    reference: Name | None = Field(
        None, description="the report gives the shift of every other analysis from this one; null: none"
    )

    def cells(self) -> dict[str, tuple[str, ...]]:
        """Return the variants of each analysis, one of each axis in order, by its name.

        Raises
        ------
        ConfigError
            For two combinations of one name, and two axes that set the same key.
        """
        self._check_axes()
        found: dict[str, tuple[str, ...]] = {}
        for variants in product(*self.axes.values()):
            name = "_".join(variants)
            if name in found:
                raise ConfigError(
                    f"matrix.axes: the variants {', '.join(found[name])} and {', '.join(variants)} are both "
                    f"named {name}; rename one of them"
                )
            found[name] = variants
        if self.reference is not None and self.reference not in found:
            raise ConfigError(
                f"matrix.reference: no analysis {self.reference!r}; it is one variant of each axis "
                f"({', '.join(self.axes)}) joined by _, such as {next(iter(found))}"
            )
        return found

    def keys_of(self, variants: tuple[str, ...]) -> dict[str, Any]:
        """Return the keys of one analysis."""
        keys = self.base
        for axis, variant in zip(self.axes.values(), variants, strict=True):
            keys = _merged(keys, axis[variant])
        return keys

    def origin_of(self, variants: tuple[str, ...], loc: tuple[str | int, ...]) -> str:
        """Return the place in the configuration that a key of an analysis comes from."""
        for (axis, named), variant in reversed(list(zip(self.axes.items(), variants, strict=True))):
            if _holds(named[variant], loc):
                return f"matrix.axes.{axis}.{variant}"
        return "matrix.base"

    def _check_axes(self) -> None:
        leaves = {a: {p for keys in v.values() for p in _leaves(keys)} for a, v in self.axes.items()}
        for one, other in combinations(leaves, 2):
            for path in sorted(leaves[one]):
                clash = next((p for p in sorted(leaves[other]) if _overlap(p, path)), None)
                if clash is not None:
                    key = ".".join(path if len(path) < len(clash) else clash)
                    raise ConfigError(
                        f"matrix.axes: {one} and {other} both set {key}; a key belongs to one axis"
                    )


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return two mappings as one; where both have a mapping, its keys are joined as well."""
    out = dict(one)
    for key, value in other.items():
        old = out.get(key)
        out[key] = _merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return out


def _leaves(keys: Mapping[str, Any], path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the path of every value that is no mapping of its own."""
    found = []
    for key, value in keys.items():
        nested = isinstance(value, Mapping) and value
        found += _leaves(value, (*path, str(key))) if nested else [(*path, str(key))]
    return found


def _overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return all(a == b for a, b in zip(one, other, strict=False))


def _holds(keys: Any, loc: tuple[str | int, ...]) -> bool:
    for part in loc:
        if not isinstance(keys, Mapping) or part not in keys:
            return not isinstance(keys, Mapping)  # inside a list or number that this place gave
        keys = keys[part]
    return True
