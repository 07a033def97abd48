"""What a decision sees, and what it answers. Frozen: a decision changes nothing by itself."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from onefill.core.ids import ClientOrderId, Lane
from onefill.core.intent import OrderIntent
from onefill.core.money import ZERO
from onefill.core.position import Position, PositionStatus
from onefill.core.signal import SignalStatus


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
    """A portfolio's money, in rupees. movements: deposits minus withdrawals (a ledger's sum)."""

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
class Situation:
    """All that one decision may look at, for one lane at one moment.

    now: the database's clock. positions: every position of the portfolio that is not closed,
    for the caps over the portfolio (the direct policy gets only its own lane's). intents: the
    lane's intents that are not final. blocked: why the lane takes no new exposure, or None.
    """

    now: datetime
    lane: Lane
    account: Account
    positions: tuple[Position, ...] = ()
    intents: tuple[OrderIntent, ...] = ()
    blocked: str | None = None
    paused: bool = False

    @property
    def here(self) -> tuple[Position, ...]:
        """The positions of this lane."""
        return tuple(position for position in self.positions if position.lane == self.lane)

    @property
    def in_doubt(self) -> tuple[OrderIntent, ...]:
        """The lane's intents of which nobody knows what became."""
        return tuple(intent for intent in self.intents if intent.is_unresolved(self.now))

    def after(self, decision: Decision) -> Situation:
        """The situation once this decision is written, for the next one in the same group."""
        changed = {position.id: position for position in decision.positions}
        kept = [changed.pop(position.id, position) for position in self.positions]
        positions = [*kept, *changed.values()]
        return replace(
            self,
            positions=tuple(p for p in positions if p.status is not PositionStatus.CLOSED),
            intents=tuple(
                intent for intent in self.intents if intent.client_order_id not in decision.withdraw
            )
            + tuple(intent for intent in decision.intents if intent.lane == self.lane),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to write: the signal's status with its reason and numbers, positions, intents.

    status: DECIDED when intents follow, else an end status. numbers: figures that explain the
    decision, as plain decimal strings, kept with the signal. withdraw: NEW intents that must
    not be sent any more. wait: not now (an order of this lane must settle first): nothing else
    is written, and the signal is decided again when the lane changes.
    """

    status: SignalStatus
    reason: str | None = None
    numbers: Mapping[str, str] = field(default_factory=dict)
    positions: tuple[Position, ...] = ()
    intents: tuple[OrderIntent, ...] = ()
    withdraw: tuple[ClientOrderId, ...] = ()
    wait: bool = False


WAIT = Decision(status=SignalStatus.RECEIVED, wait=True)
"""Decide this signal later; the lane is woken when one of its orders settles."""
