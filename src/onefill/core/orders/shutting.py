"""Orders not sent before their market closed: they are sent no more. PF-12, PF-21, SIG-18.

A claim refuses them; here they end, so that nothing of them goes out with the next opening at a
price of the evening before. What they were to do is decided anew then: exits are issued again,
legs that ended unequal are repaired, a rollover's successor is bought.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from onefill.core.admission import opening_after
from onefill.core.book import Decision, SignalChange, Situation, TimeBasis
from onefill.core.instrument import Rules
from onefill.core.intent import IntentState, OrderIntent, Verb
from onefill.core.orders.standing import position_standing, told_to_wait
from onefill.core.position import Position, PositionStatus
from onefill.core.refusal import Refusal
from onefill.core.signal import SignalStatus


def withdraw_unsent(situation: Situation, rules: Rules) -> Decision | None:
    """End the lane's unsent orders while its market is closed; None without any, or in a replay.

    A cancel may still go: it can only be refused. Each position left with something, or with
    nothing of what it was, is told of, and waits for the opening.
    """
    unsent = [i for i in situation.intents if _is_unsent(i)]
    if not unsent or situation.account.time_basis is TimeBasis.SIGNAL:
        return None
    opens = opening_after(unsent[0].instrument, situation, rules)
    if opens is None:
        return None
    names = tuple(intent.client_order_id for intent in unsent)
    live = [intent for intent in situation.intents if intent.client_order_id not in names]
    theirs = {intent.position_id for intent in unsent}
    positions, alarms = [], list[str]()
    for position in (each for each in situation.here if each.id in theirs):
        left, told = _left(position, live, situation, opens)
        positions.append(left)
        alarms += told
    return Decision(
        status=SignalStatus.DECIDED,
        reason=Refusal.OUTSIDE_HOURS.code,
        positions=tuple(positions),
        withdraw=names,
        signals=_ended_entries(unsent, live, positions),
        alarms=tuple(alarms),
    )


def _is_unsent(intent: OrderIntent) -> bool:
    return intent.state is IntentState.NEW and intent.verb is not Verb.CANCEL


def _left(
    position: Position, live: Sequence[OrderIntent], situation: Situation, opens: datetime
) -> tuple[Position, tuple[str, ...]]:
    mine = [intent for intent in live if intent.position_id == position.id]
    if position.status is PositionStatus.PENDING and position.rolled_from is not None and not mine:
        # Held a moment ago, in another contract: it is completed at the opening, flat or not.
        waiting = replace(position, status=PositionStatus.PARTIAL, next_exit_at=opens)
        return waiting, (told_to_wait(waiting, opens),)
    standing = position_standing(position, mine, situation.here, situation.now)
    left = standing.position
    alarms = (standing.alarm,) if standing.alarm is not None else ()
    if left.is_flat or left.status not in (PositionStatus.PARTIAL, PositionStatus.CLOSING):
        return left, alarms
    return replace(left, next_exit_at=opens), (*alarms, told_to_wait(left, opens))


def _ended_entries(
    unsent: Sequence[OrderIntent], live: Sequence[OrderIntent], positions: Sequence[Position]
) -> tuple[SignalChange, ...]:
    """Entries of which nothing was traded: no order of theirs comes any more."""
    going = {intent.signal_id for intent in live}
    ended = {p.id for p in positions if p.status is PositionStatus.CLOSED}
    signals = {i.signal_id for i in unsent if i.position_id in ended and i.signal_id is not None}
    reason = Refusal.OUTSIDE_HOURS
    return tuple(
        SignalChange(signal_id=signal_id, status=reason.status, reason=reason.code)
        for signal_id in sorted(signals - going)
    )
