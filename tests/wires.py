"""Lines to real servers that a test can cut, freeze and mend, and on which messages can be lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from urllib.parse import parse_qs, unquote, urlsplit

Change = Callable[[bytes], bytes]
"""Given the next bytes of a server's answer: those that are passed on."""


class Wire:
    """A TCP line to a server on a unix socket.

    port: where it listens. heard: makes, for each connection, what changes the server's words.
    """

    def __init__(self, socket_path: str, heard: Callable[[], Change] | None = None) -> None:
        self._socket_path = socket_path
        self._heard = heard
        self._flows = asyncio.Event()
        self._flows.set()
        self._is_cut = False
        self._ends: set[asyncio.StreamWriter] = set()
        self._served: set[asyncio.Task[None]] = set()
        self.port = 0

    async def start(self, host: str = "127.0.0.1") -> asyncio.Server:
        """Listen."""
        server = await asyncio.start_server(self._accept, host, 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    def cut(self) -> None:
        """End all connections, and every new one at once."""
        self._is_cut = True
        self._abort()

    def freeze(self) -> None:
        """Pass nothing on, and say nothing: as when the network swallows every packet."""
        self._flows.clear()

    def mend(self) -> None:
        """Work again. What a frozen connection was sent meanwhile arrives now."""
        self._is_cut = False
        self._flows.set()

    async def close(self) -> None:
        """End everything, and see the end of it."""
        self.cut()
        self._flows.set()
        await asyncio.gather(*self._served)

    def _abort(self) -> None:
        for end in self._ends:
            end.transport.abort()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of ours: the one that asyncio would make complains when it is cancelled.
        served = asyncio.create_task(self._serve(reader, writer))
        self._served.add(served)
        served.add_done_callback(self._served.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ends.add(writer)
        server: asyncio.StreamWriter | None = None
        try:
            await self._flows.wait()
            if self._is_cut:
                return
            answers, server = await asyncio.open_unix_connection(self._socket_path)
            self._ends.add(server)
            change = self._heard() if self._heard is not None else bytes
            forth = asyncio.create_task(self._pump(reader, server, bytes))
            back = asyncio.create_task(self._pump(answers, writer, change))
            await asyncio.wait({forth, back}, return_when=asyncio.FIRST_COMPLETED)
            for pump in (forth, back):
                pump.cancel()
            await asyncio.wait({forth, back})
        except OSError:
            return
        finally:
            for end in filter(None, (writer, server)):
                self._ends.discard(end)
                end.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, change: Change
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                await self._flows.wait()
                writer.write(change(data))
                await writer.drain()


@contextlib.asynccontextmanager
async def wire_to_postgres(
    url: str, heard: Callable[[], Change] | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[tuple[Wire, str]]:
    """A line to the server of this (unix socket) address, and the address through it."""
    parts = urlsplit(url)
    folder = unquote(parse_qs(parts.query)["host"][0])
    async with _wire(f"{folder}/.s.PGSQL.5432", heard, host) as wire:
        where = f"{parts.username}@{host}:{wire.port}{parts.path}"
        yield wire, f"postgresql://{where}?sslmode=disable"


@contextlib.asynccontextmanager
async def wire_to_redis(url: str, host: str = "127.0.0.1") -> AsyncIterator[tuple[Wire, str]]:
    """The same for a Redis at unix://…"""
    async with _wire(url.removeprefix("unix://"), None, host) as wire:
        yield wire, f"redis://{host}:{wire.port}"


@contextlib.asynccontextmanager
async def _wire(
    socket_path: str, heard: Callable[[], Change] | None, host: str
) -> AsyncIterator[Wire]:
    wire = Wire(socket_path, heard)
    server = await wire.start(host)
    try:
        yield wire
    finally:
        server.close()
        await wire.close()


class Notifications:
    """Changes what a PostgreSQL server says: each NOTIFY comes so many times (0: it is lost).

    Every message of the server is a letter, a length, and a body; a notification's letter is A.
    """

    def __init__(self, times: Callable[[bytes], int]) -> None:
        self._times = times
        self._held = b""

    def __call__(self, data: bytes) -> bytes:
        """What is passed on; an unfinished message waits for its end."""
        self._held += data
        passed = bytearray()
        while len(self._held) >= 5:
            size = 1 + int.from_bytes(self._held[1:5], "big")
            if len(self._held) < size:
                break
            message, self._held = self._held[:size], self._held[size:]
            passed += message * (self._times(message) if message[:1] == b"A" else 1)
        return bytes(passed)
