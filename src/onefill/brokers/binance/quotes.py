"""Binance's quotes: the best bid and ask from its book, and the price of the latest trade."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime
from decimal import Decimal
from typing import TypeVar
from urllib.parse import quote

import msgspec

from onefill.brokers.binance.words import NO_SUCH_SYMBOL, refusal_of
from onefill.brokers.http import Reply
from onefill.brokers.outcome import UNREADABLE, excerpt, is_sane
from onefill.core.errors import BrokerUnavailable
from onefill.core.quote import Listing, Quote, quote_of

Ask = Callable[[str], Awaitable[Reply]]

_BOOK = "/fapi/v1/ticker/bookTicker"
_LAST = "/fapi/v1/ticker/price"


class _Book(msgspec.Struct, frozen=True, rename="camel"):
    symbol: str
    bid_price: Decimal
    ask_price: Decimal


class _Last(msgspec.Struct, frozen=True):
    symbol: str
    price: Decimal


_Row = TypeVar("_Row", _Book, _Last)
_books = msgspec.json.Decoder(list[_Book] | _Book)
_lasts = msgspec.json.Decoder(list[_Last] | _Last)


async def read_quotes(ask: Ask, listings: Collection[Listing], at: datetime) -> dict[str, Quote]:
    """Quotes of these symbols; one asks for itself, several ask for all at once.

    ask: sends an unsigned GET. Raises BrokerUnavailable.
    """
    symbols = {each.symbol for each in listings}
    if not symbols:
        return {}
    which = f"?symbol={quote(min(symbols), safe='')}" if len(symbols) == 1 else ""
    books, lasts = await asyncio.gather(ask(_BOOK + which), ask(_LAST + which))
    offered = {row.symbol: row for row in _rows(books, _books)}
    traded = {row.symbol: row.price for row in _rows(lasts, _lasts)}
    found = {symbol: _quote(offered.get(symbol), traded.get(symbol), at) for symbol in symbols}
    return {symbol: each for symbol, each in found.items() if each is not None}


def _quote(book: _Book | None, last: Decimal | None, at: datetime) -> Quote | None:
    if book is None:
        return quote_of(None, None, _sane(last), at)
    return quote_of(_sane(book.bid_price), _sane(book.ask_price), _sane(last), at)


def _sane(price: Decimal | None) -> Decimal | None:
    return price if price is not None and is_sane(price) else None


def _rows(reply: Reply, decoder: msgspec.json.Decoder[list[_Row] | _Row]) -> list[_Row]:
    refusal = refusal_of(reply) if reply.status == 400 else None
    if refusal is not None and refusal.code == NO_SUCH_SYMBOL:
        return []
    try:
        read = decoder.decode(reply.body) if reply.status == 200 else None
    except UNREADABLE:
        read = None
    if read is None:
        raise BrokerUnavailable(broker="binance", said=excerpt(reply))
    return read if isinstance(read, list) else [read]
