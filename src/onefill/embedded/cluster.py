"""The data folder of an embedded PostgreSQL: its layout, its one starter, its making."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from onefill.embedded import binaries, process
from onefill.embedded.errors import (
    AlreadyInUse,
    EmbeddedError,
    NoSpace,
    NotAllowed,
    NotStartable,
    WrongMajorVersion,
)
from onefill.embedded.identity import ENVIRONMENT, choose, give, make_private
from onefill.embedded.leftovers import end_leftovers
from onefill.embedded.process import Identity

USER = "onefill"
"""The server's only role, its superuser."""
_SOCKET_PATH_BYTES_MAX = 107
_SOCKET_NAME = ".s.PGSQL.5432"
_LOG_BYTES_MAX = 10_000_000
_DISK_IS_FULL = ("No space left on device", "Check free disk space", "Disk quota exceeded")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything of one server lies, below `data`."""

    data: Path
    cluster: Path
    lock: Path
    log: Path
    sockets: Path

    @classmethod
    def below(cls, data: Path) -> Self:
        """The layout of this folder; sockets move to a temporary folder if it is too deep."""
        data = data.resolve()
        sockets = data / "sockets"
        if len(os.fsencode(sockets / _SOCKET_NAME)) > _SOCKET_PATH_BYTES_MAX:
            digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
            sockets = Path(tempfile.gettempdir()) / f"onefill-{os.geteuid()}-{digest}"
        return cls(data, data / "cluster", data / "lock", data / "server.log", sockets)

    def remove_borrowed_folder(self) -> None:
        """Remove the folder for sockets if it lies elsewhere; nothing when it is in use."""
        if self.sockets.parent != self.data:
            with contextlib.suppress(OSError):
                self.sockets.rmdir()


def lock(layout: Layout) -> int:
    """Make us the only starter on this folder, until the descriptor is closed or we die.

    Raises AlreadyInUse with the other's process id.
    """
    layout.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(layout.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 32).decode()
        os.close(descriptor)
        raise AlreadyInUse(data=layout.data, process=holder) from None
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


async def prepare(layout: Layout) -> Identity:
    """Make the folder ready to be served and say as whom; the caller holds its lock."""
    identity, major = await choose(layout.data, layout.cluster)
    make_private(layout.sockets, identity)
    _turn_over_log(layout)
    for path in (layout.lock, layout.log):
        give(path, identity)
    if layout.cluster.exists():
        _check_version(layout, major)
    else:
        await _create(layout, identity)
    await end_leftovers(layout.cluster, layout.sockets)
    return identity


@contextlib.contextmanager
def refusals_explained(layout: Layout) -> Iterator[None]:
    """Turn what the system refuses into errors with a remedy."""
    try:
        yield
    except PermissionError as error:
        raise NotAllowed(path=error.filename, data=layout.data) from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise NoSpace(data=layout.data) from error


def explained(text: str, layout: Layout) -> EmbeddedError:
    """The error that tells what PostgreSQL's last words mean."""
    last_words = "\n".join(text.splitlines()[-8:])
    if any(words in text for words in _DISK_IS_FULL):
        return NoSpace(last_words, data=layout.data)
    if "Permission denied" in text or "wrong ownership" in text:
        return NotAllowed(last_words, data=layout.data)
    return NotStartable(f"PostgreSQL did not come up:\n{last_words}", log=layout.log)


async def _create(layout: Layout, identity: Identity) -> None:
    """Make a new cluster, on the disk before it gets its name: a kill in between leaves none."""
    fresh = layout.data / "cluster.new"
    if fresh.exists():
        shutil.rmtree(fresh)
    make_private(fresh, identity)
    initdb: list[str | Path] = [binaries.path("initdb"), "--pgdata", fresh, "--username", USER]
    initdb += ["--locale=C", "--encoding=UTF8", "--auth-local=trust", "--auth-host=reject"]
    made = await process.run(initdb, identity=identity, folder=layout.data, env=ENVIRONMENT)
    if made.code != 0:
        raise explained(made.text, layout)
    fresh.rename(layout.cluster)


def _check_version(layout: Layout, major: str) -> None:
    written_by = (layout.cluster / "PG_VERSION").read_text().strip()
    if written_by != major:
        raise WrongMajorVersion(data=layout.data, written_by=written_by, here=major)


def _turn_over_log(layout: Layout) -> None:
    layout.log.touch(mode=0o600)
    if layout.log.stat().st_size > _LOG_BYTES_MAX:
        layout.log.replace(layout.log.with_suffix(".log.old"))
        layout.log.touch(mode=0o600)
