"""Values that many keys have: names, which are names of files too, intervals, edges, mass definitions."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, Field

LONGEST_NAME = 200  # a file's name may have 255 bytes, and endings are appended to it


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", text):
        raise ValueError("a name holds letters, digits and . _ + - alone, and starts with a letter or digit")
    if len(text) > LONGEST_NAME:
        raise ValueError(f"a name of {len(text)} characters cannot name a file; use at most {LONGEST_NAME}")
    return text


def _interval(pair: tuple[float, float]) -> tuple[float, float]:
    if not pair[0] < pair[1]:
        raise ValueError(f"the lower end {pair[0]:g} is not below the upper end {pair[1]:g}")
    return pair


def _positive_interval(pair: tuple[float, float]) -> tuple[float, float]:
    if not pair[0] > 0:
        raise ValueError(f"the lower end {pair[0]:g} is not above 0")
    return _interval(pair)


def _edges(edges: list[float]) -> list[float]:
    if len(edges) < 2 or any(b <= a for a, b in pairwise(edges)):
        raise ValueError("edges must be two or more increasing numbers")
    return edges


Name = Annotated[str, AfterValidator(_name)]
Interval = Annotated[tuple[float, float], AfterValidator(_interval)]
PositiveInterval = Annotated[tuple[float, float], AfterValidator(_positive_interval)]
Edges = Annotated[list[float], AfterValidator(_edges)]
MassDefinition = Annotated[
    str,
    Field(
        pattern=r"^(vir|[1-9][0-9]*[cm])$",
        description="200c, 500c, 2500c, 200m, vir or any number with c or m",
    ),
]
