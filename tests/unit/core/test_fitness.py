"""When a person must hear that a broker's login is not in order."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest

from onefill.core.control.fitness import session_end, worry

NSE = [("NSE", frozenset[date]())]
THREE_AT_NIGHT = time(3)


def india(hour: int, minute: int = 0, day: int = 1) -> datetime:
    """A time of that day in India (the first is a Monday), as UTC."""
    minutes = hour * 60 + minute - 330
    start = datetime(2025, 12, day, tzinfo=UTC)
    return start.fromtimestamp(start.timestamp() + minutes * 60, tz=UTC)


@pytest.mark.req("ORD-16")
@pytest.mark.parametrize(
    ("now", "told"),
    [
        (india(8, 44), False),
        (india(8, 45), True),
        (india(12), True),
        (india(15, 30), False),
        (india(8, 45, day=6), False),
    ],
)
def test_a_missing_session_alarms_from_half_an_hour_before_the_open_until_the_close(
    now: datetime, told: bool
) -> None:
    assert (worry("no session", THREE_AT_NIGHT, NSE, now) is not None) is told
    assert worry(None, THREE_AT_NIGHT, NSE, now) is None


@pytest.mark.req("ORD-16")
def test_a_session_that_ends_before_the_close_alarms_before_the_open() -> None:
    assert worry(None, time(12), NSE, india(8, 45)) is not None
    assert worry(None, time(12), NSE, india(8, 44)) is None
    assert worry(None, time(12), NSE, india(12, 1)) is None
    assert worry(None, None, NSE, india(8, 45)) is None
    holiday = [("NSE", frozenset({date(2025, 12, 1)}))]
    assert worry("no session", None, holiday, india(9)) is None


@pytest.mark.req("ORD-16")
def test_where_trading_never_ends_a_refusal_alarms_at_once() -> None:
    assert worry("-2015", None, [("", frozenset()), *NSE], india(2, day=6)) == "-2015"


@pytest.mark.req("ORD-16")
def test_a_session_ends_at_its_time_of_day_in_india() -> None:
    assert session_end(THREE_AT_NIGHT, india(2, 59)) == india(3)
    assert session_end(THREE_AT_NIGHT, india(3)) == india(3, day=2)
