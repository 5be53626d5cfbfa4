"""What the notebook's ``load_*`` functions return: haloes of one file or array.

A loaded object knows kind, units, identifiers and redshifts; it becomes physical Mpc and Msun through
``open(cosmology)``, since h factors, comoving and angular lengths need a cosmology.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from clmassmod.cosmology import Cosmology, environment
from clmassmod.errors import ReaderError
from clmassmod.readers.common import check_cosmology
from clmassmod.readers.grid import GridOptions, Images
from clmassmod.readers.grid import Reader as GridReader
from clmassmod.readers.profile_table import ProfileTable
from clmassmod.readers.profiles import ProfilesOptions
from clmassmod.readers.profiles import Reader as ProfilesReader
from clmassmod.readers.table import Column, Table
from clmassmod.readers.units import parse_unit
from clmassmod.records import Array, HaloInfo

Kind = Literal["mass_map", "kappa_map", "gamma_theta", "delta_sigma"]
_ANY = Cosmology(H0=70.0, Om0=0.3)  # to list haloes, which no cosmology changes


class Observed:
    """Haloes of one observable, as a file or an array holds them.

    Attributes
    ----------
    kind : str
        mass_map, kappa_map, gamma_theta or delta_sigma.
    source : str
        Where it came from, for messages.
    halos : list of HaloInfo
        Identifiers and redshifts, checked.
    """

    kind: Kind
    source: str
    what: ClassVar[Mapping[str, str]] = {
        "mass_map": "maps of surface mass density",
        "kappa_map": "maps of convergence",
        "gamma_theta": "profiles of reduced tangential shear",
        "delta_sigma": "profiles of excess surface density",
    }

    def open(self, cosmology: Cosmology) -> Any:
        """Return a reader (``halos``, ``prepare``, ``read``) that gives physical Mpc and Msun.

        Raises
        ------
        ReaderError
            Where the file says that it was made with another cosmology.
        """
        raise NotImplementedError

    @cached_property
    def halos(self) -> list[HaloInfo]:
        """Identifiers and redshifts of all haloes, in the file's order."""
        halos: list[HaloInfo] = self._listing().halos()
        return halos

    def _listing(self) -> Any:
        raise NotImplementedError

    @property
    def halo_ids(self) -> list[str]:
        """Identifiers of all haloes, in the file's order."""
        return [halo.halo_id for halo in self.halos]

    @property
    def z(self) -> Array:
        """Redshifts (halo,)."""
        return np.array([halo.z for halo in self.halos])

    def __len__(self) -> int:
        """Return the number of haloes."""
        return len(self.halos)

    def __repr__(self) -> str:
        """Say what is here, of how many haloes, in which units."""
        z = self.z
        span = f"z = {z[0]:.4g}" if np.ptp(z) == 0 else f"z = {z.min():.4g} to {z.max():.4g}"
        ids = ", ".join(self.halo_ids[:3]) + (" …" if len(self) > 3 else "")
        number = "1 halo" if len(self) == 1 else f"{len(self)} haloes"
        return f"<{self.what[self.kind]} of {number} ({ids}), {span}, {self.units}; from {self.source}>"

    @property
    def units(self) -> str:
        """Units as the file or the user stated them."""
        raise NotImplementedError

    def to_table(self) -> Any:
        """Return an ``astropy.table.Table`` in the units of the file."""
        raise NotImplementedError

    def plot(self, halo_id: str | None = None, ax: Any = None) -> Any:
        """Draw one halo, the first by default, in the units of the file; return the matplotlib axes."""
        raise NotImplementedError

    def _row(self, halo_id: str | None) -> int:
        if halo_id is None:
            return 0
        try:
            return self.halo_ids.index(halo_id)
        except ValueError:
            raise ReaderError(f"{self.source}: no halo {halo_id!r}") from None


def halo_of_file(source: Path | str) -> str:
    """Return the halo that a file's name stands for: all before its extension, as names hold points."""
    return Path(Path(source).name.removesuffix(".gz")).stem


def new_axes(ax: Any) -> Any:
    """Return the axes, or new ones; matplotlib is imported here and not before."""
    if ax is not None:
        return ax
    from matplotlib import pyplot as plt

    return plt.subplots(layout="constrained")[1]


def logarithmic(axes: Any) -> None:
    """Make the x axis logarithmic, with labels at 1, 2 and 5 that do not run into each other."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.set_xscale("log")
    axis = axes.xaxis
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


class _ImagesReader(GridReader):
    """Reader of maps that are in memory."""

    def __init__(self, images: Images, options: GridOptions, cosmology: Cosmology) -> None:
        self.path = images.source
        self.options = options
        self.cosmology = cosmology
        self.__dict__["images"] = images  # stands for the cached property that opens files


@dataclass(frozen=True, repr=False, eq=False)
class ObservedMaps(Observed):
    """Maps of one file, folder or array; see ``Observed``."""

    kind: Kind
    source: str
    options: GridOptions
    images: Images | None = None  # None: those of the file

    def open(self, cosmology: Cosmology) -> GridReader:
        """Return a reader of ``LensingMap`` for this cosmology."""
        return self._reader(self.options, cosmology)

    def _listing(self) -> GridReader:
        return self._reader(self.options.model_copy(update={"check_cosmology": False}), _ANY)

    def _reader(self, options: GridOptions, cosmology: Cosmology) -> GridReader:
        if self.images is not None:
            return _ImagesReader(self.images, options, cosmology)
        return GridReader(Path(self.source), options, cosmology, 0)

    @property
    def units(self) -> str:
        """Unit of the maps and side of a pixel, as stated."""
        reader = self._listing()
        side, unit = reader.images.pixel(0)
        stated = self.options.unit or reader.images.unit(0) or "a pure number"
        return f"{stated}, pixels of {side:.4g} {self.options.pixel_unit or unit or 'Mpc'}"

    def image(self, halo_id: str | None = None) -> Array:
        """Return one map (y, x) in the unit of the file; the first by default."""
        return self._listing().images.image(self._row(halo_id), self.options.map)

    def to_table(self) -> Any:
        """Return an ``astropy.table.Table``: a row a halo, the map (y, x) in a column."""
        from astropy.table import Table as AstropyTable

        reader = self._listing()
        maps = [reader.images.image(i, self.options.map) for i in range(len(self))]
        shapes = {m.shape for m in maps}
        column = np.array(maps) if len(shapes) == 1 else np.array([*maps, None], dtype=object)[:-1]
        table = AstropyTable({"halo_id": self.halo_ids, "z": self.z, self.kind: column})
        table.meta["units"] = self.units
        return table

    def plot(self, halo_id: str | None = None, ax: Any = None) -> Any:
        """Draw one map with a colour bar; return the axes."""
        axes = new_axes(ax)
        row = self._row(halo_id)
        reader = self._listing()
        side, unit = reader.images.pixel(row)
        image = reader.images.image(row, self.options.map)
        half_y, half_x = (0.5 * n * side for n in image.shape)
        drawn = axes.imshow(image, origin="lower", extent=(-half_x, half_x, -half_y, half_y))
        label = self.options.unit or reader.images.unit(row) or ""
        axes.figure.colorbar(drawn, ax=axes, label=f"{self.kind.replace('_map', '')} {label}".strip())
        length = self.options.pixel_unit or unit or "Mpc"
        axes.set(xlabel=f"x [{length}]", ylabel=f"y [{length}]", title=self.halo_ids[row])
        return axes


class _TableReader(ProfilesReader):
    """Reader of profiles whose table is open."""

    def __init__(self, table: Table, options: ProfilesOptions, cosmology: Cosmology) -> None:
        self.path = table.path
        self.options = options
        self.cosmology = cosmology
        self._table = table

    @cached_property
    def profiles(self) -> ProfileTable:
        """The table, angular radii turned into Mpc."""
        if self.options.check_cosmology:
            check_cosmology(self._table.attributes, self.cosmology, self.path)
        profiles = ProfileTable(self._table, self.options, self.cosmology.h)
        column = self._table.columns[self.options.columns.radius]
        text = self.options.units.radius or column.unit
        unit = parse_unit(text) if text else None
        if unit is None or unit.angle != 1 or unit.length or unit.mass:
            return profiles
        z = profiles.by_halo(self.options.columns.z, "z")
        distance = np.array([environment(self.cosmology, v).d_lens_mpc for v in z.tolist()])
        values = column.numbers()
        if profiles.wide:
            lengths = distance[:, np.newaxis] * np.atleast_2d(values)
        else:
            ids = [profiles.row(i) for i in profiles.ids]
            counts = [r.stop - r.start for r in ids if isinstance(r, slice)]
            lengths = np.repeat(distance, counts) * values
        new = Column(column.name, column.path, lengths * unit.factor, "Mpc")
        table = Table(self._table.path, {**self._table.columns, column.name: new}, self._table.attributes)
        options = self.options.model_copy(
            update={"units": self.options.units.model_copy(update={"radius": "Mpc"})}
        )
        return ProfileTable(table, options, self.cosmology.h)


@dataclass(frozen=True, repr=False, eq=False)
class ObservedProfiles(Observed):
    """Profiles of one table; see ``Observed``."""

    kind: Kind
    source: str
    options: ProfilesOptions
    table: Table

    def open(self, cosmology: Cosmology) -> ProfilesReader:
        """Return a reader of ``ShearProfile`` for this cosmology."""
        return _TableReader(self.table, self.options, cosmology)

    def _listing(self) -> ProfilesReader:
        return _TableReader(self.table, self.options.model_copy(update={"check_cosmology": False}), _ANY)

    @property
    def units(self) -> str:
        """Units of radius and value, as stated."""
        return f"radius in {self._unit('radius')}, {self.options.observable} in {self._unit('value')}"

    def _unit(self, key: Literal["radius", "value"]) -> str:
        column = self.table.columns[getattr(self.options.columns, key)]
        stated = getattr(self.options.units, key) or column.unit
        return stated or (
            "pure numbers" if self.kind == "gamma_theta" and key == "value" else "unknown units"
        )

    def to_table(self) -> Any:
        """Return an ``astropy.table.Table`` with the columns of the file, in its units or those given.

        Units that astropy does not know, such as those with h or comoving lengths, are text in ``meta``.
        """
        from astropy import units as u
        from astropy.table import Table as AstropyTable

        given, columns = self.options.units, self.options.columns
        texts = {name: c.unit for name, c in self.table.columns.items() if c.unit}
        texts |= {columns.radius: given.radius} if given.radius else {}
        if given.value:
            texts |= {name: given.value for name in (columns.value, columns.error, columns.cross) if name}
        table = AstropyTable({name: column.raw() for name, column in self.table.columns.items()})
        table.meta["units"] = texts
        for name, text in texts.items():
            with suppress(ValueError, TypeError):
                table[name].unit = u.Unit(text)
        return table

    def plot(self, halo_id: str | None = None, ax: Any = None) -> Any:
        """Draw one profile with its errors, where the file gives errors; return the axes."""
        axes = new_axes(ax)
        profiles = self._listing().profiles
        row = profiles.row(self.halo_ids[self._row(halo_id)])
        columns = self.options.columns
        radius = self.table.columns[columns.radius]
        r = radius.numbers() if profiles.wide and len(radius.shape) == 1 else radius.numbers(row)
        value = self.table.columns[columns.value].numbers(row)
        error = None if columns.error is None else self.table.columns[columns.error].numbers(row)
        axes.errorbar(r, value, error, fmt="o")
        axes.axhline(0.0, color="0.7", lw=0.8)
        logarithmic(axes)
        axes.set(
            xlabel=f"radius [{self._unit('radius')}]",
            ylabel=f"{self.options.observable} [{self._unit('value')}]",
            title=self.halo_ids[self._row(halo_id)],
        )
        return axes
