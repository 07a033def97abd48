"""Black-76 and put-call parity."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onefill.venue.pricing import OptionTerms, option_price

TICK = Decimal("0.05")
EXPIRY = date(2026, 1, 27)
BEFORE = datetime(2026, 1, 5, 4, 0, tzinfo=UTC)

forwards = st.integers(800_000, 1_600_000).map(lambda ticks: ticks * TICK)
strikes = st.integers(400, 800).map(lambda hundreds: Decimal(hundreds * 100))
volatilities = st.decimals("0.01", "1.5", places=2)
moments = st.datetimes(datetime(2025, 1, 1), datetime(2026, 3, 1), timezones=st.just(UTC))


def priced(
    strike: Decimal, is_call: bool, forward: Decimal, now: datetime, volatility: Decimal
) -> Decimal:
    terms = OptionTerms(strike=strike, expiry=EXPIRY, is_call=is_call)
    return option_price(terms, forward, now, volatility, TICK)


@pytest.mark.req("ORD-13")
@given(forward=forwards, strike=strikes, volatility=volatilities, now=moments)
def test_put_call_parity_holds_exactly_before_and_after_expiry(
    forward: Decimal, strike: Decimal, volatility: Decimal, now: datetime
) -> None:
    call = priced(strike, True, forward, now, volatility)
    put = priced(strike, False, forward, now, volatility)
    assert strike + call - put == forward
    assert call % TICK == 0
    assert put % TICK == 0


@given(forward=forwards, strike=strikes, volatility=volatilities)
def test_a_living_option_is_worth_its_intrinsic_value_and_at_least_a_tick(
    forward: Decimal, strike: Decimal, volatility: Decimal
) -> None:
    call = priced(strike, True, forward, BEFORE, volatility)
    assert call >= max(forward - strike, Decimal(0)) + TICK


@pytest.mark.req("ORD-13")
def test_an_option_at_the_money_is_worth_what_black_76_says() -> None:
    # F·(2·N(σ√T/2) − 1) with σ 15 % and 22 of 365 days: 60000·0.014690.
    price = priced(Decimal(60_000), True, Decimal(60_000), BEFORE, Decimal("0.15"))
    assert price == Decimal("881.45")


@pytest.mark.req("ORD-13")
def test_an_expired_option_is_worth_its_intrinsic_value_and_a_tick() -> None:
    close = datetime(2026, 1, 27, 10, 0, tzinfo=UTC)
    forward, volatility = Decimal("60120.50"), Decimal("0.15")
    assert priced(Decimal(60_000), True, forward, close, volatility) == Decimal("120.55")
    assert priced(Decimal(60_000), False, forward, close, volatility) == Decimal("0.05")


def test_more_volatility_never_makes_an_option_cheaper() -> None:
    calm = priced(Decimal(61_000), True, Decimal(60_000), BEFORE, Decimal("0.10"))
    wild = priced(Decimal(61_000), True, Decimal(60_000), BEFORE, Decimal("0.30"))
    assert calm < wild
