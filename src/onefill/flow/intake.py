"""Valid signals → the signal log, in groups. An answer is given only for what is durable.

A group is all that waited while the last statement ran: no timer, and no wait when idle (SIG-15).
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice

import structlog

from onefill.core.errors import CommitUnknown, StoreUnavailable
from onefill.core.ids import Lane
from onefill.core.signal import Signal, fingerprint
from onefill.ports.clock import Clock
from onefill.ports.failpoints import Failpoint, reach
from onefill.ports.gossip import Gossip, Silence
from onefill.ports.hints import Inbox
from onefill.ports.intake import IntakeUnavailable, SignalUnloggable
from onefill.ports.metrics import Metrics
from onefill.ports.patience import answered, caught_up
from onefill.ports.signal_log import Logged, NewSignal, SignalLog, Unloggable

SIGNALS_A_GROUP = 512
WAITING_MAX = 20_000
ANSWER_WITHIN_MS = 1_800  # the sender must hear within 2 s (SIG-2)
STATEMENT_WITHIN_S = 1.5
LOOK_EVERY_S = 0.05
COUNT_EVERY_S = 1.0
COUNTS_A_GROUP = 1_000
REMEMBERED_MAX = 50_000

log = structlog.get_logger()


class DuplicateLayer(enum.StrEnum):
    """Who recognised a duplicate (SIG-10). REDIS: a neighbour's word, which the log confirmed."""

    IN_FLIGHT = "in_flight"
    MEMORY = "memory"
    REDIS = "redis"
    CONSTRAINT = "constraint"


@dataclass(frozen=True, slots=True)
class Taken:
    """A durable signal. layer: who knew it already; None when it is new."""

    signal_id: int
    fingerprint: bytes
    layer: DuplicateLayer | None

    @property
    def duplicate(self) -> bool:
        """Whether it was in the log before."""
        return self.layer is not None


class RecentCommits:
    """Fingerprints that are committed in one database, the latest at hand, in bounded memory.

    Two generations: the young one replaces the old one when it is full, so that nothing has to
    be evicted one by one.
    """

    def __init__(self, database: str | None = None, at_most: int = REMEMBERED_MAX) -> None:
        self.database = database
        self._half = max(1, at_most // 2)
        self._young: dict[bytes, int] = {}
        self._old: dict[bytes, int] = {}

    def find(self, identity: bytes) -> int | None:
        """The signal of this fingerprint, if it was committed lately."""
        signal_id = self._young.get(identity)
        return self._old.get(identity) if signal_id is None else signal_id

    def add(self, identity: bytes, signal_id: int) -> None:
        """Remember a commit."""
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[identity] = signal_id

    def __len__(self) -> int:
        return len(self._young) + len(self._old)


@dataclass(slots=True)
class _Waiter:
    future: asyncio.Future[Taken]
    until_ms: float


@dataclass(slots=True)
class _Pending:
    """One signal on its way into the log, and everyone who waits for it; the first brought it."""

    new: NewSignal
    waiters: list[_Waiter] = field(default_factory=list)


class Intake:
    """Takes in signals while `run` runs."""

    def __init__(
        self,
        *,
        signal_log: SignalLog,
        lanes: Inbox[Lane],
        metrics: Metrics,
        clock: Clock,
        gossip: Gossip | None = None,
    ) -> None:
        self._log = signal_log
        self._gossip = gossip or Silence()
        self._lanes = lanes
        self._metrics = metrics
        self._clock = clock
        self._recent = RecentCommits()
        self._queue: list[_Pending] = []
        self._filled = asyncio.Event()
        self._in_flight: dict[bytes, _Pending] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._duplicates: Counter[int] = Counter()
        self._layers: dict[int, str] = {}
        self._is_open = False

    async def take_in(self, signal: Signal, payload: str) -> Taken:
        """Return once the signal is durable. payload: its JSON text, without the secret.

        Raises IntakeUnavailable when that is not known within 1.8 s; it may be durable even so.
        """
        identity = fingerprint(signal)
        known = self._recall(identity)
        if known is not None:
            return self._duplicate(known, identity, DuplicateLayer.MEMORY)
        if not self._is_open:
            raise IntakeUnavailable("this instance is starting or stopping")
        pending = self._in_flight.get(identity)
        if pending is None:
            database = self._log.database
            told = database is not None and self._gossip.may_know(database, identity)
            pending = self._enqueue(_new_signal(signal, identity, payload, told))
        future: asyncio.Future[Taken] = asyncio.get_running_loop().create_future()
        until_ms = self._clock.boottime_ms() + ANSWER_WITHIN_MS
        pending.waiters.append(_Waiter(future, until_ms))
        return await future

    async def run(self) -> None:
        """Log what is taken in, until cancelled."""
        self._is_open = True
        try:
            async with asyncio.TaskGroup() as loops:
                loops.create_task(self._flush_groups())
                loops.create_task(self._watch_time_limits())
                loops.create_task(self._count_now_and_then())
        finally:
            self._is_open = False
            self._refuse(list(self._in_flight.values()), "intake has stopped")

    async def drain(self) -> None:
        """Take in no more, and return when all that waited is answered and duplicates counted.

        `run` must still be running.
        """
        self._is_open = False
        await self._idle.wait()
        await self._count_duplicates()

    # In ------------------------------------------------------------------------------------

    def _enqueue(self, new: NewSignal) -> _Pending:
        if len(self._queue) >= WAITING_MAX:
            raise IntakeUnavailable("too many signals wait for the database")
        pending = _Pending(new)
        self._in_flight[new.fingerprint] = pending
        self._idle.clear()
        self._queue.append(pending)
        self._filled.set()
        return pending

    def _recall(self, identity: bytes) -> int | None:
        """The signal, if we committed it in the database that is there now: where there is none,
        nobody knows whether it comes back as it was."""
        database = self._log.database
        return None if database is None else self._recent_of(database).find(identity)

    def _recent_of(self, database: str) -> RecentCommits:
        if database != self._recent.database:
            self._recent = RecentCommits(database)
        return self._recent

    def _duplicate(self, signal_id: int, identity: bytes, layer: DuplicateLayer) -> Taken:
        self._duplicates[signal_id] += 1
        self._layers[signal_id] = layer.value
        self._metrics.signal_duplicates.add(layer.value)
        return Taken(signal_id, identity, layer)

    # Out -----------------------------------------------------------------------------------

    async def _flush_groups(self) -> None:
        while True:
            await self._filled.wait()
            group = self._queue[:SIGNALS_A_GROUP]
            del self._queue[:SIGNALS_A_GROUP]
            if not self._queue:
                self._filled.clear()
            await self._flush(group)

    async def _flush(self, group: Sequence[_Pending]) -> None:
        """One statement for the group; the log sets aside rows that it can't hold."""
        before = self._log.database
        reach(Failpoint.INTAKE_BEFORE_COMMIT)
        try:
            appending = self._log.append([pending.new for pending in group])
            logged = await answered(appending, STATEMENT_WITHIN_S)
        except CommitUnknown as error:
            self._refuse(group, str(error))
        except StoreUnavailable as error:
            # What waits behind the group would only meet the same end, later.
            self._refuse([*group, *self._take_queue()], str(error))
        except Exception:
            # A defect of the log must not end intake for good.
            log.exception("intake.defect", signals=len(group))
            self._refuse(group, "the signal log failed")
        else:
            reach(Failpoint.INTAKE_AFTER_COMMIT)
            after = self._log.database
            self._confirm(group, logged, after if before in (None, after) else None)

    def _confirm(
        self,
        group: Sequence[_Pending],
        logged: Sequence[Logged | Unloggable],
        database: str | None,
    ) -> None:
        """Hand on first, answer then: a client that hung up must not strand its signal.

        Known ones are handed on too: the copy that logged them may have died before it did so.
        database: which one they are in; None when it changed meanwhile, then nothing is remembered.
        """
        self._lanes.add(pending.new.lane for pending in group)
        for pending, row in zip(group, logged, strict=True):
            if isinstance(row, Unloggable):
                log.error("intake.row_refused", lane=pending.new.lane, problem=row.problem)
                self._refuse([pending], "the database refuses this signal", SignalUnloggable)
                continue
            identity = pending.new.fingerprint
            if database is not None:
                self._recent_of(database).add(identity, row.signal_id)
            del self._in_flight[identity]
            self._answer(pending, row)
        if database is not None:
            self._gossip.committed(database, _in_log(group, logged))
        self._note_idle()

    def _answer(self, pending: _Pending, row: Logged) -> None:
        identity = pending.new.fingerprint
        first, *others = pending.waiters
        if row.fresh:
            _resolve(first.future, Taken(row.signal_id, identity, None))
        else:
            told = pending.new.perhaps_logged
            layer = DuplicateLayer.REDIS if told else DuplicateLayer.CONSTRAINT
            _resolve(first.future, self._duplicate(row.signal_id, identity, layer))
        for waiter in others:
            layer = DuplicateLayer.IN_FLIGHT
            _resolve(waiter.future, self._duplicate(row.signal_id, identity, layer))

    def _refuse(
        self,
        group: Iterable[_Pending],
        why: str,
        error: type[IntakeUnavailable] = IntakeUnavailable,
    ) -> None:
        refused = 0
        for pending in group:
            self._in_flight.pop(pending.new.fingerprint, None)
            for waiter in pending.waiters:
                refused += _fail(waiter.future, error(why))
        if refused:
            log.warning("intake.unavailable", signals=refused, error=why)
        self._note_idle()

    def _take_queue(self) -> list[_Pending]:
        queue, self._queue = self._queue, []
        self._filled.clear()
        return queue

    def _note_idle(self) -> None:
        if not self._in_flight:
            self._idle.set()

    # Beside --------------------------------------------------------------------------------

    async def _watch_time_limits(self) -> None:
        """Answers in time even when the log hangs. What hangs may still be committed."""
        while True:
            await self._clock.sleep(LOOK_EVERY_S)
            late = self._late()
            if late:
                await caught_up(partial(_are_answered, late))
            for waiter in late:
                _fail(waiter.future, IntakeUnavailable("the database did not answer in time"))

    def _late(self) -> list[_Waiter]:
        now_ms = self._clock.boottime_ms()
        waiting = chain.from_iterable(pending.waiters for pending in self._in_flight.values())
        return [waiter for waiter in waiting if waiter.until_ms <= now_ms]

    async def _count_now_and_then(self) -> None:
        while True:
            await self._clock.sleep(COUNT_EVERY_S)
            await self._count_duplicates()
            with contextlib.suppress(StoreUnavailable):
                await self._log.identify()

    async def _count_duplicates(self) -> None:
        """Add up duplicates in the log; a lost connection costs a count, never a signal."""
        while self._duplicates:
            counts = dict(islice(self._duplicates.items(), COUNTS_A_GROUP))
            layers = {signal_id: self._layers.pop(signal_id) for signal_id in counts}
            for signal_id in counts:
                del self._duplicates[signal_id]
            try:
                await self._log.count_duplicates(counts, layers)
            except CommitUnknown:
                continue
            except StoreUnavailable as error:
                self._duplicates.update(counts)
                self._layers = {**layers, **self._layers}
                log.warning("intake.duplicates_not_counted", waiting=len(counts), error=str(error))
                return


def _in_log(group: Sequence[_Pending], logged: Sequence[Logged | Unloggable]) -> list[NewSignal]:
    pairs = zip(group, logged, strict=True)
    return [pending.new for pending, row in pairs if isinstance(row, Logged)]


def _new_signal(signal: Signal, identity: bytes, payload: str, perhaps_logged: bool) -> NewSignal:
    return NewSignal(
        fingerprint=identity,
        lane=signal.lane,
        engine=signal.engine.value,
        kind=signal.kind.value,
        portfolio=signal.portfolio,
        instrument=signal.instrument,
        signal_time=signal.time,
        payload=payload,
        perhaps_logged=perhaps_logged,
    )


def _are_answered(waiters: Sequence[_Waiter]) -> bool:
    return all(waiter.future.done() for waiter in waiters)


def _resolve(future: asyncio.Future[Taken], taken: Taken) -> None:
    if not future.done():
        future.set_result(taken)


def _fail(future: asyncio.Future[Taken], error: IntakeUnavailable) -> bool:
    if future.done():
        return False
    future.set_exception(error)
    return True
