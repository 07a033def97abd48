"""The exchange itself: takes tickets, matches them with the market, writes down the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from onefill.venue.book import Book
from onefill.venue.clock import VenueClock
from onefill.venue.instruments import BINANCE, instrument_of
from onefill.venue.ledger import Ledger
from onefill.venue.market import Market
from onefill.venue.matching import fill_price, fill_quantity, is_reached, is_triggered, reducible
from onefill.venue.options import BrokerClass
from onefill.venue.orders import (
    Algo,
    AlgoStatus,
    Entry,
    Execution,
    Kind,
    Order,
    Patience,
    Refusal,
    Side,
    Status,
    Terms,
    Ticket,
)
from onefill.venue.sessions import Sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What faults make of one order."""

    is_held: bool = False
    """It is accepted and does not trade before `release`."""
    fill_at_most: Decimal | None = None
    """Its quantity on each tick, instead of the venue's setting."""
    reported_twice: bool = False
    when_accepted: Callable[[Order], None] | None = None
    """Called once the order is in the book."""


NORMAL = Circumstances()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The absolute values that a modified order shall have."""

    quantity: Decimal
    price: Decimal
    trigger_price: Decimal
    kind: Kind


class Engine:
    """Changes the book in whole entries, each appended to the ledger before it returns.

    changed: told of each entry that was taken in. Nothing here waits: whoever answers a person
    awaits `Ledger.durable` first.
    """

    def __init__(
        self, ledger: Ledger, market: Market, clock: VenueClock, broker_class: BrokerClass
    ) -> None:
        self.book = Book()
        self.market = market
        self.fill_at_most: Decimal | None = None
        self.sessions = Sessions()
        self.funds: Decimal | None = None  # None: enough that nothing is ever refused for it
        self._ledger = ledger
        self.clock = clock
        self._class = broker_class
        self._circumstances: dict[int, Circumstances] = {}
        self._triggered_under: dict[int, Circumstances] = {}
        self.changed: Callable[[Entry], None] = _nobody

    def restore(self) -> None:
        """Read everything back from the ledger, once, before the first request."""
        for entry in self._ledger.read():
            self.book.apply(entry)
            for source, price in entry.prices.items():
                self.market.set_price(source, price)
            if entry.clock_offset_ms is not None:
                self.clock.offset_ms = entry.clock_offset_ms

    def place(self, ticket: Ticket, circumstances: Circumstances = NORMAL) -> Order | Refusal:
        """Accept the ticket and fill what fills now; a refused ticket leaves no trace."""
        if self._is_taken(ticket):
            return Refusal.DUPLICATE_ID
        if self.sessions.turns_away(instrument_of(ticket.dialect, ticket.symbol).exchange):
            return Refusal.MARKET_CLOSED
        if ticket.reduces and not self._reducible(ticket):
            return Refusal.NOTHING_TO_REDUCE
        entry = Entry()
        order = self._admit(ticket, circumstances, entry)
        self._commit(entry)
        if circumstances.when_accepted is not None:
            circumstances.when_accepted(order)
        return order

    def wait(self, algo: Algo, circumstances: Circumstances = NORMAL) -> Algo | Refusal:
        """Accept a conditional order; it becomes an order once the price has come to its trigger.

        The order is matched under the same circumstances.
        """
        refusal = self._cannot_wait(algo)
        if refusal is not None:
            return refusal
        if circumstances is not NORMAL:
            self._triggered_under[algo.algo_id] = circumstances
        self._commit(Entry(algos=[algo]))
        return algo

    def cancel_waiting(self, algo: Algo) -> Refusal | None:
        """Forget a conditional order that was not triggered yet."""
        if not algo.is_waiting:
            return Refusal.NOT_OPEN
        self._end_waiting(algo, AlgoStatus.CANCELED, Entry(algos=[algo]))
        return None

    def release(self, order: Order) -> None:
        """Let a held order trade."""
        self._circumstances.pop(order.broker_order_id, None)
        if order.status.is_open:
            self._touch(order)

    def cancel(self, order: Order) -> Refusal | None:
        """Take an open order out of the book."""
        if not order.status.is_open:
            return Refusal.NOT_OPEN
        self._end(order, Status.CANCELED)
        self._commit(Entry(orders=[order]))
        return None

    def modify(self, order: Order, change: Change) -> Refusal | None:
        """Give an open order new values and match it again.

        A quantity that is not above what has filled cancels the rest, as at Binance.
        """
        if not order.status.is_open:
            return Refusal.NOT_OPEN
        before = (order.quantity, order.price, order.trigger_price, order.kind)
        after = (change.quantity, change.price, change.trigger_price, change.kind)
        if before == after:
            return Refusal.UNCHANGED
        if self.sessions.turns_away(instrument_of(order.dialect, order.symbol).exchange):
            return Refusal.MARKET_CLOSED
        entry = Entry(orders=[order])
        order.modifications += 1
        order.updated_at = self.clock.now_us()
        if change.quantity <= order.filled_quantity:
            self._end(order, Status.CANCELED)
        else:
            order.quantity, order.price, order.trigger_price, order.kind = after
            self._match(order, entry)
        self._commit(entry)
        return None

    def push_price(self, source: str, price: Decimal) -> None:
        """Set a price for good (it survives a restart) and trade on it."""
        self._commit(Entry(prices={source: price}))
        self.tick(source, price)

    def tick(self, source: str, price: Decimal) -> None:
        """Move a price as a feed does: only the fills are written down."""
        self.market.set_price(source, price)
        for order in self.book.open_on(source):
            self._touch(order)
        for algo in self.book.algos.waiting_on(source):
            if is_reached(algo, self._price_of(algo)):
                self._trigger(algo)

    def close_market(self, exchange: str) -> None:
        """Trade nothing there any more; what rests ends, as orders of the day do in India."""
        self.sessions.closed.add(exchange)
        for order in self.book.open_orders():
            if instrument_of(order.dialect, order.symbol).exchange == exchange:
                self._end(order, Status.CANCELED)
                self._commit(Entry(orders=[order]))

    def open_market(self, exchange: str) -> None:
        """Trade there again."""
        self.sessions.closed.discard(exchange)

    def set_terms(self, terms: Terms) -> None:
        """Set on which terms an account trades, for good."""
        self._commit(Entry(terms=[terms]))

    def shift_clock(self, offset_ms: int) -> None:
        """Set the offset of the venue's clock for good."""
        self.clock.offset_ms = offset_ms
        self._commit(Entry(clock_offset_ms=offset_ms))

    def _admit(self, ticket: Ticket, circumstances: Circumstances, entry: Entry) -> Order:
        """Make the order, and fill what fills now."""
        order = self.book.new_order(ticket, self.clock.now_us())
        if circumstances is not NORMAL:
            self._circumstances[order.broker_order_id] = circumstances
        entry.orders.append(order)
        if not circumstances.is_held:
            self._match(order, entry)
            if order.patience is not Patience.GTC:
                self._lose(order)
        return order

    def _cannot_wait(self, algo: Algo) -> Refusal | None:
        known = self.book.algos.by_client_id(algo.account, algo.client_order_id)
        if known is not None and (
            self._class is BrokerClass.A or (self._class is BrokerClass.B and known.is_waiting)
        ):
            return Refusal.DUPLICATE_ID
        if algo.closes and self.book.algos.closing(algo) is not None:
            return Refusal.CLOSED_BY_ANOTHER
        return Refusal.WOULD_TRIGGER if is_reached(algo, self._price_of(algo)) else None

    def _trigger(self, algo: Algo) -> None:
        """Make an order of it, and fill what fills now; with nothing to reduce it ends."""
        held = reducible(algo.side, self.book.position_of(algo))
        if algo.reduces and not held:
            status = AlgoStatus.EXPIRED if algo.closes else AlgoStatus.REJECTED
            self._end_waiting(algo, status, Entry(algos=[algo]))
            return
        ticket = Ticket(
            client_order_id=algo.client_order_id,
            dialect=algo.dialect,
            account=algo.account,
            symbol=algo.symbol,
            side=algo.side,
            quantity=held if algo.closes else algo.quantity,
            received_at=self.clock.now_us(),
            kind=Kind.LIMIT if algo.price else Kind.MARKET,
            price=algo.price,
            patience=algo.patience,
            reduce_only=algo.reduce_only or algo.closes,
            position_side=algo.position_side,
        )
        entry = Entry(algos=[algo])
        circumstances = self._triggered_under.pop(algo.algo_id, NORMAL)
        order = self._admit(ticket, circumstances, entry)
        algo.broker_order_id = order.broker_order_id
        self._end_waiting(algo, AlgoStatus.TRIGGERED, entry)
        if circumstances.when_accepted is not None:
            circumstances.when_accepted(order)

    def _end_waiting(self, algo: Algo, status: AlgoStatus, entry: Entry) -> None:
        algo.status, algo.updated_at = status, self.clock.now_us()
        self._triggered_under.pop(algo.algo_id, None)
        self._commit(entry)

    def _price_of(self, order: Order | Algo) -> Decimal:
        return self.market.quote(instrument_of(order.dialect, order.symbol))

    def _is_taken(self, ticket: Ticket) -> bool:
        # OpenAlgo checks no ids, whatever the class.
        if ticket.dialect != BINANCE or not ticket.client_order_id:
            return False
        known = self.book.by_client_id(ticket.account, ticket.client_order_id)
        if known is None or self._class is BrokerClass.C:
            return False
        return self._class is BrokerClass.A or known.status.is_open

    def _reducible(self, ticket: Ticket) -> Decimal:
        return reducible(ticket.side, self.book.position_of(ticket))

    def _touch(self, order: Order) -> None:
        """Match a resting order and write down what changed, if anything did."""
        before = (order.status, order.filled_quantity, order.triggered)
        entry = Entry(orders=[order])
        self._match(order, entry)
        if before != (order.status, order.filled_quantity, order.triggered):
            self._commit(entry)

    def _match(self, order: Order, entry: Entry) -> None:
        circumstances = self._circumstances.get(order.broker_order_id, NORMAL)
        price = self._price_of(order)
        if circumstances.is_held or not is_triggered(order, price):
            return
        order.triggered = order.kind in (Kind.SL, Kind.SLM)
        offered = fill_price(order, price, self.market.spread)
        if offered is None:
            return
        at_most = circumstances.fill_at_most or self.fill_at_most
        position = self.book.position_of(order)
        quantity = fill_quantity(order, position, at_most)
        if order.patience is Patience.FOK and quantity < order.remaining:
            return
        if quantity > 0:
            self._fill(order, quantity, offered, entry, circumstances)
        if order.reduces and reducible(order.side, position) <= quantity:
            self._lose(order)

    def _fill(
        self,
        order: Order,
        quantity: Decimal,
        price: Decimal,
        entry: Entry,
        circumstances: Circumstances,
    ) -> None:
        now_us = self.clock.now_us()
        order.filled_quantity += quantity
        order.turnover += quantity * price
        order.executed_at = order.updated_at = now_us
        order.status = Status.PARTIALLY_FILLED if order.remaining else Status.FILLED
        execution = Execution(
            execution_id=self.book.next_execution_id,
            broker_order_id=order.broker_order_id,
            client_order_id=order.client_order_id,
            account=order.account,
            symbol=order.symbol,
            side=Side(order.side),
            quantity=quantity,
            price=price,
            at=now_us,
            position_side=order.position_side,
            reported_twice=circumstances.reported_twice,
        )
        entry.executions.append(execution)

    def _lose(self, order: Order) -> None:
        """End what is left of an order that can't fill any more."""
        if order.status.is_open:
            self._end(order, Status.EXPIRED)

    def _end(self, order: Order, status: Status) -> None:
        order.status = status
        order.updated_at = self.clock.now_us()

    def _commit(self, entry: Entry) -> None:
        self._ledger.append(entry)
        self.book.apply(entry)
        self.changed(entry)
        for order in entry.orders:
            if not order.status.is_open:
                self._circumstances.pop(order.broker_order_id, None)


def _nobody(_: Entry) -> None:
    """Who listens when nobody does."""
