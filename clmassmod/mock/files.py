"""Small input files of a survey, read once a process and again when they change."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, TypeVar

from clmassmod.errors import ConfigError

T = TypeVar("T")


def cached_file(key: str) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Cache a function of a path and hashable arguments as long as the file stays as it is.

    Parameters
    ----------
    key
        Of the configuration that names the file, for the error where there is none.
    """

    def decorate(function: Callable[..., T]) -> Callable[..., T]:
        @lru_cache(maxsize=32)
        def cached(stamp: tuple[int, int], path: str, *arguments: Any) -> T:  # noqa: ARG001  part of the cache's key
            return function(path, *arguments)

        @wraps(function)
        def wrapper(path: str, *arguments: Any) -> T:
            file = Path(path)
            if not file.is_file():
                raise ConfigError(f"{key}: no file {path} (looked in {Path.cwd()})")
            status = file.stat()
            return cached((status.st_mtime_ns, status.st_size), path, *arguments)

        return wrapper

    return decorate
