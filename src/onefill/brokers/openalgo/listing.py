"""Which contracts an OpenAlgo server lists of an underlying: its `expiry` and `symbol` services.

Its master list is its broker's, renewed each morning. The size of a lot is asked of the future that
ends on the same day, since no strike is known here; options have the same one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from typing import Protocol

from onefill.brokers.http import Reply
from onefill.brokers.openalgo import words
from onefill.brokers.openalgo.units import UnitConverter
from onefill.core.instrument import Instrument, Series, Structure
from onefill.core.portfolio.contracts import MONTHS, future_symbol, monthly

LOTS_ASKED = 4
"""Contracts of which the lot is asked: nobody enters one that ends later."""


class Ask(Protocol):
    """One question to a service of the server."""

    def __call__(self, service: str, **fields: str) -> Awaitable[Reply]:
        """The server's reply. Raises BrokerUnavailable."""
        ...


async def read_series(
    ask: Ask,
    instrument: Instrument,
    units: UnitConverter,
    unreadable: Callable[[Reply], Exception],
    now_ms: float,
) -> Sequence[Series]:
    """What is listed, in the order of its ends; empty where the server has no such list.

    Raises BrokerUnavailable, and what `unreadable` makes of an answer that says nothing.
    """
    root, exchange = instrument.symbol_root, instrument.exchange
    kind = "options" if instrument.structure is Structure.SYNTHETIC_FUTURE else "futures"
    reply = await ask("expiry", symbol=root, exchange=exchange, instrumenttype=kind)
    if reply.status == 404:
        return ()  # a server from before there was such a service
    ends = ends_in(words.data_of(reply))
    if ends is None:
        raise unreadable(reply)
    listed = {each.expiry: each for each in (Series(end) for end in ends)}
    for each in monthly(list(listed.values()))[:LOTS_ASKED]:
        symbol = future_symbol(root, each.expiry)
        reply = await ask("symbol", symbol=symbol, exchange=exchange)
        if not words.is_unlisted(reply):
            units.note(symbol, words.lot_size_in(words.data_of(reply)), now_ms)
            lot = lot_in(words.data_of(reply), symbol, exchange, units)
            listed[each.expiry] = Series(each.expiry, lot)
    return tuple(listed[end] for end in sorted(listed))


def ends_in(data: object) -> list[date] | None:
    """The days of a list like `["30-DEC-25", …]`; None where it is none. Odd ones are left out."""
    if not isinstance(data, list):
        return None
    days = (_day(each) for each in data)
    return [day for day in days if day is not None]


def lot_in(data: object, symbol: str, exchange: str, units: UnitConverter) -> int | None:
    """The units of one lot; None where the answer does not state them."""
    stated = words.lot_size_in(data)
    lot = units.from_wire(stated, symbol, exchange) if stated is not None else None
    return int(lot) if lot is not None and lot > 0 and lot % 1 == 0 else None


def _day(text: object) -> date | None:
    parts = text.strip().upper().split("-") if isinstance(text, str) else []
    if len(parts) != 3 or parts[1] not in MONTHS:
        return None
    try:
        year = int(parts[2])
        return date(year + 2000 if year < 100 else year, MONTHS.index(parts[1]) + 1, int(parts[0]))
    except ValueError:
        return None
