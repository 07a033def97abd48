"""The invariants, judged from the outside while it happens: at commits, at sockets, at the venue.

Nothing here asks the code under test; it looks at what is written, sent and executed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from onefill.core.ids import ClientOrderId
from onefill.core.intent import IntentState, OrderIntent
from onefill.core.orders.report import Outcome, Placed
from onefill.ports.broker import Prepared
from onefill.sim.clock import moment
from onefill.sim.control_judge import ControlJudge
from onefill.sim.database import Database, Session
from onefill.sim.loop import Timeline
from onefill.sim.machine import Machine
from onefill.sim.tables import Changes
from onefill.sim.venue import VenueOrder


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise: its name, the facts, and when."""

    promise: str
    facts: str
    at_s: float

    def __str__(self) -> str:
        return f"{self.promise}: {self.facts} (at {self.at_s:.3f} s)"


class Judge:
    """Watches everything, and keeps what breaks a promise. note: tells the trace.

    ambush: told of each instance that has just committed something, by name.
    """

    def __init__(
        self,
        timeline: Timeline,
        note: Callable[[str, str], None],
        ambush: Callable[[str], None],
    ) -> None:
        self.violations: list[Violation] = []
        self.database: Database | None = None
        self.control = ControlJudge(timeline, self.blame, note)
        self._timeline = timeline
        self._note = note
        self._executions: Counter[str] = Counter()
        self._executed: set[str] = set()
        self._sent: set[tuple[ClientOrderId, int]] = set()
        self._unstored: dict[int, tuple[UUID, Outcome]] = {}
        self._ambush = ambush

    def blame(self, promise: str, facts: str) -> None:
        """Keep a violation."""
        self.violations.append(Violation(promise, facts, self._timeline.now_s))
        self._note("JUDGE", f"{promise}: {facts}")

    # Commits -----------------------------------------------------------------------------------

    def committing(self, session: Session, changes: Changes) -> None:
        """I1, I5, I6 at the moment at which a transaction becomes true."""
        database = session.database
        lease = database.tables.lease
        if session.epoch is not None and (lease is None or lease.epoch != session.epoch):
            now = lease.epoch if lease is not None else None
            who = session.holder.instance
            self.blame("no_commit_of_an_old_epoch", f"{who} writes as {session.epoch}, now {now}")
        before = database.tables.intents
        for intent in changes.intents:
            was = before.get(intent.client_order_id, intent)
            self._tell(session, was, intent)
            if intent.state is IntentState.SENDING and was.state is IntentState.NEW:
                self._judge_claim(session, intent)
        for intent in changes.new_intents:
            self._note(session.holder.instance, f"{_name(intent)} is new: {_order(intent)}")
        for word in changes.words:
            self._unstored.pop(id(word), None)
        self._ambush(session.holder.instance)
        for signal_id, status, reason in changes.signals:
            self._note(session.holder.instance, f"signal {signal_id}: {status} {reason or ''}")
        for name, attempt in changes.denied:
            if f"{name}/{attempt}" in self._executed and self._is_current(name, attempt):
                self.blame("absent_means_absent", f"{name} attempt {attempt} was executed before")

    def _is_current(self, name: ClientOrderId, attempt: int) -> bool:
        """Whether that attempt's outcome is still what decides."""
        assert self.database is not None
        intent = self.database.tables.intents[name]
        undecided = (IntentState.SENDING, IntentState.IN_DOUBT)
        return intent.attempt == attempt and intent.state in undecided

    def _judge_claim(self, session: Session, intent: OrderIntent) -> None:
        """I6: no new exposure where something was in doubt when the transaction began."""
        tables = session.database.tables
        if not intent.adds_exposure:
            return
        for other in tables.live_intents():
            if other.lane != intent.lane or other.source == intent.source:
                continue
            since = tables.makings[other.client_order_id].doubted_at
            if other.state is IntentState.SENDING:
                since = other.send_by
            if since is not None and since < session.began_at:
                facts = f"{_name(intent)} is claimed while {_name(other)} is {other.state}"
                self.blame("no_new_exposure_in_doubt", facts)

    # Sockets -----------------------------------------------------------------------------------

    def sending(self, prepared: Prepared) -> None:
        """I4: bytes are sent only for a committed attempt, once, and in time."""
        assert self.database is not None
        key = (prepared.intent.client_order_id, prepared.attempt)
        self._note("wire", f"{key[0]} attempt {key[1]} is sent")
        attempt = self.database.tables.attempts.get(key)
        if attempt is None or attempt.request_hash != prepared.request_hash:
            self.blame("sent_means_claimed", f"{key[0]} attempt {key[1]} was not committed")
        elif moment(self._timeline) > attempt.send_by:
            self.blame("nothing_is_sent_late", f"{key[0]} attempt {key[1]}")
        self.control.sending(*key)
        if key in self._sent:
            self.blame("an_attempt_is_sent_once", f"{key[0]} attempt {key[1]}")
        self._sent.add(key)

    def acknowledging(self, identity: bytes) -> None:
        """I8: an acknowledged signal is durable."""
        assert self.database is not None
        if identity not in self.database.tables.by_fingerprint:
            self.blame("acknowledged_means_durable", identity.hex()[:8])

    def hearing(self, boot: UUID, outcome: Outcome) -> None:
        """I7: that an order was placed must be stored by whoever has heard it."""
        if isinstance(outcome, Placed):
            self._unstored[id(outcome)] = (boot, outcome)

    def unstored(self, machine: Machine) -> list[Outcome]:
        """What its process has heard and not stored."""
        if not machine.is_up:
            return []
        return [word for boot, word in self._unstored.values() if boot == machine.boot]

    # The venue ---------------------------------------------------------------------------------

    def executing(self, order: VenueOrder) -> None:
        """I3 and I5, at the first execution of an order."""
        assert self.database is not None
        request = order.request
        self._note("venue", f"{order.number} ({request.client_order_id}) executes")
        if order.number in self._executed:
            return
        name = ClientOrderId(request.client_order_id)
        self._executed |= {order.number, f"{name}/{request.attempt}"}
        self._executions[name] += 1
        if self._executions[name] > 1:
            self.blame("executed_at_most_once", f"{name}, {self._executions[name]} orders")
        if name not in self.database.tables.intents:
            self.blame("executions_have_intents", f"{name} is unknown")
        attempt = self.database.tables.attempts.get((name, request.attempt))
        if attempt is not None and attempt.denied:
            facts = f"{name} attempt {request.attempt} executes after it was called absent"
            self.blame("not_placed_never_executes", facts)

    def _tell(self, session: Session, was: OrderIntent, now: OrderIntent) -> None:
        if was.state is not now.state or was.attempt != now.attempt:
            facts = f"{_name(now)}: {was.state} -> {now.state} (attempt {now.attempt})"
            self._note(session.holder.instance, facts)


def _name(intent: OrderIntent) -> str:
    return str(intent.client_order_id)


def _order(intent: OrderIntent) -> str:
    order = intent.order
    return f"{order.side} {order.quantity} {order.symbol}"
