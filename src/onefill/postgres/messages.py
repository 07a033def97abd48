"""ports.messages.Messages by NOTIFY: no server besides PostgreSQL is needed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

import asyncpg

from onefill.core.errors import OnefillError, StoreUnavailable
from onefill.ports.clock import Clock
from onefill.ports.hints import Topic
from onefill.ports.messages import Message, from_json, to_json
from onefill.postgres.connecting import Connecting
from onefill.postgres.connection import Held
from onefill.postgres.faults import translated

_log = logging.getLogger(__name__)
_CHANNEL = "onefill_control"
_PUBLISH = f"SELECT pg_notify('{_CHANNEL}', $1)"
_AGAIN_S = 0.5
_LOOK_S = 5.0


class PostgresMessages:
    """One session listens; another one publishes."""

    def __init__(self, connecting: Connecting, publishing: Held, clock: Clock) -> None:
        self._connecting = connecting
        self._publishing = publishing
        self._clock = clock
        self._topic: Topic[Message] = Topic()
        self._is_connected = False

    @property
    def connected(self) -> bool:
        """Whether it listens now."""
        return self._is_connected

    def subscribe(self, callback: Callable[[Message], None]) -> Callable[[], None]:
        """Call back with each message; the answer unsubscribes."""
        return self._topic.subscribe(callback)

    async def publish(self, message: Message) -> None:
        """Send it; a message that can't be sent is only not sent."""
        try:
            await self._publishing.write(_PUBLISH, to_json(message))
        except OnefillError as error:
            _log.info("a message was not sent: %s", error)

    async def run(self) -> None:
        """Listen until cancelled; where a session is nobody's, others find things by looking."""
        if self._connecting.pooled:
            return
        while True:
            with contextlib.suppress(StoreUnavailable):
                await self._listen()
            await self._clock.sleep(_AGAIN_S)

    async def close(self) -> None:
        """Let the connections go."""
        await self._publishing.close()

    async def _listen(self) -> None:
        connection = await self._connecting.connect_idle()
        broken = asyncio.Event()
        connection.add_termination_listener(lambda _: broken.set())
        try:
            with translated():
                await connection.add_listener(_CHANNEL, self._heard)
                self._is_connected = True
                while not broken.is_set():
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_LOOK_S):
                            await broken.wait()
                    if not broken.is_set():
                        await connection.fetchval("SELECT 1", timeout=_LOOK_S)
        finally:
            self._is_connected = False
            connection.terminate()

    def _heard(self, connection: asyncpg.Connection, pid: int, channel: str, text: str) -> None:
        message = from_json(text)
        if message is not None:
            self._topic.publish(message)
