"""The haloes of an ensemble: opened, selected, checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clmassmod.errors import FitError
from clmassmod.records import Array, HaloFit, check_likelihood

Fits = Iterable[HaloFit | Path | str]
Select = Callable[[HaloFit], bool]


@dataclass(frozen=True)
class Members:
    """Usable fits of one mass definition, members of one parent side by side."""

    fits: list[HaloFit]
    mass_definition: str
    n_unusable: int
    n_unselected: int

    @property
    def curves(self) -> list[tuple[Array, Array]]:
        """Masses and ln likelihood of each halo."""
        return [(fit.mass_msun, fit.ln_like[self.mass_definition]) for fit in self.fits]

    @property
    def group_starts(self) -> NDArray[np.intp]:
        """Place of the first halo of each parent, (parent,)."""
        parents = [fit.parent for fit in self.fits]
        return np.array(
            [i for i in range(len(parents)) if i == 0 or parents[i] != parents[i - 1]], dtype=np.intp
        )

    def describe(self) -> dict[str, int | str]:
        """Return the counts that results carry along."""
        return {
            "n_halos": len(self.fits),
            "n_unusable": self.n_unusable,
            "n_unselected": self.n_unselected,
            "n_parents": len(self.group_starts),
            "mass_definition": self.mass_definition,
        }


def gather(fits: Fits, mass_definition: str | None = None, select: Select | None = None) -> Members:
    """Return the usable fits of an ensemble.

    Parameters
    ----------
    fits : iterable of HaloFit or path
        Their order does not matter to any result.
    mass_definition : str, optional
        Whose likelihood is used; that of the first fit by default.
    select : callable, optional
        Keeps the haloes for which it returns True. A selection by what was measured shifts a bias; it is
        the caller's to want that.

    Raises
    ------
    FitError
        Without usable halo, with a halo twice, or one that lacks the mass definition.
    """
    opened = opened_fits(fits)
    if not opened:
        raise FitError("no halo fits were given; an ensemble needs at least one")
    seen: set[str] = set()
    for fit in opened:
        if fit.halo_id in seen:
            raise FitError(f"halo {fit.halo_id!r} was given twice; give each fit of an analysis once")
        seen.add(fit.halo_id)
    wanted = mass_definition or opened[0].mass_definition
    usable = [fit for fit in opened if fit.status == "ok"]
    selected = [fit for fit in usable if select is None or select(fit)]
    if not selected:
        reason = opened[0].reason if not usable else "the selection kept none"
        raise FitError(f"none of {len(opened)} haloes can be used: {reason}")
    for fit in selected:
        if wanted not in fit.ln_like:
            held = ", ".join(fit.ln_like) or "none"
            raise FitError(
                f"halo {fit.halo_id!r} has no likelihood for mass definition {wanted!r} (it holds: {held}); "
                "add it to the analysis' more_mass_definitions"
            )
        _check(fit, wanted)
    selected.sort(key=lambda fit: (fit.parent, fit.halo_id))
    return Members(selected, wanted, len(opened) - len(usable), len(usable) - len(selected))


def _check(fit: HaloFit, definition: str) -> None:
    """Raise FitError for a likelihood that is none; nothing has checked what a user's fitter returns."""
    mass, ln_like = fit.mass_msun, fit.ln_like[definition]
    quickly = len(mass) == len(ln_like) > 3 and 0.0 < mass[0] < mass[-1] and np.isfinite(ln_like.max())
    if not quickly:
        check_likelihood(fit.halo_id, np.asarray(mass), np.asarray(ln_like))


def opened_fits(fits: Fits) -> list[HaloFit]:
    """Return fits with those read that are given as paths."""
    if isinstance(fits, (HaloFit, Path, str)):  # one of them, where several are meant
        fits = [fits]
    return [_open(fit) for fit in fits]


def _open(fit: HaloFit | Path | str) -> HaloFit:
    if isinstance(fit, HaloFit):
        return fit
    from clmassmod.store import load_fit

    return load_fit(fit)
