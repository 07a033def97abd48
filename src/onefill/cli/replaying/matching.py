"""TradingView's trades → the orders and exits that they were.

The export matches exits to entries first in, first out, whatever they closed: the stop of a small
pyramid shows as a part of the base's trade, and one entry as several trades. The sizes tell what
happened: the parts of one entry add up to its order, and what ends at one moment adds up to the
orders that ended then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import combinations


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One trade of the export: a part of an entry, and its exit (None: still open)."""

    trade: str
    slot: str
    signal: str
    entered_at: datetime
    entry_price: Decimal
    quantity: Decimal
    exited_at: datetime | None
    exit_price: Decimal
    exit_signal: str


@dataclass(slots=True)
class Entered:
    """One entry with all its parts. closed_by: the part whose exit moment ended it."""

    parts: list[Part]
    closed_by: Part | None = None

    @property
    def first(self) -> Part:
        """The part that names it."""
        return self.parts[0]

    @property
    def quantity(self) -> Decimal:
        """The whole order's size."""
        return sum((part.quantity for part in self.parts), Decimal(0))


def entered_orders(parts: Iterable[Part]) -> list[Entered]:
    """The entries in time order, each with the moment at which it really ended.

    Where no set of open orders adds up to what ended at a moment (an export cut in the middle),
    the orders that the export itself names end then.
    """
    orders = _orders(parts)
    open_orders: list[Entered] = []
    moments = {p.exited_at for o in orders for p in o.parts if p.exited_at is not None}
    waiting = list(orders)
    for moment in sorted(moments):
        while waiting and waiting[0].first.entered_at < moment:
            open_orders.append(waiting.pop(0))
        ended = [p for o in orders for p in o.parts if p.exited_at == moment]
        late = [o for o in waiting if o.first.entered_at == moment and _is_named(o, ended)]
        for order in _closed_at([*open_orders, *late], ended):
            order.closed_by = ended[0]
            if order in open_orders:
                open_orders.remove(order)
            else:
                waiting.remove(order)
    return orders


def _orders(parts: Iterable[Part]) -> list[Entered]:
    orders: dict[tuple[str, datetime], Entered] = {}
    for part in sorted(parts, key=lambda part: (part.entered_at, part.slot)):
        orders.setdefault((part.signal, part.entered_at), Entered([])).parts.append(part)
    return list(orders.values())


def _closed_at(open_orders: Sequence[Entered], ended: Sequence[Part]) -> list[Entered]:
    """The latest orders whose sizes add up to what ended: their stops are the nearest."""
    total = sum((part.quantity for part in ended), Decimal(0))
    for candidate in _newest_first(open_orders):
        if sum((order.quantity for order in candidate), Decimal(0)) == total:
            return list(candidate)
    return [order for order in open_orders if _is_named(order, ended)]


def _newest_first(orders: Sequence[Entered]) -> Iterator[tuple[Entered, ...]]:
    newest = list(reversed(orders))
    for count in range(1, len(newest) + 1):
        yield from combinations(newest, count)


def _is_named(order: Entered, ended: Sequence[Part]) -> bool:
    return any(part in ended for part in order.parts)
