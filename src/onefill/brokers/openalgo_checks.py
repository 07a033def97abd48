"""What an OpenAlgo server would let through, and no broker in India holds back: asked before."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from onefill.core.intent import OrderIntent, Side, Verb
from onefill.core.money import ZERO, plain


def must_be_held(intent: OrderIntent) -> bool:
    """Whether the order may go only if what it reduces is held there.

    There are no reduce-only orders in India: whoever closed a position by hand must not find it
    open on the other side after our exit (ORD-9). A stop that waits is not asked about: what is
    held when it triggers, nobody knows yet.
    """
    order = intent.order
    waits = order.order_type.is_conditional
    return intent.verb is Verb.PLACE and order.reduce_only and not waits


def nothing_to_reduce(intent: OrderIntent, positions: Mapping[str, Decimal]) -> str | None:
    """Why the order would open the other way; None where it would not."""
    order = intent.order
    net = positions.get(order.symbol, ZERO)
    held = net if order.side is Side.SELL else -net
    if held >= order.quantity:
        return None
    return f"{order.symbol}: {plain(net)} is held there, {plain(order.quantity)} was to go"
