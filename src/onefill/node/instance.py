"""One instance from start to stop: what runs always, and the order in which all of it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from onefill.core.errors import OnefillError, StoreUnavailable
from onefill.flow.awaiting import Awaiting
from onefill.flow.backoff import Backoff
from onefill.flow.intake import Intake
from onefill.flow.settler import Settler
from onefill.lead.elector import Elector
from onefill.lead.giving import Giving
from onefill.lead.takeover import Takeover
from onefill.node.leadership import Leadership
from onefill.node.pulse import Pulse
from onefill.node.reconciling import Reconciling
from onefill.node.state import NodeState
from onefill.node.work import Work
from onefill.ports.broker import Broker
from onefill.ports.clock import Clock

STOP_WITHIN_S = 5.0

log = structlog.get_logger()


class Server(Protocol):
    """Where requests come in."""

    async def start(self) -> int:
        """Listen; the port."""
        ...

    async def stop(self) -> None:
        """Accept no more, finish what is under way."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Executing:
    """What an instance that executes has besides: the right to lead, and its terms.

    always: whether it works without leading too (active-active). beside: loops that nothing waits
    for.
    """

    elector: Elector
    leadership: Leadership
    takeover: Takeover
    giving: Giving
    settler: Settler
    brokers: Sequence[Broker]
    work: Work
    always: bool
    reconciling: Reconciling
    beside: Sequence[Callable[[], Coroutine[Any, Any, None]]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """An instance's parts, made and connected. prepare: what must succeed before it is ready.

    beside: loops that nothing waits for. listening: told of the port. warm: what may be slow,
    once it is ready. leave: says that it stops. close: lets go of all.
    """

    state: NodeState
    server: Server
    intake: Intake
    awaiting: Awaiting
    pulse: Pulse
    executing: Executing | None
    beside: Sequence[Callable[[], Coroutine[Any, Any, None]]]
    takes_in: bool
    prepare: Callable[[], Awaitable[None]]
    listening: Callable[[int], None]
    warm: Callable[[], Coroutine[Any, Any, None]]
    leave: Callable[[], Awaitable[None]]
    close: Callable[[], Awaitable[None]]
    clock: Clock


class Instance:
    """Runs its parts until it is told to stop, or one of them ends unexpectedly."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set. Raises what ended a part; the caller exits, and is restarted:
        safety holds at any instruction, so nothing is repaired in a process that is not sound."""
        parts = self._parts
        parts.listening(await parts.server.start())
        try:
            if await self._is_prepared(stop):
                await self._serve(stop)
        finally:
            await parts.close()

    async def _is_prepared(self, stop: asyncio.Event) -> bool:
        """Migrate and connect, as soon as there is a database; False when told to stop before."""
        backoff = Backoff(self._parts.clock)
        while not stop.is_set():
            try:
                await self._parts.prepare()
                return True
            except StoreUnavailable as error:
                log.warning("instance.waits_for_database", error=str(error))
                await backoff.wait()
        await self._parts.server.stop()
        return False

    async def _serve(self, stop: asyncio.Event) -> None:
        parts = self._parts
        async with asyncio.TaskGroup() as tasks:
            loops = [tasks.create_task(loop) for loop in self._loops()]
            parts.state.database_up = True
            parts.state.taking_in = parts.takes_in
            log.info("instance.ready", instance=parts.state.instance)
            loops.append(tasks.create_task(parts.warm()))
            await stop.wait()
            await self._stop()
            for loop in loops:
                loop.cancel()

    def _loops(self) -> list[Coroutine[Any, Any, None]]:
        parts = self._parts
        loops: list[Coroutine[Any, Any, None]] = [
            parts.intake.run(),
            parts.awaiting.run(),
            parts.pulse.run(),
            *(run() for run in parts.beside),
        ]
        if parts.executing is not None:
            executing = parts.executing
            loops += [
                executing.settler.run(),
                executing.elector.run(),
                executing.leadership.watch(),
                executing.giving.run(),
                *(run() for run in executing.beside),
                *([executing.work.run(None)] if executing.always else []),
                *(self._start_broker(broker) for broker in executing.brokers),
            ]
        return loops

    async def _start_broker(self, broker: Broker) -> None:
        """Reach the broker as soon as it can be had; until then nothing is sent there."""
        backoff, away = Backoff(self._parts.clock), self._parts.state.brokers_away
        away.add(broker.name)
        while True:
            try:
                await broker.start()
                away.discard(broker.name)
                return
            except OnefillError as error:
                log.warning("instance.waits_for_broker", broker=broker.name, error=str(error))
                await backoff.wait()

    async def _stop(self) -> None:
        """OPS-2: not ready at once; finish requests and sends; hand over; flush."""
        parts = self._parts
        parts.state.taking_in = False
        log.info("instance.stopping", instance=parts.state.instance)
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await parts.server.stop()
                await parts.intake.drain()
                if parts.executing is not None:
                    await self._hand_over(parts.executing)
                await parts.leave()
        except TimeoutError:
            log.error(
                "instance.stopped_unfinished", remedy="Nothing to do: the next start does it."
            )

    async def _hand_over(self, executing: Executing) -> None:
        """Give control away if it is ours, and finish what was sent."""
        await executing.takeover.close()
        try:
            await executing.giving.leave()
        except StoreUnavailable as error:
            # To whom is not known, so the lease ends with this process; its sends don't.
            log.warning("instance.not_handed_over", error=str(error))
            await executing.leadership.step_down()
        executing.work.abandon()
        await executing.work.stop()
