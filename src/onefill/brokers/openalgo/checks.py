"""What an OpenAlgo server would let through, and no broker in India holds back: asked before."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from onefill.core.intent import SLICE_STRIDE, OrderIntent, Side, Verb
from onefill.core.money import ZERO, plain


def must_be_held(intent: OrderIntent) -> bool:
    """Whether the order may go only if what it reduces is held there.

    There are no reduce-only orders in India: whoever closed a position by hand must not find it
    open on the other side after our exit (ORD-9), be it an order or a stop that is made to trade.
    The first stop of a position is not asked about: it follows the fill at once, which a position
    book may show later. The ones after it are, as what they guard may be what is gone.
    """
    order = intent.order
    if not order.reduce_only or intent.verb is Verb.CANCEL:
        return False
    if intent.verb is Verb.MODIFY:
        return not order.order_type.is_conditional
    is_first = intent.n - intent.slice * SLICE_STRIDE == 1
    return not (order.order_type.is_conditional and is_first)


def nothing_to_reduce(intent: OrderIntent, positions: Mapping[str, Decimal]) -> str | None:
    """Why the order would open the other way; None where it would not."""
    order = intent.order
    net = positions.get(order.symbol, ZERO)
    if _held_against(intent, positions) >= order.quantity:
        return None
    return f"{order.symbol}: {plain(net)} is held there, {plain(order.quantity)} was to go"


def may_lack_margin(intent: OrderIntent) -> bool:
    """Whether margin is asked for first: of what begins to open a position.

    A later leg is no beginning, and what the legs before it save it no single order's margin shows.
    """
    opens = intent.verb is Verb.PLACE and intent.adds_exposure and intent.after is None
    return opens and not intent.order.order_type.is_conditional


def margin_lacking(
    intent: OrderIntent, positions: Mapping[str, Decimal], needed: Decimal, available: Decimal
) -> str | None:
    """Why the account can't bind what the order needs; None where it can: what an order closes
    first frees as much as it would need. needed: for all of it."""
    order = intent.order
    closes = min(max(_held_against(intent, positions), ZERO), order.quantity)
    left = needed * (order.quantity - 2 * closes) / order.quantity
    if left <= available:
        return None
    symbol = order.symbol
    return f"{symbol}: {plain(round(left, 2))} of margin is needed, {plain(available)} is available"


def _held_against(intent: OrderIntent, positions: Mapping[str, Decimal]) -> Decimal:
    """What is held that the order would close."""
    net = positions.get(intent.order.symbol, ZERO)
    return net if intent.order.side is Side.SELL else -net
