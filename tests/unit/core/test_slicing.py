"""Orders above the freeze quantity go out in slices that together are the one order."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from makers import (
    RULES,
    Store,
    d,
    direct_signal,
    filled,
    logged,
    only,
    portfolio_signal,
    position_of,
    report,
    situation,
)
from onefill.core.book import Decision
from onefill.core.decide import decide
from onefill.core.going_on import go_on
from onefill.core.intent import IntentState, OrderIntent, Verb
from onefill.core.issue import issue_cancel
from onefill.core.orders.report import NotPlaced, OrderStatus
from onefill.core.orders.ruling import RulingRefusal, Surroundings, place_again
from onefill.core.orders.slicing import sliced
from onefill.core.position import PositionStatus
from onefill.core.signal import SignalKind, SignalStatus

NO = NotPlaced(code="400", message="margin")
LOT = 35


def at_most(quantity: int) -> Decimal:
    return d(quantity)


def bought(quantity: int = 120, most: int = 50, **over: object) -> tuple[Store, list[OrderIntent]]:
    """A direct buy of that much where the exchange takes no more than `most` at once."""
    store = Store(situation("BTCUSDT"))
    signal = direct_signal(SignalKind.BUY, quantity=d(quantity), **over)
    whole = decide(logged(signal), store.seen(), RULES)
    cut = sliced(whole, store.seen(), lambda _: at_most(most))
    return store, list(store.write(cut, 1).intents)


def entered(most: int = 80) -> tuple[Store, list[OrderIntent]]:
    """Three lots of 35 in two legs, where the exchange takes no more than `most` at once."""
    store = Store(situation())
    signal = portfolio_signal(SignalKind.BASE_ENTRY)
    whole = decide(logged(signal), store.seen(), RULES)
    cut = sliced(whole, store.seen(), lambda _: at_most(most))
    return store, list(store.write(cut, 1).intents)


def repair(store: Store, most: int = 80) -> list[OrderIntent]:
    decision: Decision | None = go_on(store.seen(), RULES)
    if decision is None:
        return []
    return list(store.write(sliced(decision, store.seen(), lambda _: at_most(most))).intents)


def buy(store: Store, *intents: OrderIntent) -> None:
    for intent in intents:
        store.claim(intent)
        store.fill(intent)


@pytest.mark.req("ORD-15", "ORD-1")
def test_a_large_order_becomes_slices_each_after_the_one_before_with_ids_of_their_own() -> None:
    store, slices = bought()
    assert [i.order.quantity for i in slices] == [50, 50, 20]
    assert [i.n for i in slices] == [1, 1_000_001, 2_000_001]
    assert len({i.client_order_id for i in slices}) == 3
    assert [i.after for i in slices] == [None, *(i.client_order_id for i in slices[:-1])]
    assert [i.adds_exposure for i in slices] == [True] * 3
    assert bought()[1] == slices
    buy(store, *slices)
    assert position_of(store).leg("main").net == 120
    assert store.signals[1] == (SignalStatus.EXECUTED, None)
    store.check()


@pytest.mark.req("ORD-15")
def test_what_fits_and_what_has_no_limit_stays_as_it_is() -> None:
    store = Store(situation("BTCUSDT"))
    whole = decide(logged(direct_signal(SignalKind.BUY, quantity=d(50))), store.seen(), RULES)
    assert sliced(whole, store.seen(), lambda _: at_most(50)) is whole
    assert sliced(whole, store.seen(), lambda _: None) is whole
    cancel = issue_cancel(only(whole.intents), 1)
    assert cancel.verb is Verb.CANCEL
    changed = replace(whole, intents=(cancel,))
    assert sliced(changed, store.seen(), lambda _: at_most(1)) is changed


@pytest.mark.req("ORD-15")
def test_a_signal_is_executed_in_part_while_a_slice_of_it_is_not_filled() -> None:
    store, (first, second, third) = bought()
    buy(store, first)
    assert store.signals[1][0] is SignalStatus.EXECUTING
    store.claim(second)
    store.word(second, NO)
    assert store.intents[third.client_order_id].state is IntentState.EXPIRED
    assert store.signals[1] == (SignalStatus.EXECUTED, "partly_filled")
    assert position_of(store).leg("main").net == 50
    store.check()


@pytest.mark.req("ORD-15")
def test_slices_are_whole_lots_and_the_second_leg_waits_for_all_of_the_first() -> None:
    store, slices = entered()
    legs = [(i.leg, i.order.quantity) for i in slices]
    assert legs == [("ce", 70), ("ce", 35), ("pe", 70), ("pe", 35)]
    assert slices[2].after == slices[1].client_order_id
    buy(store, *slices)
    assert position_of(store).status is PositionStatus.OPEN
    assert store.signals[1] == (SignalStatus.EXECUTED, None)
    store.check()


@pytest.mark.req("ORD-15", "PF-21")
def test_a_leg_that_misses_a_slice_is_completed_in_slices_before_the_other_is_sold() -> None:
    store, (first, second, *puts) = entered(most=40)
    buy(store, first)
    store.claim(second)
    store.word(second, NO)
    assert all(store.intents[p.client_order_id].state is IntentState.EXPIRED for p in puts)
    assert position_of(store).status is PositionStatus.PARTIAL
    rest = repair(store, most=40)
    assert [(i.leg, i.order.quantity) for i in rest] == [
        *[("ce", LOT)] * 2,
        *[("pe", LOT)] * 3,
    ]
    assert {i.action for i in rest} == {"complete"}
    buy(store, *rest)
    assert position_of(store).status is PositionStatus.OPEN
    store.check()


@pytest.mark.req("ORD-15", "PF-12")
def test_an_exit_whose_slice_fails_is_issued_again_for_what_is_left() -> None:
    store, slices = bought()
    buy(store, *slices)
    close = decide(logged(direct_signal(SignalKind.CLOSE), 2), store.seen(), RULES)
    exits = store.write(sliced(close, store.seen(), lambda _: at_most(50)), 2).intents
    assert [i.order.quantity for i in exits] == [50, 50, 20]
    assert all(i.order.reduce_only for i in exits)
    buy(store, exits[0])
    store.claim(exits[1])
    store.word(exits[1], NO)
    store.advance(60)
    again = repair(store, most=50)
    assert [(i.order.quantity, i.n) for i in again] == [(50, 2), (20, 1_000_002)]
    buy(store, *again)
    assert position_of(store).status is PositionStatus.CLOSED
    store.check()


@pytest.mark.req("ORD-15")
def test_slices_of_a_resting_order_rest_beside_each_other() -> None:
    _, slices = bought(limit_price=d(90))
    assert [i.after for i in slices] == [None] * 3


@pytest.mark.req("ORD-15", "ORD-7")
def test_a_slice_that_a_person_ruled_out_is_placed_again_beside_the_others() -> None:
    store, (first, *others) = bought(limit_price=d(90))
    ruled = replace(
        first, state=IntentState.NOT_PLACED, attempt=1, send_by=store.now, reason="a person's word"
    )
    store.advance(61)
    around = Surroundings(
        now=store.now,
        siblings=(ruled, *others),
        positions=tuple(store.positions.values()),
        paused=False,
        blocked=None,
    )
    again = place_again(ruled, around)
    assert not isinstance(again, RulingRefusal)
    assert (again.intent.n, again.intent.order.quantity) == (2, 50)
    repeated = replace(around, siblings=(ruled, *others, again.intent))
    assert place_again(ruled, repeated) is RulingRefusal.PLACED_AGAIN
    store.intents |= {i.client_order_id: i for i in (ruled, again.intent)}
    buy(store, again.intent, *others)
    assert store.signals[1] == (SignalStatus.EXECUTED, None)


@pytest.mark.req("ORD-15", "PF-21")
@settings(deadline=None, max_examples=100)
@given(st.data())
def test_whatever_brokers_say_of_slices_the_short_is_covered_and_it_ends(
    data: st.DataObject,
) -> None:
    store, orders = entered(most=data.draw(st.sampled_from([LOT, 40, 70, 105])))
    for round_ in range(30):
        for intent in orders:
            _trade(store, intent, data, calm=round_ > 20)
            store.check()
        store.advance(61 if round_ > 20 else data.draw(st.sampled_from([0.2, 5, 61])))
        orders = repair(store, most=data.draw(st.sampled_from([LOT, 80])))
    assert position_of(store).status in (PositionStatus.OPEN, PositionStatus.CLOSED)
    assert sum(leg.net for leg in position_of(store).legs) == 0


def _trade(store: Store, intent: OrderIntent, data: st.DataObject, *, calm: bool) -> None:
    present = store.intents[intent.client_order_id]
    before = store.intents.get(present.after) if present.after else None
    if not present.is_live or (before is not None and before.state is not IntentState.FILLED):
        return
    store.claim(present)
    match "fill" if calm else data.draw(st.sampled_from(["fill", "part", "refuse"])):
        case "fill":
            store.word(present, filled(present, present.order.quantity))
        case "part":
            part = LOT if present.order.quantity > LOT else 0
            store.word(present, report(present, OrderStatus.CANCELLED, quantity=part))
        case _:
            store.word(present, NO)


@pytest.mark.req("ORD-12")
@settings(max_examples=150)
@given(
    held=st.integers(-200, 200).filter(bool),
    quantity=st.integers(1, 400),
    is_buy=st.booleans(),
    most=st.none() | st.integers(7, 90),
)
def test_in_hedge_mode_what_closes_goes_before_what_opens_and_says_so(
    held: int, quantity: int, is_buy: bool, most: int | None
) -> None:
    store, opening = bought(abs(held), 1_000)
    (first,) = opening
    if held < 0:
        store = Store(situation("BTCUSDT"))
        short = direct_signal(SignalKind.SELL, quantity=d(-held))
        (first,) = store.write(decide(logged(short), store.seen(), RULES), 1).intents
    store.claim(first)
    store.fill(first)
    kind = SignalKind.BUY if is_buy else SignalKind.SELL
    whole = decide(logged(direct_signal(kind, quantity=d(quantity)), 2), store.seen(), RULES)
    limit = None if most is None else d(most)
    cut = sliced(whole, store.seen(), lambda _: limit, lambda _: True).intents
    sizes = [intent.order.quantity for intent in cut]
    closes = min(quantity, abs(held)) if (held < 0) is is_buy else 0
    reducing = [intent.order.reduce_only for intent in cut]
    assert sum(sizes) == quantity
    assert sum(size for size, closing in zip(sizes, reducing, strict=True) if closing) == closes
    assert reducing == sorted(reducing, reverse=True)
    assert most is None or max(sizes) <= most
    assert len({intent.client_order_id for intent in cut}) == len(cut)
    chain = [intent.after for intent in cut]
    assert chain == [None, *(intent.client_order_id for intent in cut[:-1])]
