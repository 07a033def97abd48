"""The clocks of one simulated machine."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from onefill.sim.loop import Timeline

START = datetime(2026, 1, 15, 5, 0, tzinfo=UTC)
"""The database's and the world's time at the start."""


def moment(timeline: Timeline) -> datetime:
    """The true time."""
    return START + timedelta(seconds=timeline.now_s)


class MachineClock:
    """Implements ports.clock.Clock. wall_off_s: how far its wall clock is off, as of now."""

    def __init__(self, timeline: Timeline, booted_ms: float) -> None:
        self._timeline = timeline
        self._booted_ms = booted_ms
        self.wall_off_s = 0.0

    def wall(self) -> datetime:
        """UTC as this machine believes."""
        return moment(self._timeline) + timedelta(seconds=self.wall_off_s)

    def boottime_ms(self) -> float:
        """Milliseconds since this machine's boot."""
        return self._booted_ms + self._timeline.now_s * 1000

    async def sleep(self, seconds: float) -> None:
        """Sleep on virtual time."""
        await asyncio.sleep(seconds)
