"""Closing what is held, and only that: the short leg first, again until flat. Source: PF-12, 20."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from onefill.core.admission import opening_after
from onefill.core.book import Decision, Situation, TimeBasis
from onefill.core.ids import ClientOrderId
from onefill.core.instrument import Rules
from onefill.core.intent import OrderIntent, Side
from onefill.core.issue import CLOSE, STOP, Cause, issue, issue_cancel, issue_market
from onefill.core.money import ZERO
from onefill.core.orders.standing import told_to_wait
from onefill.core.position import Leg, Position, PositionStatus
from onefill.core.signal import SignalStatus

_CHANGES_FROM = 10_000
"""Stops that trail count their changes from 1; an exit's own never meets them."""


def begin_closing(
    position: Position,
    live: Sequence[OrderIntent],
    situation: Situation,
    rules: Rules,
    *,
    signal_id: int | None,
    reason: str | None,
) -> tuple[Position, tuple[OrderIntent, ...]]:
    """The position in `closing`, the orders for what is confirmed now, cancels for what rests.

    live: the lane's intents that may still fill, without those being withdrawn. Fills confirmed
    later are sold by `continue_exits` (ORD-8), and while the market is closed all of it waits.
    """
    asked = replace(
        position, status=PositionStatus.CLOSING, exit_signal_id=signal_id, reason=reason
    )
    return _issue_exit(asked, live, situation, rules)


def continue_exits(situation: Situation, rules: Rules) -> Decision | None:
    """New orders for positions in `closing` that hold what no live order closes, when due.

    Each round is the next n of its position, after a pause that grows. None when nothing is due.
    The decision's status says nothing: no signal is decided by it. Of what has to wait for the
    market to open a person is told, once. Source: PF-12.
    """
    positions: list[Position] = []
    intents: list[OrderIntent] = []
    alarms: list[str] = []
    for position in situation.here:
        if position.status is not PositionStatus.CLOSING or not _is_due(position, situation.now):
            continue
        again, issued = _issue_exit(position, situation.intents, situation, rules)
        if again != position:
            positions.append(again)
            intents += issued
            if not issued and again.next_exit_at is not None:
                alarms.append(told_to_wait(again, again.next_exit_at))
    if not positions:
        return None
    return Decision(
        status=SignalStatus.DECIDED,
        positions=tuple(positions),
        intents=tuple(intents),
        alarms=tuple(alarms),
    )


def closing_intents(
    position: Position, live: Sequence[OrderIntent], rules: Rules
) -> tuple[OrderIntent, ...]:
    """Orders for the confirmed net, less what live orders already take off.

    Short legs first; a long leg's order waits for theirs, and is not issued at all while any
    order of a short leg is unsettled: what is long may be covering it. Source: PF-20, PF-21.
    """
    cause = Cause(
        deployment=rules.deployment,
        source=position.id,
        action=CLOSE,
        n=position.exits + 1,
        signal_id=position.exit_signal_id,
    )
    mine = [intent for intent in live if intent.position_id == position.id and intent.is_live]
    buys = _close_legs(cause, position, mine, Side.BUY, None)
    if len(position.legs) > 1 and any(_is_short_leg(position, intent) for intent in mine):
        return buys
    return buys + _close_legs(
        cause, position, mine, Side.SELL, buys[-1].client_order_id if buys else None
    )


def committed(live: Sequence[OrderIntent], leg: str, side: Side) -> Decimal:
    """What live orders of that leg may still trade on that side, at the most."""
    mine = (intent for intent in live if (intent.leg, intent.order.side) == (leg, side))
    return sum((intent.remaining for intent in mine), ZERO)


def _issue_exit(
    position: Position, live: Sequence[OrderIntent], situation: Situation, rules: Rules
) -> tuple[Position, tuple[OrderIntent, ...]]:
    mine = [intent for intent in live if intent.position_id == position.id and intent.is_live]
    intents = (*_freeing(position, mine), *closing_intents(position, live, rules))
    if not intents:
        return position, ()
    opens = opening_after(position.instrument, situation, rules)
    if opens is not None:
        return _until_open(position, opens, situation), ()
    pause_s = rules.exit_retry_s[min(position.exits, len(rules.exit_retry_s) - 1)]
    again = situation.now + timedelta(seconds=pause_s)
    return replace(position, exits=position.exits + 1, next_exit_at=again), intents


def _freeing(position: Position, mine: Sequence[OrderIntent]) -> tuple[OrderIntent, ...]:
    """Changes of what rests at the broker: it would open anew, or hold back what is to be sold.

    The position's own stop is made to trade at once; where that fails the next round cancels it,
    as all else. The exit's own orders may rest too, where they follow their price. Once a change
    is carried out, the exit goes on at once with what that order no longer covers.
    """
    targeted = {intent.target for intent in mine}
    return tuple(
        _freed(position, intent)
        for intent in mine
        if intent.rests and intent.action != CLOSE and intent.client_order_id not in targeted
    )


def _freed(position: Position, resting: OrderIntent) -> OrderIntent:
    n = position.exits + 1
    is_whole = position.leg(resting.leg).net >= resting.remaining
    if resting.action == STOP and is_whole and position.exits == 0:
        return issue_market(resting, _CHANGES_FROM + n, position.exit_signal_id)
    return issue_cancel(resting, n, position.exit_signal_id)


def _until_open(position: Position, opens: datetime, situation: Situation) -> Position:
    """In a replay only a later signal can open the market, so that no clock is waited for."""
    if situation.account.time_basis is TimeBasis.SIGNAL:
        return position
    return replace(position, next_exit_at=opens)


def _close_legs(
    cause: Cause,
    position: Position,
    mine: Sequence[OrderIntent],
    side: Side,
    after: ClientOrderId | None,
) -> tuple[OrderIntent, ...]:
    wanted = ((leg, _uncovered(leg, side, mine)) for leg in position.legs)
    return tuple(
        issue(cause, position, leg, side, quantity, after=after)
        for leg, quantity in wanted
        if quantity > 0
    )


def _uncovered(leg: Leg, side: Side, mine: Sequence[OrderIntent]) -> Decimal:
    held = leg.net if side is Side.SELL else -leg.net
    return held - committed(mine, leg.name, side)


def _is_short_leg(position: Position, intent: OrderIntent) -> bool:
    return position.leg(intent.leg).side is Side.SELL


def _is_due(position: Position, now: datetime) -> bool:
    return position.next_exit_at is None or position.next_exit_at <= now
