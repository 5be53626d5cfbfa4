"""One snakemake a campaign: a lock that the death of its holder releases.

Snakemake's own lock stays behind when snakemake is killed, and somebody has to say `--unlock`. This one is an
advisory lock of the operating system on ``results/<campaign>/.lock``, which ends with the process that holds
it, whatever ended that. The file says who that is: jobs of a run that was killed see there that nobody waits
for them, and stop.
"""

from __future__ import annotations

import atexit
import errno
import fcntl
import json
import os
import socket
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clmassmod.errors import ConfigError, OutdatedError

RUN_VARIABLE = "CLMASSMOD_RUN"  # the run that a job belongs to, handed on in its environment
_BUSY = (errno.EWOULDBLOCK, errno.EACCES)
_held: dict[Path, int] = {}  # by folder; open until this process ends


@dataclass(frozen=True)
class Holder:
    """Who runs a campaign."""

    run: str
    host: str
    process: int
    since: str

    def __str__(self) -> str:
        """Return who it is, for messages."""
        return f"process {self.process} on {self.host}, since {self.since}"

    @property
    def is_here(self) -> bool:
        """Whether it is, or was, a process of this host."""
        return self.host == socket.gethostname()


def lock_file(folder: Path) -> Path:
    """Return the lock of a campaign's folder."""
    return folder / ".lock"


def holder(folder: Path) -> Holder | None:
    """Return who holds the lock or died with it; None where the last run let go of it."""
    try:
        return Holder(**json.loads(lock_file(folder).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def is_running(process: int) -> bool:
    """Return whether a process of this host lives."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def hold(folder: Path) -> None:
    """Take the campaign for this process, to its end; what a dead run left locked is released.

    Raises
    ------
    ConfigError
        If another run has it; one line that says which, and what to do.
    """
    key = folder.resolve()
    if key in _held:
        return
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(lock_file(folder), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _take(handle, folder)
    except BaseException:
        os.close(handle)
        raise
    _held[key] = handle
    now = datetime.now(UTC).isoformat(" ", "seconds")
    me = Holder(uuid.uuid4().hex, socket.gethostname(), os.getpid(), now)
    _write(handle, json.dumps(asdict(me)))
    os.environ[RUN_VARIABLE] = me.run
    atexit.register(_let_go, handle, os.getpid())
    _release_snakemake(folder)


def _take(handle: int, folder: Path) -> None:
    before = holder(folder)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _BUSY:
            raise ConfigError(
                f"{folder}: another run has this campaign ({before or 'just begun'}); "
                "wait for its end, or end it, and start again"
            ) from None
        # a file system without locks: the record has to do
        if before is not None and before.is_here and is_running(before.process):
            raise ConfigError(
                f"{folder}: another run has this campaign ({before}); if that is something else by now, "
                f"remove {lock_file(folder)}"
            ) from None
    if before is not None and not before.is_here:
        raise ConfigError(
            f"{folder}: {before}, began a run here and has not ended it; whether it lives cannot be seen "
            f"from {socket.gethostname()}. If it does not, remove {lock_file(folder)} and start again"
        )


def _write(handle: int, text: str) -> None:
    os.pwrite(handle, text.encode(), 0)
    os.ftruncate(handle, len(text.encode()))


def _let_go(handle: int, process: int) -> None:
    if os.getpid() == process:  # not in a fork
        with suppress(OSError):
            os.ftruncate(handle, 0)


def _release_snakemake(folder: Path) -> None:
    """Remove what a dead snakemake left locked of this campaign; we hold it, so nobody else is at work."""
    for path in Path(".snakemake/locks").glob("*.lock"):
        with suppress(OSError, UnicodeDecodeError):
            if any(line.startswith(f"{folder}/") for line in path.read_text(encoding="utf-8").splitlines()):
                path.unlink(missing_ok=True)


def running(folder: Path) -> Holder | None:
    """Return the run that has a campaign at this moment, as far as can be seen from this host."""
    with suppress(OSError), lock_file(folder).open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _BUSY:
                return holder(folder)
    return None


def refuse_running(folder: Path, what: str) -> None:
    """Raise ConfigError while a run has the campaign; ``what`` says what cannot be done meanwhile."""
    who = running(folder)
    if who is not None:
        raise ConfigError(f"{folder}: a run has this campaign ({who}); {what} when it has ended")


def check_still_wanted(folder: Path, environment: Any = os.environ) -> None:
    """Raise OutdatedError in a job whose run was killed, or replaced by another.

    Nobody waits for such a job, and the run that does its work again might do it at this very moment.
    """
    mine = environment.get(RUN_VARIABLE)
    now = holder(folder) if mine else None
    if now is None:
        return
    if now.run != mine:
        raise OutdatedError(f"{folder}: another run ({now}) has taken this campaign over; this job ends")
    if now.is_here and not is_running(now.process):
        raise OutdatedError(f"{folder}: the run that this job belongs to ({now}) is dead; this job ends")
