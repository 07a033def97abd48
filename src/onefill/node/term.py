"""One term of leadership: from the epoch's grant to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from onefill.core.book import WAIT, Decision, Situation
from onefill.core.errors import Fenced, StoreUnavailable
from onefill.core.ids import Epoch
from onefill.core.signal import LoggedSignal
from onefill.flow.decider import Decider
from onefill.flow.executor import Executor
from onefill.flow.resolver import Resolver
from onefill.flow.tracker import Tracker
from onefill.jobs.runner import Runner
from onefill.node.reconciling import Reconciling
from onefill.node.state import InstanceState, NodeState
from onefill.ports.clock import Clock
from onefill.ports.recovery import RecoveryStore
from onefill.ports.trading import Decide

RETRY_S = 1.0

log = structlog.get_logger()


class Watcher(Protocol):
    """A loop that writes nothing by itself, and so needs no epoch."""

    async def run(self) -> None:
        """Run until cancelled."""
        ...


class Term:
    """Runs what runs only while leading. It ends by being cancelled, or by being fenced off."""

    def __init__(
        self,
        *,
        state: NodeState,
        decider: Decider,
        executor: Executor,
        tracker: Tracker,
        resolver: Resolver,
        watchers: Sequence[Watcher],
        reconciling: Reconciling,
        jobs: Runner,
        recovery: RecoveryStore,
        brokers: Sequence[str],
        clock: Clock,
    ) -> None:
        self._state = state
        self._decider = decider
        self._executor = executor
        self._tracker = tracker
        self._resolver = resolver
        self._watchers = watchers
        self._reconciling = reconciling
        self._jobs = jobs
        self._recovery = recovery
        self._brokers = brokers
        self._fenced: Callable[[], None] = lambda: None
        self._clock = clock

    def on_fenced(self, callback: Callable[[], None]) -> None:
        """Call this when a guarded write was refused."""
        self._fenced = callback

    async def run(self, epoch: Epoch) -> None:
        """Recover, then act until cancelled."""
        self._state.epoch = epoch
        self._state.state = InstanceState.RECONCILING
        self._state.not_covered = set(self._brokers)
        try:
            if await self._is_whole():
                await self._act(epoch)
        except* Fenced:
            self._state.state = InstanceState.FENCED
            self._fenced()

    async def _is_whole(self) -> bool:
        """Whether the stored book keeps its promises; if not, nothing is executed (OPS-1)."""
        while True:
            try:
                broken = await self._recovery.broken_promises()
                break
            except StoreUnavailable as error:
                log.warning("term.store_unavailable", error=str(error))
                await self._clock.sleep(RETRY_S)
        self._state.broken = tuple(broken)
        for promise in broken:
            log.critical("term.broken_consistency", promise=promise, remedy="Run `onefill doctor`.")
        if broken:
            self._state.state = InstanceState.HALTED
        return not broken

    async def _act(self, epoch: Epoch) -> None:
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._resolver.run(epoch))
            loops.create_task(self._tracker.run())
            for watcher in self._watchers:
                loops.create_task(watcher.run())
            loops.create_task(self._decider.run(epoch))
            loops.create_task(self._executor.run(epoch))
            loops.create_task(self._reconciling.run(epoch))
            loops.create_task(self._jobs.run(epoch))
            self._state.state = InstanceState.ACTIVE


def only_where_covered(
    decide: Decide, state: NodeState, broker_of: Callable[[LoggedSignal], str]
) -> Decide:
    """The decision, but an entry waits while its broker is not reconciled (CTL-9)."""

    def decide_when_covered(logged: LoggedSignal, situation: Situation) -> Decision:
        if logged.signal.may_add_exposure and broker_of(logged) in state.not_covered:
            return WAIT
        return decide(logged, situation)

    return decide_when_covered
