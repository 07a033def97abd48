"""The few parts of ASGI that the bare routes need: types, headers, bodies, answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

import msgspec

from onefill.core.errors import OnefillError

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


async def read_body(scope: Scope, receive: Receive, *, at_most: int, within_s: float) -> bytes:
    """The request's body, chunked or not. Raises BodyTooLarge, BodyTooSlow, ClientGone."""
    try:
        async with asyncio.timeout(within_s):
            message = await receive()
            body: bytes = message.get("body", b"")
            while message.get("more_body", False) and len(body) <= at_most:
                message = await receive()
                body += message.get("body", b"")
            if message["type"] == "http.disconnect":
                raise ClientGone
            if len(body) > at_most:
                await _discard(receive, message)
                raise BodyTooLarge
    except TimeoutError:
        raise BodyTooSlow from None
    return body


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
