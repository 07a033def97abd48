"""Binance keeps its orders on two shelves: plain ones, and conditional ones in its algo service.

A conditional order has an id of its own (here `algo-…`). Once triggered it *becomes* a plain order
with another id; that one's fills are reported as the conditional order's, so that for everybody
outside this package an order has one id from its placing to its last fill (ORD-12).
"""

from __future__ import annotations

import contextlib
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol, TypeVar
from urllib.parse import quote

import msgspec

from onefill.brokers.binance import algo_words, words
from onefill.brokers.binance.wire import Wire
from onefill.brokers.http import Reply
from onefill.brokers.likeness import Sighting
from onefill.core.errors import BrokerUnavailable
from onefill.core.intent import OrderIntent
from onefill.core.orders.report import OrderReport

ORDER, ALGO_ORDER = "/fapi/v1/order", "/fapi/v1/algoOrder"
_LISTED_MAX = 1_000
_TRIES = 3

_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class Seen:
    """An order as Binance shows it: how it identifies itself, and how far it has come."""

    sighting: Sighting
    report: OrderReport

    def is_shaped_like(self, intent: OrderIntent) -> bool:
        """Whether it can be the intent's: same symbol, side and quantity."""
        order, seen = intent.order, self.sighting
        shape = (order.symbol, order.side.value, order.quantity)
        return (seen.symbol, seen.side, seen.quantity) == shape


class Shelf(Protocol):
    """One kind of orders: where they are placed, how they are named, how they are read."""

    path: str

    def place_parameters(self, intent: OrderIntent) -> str:
        """What places the intent's order, percent-encoded."""
        ...

    def key_of(self, number: str | None, name: str | None) -> str:
        """What names one order: the venue's number where it is known, else our name."""
        ...

    async def read(self, reply: Reply) -> Seen | None:
        """The order that a reply of 200 states, if it makes sense. Raises BrokerUnavailable."""
        ...

    async def listed(self, symbol: str) -> list[Seen]:
        """The symbol's latest orders. Raises BrokerUnavailable."""
        ...


class PlainShelf:
    """Orders that the matching engine has: at market, and limit orders."""

    path = ORDER

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def place_parameters(self, intent: OrderIntent) -> str:
        """Of `POST /fapi/v1/order`."""
        return words.place_parameters(intent, hedged=self._wire.hedged)

    def key_of(self, number: str | None, name: str | None) -> str:
        """By orderId, or by origClientOrderId."""
        return f"orderId={quote(number, safe='')}" if number else f"origClientOrderId={name}"

    async def read(self, reply: Reply) -> Seen | None:
        """An order as queries and replies to placing show it."""
        row = words.order_of(reply.body)
        return None if row is None else _plain(row)

    async def listed(self, symbol: str) -> list[Seen]:
        """The symbol's latest orders; none of a symbol that there is not."""
        return [_plain(row) for row in await self.rows(symbol)]

    async def rows(self, symbol: str) -> list[words.OrderRow]:
        """The same, as Binance writes them. Raises BrokerUnavailable."""
        rows = await _list(self._wire, "/fapi/v1/allOrders", symbol, words.orders_decoder)
        return [row for row in rows if words.is_sound(row)]

    async def open_rows(self) -> list[words.OrderRow]:
        """All that work now, of all symbols. Raises BrokerUnavailable."""
        reply = await self._wire.ask("/fapi/v1/openOrders")
        rows = self._wire.read(reply, words.orders_decoder)
        return [row for row in rows if words.is_sound(row)]


class AlgoShelf:
    """Orders that wait in the algo service, and what becomes of them in the matching engine."""

    path = ALGO_ORDER

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def place_parameters(self, intent: OrderIntent) -> str:
        """Of `POST /fapi/v1/algoOrder`."""
        return algo_words.place_parameters(intent, hedged=self._wire.hedged)

    def key_of(self, number: str | None, name: str | None) -> str:
        """By algoId, or by clientAlgoId."""
        return f"algoId={algo_words.bare(number)}" if number else f"clientAlgoId={name}"

    async def read(self, reply: Reply) -> Seen | None:
        """A conditional order, followed to the order that it has become."""
        row = algo_words.algo_of(reply.body)
        return None if row is None else _conditional(row, await self.actual(row))

    async def listed(self, symbol: str) -> list[Seen]:
        """The symbol's latest conditional orders, not followed: to recognise them by."""
        return [_conditional(row, None) for row in await self.rows(symbol)]

    async def rows(self, symbol: str) -> list[algo_words.AlgoRow]:
        """The same, as Binance writes them. Raises BrokerUnavailable."""
        path, decoder = "/fapi/v1/allAlgoOrders", algo_words.algos_decoder
        rows = await _list(self._wire, path, symbol, decoder)
        return [row for row in rows if algo_words.is_sound(row)]

    async def open_rows(self) -> list[algo_words.AlgoRow]:
        """All that wait now, of all symbols. Raises BrokerUnavailable."""
        reply = await self._wire.ask("/fapi/v1/openAlgoOrders")
        rows = self._wire.read(reply, algo_words.algos_decoder)
        return [row for row in rows if algo_words.is_sound(row)]

    async def actual(self, row: algo_words.AlgoRow) -> words.OrderRow | None:
        """The order that it has become; None while there is none, or none can be seen yet.

        Raises BrokerUnavailable where the answer can't be told apart.
        """
        number = algo_words.actual_id(row)
        if number is None:
            return None
        symbol = quote(row.symbol, safe="")
        reply = await self._wire.ask(ORDER, f"symbol={symbol}&orderId={number}")
        refusal = words.refusal_of(reply) if reply.status == 400 else None
        if refusal is not None and refusal.code == words.NO_SUCH_ORDER:
            return None
        found = words.order_of(reply.body) if reply.status == 200 else None
        if found is None or (found.symbol, found.side) != (row.symbol, row.side):
            raise BrokerUnavailable(asked=f"order {number}", said=self._wire.quote(reply))
        return found


class Shelves:
    """Both shelves as one book of orders."""

    def __init__(self, wire: Wire) -> None:
        self.plain = PlainShelf(wire)
        self.algo = AlgoShelf(wire)

    def of(self, intent: OrderIntent) -> Shelf:
        """Where the intent's order is, or its target's."""
        number = intent.broker_order_id or intent.target_order_id
        if number is not None:
            return self.algo if algo_words.is_algo(number) else self.plain
        return self.algo if intent.order.order_type.is_conditional else self.plain

    async def open(self) -> list[OrderReport]:
        """All that works or waits. Raises BrokerUnavailable."""
        waiting = await self.algo.open_rows()
        plain = await self.plain.open_rows()
        algos = {(row.symbol, row.algo_id): row for row in waiting}
        for symbol in sorted({row.symbol for row in plain}):
            algos.update(((symbol, row.algo_id), row) for row in await self.algo.rows(symbol))
        works = {(row.symbol, str(row.order_id)) for row in plain}
        mine = [
            row
            for row in algos.values()
            if row.algo_status == algo_words.WAITING or _became(row) in works
        ]
        return _folded(plain, mine)

    async def history(self, symbols: AbstractSet[str]) -> list[OrderReport]:
        """The latest orders of these symbols. Raises BrokerUnavailable."""
        plain: list[words.OrderRow] = []
        algos: list[algo_words.AlgoRow] = []
        for symbol in sorted(symbols):
            algos += await self.algo.rows(symbol)
            plain += await self.plain.rows(symbol)
        return _folded(plain, algos)


def _folded(plain: list[words.OrderRow], algos: list[algo_words.AlgoRow]) -> list[OrderReport]:
    """One report for each order: what a conditional order has become is not another one."""
    by_number = {(row.symbol, str(row.order_id)): row for row in plain}
    became = {_became(row) for row in algos}
    own = [words.report_of(row) for number, row in by_number.items() if number not in became]
    followed = [algo_words.report_of(row, by_number.get(_became(row))) for row in algos]
    return own + followed


def _became(row: algo_words.AlgoRow) -> tuple[str, str]:
    """The order that it has become, by symbol and number: numbers count up within each symbol."""
    return row.symbol, algo_words.actual_id(row) or ""


def _plain(row: words.OrderRow) -> Seen:
    return Seen(words.sighting_of(row), words.report_of(row))


def _conditional(row: algo_words.AlgoRow, actual: words.OrderRow | None) -> Seen:
    return Seen(algo_words.sighting_of(row), algo_words.report_of(row, actual))


async def _list(
    wire: Wire, path: str, symbol: str, decoder: msgspec.json.Decoder[list[_Row]]
) -> list[_Row]:
    """A symbol's list, asked again where that fails.

    A comparison needs the lists of all symbols: of hundreds of questions some may fail each time.
    """
    for _ in range(_TRIES - 1):
        with contextlib.suppress(BrokerUnavailable):
            return await _list_once(wire, path, symbol, decoder)
    return await _list_once(wire, path, symbol, decoder)


async def _list_once(
    wire: Wire, path: str, symbol: str, decoder: msgspec.json.Decoder[list[_Row]]
) -> list[_Row]:
    reply = await wire.ask(path, f"symbol={quote(symbol, safe='')}&limit={_LISTED_MAX}")
    refusal = words.refusal_of(reply) if reply.status == 400 else None
    if refusal is not None and refusal.code == words.NO_SUCH_SYMBOL:
        return []
    return wire.read(reply, decoder)
