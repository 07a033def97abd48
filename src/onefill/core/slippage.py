"""At what price each order was decided, for its fills to be compared with. Source: PF-13."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from onefill.core.book import Decision, Situation
from onefill.core.intent import OrderIntent, Verb
from onefill.core.issue import OPEN
from onefill.core.position import FUTURE, Position


def with_prices(decision: Decision, situation: Situation) -> Decision:
    """The same decision, each order with the price that it was decided at, where one is known.

    Of a future that is the signal's, or the last one seen; of an option the market's at that time,
    which is asked before entries. After a rollover no price of the next contract is known yet.
    """
    known = {position.id: position for position in (*situation.positions, *decision.positions)}

    def priced(intent: OrderIntent) -> OrderIntent:
        position = known.get(intent.position_id) if intent.position_id is not None else None
        trades = intent.verb is Verb.PLACE and not intent.order.order_type.is_conditional
        if position is None or not trades or intent.decided_price is not None:
            return intent
        return replace(intent, decided_price=_price(intent, position, situation))

    return replace(decision, intents=tuple(priced(intent) for intent in decision.intents))


def _price(intent: OrderIntent, position: Position, situation: Situation) -> Decimal | None:
    quoted = situation.leg_prices.get(intent.order.symbol)
    if quoted is not None or intent.leg != FUTURE:
        return quoted
    if intent.action != OPEN:
        return position.last_price
    return position.signal_price if position.rolled_from is None else None
