"""What the venue remembers: orders, executions, and one entry of its ledger."""

from __future__ import annotations

import enum
from decimal import Decimal

import msgspec

from onefill.core.money import ZERO

FIRST_ID = 1_000_000_001
"""Ids start here, so that they have one length and sort as text as well as by number."""
FIRST_ALGO_ID = 2_000_000_001
"""Conditional orders are counted apart."""
_AVERAGE_STEP = Decimal("0.00000001")


class Side(enum.StrEnum):
    """Which way an order changes the position."""

    BUY = "BUY"
    SELL = "SELL"


class PositionSide(enum.StrEnum):
    """Which position of a symbol an order changes: the only one, or in hedge mode one of two."""

    BOTH = "BOTH"
    LONG = "LONG"
    SHORT = "SHORT"

    def closed_by(self, side: Side) -> bool:
        """Whether an order of this side can only take off the position."""
        return (self, side) in ((PositionSide.LONG, Side.SELL), (PositionSide.SHORT, Side.BUY))


class Kind(enum.StrEnum):
    """How an order is priced; SL and SLM wait for their trigger price first."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    SL = "SL"
    SLM = "SL-M"


class Patience(enum.StrEnum):
    """What becomes of the part that cannot fill at once."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class Status(enum.StrEnum):
    """Where an order stands, in Binance's words."""

    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"

    @property
    def is_open(self) -> bool:
        """Whether the order can still fill."""
        return self in (Status.NEW, Status.PARTIALLY_FILLED)


class AlgoStatus(enum.StrEnum):
    """Where a conditional order stands; once triggered, the order that it became says the rest."""

    NEW = "NEW"
    CANCELED = "CANCELED"
    TRIGGERED = "TRIGGERED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"


class Refusal(enum.Enum):
    """Why the venue did not do it; each dialect has its own code for it."""

    DUPLICATE_ID = "The client order id is taken."
    NOTHING_TO_REDUCE = "The order would not reduce a position."
    NOT_OPEN = "The order is not open."
    UNCHANGED = "The order already has these values."
    WOULD_TRIGGER = "The price has passed the trigger price already."
    MARKET_CLOSED = "Markets are closed right now. Use GTT or AMO to place orders after hours."
    CLOSED_BY_ANOTHER = "Another order closes the position on this side already."


class Ticket(msgspec.Struct, kw_only=True):
    """A valid wish for an order, before the venue accepts it. quantity is in units."""

    client_order_id: str
    dialect: str
    account: str
    symbol: str
    side: Side
    quantity: Decimal
    received_at: int
    """Microseconds since 1970."""
    kind: Kind = Kind.MARKET
    price: Decimal = ZERO
    trigger_price: Decimal = ZERO
    patience: Patience = Patience.GTC
    reduce_only: bool = False
    position_side: PositionSide = PositionSide.BOTH
    product: str = ""

    @property
    def reduces(self) -> bool:
        """Whether it must not enlarge a position."""
        return self.reduce_only or self.position_side.closed_by(self.side)


class Order(Ticket, omit_defaults=True, kw_only=True):
    """An accepted order and how far it has come."""

    broker_order_id: int
    updated_at: int
    status: Status = Status.NEW
    triggered: bool = False
    filled_quantity: Decimal = ZERO
    turnover: Decimal = ZERO
    """The sum of quantity times price over its executions."""
    executed_at: int | None = None
    modifications: int = 0
    """How often it was given new values."""

    @property
    def remaining(self) -> Decimal:
        """What is left to fill."""
        return self.quantity - self.filled_quantity

    @property
    def average_price(self) -> Decimal:
        """Paid or received for a unit, to eight places; 0 while nothing is filled."""
        if not self.filled_quantity:
            return ZERO
        return (self.turnover / self.filled_quantity).quantize(_AVERAGE_STEP)


class Algo(msgspec.Struct, omit_defaults=True, kw_only=True):
    """An order that waits for its trigger price, and which order it then became.

    Buys and sells are stops unless takes_profit. price: of a limit order when triggered, 0 is at
    market. closes: the whole position, whatever its size is by then; quantity is 0.
    """

    algo_id: int
    client_order_id: str
    dialect: str
    account: str
    symbol: str
    side: Side
    quantity: Decimal
    trigger_price: Decimal
    received_at: int
    updated_at: int
    takes_profit: bool = False
    price: Decimal = ZERO
    patience: Patience = Patience.GTC
    reduce_only: bool = False
    closes: bool = False
    position_side: PositionSide = PositionSide.BOTH
    working_type: str = "CONTRACT_PRICE"
    status: AlgoStatus = AlgoStatus.NEW
    broker_order_id: int | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether it can still be triggered."""
        return self.status is AlgoStatus.NEW

    @property
    def reduces(self) -> bool:
        """Whether it must not enlarge a position."""
        return self.reduce_only or self.closes or self.position_side.closed_by(self.side)


class Execution(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One fill of one order. at: microseconds since 1970."""

    execution_id: int
    broker_order_id: int
    client_order_id: str
    account: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    at: int
    position_side: PositionSide = PositionSide.BOTH
    reported_twice: bool = False
    """Shown twice in the lists of trades, with one id; it happened once."""


class Terms(msgspec.Struct, omit_defaults=True, kw_only=True):
    """On which terms an account trades a symbol; with the symbol empty, all of them.

    hedged: each side of a symbol is a position of its own.
    """

    account: str
    symbol: str
    leverage: int = 20
    isolated: bool = False
    hedged: bool = False


class Entry(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One line of the ledger: all that one request or tick changed, or none of it.

    Orders are whole snapshots, so that reading an entry twice changes nothing.
    """

    orders: list[Order] = []
    algos: list[Algo] = []
    executions: list[Execution] = []
    terms: list[Terms] = []
    prices: dict[str, Decimal] = {}
    clock_offset_ms: int | None = None
