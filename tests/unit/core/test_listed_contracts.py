"""Contracts as the broker lists them; the rules where it lists none (PF-23, PF-25)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makers import ACCOUNT, RULES, d, logged, portfolio_signal, situation
from onefill.brokers.accounts import OpenAlgoAccount, QuantityUnit
from onefill.brokers.openalgo.listing import ends_in, lot_in
from onefill.brokers.openalgo.units import UnitConverter
from onefill.core.book import TimeBasis
from onefill.core.decide import decide
from onefill.core.defaults import BANK_NIFTY, GOLD_MINI
from onefill.core.instrument import Series
from onefill.core.portfolio.contracts import choose_contract, unlike_the_rules
from onefill.core.signal import SignalKind

NOBODY = frozenset[date]()
DAY = date(2025, 12, 1)
MOVED = Series(date(2025, 12, 29), 35)
"""A day earlier than the rules say, as when a holiday is declared late."""
days = st.dates(date(2025, 11, 1), date(2027, 12, 31))
lists = st.lists(st.builds(Series, days, st.none() | st.integers(1, 5_000)), max_size=12)


@pytest.mark.req("PF-23")
def test_a_listed_expiry_wins_over_the_rule_and_brings_its_lot() -> None:
    chosen = choose_contract(BANK_NIFTY, DAY, d(60_000), NOBODY, [Series(date(2026, 1, 27)), MOVED])
    assert (chosen.expiry, chosen.units_per_lot) == (date(2025, 12, 29), 35)
    smaller = choose_contract(BANK_NIFTY, DAY, d(60_000), NOBODY, [replace(MOVED, units=20)])
    assert smaller.units_per_lot == 20
    assert smaller.point_value == 20  # a rupee for each point and unit, whatever a lot holds


@pytest.mark.req("PF-23", "PF-25")
def test_of_weekly_contracts_the_months_last_one_is_taken_and_none_that_rolls_soon() -> None:
    weekly = [Series(date(2025, 12, 2) + timedelta(weeks=n), 30) for n in range(9)]
    chosen = choose_contract(BANK_NIFTY, DAY, d(60_000), NOBODY, weekly)
    assert chosen.expiry == date(2025, 12, 30)
    late = choose_contract(BANK_NIFTY, date(2025, 12, 23), d(60_000), NOBODY, weekly)
    assert late.expiry == date(2026, 1, 27)


@pytest.mark.req("PF-23")
def test_the_rules_say_where_nothing_is_listed_that_lasts() -> None:
    for listed in ([], [Series(date(2025, 12, 5), 30)], [Series(date(2025, 11, 25), 30)]):
        chosen = choose_contract(BANK_NIFTY, DAY, d(60_000), NOBODY, listed)
        assert (chosen.expiry, chosen.units_per_lot) == (date(2025, 12, 30), 35)


@pytest.mark.req("PF-23")
@pytest.mark.parametrize(("listed", "used"), [(1, 100), (None, 100), (50, 50), (1_000, 100)])
def test_a_lot_in_other_units_is_not_believed_and_told(listed: int | None, used: int) -> None:
    series = [Series(date(2026, 1, 5), listed)]
    assert choose_contract(GOLD_MINI, DAY, d(78_000), NOBODY, series).units_per_lot == used
    told = unlike_the_rules(series, GOLD_MINI, NOBODY)
    assert len(told) == (listed is not None)
    assert all(says.endswith("not believed") is (used == 100) for says in told)


@pytest.mark.req("PF-23")
def test_a_month_that_ends_on_another_day_is_told() -> None:
    assert unlike_the_rules([Series(date(2025, 12, 30), 35)], BANK_NIFTY, NOBODY) == []
    (told,) = unlike_the_rules([MOVED], BANK_NIFTY, NOBODY)
    assert told == "BANK_NIFTY: listed to end on 2025-12-29, by rule on 2025-12-30"


@pytest.mark.req("PF-23", "PF-25")
@given(listed=lists, day=days)
def test_whatever_is_listed_a_contract_lasts_and_its_lot_is_of_the_configured_kind(
    listed: list[Series], day: date
) -> None:
    chosen = choose_contract(GOLD_MINI, day, d(78_000), NOBODY, listed)
    assert chosen.expiry - day > timedelta(days=GOLD_MINI.rollover_days)
    assert 25 <= chosen.units_per_lot <= 400
    assert chosen.point_value == chosen.units_per_lot / d(10)


@pytest.mark.req("PF-23", "SIG-20")
def test_an_entry_buys_what_is_listed_and_a_replay_what_the_rules_say_of_its_day() -> None:
    entry = logged(portfolio_signal(SignalKind.BASE_ENTRY))
    (position,) = decide(entry, situation(listed=(MOVED,)), RULES).positions
    assert position.expiry == date(2025, 12, 29)
    assert position.legs[0].symbol == "BANKNIFTY29DEC2552000CE"
    replayed = replace(ACCOUNT, time_basis=TimeBasis.SIGNAL)
    (position,) = decide(entry, situation(listed=(MOVED,), account=replayed), RULES).positions
    assert position.expiry == date(2025, 12, 30)


@pytest.mark.req("PF-23", "Q-5")
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=12), st.lists))
def test_whatever_a_server_answers_is_read_or_left_out(data: object) -> None:
    found = ends_in(data)
    assert (found is None) is not isinstance(data, list)
    units = UnitConverter(OpenAlgoAccount(base_url="http://here"))
    assert lot_in({"lotsize": data}, "BANKNIFTY30DEC25FUT", "NFO", units) != 0


@pytest.mark.req("PF-23")
def test_both_ways_of_writing_a_day_are_read_and_odd_ones_left_out() -> None:
    written = ["30-DEC-25", "27-jan-2026", "31-FEB-26", "30-12-25", "", None, 7]
    assert ends_in(written) == [date(2025, 12, 30), date(2026, 1, 27)]


@pytest.mark.req("PF-23", "ORD-12")
def test_a_lot_that_is_listed_in_contracts_is_told_in_units() -> None:
    account = OpenAlgoAccount(
        base_url="http://here",
        mcx_quantity=QuantityUnit.CONTRACTS,
        units_per_contract={"GOLDM": d(100)},
    )
    lot = lot_in({"lotsize": 1}, "GOLDM05JAN26FUT", "MCX", UnitConverter(account))
    assert lot == 100
