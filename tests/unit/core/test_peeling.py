"""Lots are sold of a position that has outgrown its ongoing limits, where the setting is on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from makers import RULES, Store, d, logged, portfolio_signal
from onefill.core.book import Decision
from onefill.core.decide import decide
from onefill.core.instrument import Rules
from onefill.core.intent import IntentState, Side
from onefill.core.issue import OPEN, PEEL
from onefill.core.position import PositionStatus
from onefill.core.signal import SignalKind, SignalStatus
from unit.core.test_portfolio_stops import bar, base_of, bought

PEELING = replace(RULES, peel_off=True)
WILD = d(3000)
"""An ATR that makes one lot of 35 move by 105,000 rupees: more than the 0.7 % of equity allowed."""


def take(store: Store, rules: Rules, *, minutes: int = 75, number: int = 2) -> Decision:
    signal = bar(52100, minutes=minutes, atr=WILD, stop=None)
    seen = store.seen()
    decision = store.write(decide(logged(signal, number), seen, rules), number)
    store.situation = replace(seen.after(decision, signal), positions=(), intents=())
    return decision


def grown(lots: int) -> Store:
    """A base of that many lots, whatever it was sized at."""
    store = bought()
    base = base_of(store)
    factor = d(lots) / base.lots
    legs = tuple(
        replace(
            leg,
            quantity=leg.quantity * factor,
            bought_quantity=leg.bought_quantity * factor,
            bought_value=leg.bought_value * factor,
            sold_quantity=leg.sold_quantity * factor,
            sold_value=leg.sold_value * factor,
        )
        for leg in base.legs
    )
    store.positions[base.id] = replace(base, lots=lots, legs=legs)
    return store


@pytest.mark.req("PF-7")
def test_nothing_is_peeled_off_unless_the_setting_is_on() -> None:
    store = grown(5)
    assert take(store, RULES).intents == ()
    assert base_of(store).lots == 5


@pytest.mark.req("PF-7", "PF-20")
def test_what_is_too_much_is_sold_short_leg_first_and_the_rest_stays_open() -> None:
    store = grown(5)
    put, call = take(store, PEELING).intents
    # 5 lots move by 525,000 in one ATR; 0.7 % of 5,000,000 allows 35,000: all five are too many.
    assert (put.order.side, call.order.side) == (Side.BUY, Side.SELL)
    assert call.after == put.client_order_id
    assert put.order.quantity == call.order.quantity == 5 * base_of(store).units_per_lot


@pytest.mark.req("PF-7")
def test_a_part_that_is_sold_leaves_a_smaller_open_position() -> None:
    store = grown(5)
    rules = replace(
        PEELING,
        instruments={
            name: replace(one, volatility_percent=(d("0.5"), d(6)), risk_percent=(d(1), d(100)))
            for name, one in RULES.instruments.items()
        },
    )
    put, call = take(store, rules).intents
    # 6 % of 5,000,000 carries two lots of 105,000.
    assert put.order.quantity == 3 * base_of(store).units_per_lot
    assert take(store, rules, minutes=150, number=3).intents == ()  # not twice, while it is sold
    for intent in (put, call):
        store.claim(intent)
        store.fill(intent, 500)
        assert store.intents[intent.client_order_id].state is IntentState.FILLED
    base = base_of(store)
    assert (base.status, base.lots) == (PositionStatus.OPEN, 2)
    assert take(store, rules, minutes=225, number=4).intents == ()


@pytest.mark.req("PF-7", "PF-3", "SIG-13")
def test_a_pyramid_that_makes_the_base_too_large_is_decided_once_that_is_peeled_off() -> None:
    store = grown(6)
    signal = portfolio_signal(
        SignalKind.PYRAMID, "Long_2", price=d(53000), stop=d(52650), time=store.now
    )
    first = store.write(decide(logged(signal, 2), store.seen(), PEELING), 2)
    assert first.wait
    put, call = first.intents
    assert {put.action, call.action} == {PEEL}
    assert store.write(decide(logged(signal, 2), store.seen(), PEELING), 2).intents == ()
    for intent in (put, call):
        store.claim(intent)
        store.fill(intent, 500)
    again = store.write(decide(logged(signal, 2), store.seen(), PEELING), 2)
    assert (again.wait, again.status) == (False, SignalStatus.DECIDED)
    assert {intent.action for intent in again.intents} == {OPEN}
