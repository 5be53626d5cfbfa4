"""Bins of the notebook: members by the user's function, and fits read back from wherever they lie."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from glob import glob
from pathlib import Path
from typing import Any

from clmassmod.bins import BinFunction, FittedProfile, assign
from clmassmod.errors import ConfigError, StoreError
from clmassmod.records import HaloFit
from clmassmod.registry import load_object, suggest
from clmassmod.steps import layout
from clmassmod.store import load_fit, write_text


class BinningWarning(UserWarning):
    """A bin is empty, a halo is in two bins, or in none."""


class BinMembers(list[list[str]]):
    """Save locations of the haloes of each bin: a list of lists, bins in the order of ``labels``.

    Attributes
    ----------
    labels : list of str
        Names of the bins.
    remarks : tuple of str
        Empty bins, haloes in several bins, haloes in none.
    """

    def __init__(self, members: Mapping[str, Sequence[str]], remarks: Iterable[str] = ()) -> None:
        super().__init__(list(locations) for locations in members.values())
        self.labels = list(members)
        self.remarks = tuple(remarks)

    def __getitem__(self, key: Any) -> Any:
        """Return a bin by its number or its label."""
        if isinstance(key, str):
            if key not in self.labels:
                raise ConfigError(f"no bin {key!r}{suggest(key, self.labels)}")
            key = self.labels.index(key)
        return super().__getitem__(key)

    def as_dict(self) -> dict[str, list[str]]:
        """Return label to save locations."""
        return dict(zip(self.labels, self, strict=True))

    def save(self, path: Path | str) -> None:
        """Write a bins file, which ``CLMassMod.read(path, label)`` reads."""
        bins = {label: {"locations": locations} for label, locations in self.as_dict().items()}
        write_text(path, json.dumps({"bins": bins, "remarks": self.remarks}, indent=1))


def make_bins(profiles: Iterable[FittedProfile], function: BinFunction | str) -> BinMembers:
    """Return the members of each bin by the user's function; ``utils.make_bins`` explains it."""
    listed = list(profiles)
    if isinstance(function, str):
        function = load_object(function)
    if not callable(function):
        raise ConfigError(f"make_bins: the second argument is a {type(function).__name__}, not a function")
    assignment = assign(listed, function, "make_bins")
    for remark in assignment.remarks:
        warnings.warn(remark, BinningWarning, stacklevel=3)
    where = {p.halo_id: p.loc for p in listed}
    members = {label: [where[i] for i in ids] for label, ids in assignment.members.items()}
    return BinMembers(members, assignment.remarks)


def read_fits(bin_loc: Any, label: str | None = None) -> dict[str, HaloFit]:
    """Return the fits of a bin, by location; ``CLMassMod.read`` explains the argument.

    Raises
    ------
    ConfigError
        Where nothing is found, or a bins file has no such label.
    StoreError
        Where a file is missing or damaged.
    """
    paths = _paths(bin_loc, label)
    if not paths:
        raise ConfigError(f"read: no fits in {_short(bin_loc)}")
    fits: dict[str, HaloFit] = {}
    seen: dict[str, str] = {}
    for path in paths:
        fit = load_fit(path)
        if fit.halo_id in seen:
            raise ConfigError(f"read: halo {fit.halo_id!r} is in {seen[fit.halo_id]} and in {path}")
        seen[fit.halo_id] = path
        fits[path] = fit
    return fits


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) < 80 else text[:77] + "…"


def _paths(bin_loc: Any, label: str | None) -> list[str]:
    if isinstance(bin_loc, tuple) and len(bin_loc) == 2 and str(bin_loc[0]).endswith(".json"):
        bin_loc, label = bin_loc
    if isinstance(bin_loc, str | Path):
        return _from_name(str(bin_loc), label)
    if isinstance(bin_loc, Mapping) and label is not None:
        if label not in bin_loc:
            raise ConfigError(f"read: no bin {label!r}{suggest(label, [str(k) for k in bin_loc])}")
        bin_loc = bin_loc[label]
    if not isinstance(bin_loc, Iterable):
        raise ConfigError(
            f"read: a {type(bin_loc).__name__} is neither locations, folder, glob nor bins file"
        )
    items = list(bin_loc)
    if any(isinstance(item, list) for item in items):
        raise ConfigError("read: several bins were given; read one: read(bin_member_locs[0])")
    return [item.loc if isinstance(item, FittedProfile) else str(item) for item in items]


def _from_name(name: str, label: str | None) -> list[str]:
    path = Path(name)
    file, _, after = name.rpartition(":")
    if file.endswith(".json") and label is None:
        path, label = Path(file), after
    if path.is_dir():
        return layout.result_files(path)
    if path.suffix == ".json":
        return _from_bins_file(path, label)
    if path.is_file():
        return [name]
    found = sorted(glob(name))  # noqa: PTH207  a pattern may be absolute
    if not found:
        raise ConfigError(f"read: no file, folder or pattern {name!r} (looked in {Path.cwd()})")
    return found


def _from_bins_file(path: Path, label: str | None) -> list[str]:
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))
        bins = listed["bins"]
    except FileNotFoundError:
        raise StoreError(f"{path}: no such file") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path}: not a bins file ({type(error).__name__}: {error})") from None
    if label is None:
        raise ConfigError(f"{path}: which bin? read(path, label) with one of: {', '.join(bins)}")
    if label not in bins:
        raise ConfigError(f"{path}: no bin {label!r}{suggest(label, list(bins))}")
    entry = bins[label]
    if "locations" in entry:
        return [str(p) for p in entry["locations"]]
    fits = path.parent.parent / "fits" / path.stem  # of a campaign
    if listed.get("failed"):
        text = f"{path}: {len(listed['failed'])} haloes of this analysis failed and are in no bin"
        warnings.warn(text, BinningWarning, stacklevel=5)
    digits = layout.digits_of(fits)
    failed = {record.name.removesuffix(layout.FAILURE) for record in layout.failure_records(fits)}
    return [str(layout.halo_file(fits, h, digits)) for h in entry["halos"] if h not in failed]
