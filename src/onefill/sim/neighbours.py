"""What instances know of each other: heartbeats, requests for control, deaths, messages."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from onefill.core.control.handover import Step
from onefill.core.control.succession import Heir
from onefill.core.errors import StoreUnavailable
from onefill.core.ids import Epoch
from onefill.ports.clock import Clock
from onefill.ports.handover import NewRequest, Operation, StepTaken, in_order
from onefill.ports.hints import Topic
from onefill.ports.jobs import JobOutcome, JobRun
from onefill.ports.lease import Holder
from onefill.ports.messages import Message
from onefill.ports.peers import Peer
from onefill.sim.chance import Chance
from onefill.sim.clock import moment
from onefill.sim.connection import Held, Work
from onefill.sim.database import Session
from onefill.sim.loop import Timeline
from onefill.sim.tables import InstanceRow, RequestRow
from onefill.sim.wire import Reply

VIGIL_LOOK_S = 1.0
MESSAGE_S = 0.002


class SimPeers:
    """Implements ports.peers.Peers, and writes heartbeats."""

    def __init__(self, held: Held, heir: Callable[[], Heir], me: Holder) -> None:
        self._held = held
        self._heir = heir
        self._me = me

    async def beat(self) -> None:
        """Say that this instance lives."""
        peer = Peer(holder=self._me, heir=self._heir())

        def statement(session: Session) -> None:
            now_s = session.database.timeline.now_s
            session.database.tables.instances[self._me.instance] = InstanceRow(peer, now_s)

        await self._held.write(statement)

    async def others(self, me: Holder, timeout_s: float) -> Sequence[Peer]:
        """Those besides me that were heard of within that time, and are not known to be dead."""

        def statement(session: Session) -> list[Peer]:
            database = session.database
            since_s = database.timeline.now_s - timeout_s
            heard = [
                row.peer for row in database.tables.instances.values() if row.beaten_s >= since_s
            ]
            return [
                peer
                for peer in heard
                if peer.holder.instance != me.instance and database.is_seen(peer.holder.boot)
            ]

        return await self._held.read(statement)


class SimHandovers:
    """Implements ports.handover.HandoverStore.

    requested: told of each request that is opened, and how many others for its epoch run.
    is_unique: False plants a bug: a request that runs does not keep out the next one.
    """

    def __init__(
        self, held: Held, requested: Callable[[Epoch, int], None], *, is_unique: bool
    ) -> None:
        self._held = held
        self._requested = requested
        self._is_unique = is_unique

    async def open(self, wanted: NewRequest) -> Operation:
        """The one operation of this epoch: the wanted one, or the one that runs."""

        def statement(session: Session) -> Operation:
            running = _running(session, wanted)
            row = running[0] if running and self._is_unique else None
            if row is None:
                self._requested(wanted.expected, len(running))
                begun = _taken(session, Step.REQUESTED, wanted.requester.instance, None)
                row = RequestRow(wanted, session.database.timeline.now_s, [begun])
                session.database.tables.requests.append(row)
            return _operation(session, row)

        return await self._held.write(statement)

    async def current(self, resource: str, expected: Epoch) -> Operation | None:
        """The operation that wants this epoch to end."""

        def statement(session: Session) -> Operation | None:
            rows = session.database.tables.requests
            mine = [row for row in rows if row.wanted.expected == expected]
            return _operation(session, mine[-1]) if mine else None

        return await self._held.read(statement)

    async def latest(self, resource: str) -> Operation | None:
        """The operation begun last."""

        def statement(session: Session) -> Operation | None:
            rows = session.database.tables.requests
            return _operation(session, rows[-1]) if rows else None

        return await self._held.read(statement)

    async def note(self, operation: UUID, step: Step, by: str, detail: str | None = None) -> None:
        """Add a step."""

        def statement(session: Session) -> None:
            for row in session.database.tables.requests:
                if row.wanted.id == operation:
                    row.steps.append(_taken(session, step, by, detail))

        await self._held.write(statement)


def _running(session: Session, wanted: NewRequest) -> list[RequestRow]:
    now_s = session.database.timeline.now_s

    def runs(row: RequestRow) -> bool:
        is_fresh = (now_s - row.opened_s) * 1000 < row.wanted.patience_ms
        return row.wanted.expected == wanted.expected and is_fresh and not row.has_ended

    return [row for row in session.database.tables.requests if runs(row)]


def _taken(session: Session, step: Step, by: str, detail: str | None) -> StepTaken:
    return StepTaken(step=step, at=session.database.now(), by=by, detail=detail)


def _operation(session: Session, row: RequestRow) -> Operation:
    return Operation(
        id=row.wanted.id,
        resource=row.wanted.resource,
        expected=row.wanted.expected,
        requester=row.wanted.requester,
        by_force=row.wanted.by_force,
        steps=in_order(row.steps),
        is_ready=any(taken.step is Step.READY for taken in row.steps),
        has_ended=row.has_ended,
        age_ms=(session.database.timeline.now_s - row.opened_s) * 1000,
    )


class SimVigil:
    """Implements ports.vigil.Vigil: a session that shows that its process lives."""

    def __init__(self, own: Held, others: Callable[[], Held], clock: Clock) -> None:
        self._own = own
        self._others = others
        self._clock = clock

    async def run(self) -> None:
        """Be seen until cancelled, again after each break."""
        while True:
            with contextlib.suppress(StoreUnavailable):
                await self._own.read(lambda session: session.database.keep_vigil(session))
            await self._clock.sleep(VIGIL_LOOK_S)

    async def ended(self, boot: UUID) -> None:
        """Return when that process has ended, or can't be seen to live."""
        await self._others().wait(_until_ended(boot))


def _until_ended(boot: UUID) -> Work[None]:
    def work(session: Session, reply: Reply[None]) -> None:
        session.database.when_ended(session, boot, lambda: reply(None))

    return work


class Bus:
    """What carries messages between all instances: late, lossy, twice at times."""

    def __init__(self, timeline: Timeline, chance: Chance) -> None:
        self.loss = 0.0
        self._timeline = timeline
        self._chance = chance
        self._ears: list[Callable[[Message], None]] = []

    def listen(self, ear: Callable[[Message], None]) -> None:
        """Hand each message to that process."""
        self._ears.append(ear)

    def carry(self, message: Message) -> None:
        """Bring it to everybody, or not."""
        for ear in self._ears:
            times = self._chance.choice((1, 1, 1, 2))
            for _ in range(times):
                if self._chance.random() >= self.loss:
                    self._timeline.after(MESSAGE_S * self._chance.random(), ear, message)


class SimMessages:
    """Implements ports.messages.Messages for one process."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._heard: Topic[Message] = Topic()
        self._loop = asyncio.get_running_loop()
        bus.listen(self._hear)

    @property
    def connected(self) -> bool:
        """Always, as far as it knows."""
        return True

    def subscribe(self, callback: Callable[[Message], None]) -> Callable[[], None]:
        """Call back with each message from now on."""
        return self._heard.subscribe(callback)

    async def publish(self, message: Message) -> None:
        """Send it."""
        self._bus.carry(message)

    async def run(self) -> None:
        """Messages come by themselves."""

    def _hear(self, message: Message) -> None:
        self._loop.call_soon(self._heard.publish, message)

    async def close(self) -> None:
        """Nothing is held."""


class NoJobs:
    """Implements ports.jobs.JobLog where there are no jobs."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline

    async def last_runs(self) -> tuple[datetime, Mapping[str, JobRun]]:
        """None ever ran."""
        return moment(self._timeline), {}

    async def begin(self, epoch: Epoch, job: str) -> int:
        """Never called."""
        return 0

    async def end(self, epoch: Epoch, run: int, outcome: JobOutcome, details: str) -> None:
        """Never called."""
