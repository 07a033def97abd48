"""What trading costs: from the fills and a tariff, taken off profit once (PF-13)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makers import RULES, Store, d, filled, logged, portfolio_signal, situation
from onefill.core.book import Decision
from onefill.core.decide import decide
from onefill.core.defaults import BANK_NIFTY, GOLD_MINI
from onefill.core.instrument import Rules, Tariff
from onefill.core.intent import Side
from onefill.core.orders.slicing import sliced
from onefill.core.position import Position
from onefill.core.signal import SignalKind

TARIFF = Tariff(per_order=d(20), buy_percent=d("0.03"), sell_percent=d("0.13"))
DEAR = replace(
    RULES,
    instruments={
        "BANK_NIFTY": replace(BANK_NIFTY, costs=TARIFF),
        "GOLD_MINI": replace(GOLD_MINI, costs=TARIFF),
    },
)
BASE = portfolio_signal(SignalKind.BASE_ENTRY)
EXIT = portfolio_signal(SignalKind.EXIT, reason="signal")


def taken(store: Store, number: int, rules: Rules = DEAR) -> Decision:
    signal = BASE if number == 1 else EXIT
    return store.write(decide(logged(signal, number), store.seen(), rules), number)


prices = st.decimals(min_value=1, max_value=99_999, places=2)


def only_position(store: Store) -> Position:
    (position,) = store.positions.values()
    return position


@pytest.mark.req("PF-13")
def test_costs_are_by_side_and_by_order_and_are_taken_off_profit() -> None:
    store = Store(situation())
    call, put = taken(store, 1).intents
    for intent, price in ((call, 500), (put, 480)):
        store.claim(intent)
        store.fill(intent, price)
    units = call.order.quantity
    position = only_position(store)
    assert position.leg("ce").costs == 20 + units * 500 * d("0.0003")
    assert position.leg("pe").costs == 20 + units * 480 * d("0.0013")
    assert position.realised == -position.costs  # it is spent, whatever becomes of the rest
    for intent, price in zip(taken(store, 2).intents, (400, 650), strict=True):
        store.claim(intent)
        store.fill(intent, price)
    position = only_position(store)
    bought, sold = units * (500 + 400), units * (480 + 650)
    assert position.gross == sold - bought
    assert position.costs == 80 + bought * d("0.0003") + sold * d("0.0013")
    assert position.realised == position.gross - position.costs


@pytest.mark.req("PF-13", "ORD-10", "ORD-15")
@given(parts=st.lists(st.integers(1, 7), min_size=1, max_size=6), data=st.data())
def test_an_order_costs_its_fee_once_however_it_fills_and_is_reported(
    parts: list[int], data: st.DataObject
) -> None:
    store = Store(situation())
    call, _ = taken(store, 1).intents
    store.claim(call)
    sums = [sum(parts[: n + 1]) for n in range(len(parts))]
    reports = [filled(call, min(quantity, 35), 500) for quantity in sums]
    for word in data.draw(st.lists(st.sampled_from(reports), min_size=1, max_size=12)):
        store.word(call, word)
    leg = only_position(store).leg("ce")
    assert leg.orders == 1
    assert leg.costs == 20 + leg.bought_value * d("0.0003")
    assert sum(fill.is_first for fill in store.fills) == 1


@pytest.mark.req("PF-13", "PF-5")
@given(
    bought=st.lists(st.tuples(st.integers(1, 90), prices), min_size=1, max_size=3),
    sold=st.lists(st.tuples(st.integers(1, 90), prices), min_size=1, max_size=6),
)
def test_what_is_added_to_equity_fill_by_fill_is_the_profit_of_all_fills(
    bought: list[tuple[int, Decimal]], sold: list[tuple[int, Decimal]]
) -> None:
    """Averages of parts are endless fractions; their roundings must not stay in the equity."""
    leg = replace(only_position(opened_gold()).legs[0], multiplier=d("0.1"))
    for quantity, price in bought:
        leg = leg.add(Side.BUY, d(quantity), quantity * price)
    equity, before = d(5_000_000), leg.realised
    for quantity, price in (*sold, (leg.bought_quantity, d("78123.35"))):
        if (least := min(d(quantity), leg.net)) > 0:
            leg = leg.add(Side.SELL, least, least * price)
            equity, before = equity + (leg.realised - before), leg.realised
    assert leg.net == 0
    assert equity == 5_000_000 + (leg.sold_value - leg.bought_value) * d("0.1")


def opened_gold() -> Store:
    store = Store(situation("GOLD_MINI"))
    gold = replace(BASE, instrument="GOLD_MINI", price=d(78_000), stop=d(77_000))
    store.write(decide(logged(gold), store.seen(), RULES), 1)
    return store


@pytest.mark.req("PF-13")
def test_what_was_agreed_when_it_was_opened_holds_to_the_end() -> None:
    store = Store(situation())
    for intent in taken(store, 1).intents:
        store.claim(intent)
        store.fill(intent, 500)
    for intent in taken(store, 2, RULES).intents:  # the settings say now that all is free
        store.claim(intent)
        store.fill(intent, 500)
    units = only_position(store).leg("ce").bought_quantity
    assert only_position(store).realised == -(80 + 2 * units * 500 * d("0.0016"))


@pytest.mark.req("PF-13")
def test_percents_are_of_rupees_where_a_point_is_worth_less_than_one_a_unit() -> None:
    store = Store(situation("GOLD_MINI"))
    gold = replace(BASE, instrument="GOLD_MINI", price=d(78_000), stop=d(77_000), lots=1)
    (future,) = store.write(decide(logged(gold), store.seen(), DEAR), 1).intents
    store.claim(future)
    store.fill(future, 78_000)
    lots = future.order.quantity / 100
    assert only_position(store).costs == 20 + lots * 780_000 * d("0.0003")


@pytest.mark.req("PF-13")
def test_each_order_remembers_the_price_that_it_was_decided_at() -> None:
    gold = portfolio_signal(SignalKind.BASE_ENTRY, instrument="GOLD_MINI", price=d(78_000))
    gold = replace(gold, stop=d(77_000))
    (future,) = decide(logged(gold), situation("GOLD_MINI"), RULES).intents
    assert future.decided_price == 78_000
    symbols = ("BANKNIFTY30DEC2552000CE", "BANKNIFTY30DEC2552000PE")
    prices: dict[str, Decimal] = dict(zip(symbols, (d(510), d(490)), strict=True))
    quoted = situation(market_price=d(52_020), market_asked=True, leg_prices=prices)
    decision = decide(logged(BASE), quoted, RULES)
    assert [intent.decided_price for intent in decision.intents] == [510, 490]
    slices = sliced(decision, quoted, lambda _: d(35)).intents
    assert {(i.order.side, i.decided_price) for i in slices} == {(Side.BUY, 510), (Side.SELL, 490)}
    unknown = decide(logged(BASE), situation(), RULES)
    assert [intent.decided_price for intent in unknown.intents] == [None, None]
