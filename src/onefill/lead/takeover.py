"""Take control: the requester's side. One durable operation, whoever clicks how often."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID, uuid5

import structlog

from onefill.core.control.handover import HandoverTiming, RequesterMove, Sight, Step, requester_move
from onefill.core.control.states import ControlEvent
from onefill.core.errors import StoreUnavailable
from onefill.core.ids import Epoch
from onefill.lead.elector import Elector
from onefill.ports.clock import Clock
from onefill.ports.failpoints import Failpoint, reach
from onefill.ports.handover import HandoverStore, NewRequest, Operation
from onefill.ports.lease import LEADER, Holder, Lease, LeaseStore
from onefill.ports.messages import Message, MessageKind, Messages
from onefill.ports.metrics import Metrics

LOOK_EVERY_S = 0.1
REMIND_EVERY_MS = 1_000
ABLE_WITHIN_S = 10.0

log = structlog.get_logger()


class Outcome(enum.Enum):
    """What became of a click."""

    ALREADY_ACTIVE = "this instance is active already"
    STARTED = "the takeover has begun"
    IN_PROGRESS = "a takeover is in progress already"
    OVERTAKEN = "control changed hands meanwhile"
    NOT_READY = "this instance can't act now"


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """The answer to one. wait_s: until when it is over at the latest."""

    outcome: Outcome
    detail: str = ""
    wait_s: float = 0
    operation: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """What the requester needs of its node. prove: why it can't act now; None: it can."""

    is_active: Callable[[], bool]
    move: Callable[[ControlEvent], None]
    prove: Callable[[], Awaitable[str | None]]


class Takeover:
    """Runs at most one operation at a time."""

    def __init__(
        self,
        *,
        me: Holder,
        elector: Elector,
        leases: LeaseStore,
        requests: HandoverStore,
        messages: Messages,
        surface: Surface,
        timing: HandoverTiming,
        ttl_ms: int,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._me = me
        self._elector = elector
        self._leases = leases
        self._requests = requests
        self._messages = messages
        self._surface = surface
        self._timing = timing
        self._ttl_ms = ttl_ms
        self._metrics = metrics
        self._clock = clock
        self._running: asyncio.Task[None] | None = None
        self._operation: Operation | None = None
        self._by_force = False
        self._clicks = 0
        self._woken = asyncio.Event()
        messages.subscribe(self._hear)

    @property
    def operation(self) -> UUID | None:
        """The operation that this instance runs now."""
        if self._running is None or self._running.done() or self._operation is None:
            return None
        return self._operation.id

    async def click(self, *, force: bool, epoch: Epoch | None = None) -> Click:
        """Begin a takeover, or say what is in its way. Raises StoreUnavailable.

        epoch: the one that the person saw; when it is over, nothing is begun.
        """
        if self._surface.is_active():
            return Click(outcome=Outcome.ALREADY_ACTIVE)
        if self.operation is not None:
            self._by_force = self._by_force or force
            self._woken.set()
            return self._in_progress(self.operation)
        lease = await self._leases.read(LEADER)
        expected = lease.epoch if lease is not None else Epoch(0)
        if epoch is not None and epoch != expected:
            return Click(outcome=Outcome.OVERTAKEN, detail=_holder_in_words(lease))
        return await self._open(expected, force)

    async def close(self) -> None:
        """Go on with nothing."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})

    async def _open(self, expected: Epoch, force: bool) -> Click:
        self._clicks += 1
        wanted = NewRequest(
            id=uuid5(self._me.boot, f"{LEADER}/{expected}/{self._clicks}"),
            resource=LEADER,
            expected=expected,
            requester=self._me,
            by_force=force,
            patience_ms=self._timing.forced_after_ms + self._timing.drain_ms,
        )
        operation = await self._requests.open(wanted)
        if operation.id != wanted.id and operation.has_ended:
            holder = _holder_in_words(await self._leases.read(LEADER))
            return Click(outcome=Outcome.OVERTAKEN, detail=holder)
        if operation.id != wanted.id:
            return self._in_progress(operation.id)
        if self.operation is not None:  # a second click was waiting for the store beside us
            return self._in_progress(self.operation)
        self._operation, self._by_force = operation, force
        self._surface.move(ControlEvent.ASKED)
        self._running = asyncio.create_task(self._run(operation), name="takeover")
        wait_s = 1.0 if force else self._timing.forced_after_ms / 1000
        return Click(outcome=Outcome.STARTED, wait_s=wait_s, operation=operation.id)

    def _in_progress(self, operation: UUID) -> Click:
        return Click(
            outcome=Outcome.IN_PROGRESS,
            wait_s=self._timing.forced_after_ms / 1000,
            operation=operation,
        )

    async def _run(self, operation: Operation) -> None:
        started_ms = self._clock.boottime_ms()
        problem: str | None = None
        try:
            reach(Failpoint.TAKEOVER_REQUESTED)
            problem = await self._surface.prove()
            if problem is None:
                await self._note(operation, Step.READY)
                reach(Failpoint.TAKEOVER_READY)
                problem = await self._carry_through(operation, started_ms)
        except StoreUnavailable as error:
            problem = f"the database does not answer: {error}"
        finally:
            self._surface.move(ControlEvent.GAVE_UP)
        if problem is None:
            took_ms = self._clock.boottime_ms() - started_ms
            self._metrics.handover_seconds.observe(took_ms / 1000)
            log.info("takeover.done", operation=str(operation.id), took_ms=round(took_ms))
        else:
            log.warning("takeover.failed", operation=str(operation.id), reason=problem)
        await self._note(operation, Step.FAILED if problem else Step.ACTIVE, problem)

    async def _carry_through(self, operation: Operation, started_ms: float) -> str | None:
        """Do move after move until the lease is ours; why it is not, else. Raises StoreUnavailable
        only once waiting has become hopeless."""
        reminded_ms = float("-inf")
        hopeless_ms = started_ms + self._timing.forced_after_ms + self._timing.drain_ms
        while True:
            self._woken.clear()
            now_ms = self._clock.boottime_ms()
            if now_ms - reminded_ms >= REMIND_EVERY_MS:
                await self._wake_holder(operation)
                reminded_ms = now_ms
            try:
                move = await self._next(operation, now_ms - started_ms)
                if move is RequesterMove.ADOPT:
                    return await self._adopted()
                if move is RequesterMove.YIELD:
                    return "another instance was faster"
                await self._do(move, operation)
            except StoreUnavailable:
                if now_ms >= hopeless_ms:
                    raise
            if move_waits(now_ms, hopeless_ms):
                await self._wait()
            else:
                return "the holder could not be succeeded in time"

    async def _next(self, operation: Operation, waited_ms: float) -> RequesterMove:
        lease = await self._leases.read(LEADER)
        sight = Sight(
            epoch=lease.epoch if lease is not None else Epoch(0),
            is_mine=lease is not None and lease.holder == self._me,
            vacant=lease is None or lease.is_vacant,
        )
        return requester_move(
            operation.expected,
            sight,
            waited_ms=waited_ms,
            by_force=self._by_force,
            timing=self._timing,
        )

    async def _do(self, move: RequesterMove, operation: Operation) -> None:
        if move is RequesterMove.TAKE:
            await self._leases.acquire(LEADER, operation.expected, self._me, self._ttl_ms)
            self._woken.set()
        elif move is RequesterMove.FORCE:
            log.warning("takeover.forced", operation=str(operation.id), epoch=operation.expected)
            await self._note(operation, Step.FORCED)
            await self._leases.force(LEADER, operation.expected, self._me, self._ttl_ms)
            self._woken.set()

    async def _adopted(self) -> str | None:
        """The lease is ours: lead, and wait until we can act."""
        reach(Failpoint.TAKEOVER_TAKEN)
        self._elector.look_now()
        try:
            async with asyncio.timeout(ABLE_WITHIN_S):
                while not self._surface.is_active():
                    await self._clock.sleep(0.002)
        except TimeoutError:
            return "the lease is ours, but this instance is not able to act yet"
        return None

    async def _wake_holder(self, operation: Operation) -> None:
        lease = await self._leases.read(LEADER)
        if lease is not None and lease.holder is not None:
            await self._messages.publish(
                Message(
                    kind=MessageKind.DEACTIVATE,
                    sender=self._me.instance,
                    to=lease.holder.instance,
                    sent_at=self._clock.wall(),
                    request_id=operation.id,
                    epoch=operation.expected,
                )
            )

    async def _note(self, operation: Operation, step: Step, detail: str | None = None) -> None:
        try:
            await self._requests.note(operation.id, step, self._me.instance, detail)
        except StoreUnavailable as error:
            log.warning("takeover.step_not_recorded", step=step.value, error=str(error))

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(LOOK_EVERY_S):
                await self._woken.wait()
        except TimeoutError:
            return

    def _hear(self, message: Message) -> None:
        if message.kind is MessageKind.READY and message.is_for(self._me.instance):
            self._woken.set()


def move_waits(now_ms: float, hopeless_ms: float) -> bool:
    """Whether there is still time for another look."""
    return now_ms < hopeless_ms


def _holder_in_words(lease: Lease | None) -> str:
    holder = lease.holder.instance if lease is not None and lease.holder is not None else "nobody"
    return f"{holder} holds control now (epoch {lease.epoch if lease is not None else 0})"
