"""Exchange holidays: a maintained calendar, corrected by the settings. Source: PF-23.

NSE's come from the `holidays` package (its XNSE calendar). MCX is taken to close with NSE, as no
maintained calendar of it exists; where it differs, the settings say so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from functools import cache

from onefill.config.settings import HolidaySettings

FIRST_YEAR = 2009
LAST_YEAR = 2040
_CALENDARS = {"NSE": "XNSE", "NFO": "XNSE", "MCX": "XNSE"}
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
        days = _calendar(calendar) if calendar else frozenset()
        corrections = self._corrections.get(_SEGMENTS.get(exchange, exchange))
        if corrections is None:
            return days
        return (days | corrections.add) - corrections.remove


@cache
def _calendar(code: str) -> frozenset[date]:
    import holidays

    years = range(FIRST_YEAR, LAST_YEAR + 1)
    return frozenset(holidays.financial_holidays(code, years=years))
