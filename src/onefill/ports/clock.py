"""Time, in two kinds: a wall clock for records, a boot-time clock for deadlines. And chance."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from datetime import UTC, datetime
from typing import Protocol

_BOOTTIME: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    """Where everything learns what time it is, so that tests and simulations can say."""

    def wall(self) -> datetime:
        """UTC, for people and records; it may step."""
        ...

    def boottime_ms(self) -> float:
        """Milliseconds since some fixed moment, never stepping, counting suspended time too."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        ...


class RealClock:
    """The machine's clocks. The only place in the product that reads them."""

    def wall(self) -> datetime:
        """UTC now."""
        return datetime.now(UTC)

    def boottime_ms(self) -> float:
        """CLOCK_BOOTTIME where there is one (Linux), else the monotonic clock."""
        return time.clock_gettime_ns(_BOOTTIME) / 1e6

    async def sleep(self, seconds: float) -> None:
        """Sleep in the running loop."""
        await asyncio.sleep(seconds)


def jitter() -> float:
    """A number in [0, 1), so that many who wait don't come back at the same moment."""
    return random.random()


def new_boot() -> uuid.UUID:
    """The name of one run of this process, which tells restarts of an instance apart."""
    return uuid.uuid4()
