"""Uvicorn inside our own event loop: started, stopped and signalled by the node, not by itself."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn

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
            http="httptools",
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
