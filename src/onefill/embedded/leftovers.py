"""What a server leaves when its starter is killed: itself for a moment, and its lock files."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

from onefill.embedded.errors import AlreadyInUse

_POSTGRES = "postgres"
_LOOK_AGAIN_S = 0.01
_PATIENCE = ((signal.SIGINT, 1.0), (signal.SIGQUIT, 5.0))
"""PostgreSQL's fast and its immediate shutdown, each with its seconds: both lose nothing."""


def lock_lines(cluster: Path) -> list[str]:
    """The lines of a server's own lock file; none when the last one was stopped cleanly."""
    with contextlib.suppress(FileNotFoundError):
        return (cluster / "postmaster.pid").read_text().splitlines()
    return []


async def end_leftovers(cluster: Path, sockets: Path) -> None:
    """Wait for the server of a killed starter to be gone, hurry it, and clear its locks.

    It got the signal for a fast shutdown when its starter died. The locks go last: a process
    left in the cluster could write the files that a new server writes. (They have to go: an
    un-reaped zombie still answers to its process id, and PostgreSQL would refuse to start.)
    Raises AlreadyInUse if it does not end in 6 s.
    """
    lines = lock_lines(cluster)
    main = int(lines[0]) if lines else 0
    for number, limit_s in _PATIENCE:
        _hurry(processes_in(cluster, _POSTGRES), main, number)
        if await _gone(cluster, limit_s):
            break
    else:
        raise AlreadyInUse("An old server does not end.", data=cluster.parent, process=main)
    _clear_locks(cluster, sockets)


def _clear_locks(cluster: Path, sockets: Path) -> None:
    for stale in (cluster / "postmaster.pid", *sockets.iterdir()):
        stale.unlink(missing_ok=True)


def _hurry(running: list[int], main: int, number: signal.Signals) -> None:
    """Ask the main process, which ends the others; without it, each of them."""
    asked = {main: number} if main in running else dict.fromkeys(running, signal.SIGQUIT)
    for pid, signal_number in asked.items():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal_number)


async def _gone(cluster: Path, limit_s: float) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            while processes_in(cluster, _POSTGRES):  # noqa: ASYNC110 - no event tells of a stranger's end
                await asyncio.sleep(_LOOK_AGAIN_S)
            return True
    return False


def processes_in(folder: Path, program: str) -> list[int]:
    """The processes of a server whose working directory is this folder; zombies have none.

    Only where there is /proc; elsewhere the server's own check has to do.
    """
    here = folder.stat()
    return [
        int(entry.name)
        for entry in Path("/proc").glob("[0-9]*")
        if _is_in(entry, (here.st_dev, here.st_ino), program)
    ]


def _is_in(entry: Path, folder: tuple[int, int], program: str) -> bool:
    with contextlib.suppress(OSError):
        there = (entry / "cwd").stat()
        same_folder = (there.st_dev, there.st_ino) == folder
        return same_folder and (entry / "comm").read_text().strip() == program
    return False
