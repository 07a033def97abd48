"""Signals become durable in groups, once, and nobody is told so before they are."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any

import pytest
import uvloop

from manual_clock import NOON, ManualClock
from memory_signal_log import MemorySignalLog
from onefill.core.errors import CommitUnknown, StoreUnavailable
from onefill.core.ids import Lane
from onefill.core.signal import Engine, Signal, SignalKind
from onefill.flow.intake import (
    ANSWER_WITHIN_MS,
    SIGNALS_A_GROUP,
    DuplicateLayer,
    Intake,
    RecentCommits,
    Taken,
)
from onefill.ports.clock import Clock, RealClock
from onefill.ports.hints import Inbox
from onefill.ports.intake import IntakeUnavailable
from onefill.ports.metrics import Metrics
from onefill.ports.signal_log import Logged, NewSignal, Unloggable
from standstill import answered_in_a_socket
from turns import settle, turn


class ToldGossip:
    """Neighbours who say what a test likes, and write down what they hear."""

    def __init__(self) -> None:
        self.said: set[tuple[str, bytes]] = set()
        self.heard: list[tuple[str, int]] = []

    def may_know(self, database: str, fingerprint: bytes) -> bool:
        return (database, fingerprint) in self.said

    def committed(self, database: str, signals: Sequence[NewSignal]) -> None:
        self.heard.append((database, len(signals)))


class World:
    """An intake with its log, its clock and its inbox."""

    def __init__(self, log: MemorySignalLog | None = None, clock: Clock | None = None) -> None:
        self.log = log or MemorySignalLog()
        self.clock = clock or ManualClock()
        self.lanes: Inbox[Lane] = Inbox()
        self.metrics = Metrics()
        self.gossip = ToldGossip()
        self.intake = Intake(
            signal_log=self.log,
            lanes=self.lanes,
            metrics=self.metrics,
            clock=self.clock,
            gossip=self.gossip,
        )

    def send(self, number: int, instrument: str = "SIM001") -> asyncio.Task[Taken]:
        """Somebody posts the signal of this number."""
        signal = Signal(
            engine=Engine.DIRECT,
            kind=SignalKind.CLOSE,
            portfolio="main",
            instrument=instrument,
            time=NOON + timedelta(seconds=number),
        )
        return asyncio.create_task(self.intake.take_in(signal, "{}"))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    running = asyncio.create_task(world.intake.run())
    await settle()
    yield world
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def refusal_of(sent: asyncio.Task[Taken]) -> str:
    with pytest.raises(IntakeUnavailable) as caught:
        await sent
    return str(caught.value)


@pytest.mark.req("SIG-2")
async def test_nobody_is_answered_before_the_commit(world: World) -> None:
    world.log.gate.clear()
    sent = world.send(1)
    await settle()
    assert not sent.done()
    world.log.gate.set()
    taken = await sent
    assert (taken.signal_id, taken.duplicate) == (1, False)


@pytest.mark.req("SIG-15")
async def test_an_idle_intake_starts_its_statement_at_once(world: World) -> None:
    world.send(1)
    await turn()
    await turn()
    assert world.log.statements == [1]


@pytest.mark.req("SIG-15")
async def test_all_that_waited_while_a_statement_ran_share_the_next(world: World) -> None:
    world.log.gate.clear()
    sent = [world.send(1)]
    await settle()
    sent += [world.send(number) for number in range(2, 66)]
    await settle()
    world.log.gate.set()
    await asyncio.gather(*sent)
    assert world.log.statements == [1, 64]


@pytest.mark.req("SIG-15")
async def test_a_group_has_a_largest_size(world: World) -> None:
    world.log.gate.clear()
    sent = [world.send(number) for number in range(SIGNALS_A_GROUP + 10)]
    await settle()
    world.log.gate.set()
    await asyncio.gather(*sent)
    assert world.log.statements == [SIGNALS_A_GROUP, 10]


@pytest.mark.req("SIG-10")
async def test_identical_requests_in_flight_share_one_insert(world: World) -> None:
    world.log.gate.clear()
    copies = [world.send(1) for _ in range(5)]
    await settle()
    world.log.gate.set()
    answers = await asyncio.gather(*copies)
    assert world.log.statements == [1]
    assert {answer.signal_id for answer in answers} == {1}
    assert [answer.layer for answer in answers] == [None, *[DuplicateLayer.IN_FLIGHT] * 4]


@pytest.mark.req("SIG-10")
async def test_a_recent_commit_is_known_without_the_database(world: World) -> None:
    await world.send(1)
    again = await world.send(1)
    assert (again.signal_id, again.layer) == (1, DuplicateLayer.MEMORY)
    assert world.log.statements == [1]


@pytest.mark.req("SIG-10")
async def test_after_a_restore_only_the_constraint_is_believed(world: World) -> None:
    await world.send(1)
    world.log.rows.clear()
    world.log.database = "restored"
    assert (await world.send(1)).layer is None
    world.log.database = "restored again"
    assert (await world.send(1)).layer is DuplicateLayer.CONSTRAINT


@pytest.mark.req("SIG-10")
async def test_a_statement_that_a_restore_overtook_is_not_remembered(world: World) -> None:
    world.log.gate.clear()
    sent = world.send(1)
    await settle()
    world.log.database = "restored"
    world.log.gate.set()
    await sent
    assert (await world.send(1)).layer is DuplicateLayer.CONSTRAINT


@pytest.mark.req("SIG-10")
async def test_a_failed_first_try_never_swallows_its_own_retry(world: World) -> None:
    world.log.failures.append(StoreUnavailable())
    await refusal_of(world.send(1))
    assert not (await world.send(1)).duplicate


@pytest.mark.req("SIG-2", "SIG-10")
async def test_a_lost_commit_is_refused_and_its_resend_is_a_duplicate(world: World) -> None:
    world.log.lost_replies.append(CommitUnknown())
    await refusal_of(world.send(1))
    assert (await world.send(1)).layer is DuplicateLayer.CONSTRAINT
    assert world.lanes.take(9) == ["main/SIM001"]


@pytest.mark.req("SIG-2")
async def test_a_dead_store_is_told_to_all_who_wait(world: World) -> None:
    world.log.gate.clear()
    sent = [world.send(1)]
    await settle()
    sent += [world.send(2), world.send(3)]
    await settle()
    world.log.failures.append(StoreUnavailable())
    world.log.gate.set()
    for one in sent:
        await refusal_of(one)
    assert world.log.statements == [1]


@pytest.mark.req("SIG-2")
async def test_a_lost_commit_costs_only_its_own_group(world: World) -> None:
    world.log.gate.clear()
    first = world.send(1)
    await settle()
    second = world.send(2)
    await settle()
    world.log.lost_replies.append(CommitUnknown())
    world.log.gate.set()
    await refusal_of(first)
    assert not (await second).duplicate


@pytest.mark.req("SIG-2")
async def test_a_hanging_store_is_not_waited_for_beyond_the_limit(world: World) -> None:
    world.log.gate.clear()
    first = world.send(1)
    await settle()
    await world.clock.advance(1.0)
    second = world.send(2)
    await settle()
    await world.clock.advance(ANSWER_WITHIN_MS / 1000 - 0.9)
    assert "in time" in await refusal_of(first)
    assert not second.done()
    world.log.gate.set()
    assert not (await second).duplicate
    assert (await world.send(1)).duplicate


class BesideAStall(MemorySignalLog):
    """Its statement is answered at once, into a socket, while our own loop stands still."""

    async def append(self, batch: Sequence[NewSignal]) -> Sequence[Logged | Unloggable]:
        logged = await super().append(batch)
        await answered_in_a_socket(stall_s=(ANSWER_WITHIN_MS + 200) / 1000)
        return logged


@pytest.mark.req("SIG-2")
@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_commit_whose_answer_lies_in_the_socket_is_told_however_late_our_own_loop_is(
    run: Callable[[Coroutine[Any, Any, None]], None],
) -> None:
    run(_log_beside_a_stall())


async def _log_beside_a_stall() -> None:
    world = World(log=BesideAStall(), clock=RealClock())
    running = asyncio.create_task(world.intake.run())
    await settle()
    taken = await world.send(1)
    assert not taken.duplicate
    running.cancel()
    await asyncio.wait({running})


@pytest.mark.req("SIG-2")
async def test_a_committed_signal_is_handed_on_though_its_client_hung_up(world: World) -> None:
    world.log.gate.clear()
    sent = world.send(1, "SIM007")
    await settle()
    sent.cancel()
    await settle()
    world.log.gate.set()
    await settle()
    assert world.lanes.take(9) == ["main/SIM007"]


@pytest.mark.req("SIG-10")
async def test_one_of_two_copies_hanging_up_leaves_the_other_its_answer(world: World) -> None:
    world.log.gate.clear()
    first, second = world.send(1), world.send(1)
    await settle()
    first.cancel()
    await settle()
    world.log.gate.set()
    assert (await second).signal_id == 1


@pytest.mark.req("SIG-6")
async def test_a_row_that_the_database_refuses_fails_alone(world: World) -> None:
    world.log.poison = "SIM666"
    world.log.gate.clear()
    sent = [world.send(number) for number in range(6)]
    bad = world.send(9, "SIM666")
    await settle()
    world.log.gate.set()
    answers = await asyncio.gather(*sent)
    assert len({answer.signal_id for answer in answers}) == 6
    assert "refuses" in await refusal_of(bad)


@pytest.mark.req("SIG-2")
async def test_a_defect_of_the_log_costs_one_group_and_ends_nothing(world: World) -> None:
    world.log.failures.append(ValueError("a defect"))
    await refusal_of(world.send(1))
    assert not (await world.send(1)).duplicate


@pytest.mark.req("SIG-10")
async def test_duplicates_are_counted_in_groups_in_the_background(world: World) -> None:
    for number in (1, 1, 1, 2, 2):
        await world.send(number)
    assert not world.log.duplicates
    world.log.count_failures.append(StoreUnavailable())
    await world.clock.advance(1)
    assert not world.log.duplicates
    await world.clock.advance(1)
    assert world.log.duplicates == {1: 2, 2: 1}
    await world.clock.advance(5)
    assert world.log.duplicates == {1: 2, 2: 1}
    assert world.metrics.signal_duplicates.values == {("memory",): 3}


@pytest.mark.req("SIG-10")
async def test_a_count_that_may_have_been_written_is_not_repeated(world: World) -> None:
    await world.send(1)
    await world.send(1)
    world.log.count_failures.append(CommitUnknown())
    await world.clock.advance(5)
    assert not world.log.duplicates


@pytest.mark.req("OPS-2")
async def test_draining_answers_what_waits_counts_and_takes_no_more(world: World) -> None:
    await world.send(1)
    await world.send(1)
    world.log.gate.clear()
    last = world.send(2)
    await settle()
    drained = asyncio.create_task(world.intake.drain())
    await settle()
    await refusal_of(world.send(3))
    assert not drained.done()
    world.log.gate.set()
    await drained
    assert last.done()
    assert world.log.duplicates == {1: 1}


@pytest.mark.req("SIG-2")
async def test_who_waits_when_the_intake_ends_is_refused() -> None:
    world = World()
    running = asyncio.create_task(world.intake.run())
    world.log.gate.clear()
    sent = world.send(1)
    await settle()
    running.cancel()
    await refusal_of(sent)
    await refusal_of(world.send(2))


async def test_the_memory_of_commits_is_bounded_and_keeps_the_latest() -> None:
    recent = RecentCommits(at_most=10)
    for number in range(100):
        recent.add(bytes([number]), number)
        assert len(recent) <= 10
    assert recent.find(bytes([99])) == 99
    assert recent.find(bytes([95])) == 95
    assert recent.find(bytes([0])) is None


@pytest.mark.req("SIG-10")
async def test_neighbours_hear_of_commits_and_of_nothing_that_failed(
    world: World,
) -> None:
    world.log.failures.append(StoreUnavailable())
    await refusal_of(world.send(1))
    world.log.lost_replies.append(CommitUnknown())
    await refusal_of(world.send(2))
    assert world.gossip.heard == []
    await world.send(1)
    assert world.gossip.heard == [("the first", 1)]


@pytest.mark.req("SIG-10")
async def test_a_neighbours_word_makes_the_log_look_first_and_a_false_one_swallows_nothing(
    world: World,
) -> None:
    fingerprints = [(await world.send(number)).fingerprint for number in (1, 2)]
    world.log.database = "the second"
    world.gossip.said = {("the second", fingerprint) for fingerprint in fingerprints}
    del world.log.rows[fingerprints[1]]
    assert (await world.send(1)).layer is DuplicateLayer.REDIS
    assert (await world.send(2)).layer is None


@pytest.mark.req("SIG-10")
async def test_while_no_connection_is_open_nothing_remembered_is_believed(world: World) -> None:
    await world.send(1)
    world.log.database = None
    world.log.failures.append(StoreUnavailable())
    await refusal_of(world.send(1))
    world.log.database = "the first"
    assert (await world.send(1)).layer is DuplicateLayer.MEMORY
