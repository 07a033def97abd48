"""The book: every order, execution and position, with the indexes that the look-ups need."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

import msgspec

from onefill.core.errors import invariant
from onefill.core.money import ZERO
from onefill.venue.algos import Algos
from onefill.venue.instruments import instrument_of
from onefill.venue.matching import signed
from onefill.venue.orders import (
    FIRST_ID,
    Algo,
    Entry,
    Execution,
    Order,
    PositionSide,
    Terms,
    Ticket,
)

Holder = tuple[str, str]
"""An account and a symbol."""
Slot = tuple[str, str, PositionSide]
"""An account, a symbol, and which of its positions."""


class Position(msgspec.Struct):
    """The net of an account in a symbol. quantity is signed; prices in points."""

    quantity: Decimal = ZERO
    entry_price: Decimal = ZERO
    realised: Decimal = ZERO
    """Points times units gained by what was closed."""

    def take(self, change: Decimal, price: Decimal) -> None:
        """Apply a fill; change is signed."""
        opens = self.quantity * change >= 0
        after = self.quantity + change
        if opens:
            cost = self.entry_price * abs(self.quantity) + price * abs(change)
            self.entry_price = cost / abs(after) if after else ZERO
        else:
            closed = min(abs(change), abs(self.quantity)).copy_sign(self.quantity)
            self.realised += (price - self.entry_price) * closed
            if after * change >= 0:
                self.entry_price = price if after else ZERO
        self.quantity = after

    def gain_at(self, price: Decimal) -> Decimal:
        """What closing it at this price would gain, in points times units."""
        return (price - self.entry_price) * self.quantity


class Book:
    """All that the ledger says, kept in memory. Only `apply` changes it."""

    def __init__(self) -> None:
        self.orders: dict[int, Order] = {}
        self.executions: list[Execution] = []
        self.positions: defaultdict[Slot, Position] = defaultdict(Position)
        self._by_client: dict[tuple[str, str], Order] = {}
        self._by_holder: defaultdict[Holder, list[Order]] = defaultdict(list)
        self._trades: defaultdict[Holder, list[Execution]] = defaultdict(list)
        self._open: defaultdict[str, dict[int, Order]] = defaultdict(dict)
        self.algos = Algos()
        self._terms: dict[Holder, Terms] = {}

    @property
    def next_order_id(self) -> int:
        """The id that the next order gets; ids have no gaps and survive a restart."""
        return FIRST_ID + len(self.orders)

    @property
    def next_execution_id(self) -> int:
        """The id that the next execution gets."""
        return FIRST_ID + len(self.executions)

    def apply(self, entry: Entry) -> None:
        """Take in an entry of the ledger, new or read back."""
        for order in entry.orders:
            self._keep(order)
        for algo in entry.algos:
            self.algos.keep(algo)
        for terms in entry.terms:
            self._terms[terms.account, terms.symbol] = terms
        for execution in entry.executions:
            invariant(
                execution.execution_id == self.next_execution_id,
                "execution ids have no gaps",
                execution=execution.execution_id,
            )
            holder = (execution.account, execution.symbol)
            self.executions.append(execution)
            self._trades[holder].append(execution)
            change = signed(execution.side, execution.quantity)
            self.positions[*holder, execution.position_side].take(change, execution.price)

    def order(self, account: str, broker_order_id: int | None) -> Order | None:
        """The account's order with this id."""
        order = self.orders.get(broker_order_id) if broker_order_id is not None else None
        return order if order is not None and order.account == account else None

    def by_client_id(self, account: str, client_order_id: str) -> Order | None:
        """The account's latest order with this client order id."""
        return self._by_client.get((account, client_order_id))

    def orders_of(self, account: str, symbol: str | None = None) -> Iterable[Order]:
        """The account's orders in one symbol or in all, oldest first."""
        if symbol is not None:
            return self._by_holder.get((account, symbol), ())
        return (order for order in self.orders.values() if order.account == account)

    def open_orders_of(self, account: str, symbol: str | None = None) -> Iterable[Order]:
        """The account's open orders in one symbol or in all."""
        for orders in self._open.values():
            for order in orders.values():
                if order.account == account and symbol in (None, order.symbol):
                    yield order

    def trades_of(self, account: str, symbol: str | None = None) -> Iterable[Execution]:
        """The account's executions in one symbol or in all, oldest first."""
        if symbol is not None:
            return self._trades.get((account, symbol), ())
        return (trade for trade in self.executions if trade.account == account)

    def open_orders(self) -> list[Order]:
        """All open orders."""
        return [order for orders in self._open.values() for order in orders.values()]

    def open_on(self, source: str) -> list[Order]:
        """The open orders that a move of this source concerns, oldest first."""
        return list(self._open[source].values()) if source in self._open else []

    def position_of(self, order: Ticket | Algo) -> Decimal:
        """The net quantity, signed, of the position that the order changes."""
        position = self.positions.get((order.account, order.symbol, order.position_side))
        return position.quantity if position else ZERO

    def position(self, account: str, symbol: str) -> Decimal:
        """The net quantity of a symbol, signed, over both sides."""
        sides = (self.positions.get((account, symbol, side)) for side in PositionSide)
        return sum((position.quantity for position in sides if position is not None), ZERO)

    def terms_of(self, account: str, symbol: str) -> Terms:
        """On which terms the account trades the symbol; with an empty one, all of them."""
        return self._terms.get((account, symbol)) or Terms(account=account, symbol=symbol)

    def new_order(self, ticket: Ticket, now_us: int) -> Order:
        """An order for this ticket with the next id; `apply` takes it into the book."""
        fields = msgspec.structs.asdict(ticket)
        return Order(**fields, broker_order_id=self.next_order_id, updated_at=now_us)

    def _keep(self, order: Order) -> None:
        known = self.orders.get(order.broker_order_id)
        if known is None:
            self._add(order)
        elif known is not order:  # a later snapshot, read back from the ledger
            _copy(order, known)
            order = known
        self._index_open(order)

    def _add(self, order: Order) -> None:
        number = order.broker_order_id
        invariant(number == self.next_order_id, "order ids have no gaps", order=number)
        self.orders[number] = order
        self._by_holder[order.account, order.symbol].append(order)
        if order.client_order_id:
            self._by_client[order.account, order.client_order_id] = order

    def _index_open(self, order: Order) -> None:
        source = instrument_of(order.dialect, order.symbol).source
        if order.status.is_open:
            self._open[source][order.broker_order_id] = order
        else:
            self._open[source].pop(order.broker_order_id, None)


def _copy(values: Order, onto: Order) -> None:
    for name in values.__struct_fields__:
        setattr(onto, name, getattr(values, name))
