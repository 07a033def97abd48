"""From «the epoch is mine» to running terms, and back: what the elector's word sets in motion."""

from __future__ import annotations

import asyncio

import structlog

from onefill.core.ids import Epoch
from onefill.flow.executor import Executor
from onefill.node.logs import LogContext
from onefill.node.state import InstanceState, NodeState
from onefill.node.term import Term
from onefill.ports.lease import LEADER
from onefill.ports.metrics import Metrics

log = structlog.get_logger()


class Leadership:
    """Starts a term for each epoch, one after the other, and ends it the moment that it must."""

    def __init__(
        self,
        *,
        term: Term,
        executor: Executor,
        state: NodeState,
        metrics: Metrics,
        log_context: LogContext,
    ) -> None:
        self._term = term
        self._executor = executor
        self._state = state
        self._metrics = metrics
        self._log_context = log_context
        self._current: asyncio.Task[None] | None = None
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def start(self, epoch: Epoch) -> None:
        """Lead from now on."""
        self._log_context.epoch = epoch
        log.error("BECAME LEADER - Now processing signals", epoch=epoch)
        self._metrics.leadership_changes.add("election")
        self._show(1, epoch)
        self._current = asyncio.create_task(self._run(epoch, self._current))

    def stop(self, epoch: Epoch, reason: str) -> None:
        """Start nothing more; what is being sent goes to its end."""
        log.critical("LOST LEADERSHIP - Stopped processing signals", epoch=epoch, reason=reason)
        self._metrics.leadership_changes.add(reason)
        self._show(0, epoch)
        self._end()

    async def step_down(self) -> None:
        """Stop by our own will, and return when every request sent has its answer told."""
        if self._state.epoch is not None:
            log.error("Released leadership - Stopped processing signals", epoch=self._state.epoch)
        self._end()
        if self._current is not None:
            await asyncio.wait({self._current})
        await self._executor.drained()

    async def watch(self) -> None:
        """Raise what ended a term unexpectedly: the process must not go on as if it led."""
        await asyncio.shield(self._broken)

    def _end(self) -> None:
        self._state.epoch = None
        self._state.state = InstanceState.STANDBY
        self._log_context.epoch = None
        if self._current is not None:
            self._current.cancel()
        self._executor.abandon()

    async def _run(self, epoch: Epoch, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait({before})
        try:
            await self._term.run(epoch)
        except Exception as error:
            if not self._broken.done():
                self._broken.set_exception(error)

    def _show(self, leads: int, epoch: Epoch) -> None:
        self._metrics.leader.set(leads, self._state.instance)
        self._metrics.epoch.set(epoch, LEADER)
