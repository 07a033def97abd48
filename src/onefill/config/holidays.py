"""Exchange holidays: a maintained calendar, corrected by the settings. Source: PF-23.

NSE's come from the `holidays` package (its XNSE calendar). MCX keeps the same days, as no
maintained calendar of it exists; but on most of them its evening session trades, and it is closed
all day on five only. Where it differs, the settings say so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from functools import cache

from onefill.config.settings import HolidaySettings
from onefill.core.market_hours import ClosedDays

FIRST_YEAR = 2009
LAST_YEAR = 2040
_CALENDARS = {"NSE": "XNSE", "NFO": "XNSE", "MCX": "XNSE"}
_HAS_EVENINGS = frozenset({"MCX"})
_ALL_DAY = frozenset({(1, 26), (8, 15), (10, 2), (12, 25)})
"""Republic Day, Independence Day, Gandhi Jayanti, Christmas; and Good Friday, which moves."""
_GOOD_FRIDAY = "Good Friday"
_SEGMENTS = {"NFO": "NSE"}
"""Markets that keep another one's days, and its corrections."""


class Holidays(Mapping[str, frozenset[date]]):
    """Holidays by exchange. Reading a calendar takes half a second, so that it waits until somebody
    asks; who may not be kept waiting by it asks for all of them ahead of time."""

    def __init__(self, corrections: Mapping[str, HolidaySettings]) -> None:
        self._corrections = corrections
        self._exchanges = tuple(dict.fromkeys((*_CALENDARS, *corrections)))
        self._known: dict[str, frozenset[date]] = {}

    def __getitem__(self, exchange: str) -> frozenset[date]:
        if exchange not in self._exchanges:
            raise KeyError(exchange)
        if exchange not in self._known:
            self._known[exchange] = self._read(exchange)
        return self._known[exchange]

    def __iter__(self) -> Iterator[str]:
        return iter(self._exchanges)

    def __len__(self) -> int:
        return len(self._exchanges)

    def _read(self, exchange: str) -> frozenset[date]:
        calendar = _CALENDARS.get(exchange)
        named = _calendar(calendar) if calendar else {}
        days = frozenset(named)
        evenings = frozenset(
            day for day, name in named.items() if _has_evening(exchange, day, name)
        )
        corrections = self._corrections.get(_SEGMENTS.get(exchange, exchange))
        if corrections is None:
            return ClosedDays.of(days, evenings)
        evenings = (evenings | corrections.evening) - corrections.add
        days = (days | corrections.add | corrections.evening) - corrections.remove
        sessions = {each.day: (each.opens, each.closes) for each in corrections.sessions}
        return ClosedDays.of(days, evenings, corrections.remove, sessions)


def _has_evening(exchange: str, day: date, name: str) -> bool:
    is_closed = (day.month, day.day) in _ALL_DAY or _GOOD_FRIDAY in name
    return exchange in _HAS_EVENINGS and not is_closed


@cache
def _calendar(code: str) -> Mapping[date, str]:
    import holidays

    years = range(FIRST_YEAR, LAST_YEAR + 1)
    return dict(holidays.financial_holidays(code, years=years))
