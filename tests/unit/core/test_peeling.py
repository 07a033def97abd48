"""Lots are sold of a position that has outgrown its ongoing limits, where the setting is on."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from makers import RULES, Store, d, logged, portfolio_signal, report, situation
from onefill.core.book import Decision
from onefill.core.decide import decide
from onefill.core.going_on import go_on
from onefill.core.instrument import Rules
from onefill.core.intent import ACCOMPLISHED, IntentState, OrderIntent, Side, Verb
from onefill.core.issue import OPEN, PEEL
from onefill.core.orders.report import Carried, NotPlaced, OrderReport, OrderStatus
from onefill.core.orders.slicing import sliced
from onefill.core.position import PositionStatus
from onefill.core.signal import Signal, SignalKind, SignalStatus
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


def guarded(slices: int = 1) -> tuple[Store, Rules]:
    """Three lots of GOLD_MINI whose stop waits at the broker; two are too many in a wild market."""
    gold = replace(RULES.instruments["GOLD_MINI"], protective_stop=True)
    rules = replace(PEELING, instruments={"GOLD_MINI": gold})
    store = Store(situation("GOLD_MINI"))
    entry = gold_signal(SignalKind.BASE_ENTRY, "Long_1", atr=d(300))
    (order,) = store.write(decide(logged(entry), store.seen(), rules), 1).intents
    store.claim(order)
    store.fill(order, 78500)
    kept = go_on(store.seen(), rules)
    assert kept is not None
    for part in store.write(sliced(kept, store.seen(), lambda _: d(300) / slices)).intents:
        store.claim(part)
        store.word(part, report(part, OrderStatus.OPEN))
    assert go(store, rules) == ()
    return store, rules


def gold_signal(kind: SignalKind, slot: str | None, **over: object) -> Signal:
    fields = {"instrument": "GOLD_MINI", "price": d(78500), "stop": d(77900), "er": d(1)}
    return portfolio_signal(kind, slot, **(fields | over))


def go(store: Store, rules: Rules) -> tuple[OrderIntent, ...]:
    decision = go_on(store.seen(), rules)
    return store.write(decision).intents if decision else ()


def sold_at_worst(store: Store) -> Decimal:
    """What is sold if all that is at the broker, or may be sent to it now, fills."""
    done = {i.client_order_id for i in store.intents.values() if i.state in ACCOMPLISHED}
    sells = (i for i in store.intents.values() if i.order.side is Side.SELL and i.is_live)
    return sum(
        (
            i.remaining
            for i in sells
            if i.verb is Verb.PLACE and (i.after is None or i.after in done)
        ),
        d(0),
    )


def carry_out(store: Store, change: OrderIntent) -> None:
    assert change.target is not None
    store.claim(change)
    target = store.intents[change.target]
    is_cancel = change.verb is Verb.CANCEL
    seen = OrderReport(
        broker_order_id=target.broker_order_id or "",
        status=OrderStatus.CANCELLED if is_cancel else OrderStatus.OPEN,
        quantity=target.order.quantity if is_cancel else change.order.quantity,
        trigger_price=change.order.trigger_price,
    )
    store.word(change, Carried(report=seen))


@pytest.mark.req("PF-7", "PF-11")
@pytest.mark.parametrize("slices", [1, 3])
def test_a_position_with_its_stop_at_the_broker_is_peeled_once_the_stop_gave_way(
    slices: int,
) -> None:
    store, rules = guarded(slices)
    signal = gold_signal(SignalKind.MARKET_DATA, None, atr=d(1400), stop=None)
    issued = store.write(decide(logged(signal, 2), store.seen(), rules), 2).intents
    assert [intent.order.quantity for intent in issued if intent.action == PEEL] == [200]
    while todo := [i for i in store.intents.values() if i.state is IntentState.NEW]:
        assert sold_at_worst(store) <= store.positions[todo[0].position_id].legs[0].net
        ready = (i for i in todo if i.after is None or store.intents[i.after].state in ACCOMPLISHED)
        next_ = next(ready)
        if next_.verb is not Verb.PLACE:
            carry_out(store, next_)
        elif next_.action == PEEL:
            store.claim(next_)
            store.fill(next_, 78500)
        else:
            store.claim(next_)
            store.word(next_, report(next_, OrderStatus.OPEN))
        store.check()
        go(store, rules)
    (position,) = store.positions.values()
    assert (position.status, position.lots, position.legs[0].net) == (PositionStatus.OPEN, 1, 100)
    assert sold_at_worst(store) == 100


@pytest.mark.req("PF-7", "PF-11", "PF-12")
def test_a_peel_whose_stop_does_not_give_way_is_not_sent_and_an_exit_sells_all_once() -> None:
    store, rules = guarded()
    signal = gold_signal(SignalKind.MARKET_DATA, None, atr=d(1400), stop=None)
    change, peel = store.write(decide(logged(signal, 2), store.seen(), rules), 2).intents
    store.claim(change)
    store.word(change, NotPlaced(code="no", message="no"))
    assert store.intents[peel.client_order_id].state is IntentState.EXPIRED
    (position,) = store.positions.values()
    assert (position.status, sold_at_worst(store)) == (PositionStatus.OPEN, 300)
    leave = gold_signal(SignalKind.EXIT, "ALL", reason="over", time=store.now)
    store.write(decide(logged(leave, 3), store.seen(), rules), 3)
    assert sold_at_worst(store) == 300
