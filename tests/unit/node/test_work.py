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
from onefill.node.work import Work
from support import until
from turns import settle


class Idle:
    """A loop with nothing to do."""

    async def run(self, *_: Any) -> None:
        await asyncio.Event().wait()

    def sweep_now(self) -> None:
        """Nothing to look for."""

    async def broken_promises(self) -> Sequence[str]:
        return ()


class SlowReconciler:
    """Compares when it is let to; the broker is away."""

    def __init__(self) -> None:
        self.asked = 0
        self.answers = asyncio.Event()

    async def run_once(self, epoch: Epoch | None, trigger: str) -> Reconciled:
        self.asked += 1
        await self.answers.wait()
        return Reconciled(findings=(), unreachable=("sim",))


@asynccontextmanager
async def working(state: NodeState, reconciler: SlowReconciler) -> AsyncIterator[ManualClock]:
    """Work without leading, as in active-active mode; its clock."""
    clock = ManualClock()
    idle = cast(Any, Idle())
    work = Work(
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
    task = asyncio.create_task(work.run(None))
    yield clock
    task.cancel()
    await asyncio.wait({task})


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
