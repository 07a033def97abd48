"""One simulated process: the real parts on simulated ports, and what arrives at its door."""

from __future__ import annotations

import asyncio
from typing import Any

from onefill.core.errors import StoreUnavailable
from onefill.core.ids import Epoch, Lane
from onefill.core.intake import parse
from onefill.core.signal import SignalStatus, fingerprint
from onefill.flow.awaiting import Awaiting
from onefill.flow.intake import Intake
from onefill.node.instance import Executing, Instance, Parts
from onefill.node.pulse import Pulse
from onefill.node.state import NodeState
from onefill.node.sync import SyncHealth
from onefill.ports.hints import Inbox, Topic
from onefill.ports.intake import IntakeUnavailable
from onefill.ports.metrics import Metrics
from onefill.sim.executing import build_executing
from onefill.sim.protections import Protection
from onefill.sim.rules import ZONES
from onefill.sim.signal_log import SimSignalLog
from onefill.sim.surroundings import Shared, Surroundings


class _NoServer:
    """Implements node.instance.Server: requests come in through `SimInstance.take_in`."""

    async def start(self) -> int:
        """There is no port."""
        return 0

    async def stop(self) -> None:
        """There is nothing to stop."""


async def _nothing() -> None:
    return


class SimInstance:
    """A process's parts. Made, and run, inside its own loop."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        metrics = Metrics()
        self._shared = Shared(
            around=around,
            state=NodeState(around.me.instance, str(around.me.boot)),
            metrics=metrics,
            sync=SyncHealth(metrics),
            lanes=Inbox[Lane](),
            ended=Topic[tuple[int, SignalStatus, str | None]](),
        )
        self.stop = asyncio.Event()
        self._log = SimSignalLog(
            around.held(), around.held(), is_unique=around.has(Protection.DEDUP)
        )
        self._intake = Intake(
            signal_log=self._log,
            lanes=self._shared.lanes,
            metrics=metrics,
            clock=around.clock,
        )
        self._executing: Executing = build_executing(self._shared)

    @property
    def epoch(self) -> Epoch | None:
        """Under which epoch it believes to lead; by its own deadline."""
        return self._executing.elector.epoch

    async def run(self) -> None:
        """Serve until `stop` is set."""
        shared, around = self._shared, self._around
        parts = Parts(
            state=shared.state,
            server=_NoServer(),
            intake=self._intake,
            awaiting=Awaiting(signal_log=self._log, ended=shared.ended, clock=around.clock),
            pulse=self._pulse(),
            executing=self._executing,
            beside=(shared.vigil.run,),
            takes_in=True,
            prepare=_nothing,
            listening=lambda port: None,
            warm=_nothing,
            leave=_nothing,
            close=_nothing,
            clock=around.clock,
        )
        await Instance(parts).run(self.stop)

    async def take_in(self, body: bytes) -> bool:
        """A webhook; whether it was acknowledged."""
        around = self._around
        valid = parse.parse(body, now=around.clock.wall(), zones=ZONES)
        if not isinstance(valid, parse.Valid) or not self._shared.state.taking_in:
            return False
        identity = fingerprint(valid.signal)
        if not around.has(Protection.DURABLE):
            around.watch.acknowledging(identity)
        try:
            await self._intake.take_in(valid.signal, valid.payload)
        except IntakeUnavailable:
            return False
        around.watch.acknowledging(identity)
        return True

    async def take_control(self, *, force: bool) -> None:
        """A person clicks."""
        await self._act(self._executing.takeover.click(force=force))

    async def release_control(self) -> None:
        """A person clicks."""
        await self._act(self._executing.giving.release(into_nothing=False, reason="release"))

    async def _act(self, action: Any) -> None:
        try:
            await action
        except StoreUnavailable:
            return  # the person sees so, and may try again

    def _pulse(self) -> Pulse:
        shared = self._shared
        return Pulse(
            state=shared.state,
            metrics=shared.metrics,
            clock=self._around.clock,
            look=_nothing,
            beat=shared.peers.beat,
            measure=_nothing,
            sync=shared.sync,
            shown=lambda: shared.state.state,
        )
