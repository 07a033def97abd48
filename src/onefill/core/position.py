"""Positions as a fold over fills: nothing here is ever set by hand, only added up."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from onefill.core.errors import invariant
from onefill.core.ids import Lane, PositionId, lane_of
from onefill.core.instrument import FREE, Tariff
from onefill.core.intent import Side
from onefill.core.money import ZERO

CALL, PUT, FUTURE, MAIN = "ce", "pe", "fut", "main"
"""Names of legs: a synthetic future's two, a future's one, the direct policy's one."""
_PERCENT = Decimal("0.01")
_PLACES = 8
"""Of rupees (or quote currency) in the profit of a part."""


class PositionStatus(enum.StrEnum):
    """PF-12. `closing` is durable before the first exit order; `partial` has unequal legs."""

    PENDING = "pending"
    OPEN = "open"
    PARTIAL = "partial"
    CLOSING = "closing"
    CLOSED = "closed"


class Rollover(enum.StrEnum):
    """How far a position is on its way into the next contract (PF-24)."""

    NONE = "none"
    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    ROLLED = "rolled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One contract of a position: all that was bought and sold of it.

    side: the way the leg opens. multiplier: rupees (or quote currency) for one point and one
    broker unit. quantity: what it should hold when open, in broker units, without sign. tariff:
    what trading it costs, as it was when the leg was made. orders: how many of them have traded.
    """

    name: str
    broker: str
    account: str
    symbol: str
    exchange: str
    side: Side
    quantity: Decimal
    multiplier: Decimal = Decimal(1)
    bought_quantity: Decimal = ZERO
    bought_value: Decimal = ZERO
    sold_quantity: Decimal = ZERO
    sold_value: Decimal = ZERO
    tariff: Tariff = FREE
    orders: int = 0

    @property
    def costs(self) -> Decimal:
        """What all that was traded of it has cost."""
        percent = (
            self.bought_value * self.tariff.buy_percent + self.sold_value * self.tariff.sell_percent
        )
        return percent * self.multiplier * _PERCENT + self.tariff.per_order * self.orders

    @property
    def net(self) -> Decimal:
        """What is held now, signed, in broker units."""
        return self.bought_quantity - self.sold_quantity

    @property
    def opened(self) -> Decimal:
        """What was ever traded in the opening direction."""
        return self.bought_quantity if self.side is Side.BUY else self.sold_quantity

    @property
    def entry_price(self) -> Decimal | None:
        """Average price of what was traded in the opening direction."""
        if self.opened == 0:
            return None
        value = self.bought_value if self.side is Side.BUY else self.sold_value
        return value / self.opened

    @property
    def realised(self) -> Decimal:
        """Profit of the part that is closed, at average prices; exact once the leg is flat.

        Costs are not taken off.
        """
        if self.net == 0:
            return (self.sold_value - self.bought_value) * self.multiplier
        return self.realised_on(self.closed)

    @property
    def closed(self) -> Decimal:
        """What was traded both ways."""
        return min(self.bought_quantity, self.sold_quantity)

    def realised_on(self, quantity: Decimal) -> Decimal:
        """Profit of so much of what was traded both ways, at average prices.

        Rounded, as equity is added up from differences: an endless fraction would never leave it.
        """
        if quantity == 0:
            return ZERO
        bought = self.bought_value / self.bought_quantity
        sold = self.sold_value / self.sold_quantity
        return round(quantity * (sold - bought) * self.multiplier, _PLACES)

    def profit_at(self, price: Decimal) -> Decimal:
        """Rupees gained on what is held, long or short, if it were closed at that price."""
        if self.net == 0:
            return ZERO
        quantity, value = (
            (self.bought_quantity, self.bought_value)
            if self.net > 0
            else (self.sold_quantity, self.sold_value)
        )
        return self.net * (price - value / quantity) * self.multiplier

    def add(self, side: Side, quantity: Decimal, value: Decimal, *, is_first: bool = True) -> Leg:
        """The leg after a fill; value is Σ quantity·price. is_first: of its order."""
        invariant(quantity > 0, "a fill has a quantity", leg=self.name, quantity=quantity)
        orders = self.orders + is_first
        if side is Side.BUY:
            return replace(
                self,
                bought_quantity=self.bought_quantity + quantity,
                bought_value=self.bought_value + value,
                orders=orders,
            )
        return replace(
            self,
            sold_quantity=self.sold_quantity + quantity,
            sold_value=self.sold_value + value,
            orders=orders,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """One slot of one instrument in one portfolio, from its decision until it is flat.

    lots and everything per lot are what the position was opened with; signal_price is the price
    it was sized at, stop the present stop in points. exits: how often an exit was issued;
    repairs: how often unequal legs were repaired; next_exit_at: neither before then again.
    entry_signal_id, exit_signal_id: the signals that asked for the entry, and for the exit.
    rolled_from, rolled_price: the position before this one, and what that was left at in points.
    carried_points: what it had gained by then, from the very first entry on; rollover_pnl the same
    in rupees, as realised. original_*: of the first contract.
    guards: how many stop orders, and changes of them, were issued for it (PF-11); guard_at: when to
    look whether its stop is as it should be; None: it is, or there is none to be.
    version: goes up with each write; a writer states the one that it read.
    """

    id: PositionId
    portfolio: str
    instrument: str
    slot: str
    status: PositionStatus
    legs: tuple[Leg, ...]
    opened_at: datetime
    lots: int = 0
    units_per_lot: int = 1
    point_value: Decimal = Decimal(1)
    margin_per_lot: Decimal = ZERO
    signal_price: Decimal | None = None
    entry_price: Decimal | None = None
    stop: Decimal | None = None
    initial_stop: Decimal | None = None
    highest_close: Decimal | None = None
    atr: Decimal | None = None
    last_price: Decimal | None = None
    limiter: str | None = None
    strike: int | None = None
    expiry: date | None = None
    exits: int = 0
    repairs: int = 0
    entry_signal_id: int | None = None
    next_exit_at: datetime | None = None
    exit_signal_id: int | None = None
    reason: str | None = None
    closed_at: datetime | None = None
    rollover: Rollover = Rollover.NONE
    rollover_count: int = 0
    rollover_pnl: Decimal = ZERO
    rollover_timestamp: datetime | None = None
    rolled_from: PositionId | None = None
    rolled_price: Decimal | None = None
    carried_points: Decimal = ZERO
    original_expiry: date | None = None
    original_strike: int | None = None
    original_entry_price: Decimal | None = None
    guards: int = 0
    guard_at: datetime | None = None
    version: int = 0

    @property
    def lane(self) -> Lane:
        """The lane that this position belongs to."""
        return lane_of(self.portfolio, self.instrument)

    @property
    def is_flat(self) -> bool:
        """Whether nothing is held in any leg."""
        return all(leg.net == 0 for leg in self.legs)

    @property
    def is_live(self) -> bool:
        """Whether it still takes its slot."""
        return self.status is not PositionStatus.CLOSED

    @property
    def is_base(self) -> bool:
        """Whether this is the base that pyramids stand on."""
        return self.slot == "Long_1"

    @property
    def is_rolling(self) -> bool:
        """Whether it is being closed to be opened again in the next contract."""
        return self.status is PositionStatus.CLOSING and self.rollover is Rollover.IN_PROGRESS

    @property
    def effective_entry(self) -> Decimal | None:
        """The very first entry, in the prices of the present contract."""
        return None if self.entry_price is None else self.entry_price - self.carried_points

    @property
    def costs(self) -> Decimal:
        """What all that was traded so far has cost."""
        return sum((leg.costs for leg in self.legs), ZERO)

    @property
    def realised(self) -> Decimal:
        """What is earned so far: the profit of what is closed, less all costs up to now."""
        return self.gross - self.costs

    @property
    def gross(self) -> Decimal:
        """Profit of what is closed so far in every leg; of all that was traded once it is flat.

        One leg's profit alone is none: the other's loss comes a moment later, and a high-water
        mark would keep the moment between (PF-5).
        """
        closed = min((leg.closed for leg in self.legs), default=ZERO)
        if self.is_flat or all(leg.closed == closed for leg in self.legs):
            return sum((leg.realised for leg in self.legs), ZERO)
        return sum((leg.realised_on(closed) for leg in self.legs), ZERO)

    @property
    def margin(self) -> Decimal:
        """Rupees of margin that this position uses (its worst case while it is pending)."""
        return ZERO if self.status is PositionStatus.CLOSED else self.margin_per_lot * self.lots

    @property
    def held_lots(self) -> Decimal:
        """Whole positions held in every leg, in lots (a synthetic counts its smaller leg)."""
        held = min((abs(leg.net) for leg in self.legs), default=ZERO)
        return held / self.units_per_lot

    @property
    def initial_risk(self) -> Decimal:
        """Rupees from the entry down to the initial stop, for what is held."""
        entry = self.effective_entry
        if entry is None or self.initial_stop is None:
            return ZERO
        return (entry - self.initial_stop) * self.held_lots * self.point_value

    def profit_at(self, price: Decimal) -> Decimal:
        """Rupees gained on what is held if it were sold at that price; 0 before it was bought.

        One leg alone may be held short (the direct policy's): then it gains as the price falls.
        """
        if len(self.legs) == 1:
            return self.legs[0].profit_at(price)
        if self.entry_price is None:
            return ZERO
        return (price - self.entry_price) * self.held_lots * self.point_value

    def leg(self, name: str) -> Leg:
        """The leg of that name. Raises Bug when there is none."""
        found = next((leg for leg in self.legs if leg.name == name), None)
        invariant(found is not None, "an intent names a leg of its position", leg=name, id=self.id)
        assert found is not None
        return found

    def fill(
        self, leg: str, side: Side, quantity: Decimal, value: Decimal, *, is_first: bool = True
    ) -> Position:
        """The position after a fill of one of its legs. is_first: the first one of its order."""
        filled = self.leg(leg).add(side, quantity, value, is_first=is_first)
        return replace(self, legs=tuple(filled if old.name == leg else old for old in self.legs))
