"""The few parts of ASGI that the bare routes need: types, headers, bodies, answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

import msgspec

from onefill.core.errors import Bug, OnefillError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = tuple[tuple[bytes, bytes], ...]

JSON: Headers = ((b"content-type", b"application/json"),)
SECURITY: Headers = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
)
CLOSE = (b"connection", b"close")
DISCARDED_MAX = 1 << 20

to_json = msgspec.json.Encoder(decimal_format="string").encode


class ClientGone(OnefillError):
    """The client hung up before its request was complete."""


class BodyTooLarge(OnefillError):
    """The body is larger than the route takes."""


class BodyTooSlow(OnefillError):
    """The body did not arrive in time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response. headers come on top of length and security."""

    status: int
    body: bytes
    headers: Headers = JSON


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first header of this name (in small letters)."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return None


class BodyReader:
    """Reads requests' bodies of at most so many bytes, within so many seconds.

    One timer looks after all bodies under way: a time-out of its own for each would cost as much
    as reading it.
    """

    def __init__(self, *, at_most: int, within_s: float) -> None:
        self._at_most = at_most
        self._within_s = within_s
        self._until: dict[asyncio.Task[Any], float] = {}
        self._overdue: set[asyncio.Task[Any]] = set()
        self._has_timer = False

    async def read(self, receive: Receive) -> bytes:
        """The body, chunked or not. Raises BodyTooLarge, BodyTooSlow, ClientGone."""
        loop = asyncio.get_running_loop()
        task = _this_task()
        self._until[task] = loop.time() + self._within_s
        if not self._has_timer:
            self._has_timer = True
            loop.call_later(self._within_s / 4, self._look, loop)
        try:
            return await self._read(receive)
        except asyncio.CancelledError:
            if task not in self._overdue:
                raise
            task.uncancel()
            raise BodyTooSlow from None
        finally:
            self._until.pop(task, None)
            self._overdue.discard(task)

    async def _read(self, receive: Receive) -> bytes:
        message = await receive()
        body: bytes = message.get("body", b"")
        while message.get("more_body", False) and len(body) <= self._at_most:
            message = await receive()
            body += message.get("body", b"")
        if message["type"] == "http.disconnect":
            raise ClientGone
        if len(body) > self._at_most:
            await _discard(receive, message)
            raise BodyTooLarge
        return body

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """End what is overdue; look again while anything is under way."""
        now = loop.time()
        for task, until in list(self._until.items()):
            if until <= now and task not in self._overdue:
                self._overdue.add(task)
                task.cancel()
        self._has_timer = bool(self._until)
        if self._has_timer:
            loop.call_later(self._within_s / 4, self._look, loop)


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    if task is None:
        raise Bug("a request is not handled in a task")
    return task


async def _discard(receive: Receive, message: Message) -> None:
    """Read on for a while: closing on unread bytes would reset the connection, answer and all."""
    discarded = 0
    while message.get("more_body", False) and discarded < DISCARDED_MAX:
        message = await receive()
        discarded += len(message.get("body", b""))


async def respond(scope: Scope, send: Send, answer: Answer) -> None:
    """Send a whole response; to HEAD without its body."""
    body = answer.body
    length = (b"content-length", b"%d" % len(body))
    start = {
        "type": "http.response.start",
        "status": answer.status,
        "headers": [*answer.headers, length, *SECURITY],
    }
    await send(start)
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
