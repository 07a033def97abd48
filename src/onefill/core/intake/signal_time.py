"""When a signal happened, from what its sender wrote. Source: SIG-5.

A local time that the clocks show twice (the end of daylight saving) is taken as the earlier one:
read as the later, an exit of the first hour would lie in the future and be refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

AHEAD_AT_MOST = timedelta(seconds=60)
EARLIEST = datetime(1980, 1, 1, tzinfo=UTC)
_UNIX = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_BELOW = Decimal(10**11)
_MILLISECONDS_BELOW = Decimal(10**14)
_MILLION = Decimal(10**6)
_THOUSAND = Decimal(10**3)
_ISO = re.compile(
    r"\d{4}-?\d\d-?\d\d[T ]\d\d:?\d\d(?::?\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII | re.IGNORECASE,
)
_DIGITS = re.compile(r"\d{1,15}(?:\.\d{1,9})?", re.ASCII)
_FORMS = "write ISO-8601 with a zone, such as 2026-01-15T09:15:00Z, or Unix seconds"


@dataclass(frozen=True, slots=True)
class Zones:
    """In which zone a time without one is meant, by instrument (in capitals)."""

    by_instrument: Mapping[str, ZoneInfo]
    default: ZoneInfo

    @classmethod
    def named(cls, by_instrument: Mapping[str, str], default: str = "UTC") -> Zones:
        """From IANA names, such as Asia/Kolkata. Raises ZoneInfoNotFoundError."""
        zones = {name.upper(): ZoneInfo(zone) for name, zone in by_instrument.items()}
        return cls(zones, ZoneInfo(default))

    def of(self, instrument: str | None) -> ZoneInfo:
        """The zone of an instrument."""
        return self.by_instrument.get(instrument or "", self.default)


def signal_time(written: object, zone: ZoneInfo, now: datetime | None) -> datetime | str:
    """The moment in UTC, or in words why it is none.

    now: the receiver's clock; None where the time was judged before (a logged payload).
    """
    match written:
        case Decimal():
            moment = _from_unix(written)
        case str() if _DIGITS.fullmatch(written):
            moment = _from_unix(Decimal(written))
        case str() if _ISO.fullmatch(written):
            moment = _from_iso(written, zone, trusting=now is None)
        case _:
            return f"is not a time; {_FORMS}"
    if isinstance(moment, str):
        return moment
    if moment < EARLIEST:
        return f"lies before {EARLIEST:%Y}; {_FORMS}"
    if now is not None and moment - now > AHEAD_AT_MOST:
        return _ahead(moment, now)
    return moment


def _from_unix(number: Decimal) -> datetime | str:
    if not 0 <= number < _MILLISECONDS_BELOW:
        return f"is not a Unix time in seconds or milliseconds; {_FORMS}"
    factor = _MILLION if number < _SECONDS_BELOW else _THOUSAND
    return _UNIX + timedelta(microseconds=int(number * factor))


def _from_iso(text: str, zone: ZoneInfo, *, trusting: bool) -> datetime | str:
    try:
        written = datetime.fromisoformat(text.upper())
        if written.tzinfo is not None:
            return written.astimezone(UTC)
        moment = written.replace(tzinfo=zone).astimezone(UTC)
        skipped = moment.astimezone(zone).replace(tzinfo=None) != written
    except (ValueError, OverflowError) as error:
        return f"is not a time ({error}); {_FORMS}"
    if skipped and not trusting:
        return f"does not exist in {zone.key}, whose clocks skip it; write it with its zone"
    return moment


def _ahead(moment: datetime, now: datetime) -> str:
    seconds = int((moment - now).total_seconds())
    most = int(AHEAD_AT_MOST.total_seconds())
    return (
        f"lies {seconds} s ahead of the receiver's clock, more than {most} s; "
        "check both clocks, and write the time with its zone"
    )
