"""What a cancelled order leaves to be traded: fixed when its end is confirmed. Source: PF-22.

The order for the remainder is decided together with the cancel, for all that was open then. What
is confirmed later only makes it smaller, so that both together never trade more than was wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from onefill.core.ids import ClientOrderId
from onefill.core.intent import IntentState, OrderIntent, Verb
from onefill.core.money import ZERO

NOTHING_LEFT = "nothing_left"
NOT_COUNTED = "fills_not_counted"
"""Reasons of remainders that are not sent."""


def rests_of(target: OrderIntent, intents: Iterable[OrderIntent]) -> Iterator[OrderIntent]:
    """The orders for what is left of that one."""
    return (i for i in intents if _is_rest(i) and i.source == target.client_order_id)


def reduced(intents: Mapping[ClientOrderId, OrderIntent]) -> dict[ClientOrderId, OrderIntent]:
    """What changes in unsent remainders, and in what waits for their targets, by now.

    A remainder of an order that was cancelled is what that order did not trade; what waited for
    the order waits for its remainder. Of an order that ended in another way there is none.
    """
    sources = {rest.source for rest in intents.values() if _is_unsent(rest)}
    targets = (intents.get(ClientOrderId(source)) for source in sources)
    changes: dict[ClientOrderId, OrderIntent] = {}
    for target in targets:
        if target is not None and not target.is_live:
            changes.update(_reduced_of(target, intents))
    return {name: after for name, after in changes.items() if after != intents[name]}


def _reduced_of(
    target: OrderIntent, intents: Mapping[ClientOrderId, OrderIntent]
) -> dict[ClientOrderId, OrderIntent]:
    """The same of one order; its remainder may be cut in slices, which share what is left."""
    rests = sorted(rests_of(target, intents.values()), key=lambda rest: rest.n)
    sent = sum((r.filled_quantity + r.remaining for r in rests if not _is_unsent(r)), ZERO)
    left = target.order.quantity - target.filled_quantity - sent
    if target.state is not IntentState.CANCELLED:
        left = ZERO
    changes: dict[ClientOrderId, OrderIntent] = {}
    last: OrderIntent | None = None
    for rest in filter(_is_unsent, rests):
        quantity = min(left, rest.order.quantity)
        if quantity <= 0:
            changes[rest.client_order_id] = withdrawn(rest, NOTHING_LEFT)
            continue
        last = replace(rest, order=replace(rest.order, quantity=quantity))
        changes[rest.client_order_id] = last
        left -= quantity
    return changes if last is None else {**_waiting_on(target, last, intents), **changes}


def withdrawn(rest: OrderIntent, reason: str) -> OrderIntent:
    """The remainder, not to be sent."""
    return replace(rest, state=IntentState.EXPIRED, reason=reason)


def _is_rest(intent: OrderIntent) -> bool:
    """Cancels and changes have their target as source as well."""
    return intent.verb is Verb.PLACE


def _is_unsent(intent: OrderIntent) -> bool:
    return _is_rest(intent) and intent.state is IntentState.NEW


def _waiting_on(
    target: OrderIntent, rest: OrderIntent, intents: Mapping[ClientOrderId, OrderIntent]
) -> dict[ClientOrderId, OrderIntent]:
    return {
        other.client_order_id: replace(other, after=rest.client_order_id)
        for other in intents.values()
        if other.after == target.client_order_id and other.state is IntentState.NEW
    }
