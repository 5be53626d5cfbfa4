"""Random generators from names, so that no draw depends on the order or the number of jobs."""

from __future__ import annotations

from hashlib import sha256

import numpy as np


def halo_rng(seed: int, halo_id: str, step: str) -> np.random.Generator:
    """Return the generator of one halo and step; the same whatever the order of jobs."""
    digest = sha256(f"{step}/{halo_id}".encode()).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest[:16], dtype="<u4").tolist()])
