"""Finding an order that has no name: by what it looks like, where a broker keeps no client ids.

A wrong match would give one order's fills to another intent, so a match must be the only one
possible; anything less says so (ORD-7, class C).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from onefill.core.errors import StoreUnavailable
from onefill.core.ids import ClientOrderId
from onefill.core.intent import OrderIntent
from onefill.core.orders.report import Absent, NoAnswer

_LATEST = timedelta(minutes=5)
"""How long after the last moment at which it could be sent an order still arrives, by clocks that
differ; what came later was placed by somebody else."""

KnownOrders = Callable[[str, Sequence[str]], Awaitable[Mapping[str, ClientOrderId]]]
"""Which of these order ids at this broker belong to which of our intents (the store knows)."""


async def nothing_known(_: str, __: Sequence[str]) -> Mapping[str, ClientOrderId]:
    """For a broker without a store beside it: no order belongs to anybody yet."""
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """An order as a book lists it, as far as it identifies the order. quantity in units.

    mark: the client id that the broker passed on, if it did. at: when it came there, if it is told.
    """

    broker_order_id: str
    symbol: str
    side: str
    quantity: Decimal
    mark: str = ""
    at: datetime | None = None


def like(intent: OrderIntent, book: Iterable[Sighting]) -> list[Sighting]:
    """The orders of the book that look like the intent's."""
    order = intent.order
    shape = (order.symbol, order.side.value, order.quantity)
    return [seen for seen in book if (seen.symbol, seen.side, seen.quantity) == shape]


async def recognise(
    intent: OrderIntent,
    rivals: Sequence[OrderIntent],
    book: Sequence[Sighting],
    known: KnownOrders,
) -> str | Absent | NoAnswer:
    """The broker order id of the one order of the book that can only be this intent's.

    Orders that were there before the send, that came long after it, or that are known as another
    intent's, are not it.
    """
    marked = {seen.broker_order_id for seen in book if seen.mark == intent.client_order_id}
    if len(marked) == 1:
        return marked.pop()
    witnessed = frozenset(intent.witnessed)
    seen = (s for s in like(intent, book) if not _is_later(s, intent))
    ids = [s.broker_order_id for s in seen if s.broker_order_id not in witnessed]
    try:
        owners = await known(intent.order.broker, ids) if ids else {}
    except StoreUnavailable as error:
        return NoAnswer(detail=f"which orders are ours can't be told: {error}")
    mine = intent.client_order_id
    candidates = [number for number in ids if owners.get(number, mine) == mine]
    owned = [number for number in candidates if number in owners]
    if len(owned) == 1:
        return owned[0]
    if not candidates:
        return Absent(conclusive=False, detail="no order like it in the broker's book")
    if intent.signed_at is None:
        # Whether it was sent, in a history that was lost, nobody knows: so looks prove nothing.
        return NoAnswer(detail=f"orders like it: {', '.join(candidates)}; none bears its mark")
    if len(candidates) > 1 or rivals:
        others = ", ".join(rival.client_order_id for rival in rivals) or "none"
        return NoAnswer(
            detail=f"orders like it: {', '.join(candidates)}; other intents like it: {others}"
        )
    return candidates[0]


def _is_later(seen: Sighting, intent: OrderIntent) -> bool:
    """Whether the order came long after the intent's could be sent; unknown is no."""
    sent = [moment for moment in (intent.signed_at, intent.send_by) if moment is not None]
    return seen.at is not None and bool(sent) and seen.at > max(sent) + _LATEST
