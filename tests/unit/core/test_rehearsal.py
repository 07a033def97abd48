"""A recording decided in memory: real decisions and books, fills at the signals' own prices."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from makers import ACCOUNT, NOW, RULES, Store, d, logged, portfolio_signal, situation
from onefill.core.book import Account, Sizing
from onefill.core.decide import decide
from onefill.core.instrument import Rules
from onefill.core.position import Position, PositionStatus
from onefill.core.rehearsal import Rehearsal, Rehearsed
from onefill.core.signal import SignalKind, SignalStatus

BAR = timedelta(minutes=75)
POINT = 35
"""Rupees a point and lot, in the series of December 2025."""


class Played:
    """Signals one bar after the other."""

    def __init__(self, rules: Rules = RULES, account: Account = ACCOUNT, slips: str = "0") -> None:
        self.rehearsal = Rehearsal(rules, account, lambda _: d(slips))
        self._bars = 0

    def take(
        self, kind: SignalKind, price: int, slot: str | None = "Long_1", **over: Any
    ) -> Rehearsed:
        self._bars += 1
        fields = {"time": NOW + self._bars * BAR, "stop": d(price - 350), "reason": "over"} | over
        signal = portfolio_signal(kind, slot, price=d(price), **fields)
        return self.rehearsal.take(logged(signal, self._bars))

    def positions(self) -> tuple[Position, ...]:
        return self.rehearsal.positions


@pytest.mark.req("SIG-20", "PF-5", "PF-13")
def test_a_trade_earns_what_its_prices_say_less_what_slips() -> None:
    for slips in (0, 5):
        played = Played(slips=str(slips))
        entry = played.take(SignalKind.BASE_ENTRY, 52_000)
        assert (entry.status, entry.lots) == (SignalStatus.EXECUTED, 3)
        assert entry.limiter == "risk"
        exit_ = played.take(SignalKind.EXIT, 52_700, "ALL")
        assert (exit_.status, exit_.lots) == (SignalStatus.EXECUTED, 0)
        (position,) = played.positions()
        assert position.entry_price == 52_000 + slips
        earned = (700 - 2 * slips) * 3 * POINT
        assert played.rehearsal.account.closed_equity == 5_000_000 + earned
        (trade,) = played.rehearsal.trades
        assert (trade.profit, trade.risk) == (earned, (350 + slips) * 3 * POINT)


@pytest.mark.req("SIG-20", "PF-3", "PF-10")
def test_gates_trailing_stops_and_the_files_own_lots_are_the_engines() -> None:
    played = Played()
    played.take(SignalKind.BASE_ENTRY, 52_000)
    early = played.take(SignalKind.PYRAMID, 52_100, "Long_2")
    assert (early.status, early.reason) == (SignalStatus.BLOCKED, "one_r")
    played.take(SignalKind.MARKET_DATA, 53_000, None)
    stopped = played.take(SignalKind.MARKET_DATA, 52_000, None)
    assert stopped.status is SignalStatus.EXECUTED
    assert [p.status for p in played.positions()] == [PositionStatus.CLOSED]
    assert played.take(SignalKind.EXIT, 52_000, "ALL").reason == "nothing_to_close"
    asked = Played(account=replace(ACCOUNT, sizing=Sizing.SIGNAL))
    assert asked.take(SignalKind.BASE_ENTRY, 52_000, lots=17).lots == 17


@pytest.mark.req("SIG-20", "PF-24")
def test_what_is_due_rolls_before_the_next_bar_and_keeps_its_gain() -> None:
    played = Played()
    played.take(SignalKind.BASE_ENTRY, 52_000)
    due = NOW.replace(day=24)
    bar = played.take(SignalKind.MARKET_DATA, 52_400, None, time=due)
    assert bar.status is SignalStatus.EXECUTED
    old, new = played.positions()
    assert (old.status, new.status) == (PositionStatus.CLOSED, PositionStatus.OPEN)
    assert (new.rolled_from, new.entry_price, new.lots) == (old.id, d(52_400), old.lots)
    assert new.rollover_pnl == 400 * old.lots * POINT


@pytest.mark.req("PF-5", "PF-13")
def test_half_an_exit_is_no_profit_that_a_high_water_mark_could_keep() -> None:
    store = Store(situation())
    call, put = store.write(
        decide(logged(portfolio_signal(SignalKind.BASE_ENTRY)), store.seen(), RULES), 1
    ).intents
    for intent, price in ((call, 1_000), (put, 900)):
        store.claim(intent)
        store.fill(intent, price)
    leaving = portfolio_signal(SignalKind.EXIT, "ALL", time=NOW + BAR, reason="over")
    put, call = store.write(decide(logged(leaving, 2), store.seen(), RULES), 2).intents
    earned: list[Decimal] = []
    for intent, price in ((put, 300), (call, 350)):  # both lost time's value: a gain, then a loss
        store.claim(intent)
        store.fill(intent, price)
        (position,) = store.positions.values()
        earned.append(position.realised)
    assert earned == [0, (600 - 650) * position.lots * POINT]
