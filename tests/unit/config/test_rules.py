"""Settings become the rules that decisions know."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from onefill.config.holidays import Holidays
from onefill.config.load import load
from onefill.config.rules import rules_of
from onefill.config.settings import HolidaySettings, SessionSettings
from onefill.core.defaults import INSTRUMENTS
from onefill.core.instrument import Rules
from onefill.core.market_hours import HOURS, closes_after, is_open, next_open, session_on

PLATINUM = """
[instruments.PLATINUM]
exchange = "MCX"
broker = "openalgo"
symbol_root = "PLAT"
structure = "future"
expiry_rule = "fifth"
point_value = 7.5
margin_per_lot = 1000
units_per_lot = [{units = 5}, {since = 2026-01-01, units = 6}]
"""


def rules(text: str, folder: Path) -> Rules:
    """The rules of this file."""
    file = folder / "onefill.toml"
    file.write_text(text, encoding="utf-8")
    return rules_of(load(file, environ={}).settings)


def test_the_default_rules_are_those_of_the_program(tmp_path: Path) -> None:
    got = rules("", tmp_path)
    assert got.instruments == INSTRUMENTS
    assert (got.caps.risk_percent, got.max_age_s) == (Decimal(15), Decimal(60))
    assert (got.direct_broker, got.direct_account) == ("binance", "paper")


def test_a_block_changes_only_what_it_names(tmp_path: Path) -> None:
    text = "[instruments.BANK_NIFTY]\nmargin_per_lot = 250000.5\nunits_per_lot = 25"
    got = rules(text, tmp_path).instruments["BANK_NIFTY"]
    assert (got.margin_per_lot, got.units_on(date(2026, 5, 1))) == (Decimal("250000.5"), 25)
    assert got.pyramids_max == INSTRUMENTS["BANK_NIFTY"].pyramids_max


def test_a_new_instrument_is_a_block_and_no_code(tmp_path: Path) -> None:
    got = rules(PLATINUM, tmp_path).instruments["PLATINUM"]
    assert got.point_value == Decimal("7.5")
    assert (got.units_on(date(2025, 12, 1)), got.units_on(date(2026, 1, 1))) == (5, 6)


@pytest.mark.req("PF-23")
@pytest.mark.parametrize("exchange", ["NSE", "NFO", "MCX"])
def test_republic_day_is_a_holiday_everywhere(exchange: str) -> None:
    days = Holidays({})[exchange]
    assert date(2026, 1, 26) in days
    assert date(2026, 1, 27) not in days


@pytest.mark.req("SIG-18", "PF-23")
@pytest.mark.parametrize(
    ("day", "opens"),
    [
        ("2026-05-01", "17:00"),  # Maharashtra Day: the morning is off
        ("2026-04-03", None),  # Good Friday
        ("2025-08-15", None),
        ("2025-10-02", None),  # Gandhi Jayanti, whatever else it is
        ("2026-05-04", "09:00"),
    ],
)
def test_on_most_holidays_the_evening_session_of_mcx_trades(day: str, opens: str | None) -> None:
    moment, days = date.fromisoformat(day), Holidays({})["MCX"]
    session = session_on(HOURS["MCX"], moment, days)
    assert (None if session is None else f"{session[0]:%H:%M}") == opens
    assert session_on(HOURS["NFO"], moment, Holidays({})["NFO"]) is None or opens == "09:00"
    assert (moment in days) is (opens != "09:00")  # nothing expires on it


@pytest.mark.req("SIG-18")
@pytest.mark.parametrize(
    ("day", "closes"),
    [
        ("2024-11-01", "23:30"),  # New York keeps its summer time until the first Sunday
        ("2026-11-02", "23:55"),
        ("2026-03-06", "23:55"),
        ("2026-03-09", "23:30"),  # and takes it up with the second one of March
        ("2026-11-10", "23:55"),  # Diwali: in the evening only, and as long as on other days
    ],
)
def test_mcx_closes_later_while_new_york_has_winter_time(day: str, closes: str) -> None:
    session = session_on(HOURS["MCX"], date.fromisoformat(day), Holidays({})["MCX"])
    assert session is not None
    assert f"{session[1]:%H:%M}" == closes


@pytest.mark.req("SIG-18", "PF-23")
def test_settings_give_an_evening_and_take_it() -> None:
    gets, loses = date(2026, 1, 27), date(2026, 5, 1)
    correction = HolidaySettings(evening=frozenset({gets}), add=frozenset({loses}))
    days = Holidays({"MCX": correction})["MCX"]
    assert session_on(HOURS["MCX"], loses, days) is None
    evening = session_on(HOURS["MCX"], gets, days)
    assert evening is not None
    assert not is_open("MCX", evening[0] - timedelta(seconds=1), days)
    assert is_open("MCX", evening[0], days)
    assert next_open("MCX", evening[0] - timedelta(hours=6), days) == evening[0]


@pytest.mark.req("SIG-18", "PF-23")
def test_settings_open_a_weekend_and_give_a_day_hours_of_its_own() -> None:
    """NSE traded on Sunday, 2026-02-01 (the budget), and trades an hour on Diwali, a Sunday too."""
    budget, diwali = date(2026, 2, 1), date(2026, 11, 8)
    hour = SessionSettings(day=diwali, opens=time(18), closes=time(19))
    correction = HolidaySettings(remove=frozenset({budget}), sessions=(hour,))
    days = Holidays({"NSE": correction})["NFO"]
    assert session_on(HOURS["NFO"], budget, Holidays({})["NFO"]) is None
    whole = session_on(HOURS["NFO"], budget, days)
    assert whole is not None
    assert (f"{whole[0]:%H:%M}", f"{whole[1]:%H:%M}") == ("09:15", "15:30")
    opens = datetime(2026, 11, 8, 18, tzinfo=ZoneInfo("Asia/Kolkata"))
    closes = opens + timedelta(hours=1)
    assert next_open("NFO", opens - timedelta(hours=9), days) == opens
    assert is_open("NFO", opens, days)
    assert closes_after("NFO", opens, days) == closes
    assert not is_open("NFO", closes, days)
    assert not is_open("NFO", opens + timedelta(days=6), days)


@pytest.mark.req("SIG-18", "IF-8")
def test_a_session_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValidationError, match="has to close after it opens"):
        SessionSettings(day=date(2026, 11, 8), opens=time(19), closes=time(18))


@pytest.mark.req("PF-23")
def test_settings_correct_the_calendar_of_one_exchange() -> None:
    correction = HolidaySettings(
        add=frozenset({date(2026, 1, 27)}), remove=frozenset({date(2026, 1, 26)})
    )
    holidays = Holidays({"NSE": correction})
    for corrected in ("NSE", "NFO"):
        assert date(2026, 1, 27) in holidays[corrected]
        assert date(2026, 1, 26) not in holidays[corrected]
    assert date(2026, 1, 26) in holidays["MCX"]
