"""The whole HTTP side of an instance: bare routes first, everything else to the API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import structlog

from onefill.web.asgi import SECURITY, App, Message, Receive, Scope, Send, respond
from onefill.web.problem import INTERNAL, problem_answer
from onefill.web.webhook import PATH as WEBHOOK_PATH

API_SECURITY = (
    *SECURITY,
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
        b"object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
)

log = structlog.get_logger()


class Application:
    """Dispatches by path. The API is built in the background by `warm`, or at its first request:
    its framework takes longer to import than everything else, and no signal should wait for it.
    """

    def __init__(self, *, webhook: App, routes: Mapping[str, App], api: Callable[[], App]) -> None:
        self._webhook = webhook
        self._routes = dict(routes)
        self._factory = api
        self._building: asyncio.Task[App] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, one WebSocket, or the server's lifespan."""
        if scope["type"] == "lifespan":
            await _live_on(receive, send)
            return
        path = scope["path"]
        if scope["type"] == "http":
            if path == WEBHOOK_PATH or path.startswith(WEBHOOK_PATH + "/"):
                await self._webhook(scope, receive, send)
                return
            route = self._routes.get(path)
            if route is not None:
                await route(scope, receive, send)
                return
        await self._delegate(scope, receive, send)

    async def warm(self) -> None:
        """Build the API now, beside everything else; to be called once the instance is ready."""
        await self._api()

    async def _api(self) -> App:
        if self._building is None or _has_failed(self._building):
            self._building = asyncio.create_task(asyncio.to_thread(self._factory))
        return await asyncio.shield(self._building)

    async def _delegate(self, scope: Scope, receive: Receive, send: Send) -> None:
        secured = _Secured(send)
        try:
            api = await self._api()
            await api(scope, receive, secured)
        except Exception:
            log.exception("web.defect", path=scope["path"])
            if scope["type"] != "http" or secured.has_begun:
                raise
            await respond(scope, secured, problem_answer(INTERNAL))


class _Secured:
    """Adds the security headers that an answer does not set itself."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.has_begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_begun = True
            headers = list(message.get("headers", ()))
            names = {name.lower() for name, _ in headers}
            headers += [one for one in API_SECURITY if one[0] not in names]
            message = {**message, "headers": headers}
        await self._send(message)


def _has_failed(task: asyncio.Task[App]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


async def _live_on(receive: Receive, send: Send) -> None:
    """The node starts and stops everything; the server only has to be told yes."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
