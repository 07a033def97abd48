"""What a group of decisions amounts to, gathered in memory before anything is written. Pure."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from onefill.core.book import ChaseStep, Decision, Mark, Situation
from onefill.core.ids import ClientOrderId, Lane, PositionId
from onefill.core.intent import IntentState, OrderIntent
from onefill.core.position import Position, PositionStatus, Rollover
from onefill.core.signal import END_STATUSES, ENTRIES, LoggedSignal, SignalStatus
from onefill.ports.trading import ContinueExits, Decide, Decided, Read

_log = logging.getLogger(__name__)

Row = Mapping[str, Any]
"""An undecided signal as its store has it: id, kind, fingerprint, payload, received_at."""


@dataclass(frozen=True, slots=True)
class PositionChange:
    """A position as it was read (None: it is new), and as it is to be written."""

    before: Position | None
    after: Position

    @property
    def is_rollover_step(self) -> bool:
        """Whether it is one of the saga's: begun, left, opened, moved by the basis, given up."""
        if self.before is None:
            return self.after.rolled_from is not None
        return self.before.rollover is not self.after.rollover


class RollsOver(Exception):
    """A group takes a step of a rollover, which is to be written at SERIALIZABLE (PF-24)."""

    def __init__(self, changes: Iterable[PositionChange]) -> None:
        super().__init__()
        self.lanes = frozenset(each.after.lane for each in changes if each.is_rollover_step)


@dataclass(frozen=True, slots=True)
class SignalNews:
    """A signal's next step. numbers: JSON, or None."""

    signal_id: int
    status: SignalStatus
    reason: str | None = None
    numbers: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules that a group is decided by. read: a payload back into a Signal."""

    read: Read
    decide: Decide
    exits: ContinueExits


@dataclass(slots=True)
class Plan:
    """All that one group is going to write. positions: of whole portfolios, as they stand."""

    positions: dict[PositionId, Position]
    read_positions: dict[PositionId, Position] = field(default_factory=dict)
    changed: set[PositionId] = field(default_factory=set)
    intents: dict[ClientOrderId, OrderIntent] = field(default_factory=dict)
    withdrawn: dict[ClientOrderId, str] = field(default_factory=dict)
    chased: list[ChaseStep] = field(default_factory=list)
    news: list[SignalNews] = field(default_factory=list)
    lanes: list[tuple[Lane, datetime | None, tuple[Mark, ...]]] = field(default_factory=list)
    waiting: list[Lane] = field(default_factory=list)
    again: list[Lane] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, positions: Sequence[Position]) -> Plan:
        """An empty plan over these positions."""
        by_id = {position.id: position for position in positions}
        return cls(positions=dict(by_id), read_positions=by_id)

    @property
    def position_changes(self) -> list[PositionChange]:
        """Each changed position once, as it is in the end."""
        return [
            PositionChange(self.read_positions.get(name), self.positions[name])
            for name in sorted(self.changed)
        ]

    def of_portfolio(self, portfolio: str) -> list[Position]:
        """The live positions of a portfolio, with what this group has decided so far."""
        live = (position for position in self.positions.values() if position.is_live)
        return [position for position in live if position.portfolio == portfolio]

    @property
    def outcome(self) -> Decided:
        """What the caller is told."""
        ready = (i for i in self.intents.values() if i.state is IntentState.NEW)
        return Decided(
            intents=tuple(ready),
            ended=tuple(
                (item.signal_id, item.status, item.reason)
                for item in self.news
                if item.status in END_STATUSES
            ),
            waiting=tuple(self.waiting),
            again=tuple(self.again),
            alarms=tuple(self.alarms),
        )

    def put_in_doubt(self, names: Iterable[ClientOrderId]) -> None:
        """These are not to be sent before they were looked up."""
        for name in names:
            self.intents[name] = replace(self.intents[name], state=IntentState.IN_DOUBT)

    def take(self, decision: Decision) -> None:
        """Add one decision. Raises nothing: a decision is checked by the database, as a whole."""
        for position in decision.positions:
            self.positions[position.id] = position
            self.changed.add(position.id)
        self.intents.update((intent.client_order_id, intent) for intent in decision.intents)
        self.chased += decision.chased
        self.alarms += decision.alarms
        reason = decision.reason or "overtaken"
        self.withdrawn.update((name, reason) for name in decision.withdraw)
        self.news += [
            SignalNews(change.signal_id, change.status, change.reason)
            for change in decision.signals
        ]


def plan_lane(
    plan: Plan, situation: Situation, rows: Sequence[Row], policy: Policy, *, limit: int
) -> None:
    """Decide a lane: first exits that are to go on, then its signals until one must wait.

    Behind one that waits only what can't add exposure is decided: an exit overtakes an entry.
    rows: the next `limit` in their order, then further ones that may only overtake.
    """
    seen = situation
    coming = rows[0]["signal_time"] if rows else None
    situation = _continue_exits(plan, replace(situation, heard_at=coming), policy)
    waits = False
    for place, row in enumerate(rows):
        may_come = row["kind"] not in ENTRIES if waits else place < limit
        if not may_come:
            continue
        situation, must_wait = _decide_next(plan, situation, row, policy)
        waits = waits or must_wait
    if waits:
        plan.waiting.append(situation.lane)
    elif len(rows) >= limit:
        plan.again.append(situation.lane)
    if (seen.last_decided, seen.marks) != (situation.last_decided, situation.marks):
        plan.lanes.append((situation.lane, situation.last_decided, situation.marks))


def _continue_exits(plan: Plan, situation: Situation, policy: Policy) -> Situation:
    is_moving = any(_may_move(intent) for intent in situation.intents)
    if not is_moving and not any(_is_unfinished(position) for position in situation.here):
        return situation
    try:
        decision = policy.exits(situation)
    except Exception:
        _log.exception("exits of a lane can't be continued", extra={"lane": situation.lane})
        return situation
    if decision is None:
        return situation
    plan.take(decision)
    return situation.after(decision)


def _may_move(intent: OrderIntent) -> bool:
    """Whether it follows its price, or may be unsent when its market closes."""
    return intent.chase is not None or intent.state is IntentState.NEW


def _is_unfinished(position: Position) -> bool:
    unfinished = (PositionStatus.CLOSING, PositionStatus.PARTIAL)
    is_guarded = position.guard_at is not None or position.guards > 0
    is_due = position.rollover is Rollover.PENDING or is_guarded
    return position.status in unfinished or is_due


def _decide_next(
    plan: Plan, situation: Situation, row: Row, policy: Policy
) -> tuple[Situation, bool]:
    """The situation after the signal of this row, and whether that must wait.

    A payload that can't be read, or rules that break on it, end this one signal as failed.
    """
    try:
        logged = _logged(row, policy.read)
    except Exception as error:
        return _failed(plan, situation, row, f"the payload can't be read: {error}")
    try:
        decision = policy.decide(logged, situation)
        after = situation.after(decision, logged.signal)
    except Exception as error:
        _log.exception("a signal can't be decided", extra={"signal_id": logged.id})
        return _failed(plan, situation, row, str(error))
    plan.take(decision)
    if decision.wait:
        return after, True
    numbers = json.dumps(dict(decision.numbers)) if decision.numbers else None
    plan.news.append(SignalNews(logged.id, decision.status, decision.reason, numbers))
    return after, False


def _failed(plan: Plan, situation: Situation, row: Row, reason: str) -> tuple[Situation, bool]:
    plan.news.append(SignalNews(row["id"], SignalStatus.FAILED, reason))
    return situation, False


def _logged(row: Row, read: Read) -> LoggedSignal:
    return LoggedSignal(
        id=row["id"],
        fingerprint=row["fingerprint"],
        signal=read(row["payload"]),
        received_at=row["received_at"],
    )
