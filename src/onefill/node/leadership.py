"""From «the epoch is mine» to running terms, and back: what the elector's word sets in motion."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from onefill.core.control.states import ControlEvent, InstanceState
from onefill.core.ids import Epoch
from onefill.node.logs import LogContext
from onefill.node.state import NodeState
from onefill.node.sync import SyncHealth
from onefill.node.term import Term, run_fenced
from onefill.ports.clock import Clock
from onefill.ports.lease import LEADER
from onefill.ports.metrics import Metrics

PROTECTS = "nothing new; positions of the direct policy have no stops of ours to keep"

log = structlog.get_logger()


class Leadership:
    """Starts a term for each epoch, one after the other, and ends it the moment that it must.

    Its lines are in the levels of CTL-19: a change of the leader has to reach the pager.
    is_sole_authority: whether the lease's store holds everything else as well, so that nobody can
    write anything while it is away (CTL-10, shared-redis). goes_on: whether this instance executes
    without leading too (active-active): its lines say so.
    """

    def __init__(
        self,
        *,
        term: Term,
        state: NodeState,
        metrics: Metrics,
        sync: SyncHealth,
        log_context: LogContext,
        clock: Clock,
        is_sole_authority: bool = False,
        goes_on: bool = False,
    ) -> None:
        self._goes_on = goes_on
        self._is_sole_authority = is_sole_authority
        self._is_seen = True
        self._term = term
        self._state = state
        self._metrics = metrics
        self._sync = sync
        self._log_context = log_context
        self._clock = clock
        self._check: Callable[[Epoch], None] = lambda epoch: None
        self._fenced: Callable[[], None] = lambda: None
        self._survived: Callable[[Epoch, str], None] = lambda epoch, reason: None
        self._leads: Callable[[], None] = lambda: None
        self._current: asyncio.Task[None] | None = None
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connect(
        self,
        *,
        fenced: Callable[[], None],
        check: Callable[[Epoch], None],
        survived: Callable[[Epoch, str], None] = lambda epoch, reason: None,
        leads: Callable[[], None] = lambda: None,
    ) -> None:
        """fenced: to be told of a refused guarded write. check: of each renewal. survived: of an
        epoch that ended against our will, and that we outlived, and how it ended. leads: of each
        epoch that begins."""
        self._fenced = fenced
        self._check = check
        self._survived = survived
        self._leads = leads

    # What the elector says (lead.elector.Watcher) ----------------------------------------------

    def started(self, epoch: Epoch, reason: str, suspected_ms: float | None) -> None:
        """Lead from now on."""
        self._log_context.epoch = epoch
        self._state.epoch = epoch
        log.error(
            "BECAME LEADER - Now processing signals",
            epoch=epoch,
            reason=reason,
            processing_signals=True,
        )
        self._metrics.leadership_changes.add(reason)
        self._sync.leadership_changes += 1
        self._show(1, epoch)
        self._state.move(ControlEvent.ELECTED)
        self._current = asyncio.create_task(self._run(epoch, self._current, suspected_ms))
        self._leads()

    def stopped(self, epoch: Epoch, reason: str) -> None:
        """Start nothing more; what is being sent goes to its end."""
        log.critical(
            "LOST LEADERSHIP - Stopped processing signals",
            epoch=epoch,
            reason=reason,
            processing_signals=self._goes_on,
        )
        self._show(0, epoch)
        is_away = self._is_sole_authority and not self._is_seen
        self._end(ControlEvent.AUTHORITY_AWAY if is_away else ControlEvent.LOST)
        if self._state.state is InstanceState.PROTECT_ONLY:
            log.error("[REDIS] Unavailable, using in-memory cache", epoch=epoch, sends=PROTECTS)
        self._survived(epoch, reason)

    def synced(self, latency_ms: float, *, is_good: bool) -> None:
        """The lease store was asked."""
        self._sync.note(latency_ms, is_good=is_good)
        self._is_seen = is_good
        if is_good:
            self._state.move(ControlEvent.AUTHORITY_SEEN)

    def renewed(self, epoch: Epoch) -> None:
        """The lease was prolonged."""
        self._check(epoch)

    # Handing over -------------------------------------------------------------------------------

    async def step_down(self) -> None:
        """Stop by our own will, and return when every request sent has its answer stored."""
        self._end(ControlEvent.STEP_DOWN)
        if self._current is not None:
            await asyncio.wait({self._current})
        await self._term.stop()

    def stepped_down(self, epoch: Epoch) -> None:
        """The lease is somebody else's, or nobody's."""
        log.error(
            "Released leadership - Stopped processing signals",
            epoch=epoch,
            processing_signals=self._goes_on,
        )
        self._show(0, epoch)
        self._state.move(ControlEvent.LOST)

    def resumed(self) -> None:
        """SAFE is over: whoever holds the lease reads its way in anew."""
        epoch = self._state.epoch
        if epoch is not None and self._current is not None:
            self._state.move(ControlEvent.ELECTED)
            self._current.cancel()
            self._current = asyncio.create_task(self._run(epoch, self._current, None))

    async def watch(self) -> None:
        """Raise what ended a term unexpectedly: the process must not go on as if it led."""
        await asyncio.shield(self._broken)

    def _end(self, event: ControlEvent) -> None:
        self._state.epoch = None
        self._log_context.epoch = None
        self._state.move(event)
        if self._current is not None:
            self._current.cancel()
        self._term.abandon()

    async def _run(
        self, epoch: Epoch, before: asyncio.Task[None] | None, suspected_ms: float | None
    ) -> None:
        if before is not None:
            await asyncio.wait({before})

        def note(state: InstanceState) -> None:
            if state is InstanceState.ACTIVE and suspected_ms is not None:
                took_ms = self._clock.boottime_ms() - suspected_ms
                self._metrics.failover_seconds.observe(took_ms / 1000)

        forget = self._state.changed.subscribe(note)
        try:
            await run_fenced(self._term, epoch, self._state, self._fenced)
        except Exception as error:
            if not self._broken.done():
                self._broken.set_exception(error)
        finally:
            forget()

    def _show(self, leads: int, epoch: Epoch) -> None:
        self._metrics.leader.set(leads, self._state.instance)
        self._metrics.epoch.set(epoch, LEADER)
