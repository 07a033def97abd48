"""Whether brokers are covered, while this instance leads and while it does not (CTL-9)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from manual_clock import ManualClock
from onefill.core.ids import Epoch
from onefill.flow.reconciler import Reconciled
from onefill.node.state import NodeState
from onefill.node.work import PROVED_FOR_MS, Work
from support import until
from turns import settle


class Idle:
    """A loop with nothing to do."""

    async def run(self, *_: Any) -> None:
        await asyncio.Event().wait()

    def sweep_now(self) -> None:
        """Nothing to look for."""

    def __init__(self) -> None:
        self.audits = 0
        self.broken: Sequence[str] = ()

    async def broken_promises(self) -> Sequence[str]:
        self.audits += 1
        return self.broken


class SlowReconciler:
    """Compares when it is let to; the broker is away."""

    def __init__(self) -> None:
        self.asked = 0
        self.answers = asyncio.Event()

    async def run_once(self, epoch: Epoch | None, trigger: str) -> Reconciled:
        self.asked += 1
        await self.answers.wait()
        return Reconciled(findings=(), unreachable=("sim",))


def work_of(state: NodeState, reconciler: SlowReconciler, clock: ManualClock, loop: Idle) -> Work:
    idle = cast(Any, loop)
    return Work(
        state=state,
        decider=idle,
        executor=idle,
        tracker=idle,
        settler=idle,
        reconciler=cast(Any, reconciler),
        reconciling=idle,
        recovery=idle,
        brokers=["sim"],
        clock=clock,
    )


@asynccontextmanager
async def working(state: NodeState, reconciler: SlowReconciler) -> AsyncIterator[ManualClock]:
    """Work without leading, as in active-active mode; its clock."""
    clock = ManualClock()
    async with running(work_of(state, reconciler, clock, Idle()), None):
        yield clock


@asynccontextmanager
async def running(work: Work, epoch: Epoch | None) -> AsyncIterator[None]:
    """That work, until the block ends."""
    task = asyncio.create_task(work.run(epoch))
    await settle()
    yield
    task.cancel()
    await asyncio.wait({task})


@pytest.mark.req("CTL-9", "P-5")
async def test_a_book_that_was_proved_for_a_takeover_is_not_read_again_while_nobody_leads() -> None:
    clock, book = ManualClock(), Idle()
    work = work_of(NodeState("dev", "1"), SlowReconciler(), clock, book)
    assert await work.proves_whole()
    async with running(work, Epoch(1)):
        assert book.audits == 1
    async with running(work, Epoch(3)):
        assert book.audits == 2  # nobody proved it for this one
    assert await work.proves_whole()
    await clock.advance(PROVED_FOR_MS / 1000)
    async with running(work, Epoch(5)):
        assert book.audits == 4  # and what was proved too long ago is looked at again


@pytest.mark.req("CTL-9", "CTL-8")
async def test_what_was_proved_of_a_store_that_lost_commits_since_is_read_again() -> None:
    state, book = NodeState("dev", "1"), Idle()
    work = work_of(state, SlowReconciler(), ManualClock(), book)
    assert await work.proves_whole()
    state.loss = cast(Any, "an older copy")
    async with running(work, Epoch(1)):
        assert book.audits == 2


@pytest.mark.req("CTL-9", "P-5", "P-8")
async def test_who_executes_anyway_proves_its_book_when_it_is_started() -> None:
    book = Idle()
    work = work_of(NodeState("dev", "1"), SlowReconciler(), ManualClock(), book)
    async with running(work, None):
        assert await work.proves_whole()
        assert book.audits == 1
    book.broken, state = ("a promise",), NodeState("dev", "1")
    halted = work_of(state, SlowReconciler(), ManualClock(), book)
    async with running(halted, None):
        book.broken = ()  # somebody mended it; what would execute has ended even so
        assert not await halted.proves_whole()
        assert state.broken == ("a promise",)


@pytest.mark.req("CTL-9")
async def test_a_comparison_begun_before_leading_overrules_none_of_the_leaders() -> None:
    state, reconciler = NodeState("prod", "1"), SlowReconciler()
    async with working(state, reconciler):
        await until(lambda: reconciler.asked == 1)
        state.epoch = Epoch(1)
        state.not_covered = set()  # as the leader's own loop does
        reconciler.answers.set()
        await settle()
        assert state.not_covered == set()


@pytest.mark.req("CTL-9")
async def test_what_a_short_term_left_uncovered_is_covered_after_it() -> None:
    state, reconciler = NodeState("prod", "1"), SlowReconciler()
    async with working(state, reconciler) as clock:
        await until(lambda: reconciler.asked == 1)
        state.epoch = Epoch(1)  # a term begins, covers nothing, and ends
        reconciler.answers.set()
        await settle()
        await clock.advance(5)
        state.epoch = None
        await clock.advance(5)
        assert reconciler.asked > 1
