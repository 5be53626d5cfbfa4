"""What differs between two campaigns, as lines for the terminal and as a table."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SD = "sd"  # units of a change
RELATIVE = "relative"
LN_LIKE = "ln L"


@dataclass(frozen=True)
class Row:
    """One thing that differs; ``change`` is NaN where there is no number for it."""

    kind: str
    where: str
    quantity: str
    a: Any
    b: Any
    change: float = math.nan
    unit: str = ""


@dataclass
class Difference:
    """What differs between two campaigns, in the order of the steps."""

    a: str
    b: str
    rows: list[Row] = field(default_factory=list)
    compared: list[str] = field(default_factory=list)

    @property
    def moved(self) -> bool:
        """Whether anything but the configuration differs."""
        return any(row.kind != "configuration" for row in self.rows)

    def csv(self) -> str:
        """Return one line for each thing that differs."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["kind", "where", "quantity", "a", "b", "change", "unit"])
        for row in self.rows:
            change = "" if math.isnan(row.change) else repr(row.change)
            writer.writerow([row.kind, row.where, row.quantity, row.a, row.b, change, row.unit])
        return text.getvalue()

    def lines(self, at_most: int = 10) -> list[str]:
        """Return what differs for the terminal, the largest changes of each kind first."""
        lines = [f"A {self.a}", f"B {self.b}", f"compared: {', '.join(self.compared)}"]
        for kind in dict.fromkeys(row.kind for row in self.rows):
            rows = [row for row in self.rows if row.kind == kind]
            if kind == "halo":
                lines += _halo_lines(rows, at_most)
                continue
            lines.append(f"{kind}: {len(rows)} differ")
            rows.sort(key=lambda row: -abs(row.change) if math.isfinite(row.change) else -math.inf)
            lines += [f"  {_described(row)}" for row in rows[:at_most]]
            if len(rows) > at_most:
                lines.append(f"  … and {len(rows) - at_most} more")
        if not self.moved:
            lines.append("no number moved")
        return lines


def _halo_lines(rows: list[Row], at_most: int) -> list[str]:
    """Return one line a quantity: how many haloes, the median change and the largest."""
    lines = [f"haloes' results: {len({row.where for row in rows})} differ"]
    by_quantity: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        by_quantity.setdefault((row.where.partition(" ")[0], row.quantity), []).append(row)
    ranked = sorted(by_quantity.items(), key=lambda item: -_largest(item[1]))
    for (analysis, quantity), found in ranked[:at_most]:
        top = max(found, key=lambda row: abs(row.change) if math.isfinite(row.change) else math.inf)
        changes = [row.change for row in found if math.isfinite(row.change)]
        middle = f", median {_change(float(np.median(changes)), found[0].unit)}" if changes else ""
        lines.append(f"  {analysis} {quantity}: {len(found)} haloes{middle}, most {_described(top, False)}")
    if len(ranked) > at_most:
        lines.append(f"  … and {len(ranked) - at_most} more quantities")
    return lines


def _largest(rows: list[Row]) -> float:
    return max((abs(row.change) if math.isfinite(row.change) else math.inf) for row in rows)


def _described(row: Row, with_quantity: bool = True) -> str:
    name = f"{row.where} {row.quantity}".strip() if with_quantity else row.where.partition(" ")[2]
    change = f" ({_change(row.change, row.unit)})" if math.isfinite(row.change) else ""
    return f"{name}: {_value(row.a)} → {_value(row.b)}{change}"


def _change(change: float, unit: str) -> str:
    return f"{100 * change:+.3g} %" if unit == RELATIVE else f"{change:+.3g} {unit}"


def _value(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def only_one(in_a: bool) -> tuple[str, str]:
    """Return what a row says of something that only one of two campaigns has."""
    return ("there", "not there") if in_a else ("not there", "there")
