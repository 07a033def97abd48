from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makers import d
from onefill.core.defaults import BANK_NIFTY, COPPER, GOLD_MINI, INSTRUMENTS, SILVER_MINI
from onefill.core.instrument import ExpiryRule
from onefill.core.portfolio.contracts import (
    choose_contract,
    expiry_of,
    future_symbol,
    nearest_strike,
    option_symbol,
)

NSE = frozenset({date(2025, 12, 25), date(2026, 1, 26), date(2026, 3, 31)})


@pytest.mark.req("PF-20")
@pytest.mark.parametrize(
    ("price", "strike"),
    [
        ("52000", 52000),
        ("52249.95", 52000),
        ("52250", 52000),
        ("52250.05", 52500),
        ("52749.95", 52500),
        ("52750", 53000),
        ("59999", 60000),
    ],
)
def test_the_strike_is_the_nearest_500_and_a_tie_goes_to_the_thousand(
    price: str, strike: int
) -> None:
    assert nearest_strike(d(price), BANK_NIFTY) == strike


@pytest.mark.req("PF-20")
@given(st.decimals(min_value=1, max_value=200_000, places=2))
def test_no_strike_is_farther_than_half_a_step(price: Decimal) -> None:
    strike = nearest_strike(price, BANK_NIFTY)
    assert strike % 500 == 0
    assert abs(price - strike) <= 250


@pytest.mark.req("PF-20")
def test_symbols_are_openalgos() -> None:
    symbol = option_symbol("BANKNIFTY", date(2025, 12, 30), 60000, "PE")
    assert symbol == "BANKNIFTY30DEC2560000PE"
    assert future_symbol("GOLDM", date(2026, 1, 5)) == "GOLDM05JAN26FUT"


@pytest.mark.req("PF-23")
@pytest.mark.parametrize(
    ("year", "month", "expiry"),
    [
        (2025, 12, date(2025, 12, 30)),
        (2026, 1, date(2026, 1, 27)),
        (2026, 2, date(2026, 2, 24)),
        (2026, 3, date(2026, 3, 30)),  # the Tuesday is a holiday
    ],
)
def test_bank_nifty_expires_on_the_last_tuesday_or_before_a_holiday(
    year: int, month: int, expiry: date
) -> None:
    assert expiry_of(ExpiryRule.LAST_TUESDAY, year, month, NSE) == expiry


@pytest.mark.req("PF-23")
def test_gold_mini_expires_on_the_fifth_or_the_trading_day_before() -> None:
    good_friday = frozenset({date(2026, 4, 3)})
    assert expiry_of(ExpiryRule.FIFTH, 2026, 1, frozenset()) == date(2026, 1, 5)
    assert expiry_of(ExpiryRule.FIFTH, 2026, 4, frozenset()) == date(2026, 4, 3)
    assert expiry_of(ExpiryRule.FIFTH, 2026, 4, good_friday) == date(2026, 4, 2)


@pytest.mark.req("PF-25")
@pytest.mark.parametrize(
    ("day", "expiry"),
    [
        (date(2025, 12, 22), date(2025, 12, 30)),  # 8 days left
        (date(2025, 12, 23), date(2026, 1, 27)),  # 7 days left: it would roll tomorrow
        (date(2025, 12, 31), date(2026, 1, 27)),
    ],
)
def test_a_new_entry_uses_the_contract_that_will_not_roll_soon(day: date, expiry: date) -> None:
    assert choose_contract(BANK_NIFTY, day, d(52000), NSE).expiry == expiry


@pytest.mark.req("PF-23")
def test_a_lot_of_bank_nifty_is_35_before_the_january_2026_series_and_30_from_it() -> None:
    old = choose_contract(BANK_NIFTY, date(2025, 12, 1), d(52000), NSE)
    new = choose_contract(BANK_NIFTY, date(2025, 12, 24), d(52000), NSE)
    assert (old.expiry, old.units_per_lot, old.point_value) == (date(2025, 12, 30), 35, 35)
    assert (new.expiry, new.units_per_lot, new.point_value) == (date(2026, 1, 27), 30, 30)


@pytest.mark.req("PF-20")
def test_a_future_has_no_strike() -> None:
    assert choose_contract(GOLD_MINI, date(2026, 1, 10), d(78500), frozenset()).strike is None


@pytest.mark.req("PF-1")
def test_the_default_instruments_have_the_amounts_of_the_table() -> None:
    day = date(2026, 6, 1)
    table = {
        name: (each.units_on(day), each.point_value, each.margin_per_lot, each.pyramids_max)
        for name, each in INSTRUMENTS.items()
    }
    assert table == {
        "BANK_NIFTY": (30, 30, 270_000, 5),
        "GOLD_MINI": (100, 10, 105_000, 3),
        "COPPER": (2500, 2500, 300_000, 3),
        "SILVER_MINI": (5, 5, 385_000, 5),
    }
    assert GOLD_MINI.unit_value == d("0.1")
    assert (COPPER.unit_value, SILVER_MINI.unit_value, BANK_NIFTY.unit_value) == (1, 1, 1)
    assert GOLD_MINI.volatility_percent == (d("0.2"), d("0.3"))
    assert [each.stop_k for each in INSTRUMENTS.values()] == [
        (d("1.5"), d("2.5")),
        (1, 2),
        (3, 5),
        (2, 3),
    ]
