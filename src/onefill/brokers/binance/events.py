"""From the events of Binance's user stream to words about our orders. No I/O.

Events may be lost, repeated and out of order; each is read for itself, and what it can't say for
certain becomes a nudge to look the order up.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar

import msgspec

from onefill.brokers.binance import algo_words, words
from onefill.brokers.outcome import is_sane
from onefill.core.ids import PREFIX
from onefill.core.intent import OrderType
from onefill.core.money import ZERO
from onefill.core.orders.report import OrderReport, OrderStatus, Trade
from onefill.core.orders.stream_words import Nudge, Stirred, StreamWord

_REMEMBERED_MAX = 10_000
_CONDITIONAL = frozenset(kind.value for kind in OrderType if kind.is_conditional)
_ENDED_WAITING = {
    "CANCELED": OrderStatus.CANCELLED,
    "EXPIRED": OrderStatus.CANCELLED,
    "REJECTED": OrderStatus.REJECTED,
}


class _Kind(msgspec.Struct, frozen=True):
    e: str


class _Order(msgspec.Struct, frozen=True):
    """ORDER_TRADE_UPDATE's order, as far as it is needed; Binance's letters."""

    s: str
    c: str
    i: int
    X: str
    x: str
    q: Decimal
    z: Decimal
    ap: Decimal
    l: Decimal = ZERO  # noqa: E741
    L: Decimal = ZERO
    t: int = 0
    p: Decimal = ZERO
    ot: str = ""


class _OrderEvent(msgspec.Struct, frozen=True):
    o: _Order


class _Algo(msgspec.Struct, frozen=True):
    """ALGO_UPDATE's order, as far as it is needed."""

    caid: str
    aid: int
    s: str
    X: str
    q: Decimal = ZERO
    tp: Decimal = ZERO
    ai: str | int | None = None


class _AlgoEvent(msgspec.Struct, frozen=True):
    o: _Algo


class _Account(msgspec.Struct, frozen=True):
    m: str
    P: list[dict[str, object]] = []


class _AccountEvent(msgspec.Struct, frozen=True):
    a: _Account


_Remembered = TypeVar("_Remembered")
_Key = tuple[str, int]
"""A symbol and an order's number, which counts up within it."""

_kind = msgspec.json.Decoder(_Kind)
_order = msgspec.json.Decoder(_OrderEvent)
_algo = msgspec.json.Decoder(_AlgoEvent)
_account = msgspec.json.Decoder(_AccountEvent)


@dataclass(slots=True)
class _Tally:
    """The executions of one order that were heard, by trade id: quantity and price."""

    trades: dict[int, tuple[Decimal, Decimal]] = field(default_factory=dict)

    def value(self, filled: Decimal, average: Decimal) -> Decimal:
        """Σ quantity·price: exact where every execution was heard, else by the average price."""
        if sum((quantity for quantity, _ in self.trades.values()), ZERO) == filled:
            return sum((quantity * price for quantity, price in self.trades.values()), ZERO)
        return filled * average


@dataclass(frozen=True, slots=True)
class KeyExpired:
    """The key of this stream is no good any more."""


class EventReader:
    """Remembers which orders were conditional once, and the latest orders' executions.

    passes_ids_on: whether the venue's events carry our client ids (the paper venue's class C
    hides them).
    """

    def __init__(self, *, passes_ids_on: bool) -> None:
        self._passes_ids_on = passes_ids_on
        self._became: OrderedDict[_Key, _Algo] = OrderedDict()
        self._tallies: OrderedDict[_Key, _Tally] = OrderedDict()

    def read(self, data: str) -> StreamWord | KeyExpired | None:
        """The word that an event says; None where it says nothing that concerns us.

        Raises msgspec.DecodeError for what is no event.
        """
        kind = _kind.decode(data).e
        if kind == "ORDER_TRADE_UPDATE":
            return self._order(_order.decode(data).o)
        if kind == "ALGO_UPDATE":
            return self._algo(_algo.decode(data).o)
        if kind == "ACCOUNT_UPDATE":
            changed = _account.decode(data).a
            is_by_order = changed.m == "ORDER" or not changed.P
            return None if is_by_order else Stirred(detail=f"positions changed: {changed.m}")
        return KeyExpired() if kind == "listenKeyExpired" else None

    def _order(self, order: _Order) -> StreamWord | None:
        algo = self._became.get((order.s, order.i))
        name = order.c if algo is None else algo.caid
        if self._passes_ids_on and not name.startswith(PREFIX):
            traded = f"{order.s}: an order that is not ours ({order.c}) traded"
            return Stirred(detail=traded) if order.x == "TRADE" else None
        if not _is_sane(order.q, order.z, order.ap, order.l, order.L, order.p):
            return Nudge(client_order_id=name)
        value = self._value(order)
        is_vague = order.X not in words.STATUSES or (order.z > 0 and value <= 0)
        if is_vague or (algo is None and order.ot in _CONDITIONAL):
            return Nudge(client_order_id=name)
        return OrderReport(
            broker_order_id=str(order.i) if algo is None else algo_words.number_of(algo.aid),
            status=words.STATUSES[order.X],
            filled_quantity=order.z,
            filled_value=value,
            client_order_id=name,
            symbol=order.s,
            message=f"stream: {order.x} {order.X}",
            quantity=order.q,
            price=(order.p or None) if algo is None else None,
            trigger_price=algo.tp if algo is not None else None,
            trades=self._trades(order),
        )

    def _value(self, order: _Order) -> Decimal:
        tally = self._tallies.setdefault((order.s, order.i), _Tally())
        if order.x == "TRADE" and order.l > 0:
            tally.trades[order.t] = (order.l, order.L)
        _forget_oldest(self._tallies)
        return tally.value(order.z, order.ap) if order.z > 0 else ZERO

    def _trades(self, order: _Order) -> tuple[Trade, ...]:
        tally = self._tallies.get((order.s, order.i))
        heard = tally.trades if tally is not None else {}
        return tuple(
            Trade(trade_id=str(number), quantity=quantity, price=price)
            for number, (quantity, price) in sorted(heard.items())
        )

    def _algo(self, algo: _Algo) -> StreamWord | None:
        number = algo_words.order_number(algo.ai)
        if number is not None:
            self._became[algo.s, int(number)] = algo
            _forget_oldest(self._became)
        if self._passes_ids_on and not algo.caid.startswith(PREFIX):
            return None
        if not _is_sane(algo.q, algo.tp):
            return Nudge(client_order_id=algo.caid)
        if algo.X == algo_words.WAITING:
            return _waiting(algo, OrderStatus.OPEN)
        if algo.X in _ENDED_WAITING and number is None:
            return _waiting(algo, _ENDED_WAITING[algo.X])
        return Nudge(client_order_id=algo.caid)


def _is_sane(*figures: Decimal) -> bool:
    return all(is_sane(figure) and figure >= 0 for figure in figures)


def _waiting(algo: _Algo, status: OrderStatus) -> OrderReport:
    return OrderReport(
        broker_order_id=algo_words.number_of(algo.aid),
        status=status,
        client_order_id=algo.caid,
        symbol=algo.s,
        message=f"stream: {algo.X}",
        quantity=algo.q or None,
        trigger_price=algo.tp or None,
    )


def _forget_oldest(remembered: OrderedDict[_Key, _Remembered]) -> None:
    while len(remembered) > _REMEMBERED_MAX:
        remembered.popitem(last=False)
