"""When an exchange trades. Source: SIG-18."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_SATURDAY = 5
_INDIA, _NEW_YORK = ZoneInfo("Asia/Kolkata"), ZoneInfo("America/New_York")
_NOON = time(12)
_DAYS_AHEAD = 30


@dataclass(frozen=True, slots=True)
class Hours:
    """Local times of one trading day; in_us_winter: when it closes while New York has no summer
    time (commodities follow it). evening: when it opens on holidays that end in the afternoon."""

    opens: time
    closes: time
    in_us_winter: time | None = None
    evening: time | None = None
    zone: ZoneInfo = _INDIA


_EQUITIES = Hours(time(9, 15), time(15, 30))
HOURS = {
    "NSE": _EQUITIES,
    "NFO": _EQUITIES,
    "MCX": Hours(time(9), time(23, 30), in_us_winter=time(23, 55), evening=time(17)),
}
"""By exchange; one that is not here trades always."""


class ClosedDays(frozenset[date]):
    """Holidays of an exchange. evenings: those of them on which its evening session trades.

    opened: weekends that trade as any day. sessions: days, holidays and weekends among them, that
    trade from one local time to another, and not at the usual ones.
    """

    evenings: frozenset[date] = frozenset()
    opened: frozenset[date] = frozenset()
    sessions: Mapping[date, tuple[time, time]] = {}

    @classmethod
    def of(
        cls,
        days: Set[date],
        evenings: Set[date],
        opened: Set[date] = frozenset(),
        sessions: Mapping[date, tuple[time, time]] | None = None,
    ) -> ClosedDays:
        """These days, which of them end in the afternoon, and when else it trades."""
        closed = cls(days)
        closed.evenings = frozenset(evenings & days)
        closed.opened = frozenset(opened)
        closed.sessions = dict(sessions or {})
        return closed


def is_open(exchange: str, moment: datetime, holidays: Set[date]) -> bool:
    """Whether it trades at that moment: from its opening on, until just before its close."""
    hours = HOURS.get(exchange)
    if hours is None:
        return True
    session = session_on(hours, moment.astimezone(hours.zone).date(), holidays)
    return session is not None and session[0] <= moment < session[1]


def next_open(exchange: str, moment: datetime, holidays: Set[date]) -> datetime:
    """When it trades again: that moment itself where it trades now."""
    hours = HOURS.get(exchange)
    if hours is None or is_open(exchange, moment, holidays):
        return moment
    today = moment.astimezone(hours.zone).date()
    days = (today + timedelta(days=n) for n in range(_DAYS_AHEAD))
    sessions = (session_on(hours, day, holidays) for day in days)
    # Thirty days without a session is a calendar gone wrong: then ask again in a day.
    return next(
        (session[0] for session in sessions if session is not None and session[0] > moment),
        moment + timedelta(days=1),
    )


def closes_after(exchange: str, moment: datetime, holidays: Set[date]) -> datetime | None:
    """When the session of that moment ends; the moment itself while it is closed, None where it
    trades always."""
    hours = HOURS.get(exchange)
    if hours is None:
        return None
    session = session_on(hours, moment.astimezone(hours.zone).date(), holidays)
    is_open = session is not None and session[0] <= moment < session[1]
    return session[1] if session is not None and is_open else moment


def session_on(hours: Hours, day: date, holidays: Set[date]) -> tuple[datetime, datetime] | None:
    """Opening and close of that day; None on a weekend or a holiday without a session."""
    known = holidays if isinstance(holidays, ClosedDays) else ClosedDays(holidays)
    if day in known.sessions:
        opens, closes = known.sessions[day]
        return _between(hours, day, opens, closes)
    opens = hours.opens
    if day.weekday() >= _SATURDAY and day not in known.opened:
        return None
    if day in holidays:
        if hours.evening is None or day not in known.evenings:
            return None
        opens = hours.evening
    closes = hours.closes
    if hours.in_us_winter is not None and _is_us_winter(day):
        closes = hours.in_us_winter
    return _between(hours, day, opens, closes)


def _between(hours: Hours, day: date, opens: time, closes: time) -> tuple[datetime, datetime]:
    zone = hours.zone
    return datetime.combine(day, opens, zone), datetime.combine(day, closes, zone)


def _is_us_winter(day: date) -> bool:
    return not datetime.combine(day, _NOON, _NEW_YORK).dst()
