"""How often a sender may knock."""

from __future__ import annotations

import pytest

from onefill.web.rate_limit import SENDERS_MAX, Rate, RateLimit


@pytest.mark.req("SIG-8")
def test_a_burst_is_let_in_and_then_the_long_run_counts() -> None:
    limit = RateLimit(Rate(a_minute=60, burst=5))
    assert [limit.wait_ms("a", 0) for _ in range(6)] == [0, 0, 0, 0, 0, 1000]
    assert limit.wait_ms("a", 999) == 1
    assert limit.wait_ms("a", 1000) == 0
    assert limit.wait_ms("a", 1000) == 1000


@pytest.mark.req("SIG-8")
def test_being_refused_costs_nothing_and_senders_are_apart() -> None:
    limit = RateLimit(Rate(a_minute=60, burst=1))
    assert [limit.wait_ms("a", 0) for _ in range(3)] == [0, 1000, 1000]
    assert limit.wait_ms("b", 0) == 0


@pytest.mark.req("SIG-8")
def test_the_default_lets_a_hundred_a_minute_in() -> None:
    limit = RateLimit(Rate())
    let_in = sum(limit.wait_ms("a", second * 100) == 0 for second in range(6000))
    assert let_in == pytest.approx(50 + 1000, abs=1)


@pytest.mark.req("SIG-8")
def test_a_crowd_of_senders_is_forgotten_before_it_fills_the_memory() -> None:
    limit = RateLimit(Rate(a_minute=1, burst=1))
    for number in range(3 * SENDERS_MAX):
        limit.wait_ms(str(number), 0)
    assert len(limit._full_at_ms) <= SENDERS_MAX
