"""Following a price: from the middle of the market, step by step, then at market. Source: PF-22.

All is derived from what is stored with the order (its first price, and when it was claimed) and
the time that has passed, so that whoever takes over goes on where the time is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from onefill.core.admission import opening_after
from onefill.core.book import ChaseStep, Decision, Situation
from onefill.core.instrument import ChaseLimits, Instrument, Rules
from onefill.core.intent import AT_BROKER, Chase, OrderIntent, OrderType, Side, Verb
from onefill.core.issue import CLOSE, issue_cancel, issue_modify, issue_rest
from onefill.core.position import Position, PositionStatus
from onefill.core.quote import Quote
from onefill.core.signal import SignalStatus

ROUNDS_MAX = 3
"""How often what rests at market is cancelled and sent again before a person is told."""
_CANCELS_FROM = 10_000
"""Exits count their own cancels of an order from 1; these never meet them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """The next limit price."""

    price: Decimal


class GiveUp:
    """Cancel, and what is confirmed to be left goes at market."""


GIVE_UP = GiveUp()


def begin(
    intent: OrderIntent, quote: Quote | None, instrument: Instrument, modifications_max: int | None
) -> OrderIntent:
    """The order as it is to be sent now: at the middle of the market; at market without a quote.

    modifications_max: how often its broker lets an order be changed. A remainder stays at market.
    """
    limits = instrument.chase
    if limits is None or (intent.chase is not None and intent.chase.round > 0):
        return intent
    if quote is None:
        market = replace(intent.order, order_type=OrderType.MARKET, price=None)
        return replace(intent, order=market, chase=Chase())
    price = max(_rounded(quote.mid, intent.order.side, instrument.tick), instrument.tick)
    order = replace(intent.order, order_type=OrderType.LIMIT, price=price)
    steps_max = _steps_max(limits, instrument.point_value, modifications_max)
    return replace(intent, order=order, chase=Chase(first_price=price, steps_max=steps_max))


def is_due(order: OrderIntent, limits: ChaseLimits, now: datetime) -> bool:
    """Whether the order is at its broker, and its next step is due."""
    is_chased = order.chase is not None and order.verb is Verb.PLACE
    return is_chased and order.state in AT_BROKER and _step_at(order, limits, now) > _step_of(order)


def next_move(
    order: OrderIntent, quote: Quote | None, limits: ChaseLimits, now: datetime
) -> Move | GiveUp | None:
    """What to do with an order whose step is due; None: it stands as it should.

    The limit is never beyond what the other side of the market offers, and never goes back.
    """
    chase, price = order.chase, order.order.price
    step = _step_at(order, limits, now)
    if chase is None or chase.first_price is None or price is None or step > chase.steps_max:
        return GIVE_UP
    way = 1 if order.order.side is Side.BUY else -1
    wanted = chase.first_price + way * step * limits.step
    far = None if quote is None else quote.ask if way > 0 else quote.bid
    if far is not None and (wanted - far) * way > 0:
        wanted = far
    return Move(price=wanted) if (wanted - price) * way > 0 else None


def continue_chases(situation: Situation, rules: Rules) -> Decision | None:
    """The next steps of the lane's chased orders that are due; None without any."""
    parts = [
        _stepped(order, situation, rules)
        for order in situation.intents
        if _is_due_here(order, situation, rules)
    ]
    if not parts:
        return None
    return Decision(
        status=SignalStatus.DECIDED,
        intents=tuple(intent for part in parts for intent in part.intents),
        chased=tuple(step for part in parts for step in part.chased),
        alarms=tuple(alarm for part in parts for alarm in part.alarms),
    )


def limits_of(order: OrderIntent, rules: Rules) -> ChaseLimits | None:
    """How orders of that instrument follow their price, if they do."""
    instrument = rules.instruments.get(order.instrument)
    return None if instrument is None else instrument.chase


def _is_due_here(order: OrderIntent, situation: Situation, rules: Rules) -> bool:
    limits = limits_of(order, rules)
    if limits is None or not is_due(order, limits, situation.now):
        return False
    targeted = [i for i in situation.intents if i.target == order.client_order_id]
    if any(change.verb is Verb.CANCEL for change in targeted):
        return False
    return opening_after(order.instrument, situation, rules) is None


def _stepped(order: OrderIntent, situation: Situation, rules: Rules) -> Decision:
    limits = limits_of(order, rules)
    assert limits is not None
    assert order.chase is not None
    step = _step_at(order, limits, situation.now)
    taken = (ChaseStep(client_order_id=order.client_order_id, step=step),)
    decision = Decision(status=SignalStatus.DECIDED, chased=taken)
    match next_move(order, situation.quotes.get(order.client_order_id), limits, situation.now):
        case Move(price=price) if not _is_being_changed(order, situation.intents):
            quantity = order.order.quantity
            return replace(
                decision, intents=(issue_modify(order, step, quantity=quantity, price=price),)
            )
        case GiveUp() if order.chase.round < ROUNDS_MAX:
            return replace(decision, intents=_giving_up(order, step, situation))
        case GiveUp() if order.chase.step == 0:
            return replace(decision, alarms=(_stuck(order),))
    return decision


def _giving_up(order: OrderIntent, step: int, situation: Situation) -> tuple[OrderIntent, ...]:
    # A change of its price may still be on the way: on an order that is over it does nothing.
    cancel = issue_cancel(order, _CANCELS_FROM + step, order.signal_id)
    if not _may_rest(order, situation):
        return (cancel,)
    return cancel, issue_rest(order, cancel)


def _may_rest(order: OrderIntent, situation: Situation) -> bool:
    """Whether what is left is still wanted: an exit ends entries, and an entry's time ends."""
    if order.action == CLOSE:
        return True
    if any(_is_leaving(each) for each in situation.here if each.id == order.position_id):
        return False
    if order.valid_until is not None and situation.now > order.valid_until:
        return False
    return not order.adds_exposure or not (situation.paused or situation.blocked)


def _is_leaving(position: Position) -> bool:
    return position.status in (PositionStatus.CLOSING, PositionStatus.CLOSED)


def _is_being_changed(order: OrderIntent, live: Sequence[OrderIntent]) -> bool:
    return any(intent.target == order.client_order_id for intent in live)


def _stuck(order: OrderIntent) -> str:
    return (
        f"CRITICAL {order.lane}: order {order.client_order_id} rests at market after "
        f"{ROUNDS_MAX} rounds: look at the broker"
    )


def _step_of(order: OrderIntent) -> int:
    return 0 if order.chase is None else order.chase.step


def _step_at(order: OrderIntent, limits: ChaseLimits, now: datetime) -> int:
    if order.chase is None or order.chase.since is None:
        return 0
    passed_s = Decimal(str((now - order.chase.since).total_seconds()))
    return int(passed_s / limits.every_s)


def _steps_max(limits: ChaseLimits, point_value: Decimal, modifications_max: int | None) -> int:
    affordable = int(limits.cost_max / point_value / limits.step)
    bounds = [limits.steps_max, affordable]
    return min(bounds if modifications_max is None else [*bounds, modifications_max])


def _rounded(price: Decimal, side: Side, tick: Decimal) -> Decimal:
    """To the tick, on the side where it waits rather than pays."""
    rounding = ROUND_FLOOR if side is Side.BUY else ROUND_CEILING
    return (price / tick).to_integral_value(rounding=rounding) * tick
