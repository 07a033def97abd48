"""A venue of class A, B or C, and its ledger of the truth: every order that it ever accepted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from onefill.core.intent import Side
from onefill.core.money import ZERO
from onefill.core.orders.report import NotPlaced, OrderReport, OrderStatus, Outcome, Placed, Unknown
from onefill.ports.broker import OrderClass
from onefill.sim.chance import Chance
from onefill.sim.clock import moment
from onefill.sim.loop import Timeline
from onefill.sim.wire import Reply

PRICE = Decimal(100)
LAG_MS = 300
TIMESTAMP_OUTSIDE_WINDOW = "-1021"


@dataclass(slots=True)
class Temper:
    """How a venue behaves; chances between 0 and 1.

    silent: the answer to an accepted order is lost. late: an accepted order appears late, and its
    sender hears nothing of it. busy: it says that it does not know, before doing anything.
    refuses: a definite no. lingers: an order fills later, in parts.
    """

    silent: float = 0.0
    late: float = 0.0
    busy: float = 0.0
    refuses: float = 0.0
    lingers: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What arrives: an order as it was signed. expires_at: on the venue's clock."""

    client_order_id: str
    attempt: int
    request_hash: bytes
    symbol: str
    side: Side
    quantity: Decimal
    expires_at: datetime | None


@dataclass(slots=True)
class VenueOrder:
    """An accepted order. is_visible: whether anybody can see it yet."""

    number: str
    request: Request
    status: OrderStatus = OrderStatus.OPEN
    filled: Decimal = ZERO
    is_visible: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it may still fill."""
        return self.status in (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED)

    @property
    def report(self) -> OrderReport:
        """What the venue says of it."""
        request = self.request
        return OrderReport(
            broker_order_id=self.number,
            client_order_id=request.client_order_id,
            status=self.status,
            filled_quantity=self.filled,
            filled_value=self.filled * PRICE,
            symbol=request.symbol,
            quantity=request.quantity,
        )


class Observer(Protocol):
    """Who watches what is executed."""

    def executing(self, order: VenueOrder) -> None:
        """This order is about to be executed, in part or whole."""
        ...


class Venue:
    """One account. Its clock is off by skew_s; LAG_MS is its declared visibility lag."""

    def __init__(
        self,
        timeline: Timeline,
        chance: Chance,
        order_class: OrderClass,
        observer: Observer,
        skew_s: float,
    ) -> None:
        self.order_class = order_class
        self.temper = Temper()
        self.orders: list[VenueOrder] = []
        self._timeline = timeline
        self._chance = chance
        self._observer = observer
        self._skew = timedelta(seconds=skew_s)

    def now(self) -> datetime:
        """The venue's own time."""
        return moment(self._timeline) + self._skew

    def place(self, request: Request, reply: Reply[Outcome]) -> None:
        """Take an order, or not."""
        refusal = self._refusal(request)
        if refusal is not None:
            reply(refusal)
            return
        known = self._same(request)
        if known is not None:
            reply(self._duplicate(known))
            return
        order = VenueOrder(f"v{len(self.orders) + 1}", request)
        self.orders.append(order)
        if self._happens(self.temper.late):
            self._timeline.after(self._lateness_s(request), self._appear, order)
            reply(Unknown(detail="HTTP 503: unknown"))
            return
        self._appear(order)
        silent = self._happens(self.temper.silent)
        reply(Unknown(detail="no answer") if silent else Placed(report=order.report))

    @property
    def is_quiet(self) -> bool:
        """Whether nothing that it accepted is still to be seen."""
        return all(order.is_visible for order in self.orders)

    def find(self, client_order_id: str) -> OrderReport | None:
        """The newest order of this client order id."""
        return self._newest(lambda o: o.request.client_order_id == client_order_id)

    def find_number(self, number: str) -> OrderReport | None:
        """The order of this number."""
        return self._newest(lambda o: o.number == number)

    def listed(self, symbols: frozenset[str] | None = None) -> list[OrderReport]:
        """All orders of these symbols, or all that are open."""
        seen = (order for order in self.orders if order.is_visible)
        if symbols is None:
            return [order.report for order in seen if order.is_open]
        return [order.report for order in seen if order.request.symbol in symbols]

    def side_of(self, number: str) -> Side:
        """Which way that order trades."""
        return next(order.request.side for order in self.orders if order.number == number)

    def positions(self) -> dict[str, Decimal]:
        """Net quantity by symbol; only what is not flat."""
        net: dict[str, Decimal] = {}
        for order in self.orders:
            signed = order.filled if order.request.side is Side.BUY else -order.filled
            net[order.request.symbol] = net.get(order.request.symbol, ZERO) + signed
        return {symbol: quantity for symbol, quantity in net.items() if quantity != 0}

    def _refusal(self, request: Request) -> Outcome | None:
        if request.expires_at is not None and self.now() > request.expires_at:
            return NotPlaced(code=TIMESTAMP_OUTSIDE_WINDOW, message="outside", retry=True)
        if self._happens(self.temper.busy):
            return Unknown(detail="HTTP 503 before anything was done")
        if self._happens(self.temper.refuses):
            return NotPlaced(code="-2019", message="margin is insufficient")
        return None

    def _same(self, request: Request) -> VenueOrder | None:
        """The order that makes this one a duplicate, as the class has it."""
        if self.order_class is OrderClass.C:
            return None
        same = (o for o in self.orders if o.request.client_order_id == request.client_order_id)
        for order in same:
            if self.order_class is OrderClass.A or order.is_open:
                return order
        return None

    def _duplicate(self, known: VenueOrder) -> Outcome:
        if known.is_visible:
            return Placed(report=known.report)
        return Unknown(detail="duplicate of an order that can't be seen yet")

    def _lateness_s(self, request: Request) -> float:
        """Up to the declared lag after the request's expiry; after its arrival without one."""
        left_s = 0.0
        if request.expires_at is not None:
            left_s = (request.expires_at - self.now()).total_seconds()
        return (left_s + LAG_MS / 1000) * float(self._chance.random() ** 0.3)

    def _appear(self, order: VenueOrder) -> None:
        order.is_visible = True
        if self._happens(self.temper.lingers):
            delay_s = 0.02 + self._chance.random()
            self._timeline.after(delay_s, self._fill, order, order.request.quantity // 2)
            self._timeline.after(delay_s * 2, self._fill, order, order.request.quantity)
        else:
            self._fill(order, order.request.quantity)

    def _fill(self, order: VenueOrder, quantity: Decimal) -> None:
        if quantity <= order.filled:
            return
        self._observer.executing(order)
        order.filled = quantity
        whole = quantity == order.request.quantity
        order.status = OrderStatus.FILLED if whole else OrderStatus.PARTIALLY_FILLED

    def _newest(self, matches: Callable[[VenueOrder], bool]) -> OrderReport | None:
        seen = [order for order in self.orders if order.is_visible and matches(order)]
        return seen[-1].report if seen else None

    def _happens(self, likelihood: float) -> bool:
        return likelihood > 0 and self._chance.random() < likelihood
