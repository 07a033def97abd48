"""Trailing stops by bar close: the known answers, and what a close below one does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makers import NOW, RULES, Store, d, filled, logged, portfolio_signal, situation
from onefill.core.book import Decision
from onefill.core.decide import decide
from onefill.core.intent import Side
from onefill.core.portfolio.stops import is_stopped, trail
from onefill.core.position import Position, PositionStatus
from onefill.core.signal import Signal, SignalKind, SignalStatus

BASE = portfolio_signal(SignalKind.BASE_ENTRY)


def bought() -> Store:
    """Long_1 held, entered at 52000 with its stop at 51650."""
    store = Store(situation())
    seen = store.seen()
    decision = store.write(decide(logged(BASE), seen, RULES), 1)
    store.situation = replace(seen.after(decision, BASE), positions=(), intents=())
    for intent in decision.intents:
        store.claim(intent)
        store.fill(intent, 500)
    return store


def bar(close: int, minutes: int = 75, **over: Any) -> Signal:
    return portfolio_signal(
        SignalKind.MARKET_DATA,
        None,
        **({"price": d(close), "time": NOW + timedelta(minutes=minutes), "stop": None} | over),
    )


def take(store: Store, signal: Signal, number: int = 2) -> Decision:
    seen = store.seen()
    decision = store.write(decide(logged(signal, number), seen, RULES), number)
    store.situation = replace(seen.after(decision, signal), positions=(), intents=())
    return decision


def base_of(store: Store) -> Position:
    return next(p for p in store.positions.values() if p.slot == "Long_1")


def gold(stop: int, highest: int) -> Position:
    store = bought()
    return replace(base_of(store), stop=d(stop), highest_close=d(highest), atr=d(700))


@pytest.mark.req("PF-10")
def test_gold_mini_trails_as_the_specification_says() -> None:
    position = gold(77800, 78500)
    stops = []
    for close in (79000, 80000, 79000):
        position = trail(position, d(close), d(700), d(2))
        stops.append(position.stop)
    assert stops == [77800, 78600, 78600]
    assert position.highest_close == 80000


@pytest.mark.req("PF-10")
def test_only_a_close_strictly_below_the_stop_ends_a_position() -> None:
    position = gold(78000, 78500)
    assert not is_stopped(position, d(78000))
    assert is_stopped(position, d("77999.99"))


@pytest.mark.req("PF-10")
@given(
    closes=st.lists(
        st.tuples(st.integers(1, 200_000), st.one_of(st.none(), st.integers(0, 5_000))), max_size=30
    )
)
def test_a_stop_never_falls_whatever_the_closes(closes: list[tuple[int, int | None]]) -> None:
    position = gold(78000, 78500)
    for close, atr in closes:
        after = trail(position, d(close), None if atr is None else Decimal(atr), d(2))
        assert after.stop is not None
        assert position.stop is not None
        assert after.stop >= position.stop
        position = after


@pytest.mark.req("PF-10")
@pytest.mark.parametrize("kind", [SignalKind.MARKET_DATA, SignalKind.EXIT])
def test_an_atr_of_nothing_says_nothing_and_puts_no_stop_on_the_close(kind: SignalKind) -> None:
    store = bought()
    known = base_of(store).atr
    assert known is not None
    blind = bar(53000, atr=d(0))
    if kind is SignalKind.EXIT:  # of another slot, by a sender that knows no ATR
        blind = replace(blind, kind=kind, position="Long_2", reason="signal")
    take(store, blind)
    base = base_of(store)
    assert (base.atr, base.highest_close, base.status) == (known, 53000, PositionStatus.OPEN)
    assert base.stop == 53000 - d("2.5") * known


@pytest.mark.req("PF-10")
def test_a_bar_trails_the_stop_by_two_and_a_half_atrs() -> None:
    store = bought()
    decision = take(store, bar(53000))
    assert (decision.status, decision.intents) == (SignalStatus.EXECUTED, ())
    assert (base_of(store).stop, base_of(store).highest_close) == (52500, 53000)
    assert base_of(store).initial_stop == 51650


@pytest.mark.req("PF-10", "PF-12")
def test_a_close_below_the_stop_exits_in_the_same_decision() -> None:
    store = bought()
    take(store, bar(53000))
    decision = take(store, bar(52499, 150), 3)
    position = base_of(store)
    assert (position.status, position.reason) == (PositionStatus.CLOSING, "stop")
    assert [(i.leg, i.order.side, i.source) for i in decision.intents] == [
        ("pe", Side.BUY, position.id),
        ("ce", Side.SELL, position.id),
    ]
    assert decision.status is SignalStatus.DECIDED
    assert decision.numbers["stopped"] == "Long_1"
    assert decision.numbers["highest_stop"] == "52500"
    for intent in decision.intents:
        store.claim(intent)
        store.fill(intent, 450)
    assert base_of(store).status is PositionStatus.CLOSED
    assert base_of(store).reason == "stop"
    assert store.signals[3] == (SignalStatus.EXECUTED, None)
    store.check()


@pytest.mark.req("PF-10")
def test_a_position_that_is_stopped_is_not_stopped_again_by_the_next_bar() -> None:
    store = bought()
    assert len(take(store, bar(51000)).intents) == 2
    assert take(store, bar(50000, 150), 3).intents == ()


@pytest.mark.req("PF-10", "SIG-12")
def test_a_bar_that_comes_late_stops_nothing() -> None:
    store = bought()
    take(store, bar(53000, 150))
    late = take(store, bar(51000, 75), 3)
    assert (late.status, late.reason) == (SignalStatus.IGNORED, "overtaken")
    before_the_entry = take(bought(), bar(51000, -75))
    assert before_the_entry.intents == ()


@pytest.mark.req("PF-10")
def test_a_pyramid_below_the_stop_sells_instead_of_buying() -> None:
    store = bought()
    signal = portfolio_signal(
        SignalKind.PYRAMID, "Long_2", price=d(51600), stop=d(51000), time=NOW + timedelta(minutes=9)
    )
    decision = take(store, signal)
    assert (decision.status, decision.reason) == (SignalStatus.BLOCKED, "stopped")
    assert {intent.action for intent in decision.intents} == {"close"}


@pytest.mark.req("PF-10", "PF-12")
def test_the_price_of_an_exit_stops_what_it_does_not_name() -> None:
    store = bought()
    base = base_of(store)
    second = replace(base, id="p2", slot="Long_2", stop=d(51900))  # type: ignore[arg-type]
    store.positions[second.id] = second
    price = {"price": d(51800), "time": NOW + timedelta(minutes=9)}
    left = take(store, portfolio_signal(SignalKind.EXIT, "Long_1", reason="signal", **price))
    assert left.status is SignalStatus.DECIDED
    reasons = {p.slot: p.reason for p in store.positions.values()}
    assert reasons == {"Long_1": "signal", "Long_2": "stop"}
    asked = {p.slot: p.exit_signal_id for p in store.positions.values()}
    assert asked == {"Long_1": 2, "Long_2": 2}
    assert len(left.intents) == 4


@pytest.mark.req("PF-10", "PF-21")
def test_a_stop_sells_what_was_filled_of_an_entry_under_way() -> None:
    store = Store(situation())
    call, put = store.write(decide(logged(BASE), store.seen(), RULES), 1).intents
    store.claim(call)
    store.word(call, filled(call, 35))
    decision = take(store, bar(51000))
    assert put.client_order_id in decision.withdraw
    (sell,) = decision.intents
    assert (sell.leg, sell.order.side, sell.order.quantity) == ("ce", Side.SELL, 35)
