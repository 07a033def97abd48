"""An embedded PostgreSQL: the real server as a direct child, durable, closed to everybody else.

Fsync and synchronous commit are on: what is acknowledged survives a kill of everything here.
Source: spec 00 ("no PostgreSQL URL given"), OPS-5, P-7; docs/decisions/0001-embedded-postgresql.md.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from onefill.core.errors import invariant
from onefill.embedded import binaries, process
from onefill.embedded.cluster import USER, Layout, explained, lock, prepare, refusals_explained
from onefill.embedded.errors import NotStartable
from onefill.embedded.identity import ENVIRONMENT
from onefill.embedded.leftovers import lock_lines
from onefill.embedded.process import Identity

SETTINGS: Mapping[str, str] = {
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "64MB",
    "max_connections": "100",
    "wal_level": "replica",
    "jit": "off",
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}
"""The port is only a part of the socket's name: nothing listens on the network."""

_START_LIMIT_S = 60.0
_POLL_S = 0.005
_STATUS_LINE = 7
_READY = "ready   "


class EmbeddedPostgres:
    """One PostgreSQL server under a data folder, which is made when it is not there.

    The server ends with the process (and on Linux: with the thread) that started it, whatever
    ends that. All methods belong to one event loop.
    """

    def __init__(self, data: Path, settings: Mapping[str, str] | None = None) -> None:
        self._layout = Layout.below(data)
        self._settings = {**SETTINGS, **(settings or {})}
        self._lock: int | None = None
        self._server: asyncio.subprocess.Process | None = None
        self._wanted = False
        self._one_at_a_time = asyncio.Lock()

    async def start(self) -> None:
        """Start the server and return when it takes connections; again is harmless.

        Raises an EmbeddedError with its remedy: BinariesMissing, WrongMajorVersion, AlreadyInUse,
        NoSpace, NotAllowed, NotStartable.
        """
        async with self._one_at_a_time:
            if self._alive():
                return
            try:
                with refusals_explained(self._layout):
                    await self._start()
                self._wanted = True
            except BaseException:
                await self._end()
                raise

    async def stop(self) -> None:
        """End the server, its data durable, within 20 s; again is harmless."""
        async with self._one_at_a_time:
            self._wanted = False
            await self._end()

    async def restart_if_dead(self) -> bool:
        """Start a server that ended by itself; says whether it had. A stopped one is not dead.

        Raises what start raises, and may then be called again.
        """
        died = self._wanted and not self._alive()
        if died:
            await self.start()
        return died

    async def ended(self) -> int:
        """Wait for the running server's end, and return its exit code (negative: the signal)."""
        invariant(self._server is not None, "a server that is waited for was started")
        return await self._server.wait() if self._server else 0

    @property
    def url(self) -> str:
        """The address of the database `postgres`, for asyncpg, psql and pgbench; holds no secret.

        It does not change over restarts.
        """
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """The address of another database on this server."""
        return f"postgresql://{USER}@/{quote(database, safe='')}?host={quote(self._host, safe='')}"

    @property
    def pid(self) -> int | None:
        """The process id of the running server, None while there is none."""
        return self._server.pid if self._server is not None and self._alive() else None

    @property
    def log(self) -> Path:
        """The file in which the server writes its log."""
        return self._layout.log

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def _host(self) -> str:
        return str(self._layout.sockets)

    def _alive(self) -> bool:
        return self._server is not None and self._server.returncode is None

    async def _start(self) -> None:
        if self._lock is None:
            self._lock = lock(self._layout)
        identity = await prepare(self._layout)
        log_start = self._layout.log.stat().st_size
        self._server = await self._spawn(identity)
        try:
            async with asyncio.timeout(_START_LIMIT_S):
                ready = await self._until_ready(self._server)
        except TimeoutError:
            raise NotStartable(
                "PostgreSQL is not ready in time.", limit_s=_START_LIMIT_S, log=self.log
            ) from None
        if not ready:
            raise explained(self._log_from(log_start), self._layout)

    async def _spawn(self, identity: Identity) -> asyncio.subprocess.Process:
        settings = {**self._settings, "unix_socket_directories": f'"{self._host}"'}
        options = [f"--{name}={value}" for name, value in settings.items()]
        with self.log.open("ab") as log:
            return await process.spawn(
                [binaries.path("postgres"), "-D", self._layout.cluster, *options],
                identity=identity,
                death_signal=signal.SIGINT,
                folder=self._layout.data,
                env=ENVIRONMENT,
                output=log,
            )

    async def _until_ready(self, server: asyncio.subprocess.Process) -> bool:
        """Wait until the server says so in its lock file, as pg_ctl does; False: it ended."""
        while server.returncode is None:
            lines = lock_lines(self._layout.cluster)
            if lines[:1] == [str(server.pid)] and lines[_STATUS_LINE:][:1] == [_READY]:
                return True
            await asyncio.sleep(_POLL_S)
        return False

    def _log_from(self, start: int) -> str:
        with self.log.open("rb") as log:
            log.seek(start)
            return log.read().decode(errors="replace")

    async def _end(self) -> None:
        """SIGINT is PostgreSQL's fast shutdown, SIGQUIT its immediate one: both lose nothing."""
        if self._server is not None:
            fast, immediate = (signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0)
            await process.end(self._server, fast, immediate, (signal.SIGKILL, 5.0))
        self._server = None
        if self._lock is not None:
            self._layout.remove_borrowed_folder()
            os.close(self._lock)
            self._lock = None
