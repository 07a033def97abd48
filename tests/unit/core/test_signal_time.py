"""When a signal happened: 5.5 hours off once moved real money."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onefill.core.intake.parse import Invalid, Valid, parse, read
from onefill.core.intake.signal_time import Zones

ZONES = Zones.named(
    {"BANK_NIFTY": "Asia/Kolkata", "GOLD_MINI": "Asia/Kolkata", "ES": "America/New_York"}
)


def at(written: object, *, instrument: str = "SIM001", now: str = "2026-06-01T00:00Z") -> object:
    """The moment that parse reads, or the words in which it refuses."""
    body = {"action": "close", "ticker": instrument, "timestamp": written}
    moment = datetime.fromisoformat(now)
    result = parse(json.dumps(body).encode(), now=moment, zones=ZONES)
    if isinstance(result, Invalid):
        (problem,) = result.problems
        assert problem.field == "timestamp"
        return problem.problem
    assert isinstance(result, Valid)
    assert read(result.payload, zones=ZONES) == result.signal
    return result.signal.time


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.req("SIG-5")
@pytest.mark.parametrize(
    "written",
    [
        "2026-01-15T09:15:00Z",
        "2026-01-15t09:15:00z",
        " 2026-01-15T09:15:00Z ",
        "2026-01-15 09:15:00+00:00",
        "2026-01-15T09:15:00.000Z",
        "2026-01-15T14:45:00+05:30",
        "2026-01-15T14:45+0530",
        "20260115T091500Z",
        "2026-01-15T04:15:00-05",
        1768468500,
        1768468500000,
        1768468500.0,
        "1768468500",
        "1768468500000",
    ],
)
def test_all_forms_of_one_moment_are_that_moment(written: object) -> None:
    assert at(written) == utc("2026-01-15T09:15:00")


@pytest.mark.req("SIG-5")
def test_milliseconds_and_fractions_are_kept() -> None:
    assert at(1768468500123) == utc("2026-01-15T09:15:00.123")
    assert at("2026-01-15T09:15:00.123456Z") == utc("2026-01-15T09:15:00.123456")


@pytest.mark.req("SIG-5")
@pytest.mark.parametrize("instrument", ["BANK_NIFTY", "GOLD_MINI", "bank_nifty"])
def test_a_time_without_a_zone_is_the_instruments_local_time(instrument: str) -> None:
    assert at("2026-01-15T14:45:00", instrument=instrument) == utc("2026-01-15T09:15:00")


@pytest.mark.req("SIG-5")
def test_an_instrument_without_a_zone_of_its_own_has_the_default() -> None:
    assert at("2026-01-15T09:15:00") == utc("2026-01-15T09:15:00")


@pytest.mark.req("SIG-5")
def test_local_time_follows_daylight_saving() -> None:
    assert at("2026-01-15T09:30:00", instrument="ES") == utc("2026-01-15T14:30:00")
    assert at("2026-05-15T09:30:00", instrument="ES") == utc("2026-05-15T13:30:00")


@pytest.mark.req("SIG-5")
def test_a_local_time_that_the_clocks_skip_is_refused() -> None:
    assert "does not exist in America/New_York" in str(at("2026-03-08T02:30:00", instrument="ES"))
    assert at("2026-03-08T03:00:00", instrument="ES") == utc("2026-03-08T07:00:00")


@pytest.mark.req("SIG-5")
def test_a_local_time_shown_twice_is_the_earlier_so_that_no_exit_lies_ahead() -> None:
    now = "2025-11-02T05:30:30Z"
    assert at("2025-11-02T01:30:00", instrument="ES", now=now) == utc("2025-11-02T05:30:00")


@pytest.mark.req("SIG-5", "SIG-13")
def test_sixty_seconds_ahead_are_taken_and_no_more() -> None:
    now = "2026-01-15T09:15:00Z"
    assert at("2026-01-15T09:16:00Z", now=now) == utc("2026-01-15T09:16:00")
    assert "lies 61 s ahead" in str(at("2026-01-15T09:16:01Z", now=now))


@pytest.mark.req("SIG-5")
def test_a_time_that_lay_ahead_is_trusted_once_it_is_logged() -> None:
    payload = '{"action":"close","ticker":"A","timestamp":"2099-01-01T00:00:00Z"}'
    assert read(payload, zones=ZONES).time == utc("2099-01-01T00:00:00")


@pytest.mark.req("SIG-5")
@pytest.mark.parametrize(
    "written",
    [
        *("", "now", "2026-01-15", "09:15", "2026-13-01T00:00:00Z", "2026-01-15T25:00:00Z"),
        *("2026-01-15T09:15:60Z", "2026-02-30T00:00:00Z", "2026-01-15T09:15:00 IST"),
        *("2026-01-15x09:15:00Z", "2026-W03-4T09:15:00Z", "15/01/2026 09:15", "20260115"),
        *("0001-01-01T00:00:00+05:30", "9999-12-31T23:59:59-05:30", "٢٠٢٦-01-15T09:15:00Z"),
        *(0, -1, 17, 1768468500000000, 1e300, True, [], {}),
    ],
)
def test_what_is_no_time_is_refused_with_the_forms_that_are(written: object) -> None:
    words = str(at(written))
    assert "ISO-8601" in words or "ahead" in words


@pytest.mark.req("SIG-5")
@given(st.datetimes(datetime(1990, 1, 1), datetime(2026, 5, 1)))
def test_every_local_time_that_exists_reads_back_as_itself(local: datetime) -> None:
    moment = at(local.isoformat(), instrument="ES")
    if isinstance(moment, datetime):
        zone = ZONES.of("ES")
        assert moment.astimezone(zone).replace(tzinfo=None) == local
    else:
        assert "skip" in str(moment)
        assert local.month in (3, 4)


@pytest.mark.req("SIG-5")
@given(st.datetimes(datetime(1990, 1, 1), datetime(2026, 5, 1), timezones=st.just(UTC)))
def test_seconds_and_milliseconds_are_told_apart(moment: datetime) -> None:
    whole = moment.replace(microsecond=0)
    assert at(int(whole.timestamp())) == whole
    assert at(int(whole.timestamp()) * 1000 + 250) == whole + timedelta(milliseconds=250)
