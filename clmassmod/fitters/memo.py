"""What the fit of one halo leaves for the next: results that depend on less than the halo's data."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

Made = TypeVar("Made")


class Memo:
    """Results by what they depend on; the oldest go where all together are larger than ``limit``.

    A result must be a function of its key alone, to the last bit: no halo's fit may depend on the haloes
    before it.
    """

    def __init__(self, limit: int) -> None:
        self._limit, self._size = limit, 0
        self._kept: dict[Hashable, tuple[Any, int]] = {}

    def get(self, key: Hashable, make: Callable[[], Made], size: int = 1) -> Made:
        """Return what is kept under a key, or what ``make`` returns, of a size in units of the limit."""
        found = self._kept.get(key)
        if found is not None:
            return found[0]  # type: ignore[no-any-return]
        made = make()
        self._kept[key] = made, size
        self._size += size
        while self._size > self._limit:
            self._size -= self._kept.pop(next(iter(self._kept)))[1]
        return made
