"""How an order intent is made: one place, so that every id is derived the same way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from onefill.core.ids import ClientOrderId, client_order_id, deployment_of
from onefill.core.intent import (
    SLICE_STRIDE,
    Chase,
    OrderIntent,
    OrderRequest,
    OrderType,
    Side,
    Verb,
)
from onefill.core.position import Leg, Position

OPEN, CLOSE, TRADE = "open", "close", "trade"
"""Actions: opening a position's leg, closing it, and the direct policy's plain orders."""
COMPLETE, UNWIND = "complete", "unwind"
"""Actions on legs that ended unequal: buying what lacks, undoing what is too much."""
PEEL = "peel"
"""Action on an open position that has grown too large: some of its lots are sold (PF-7)."""
STOP = "stop"
"""Action of the order that waits at the broker for the stop of an open position (PF-11)."""
ADJUST = "adjust"
"""Action of what was traded by hand at the broker, booked by a person's or a policy's word."""
BUILDING = frozenset({OPEN, COMPLETE, UNWIND, PEEL})
"""Actions after which a position is open, or isn't: while one may fill, that is not known."""
CANCEL, MODIFY = "cancel", "modify"
"""Actions on an order that is at the broker; their source is that order."""


def is_waiting_stop(intent: OrderIntent) -> bool:
    """Whether it is a position's own stop, waiting at the broker: no order on its way."""
    return intent.action == STOP and intent.rests


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why orders are issued. source, action and n make their ids (ORD-1)."""

    deployment: str
    source: str
    action: str
    n: int = 1
    signal_id: int | None = None


def issue(
    cause: Cause,
    position: Position,
    leg: Leg,
    side: Side,
    quantity: Decimal,
    *,
    adds_exposure: bool = False,
    after: ClientOrderId | None = None,
    valid_until: datetime | None = None,
    limit_price: Decimal | None = None,
) -> OrderIntent:
    """A NEW intent for one leg; quantity in broker units, at market without a limit price."""
    return OrderIntent(
        client_order_id=client_order_id(
            cause.deployment, cause.source, leg.name, cause.action, cause.n
        ),
        lane=position.lane,
        portfolio=position.portfolio,
        instrument=position.instrument,
        source=cause.source,
        leg=leg.name,
        action=cause.action,
        n=cause.n,
        order=OrderRequest(
            broker=leg.broker,
            account=leg.account,
            symbol=leg.symbol,
            exchange=leg.exchange,
            side=side,
            quantity=quantity,
            order_type=OrderType.MARKET if limit_price is None else OrderType.LIMIT,
            price=limit_price,
            reduce_only=cause.action in (CLOSE, UNWIND, PEEL),
        ),
        adds_exposure=adds_exposure,
        signal_id=cause.signal_id,
        position_id=position.id,
        after=after,
        valid_until=valid_until,
    )


def issue_conditional(
    cause: Cause,
    position: Position,
    leg: Leg,
    side: Side,
    quantity: Decimal,
    *,
    order_type: OrderType,
    trigger_price: Decimal,
    after: ClientOrderId | None = None,
) -> OrderIntent:
    """A NEW intent for an order that waits at the broker and only reduces: a stop, a profit."""
    intent = issue(cause, position, leg, side, quantity, after=after)
    order = replace(
        intent.order, order_type=order_type, trigger_price=trigger_price, reduce_only=True
    )
    return replace(intent, order=order)


def issue_cancel(target: OrderIntent, n: int, signal_id: int | None = None) -> OrderIntent:
    """A NEW intent to cancel what is left of an order at the broker; n: the how manieth."""
    return _change(target, Verb.CANCEL, n, target.order, signal_id)


def issue_modify(
    target: OrderIntent,
    n: int,
    *,
    quantity: Decimal,
    price: Decimal | None = None,
    trigger_price: Decimal | None = None,
    signal_id: int | None = None,
) -> OrderIntent:
    """A NEW intent to give an order this quantity and price, or trigger price.

    Values are absolute, so that it may be repeated; a price that is not given stays.
    """
    order = target.order
    wanted = replace(
        order,
        quantity=quantity,
        price=order.price if price is None else price,
        trigger_price=order.trigger_price if trigger_price is None else trigger_price,
    )
    return _change(target, Verb.MODIFY, n, wanted, signal_id)


def issue_market(target: OrderIntent, n: int, signal_id: int | None = None) -> OrderIntent:
    """A NEW intent to make of an order that waits at the broker one that trades now, at market."""
    order = replace(target.order, order_type=OrderType.MARKET, price=None, trigger_price=None)
    return _change(target, Verb.MODIFY, n, order, signal_id)


def issue_rest(target: OrderIntent, cancel: OrderIntent) -> OrderIntent:
    """A NEW intent for what a cancel will leave of its target, at market.

    Sent only once the cancel is carried out, and then for what is confirmed to be left (core/
    remainders). Its source is the target, so that each is the remainder of one order.
    """
    name = target.client_order_id
    n = cancel.n + target.slice * SLICE_STRIDE
    chase = target.chase or Chase()
    market = replace(
        target.order, quantity=target.remaining, order_type=OrderType.MARKET, price=None
    )
    return OrderIntent(
        client_order_id=client_order_id(deployment_of(name), name, target.leg, target.action, n),
        lane=target.lane,
        portfolio=target.portfolio,
        instrument=target.instrument,
        source=name,
        leg=target.leg,
        action=target.action,
        n=n,
        order=market,
        adds_exposure=False,
        signal_id=target.signal_id,
        position_id=target.position_id,
        after=cancel.client_order_id,
        chase=Chase(round=chase.round + 1),
        decided_price=target.decided_price,
    )


def _change(
    target: OrderIntent,
    verb: Verb,
    n: int,
    order: OrderRequest,
    signal_id: int | None,
) -> OrderIntent:
    name, action = target.client_order_id, CANCEL if verb is Verb.CANCEL else MODIFY
    return OrderIntent(
        client_order_id=client_order_id(deployment_of(name), name, target.leg, action, n),
        lane=target.lane,
        portfolio=target.portfolio,
        instrument=target.instrument,
        source=name,
        leg=target.leg,
        action=action,
        n=n,
        order=order,
        adds_exposure=False,
        signal_id=signal_id,
        position_id=target.position_id,
        verb=verb,
        target=name,
        target_order_id=target.broker_order_id,
    )


def issue_in_turn(
    cause: Cause,
    position: Position,
    wanted: Iterable[tuple[Leg, Side, Decimal]],
    valid_until: datetime | None = None,
) -> tuple[OrderIntent, ...]:
    """Market orders for what is wanted of each leg, each after the one before it is filled."""
    intents: list[OrderIntent] = []
    before: ClientOrderId | None = None
    for leg, side, quantity in wanted:
        if quantity > 0:
            intents.append(
                issue(cause, position, leg, side, quantity, after=before, valid_until=valid_until)
            )
            before = intents[-1].client_order_id
    return tuple(intents)
