"""Waiting for what became of a signal."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from manual_clock import ManualClock
from memory_signal_log import MemorySignalLog
from onefill.core.errors import StoreUnavailable
from onefill.core.signal import SignalStatus
from onefill.flow.awaiting import Awaiting, Ended
from onefill.ports.hints import Topic
from turns import settle

FOREVER_S = 60.0


class World:
    """Someone who waits, the log, and the topic of ended signals."""

    def __init__(self) -> None:
        self.log = MemorySignalLog()
        self.clock = ManualClock()
        self.ended: Topic[Ended] = Topic()
        self.awaiting = Awaiting(signal_log=self.log, ended=self.ended, clock=self.clock)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    running = asyncio.create_task(world.awaiting.run())
    yield world
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


@pytest.mark.req("SIG-19")
async def test_an_end_in_this_process_is_told_at_once(world: World) -> None:
    waiting = asyncio.create_task(world.awaiting.outcome(7, FOREVER_S))
    await settle()
    world.ended.publish((8, SignalStatus.FAILED, None))
    world.ended.publish((7, SignalStatus.BLOCKED, "margin"))
    progress = await waiting
    assert (progress.status, progress.reason) == (SignalStatus.BLOCKED, "margin")


@pytest.mark.req("SIG-19")
async def test_an_end_elsewhere_is_found_in_the_log(world: World) -> None:
    world.log.end(7, SignalStatus.EXECUTING)
    waiting = asyncio.create_task(world.awaiting.outcome(7, FOREVER_S))
    await settle()
    assert not waiting.done()
    world.log.end(7, SignalStatus.EXECUTED)
    await world.clock.advance(0.1)
    assert (await waiting).status is SignalStatus.EXECUTED


@pytest.mark.req("SIG-19")
async def test_a_signal_that_had_ended_before_anyone_waited_is_told(world: World) -> None:
    world.log.end(7, SignalStatus.IGNORED, "overtaken")
    assert (await world.awaiting.outcome(7, FOREVER_S)).reason == "overtaken"


@pytest.mark.req("SIG-19")
async def test_at_the_time_limit_the_state_is_told_as_it_is(world: World) -> None:
    world.log.end(7, SignalStatus.IN_DOUBT)
    assert (await world.awaiting.outcome(7, 0.05)).status is SignalStatus.IN_DOUBT
    assert (await world.awaiting.outcome(8, 0.01)).status is SignalStatus.RECEIVED


@pytest.mark.req("SIG-19")
async def test_a_store_that_is_away_is_asked_again(world: World) -> None:
    world.log.failures.append(StoreUnavailable())
    world.log.end(7, SignalStatus.EXECUTED)
    waiting = asyncio.create_task(world.awaiting.outcome(7, FOREVER_S))
    await settle()
    assert not waiting.done()
    await world.clock.advance(0.1)
    assert (await waiting).status is SignalStatus.EXECUTED


@pytest.mark.req("SIG-19")
async def test_all_who_wait_for_one_signal_are_told(world: World) -> None:
    waiting = [asyncio.create_task(world.awaiting.outcome(7, FOREVER_S)) for _ in range(3)]
    await settle()
    waiting.pop().cancel()
    await settle()
    world.ended.publish((7, SignalStatus.EXECUTED, None))
    assert {(await one).status for one in waiting} == {SignalStatus.EXECUTED}
