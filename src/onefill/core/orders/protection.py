"""What becomes of a position when its stop at the broker fills, or ends without. Source: PF-11."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from onefill.core.intent import DEAD, Denial, OrderIntent, Verb
from onefill.core.issue import ADJUST, STOP
from onefill.core.position import Position, PositionStatus

PROTECTED = "protective_stop"
"""The reason of a position that its stop at the broker closed."""

BY_HAND = "by_hand"
"""The reason of a position that a person closed at the broker."""

_HELD = (PositionStatus.PENDING, PositionStatus.OPEN, PositionStatus.PARTIAL)


def after_fill(position: Position, filled: OrderIntent, now: datetime) -> Position:
    """The position after a fill of one of its orders: a stop that fills ends it, whoever leads;
    other fills change what the stop is to close."""
    if position.status not in _HELD:
        return position
    if filled.action == ADJUST and position.is_flat:
        # Whoever closed it by hand wants nothing of it left at the broker either.
        return replace(position, status=PositionStatus.CLOSING, reason=BY_HAND)
    if filled.action == STOP:
        return replace(position, status=PositionStatus.CLOSING, reason=PROTECTED)
    return replace(position, guard_at=now) if position.guards > 0 else position


def after_end(
    position: Position, stop: OrderIntent, others: Iterable[OrderIntent], now: datetime
) -> tuple[Position, str | None]:
    """The position whose stop has ended without closing it, and whom to tell why.

    It is looked after at once, or when the pause of the last try is over. A stop that would have
    triggered at once means that its price is past: the position is closed.
    """
    if stop.action != STOP or stop.state not in DEAD or position.status not in _HELD:
        return position, None
    if stop.denial is Denial.WOULD_TRIGGER:
        return replace(position, status=PositionStatus.CLOSING, reason=PROTECTED), None
    again = max(position.guard_at or now, now)
    after = replace(position, guard_at=again)
    if any(i.verb is Verb.CANCEL and i.target == stop.client_order_id for i in others):
        return after, None
    return after, (
        f"CRITICAL {stop.lane}: the stop of position {position.id} ended {stop.state} "
        f"({stop.reason}): it is without one until the next is placed"
    )
