"""The notebook's observables: kinds, haloes and units checked, matched by halo."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from hashlib import blake2b
from typing import Any, TypeVar

import numpy as np

from clmassmod import tables as tables_module
from clmassmod.cosmology import Cosmology
from clmassmod.errors import ConfigError, ReaderError
from clmassmod.readers.observed import Kind, Observed, halo_of_file
from clmassmod.records import HaloInfo, LensingMap, ShearProfile
from clmassmod.tables import Tables

MAPS: tuple[Kind, ...] = ("mass_map", "kappa_map")
KINDS: tuple[Kind, ...] = (*MAPS, "gamma_theta", "delta_sigma")
_SAME_Z = 1e-4

V = TypeVar("V")


@dataclass(frozen=True)
class Source:
    """One observable of one halo."""

    observed: Observed
    key: str  # identifier in its file
    halo: HaloInfo
    digest: str  # of the record, physical units
    profile: ShearProfile | None  # as measured; None: a map

    def read(self, cosmology: Cosmology) -> LensingMap | ShearProfile:
        """Return the record; a map is read again, so that no process holds all of them."""
        if self.profile is not None:
            return self.profile
        reader = self.observed.open(cosmology)
        record: LensingMap = reader.read(replace(self.halo, halo_id=self.key), distances(cosmology), {})
        return replace(record, halo=self.halo)


Sources = dict[str, Source]  # by halo id


class Lazy(Mapping[str, V]):
    """A mapping of halo id to what is computed when it is first asked for."""

    def __init__(self, keys: list[str], make: Callable[[str], V]) -> None:
        self._made: dict[str, V] = {}
        self._keys = dict.fromkeys(keys)
        self._make = make

    def __getitem__(self, halo_id: str) -> V:
        """Return the value of one halo."""
        if halo_id not in self._keys:
            raise KeyError(halo_id)
        if halo_id not in self._made:
            self._made[halo_id] = self._make(halo_id)
        return self._made[halo_id]

    def __iter__(self) -> Iterator[str]:
        """Iterate over halo ids."""
        return iter(self._keys)

    def __len__(self) -> int:
        """Return the number of haloes."""
        return len(self._keys)

    def __repr__(self) -> str:
        """Return the halo ids."""
        return f"<{len(self)} haloes: {', '.join(list(self)[:5])}{' …' if len(self) > 5 else ''}>"


@lru_cache(maxsize=8)
def distances(cosmology: Cosmology) -> Tables:
    """Return tables of distances alone, which readers need."""
    return Tables(tables_module.build(cosmology, z_range=(0.1, 1.0), structure=False))


def accept(kind: Kind, value: Any, cosmology: Cosmology) -> Sources:
    """Return the haloes of one observable, all read and checked.

    Parameters
    ----------
    kind
        What is expected.
    value
        An ``Observed``, a list of them, or a mapping of halo id to one with a single halo.
    cosmology
        For physical units.

    Raises
    ------
    ConfigError
        Where something else was given.
    ReaderError
        Where a file's unit, shape or cosmology is wrong.
    """
    if isinstance(value, Mapping) and not isinstance(value, Observed):
        found: Sources = {}
        for name, item in value.items():
            sources = _sources(kind, item, cosmology)
            if len(sources) != 1:
                raise ConfigError(
                    f"obs_{kind}[{name!r}] holds {len(sources)} haloes; a mapping takes one each"
                )
            (source,) = sources.values()
            halo = replace(source.halo, halo_id=str(name))
            profile = None if source.profile is None else replace(source.profile, halo=halo)
            found[str(name)] = replace(source, halo=halo, profile=profile)
        return found
    items = value if isinstance(value, list | tuple) else [value]
    merged: Sources = {}
    for item in items:
        for halo_id, source in _sources(kind, item, cosmology).items():
            if halo_id in merged:
                raise ConfigError(
                    f"obs_{kind}: halo {halo_id!r} is given twice; give halo_id=... when loading"
                )
            merged[halo_id] = source
    if not merged:
        raise ConfigError(f"obs_{kind}: an empty list holds no halo")
    return merged


def _sources(kind: Kind, item: Any, cosmology: Cosmology) -> Sources:
    if not isinstance(item, Observed):
        raise ConfigError(
            f"obs_{kind} takes what utils.load_{kind} returns, found a {type(item).__name__}; load it first"
        )
    if item.kind != kind:
        raise ConfigError(
            f"obs_{kind} takes {Observed.what[kind]}, but {item.source} holds {Observed.what[item.kind]}; "
            f"assign it to obs_{item.kind}"
        )
    reader = item.open(cosmology)
    tables = distances(cosmology)
    found: Sources = {}
    try:
        prepared, halos = reader.prepare(), reader.halos()
    except ReaderError as error:  # whose remedy is the workflow's
        key = "set simulation.options.check_cosmology: false"
        raise ReaderError(str(error).replace(key, "load with check_cosmology=False")) from None
    for halo in halos:
        record = reader.read(halo, tables, prepared)
        profile = record if isinstance(record, ShearProfile) else None
        found[halo.halo_id] = Source(item, halo.halo_id, halo, record_digest(record), profile)
    return found


def record_digest(record: LensingMap | ShearProfile) -> str:
    """Return a hash of a record's numbers and of its halo."""
    digest = blake2b(digest_size=16)
    for field in fields(record):
        value = getattr(record, field.name)
        if isinstance(value, HaloInfo):
            value = [value.halo_id, value.z, value.parent, sorted(value.extra.items())]
        digest.update(field.name.encode())
        digest.update(value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode())
    return digest.hexdigest()


def matched(observables: Mapping[Kind, Sources]) -> dict[str, dict[Kind, Source]]:
    """Return each halo's observables, in the order of the first observable.

    A single halo whose identifier is just its file's name takes that of the others.

    Raises
    ------
    ConfigError
        Where identifiers or redshifts of the observables differ.
    """
    given = {kind: observables[kind] for kind in KINDS if observables.get(kind)}
    if not given:
        return {}
    reference = next((k for k in given if not _named_by_file(given[k])), next(iter(given)))
    ids = list(given[reference])
    halos: dict[str, dict[Kind, Source]] = {halo_id: {} for halo_id in ids}
    for kind, sources in given.items():
        if len(ids) == 1 and _named_by_file(sources):
            sources = {ids[0]: _renamed(next(iter(sources.values())), given[reference][ids[0]].halo)}
        differing = sorted(set(ids) ^ set(sources))
        if differing:
            only = f"obs_{reference}" if differing[0] in given[reference] else f"obs_{kind}"
            raise ConfigError(
                f"obs_{reference} and obs_{kind} differ in their haloes: {differing[0]!r} is in {only} alone"
                + (f", and {len(differing) - 1} others in one of them" if len(differing) > 1 else "")
                + "; give halo_id=... when loading, or a mapping of halo id to observable"
            )
        for halo_id in ids:
            z, expected = sources[halo_id].halo.z, given[reference][halo_id].halo.z
            if abs(z - expected) > _SAME_Z:
                raise ConfigError(
                    f"halo {halo_id!r} has z = {expected:g} in obs_{reference}, but {z:g} in obs_{kind}"
                )
            halos[halo_id][kind] = sources[halo_id]
    return halos


def _named_by_file(sources: Sources) -> bool:
    if len(sources) != 1:
        return False
    (source,) = sources.values()
    return source.halo.halo_id == halo_of_file(source.observed.source)


def _renamed(source: Source, halo: HaloInfo) -> Source:
    named = replace(source.halo, halo_id=halo.halo_id)
    profile = None if source.profile is None else replace(source.profile, halo=named)
    return replace(source, halo=named, profile=profile)
