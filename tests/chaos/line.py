"""A TCP line between one instance and PostgreSQL that can be cut, and mended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(slots=True)
class Line:
    """While it is cut, its connections are broken and new ones are closed at once."""

    url: str
    is_cut: bool = False
    ends: set[asyncio.StreamWriter] = field(default_factory=set)

    def cut(self) -> None:
        """Break everything."""
        self.is_cut = True
        for end in self.ends:
            end.close()

    def mend(self) -> None:
        """Let new connections through."""
        self.is_cut = False


@contextlib.asynccontextmanager
async def line_to(url: str) -> AsyncIterator[Line]:
    """A line to the server of this (unix socket) address."""
    parts = urlsplit(url)
    socket_path = f"{unquote(parse_qs(parts.query)['host'][0])}/.s.PGSQL.5432"
    line = Line("")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if line.is_cut:
            writer.close()
            return
        try:
            back, forth = await asyncio.open_unix_connection(socket_path)
        except OSError:
            writer.close()
            return
        line.ends |= {writer, forth}
        await asyncio.gather(_pass(reader, forth), _pass(back, writer))
        line.ends -= {writer, forth}

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    line.url = f"postgresql://{parts.username}@127.0.0.1:{port}{parts.path}?sslmode=disable"
    try:
        yield line
    finally:
        line.cut()
        server.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
