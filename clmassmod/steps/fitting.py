"""Fit the haloes of a notebook's call: one file each, in several processes, resumed where it stopped."""

from __future__ import annotations

import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from clmassmod.core.cores import available_cores
from clmassmod.errors import ClmassmodError, FitError, StoreError
from clmassmod.records import HaloFit
from clmassmod.steps.layout import remove_if_abandoned
from clmassmod.steps.notebook import Session
from clmassmod.store import load_fit, save_fit

Advance = Callable[[], None]


def fit_all(session: Session, folder: Path | None) -> dict[str, HaloFit]:
    """Return the fits of all haloes; with a folder, those that it holds are not made again.

    Parameters
    ----------
    session
        The call and its haloes.
    folder
        One file a halo, written whole as soon as it is fitted; None: nothing is kept on disk.

    Raises
    ------
    FitError
        After all haloes were tried; names those that raised, and why.
    """
    if folder is None:
        if _n_jobs(session) == 1:
            return _alone(session)
        with TemporaryDirectory() as temporary:
            return fit_all(session, Path(temporary))
    folder.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(folder)
    fits = {h: fit for h in session.halos if (fit := _valid(session, folder, h)) is not None}
    missing = [h for h in session.halos if h not in fits]
    failed: dict[str, str] = {}
    if missing:
        _ = session.model, session.provenance(missing[0])  # made once, before processes part
        run = _in_turn if min(_n_jobs(session), len(missing)) == 1 else _in_processes
        with progress(len(session.halos), len(fits)) as advance:
            failed = run(session, folder, missing, advance)
    _complain(failed, len(session.halos), f"the others are in {folder}, and another call tries just these")
    for halo_id in missing:
        fits[halo_id] = load_fit(_file(folder, halo_id), halo_id)
    return {h: fits[h] for h in session.halos}


def _alone(session: Session) -> dict[str, HaloFit]:
    fits: dict[str, HaloFit] = {}
    failed: dict[str, str] = {}
    with progress(len(session.halos), 0) as advance:
        for halo_id in session.halos:
            try:
                fits[halo_id] = session.fit(halo_id)
            except (OSError, MemoryError):
                raise
            except Exception as error:
                failed[halo_id] = _reason(error)
            advance()
    _complain(failed, len(session.halos), "with save_loc the others would be kept")
    return fits


def _complain(failed: dict[str, str], total: int, remedy: str) -> None:
    if failed:
        named = "; ".join(f"{h} ({reason})" for h, reason in list(failed.items())[:3])
        more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""
        raise FitError(f"{len(failed)} of {total} haloes failed: {named}{more}; {remedy}")


def _reason(error: BaseException) -> str:
    if isinstance(error, ClmassmodError):
        return str(error)
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} in {Path(where.filename).name}:{where.lineno}"


def _file(folder: Path, halo_id: str) -> Path:
    return folder / f"{halo_id}.h5"


def _valid(session: Session, folder: Path, halo_id: str) -> HaloFit | None:
    """Return the fit that is there if it is this call's own."""
    path = _file(folder, halo_id)
    if not path.is_file():
        return None
    with suppress(StoreError):
        return load_fit(path, halo_id, session.provenance(halo_id)["config_hash"])
    return None


def _remove_leftovers(folder: Path) -> None:
    """Remove what processes that were killed had begun to write."""
    for path in folder.glob(".*.tmp"):
        remove_if_abandoned(path)


def _n_jobs(session: Session) -> int:
    wanted = session.call.n_jobs
    return max(1, min(available_cores() if wanted < 1 else wanted, len(session.halos)))


def _fit_one(session: Session, folder: Path, halo_id: str) -> str:
    """Fit and save one halo; return why it failed, or nothing."""
    try:
        fit = session.fit(halo_id)
    except (OSError, MemoryError):
        raise  # the machine's fault, not the halo's
    except Exception as error:
        return _reason(error)
    save_fit(_file(folder, halo_id), fit, session.provenance(halo_id))
    return ""


def _in_turn(session: Session, folder: Path, halo_ids: Sequence[str], advance: Advance) -> dict[str, str]:
    failed = {}
    for halo_id in halo_ids:
        reason = _fit_one(session, folder, halo_id)
        if reason:
            failed[halo_id] = reason
        advance()
    return failed


def _in_processes(
    session: Session, folder: Path, halo_ids: Sequence[str], advance: Advance
) -> dict[str, str]:
    """Fit haloes in processes that share what the session holds; results do not depend on their number."""
    n = min(_n_jobs(session), len(halo_ids))
    # a fork hands functions of a notebook on, which cannot be pickled
    context: Any = multiprocessing.get_context(
        "fork" if "fork" in multiprocessing.get_all_start_methods() else None
    )
    workers: dict[Any, Any] = {}
    failed: dict[str, str] = {}
    try:
        for i in range(n):
            receive, send = context.Pipe(duplex=False)
            worker = context.Process(
                target=_work, args=(session, folder, halo_ids[i::n], send, os.getpid()), daemon=True
            )
            worker.start()
            send.close()
            workers[receive] = worker
        open_ends: list[Any] = list(workers)
        while open_ends:
            for end in wait(open_ends):
                message = _received(end)
                if message is None:
                    open_ends.remove(end)
                    workers[end].join()
                    _check_exit(workers[end], folder)
                    continue
                halo_id, reason = message
                if reason:
                    failed[halo_id] = reason
                advance()
    finally:
        for worker in workers.values():
            if worker.is_alive():
                worker.terminate()
    return failed


def _received(end: Any) -> tuple[str, str] | None:
    try:
        message: tuple[str, str] = end.recv()
    except EOFError:
        return None
    return message


def _check_exit(worker: Any, folder: Path) -> None:
    if worker.exitcode != 0:
        raise FitError(
            f"a process ended with exit code {worker.exitcode} (killed? no memory?); what was fitted is in "
            f"{folder}, and another call goes on from there"
        )


def _work(session: Session, folder: Path, halo_ids: Sequence[str], send: Connection, parent: int) -> None:
    for halo_id in halo_ids:
        if os.getppid() != parent:
            return  # nobody waits for these fits any more
        send.send((halo_id, _fit_one(session, folder, halo_id)))
    send.close()


@contextmanager
def progress(total: int, done: int) -> Iterator[Advance]:
    """Yield a function that moves a progress bar by one halo; it is shown on a terminal or in a notebook."""
    if total < 2 or not (sys.stderr.isatty() or "ipykernel" in sys.modules):
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("fitting haloes", total=total, completed=done)
        yield lambda: bar.advance(task)
