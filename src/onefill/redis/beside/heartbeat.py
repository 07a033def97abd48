"""This instance's heartbeat in Redis, for the others and for people; and whether Redis is there.

`ginie:heartbeat:{instance}`, every 5 s, gone after 30 s. Nothing decides by it: an unreadable
heartbeat means unknown, not dead (CTL-10).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from onefill.ports.clock import Clock
from onefill.redis.connection import RedisConnection, RedisUnavailable

BEAT_EVERY_S = 5.0
LOOK_EVERY_S = 0.25
GONE_AFTER_S = 30

Facts = Mapping[str, str | int | None]


def key_of(instance: str) -> str:
    """Where that instance's heartbeat is."""
    return f"ginie:heartbeat:{instance}"


class RedisHeartbeat:
    """Looks at Redis four times a second, and writes a heartbeat every five seconds.

    tell: what the heartbeat says besides the instance's name and the time. look: asks Redis
    something, and raises nothing.
    """

    def __init__(
        self,
        connection: RedisConnection,
        clock: Clock,
        *,
        instance: str,
        tell: Callable[[], Facts],
        look: Callable[[], Awaitable[None]],
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._instance = instance
        self._tell = tell
        self._look = look

    async def run(self) -> None:
        """Look and beat until cancelled."""
        beaten_ms = float("-inf")
        while True:
            now_ms = self._clock.boottime_ms()
            try:
                await self._look()
                if now_ms - beaten_ms >= BEAT_EVERY_S * 1000:
                    await self._beat()
                    beaten_ms = now_ms
            except RedisUnavailable:
                beaten_ms = float("-inf")  # said again as soon as there is somebody to hear it
            await self._clock.sleep(LOOK_EVERY_S)

    async def read(self, instances: Sequence[str]) -> Mapping[str, Facts | None] | None:
        """The heartbeats of these; None for one that is gone; None at all when nobody knows."""
        try:
            found = await self._connection.call("MGET", *map(key_of, instances))
        except RedisUnavailable:
            return None
        return {name: _facts(text) for name, text in zip(instances, found, strict=True)}

    async def _beat(self) -> None:
        facts = {
            "instance": self._instance,
            "timestamp": self._clock.wall().isoformat(),
            **self._tell(),
        }
        key = key_of(self._instance)
        await self._connection.call("SET", key, json.dumps(facts), "EX", GONE_AFTER_S)


def _facts(text: Any) -> Facts | None:
    if text is None:
        return None
    try:
        facts = json.loads(text)
    except ValueError:
        return None
    return facts if isinstance(facts, dict) else None
