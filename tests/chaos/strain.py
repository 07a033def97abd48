"""The machine's strain while a test runs, moment by moment: see tests/strain.py."""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime

from strain import strained_s

LOOKS_EVERY_S = 0.05


@dataclass
class Strain:
    """What was seen while it was watched."""

    moments: list[float] = field(default_factory=list)
    totals: list[float] = field(default_factory=list)

    def look(self) -> None:
        """Note how much it was until now."""
        self.moments.append(time.time())
        self.totals.append(strained_s())

    def between(self, start: datetime, end: datetime) -> float:
        """The seconds of strain between two moments."""
        return self._until(end.timestamp()) - self._until(start.timestamp())

    def _until(self, moment: float) -> float:
        place = min(max(bisect.bisect(self.moments, moment), 1), len(self.moments) - 1)
        (before, after), (low, high) = (
            self.moments[place - 1 : place + 1],
            self.totals[place - 1 : place + 1],
        )
        share = (moment - before) / (after - before) if after > before else 1.0
        return low + (high - low) * min(max(share, 0.0), 1.0)


@contextlib.asynccontextmanager
async def watched() -> AsyncIterator[Strain]:
    """Look all the time, until the block ends."""
    seen = Strain()
    seen.look()

    async def look() -> None:
        while True:
            await asyncio.sleep(LOOKS_EVERY_S)
            seen.look()

    looking = asyncio.create_task(look())
    try:
        yield seen
    finally:
        looking.cancel()
        await asyncio.wait({looking})
        seen.look()
