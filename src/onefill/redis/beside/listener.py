"""Hears channels of Redis, as long as there is one; what is said while it is away is lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import structlog
from redis.asyncio.client import PubSub

from onefill.ports.clock import Clock
from onefill.redis.connection import (
    BACKOFF_MAX_MS,
    BACKOFF_MS,
    BROKEN,
    cancellation_kept,
    open_client,
)

SILENCE_MS = 500
"""After so long without a word Redis is asked whether it is there, and given as long again."""
_GRACE_S = 0.2

log = structlog.get_logger()


class Listener:
    """One subscription on a connection of its own, renewed after each break."""

    def __init__(
        self, url: str, clock: Clock, channel: str, on_message: Callable[[bytes], None]
    ) -> None:
        self._url = url
        self._clock = clock
        self._channel = channel
        self._on_message = on_message
        self._connected = False

    @property
    def connected(self) -> bool:
        """Whether what is said now would be heard."""
        return self._connected

    async def run(self) -> None:
        """Listen until cancelled."""
        failures = 0
        while True:
            try:
                with cancellation_kept():
                    async with self._subscribed() as channel:
                        failures = 0
                        await self._listen(channel)
            except BROKEN as error:
                if failures == 0:
                    log.warning("redis.not_listening", channel=self._channel, error=str(error))
            await self._clock.sleep(min(BACKOFF_MAX_MS, BACKOFF_MS * 2**failures) / 1000)
            failures = min(failures + 1, 8)

    @contextlib.asynccontextmanager
    async def _subscribed(self) -> AsyncIterator[PubSub]:
        client = open_client(self._url, SILENCE_MS)
        channel = client.pubsub()
        try:
            async with asyncio.timeout(SILENCE_MS / 1000):
                await channel.subscribe(self._channel)
                await channel.get_message(timeout=SILENCE_MS / 1000)
            self._connected = True
            log.info("redis.listening", channel=self._channel)
            yield channel
        finally:
            self._connected = False
            await channel.aclose()  # type: ignore[no-untyped-call]
            await client.aclose()

    async def _listen(self, channel: PubSub) -> None:
        asked = False
        while True:
            heard = await self._next(channel)
            if heard is not None:
                asked = False
                if heard["type"] == "message":
                    self._on_message(heard["data"])
            elif asked:
                raise TimeoutError("no answer")
            else:
                asked = True

    async def _next(self, channel: PubSub) -> dict[str, Any] | None:
        """What is heard next; after a silence a question is put, and None said.

        The outer limit is for a library that does not keep its own.
        """
        with cancellation_kept():
            async with asyncio.timeout(SILENCE_MS / 1000 + _GRACE_S):
                heard: dict[str, Any] | None = await channel.get_message(timeout=SILENCE_MS / 1000)
                if heard is None:
                    await channel.ping()
                return heard
