"""Independent streams of random numbers for the parts of a mock."""

from __future__ import annotations

import numpy as np

_NAMES = (
    "centre",
    "region",
    "positions",
    "redshifts",
    "shapes",
    "photo_z",
    "members",
    "magnification",
    "conditions",
)


class Streams:
    """One generator for each part, made when first used, so that no part's draws depend on another's."""

    def __init__(self, rng: np.random.Generator) -> None:
        seeds = rng.bit_generator.seed_seq.spawn(len(_NAMES))  # type: ignore[attr-defined]
        self._seeds = dict(zip(_NAMES, seeds, strict=True))
        self._made: dict[str, np.random.Generator] = {}

    def __getitem__(self, name: str) -> np.random.Generator:
        """Return the stream of this name."""
        if name not in self._made:
            self._made[name] = np.random.default_rng(self._seeds[name])
        return self._made[name]
