"""Venue time on the boot-time clock."""

from __future__ import annotations

import asyncio

import pytest

from broker_support import ManualClock
from onefill.brokers.venue_clock import VenueClock
from onefill.core.errors import BrokerUnavailable


class Venue:
    """A venue whose time is ahead; each answer takes as long as it is told, there and back."""

    def __init__(self, clock: ManualClock, ahead_ms: float) -> None:
        self.clock = clock
        self.ahead_ms = ahead_ms
        self.there_ms = 10.0
        self.back_ms = 10.0
        self.asked = 0
        self.is_away = False

    async def ask(self) -> int:
        self.asked += 1
        await asyncio.sleep(0)
        if self.is_away:
            raise BrokerUnavailable
        self.clock.advance(self.there_ms)
        time_ms = int(self.clock.boottime_ms() + self.ahead_ms)
        self.clock.advance(self.back_ms)
        return time_ms


def clock_at(venue: Venue) -> VenueClock:
    return VenueClock(venue.clock, venue.ask, resync_every_s=60)


@pytest.mark.req("ORD-3")
async def test_a_stepped_wall_clock_changes_nothing() -> None:
    venue = Venue(ManualClock(), ahead_ms=1_700_000_000_000)
    venue_clock = clock_at(venue)
    await venue_clock.sync()
    before = venue_clock.now_ms()
    venue.clock.step_wall(hours=5)
    assert venue_clock.now_ms() == before
    venue.clock.advance(1_234)
    assert venue_clock.now_ms() == before + 1_234


@pytest.mark.req("ORD-3")
@pytest.mark.parametrize(("there_ms", "back_ms"), [(10, 10), (0, 40), (40, 0)])
async def test_the_true_time_lies_within_the_stated_uncertainty(
    there_ms: float, back_ms: float
) -> None:
    venue = Venue(ManualClock(), ahead_ms=5_000_000)
    venue.there_ms, venue.back_ms = there_ms, back_ms
    venue_clock = clock_at(venue)
    await venue_clock.sync()
    assert venue_clock.offset is not None
    truth_ms = venue.clock.boottime_ms() + venue.ahead_ms
    assert abs(venue_clock.now_ms() - truth_ms) <= venue_clock.offset.uncertainty_ms


async def test_before_it_was_ever_read_the_venues_clock_tells_nothing() -> None:
    venue_clock = clock_at(Venue(ManualClock(), ahead_ms=0))
    with pytest.raises(BrokerUnavailable):
        venue_clock.now_ms()


@pytest.mark.req("ORD-3")
async def test_a_doubted_clock_is_read_again_once_for_all_who_wait() -> None:
    venue = Venue(ManualClock(), ahead_ms=1_000)
    venue_clock = clock_at(venue)
    await venue_clock.sync()
    asked = venue.asked
    await venue_clock.ready()
    assert venue.asked == asked
    venue.ahead_ms = 3_601_000
    venue_clock.doubt()
    await asyncio.gather(*(venue_clock.ready() for _ in range(5)))
    assert venue.asked == 2 * asked
    assert venue_clock.now_ms() == int(venue.clock.boottime_ms() + 3_601_000)


async def test_it_is_read_again_from_time_to_time_and_survives_a_silent_venue() -> None:
    venue = Venue(ManualClock(), ahead_ms=1_000)
    venue_clock = clock_at(venue)
    await venue_clock.sync()
    keeping = asyncio.create_task(venue_clock.keep())
    for is_away in (True, False):
        venue.is_away = is_away
        venue.ahead_ms += 500
        asked = venue.asked
        await venue.clock.asleep.wait()
        venue.clock.wake()
        await venue.clock.asleep.wait()
        assert venue.asked > asked
    assert venue_clock.now_ms() == int(venue.clock.boottime_ms() + 2_000)
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping
