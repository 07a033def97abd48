"""A server with PostgreSQL's manners, as far as they matter: sessions, row locks, fences.

A commit is atomic. A fence is held from the first statement to the end of its transaction, and an
epoch changes only when no fence of the old one is open. Whoever is silent inside a transaction
while others wait for its locks is thrown out. Its clock is the true time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Protocol
from uuid import UUID

from onefill.core.errors import Bug
from onefill.core.ids import Epoch
from onefill.core.intent import UNRESOLVED, OrderIntent
from onefill.ports.lease import Holder
from onefill.sim.clock import moment
from onefill.sim.loop import Timeline
from onefill.sim.tables import Changes, Making, Tables

IDLE_TIMEOUT_S = 0.5

Key = tuple[str, str]
"""A row that can be locked: its table (in the order in which all lock), and its name."""
LANE, PORTFOLIO, INTENT = "1 lane", "2 portfolio", "3 intent"

Then = Callable[[], None]


class Observer(Protocol):
    """Who watches what is committed."""

    def committing(self, session: Session, changes: Changes) -> None:
        """These changes are about to become true."""
        ...


class SessionEnded(Exception):
    """The server has ended this session; nothing of its transaction is left."""


class Session:
    """One connection as the server sees it.

    broken: tells the client of an end that it did not ask for, while it waits for an answer.
    """

    def __init__(self, database: Database, holder: Holder) -> None:
        self.database = database
        self.holder = holder
        self.is_alive = True
        self.in_transaction = False
        self.epoch: Epoch | None = None
        self.began_at = database.now()
        self.touched_s = 0.0
        self.keys: set[Key] = set()
        self.broken: Callable[[SessionEnded], None] | None = None

    def touch(self) -> None:
        """The client said something. Raises SessionEnded when it is too late."""
        now_s = self.database.timeline.now_s
        if self.in_transaction and now_s - self.touched_s > IDLE_TIMEOUT_S:
            self.end()
        if not self.is_alive:
            raise SessionEnded
        self.touched_s = now_s

    def begin(self, epoch: Epoch | None) -> bool:
        """Open a transaction; whether its fence holds, where it has one."""
        if epoch is not None and not self.database.may_fence(epoch):
            return False
        self.in_transaction, self.epoch, self.began_at = True, epoch, self.database.now()
        if epoch is not None:
            self.database.fences[self] = None
        return True

    def lock(self, keys: Iterable[Key], then: Then) -> None:
        """Go on once all these rows are locked, one after the other."""
        self.database.lock(self, sorted(set(keys) - self.keys), then)

    def lock_idle(self, keys: Iterable[Key]) -> list[Key]:
        """Lock those of these rows that nobody holds (SKIP LOCKED)."""
        free = [key for key in sorted(set(keys)) if self.database.is_free(key)]
        for key in free:
            self.database.grant(self, key)
        return free

    def commit(self, changes: Changes) -> None:
        """Make it true, at once and all of it; then let go of everything."""
        self.database.apply(self, changes)
        self.release()

    def release(self) -> None:
        """End the transaction, whichever way."""
        self.in_transaction, self.epoch = False, None
        self.database.let_go(self)

    def end(self) -> None:
        """End the session; what was not committed never was."""
        if self.is_alive:
            self.is_alive = False
            self.release()
            self.database.forget(self)
            if self.broken is not None:
                self.broken(SessionEnded())


@dataclass(slots=True)
class _Waiter:
    session: Session
    then: Then


class Database:
    """The server. protections: what of it is switched off, to see whether that is noticed."""

    def __init__(
        self, timeline: Timeline, observer: Observer, *, has_fence: bool, has_bar: bool
    ) -> None:
        self.timeline = timeline
        self.tables = Tables()
        self.fences: dict[Session, None] = {}
        self.sessions: dict[Session, None] = {}
        self._observer = observer
        self._has_fence = has_fence
        self._has_bar = has_bar
        self._locks: dict[Key, Session] = {}
        self._waiters: dict[Key, deque[_Waiter]] = {}
        self._takers: deque[_Waiter] = deque()
        self._vigils: dict[UUID, Session] = {}
        self._mourners: list[tuple[UUID, _Waiter]] = []

    def now(self) -> datetime:
        """clock_timestamp()."""
        return moment(self.timeline)

    def connect(self, holder: Holder) -> Session:
        """A new session."""
        session = Session(self, holder)
        session.touched_s = self.timeline.now_s
        self.sessions[session] = None
        return session

    def end_sessions_of(self, holder: Holder) -> None:
        """End all sessions of one process (it died, or a taker terminates them)."""
        for session in tuple(self.sessions):
            if session.holder == holder:
                session.end()

    def forget(self, session: Session) -> None:
        """It is over; who waited for the end of its process hears of it."""
        self.sessions.pop(session, None)
        boot = session.holder.boot
        if self._vigils.get(boot) is session:
            del self._vigils[boot]
            mourners = [waiter for dead, waiter in self._mourners if dead == boot]
            self._mourners = [each for each in self._mourners if each[0] != boot]
            for waiter in mourners:
                if waiter.session.is_alive:
                    waiter.then()

    # Vigils ------------------------------------------------------------------------------------

    def keep_vigil(self, session: Session) -> None:
        """This session shows that its process lives."""
        self._vigils.setdefault(session.holder.boot, session)

    def is_seen(self, boot: UUID) -> bool:
        """Whether a session shows that this process lives."""
        return boot in self._vigils

    def when_ended(self, session: Session, boot: UUID, then: Then) -> None:
        """Go on once no session shows that this process lives."""
        if boot in self._vigils:
            self._mourners.append((boot, _Waiter(session, then)))
        else:
            then()

    # Fences ------------------------------------------------------------------------------------

    def may_fence(self, epoch: Epoch) -> bool:
        """Whether a transaction of that epoch may begin."""
        if not self._has_fence:
            return True
        lease = self.tables.lease
        is_barred = self._has_bar and lease is not None and lease.barred
        return lease is not None and lease.epoch == epoch and not is_barred

    def when_unfenced(self, session: Session, then: Then) -> None:
        """Go on once no fence is open (a change of the epoch waits for them)."""
        self._throw_out_the_idle(self.fences)
        if self.fences and self._has_fence:
            self._takers.append(_Waiter(session, then))
            self._look_again(self.fences)
        else:
            then()

    # Locks -------------------------------------------------------------------------------------

    def is_free(self, key: Key) -> bool:
        """Whether nobody holds it."""
        holder = self._locks.get(key)
        if holder is not None:
            self._throw_out_the_idle({holder})
        return key not in self._locks

    def grant(self, session: Session, key: Key) -> None:
        """Give it to that session."""
        self._locks[key] = session
        session.keys.add(key)

    def lock(self, session: Session, keys: Sequence[Key], then: Then) -> None:
        """Take these one by one, waiting where somebody else has one."""
        for place, key in enumerate(keys):
            if not self.is_free(key):
                waiter = _Waiter(session, partial(self.lock, session, keys[place:], then))
                self._waiters.setdefault(key, deque()).append(waiter)
                self._look_again({self._locks[key]})
                return
            self.grant(session, key)
        session.touched_s = self.timeline.now_s
        then()

    def let_go(self, session: Session) -> None:
        """Give back all locks and the fence of a session, and let go on who waited."""
        self.fences.pop(session, None)
        keys = sorted(session.keys)
        session.keys.clear()
        for key in keys:
            del self._locks[key]
        for key in keys:
            self._serve(key)
        while self._takers and not self.fences:
            taker = self._takers.popleft()
            if taker.session.is_alive:
                taker.then()

    def _serve(self, key: Key) -> None:
        waiting = self._waiters.get(key)
        while waiting and key not in self._locks:
            waiter = waiting.popleft()
            if waiter.session.is_alive:
                waiter.then()

    def _throw_out_the_idle(self, sessions: Iterable[Session]) -> None:
        for session in tuple(sessions):
            if self.timeline.now_s - session.touched_s > IDLE_TIMEOUT_S:
                session.end()

    def _look_again(self, sessions: Iterable[Session]) -> None:
        """Throw them out when their time is over, should they stay silent."""
        for session in tuple(sessions):
            due_s = session.touched_s + IDLE_TIMEOUT_S + 0.001
            self.timeline.at(
                max(due_s, self.timeline.now_s), self._throw_out_if_silent, session, due_s
            )

    def _throw_out_if_silent(self, session: Session, due_s: float) -> None:
        if session.is_alive and session.in_transaction:
            if session.touched_s + IDLE_TIMEOUT_S < due_s:
                session.end()
            else:
                self._look_again({session})

    # Writing -----------------------------------------------------------------------------------

    def apply(self, session: Session, changes: Changes) -> None:
        """Write it all, with the constraints that the tables have."""
        self._observer.committing(session, changes)
        tables = self.tables
        self._check(changes)
        for intent in changes.new_intents:
            tables.makings[intent.client_order_id] = Making(created_at=self.now())
            tables.intents[intent.client_order_id] = intent
        for position in changes.positions:
            tables.positions[position.id] = replace(position, version=position.version + 1)
        for intent in changes.intents:
            self._change_intent(intent)
        for name, holder in changes.holders.items():
            tables.makings[name].holder = holder
        tables.attempts.update(changes.attempts)
        for key in changes.denied & tables.attempts.keys():
            tables.attempts[key].denied = True
        tables.fills += changes.fills
        self._tell_signals(changes)
        for lane, last_decided, marks in changes.marks:
            tables.lanes[lane].last_decided, tables.lanes[lane].marks = last_decided, marks
        for lane, reason in changes.blocks.items():
            tables.lanes[lane].blocked = tables.lanes[lane].blocked or reason

    def _check(self, changes: Changes) -> None:
        for intent in changes.new_intents:
            if intent.client_order_id in self.tables.intents:
                raise Bug("the same action was decided twice", id=intent.client_order_id)
        for position in changes.positions:
            before = self.tables.positions.get(position.id)
            if (before.version if before is not None else 0) != position.version:
                raise Bug("a position was written since it was read", id=position.id)

    def _change_intent(self, intent: OrderIntent) -> None:
        now, making = self.now(), self.tables.makings[intent.client_order_id]
        was = self.tables.intents[intent.client_order_id]
        making.changed_at = now
        if intent.state not in UNRESOLVED:
            making.doubted_at = None
        elif was.state not in UNRESOLVED:
            making.doubted_at = now
        self.tables.intents[intent.client_order_id] = intent

    def _tell_signals(self, changes: Changes) -> None:
        for signal_id, status, reason in changes.signals:
            row = self.tables.signals[signal_id]
            if changes.reopen or not row.has_ended:
                row.status, row.reason = status, reason
