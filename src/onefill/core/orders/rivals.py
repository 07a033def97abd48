"""Which intents may own an order that has no name. Source: ORD-7, class C."""

from __future__ import annotations

from collections.abc import Sequence

from onefill.core.intent import OrderIntent, OrderRequest


def rivals_of(intent: OrderIntent, others: Sequence[OrderIntent]) -> tuple[OrderIntent, ...]:
    """Other intents that an order found at the broker might belong to as well."""
    return tuple(
        other
        for other in others
        if other.client_order_id != intent.client_order_id
        and _looks(other.order) == _looks(intent.order)
    )


def _looks(order: OrderRequest) -> tuple[object, ...]:
    return (order.broker, order.account, order.symbol, order.side, order.quantity)
