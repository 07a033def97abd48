"""Safety switches at decision time: hours, price, margin."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from makers import (
    ACCOUNT,
    NOW,
    RULES,
    Store,
    d,
    direct_signal,
    logged,
    portfolio_signal,
    situation,
)
from onefill.core.book import Decision, TimeBasis
from onefill.core.decide import decide
from onefill.core.instrument import Switches
from onefill.core.market_hours import HOURS, is_open, next_open, session_on
from onefill.core.orders.closing import continue_exits
from onefill.core.position import PositionStatus
from onefill.core.signal import SignalKind, SignalStatus

NOBODY = frozenset[date]()
OPEN = replace(RULES, switches=Switches(market_hours=True))
BASE = portfolio_signal(SignalKind.BASE_ENTRY)
EXIT = portfolio_signal(SignalKind.EXIT, reason="signal")
EVENING = datetime(2025, 12, 1, 12, 0, tzinfo=UTC)  # Monday, 17:30 in India
NEXT_MORNING = datetime(2025, 12, 2, 3, 45, tzinfo=UTC)


def india(day: int, hour: int, minute: int, month: int = 12) -> datetime:
    return datetime(2025, month, day, hour, minute, tzinfo=UTC) - timedelta(hours=5, minutes=30)


@pytest.mark.req("SIG-18")
@pytest.mark.parametrize("exchange", ["NSE", "NFO"])
def test_nse_trades_from_quarter_past_nine_to_half_past_three(exchange: str) -> None:
    edges = [(9, 14), (9, 15), (15, 29), (15, 30)]
    assert [is_open(exchange, india(1, *edge), NOBODY) for edge in edges] == [
        False,
        True,
        True,
        False,
    ]


@pytest.mark.req("SIG-18")
def test_mcx_closes_later_while_new_york_has_winter_time() -> None:
    assert is_open("MCX", india(1, 23, 54), NOBODY)  # December
    assert not is_open("MCX", india(1, 23, 55), NOBODY)
    assert is_open("MCX", india(1, 23, 29, month=7), NOBODY)
    assert not is_open("MCX", india(1, 23, 30, month=7), NOBODY)
    session = session_on(HOURS["MCX"], date(2025, 11, 3), NOBODY)  # the day after the change
    assert session is not None
    assert f"{session[1]:%H:%M}" == "23:55"


@pytest.mark.req("SIG-18")
def test_weekends_and_holidays_are_skipped_and_crypto_never_closes() -> None:
    friday = india(5, 16, 0)
    holiday = frozenset({date(2025, 12, 8)})
    assert next_open("NSE", friday, holiday) == india(9, 9, 15)
    assert not is_open("NSE", india(8, 10, 0), holiday)
    assert next_open("NSE", india(9, 10, 0), holiday) == india(9, 10, 0)
    assert is_open("", india(7, 3, 0), holiday)


@pytest.mark.req("SIG-18")
def test_an_entry_outside_hours_is_rejected_and_crypto_is_not() -> None:
    closed = situation(now=EVENING)
    entry = replace(BASE, time=EVENING)
    decision = decide(logged(entry), closed, OPEN)
    assert (decision.status, decision.reason) == (SignalStatus.REJECTED, "outside_hours")
    assert decide(logged(entry), closed, RULES).status is SignalStatus.DECIDED
    coin = direct_signal(SignalKind.BUY, quantity=d(1), time=EVENING)
    crypto = decide(logged(coin), situation("BTCUSDT", now=EVENING), OPEN)
    assert crypto.status is SignalStatus.DECIDED


@pytest.mark.req("SIG-18", "SIG-20")
def test_a_replay_is_judged_by_the_signals_own_time() -> None:
    account = replace(ACCOUNT, time_basis=TimeBasis.SIGNAL)
    at_night = situation(now=EVENING, account=account)
    assert decide(logged(BASE), at_night, OPEN).status is SignalStatus.DECIDED
    by_day = situation(now=NOW, account=account)
    assert decide(logged(replace(BASE, time=EVENING)), by_day, OPEN).reason == "outside_hours"


def bought() -> Store:
    store = Store(situation())
    for intent in store.write(decide(logged(BASE), store.seen(), RULES), 1).intents:
        store.claim(intent)
        store.fill(intent, 500)
    return store


@pytest.mark.req("PF-12", "SIG-18")
def test_an_exit_outside_hours_waits_for_the_open_and_goes_then() -> None:
    store = bought()
    store.situation = replace(store.situation, now=EVENING)
    decision = store.write(decide(logged(EXIT, 2), store.seen(), OPEN), 2)
    (position,) = store.positions.values()
    assert (decision.status, decision.intents) == (SignalStatus.DECIDED, ())
    assert decision.numbers["waits_for_open"] == "2025-12-02T09:15:00+05:30"
    assert (position.status, position.next_exit_at) == (PositionStatus.CLOSING, NEXT_MORNING)
    assert continue_exits(store.seen(), OPEN) is None
    store.situation = replace(store.situation, now=NEXT_MORNING)
    exits = continue_exits(store.seen(), OPEN)
    assert exits is not None
    assert [intent.leg for intent in exits.intents] == ["pe", "ce"]


@pytest.mark.req("PF-12", "SIG-18")
def test_an_exit_that_ends_short_at_the_close_is_issued_again_at_the_open() -> None:
    store = bought()
    (position,) = store.positions.values()
    due = replace(position, status=PositionStatus.CLOSING, exits=1, next_exit_at=EVENING)
    store.positions[due.id] = due
    store.situation = replace(store.situation, now=EVENING)
    waiting = continue_exits(store.seen(), OPEN)
    assert waiting is not None
    assert waiting.intents == ()
    assert waiting.positions[0].next_exit_at == NEXT_MORNING


def near(market: Any, kind: SignalKind = SignalKind.BASE_ENTRY) -> Decision:
    seen = bought().seen() if kind is not SignalKind.BASE_ENTRY else situation()
    slot = "Long_2" if kind is SignalKind.PYRAMID else "Long_1"
    price = d(53000) if kind is SignalKind.PYRAMID else d(52000)
    stop = price - (400 if kind is SignalKind.PYRAMID else 350)
    signal = portfolio_signal(kind, slot, price=price, stop=stop, reason="signal")
    market_price = None if market is None else d(market)
    return decide(logged(signal, 2), replace(seen, market_price=market_price), RULES)


@pytest.mark.req("SIG-18")
def test_an_entry_far_from_the_market_is_rejected_with_both_prices() -> None:
    assert near(None).status is SignalStatus.DECIDED
    assert near("51000").status is SignalStatus.DECIDED  # 1.96 %
    far = near("50900")
    assert (far.status, far.reason) == (SignalStatus.REJECTED, "price_divergence")
    assert far.numbers["market_price"] == "50900"
    assert near("52400", SignalKind.PYRAMID).reason == "price_divergence"  # 1.15 %
    assert near("52500", SignalKind.PYRAMID).status is SignalStatus.DECIDED


@pytest.mark.req("SIG-18")
def test_an_exit_into_a_worse_market_goes_ahead_and_is_told() -> None:
    worse = near("51400", SignalKind.EXIT)
    assert len(worse.intents) == 2
    assert "1.15 % below" in worse.alarms[0]
    assert near("53000", SignalKind.EXIT).alarms == ()
    assert near("51900", SignalKind.EXIT).alarms == ()


@pytest.mark.req("SIG-18")
def test_margin_in_use_is_warned_of_and_then_stops_entries() -> None:
    small = replace(ACCOUNT, initial_capital=d(1_000_000))
    seen = replace(bought().seen(), account=small)  # three lots bind 810,000
    signal = portfolio_signal(SignalKind.PYRAMID, "Long_2", price=d(53000))
    full = decide(logged(signal, 2), seen, RULES)
    assert (full.status, full.reason) == (SignalStatus.BLOCKED, "margin_use")
    assert full.numbers["margin_use_percent"] == "81"
    warned = replace(RULES, switches=Switches(margin_warn_percent=d(15)))
    assert "16.2 %" in decide(logged(BASE), situation(), warned).alarms[0]
    assert decide(logged(BASE), situation(), RULES).alarms == ()
