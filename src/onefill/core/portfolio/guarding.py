"""The stop order that waits at the broker for each position: placed after the first fill, moved
with the trailing stop, replaced when it is gone. Source: PF-11.

Exits are not decided here: they make of the stop the order that closes (core/orders/closing), so
that the two never both fill. `guard_at` is durable, so that whoever leads next looks after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal

from onefill.core.admission import opening_after
from onefill.core.book import Decision, Situation, TimeBasis, joined
from onefill.core.instrument import Instrument, Rules, Structure
from onefill.core.intent import AT_BROKER, SLICE_STRIDE, OrderIntent, OrderType, Side, Verb
from onefill.core.issue import PEEL, STOP, Cause, issue_cancel, issue_conditional, issue_modify
from onefill.core.money import ZERO
from onefill.core.position import Position, PositionStatus
from onefill.core.signal import SignalStatus

WITHIN = timedelta(seconds=1)
"""How long a position may be without a stop at its broker before a person is told."""
TELL_AGAIN = timedelta(seconds=60)
CHANGES_MAX = 20
"""Changes of one order before it is replaced: brokers count them (Kite: 25), and the exit's own
change must be left."""

_HELD = (PositionStatus.PENDING, PositionStatus.OPEN, PositionStatus.PARTIAL)


def guarded(decision: Decision, situation: Situation, rules: Rules) -> Decision:
    """The decision with what it means for the stops at the broker: it may have moved them."""
    kept = None if decision.wait else keep_stops(situation.after(decision), rules)
    if kept is None:
        return decision
    return replace(
        joined(decision, kept),
        status=decision.status,
        reason=decision.reason,
        numbers=decision.numbers,
    )


def keep_stops(situation: Situation, rules: Rules) -> Decision | None:
    """What brings the lane's stop orders to where they should be; None when they are there."""
    parts: list[_Kept] = []
    for position in situation.here:
        instrument = rules.instruments.get(position.instrument)
        if instrument is not None and _is_guarded(position, instrument, situation):
            kept = _keep(position, instrument, situation, rules)
            if kept.intents or kept.alarms or kept.position != position:
                parts.append(kept)
    if not parts:
        return None
    return Decision(
        status=SignalStatus.DECIDED,
        positions=tuple(part.position for part in parts),
        intents=tuple(intent for part in parts for intent in part.intents),
        alarms=tuple(alarm for part in parts for alarm in part.alarms),
    )


def give_way(
    position: Position, quantity: Decimal, situation: Situation, instrument: Instrument
) -> tuple[Position, tuple[OrderIntent, ...]]:
    """What makes the position's stops at the broker smaller by at least so much, each change after
    the one before it. An order that sells so much of what they guard has to follow the last:
    beside stops for all that is held it could fill with them, and open the other side.
    """
    stops = [intent for intent in situation.intents if _is_stop_of(intent, position)]
    changes: list[OrderIntent] = []
    for stop in reversed(stops):
        if quantity <= 0:
            break
        guards = position.guards + 1
        may_change = len(stops) == 1 and guards - _n_of(stop) <= CHANGES_MAX
        if may_change and stop.remaining > quantity:
            left, trigger = stop.order.quantity - quantity, _trigger(position, instrument)
            change = issue_modify(stop, guards, quantity=left, trigger_price=trigger)
        else:  # what is too little then is placed anew
            change = issue_cancel(stop, guards)
        before = changes[-1].client_order_id if changes else None
        changes.append(replace(change, after=before))
        quantity -= stop.remaining
        position = replace(position, guards=guards, guard_at=situation.now + WITHIN)
    return position, tuple(changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """A position with what is done about its stop."""

    position: Position
    intents: tuple[OrderIntent, ...] = ()
    alarms: tuple[str, ...] = ()


def _is_guarded(position: Position, instrument: Instrument, situation: Situation) -> bool:
    """A replay's prices are of another time than the broker's; its stops are bar closes."""
    is_one = instrument.structure is Structure.FUTURE and len(position.legs) == 1
    is_now = situation.account.time_basis is TimeBasis.NOW
    return instrument.protective_stop and is_one and is_now and position.status in _HELD


def _keep(position: Position, instrument: Instrument, situation: Situation, rules: Rules) -> _Kept:
    held, now = _whole_lots(position, situation.intents), situation.now
    stops = [i for i in situation.intents if _is_stop_of(i, position)]
    if held <= 0 or position.stop is None:
        # Not filled yet. What fills wakes the lane; this is for whoever takes over between.
        is_set = position.guard_at is not None and position.guard_at > now
        return _Kept(position=position if is_set else _looked_at(position, now + WITHIN))
    opens = opening_after(position.instrument, situation, rules)
    if opens is not None:
        return _Kept(position=_looked_at(position, opens))
    if bare := [stop for stop in stops if stop.client_order_id in situation.bare_stops]:
        return _withdraw(position, bare, situation)
    lacking = held - sum((stop.remaining for stop in stops), ZERO)
    if not stops or (len(stops) > 1 and lacking > 0):
        return _place(position, lacking, instrument, situation, rules)
    return _adjust(position, stops, lacking, instrument, situation)


def _withdraw(position: Position, bare: Sequence[OrderIntent], situation: Situation) -> _Kept:
    """Away with stops that would open the other side: somebody closed the position by hand.

    The next one is placed only once its broker holds what it guards, or our book is set right.
    """
    wanted = [stop for stop in bare if not _is_being_changed(stop, situation.intents)]
    if not wanted:
        return _Kept(position=position)
    after = replace(position, guards=position.guards + 1, guard_at=situation.now + TELL_AGAIN)
    alarm = (
        f"CRITICAL {position.lane}: less is held at the broker than position {position.id} says: "
        "its stop there is cancelled, as it would open the other side; see `onefill reconcile`"
    )
    cancels = tuple(issue_cancel(stop, after.guards) for stop in wanted)
    return _Kept(position=after, intents=cancels, alarms=(alarm,))


def _place(
    position: Position, held: Decimal, instrument: Instrument, situation: Situation, rules: Rules
) -> _Kept:
    """A new stop for what is held; after one that failed, not before its pause is over."""
    if position.guard_at is not None and position.guards > 0 and position.guard_at > situation.now:
        return _Kept(position=position)
    (leg,) = position.legs
    guards = position.guards + 1
    cause = Cause(deployment=rules.deployment, source=position.id, action=STOP, n=guards)
    stop = issue_conditional(
        cause,
        position,
        leg,
        Side.SELL,
        held,
        order_type=OrderType.STOP_MARKET,
        trigger_price=_trigger(position, instrument),
    )
    pause_s = rules.exit_retry_s[min(position.guards, len(rules.exit_retry_s) - 1)]
    again = situation.now + timedelta(seconds=pause_s)
    return _Kept(position=replace(position, guards=guards, guard_at=again), intents=(stop,))


def _adjust(
    position: Position,
    stops: Sequence[OrderIntent],
    lacking: Decimal,
    instrument: Instrument,
    situation: Situation,
) -> _Kept:
    """The stops as they should be: confirmed at the broker, for what is held, at the stop.

    There are several only where the exchange does not take all in one order; then one that is too
    much is cancelled. One change at a time: the next comes when it is carried out.
    """
    now, live = situation.now, situation.intents
    unsure = next(
        (s for s in stops if s.state not in AT_BROKER or _is_being_changed(s, live)), None
    )
    if unsure is not None:
        if position.guard_at is None or position.guard_at > now:
            return _Kept(position=_looked_at(position, position.guard_at or now + WITHIN))
        again = _looked_at(position, now + TELL_AGAIN)
        return _Kept(position=again, alarms=(_unconfirmed(unsure),))
    trigger = _trigger(position, instrument)
    wrong = next((stop for stop in stops if stop.order.trigger_price != trigger), None)
    if wrong is None and lacking == 0:
        return _Kept(position=_looked_at(position, None))
    stop, guards = wrong or stops[-1], position.guards + 1
    is_too_much = len(stops) > 1 and lacking < 0
    if is_too_much or guards - _n_of(stop) > CHANGES_MAX:  # its end brings the next one at once
        after = replace(position, guards=guards, guard_at=None)
        return _Kept(position=after, intents=(issue_cancel(stop, guards),))
    quantity = stop.order.quantity + (lacking if len(stops) == 1 else ZERO)
    change = issue_modify(stop, guards, quantity=quantity, trigger_price=trigger)
    after = replace(position, guards=guards, guard_at=now + WITHIN)
    return _Kept(position=after, intents=(change,))


def _n_of(stop: OrderIntent) -> int:
    """The count of guards that it was placed with; slices of one order share it."""
    return stop.n - stop.slice * SLICE_STRIDE


def _whole_lots(position: Position, live: Sequence[OrderIntent]) -> Decimal:
    """What is held in whole lots, without what is being peeled off: what is above them is repaired,
    and none of it must be sold twice."""
    mine = (i for i in live if i.position_id == position.id and i.action == PEEL)
    peeling = sum((intent.remaining for intent in mine), ZERO)
    held = max(ZERO, position.legs[0].net - peeling)
    return held - held % position.units_per_lot


def _trigger(position: Position, instrument: Instrument) -> Decimal:
    """The stop on a tick, not below it."""
    assert position.stop is not None
    ticks = (position.stop / instrument.tick).to_integral_value(rounding=ROUND_CEILING)
    return ticks * instrument.tick


def _looked_at(position: Position, again: datetime | None) -> Position:
    return replace(position, guard_at=again)


def _is_stop_of(intent: OrderIntent, position: Position) -> bool:
    is_stop = intent.action == STOP and intent.verb is Verb.PLACE
    return is_stop and intent.position_id == position.id and intent.is_live


def _is_being_changed(stop: OrderIntent, live: Sequence[OrderIntent]) -> bool:
    return any(intent.target == stop.client_order_id for intent in live)


def _unconfirmed(stop: OrderIntent) -> str:
    return (
        f"CRITICAL {stop.lane}: position {stop.position_id} has no confirmed stop at its broker: "
        f"order {stop.client_order_id} is {stop.state}"
    )
