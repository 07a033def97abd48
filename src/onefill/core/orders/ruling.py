"""What a person may decide about an order that software can't settle. Source: ORD-7."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from onefill.core.ids import client_order_id, deployment_of
from onefill.core.intent import IntentState, OrderIntent, Verb
from onefill.core.issue import CLOSE
from onefill.core.money import ZERO
from onefill.core.orders.hearing import Ruled, Told
from onefill.core.orders.report import OrderReport, OrderStatus, Placed
from onefill.core.orders.rivals import rivals_of
from onefill.core.position import Position, PositionStatus

PLACE_AGAIN_AFTER = timedelta(seconds=60)
"""How long after its `send_by` an order counts as able to reach the broker still."""
VALID_FOR = timedelta(seconds=60)
"""How long an order that a person placed again may wait to be sent."""


class Verdict(enum.StrEnum):
    """A person's answer to the question what became of an order."""

    PLACED = "placed"
    NOT_PLACED = "not_placed"


class RulingRefusal(enum.Enum):
    """Why an order stays as it is, with the remedy, in order of precedence."""

    UNKNOWN_ORDER = "There is no such order; `onefill orders` lists them."
    NOT_QUARANTINED = "Only a quarantined order needs a person; look at its state again."
    NEEDS_THE_ORDER = (
        "Name the broker's order id, or the whole filled quantity with its average price, so that "
        "the rest can be followed at the broker."
    )
    WHICH_ORDER = (
        "Another order in doubt looks just like it: name the broker's order id, or the order there "
        "would be taken for that one's as well."
    )
    ANOTHERS_ORDER = "That broker order id belongs to another order of ours; look again."
    TOO_MUCH = "The filled quantity is between 0 and what was asked."
    NO_PRICE = "State the average price of what was filled, above 0."
    NOT_RULED_OUT = "Only an order that a person ruled `not_placed` is placed again."
    EXITS_REPEAT = "Nothing to do: an exit that ended short is issued again by itself."
    TOO_EARLY = "Wait until 60 s after the order's `send_by`: it might still arrive at the broker."
    PLACED_AGAIN = "It was placed again already; see the newer order."
    OTHERS_WAITED = "The orders that waited for it were withdrawn with it; send the signal anew."
    SLOT_TAKEN = "Its position is over and its slot holds another, or is closing; signal anew."
    PAUSED = "An operator paused trading; resume it first."
    LANE_BLOCKED = "The lane is blocked; settle why, then unblock it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """A person's verdict with what they saw at the broker. note: why, for the audit log."""

    verdict: Verdict
    note: str
    broker_order_id: str | None = None
    filled_quantity: Decimal | None = None
    average_price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What matters for placing an order again, as the store has it, locked.

    siblings: all intents of the same source. positions: the order's own, and the lane's others
    that are not closed.
    """

    now: datetime
    siblings: Sequence[OrderIntent]
    positions: Sequence[Position]
    paused: bool
    blocked: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedAgain:
    """The new intent, and its position as it stands with it (None: as before)."""

    intent: OrderIntent
    position: Position | None


def refusal_of_ruling(
    intent: OrderIntent, ruling: Ruling, nameless: Sequence[OrderIntent] = ()
) -> RulingRefusal | None:
    """Why this verdict can't be taken for this order, or None. nameless: what else was sent, or
    may have been, of which the broker's id is not known."""
    if intent.state is not IntentState.QUARANTINED:
        return RulingRefusal.NOT_QUARANTINED
    if ruling.verdict is Verdict.NOT_PLACED:
        return None
    filled = ruling.filled_quantity or ZERO
    if not ZERO <= filled <= intent.order.quantity:
        return RulingRefusal.TOO_MUCH
    if filled > 0 and (ruling.average_price is None or ruling.average_price <= 0):
        return RulingRefusal.NO_PRICE
    if not ruling.broker_order_id and filled < intent.order.quantity:
        return RulingRefusal.NEEDS_THE_ORDER
    if not ruling.broker_order_id and rivals_of(intent, nameless):
        return RulingRefusal.WHICH_ORDER
    return None


def word_of(intent: OrderIntent, ruling: Ruling) -> Told:
    """The verdict as a word about the order's current attempt."""
    return Told(
        client_order_id=intent.client_order_id,
        attempt=intent.attempt,
        word=Ruled(note=ruling.note)
        if ruling.verdict is Verdict.NOT_PLACED
        else Placed(report=_report(intent, ruling)),
    )


def _report(intent: OrderIntent, ruling: Ruling) -> OrderReport:
    """What the person saw; what is not filled yet is followed at the broker from now on."""
    filled = ruling.filled_quantity or ZERO
    status = OrderStatus.PARTIALLY_FILLED if filled else OrderStatus.OPEN
    return OrderReport(
        broker_order_id=ruling.broker_order_id or "",
        status=OrderStatus.FILLED if filled == intent.order.quantity else status,
        filled_quantity=filled,
        filled_value=filled * (ruling.average_price or ZERO),
        message=f"a person's word: {ruling.note}",
    )


def place_again(intent: OrderIntent, around: Surroundings) -> PlacedAgain | RulingRefusal:
    """The same order once more, as a new intent with the next n: a person's own decision."""
    refusal = _refusal_of_repeat(intent, around)
    if refusal is not None:
        return refusal
    n = intent.n + 1
    again = OrderIntent(
        client_order_id=client_order_id(
            deployment_of(intent.client_order_id), intent.source, intent.leg, intent.action, n
        ),
        lane=intent.lane,
        portfolio=intent.portfolio,
        instrument=intent.instrument,
        source=intent.source,
        leg=intent.leg,
        action=intent.action,
        n=n,
        order=intent.order,
        adds_exposure=intent.adds_exposure,
        signal_id=intent.signal_id,
        position_id=intent.position_id,
        valid_until=around.now + VALID_FOR if intent.adds_exposure else None,
    )
    position = _position_of(intent, around)
    if position is None or position.is_live:
        return PlacedAgain(intent=again, position=None)
    waiting = replace(position, status=PositionStatus.PENDING, closed_at=None, reason=None)
    return PlacedAgain(intent=again, position=waiting)


def _refusal_of_repeat(intent: OrderIntent, around: Surroundings) -> RulingRefusal | None:
    checks = (
        (intent.action != CLOSE, RulingRefusal.EXITS_REPEAT),
        (_is_ruled_out(intent), RulingRefusal.NOT_RULED_OUT),
        (not _is_early(intent, around.now), RulingRefusal.TOO_EARLY),
        (not _is_repeated(intent, around.siblings), RulingRefusal.PLACED_AGAIN),
        (not _was_waited_for(intent, around.siblings), RulingRefusal.OTHERS_WAITED),
        (_has_room(intent, around), RulingRefusal.SLOT_TAKEN),
        (not (around.paused and intent.adds_exposure), RulingRefusal.PAUSED),
        (not (around.blocked and intent.adds_exposure), RulingRefusal.LANE_BLOCKED),
    )
    return next((refusal for holds, refusal in checks if not holds), None)


def _is_ruled_out(intent: OrderIntent) -> bool:
    """Nothing but a person's verdict leads to NOT_PLACED."""
    return intent.verb is Verb.PLACE and intent.state is IntentState.NOT_PLACED


def _is_early(intent: OrderIntent, now: datetime) -> bool:
    return intent.send_by is None or now < intent.send_by + PLACE_AGAIN_AFTER


def _is_repeated(intent: OrderIntent, siblings: Sequence[OrderIntent]) -> bool:
    key = (intent.leg, intent.action, intent.slice)
    return any(
        (other.leg, other.action, other.slice) == key and other.n > intent.n for other in siblings
    )


def _was_waited_for(intent: OrderIntent, siblings: Sequence[OrderIntent]) -> bool:
    return any(other.after == intent.client_order_id for other in siblings)


def _has_room(intent: OrderIntent, around: Surroundings) -> bool:
    position = _position_of(intent, around)
    if position is None:
        return intent.position_id is None
    if position.is_live:
        return position.status is not PositionStatus.CLOSING
    rivals = (other for other in around.positions if other.id != position.id and other.is_live)
    return all(other.slot != position.slot for other in rivals)


def _position_of(intent: OrderIntent, around: Surroundings) -> Position | None:
    return next((each for each in around.positions if each.id == intent.position_id), None)
