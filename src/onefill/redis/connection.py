"""A way to Redis that never waits long, never raises anything strange, and mends itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from onefill.core.errors import StoreUnavailable
from onefill.ports.clock import Clock

CALL_TIMEOUT_MS = 200
BACKOFF_MS = 50
BACKOFF_MAX_MS = 500
"""Short, because being back within 2 s of the server's return is promised (OPS-3)."""

BROKEN = (RedisError, OSError, TimeoutError, RuntimeError)
"""What a broken line raises; RuntimeError is uvloop's for writing to one that broke just now."""

log = structlog.get_logger()


class RedisUnavailable(StoreUnavailable):
    """Redis did not answer in time, or refused."""

    remedy = "Check that Redis runs and is reachable; onefill reconnects by itself."


def open_client(url: str, timeout_ms: float) -> Redis:
    """A client whose calls fail after that time, and are never repeated behind our back.

    Nothing is connected yet. Raises ValueError for an address that is none.
    """
    client: Redis = Redis.from_url(
        url,
        protocol=2,
        socket_timeout=timeout_ms / 1000,
        socket_connect_timeout=timeout_ms / 1000,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
    )
    return client


@contextlib.contextmanager
def cancellation_kept() -> Iterator[None]:
    """Raise the CancelledError that redis-py swallows when it comes at a bad moment for it."""
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        yield
    except Exception as error:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError from error
        raise
    if task and task.cancelling() > before:
        raise asyncio.CancelledError


class RedisConnection:
    """Calls to one Redis. After a failure the next is tried no sooner than a moment later, and
    what is called before fails at once: a Redis that is away costs nobody his time."""

    def __init__(self, url: str, clock: Clock, *, call_timeout_ms: int = CALL_TIMEOUT_MS) -> None:
        self._client = open_client(url, call_timeout_ms)
        self._clock = clock
        self._call_timeout_s = call_timeout_ms / 1000
        self._failures = 0
        self._not_before_ms = float("-inf")
        self._is_up: bool | None = None

    @property
    def is_up(self) -> bool:
        """Whether the last call was answered."""
        return self._is_up is True

    async def call(self, *command: str | bytes | int | float) -> Any:
        """The answer to one command. Raises RedisUnavailable; it may have been done even so."""
        if self._clock.boottime_ms() < self._not_before_ms:
            raise RedisUnavailable("Redis did not answer just now; backing off.")
        try:
            with cancellation_kept():
                answer = await self._ask(command)
        except ResponseError as error:
            self._answered()
            raise RedisUnavailable(str(error)) from error
        except BROKEN as error:
            self._back_off(error)
            raise RedisUnavailable(str(error) or "time-out") from error
        self._answered()
        return answer

    async def run_script(self, script: str, keys: list[str], *arguments: str | int) -> Any:
        """The answer of a Lua script: one step, whoever else writes. Raises RedisUnavailable.

        The text goes along each time: a restarted Redis knows no script.
        """
        return await self.call("EVAL", script, len(keys), *keys, *arguments)

    async def close(self) -> None:
        """Let the connections go."""
        await self._client.aclose()

    async def _ask(self, command: tuple[str | bytes | int | float, ...]) -> Any:
        async with asyncio.timeout(self._call_timeout_s):
            return await self._client.execute_command(*command)  # type: ignore[no-untyped-call]

    def _back_off(self, error: Exception) -> None:
        delay_ms = min(BACKOFF_MAX_MS, BACKOFF_MS * 2**self._failures)
        self._failures = min(self._failures + 1, 8)
        self._not_before_ms = self._clock.boottime_ms() + delay_ms
        if self._is_up is not False:
            log.warning("redis.unavailable", error=str(error) or "time-out")
        self._is_up = False

    def _answered(self) -> None:
        self._failures = 0
        if self._is_up is False:
            log.info("redis.back")
        self._is_up = True
