"""The spool goes into the log through the same door as everything else, once it is open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from manual_clock import ManualClock
from onefill.core.intake.signal_time import Zones
from onefill.core.signal import Signal
from onefill.disk.spool import DiskSpool
from onefill.flow.spool import Spooling
from onefill.ports.intake import IntakeUnavailable, SignalUnloggable
from onefill.ports.metrics import Metrics
from support import until
from turns import settle


class Door:
    """Takes signals in, or raises what a test likes."""

    def __init__(self) -> None:
        self.taken: list[str | None] = []
        self.errors: list[Exception] = []

    async def take_in(self, signal: Signal, payload: str) -> None:
        await settle()
        if self.errors:
            raise self.errors.pop(0)
        self.taken.append(signal.order_id)


class World:
    """A spool on a disk, an intake, and whether the database is believed to be there."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.door = Door()
        self.metrics = Metrics()
        self.is_up = False
        self.spool = DiskSpool(folder, bytes_max=1 << 20)
        self.spooling = Spooling(
            spool=self.spool,
            take_in=self.door.take_in,
            zones=Zones.named({}),
            is_up=lambda: self.is_up,
            metrics=self.metrics,
            clock=self.clock,
        )

    async def until_empty(self) -> None:
        async def empty() -> bool:
            await self.clock.advance(0.5)
            return self.spool.waiting == 0

        await until(empty)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)
    running = asyncio.create_task(world.spooling.run())
    yield world
    running.cancel()
    await asyncio.wait({running})


def body(number: int, time: str = "2026-01-15T11:59:59Z") -> str:
    return (
        f'{{"action":"buy","ticker":"SIM001","contracts":1,"timestamp":"{time}",'
        f'"order_id":"s-{number}"}}'
    )


@pytest.mark.req("SIG-16")
async def test_what_was_spooled_is_taken_in_when_the_database_is_back(world: World) -> None:
    for number in range(3):
        await world.spooling.keep(body(number))
    await world.clock.advance(5)
    assert (world.door.taken, world.spooling.waiting) == ([], 3)
    world.is_up = True
    await world.until_empty()
    assert world.door.taken == ["s-0", "s-1", "s-2"]


@pytest.mark.req("SIG-16")
async def test_a_log_that_goes_away_again_in_the_middle_costs_a_repetition_and_nothing_else(
    world: World,
) -> None:
    for number in range(3):
        await world.spooling.keep(body(number))
    world.door.errors = [IntakeUnavailable("away")]
    world.is_up = True
    await world.until_empty()
    assert set(world.door.taken) == {"s-0", "s-1", "s-2"}


@pytest.mark.req("SIG-16")
async def test_a_signal_that_no_log_can_hold_does_not_hold_up_the_others(world: World) -> None:
    for number in range(3):
        await world.spooling.keep(body(number))
    world.door.errors = [SignalUnloggable("never")]
    world.is_up = True
    await world.until_empty()
    assert world.door.taken == ["s-1", "s-2"]


@pytest.mark.req("IF-5", "SIG-16")
async def test_what_waits_and_what_became_of_it_are_figures(world: World) -> None:
    await world.spooling.keep(body(1))
    assert world.metrics.spool_signals.values == {(): 1}
    assert world.metrics.spooled.values == {("kept",): 1}
