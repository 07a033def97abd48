"""Looking for an order in doubt, so that what is found can only be its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from onefill.core.ids import ClientOrderId
from onefill.core.intent import OrderIntent, Verb
from onefill.core.orders.report import Found, LookUp, NoAnswer
from onefill.core.orders.rivals import rivals_of
from onefill.ports.broker import Broker

_NAMELESS_MAX = 4096


class Owners(Protocol):
    """Whose an order at a broker may be (see TradingStore). Both raise StoreUnavailable."""

    async def nameless(self, limit: int) -> Sequence[OrderIntent]:
        """Sent, or perhaps sent, without a broker order id yet."""
        ...

    async def known_orders(self, broker: str, ids: Sequence[str]) -> Mapping[str, ClientOrderId]:
        """Which of these broker order ids belong to which of our intents."""
        ...


async def look_up_surely(broker: Broker, store: Owners, intent: OrderIntent) -> LookUp:
    """The broker's word on the intent; where it was found by its looks, asked of the store again.

    A like order that was claimed after the rivals were read may be in the book that was read later.
    Its claim was durable before it was sent: so whoever owns what the book shows is in the store by
    now, without a number at first, then with it. In this order: who gets its number in between is
    seen twice, not missed. Raises StoreUnavailable. Source: ORD-7, class C.
    """
    if not _goes_by_looks(broker, intent):
        return await broker.look_up(intent, ())
    rivals = rivals_of(intent, await store.nameless(_NAMELESS_MAX))
    answer = await broker.look_up(intent, rivals)
    if not isinstance(answer, Found) or answer.report.client_order_id == intent.client_order_id:
        return answer
    number = answer.report.broker_order_id
    again = rivals_of(intent, await store.nameless(_NAMELESS_MAX))
    owner = (await store.known_orders(intent.order.broker, [number])).get(number)
    if again or owner not in (None, intent.client_order_id):
        return NoAnswer(detail=f"order {number} is like it, and may be another intent's")
    return answer


def _goes_by_looks(broker: Broker, intent: OrderIntent) -> bool:
    """Whether neither a number nor our id tells which order at the broker is the intent's."""
    has_number = intent.broker_order_id is not None or intent.verb is not Verb.PLACE
    return not (has_number or broker.capabilities.finds_by_client_id)
