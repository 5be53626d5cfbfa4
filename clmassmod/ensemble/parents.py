"""What projections of one parent halo have in common, in a sampled population model."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clmassmod.records import Array

_LEAST = 1e-8  # of the roots of rho and 1 - rho, which are divided by


class Parents(NamedTuple):
    """Parents with several projections, each with a deviate t ~ N(0, 1) of its own.

    Its projections have the mean plus sigma sqrt(rho) t, and a kernel of scale sigma sqrt(1 - rho) about it:
    the parent's part is normal for every kernel, so that with Student's t or a mixture the sum of both is not
    quite the kernel that a single halo has. Haloes that are alone have neither.
    """

    n: int
    member: NDArray[np.intp]  # (member,): places of the haloes that share their parent
    of_parent: NDArray[np.intp]  # (member,): which of the parents it is

    @classmethod
    def of(cls, group_starts: NDArray[np.intp], n_halos: int) -> Parents:
        """Return the parents of haloes of which those of one parent follow one another."""
        sizes = np.diff([*group_starts, n_halos])
        several = sizes > 1
        number = np.repeat(np.where(several, np.cumsum(several) - 1, -1), sizes)
        member = np.flatnonzero(number >= 0)
        return cls(int(several.sum()), member, number[member])

    def split(self, mean: Array, scatter: Array, rho: float, deviate: Array) -> tuple[Array, Array]:
        """Return mean and scatter (halo,) of each halo's own part, given the deviates (parent,)."""
        centre, own = mean.copy(), scatter.copy()
        centre[self.member] += np.sqrt(rho) * scatter[self.member] * deviate[self.of_parent]
        own[self.member] *= np.sqrt(1.0 - rho)
        return centre, own

    def gradient(
        self, scatter: Array, rho: float, deviate: Array, by_centre: Array, by_own: Array
    ) -> tuple[Array, float, Array]:
        """Return derivatives by scatter (halo,), rho and deviate (parent,) from those by centre and own."""
        common, alone = np.sqrt(rho), np.sqrt(1.0 - rho)
        scatters, deviates = scatter[self.member], deviate[self.of_parent]
        centre, own = by_centre[self.member], by_own[self.member]
        by_scatter = by_own.copy()
        by_scatter[self.member] = own * alone + centre * common * deviates
        terms = centre * deviates / max(common, _LEAST) - own / max(alone, _LEAST)
        by_rho = 0.5 * float(scatters @ terms)
        by_deviate = np.bincount(self.of_parent, centre * scatters * common, minlength=self.n)
        return by_scatter, by_rho, np.asarray(by_deviate, dtype=float)
