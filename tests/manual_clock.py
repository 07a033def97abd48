"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta

from turns import settle

NOON = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)


class ManualClock:
    """Implements onefill.ports.clock.Clock."""

    def __init__(self, start: datetime = NOON) -> None:
        self._start = start
        self._elapsed_s = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def wall(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed_s)

    def boottime_ms(self) -> float:
        return self._elapsed_s * 1000

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed_s + seconds, next(self._numbers), future))
        await future

    async def advance(self, seconds: float) -> None:
        """Let that much time pass, waking each sleeper at its moment."""
        until = self._elapsed_s + seconds
        while self._sleepers and self._sleepers[0][0] <= until:
            self._elapsed_s, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)
            await settle()
        self._elapsed_s = until
        await settle()
