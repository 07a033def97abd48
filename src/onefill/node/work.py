"""Executing: decide, claim, send, track. Everywhere in active-active; else while leading."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from onefill.core.book import WAIT, Decision, Situation
from onefill.core.control.states import ControlEvent
from onefill.core.errors import StoreUnavailable
from onefill.core.ids import Epoch
from onefill.core.signal import LoggedSignal
from onefill.flow.decider import Decider
from onefill.flow.executor import Executor
from onefill.flow.reconciler import Reconciler
from onefill.flow.settler import Settler
from onefill.flow.tracker import Tracker
from onefill.node.reconciling import Reconciling
from onefill.node.state import NodeState
from onefill.ports.clock import Clock
from onefill.ports.recovery import RecoveryStore
from onefill.ports.trading import Decide

RETRY_S = 1.0
PROVED_FOR_MS = 15_000
"""As long as a takeover by hand may last, by default: one that lasts longer looks again."""

log = structlog.get_logger()


class Work:
    """The loops that trade, and what must hold before they may."""

    def __init__(
        self,
        *,
        state: NodeState,
        decider: Decider,
        executor: Executor,
        tracker: Tracker,
        settler: Settler,
        reconciler: Reconciler,
        reconciling: Reconciling,
        recovery: RecoveryStore,
        brokers: Sequence[str],
        clock: Clock,
    ) -> None:
        self._state = state
        self._decider = decider
        self._executor = executor
        self._tracker = tracker
        self._settler = settler
        self._reconciler = reconciler
        self._reconciling = reconciling
        self._recovery = recovery
        self._brokers = brokers
        self._clock = clock
        self._executes_always = self._is_halted = False
        self._proved_ms = float("-inf")

    async def run(self, epoch: Epoch | None, able: Callable[[], None] = lambda: None) -> None:
        """Check the book, then work until cancelled; `able` is told when that begins.

        epoch: that fences each decision and claim; None in active-active mode, where the lane's
        lock and the intent's compare-and-set do. Raises Fenced when the epoch is over.
        """
        self.uncover()
        if not (self._was_proved() or await self.is_whole()):
            self._is_halted = epoch is None
            return
        self._executes_always = epoch is None
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._tracker.run())
            loops.create_task(self._decider.run(epoch))
            loops.create_task(self._executor.run(epoch))
            if epoch is None:
                loops.create_task(self._cover())
            able()

    def uncover(self) -> None:
        """From now on no broker counts as compared with; new exposure waits for it."""
        self._state.not_covered = set(self._brokers)

    async def reconcile(self, epoch: Epoch) -> None:
        """The leader's part: compare with the brokers, now, regularly and when asked."""
        await self._reconciling.run(epoch)

    async def stop(self) -> None:
        """Start nothing more, and return when every request sent has its answer stored."""
        self._executor.abandon()
        await self._executor.drained()
        await self.settled()

    async def settled(self) -> None:
        """Return when all that brokers have said until now is stored."""
        await self._settler.drained()

    def abandon(self) -> None:
        """Start nothing more; what is being sent goes to its end."""
        self._executor.abandon()

    async def proves_whole(self) -> bool:
        """The same as `is_whole`, before control is taken. Who executes anyway looked when it was
        started, once: what it found broken then it doesn't execute before it is started again.
        Who does not looks now, while another leads, and not while nobody does."""
        if self._executes_always:
            return True
        if self._is_halted or not await self.is_whole():
            return False
        self._proved_ms = self._clock.boottime_ms()
        return True

    def _was_proved(self) -> bool:
        """Whether the book was found whole for the takeover that begins this run."""
        proved_ms, self._proved_ms = self._proved_ms, float("-inf")
        is_fresh = self._clock.boottime_ms() - proved_ms < PROVED_FOR_MS
        return is_fresh and self._state.loss is None

    async def is_whole(self) -> bool:
        """Whether the stored book keeps its promises; if not, nothing is executed (OPS-1)."""
        while True:
            try:
                broken = await self._recovery.broken_promises()
                break
            except StoreUnavailable as error:
                log.warning("work.store_unavailable", error=str(error))
                await self._clock.sleep(RETRY_S)
        self._state.broken = tuple(broken)
        for promise in broken:
            log.critical("work.broken_consistency", promise=promise, remedy="Run `onefill doctor`.")
        if broken:
            self._state.move(ControlEvent.BOOK_BROKEN)
        return not broken

    async def _cover(self) -> None:
        """Compare whatever is not covered while another leads; while we lead, its own loop does.

        It never ends: a term that ends early leaves brokers behind that it did not cover.
        """
        while True:
            if self._state.not_covered and self._state.epoch is None:
                await self._cover_once()
            await self._clock.sleep(RETRY_S)

    async def _cover_once(self) -> None:
        try:
            result = await self._reconciler.run_once(None, "start")
        except StoreUnavailable as error:
            log.warning("work.not_reconciled", error=str(error))
            return
        if self._state.epoch is None:  # else the leader's loop has seen more than we have
            stopped = {finding.broker for finding in result.blocking}
            self._state.not_covered = {*result.unreachable, *stopped}
            self._decider.sweep_now()


def only_where_covered(
    decide: Decide, state: NodeState, broker_of: Callable[[LoggedSignal], str]
) -> Decide:
    """The decision, but an entry waits while its broker is not reconciled (CTL-9)."""

    def decide_when_covered(logged: LoggedSignal, situation: Situation) -> Decision:
        waits = logged.signal.may_add_exposure and broker_of(logged) in state.not_covered
        # In SAFE only what may have been sent before is decided, to be looked up, not sent.
        if waits and state.loss is None:
            return WAIT
        return decide(logged, situation)

    return decide_when_covered
