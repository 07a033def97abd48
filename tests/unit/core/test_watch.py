"""What should have been heard: bars in market hours, a sender's count, a sender's position."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onefill.core.defaults import INSTRUMENTS
from onefill.core.ids import lane_of
from onefill.core.instrument import Rules, Switches
from onefill.core.watch import Heard, Miss, Said, Stand, misses, told

INDIA = ZoneInfo("Asia/Kolkata")
LANE = lane_of("main", "BANK_NIFTY")
MONDAY = date(2025, 12, 1)
GRACE = timedelta(seconds=60)


def rules(minutes: int = 75, *, hours: bool = True) -> Rules:
    bank_nifty = replace(INSTRUMENTS["BANK_NIFTY"], bar_minutes=Decimal(minutes))
    return Rules(
        deployment="tst",
        instruments={**INSTRUMENTS, "BANK_NIFTY": bank_nifty},
        switches=Switches(market_hours=hours),
        holidays={bank_nifty.exchange: frozenset({date(2025, 12, 2)})},
    )


def at(text: str, day: date = MONDAY) -> datetime:
    hour, minute, *seconds = map(int, text.split(":"))
    local = datetime(day.year, day.month, day.day, hour, minute, *seconds, tzinfo=INDIA)
    return local.astimezone(UTC)


def missed(now: datetime, last: datetime | None = None, **more: Any) -> list[Miss]:
    heard = {"BANK_NIFTY": last} if last else {}
    given_ = Heard(now=now, began=at("09:15"), last=heard, **more)
    return list(misses(given_, rules(), GRACE))


@pytest.mark.req("SIG-21")
@pytest.mark.parametrize(
    ("last", "now", "bars"),
    [
        ("09:10", "10:30:59", 0),  # its first bar closed a minute ago at the most
        ("09:10", "10:31", 1),
        ("10:30", "11:45:59", 0),
        ("10:29:56", "10:31", 0),  # clocks differ
        ("10:29", "10:31", 1),  # in the middle of a bar is no heartbeat of its close
        ("10:30", "15:31", 4),  # the session's end closes the last bar
        ("15:30", "15:40", 0),
    ],
)
def test_a_bar_that_closed_without_a_word_is_missed(last: str, now: str, bars: int) -> None:
    found = missed(at(now), at(last))
    assert [miss.kind for miss in found] == ["bar"] * bool(bars)
    assert all(miss.says.startswith(f"{bars} bar") for miss in found)


@pytest.mark.req("SIG-21", "SIG-18")
def test_nights_holidays_and_weekends_have_no_bars() -> None:
    tuesday_is_a_holiday, wednesday = date(2025, 12, 2), date(2025, 12, 3)
    assert not missed(at("22:00"), at("15:30"))
    assert not missed(at("12:00", tuesday_is_a_holiday), at("15:30"))
    assert not missed(at("10:30:59", wednesday), at("15:30"))
    (miss,) = missed(at("10:31", wednesday), at("15:30"))
    assert miss.since == at("10:30", wednesday)


@pytest.mark.req("SIG-21")
def test_a_missed_bar_stays_missed_over_night() -> None:
    (miss,) = missed(at("08:00", date(2025, 12, 3)), at("14:15"))
    assert miss.since == at("15:30")


@pytest.mark.req("SIG-21")
def test_before_anything_was_heard_the_watch_begins_with_itself() -> None:
    assert not missed(at("10:30:59"))
    (miss,) = missed(at("10:31"))
    assert "at all so far" in miss.says


@pytest.mark.req("SIG-21")
def test_without_a_bar_length_nothing_is_expected() -> None:
    heard = Heard(now=at("15:00"), began=at("09:15"), said=[said(1), said(3)])
    assert not misses(heard, Rules(deployment="tst", instruments=INSTRUMENTS), GRACE)


@pytest.mark.req("SIG-21")
@given(st.integers(1, 90), st.integers(0, 6 * 24 * 60), st.integers(0, 6 * 24 * 60), st.booleans())
def test_alerts_come_within_one_bar_and_never_before_its_close(
    bar: int, last: int, later: int, hours: bool
) -> None:
    heard_at = at("09:15") + timedelta(minutes=last)
    now = heard_at + timedelta(minutes=later)
    heard = Heard(now=now, began=at("09:15"), last={"BANK_NIFTY": heard_at})
    found = misses(heard, rules(bar, hours=hours), GRACE)
    for miss in found:
        assert heard_at < miss.since < now
    if not hours:
        late = now - heard_at
        assert bool(found) or late < 2 * timedelta(minutes=bar) + timedelta(seconds=5)


def said(number: int | None = None, **over: Any) -> Said:
    fields: dict[str, Any] = {
        "lane": LANE,
        "instrument": "BANK_NIFTY",
        "heard_at": at("10:00"),
        "sequence": number,
        "became": "executed",
    }
    return Said(**(fields | over))


def of_count(*numbers: int, now: str = "10:05") -> list[str]:
    words = [said(number) for number in numbers]
    found = missed(at(now), at("10:00"), said=words)
    return [miss.says for miss in found if miss.kind == "sequence"]


@pytest.mark.req("SIG-21")
@pytest.mark.parametrize(
    ("numbers", "lacking"),
    [
        ((1, 2, 3), None),
        ((7, 8, 8, 9), None),
        ((1, 2, 5), "3, 4"),
        ((1, 3, 2), None),  # late, and there
        ((100, 101, 1, 2, 3), None),  # counted anew
        ((1, 5_000), None),  # no count at all
        ((1, 30), "2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 18 more"),
    ],
)
def test_a_hole_in_a_senders_count_is_missed_until_it_is_filled(
    numbers: tuple[int, ...], lacking: str | None
) -> None:
    found = of_count(*numbers)
    assert len(found) == (lacking is not None)
    assert all(f"signals {lacking} never came" in says for says in found)


@pytest.mark.req("SIG-21")
def test_a_number_may_be_late_and_each_strategy_has_a_count_of_its_own() -> None:
    assert not of_count(1, 3, now="10:00:59")
    words = [said(1), said(3, strategy="b"), said(2), said(4, strategy="b")]
    assert not missed(at("10:05"), at("10:00"), said=words)


def beliefs(*words: Said, now: datetime | None = None, **more: Any) -> list[str]:
    found = missed(now or at("10:05"), at("10:00"), said=words, **more)
    return [miss.says for miss in found if miss.kind == "position"]


@pytest.mark.req("SIG-21")
def test_a_position_that_only_one_side_believes_in_is_missed() -> None:
    long, flat = said(stand=Stand.LONG, became="blocked: one_r"), said(stand=Stand.FLAT)
    (says,) = beliefs(long)
    assert "the sender is long, and we are flat" in says
    assert "blocked: one_r" in says
    assert not beliefs(long, held={LANE: Stand.LONG})
    (says,) = beliefs(flat, held={LANE: Stand.LONG})
    assert "the sender is flat, and we are long" in says
    assert beliefs(said(stand=Stand.SHORT), held={LANE: Stand.LONG})
    assert not beliefs(flat)


@pytest.mark.req("SIG-21")
def test_a_belief_counts_once_it_had_time_to_become_true_and_while_the_market_is_open() -> None:
    long = said(stand=Stand.LONG)
    assert not beliefs(long, now=at("10:00:59"))
    assert not beliefs(long, busy={LANE})
    assert not beliefs(said(stand=Stand.LONG), said(stand=Stand.FLAT))
    night = said(stand=Stand.FLAT, heard_at=at("15:45"))
    assert not beliefs(night, now=at("16:00"), held={LANE: Stand.LONG})


@pytest.mark.req("SIG-21")
@pytest.mark.parametrize(
    ("values", "sequence", "stand"),
    [
        ({"sequence": 7, "market_position": "long", "position_size": "2"}, 7, Stand.LONG),
        ({"sequence": "7", "market_position": "Short"}, 7, Stand.SHORT),
        ({"market_position": "long", "position_size": 0}, None, Stand.FLAT),
        ({"sequence": "seven", "market_position": "sideways"}, None, None),
        ({"sequence": 1.5, "market_position": None, "position_size": []}, None, None),
        ({"sequence": "NaN"}, None, None),
        ({}, None, None),
    ],
)
def test_what_a_payload_tells_is_read_and_nonsense_tells_nothing(
    values: dict[str, object], sequence: int | None, stand: Stand | None
) -> None:
    word = told(values, LANE, "BANK_NIFTY", at("10:00"), "executed")
    assert (word.sequence, word.stand) == (sequence, stand)
