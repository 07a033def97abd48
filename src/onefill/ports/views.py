"""Reading what is and what was, for people, and the operator's switches.

Nothing here takes part in a decision. Every call raises StoreUnavailable when no store answers.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Generic, Protocol, TypeVar

from onefill.core.book import Sizing, TimeBasis
from onefill.core.errors import OnefillError
from onefill.core.ids import ClientOrderId
from onefill.core.intent import IntentState
from onefill.core.orders.adjusting import Adjustment, AdjustmentRefusal
from onefill.core.orders.ruling import Ruling, RulingRefusal
from onefill.core.signal import SignalKind, SignalStatus
from onefill.ports.authority import LossRow
from onefill.ports.figures import (
    CapitalMoved,
    CapitalRefusal,
    Closing,
    ClosingRefusal,
    EquityCurve,
    StatisticsReport,
)
from onefill.ports.rows import (
    AuditRow,
    InstanceRow,
    LeaderRow,
    MissedRow,
    OrderRow,
    OrderStory,
    PortfolioRow,
    PositionRow,
    PositionStory,
    ReconciliationRow,
    SignalRow,
    SignalStory,
    Standing,
)
from onefill.ports.trading import Settled

T = TypeVar("T")


class InvalidCursor(OnefillError):
    """This cursor was never given out for this list."""

    remedy = "Take `next_cursor` of the page before, unchanged, or leave it out to start anew."


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which page of a list: at most `limit` rows, newest first, older than the cursor's row."""

    limit: int = 50
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Rows, newest first. next_cursor asks for the older ones; None: there are none.

    Rows that arrive meanwhile never shift a page: a cursor names a row, not a number of rows.
    """

    items: tuple[T, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalFilter:
    """None asks for all. since (included) and until (excluded) are times of receipt."""

    status: SignalStatus | None = None
    kind: SignalKind | None = None
    portfolio: str | None = None
    instrument: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionFilter:
    """None asks for all. closed: those that are over as well, not only what is held."""

    portfolio: str | None = None
    instrument: str | None = None
    closed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFilter:
    """None asks for all."""

    state: IntentState | None = None
    lane: str | None = None
    symbol: str | None = None


class Views(Protocol):
    """The read side. One call is one consistent snapshot. `None`: there is no such thing."""

    async def signals(self, wanted: SignalFilter, window: Window) -> Page[SignalRow]:
        """Signals by arrival. Raises InvalidCursor."""
        ...

    async def signal(self, signal_id: int) -> SignalStory | None:
        """One signal, with all that came of it."""
        ...

    async def orders(self, wanted: OrderFilter, window: Window) -> Page[OrderRow]:
        """Order intents by creation. Raises InvalidCursor."""
        ...

    async def order(self, client_order_id: str) -> OrderStory | None:
        """One order intent, with its attempts and fills."""
        ...

    async def positions(self, wanted: PositionFilter, window: Window) -> Page[PositionRow]:
        """Positions by opening, with their legs. Raises InvalidCursor."""
        ...

    async def position(self, position_id: str) -> PositionStory | None:
        """One position, with its orders."""
        ...

    async def portfolio(self, portfolio: str) -> PortfolioRow | None:
        """A portfolio's equity, risk and settings."""
        ...

    async def statistics(self, portfolio: str) -> StatisticsReport | None:
        """How well a portfolio trades, computed from its fills."""
        ...

    async def equity(self, portfolio: str) -> EquityCurve | None:
        """A portfolio's closed equity over time."""
        ...

    async def instances(self) -> tuple[InstanceRow, ...]:
        """All instances that were ever seen and not archived, by name."""
        ...

    async def leader(self) -> LeaderRow | None:
        """Who holds the lease; None when nobody ever did."""
        ...

    async def reconciliation(self) -> ReconciliationRow | None:
        """The last report."""
        ...

    async def audit(self, window: Window) -> Page[AuditRow]:
        """Actions of people. Raises InvalidCursor."""
        ...

    async def missed(self, window: Window) -> Page[MissedRow]:
        """What should have been heard and was not, and when it came right. Raises InvalidCursor."""
        ...

    async def standing(self) -> Standing:
        """Pause, doubts, blocked lanes, what is missed now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts, and from which address."""

    name: str
    address: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingSwitch:
    """The kill switch after an action. exits_paused: exits and stops rest as well.

    by, at: who moved it last. changed: this action did.
    """

    paused: bool
    exits_paused: bool
    by: str
    at: datetime
    changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioSettings:
    """How a portfolio sizes and by which time it judges freshness.

    initial_capital: of a new portfolio (None: the default); an existing one's can't be changed.
    """

    sizing: Sizing
    time_basis: TimeBasis
    initial_capital: Decimal | None = None


class SettingsRefusal(enum.Enum):
    """Why a portfolio's settings stay as they are, with the remedy, in order of precedence."""

    LIVE_ORDERS = "It has live orders: use another portfolio for replays and trials."
    CAPITAL_IS_A_LEDGER = "Leave initial_capital out; book a deposit or a withdrawal instead."


@dataclass(frozen=True, slots=True, kw_only=True)
class Unblocked:
    """A lane after an action. was: what blocked it until now, or None."""

    lane: str
    was: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileWish:
    """How to compare with the brokers, and what to book of it.

    apply: book what brokers say of our own orders, and what orders by hand explain. prices: of what
    was traded by hand and nothing explains, by broker, account and symbol. by: who asks.
    """

    apply: bool = False
    prices: Mapping[tuple[str, str, str], Decimal] = field(default_factory=dict, hash=False)
    by: Actor | None = None
    note: str = ""


Reconcile = Callable[[ReconcileWish], Awaitable[bool]]
"""Compare with the brokers now, as wished; says whether done."""


class Controls(Protocol):
    """What operators do. Each action leaves a row in the audit log, in the same commit; each
    may be repeated safely. All raise CommitUnknown when the store was lost on the way."""

    async def pause(self, by: Actor, note: str, *, exits: bool) -> TradingSwitch:
        """No entry is taken anywhere, from this commit on; exits and stops go on (SIG-18), or
        rest as well: nothing at all is sent then, until somebody resumes (CTL-9)."""
        ...

    async def resume(self, by: Actor, note: str) -> TradingSwitch:
        """Trade again."""
        ...

    async def end_safe(self, note: str, by: Actor) -> tuple[LossRow, ...]:
        """Trade again after lost commits, on a person's word: what had been lost; empty where
        nothing had (CTL-8)."""
        ...

    async def configure(
        self, portfolio: str, wanted: PortfolioSettings, by: Actor
    ) -> PortfolioSettings | SettingsRefusal:
        """Set up a portfolio, or change one that never had a live order."""
        ...

    async def resolve(
        self, client_order_id: str, ruling: Ruling, by: Actor
    ) -> RulingRefusal | None:
        """Settle a quarantined order by a person's word: None, or why not (ORD-7)."""
        ...

    async def place_again(
        self, client_order_id: str, note: str, by: Actor
    ) -> ClientOrderId | RulingRefusal:
        """The same order as a new intent, after a person ruled the old one out: its id."""
        ...

    async def acknowledge(self, client_order_id: str, by: Actor) -> RulingRefusal | None:
        """Say that a person knows of a quarantined order: its alarm is repeated no more."""
        ...

    async def unblock(self, lane: str, note: str, by: Actor) -> Unblocked | None:
        """Let a lane take new exposure again. None: there is no such lane."""
        ...

    async def accept_order(
        self, broker: str, account: str, broker_order_id: str, note: str, by: Actor
    ) -> None:
        """Say that a person has looked at an order with our mark that no intent explains."""
        ...

    async def adjust(self, wanted: Adjustment, by: Actor) -> Settled | AdjustmentRefusal:
        """Book what was traded by hand to the positions that it changed, all of it or nothing: what
        came of it, or why not (ORD-9)."""
        ...

    async def record(self, action: str, details: Mapping[str, object], by: Actor) -> None:
        """Keep in the audit log what was asked for elsewhere."""
        ...

    async def move_capital(
        self, portfolio: str, amount: Decimal, note: str, reference: str | None, by: Actor
    ) -> CapitalMoved | CapitalRefusal:
        """Deposit (positive) or withdraw (negative) in the ledger (PF-5).

        reference: the caller's name of the movement; the same one is never booked twice.
        """
        ...

    async def close_position(
        self, position_id: str, note: str, by: Actor
    ) -> Closing | ClosingRefusal:
        """Have a position closed: logs the exit signal, which whoever leads decides next."""
        ...
