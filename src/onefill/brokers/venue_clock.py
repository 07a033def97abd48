"""The venue's time, carried on this machine's boot-time clock.

A wall clock may be set while orders are under way; the boot-time clock never steps. So the venue
is asked what time it is, and the difference to the boot-time clock is kept (ORD-3).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from onefill.core.errors import BrokerUnavailable
from onefill.ports.clock import Clock

AskTime = Callable[[], Awaitable[int]]
"""Asks the venue for its time in milliseconds since 1970; raises BrokerUnavailable."""

_SAMPLES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Offset:
    """What to add to the boot-time clock to get venue time, give or take the uncertainty."""

    offset_ms: float
    uncertainty_ms: float


class VenueClock:
    """Tells venue time without asking each time; asks again on demand and every so often."""

    def __init__(self, clock: Clock, ask: AskTime, resync_every_s: float) -> None:
        self._clock = clock
        self._ask = ask
        self._resync_every_s = resync_every_s
        self._offset: Offset | None = None
        self._is_doubted = True
        self._syncing = asyncio.Lock()

    @property
    def offset(self) -> Offset | None:
        """The last measurement; None before the first."""
        return self._offset

    def now_ms(self) -> int:
        """Venue time in milliseconds since 1970. Raises BrokerUnavailable before the first sync."""
        if self._offset is None:
            raise BrokerUnavailable("the venue's clock was never read")
        return int(self._clock.boottime_ms() + self._offset.offset_ms)

    def doubt(self) -> None:
        """Say that the offset seems wrong: the next `ready` measures it again."""
        self._is_doubted = True

    async def ready(self) -> None:
        """Return once the offset can be relied on. Raises BrokerUnavailable."""
        if not self._is_doubted:
            return
        async with self._syncing:
            if self._is_doubted:
                await self.sync()

    async def sync(self) -> None:
        """Measure the offset: of a few samples, the one with the shortest way there and back."""
        samples = [await self._sample() for _ in range(_SAMPLES)]
        self._offset = min(samples, key=lambda sample: sample.uncertainty_ms)
        self._is_doubted = False

    async def keep(self) -> None:
        """Measure again and again until cancelled; when the venue is away, go on with the last."""
        while True:
            await self._clock.sleep(self._resync_every_s)
            try:
                await self.sync()
            except BrokerUnavailable:
                continue

    async def _sample(self) -> Offset:
        asked_ms = self._clock.boottime_ms()
        server_ms = await self._ask()
        answered_ms = self._clock.boottime_ms()
        return Offset(
            offset_ms=server_ms - (asked_ms + answered_ms) / 2,
            uncertainty_ms=(answered_ms - asked_ms) / 2 + 1,
        )
