"""What a decision sees, and what it answers. Frozen: a decision changes nothing by itself."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from onefill.core.ids import ClientOrderId, Lane
from onefill.core.instrument import Series
from onefill.core.intent import OrderIntent
from onefill.core.issue import is_waiting_stop
from onefill.core.money import ZERO
from onefill.core.position import Position, PositionStatus
from onefill.core.quote import Quote
from onefill.core.refusal import Refusal
from onefill.core.signal import Signal, SignalKind, SignalStatus


class Sizing(enum.StrEnum):
    """Who sizes: the engine's own rules, or the signal's `lots` as they are (replays)."""

    OWN = "own"
    SIGNAL = "signal"


class TimeBasis(enum.StrEnum):
    """By which time freshness is judged: the database's clock, or the signal's own (replays)."""

    NOW = "now"
    SIGNAL = "signal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A portfolio's money, in rupees.

    movements: deposits minus withdrawals (a ledger's sum). high_water: the highest closed equity
    so far, where a withdrawal lowers it by its amount, and a deposit raises it.
    """

    portfolio: str
    initial_capital: Decimal
    movements: Decimal = ZERO
    realised: Decimal = ZERO
    high_water: Decimal = ZERO
    sizing: Sizing = Sizing.OWN
    time_basis: TimeBasis = TimeBasis.NOW

    @property
    def closed_equity(self) -> Decimal:
        """Capital plus realised profit plus movements (PF-5)."""
        return self.initial_capital + self.realised + self.movements


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The newest signal of one kind and slot that a lane has decided, whichever way (SIG-12)."""

    kind: SignalKind
    position: str | None
    time: datetime
    order_id: str | None = None

    @classmethod
    def of(cls, signal: Signal) -> Mark:
        """The mark that this signal leaves."""
        return cls(
            kind=signal.kind,
            position=signal.position,
            time=signal.time,
            order_id=signal.order_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalChange:
    """What became of a signal: its status, and the reason where there is one."""

    signal_id: int
    status: SignalStatus
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaseStep:
    """How far a chased order has come: so many of its steps are decided."""

    client_order_id: ClientOrderId
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """All that one decision may look at, for one lane at one moment.

    now: the database's clock. positions: every position of the portfolio that is not closed,
    for the caps over the portfolio (the direct policy gets only its own lane's). intents: the
    lane's intents that are not final. blocked: why the lane takes no new exposure, or None.
    paused: whether a person stopped new exposure. exits_paused: exits as well.
    last_decided: the newest signal time that was decided in the lane. marks: the newest decided
    signal of each kind and slot there. market_price: what the instrument trades at now, where
    that is known; market_asked: whether the broker was asked for it. heard_at: the time of the
    signal under decision. quotes: the market of orders that follow their price, where known.
    listed: the contracts of the lane's instrument that its broker lists, where that is known.
    leg_prices: by symbol, the prices that market_price is made of. bare_stops: stops that wait at a
    broker where less is held than they would sell, as far as somebody has just seen that.
    """

    now: datetime
    lane: Lane
    account: Account
    positions: tuple[Position, ...] = ()
    intents: tuple[OrderIntent, ...] = ()
    blocked: str | None = None
    paused: bool = False
    exits_paused: bool = False
    last_decided: datetime | None = None
    marks: tuple[Mark, ...] = ()
    market_price: Decimal | None = None
    market_asked: bool = False
    heard_at: datetime | None = None
    quotes: Mapping[ClientOrderId, Quote] = field(default_factory=dict)
    listed: tuple[Series, ...] = ()
    leg_prices: Mapping[str, Decimal] = field(default_factory=dict)
    bare_stops: frozenset[ClientOrderId] = frozenset()

    @property
    def series(self) -> tuple[Series, ...]:
        """The contracts to choose from; a replay's day had others, which only the rules know."""
        return self.listed if self.account.time_basis is TimeBasis.NOW else ()

    @property
    def market_time(self) -> datetime:
        """By which time market hours are judged: now, or in a replay the newest signal's."""
        if self.account.time_basis is TimeBasis.NOW:
            return self.now
        return self.heard_at or self.last_decided or self.now

    @property
    def here(self) -> tuple[Position, ...]:
        """The positions of this lane."""
        return tuple(position for position in self.positions if position.lane == self.lane)

    @property
    def in_doubt(self) -> tuple[OrderIntent, ...]:
        """The lane's intents of which nobody knows what became."""
        return tuple(intent for intent in self.intents if intent.is_unresolved(self.now))

    @property
    def in_flight(self) -> tuple[OrderIntent, ...]:
        """The lane's intents that will settle by themselves: live, and not in doubt.

        A position's own stop, waiting at the broker, is no order on its way.
        """
        return tuple(
            intent
            for intent in self.intents
            if intent.is_live and not intent.is_unresolved(self.now) and not is_waiting_stop(intent)
        )

    @property
    def is_settling(self) -> bool:
        """Whether an order of the lane is on its way or in doubt, an exit not finished, or a
        position half built."""
        unfinished = (PositionStatus.CLOSING, PositionStatus.PARTIAL)
        return bool(self.in_flight or self.in_doubt) or any(
            position.status in unfinished for position in self.here
        )

    def mark(self, kind: SignalKind, position: str | None) -> Mark | None:
        """The newest decided signal of that kind and slot, or None."""
        return next((m for m in self.marks if (m.kind, m.position) == (kind, position)), None)

    def priced(self, price: Decimal) -> Situation:
        """The situation with this lane's positions valued at that price."""
        seen = (
            replace(position, last_price=price) if position.lane == self.lane else position
            for position in self.positions
        )
        return replace(self, positions=tuple(seen))

    def after(self, decision: Decision, signal: Signal | None = None) -> Situation:
        """The situation once this decision is written, for the next one in the same group.

        signal: the one that was decided, so that its mark is kept.
        """
        changed = {position.id: position for position in decision.positions}
        kept = [changed.pop(position.id, position) for position in self.positions]
        positions = [*kept, *changed.values()]
        left = replace(
            self,
            positions=tuple(p for p in positions if p.status is not PositionStatus.CLOSED),
            intents=tuple(
                intent for intent in self.intents if intent.client_order_id not in decision.withdraw
            )
            + tuple(intent for intent in decision.intents if intent.lane == self.lane),
        )
        return left if signal is None or decision.wait else left._marked(Mark.of(signal))

    def _marked(self, mark: Mark) -> Situation:
        last = mark.time if self.last_decided is None else max(self.last_decided, mark.time)
        old = self.mark(mark.kind, mark.position)
        if old is not None and old.time > mark.time:
            return replace(self, last_decided=last)
        others = tuple(other for other in self.marks if other is not old)
        return replace(self, last_decided=last, marks=(*others, mark))


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to write: the signal's status with its reason and numbers, positions, intents.

    status: DECIDED when work follows (intents, or an exit that waits for fills in doubt), else an
    end status. numbers: figures that explain the decision, as plain decimal strings, kept with
    the signal. withdraw: NEW intents that must not be sent any more (they end EXPIRED; one that
    is NEW no longer voids the whole decision). signals: others that this decision ends. chased:
    steps taken of orders that follow their price. alarms: what a person shall be told of. wait: not
    now (an order of this lane must settle first): only positions and intents are written, and the
    signal is decided again when the lane changes.
    """

    status: SignalStatus
    reason: str | None = None
    numbers: Mapping[str, str] = field(default_factory=dict)
    positions: tuple[Position, ...] = ()
    intents: tuple[OrderIntent, ...] = ()
    withdraw: tuple[ClientOrderId, ...] = ()
    signals: tuple[SignalChange, ...] = ()
    chased: tuple[ChaseStep, ...] = ()
    alarms: tuple[str, ...] = ()
    wait: bool = False


WAIT = Decision(status=SignalStatus.RECEIVED, wait=True)
"""Decide this signal later; the lane is woken when one of its orders settles."""


def joined(first: Decision, second: Decision) -> Decision:
    """Both at once, the second made on top of the first; it says what becomes of the signal."""
    positions = {position.id: position for position in (*first.positions, *second.positions)}
    return replace(
        second,
        numbers={**first.numbers, **second.numbers},
        positions=tuple(positions.values()),
        intents=first.intents + second.intents,
        withdraw=first.withdraw + second.withdraw,
        signals=first.signals + second.signals,
        chased=first.chased + second.chased,
        alarms=first.alarms + second.alarms,
    )


def refuse(refusal: Refusal, numbers: Mapping[str, str] | None = None) -> Decision:
    """The decision not to trade, for this reason."""
    return Decision(status=refusal.status, reason=refusal.code, numbers=numbers or {})
