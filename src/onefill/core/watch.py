"""What should have been heard by now, and was not. Source: SIG-21.

Three things are missed: a bar's heartbeat, a number in a sender's own count, and a position that
the sender believes in. Each ends by itself once it comes right.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import groupby

from onefill.core.ids import Lane
from onefill.core.instrument import Instrument, Rules
from onefill.core.market_hours import HOURS, is_open, session_on
from onefill.core.money import ZERO

LOOK_BACK = timedelta(days=4)
"""How far back is looked: over a weekend with a holiday."""
_EARLY = timedelta(seconds=5)
"""A bar's signal may come so much before its close: clocks differ."""
_LATE_BY, _AHEAD_BY = 16, 1000
"""A number that is further from the highest begins a new count, rather than showing a hole."""
_NAMED_MAX = 10
_DAY = timedelta(days=1)
_ALWAYS = (datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))


class MissKind(enum.StrEnum):
    """What is missed."""

    BAR = "bar"
    SEQUENCE = "sequence"
    POSITION = "position"


class Stand(enum.StrEnum):
    """Which way a position is, as TradingView says it."""

    LONG = "long"
    SHORT = "short"
    FLAT = "flat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """Something that is missed. subject: the instrument, or the lane. since: by the database's
    clock, or the close of the first bar."""

    kind: MissKind
    subject: str
    since: datetime
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a signal tells beside its request. heard_at: by the database's clock.

    sequence: its number in its sender's count. stand: what the sender believes to hold after it.
    became: the signal's status and reason, in words.
    """

    lane: Lane
    instrument: str
    heard_at: datetime
    strategy: str = ""
    sequence: int | None = None
    stand: Stand | None = None
    became: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """All that was heard, by the database's clock.

    last: the newest signal of each instrument. began: since when anybody watches. said: what
    signals told beside their requests, in the order of arrival. held: lanes that hold something;
    busy: lanes in which an order is under way.
    """

    now: datetime
    began: datetime
    last: Mapping[str, datetime] = field(default_factory=dict)
    said: Sequence[Said] = ()
    held: Mapping[Lane, Stand] = field(default_factory=dict)
    busy: Set[Lane] = frozenset()


def watched(rules: Rules) -> Mapping[str, timedelta]:
    """The instruments of which signals are expected, and the length of their bars."""
    return {
        name: timedelta(minutes=float(each.bar_minutes))
        for name, each in rules.instruments.items()
        if each.bar_minutes > 0
    }


def misses(heard: Heard, rules: Rules, grace: timedelta) -> tuple[Miss, ...]:
    """Everything that is missed now. grace: how late a signal may be, at the most half a bar."""
    found: list[Miss] = []
    for name, bar in watched(rules).items():
        instrument, patience = rules.instruments[name], min(grace, bar / 2)
        said = [each for each in heard.said if each.instrument == name]
        found += _silence(instrument, bar, heard, patience, rules)
        found += _holes(said, heard.now - patience)
        if _trades(instrument, heard.now, rules):
            found += _beliefs(said, heard, heard.now - patience)
    return tuple(found)


def told(
    values: Mapping[str, object], lane: Lane, instrument: str, heard_at: datetime, became: str
) -> Said:
    """What a payload tells the watch. What can't be read tells nothing: it is no trade."""
    sequence, size = _number(values.get("sequence")), _number(values.get("position_size"))
    return Said(
        lane=lane,
        instrument=instrument,
        heard_at=heard_at,
        strategy=str(values.get("strategy") or ""),
        sequence=int(sequence) if sequence is not None and sequence % 1 == 0 else None,
        stand=_stand(str(values.get("market_position") or "").strip().lower(), size),
        became=became,
    )


def closes_between(
    instrument: Instrument, bar: timedelta, since: datetime, until: datetime, rules: Rules
) -> tuple[int, datetime | None]:
    """How many bars closed after `since`, up to and at `until`, and the first of their closes.

    A session's bars begin at its opening, and its last one is cut at its end; where there are no
    sessions, a bar begins at each multiple of its length.
    """
    count, first = 0, None
    if until <= since:
        return count, first
    for opens, ends in _sessions(instrument, since, until, rules):
        before = _closed_by(since, opens, ends, bar)
        more = _closed_by(until, opens, ends, bar) - before
        count += more
        if more and first is None:
            first = min(opens + (before + 1) * bar, ends)
    return count, first


# A bar's heartbeat -----------------------------------------------------------------------------


def _silence(
    instrument: Instrument, bar: timedelta, heard: Heard, grace: timedelta, rules: Rules
) -> Iterator[Miss]:
    last = heard.last.get(instrument.name)
    since = max(heard.now - LOOK_BACK, heard.began if last is None else last + _EARLY)
    count, first = closes_between(instrument, bar, since, heard.now - grace, rules)
    if first is None:
        return
    when = f"since {last:%Y-%m-%d %H:%M:%S} UTC" if last else "at all so far"
    bars = "1 bar has" if count == 1 else f"{count} bars have"
    yield Miss(
        kind=MissKind.BAR,
        subject=instrument.name,
        since=first,
        says=f"{bars} closed and nothing was heard of {instrument.name} {when}: look whether its "
        "alert still runs at the sender, and whether its webhooks arrive",
    )


def _sessions(
    instrument: Instrument, since: datetime, until: datetime, rules: Rules
) -> Iterator[tuple[datetime, datetime]]:
    hours = HOURS.get(instrument.exchange) if rules.switches.market_hours else None
    if hours is None:
        yield _ALWAYS
        return
    holidays = rules.holidays.get(instrument.exchange, frozenset())
    day, last = since.astimezone(hours.zone).date(), until.astimezone(hours.zone).date()
    for each in _days(day, last):
        if (session := session_on(hours, each, holidays)) is not None:
            yield session


def _days(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += _DAY


def _closed_by(moment: datetime, opens: datetime, ends: datetime, bar: timedelta) -> int:
    """How many bars of a session have closed by that moment."""
    if moment >= ends:
        return -((opens - ends) // bar)
    return max(0, (moment - opens) // bar)


# A sender's own count --------------------------------------------------------------------------


def _holes(said: Sequence[Said], before: datetime) -> Iterator[Miss]:
    """A number may be late: what is younger than that moment shows no hole yet."""
    numbered = [each for each in said if each.sequence is not None]
    for subject, mine in _by(numbered, _count_of):
        lacking, since = _lacking(mine, before)
        if since is None:
            continue
        numbers = ", ".join(str(number) for number in lacking[:_NAMED_MAX])
        more = f" and {len(lacking) - _NAMED_MAX} more" if len(lacking) > _NAMED_MAX else ""
        yield Miss(
            kind=MissKind.SEQUENCE,
            subject=subject,
            since=since,
            says=f"{subject}: the sender's signals {numbers}{more} never came: look there for what "
            "they asked",
        )


def _count_of(said: Said) -> str:
    return f"{said.lane}/{said.strategy}" if said.strategy else said.lane


def _lacking(mine: Iterable[Said], before: datetime) -> tuple[list[int], datetime | None]:
    """The numbers that lack, and when the first of them was passed over."""
    holes: dict[int, datetime] = {}
    highest: int | None = None
    for each in mine:
        number = each.sequence
        assert number is not None
        holes.pop(number, None)
        if highest is None or not -_LATE_BY <= number - highest <= _AHEAD_BY:
            highest = number
        elif number > highest:
            holes |= dict.fromkeys(range(highest + 1, number), each.heard_at)
            highest = number
    passed = {number: at for number, at in holes.items() if at <= before}
    return sorted(passed), min(passed.values(), default=None)


# A position that the sender believes in --------------------------------------------------------


def _beliefs(said: Sequence[Said], heard: Heard, before: datetime) -> Iterator[Miss]:
    """Only a belief that had time to become true: nothing of its lane may be under way."""
    for _, mine in _by([each for each in said if each.stand], lambda each: each.lane):
        newest = mine[-1]
        lane = newest.lane
        held = heard.held.get(lane, Stand.FLAT)
        if newest.stand in (None, held) or newest.heard_at > before or lane in heard.busy:
            continue
        yield Miss(
            kind=MissKind.POSITION,
            subject=str(lane),
            since=newest.heard_at,
            says=f"{lane}: the sender is {newest.stand}, and we are {held} (its last signal with a "
            f"position, at {newest.heard_at:%Y-%m-%d %H:%M:%S} UTC, ended {newest.became})",
        )


def _by(said: Iterable[Said], key: Callable[[Said], str]) -> Iterator[tuple[str, list[Said]]]:
    for name, mine in groupby(sorted(said, key=key), key=key):
        yield name, list(mine)


def _stand(word: str, size: Decimal | None) -> Stand | None:
    if word not in tuple(Stand):
        return None
    return Stand.FLAT if size == ZERO else Stand(word)


def _number(value: object) -> Decimal | None:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _trades(instrument: Instrument, moment: datetime, rules: Rules) -> bool:
    if not rules.switches.market_hours:
        return True
    holidays = rules.holidays.get(instrument.exchange, frozenset())
    return is_open(instrument.exchange, moment, holidays)
