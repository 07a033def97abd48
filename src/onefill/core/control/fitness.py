"""Whether an instance may send orders at all, and when a person must hear of it. Source: ORD-16."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from onefill.core.market_hours import HOURS, session_on

WARNED_BEFORE = timedelta(minutes=30)
"""How long before the open a session must be in order."""
_INDIA = ZoneInfo("Asia/Kolkata")


def session_end(ends: time, now: datetime) -> datetime:
    """When the broker's session of the day ends next; brokers end them at a time of day there."""
    today = datetime.combine(now.astimezone(_INDIA).date(), ends, _INDIA)
    return today if today > now else today + timedelta(days=1)


def worry(
    refused: str | None,
    ends: time | None,
    exchanges: Iterable[tuple[str, frozenset[date]]],
    now: datetime,
) -> str | None:
    """What is wrong with a login that is needed now or within half an hour; None: nothing.

    refused: why the broker takes no orders from this instance. ends: when its sessions end.
    exchanges: what is traded there, with holidays; none of them with hours is always needed.
    """
    closes = _needed_until(exchanges, now)
    if closes is None:
        return None
    if refused is not None:
        return refused
    if ends is not None and closes is not datetime.max and session_end(ends, now) < closes:
        return f"the session ends at {ends:%H:%M}, before the market closes"
    return None


def _needed_until(
    exchanges: Iterable[tuple[str, frozenset[date]]], now: datetime
) -> datetime | None:
    """The last close of those that are open, or open within half an hour."""
    closes: list[datetime] = []
    for name, holidays in exchanges:
        hours = HOURS.get(name)
        if hours is None:
            return datetime.max
        session = session_on(hours, now.astimezone(hours.zone).date(), holidays)
        if session is not None and session[0] - WARNED_BEFORE <= now < session[1]:
            closes.append(session[1])
    return max(closes, default=None)
