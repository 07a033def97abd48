"""Orders above what an exchange takes at once are cut into slices, and so are orders that turn a
position where long and short are positions of their own. Source: ORD-12, ORD-15.

A slice is an intent like any other: with an id of its own, claimed and sent once. All slices make
the one order: positions add up their fills, and a slice that fails leaves its position as an
order that filled in part does, to be completed, undone or issued again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal

from onefill.core.book import Decision, Situation
from onefill.core.ids import ClientOrderId, client_order_id, deployment_of
from onefill.core.intent import SLICE_STRIDE, OrderIntent, OrderType, Side, Verb
from onefill.core.money import ZERO
from onefill.core.orders.closing import committed
from onefill.core.signal import LoggedSignal

MostOf = Callable[[OrderIntent], Decimal | None]
"""The largest quantity that the exchange takes in such an order; None where there is no limit."""
IsHedged = Callable[[OrderIntent], bool]
"""Whether long and short are positions of their own where the order goes."""


def never_hedged(_: OrderIntent) -> bool:
    """Every position is net."""
    return False


Decide = Callable[[LoggedSignal, Situation], Decision]
GoOn = Callable[[Situation], Decision | None]


def deciding_in_slices(
    decide: Decide, most_of: MostOf, is_hedged: IsHedged = never_hedged
) -> Decide:
    """The same decisions, in orders that their exchanges take."""

    def decide_in_slices(logged: LoggedSignal, situation: Situation) -> Decision:
        return sliced(decide(logged, situation), situation, most_of, is_hedged)

    return decide_in_slices


def going_on_in_slices(go_on: GoOn, most_of: MostOf) -> GoOn:
    """The same continuations, in orders that their exchanges take."""

    def go_on_in_slices(situation: Situation) -> Decision | None:
        decision = go_on(situation)
        return None if decision is None else sliced(decision, situation, most_of)

    return go_on_in_slices


def sliced(
    decision: Decision,
    situation: Situation,
    most_of: MostOf,
    is_hedged: IsHedged = never_hedged,
) -> Decision:
    """The decision with each order cut as its exchange wants it, in whole lots."""
    closing = {
        intent.client_order_id: _closing_part(intent, situation)
        for intent in decision.intents
        if is_hedged(intent)
    }
    if all(_fits(intent, most_of(intent)) for intent in decision.intents) and not any(
        closing.values()
    ):
        return decision
    lots = {p.id: p.units_per_lot for p in (*situation.positions, *decision.positions)}
    awaited = {intent.after for intent in decision.intents}
    intents: list[OrderIntent] = []
    last_of: dict[ClientOrderId | None, ClientOrderId] = {}
    for intent in decision.intents:
        before = last_of.get(intent.after, intent.after)
        lot = lots.get(intent.position_id, 1) if intent.position_id is not None else 1
        # One market order after the other: where one fails, no later one goes out.
        in_turn = intent.order.order_type is OrderType.MARKET or intent.client_order_id in awaited
        closes = closing.get(intent.client_order_id, ZERO)
        most = most_of(intent) if intent.verb is Verb.PLACE else None
        sizes = _sizes(intent.order.quantity, closes, most, lot)
        slices = _slices(replace(intent, after=before), sizes, closes, in_turn=in_turn)
        last_of[intent.client_order_id] = slices[-1].client_order_id
        intents += slices
    return replace(decision, intents=tuple(intents))


def _fits(intent: OrderIntent, most: Decimal | None) -> bool:
    return intent.verb is not Verb.PLACE or most is None or intent.order.quantity <= most


def _closing_part(intent: OrderIntent, situation: Situation) -> Decimal:
    """How much of an order that turns its position only closes it; 0 where it turns none."""
    order = intent.order
    place = next((p for p in situation.positions if p.id == intent.position_id), None)
    if intent.verb is not Verb.PLACE or order.reduce_only or place is None:
        return ZERO
    net = place.leg(intent.leg).net
    held = net if order.side is Side.SELL else -net
    free = held - committed(situation.intents, intent.leg, order.side)
    return min(max(free, ZERO), order.quantity)


def _sizes(quantity: Decimal, closes: Decimal, most: Decimal | None, lot: int) -> list[Decimal]:
    """What the slices ask for: first those that close, then those that open."""
    size = None if most is None else most - most % lot or most
    sizes: list[Decimal] = []
    for part in (closes, quantity - closes):
        left = part
        while left > ZERO:
            sizes.append(left if size is None or left <= size else size)
            left -= sizes[-1]
    return sizes


def _slices(
    intent: OrderIntent, sizes: Sequence[Decimal], closes: Decimal, *, in_turn: bool
) -> Sequence[OrderIntent]:
    if len(sizes) == 1:
        return [intent]
    slices: list[OrderIntent] = []
    done = ZERO
    for quantity in sizes:
        after = slices[-1].client_order_id if slices and in_turn else intent.after
        part = _slice(intent, len(slices), quantity, after)
        if done < closes:
            part = replace(part, order=replace(part.order, reduce_only=True))
        slices.append(part)
        done += quantity
    return slices


def _slice(
    intent: OrderIntent, place: int, quantity: Decimal, after: ClientOrderId | None
) -> OrderIntent:
    n = intent.n + place * SLICE_STRIDE
    deployment = deployment_of(intent.client_order_id)
    return replace(
        intent,
        client_order_id=client_order_id(deployment, intent.source, intent.leg, intent.action, n),
        n=n,
        order=replace(intent.order, quantity=quantity),
        after=after,
    )
