"""Positions whose legs ended unequal: completed while fresh, else undone. Source: PF-21.

Nothing is issued while any order of the position may still fill: so a long leg is never sold while
a short one is in doubt, and nothing is bought twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from onefill.core.admission import opening_after
from onefill.core.book import Decision, Situation, TimeBasis
from onefill.core.instrument import Rules
from onefill.core.intent import OrderIntent, Side
from onefill.core.issue import COMPLETE, UNWIND, Cause, is_waiting_stop, issue_in_turn
from onefill.core.market_hours import closes_after
from onefill.core.money import ZERO
from onefill.core.orders.standing import NOT_FILLED, not_reopened, told_to_wait
from onefill.core.position import Leg, Position, PositionStatus, Rollover
from onefill.core.signal import SignalKind, SignalStatus

COMPLETIONS_MAX = 2
"""How often the missing part is asked for before the rest is undone."""
UNWOUND = "unwound"


def continue_repairs(situation: Situation, rules: Rules) -> Decision | None:
    """The next orders for each half-built position of the lane that is due; None without any.

    Each round is the next n of its position, after a pause that grows.
    """
    positions: list[Position] = []
    intents: list[OrderIntent] = []
    alarms: list[str] = []
    for position in situation.here:
        if position.status is PositionStatus.PARTIAL and _is_due(position, situation):
            again, issued, told = _repair(position, situation, rules)
            positions.append(again)
            intents += issued
            alarms += told
    if not positions:
        return None
    return Decision(
        status=SignalStatus.DECIDED,
        positions=tuple(positions),
        intents=tuple(intents),
        alarms=tuple(alarms),
    )


def common_quantity(position: Position) -> Decimal:
    """What all legs hold alike on the side on which they open, in whole lots of broker units."""
    least = max(ZERO, min(_held(leg) for leg in position.legs))
    return least - least % position.units_per_lot


def _is_due(position: Position, situation: Situation) -> bool:
    mine = (i for i in situation.intents if i.position_id == position.id)
    if any(not is_waiting_stop(intent) for intent in mine):
        return False
    return position.next_exit_at is None or position.next_exit_at <= situation.now


def _repair(
    position: Position, situation: Situation, rules: Rules
) -> tuple[Position, tuple[OrderIntent, ...], tuple[str, ...]]:
    opens = opening_after(position.instrument, situation, rules)
    if opens is not None and situation.account.time_basis is TimeBasis.NOW:
        return replace(position, next_exit_at=opens), (), (told_to_wait(position, opens),)
    fresh_until = _fresh_until(position, situation, rules)
    pause_s = rules.exit_retry_s[min(position.repairs, len(rules.exit_retry_s) - 1)]
    next_round = replace(
        position,
        repairs=position.repairs + 1,
        next_exit_at=situation.now + timedelta(seconds=pause_s),
    )
    if _may_complete(position, situation, fresh_until):
        return next_round, _completing(position, rules, fresh_until), ()
    if position.is_flat and situation.paused:  # it was told of; nothing is lost by waiting
        return replace(position, next_exit_at=next_round.next_exit_at), (), ()
    if position.is_flat:
        return _not_reopened(position, situation)
    undone = replace(next_round, reason=position.reason or UNWOUND)
    return undone, _unwinding(position, rules), ()


def _not_reopened(
    position: Position, situation: Situation
) -> tuple[Position, tuple[OrderIntent, ...], tuple[str, ...]]:
    """The end of a successor of which nothing was bought before its market closed, and may not be
    bought now: its lane is blocked, or it was tried often enough."""
    ended = replace(
        position,
        status=PositionStatus.CLOSED,
        closed_at=situation.now,
        rollover=Rollover.FAILED,
        reason=NOT_FILLED,
    )
    return ended, (), (not_reopened(position),)


def _fresh_until(position: Position, situation: Situation, rules: Rules) -> datetime:
    """Until when what lacks may be bought. A successor that its market's close cut short was held
    before: what lacks of it is as fresh at the opening as it was then."""
    kind = SignalKind.BASE_ENTRY if position.is_base else SignalKind.PYRAMID
    begun = position.rollover_timestamp or position.opened_at
    if position.rolled_from is not None and _closed_since(begun, position, situation, rules):
        begun = situation.now
    return begun + timedelta(seconds=float(rules.max_age_of(kind)))


def _closed_since(begun: datetime, position: Position, situation: Situation, rules: Rules) -> bool:
    """Whether its market has closed since that moment."""
    instrument = rules.instruments.get(position.instrument)
    if instrument is None or not rules.switches.market_hours:
        return False
    holidays = rules.holidays.get(instrument.exchange, frozenset())
    ends = closes_after(instrument.exchange, begun, holidays)
    return ends is not None and ends <= situation.now


def _may_complete(position: Position, situation: Situation, fresh_until: datetime) -> bool:
    """Only what was bought just now: later, the missing part would trade another price."""
    if situation.paused or situation.blocked is not None:
        return False
    return position.repairs < COMPLETIONS_MAX and situation.now <= fresh_until


def _completing(position: Position, rules: Rules, fresh_until: datetime) -> tuple[OrderIntent, ...]:
    """Orders for what each leg lacks, the long one first."""
    wanted = [(leg, leg.side, leg.quantity - _held(leg)) for leg in position.legs]
    return _chain(position, rules, COMPLETE, wanted, fresh_until)


def _unwinding(position: Position, rules: Rules) -> tuple[OrderIntent, ...]:
    """Orders for what each leg has above the common quantity, the short one first."""
    common = common_quantity(position)
    wanted = [(leg, leg.side.opposite, _held(leg) - common) for leg in position.legs]
    return _chain(position, rules, UNWIND, sorted(wanted, key=lambda w: w[1] is Side.SELL), None)


def _chain(
    position: Position,
    rules: Rules,
    action: str,
    wanted: Sequence[tuple[Leg, Side, Decimal]],
    valid_until: datetime | None,
) -> tuple[OrderIntent, ...]:
    cause = Cause(
        deployment=rules.deployment,
        source=position.id,
        action=action,
        n=position.repairs + 1,
        signal_id=position.entry_signal_id,
    )
    return issue_in_turn(cause, position, wanted, valid_until)


def _held(leg: Leg) -> Decimal:
    return leg.net if leg.side is Side.BUY else -leg.net
