"""How long the machine had more to do than it could: what a time that is promised is judged by.

A promise such as «within two seconds» is of a machine that has time for it. On a busy one as much
longer is allowed as somebody waited for a processor or a disk meanwhile; whoever sleeps too long,
or waits for a time-out, waits for neither.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import os
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

_PRESSURE = [Path("/proc/pressure/cpu"), Path("/proc/pressure/io")]
LOOKS_EVERY_S = 0.05


def strained_s() -> float:
    """Seconds of that kind since the machine was started, as the kernel counts them."""
    if all(file.exists() for file in _PRESSURE):
        some = (file.read_text().splitlines()[0].split() for file in _PRESSURE)
        return sum(int(words[-1].removeprefix("total=")) for words in some) / 1e6
    words = Path("/proc/stat").read_text().splitlines()[0].split()
    ticks = [int(word) for word in words[1:9]]
    busy = sum(ticks) - ticks[3]  # the fourth is idle
    return busy / os.sysconf("SC_CLK_TCK") / (os.cpu_count() or 1)


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


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail when the block takes longer than that, by more than the machine's strain."""
    began, strained = time.monotonic(), strained_s()
    yield
    took, excuse = time.monotonic() - began, strained_s() - strained
    assert took - excuse <= seconds, f"it took {took:.2f} s, with {excuse:.2f} s of strain"
