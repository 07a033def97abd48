"""Giving control away: the holder's side of a takeover, of a release, and of a clean stop."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from onefill.core.control.handover import HandoverTiming, Step, holder_agrees
from onefill.core.control.succession import best_successor
from onefill.core.errors import StoreUnavailable
from onefill.core.ids import Epoch
from onefill.lead.elector import Elector
from onefill.lead.roll_call import RollCall
from onefill.ports.clock import Clock
from onefill.ports.failpoints import Failpoint, reach
from onefill.ports.handover import HandoverStore, Operation
from onefill.ports.lease import LEADER, Holder
from onefill.ports.messages import EVERYBODY, Message, MessageKind, Messages
from onefill.ports.peers import Peer

LOOK_EVERY_S = 0.5

log = structlog.get_logger()


class Released(enum.Enum):
    """What became of a wish to give control up."""

    HANDED_OVER = "handed over"
    INTO_NOTHING = "nobody is active now"
    NOT_HELD = "this instance does not hold control"
    ALONE = "there is no other instance to take over"
    SILENT = "no other instance answers"
    FAILED = "it could not be handed over"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepping:
    """How the node stops acting. down: stop effects, and return when all that was sent is told."""

    down: Callable[[], Awaitable[None]]
    stepped_down: Callable[[Epoch], None]


class Giving:
    """Waits, while it leads, for a request; drains, and transfers the lease in one step."""

    def __init__(
        self,
        *,
        me: Holder,
        elector: Elector,
        requests: HandoverStore,
        messages: Messages,
        others: Callable[[], Awaitable[Sequence[Peer]]],
        stepping: Stepping,
        timing: HandoverTiming,
        clock: Clock,
    ) -> None:
        self._me = me
        self._elector = elector
        self._requests = requests
        self._messages = messages
        self._others = others
        self._stepping = stepping
        self._timing = timing
        self._clock = clock
        self._woken = asyncio.Event()
        self._turn = asyncio.Lock()
        self._notes: set[asyncio.Task[None]] = set()
        self._roll_call = RollCall(me=me, messages=messages, clock=clock)
        messages.subscribe(self._hear)

    async def run(self) -> None:
        """Answer requests until cancelled. A lost message costs one look's time."""
        while True:
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._woken.wait()
            except TimeoutError:
                pass
            self._woken.clear()
            epoch = self._elector.epoch
            if epoch is not None:
                await self._answer(epoch)

    async def leave(self) -> Released:
        """A clean stop: give control away, into nothing if need be, and don't get it again."""
        self._roll_call.leave()
        return await self.release(into_nothing=True, reason="shutdown")

    async def release(self, *, into_nothing: bool, reason: str) -> Released:
        """Give control to the best other instance; into nothing only when that is allowed.

        Who released does not take it again by itself while another could (CTL-14).
        """
        async with self._turn:
            epoch = self._elector.epoch
            if epoch is None:
                return Released.NOT_HELD
            others = await self._others()
            heir = await self._heir(others)
            if heir is None and not into_nothing:
                return Released.SILENT if others else Released.ALONE
            if self._elector.epoch != epoch:
                return Released.NOT_HELD
            self._elector.heir = replace(self._elector.heir, has_released=True)
            await self._drain()
            if heir is None:
                await self._elector.release(reason)
                self._stepping.stepped_down(epoch)
                return Released.INTO_NOTHING
            done = await self._transfer(epoch, heir, reason)
            return Released.HANDED_OVER if done else Released.FAILED

    async def _heir(self, others: Sequence[Peer]) -> Holder | None:
        """The best of those that answer, asked while we still act: who was killed or paused a
        moment ago would leave a lease's time of nobody. None where nobody answers: a lease that is
        nobody's is free at once for whoever lives."""
        best = _best(others)
        if best is None or not self._roll_call.is_possible:
            return best
        present = await self._roll_call.present(best.instance)
        if best.instance in present:
            return best
        log.warning("release.silent", instance=best.instance, answered=sorted(present))
        return _best([one for one in await self._others() if one.holder.instance in present])

    async def _answer(self, epoch: Epoch) -> None:
        try:
            operation = await self._requests.current(LEADER, epoch)
        except StoreUnavailable:
            return
        if operation is None or not holder_agrees(operation.request, epoch, self._timing):
            return
        async with self._turn:
            if self._elector.epoch == epoch:
                await self._hand_over(epoch, operation)

    async def _hand_over(self, epoch: Epoch, operation: Operation) -> None:
        log.info("handover.draining", to=operation.requester.instance, epoch=epoch)
        self._note(operation, Step.DRAINING)
        is_whole = await self._drain()
        self._note(operation, Step.DRAINED, None if is_whole else "some sends are still open")
        reach(Failpoint.HANDOVER_DRAINED)
        if await self._transfer(epoch, operation.requester, "takeover"):
            self._note(operation, Step.TRANSFERRED)

    async def _drain(self) -> bool:
        """Stop all effects; what is still being sent when the time is over stays SENDING."""
        try:
            async with asyncio.timeout(self._timing.drain_ms / 1000):
                await self._stepping.down()
        except TimeoutError:
            log.warning("handover.not_drained", limit_ms=self._timing.drain_ms)
            return False
        return True

    async def _transfer(self, epoch: Epoch, to: Holder, reason: str) -> bool:
        """Where it fails we follow as well: the elector looks who holds the lease, and we lead
        again if it is us."""
        new = await self._elector.hand_over(to, reason)
        if new is not None:
            reach(Failpoint.HANDOVER_TRANSFERRED)
        self._stepping.stepped_down(epoch)
        if new is None:
            return False
        await self._messages.publish(
            Message(
                kind=MessageKind.READY,
                sender=self._me.instance,
                to=EVERYBODY,
                sent_at=self._clock.wall(),
                epoch=new,
            )
        )
        return True

    def _note(self, operation: Operation, step: Step, detail: str | None = None) -> None:
        """Record it beside the way: who waits for control does not wait for the record."""
        task = asyncio.create_task(self._record(operation, step, detail))
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)

    async def _record(self, operation: Operation, step: Step, detail: str | None) -> None:
        try:
            await self._requests.note(operation.id, step, self._me.instance, detail)
        except StoreUnavailable as error:
            log.warning("handover.step_not_recorded", step=step.value, error=str(error))

    def _hear(self, message: Message) -> None:
        if not message.is_for(self._me.instance):
            return
        if message.kind is MessageKind.DEACTIVATE:
            self._woken.set()
        elif message.kind is MessageKind.READY:
            self._elector.look_now()


def _best(peers: Sequence[Peer]) -> Holder | None:
    holders = {one.heir: one.holder for one in peers}
    heir = best_successor(list(holders))
    return holders[heir] if heir is not None else None
