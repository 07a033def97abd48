"""Uvicorn inside our own event loop: started, stopped and signalled by the node, not by itself."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from onefill.core.errors import OnefillError
from onefill.web.asgi import App

BACKLOG = 2048
KEEP_ALIVE_S = 75  # longer than any proxy keeps an idle connection, so that it never meets a close
STOP_WITHIN_S = 5
WS_BYTES_MAX = 4096


class CannotListen(OnefillError):
    """The address is taken, or is not this machine's."""

    remedy = "Stop what listens there, or choose another --host or --port."


class WebServer:
    """Serves an application on one address."""

    def __init__(self, app: App, *, host: str, port: int) -> None:
        self._host = host
        self._port = port
        config = uvicorn.Config(
            app,
            http=_Protocol,
            ws="websockets-sansio",
            ws_max_size=WS_BYTES_MAX,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # it would believe any forwarder on this machine
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=STOP_WITHIN_S,
        )
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Listen; the answer is the port, which matters where 0 was asked for.

        Raises CannotListen.
        """
        listener = _listen(self._host, self._port)
        port: int = listener.getsockname()[1]
        self._task = asyncio.create_task(self._server.serve([listener]))
        up = asyncio.create_task(self._server.is_up.wait())
        await asyncio.wait({up, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            up.cancel()
            await self._task
        return port

    async def serve_until_stopped(self) -> None:
        """Return when it has stopped; raise what ended it otherwise."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def stop(self) -> None:
        """Accept no more, finish requests under way for at most 5 s, close."""
        self._server.should_exit = True
        await self.serve_until_stopped()


class _Protocol(HttpToolsProtocol):
    """Answers with one write: uvicorn writes a head and its body apart, and each is sent at once,
    which costs the server a system call and the client a wake-up more."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, Gathering(transport)))


class Gathering:
    """A transport that sends together what is written in one turn of the event loop."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._waiting: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send it with all else of this turn."""
        if not self._waiting:
            self._loop.call_soon(self._send)
        self._waiting.append(data)

    def close(self) -> None:
        """Send what waits, then close."""
        self._send()
        self._transport.close()

    def _send(self) -> None:
        if self._waiting:
            data = b"".join(self._waiting)
            self._waiting.clear()
            self._transport.write(data)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The node alone listens to signals."""
        yield


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise CannotListen(f"cannot listen on {host}:{port}: {error.strerror}") from error
    listener.setblocking(False)
    return listener
