"""A TCP proxy in front of PostgreSQL that can cut the line around a commit."""

from __future__ import annotations

import asyncio
import contextlib
import enum
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit


class Cut(enum.Enum):
    """Where the line breaks, seen from a COMMIT."""

    NEVER = "never"
    BEFORE = "the COMMIT does not reach the server"
    AFTER = "the server commits, and its reply is lost"


@dataclass(slots=True)
class Line:
    """The proxy: its address, and the switch. It cuts once, then passes everything on again."""

    url: str
    cut: Cut = Cut.NEVER
    needle: bytes = b"COMMIT"
    done: asyncio.Event = field(default_factory=asyncio.Event)


@contextlib.asynccontextmanager
async def severed(url: str) -> AsyncIterator[Line]:
    """A line to the server of this (unix socket) address."""
    parts = urlsplit(url)
    socket_path = f"{unquote(parse_qs(parts.query)['host'][0])}/.s.PGSQL.5432"
    line = Line("")

    serving: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        serving.add(task)
        task.add_done_callback(serving.discard)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(socket_path)
        asked = asyncio.Event()
        back = asyncio.create_task(_back(line, asked, server_reader, writer))
        try:
            with contextlib.suppress(OSError):
                await _forth(line, asked, reader, server_writer)
            if not asked.is_set():
                server_writer.close()
            await back
        finally:
            back.cancel()
            for end in (writer, server_writer):
                end.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    line.url = f"postgresql://{parts.username}@127.0.0.1:{port}{parts.path}?sslmode=disable"
    try:
        yield line
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


async def _forth(
    line: Line, asked: asyncio.Event, reader: asyncio.StreamReader, server: asyncio.StreamWriter
) -> None:
    while data := await reader.read(65_536):
        if line.cut is not Cut.NEVER and line.needle in data:
            if line.cut is Cut.BEFORE:
                line.cut = Cut.NEVER
                line.done.set()
                return
            asked.set()
        server.write(data)
        await server.drain()


async def _back(
    line: Line, asked: asyncio.Event, server: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    with contextlib.suppress(OSError):
        while data := await server.read(65_536):
            if asked.is_set():
                line.cut = Cut.NEVER
                line.done.set()
                break
            writer.write(data)
            await writer.drain()
    writer.close()
