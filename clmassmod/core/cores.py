"""How many cores of the machine a process may use."""

from __future__ import annotations

import multiprocessing
import os


def available_cores() -> int:
    """Return the number of cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cores_for(n_tasks: int) -> int:
    """Return how many processes may share tasks: no more than OMP_NUM_THREADS, which rules set.

    One where processes cannot be started: in a worker that is itself to end with its parent.
    """
    if multiprocessing.current_process().daemon:
        return 1
    limit = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    limits = [n_tasks, available_cores(), *([int(limit)] if limit.isdecimal() else [])]
    return max(1, min(limits))
