"""ports.messages on a channel of Redis: at most once, and quick. Source: CTL-11."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from onefill.ports.clock import Clock
from onefill.ports.hints import Topic
from onefill.ports.messages import CHANNEL, Message, from_json, to_json
from onefill.redis.beside.listener import Listener
from onefill.redis.connection import RedisConnection, RedisUnavailable


class RedisMessages:
    """Implements ports.messages.Messages."""

    def __init__(self, url: str, connection: RedisConnection, clock: Clock) -> None:
        self._connection = connection
        self._heard: Topic[Message] = Topic()
        self._listener = Listener(url, clock, CHANNEL, self._hear)

    @property
    def connected(self) -> bool:
        """Whether the channel is heard now."""
        return self._listener.connected

    def subscribe(self, callback: Callable[[Message], None]) -> Callable[[], None]:
        """Call back with each message from now on, one's own too; the answer unsubscribes."""
        return self._heard.subscribe(callback)

    async def publish(self, message: Message) -> None:
        """Send it if that is possible now."""
        with contextlib.suppress(RedisUnavailable):
            await self._connection.call("PUBLISH", CHANNEL, to_json(message))

    async def run(self) -> None:
        """Listen until cancelled, connecting again after each break."""
        await self._listener.run()

    async def close(self) -> None:
        """Nothing to do: the connection is shared, and the listener ends with `run`."""

    def _hear(self, text: bytes) -> None:
        message = from_json(text)
        if message is not None:
            self._heard.publish(message)
