"""What a broker says of an order, in one shape for all brokers."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from decimal import Decimal

from onefill.core.intent import Denial, IntentEvent, Side
from onefill.core.money import ZERO


class OrderStatus(enum.StrEnum):
    """An order's state at the broker."""

    OPEN = "open"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"


_EVENTS = {
    OrderStatus.OPEN: IntentEvent.ACCEPTED,
    OrderStatus.PARTIALLY_FILLED: IntentEvent.PARTLY_FILLED,
    OrderStatus.FILLED: IntentEvent.WHOLLY_FILLED,
    OrderStatus.CANCELLED: IntentEvent.CANCELLED,
    OrderStatus.REJECTED: IntentEvent.REFUSED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One execution with the broker's own id."""

    trade_id: str
    quantity: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReport:
    """A broker's word on one order.

    filled_quantity and filled_value (Σ quantity·price) are cumulative: a later report says at
    least as much, so that repeats and reordering change nothing and a gap heals itself (ORD-10).
    quantity, price, trigger_price: what is asked now, where the broker says (price None: at
    market; trigger_price None: it waits for nothing). states_fills: whether the broker itself says
    how much is filled; else it is added up from what it lists of trades, which may come late.
    side: which way it trades, where the broker says.
    """

    broker_order_id: str
    status: OrderStatus
    filled_quantity: Decimal = ZERO
    filled_value: Decimal = ZERO
    client_order_id: str | None = None
    symbol: str = ""
    message: str | None = None
    quantity: Decimal | None = None
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    states_fills: bool = True
    trades: tuple[Trade, ...] = ()
    side: Side | None = None

    @property
    def event(self) -> IntentEvent:
        """What this report means for the intent."""
        if self.status is OrderStatus.OPEN and self.filled_quantity > 0:
            return IntentEvent.PARTLY_FILLED
        return _EVENTS[self.status]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """The broker has the order."""

    report: OrderReport


@dataclass(frozen=True, slots=True, kw_only=True)
class NotPlaced:
    """The broker definitely does not have the order, and never will have from this attempt.

    retry: a new attempt may succeed (the clock was off, the broker was busy before looking).
    denial: a refusal that asks for a new decision, in our words.
    """

    code: str
    message: str
    retry: bool = False
    denial: Denial | None = None

    @property
    def reason(self) -> str:
        """Why, for the intent; a denial's word comes first."""
        said = f"{self.code}: {self.message}"
        return said if self.denial is None else f"{self.denial}: {said}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """The broker may or may not have the order."""

    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSent:
    """Nothing was written to the socket: the attempt's deadline had passed."""

    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """A cancel or a change took effect, or its order is over. report: of that order."""

    report: OrderReport


Outcome = Placed | NotPlaced | Unknown | NotSent | Carried


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A look-up found the order."""

    report: OrderReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """A look-up did not find it. conclusive: it never will be there (the class allows to say)."""

    conclusive: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """The look-up itself failed, or its answer can't be told apart."""

    detail: str


LookUp = Found | Absent | NoAnswer
