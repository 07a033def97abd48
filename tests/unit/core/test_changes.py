"""Cancels and changes: what they mean for their order, its position and an exit that waits."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from makers import RULES, Store, buying, d, direct_signal, filled, logged, only, report, situation
from onefill.core.decide import decide
from onefill.core.errors import Bug
from onefill.core.intent import Denial, IntentState, OrderIntent, OrderType, Side, Verb
from onefill.core.issue import Cause, issue_cancel, issue_conditional, issue_modify
from onefill.core.orders.changes import is_carried_out, may_be_repeated
from onefill.core.orders.closing import continue_exits
from onefill.core.orders.report import Absent, Carried, NotPlaced, OrderReport, OrderStatus, Unknown
from onefill.core.position import PositionStatus
from onefill.core.signal import SignalKind, SignalStatus

S = IntentState


def carried(target: OrderIntent, status: OrderStatus, **over: object) -> Carried:
    facts: dict[str, object] = {
        "broker_order_id": f"b-{target.client_order_id}",
        "status": status,
        "quantity": target.order.quantity,
        "price": target.order.price,
    }
    return Carried(report=OrderReport(**(facts | over)))  # type: ignore[arg-type]


def resting(side: SignalKind, quantity: int, held: int = 4) -> tuple[Store, OrderIntent]:
    """A lane that holds so much, with a limit order of that side accepted at the broker."""
    store = Store(situation("BTCUSDT"))
    for number, (kind, many, limit) in enumerate(
        ((SignalKind.BUY, held, None), (side, quantity, d(50))), 1
    ):
        signal = direct_signal(kind, quantity=d(many), limit_price=limit, order_id=str(number))
        order = only(
            store.write(decide(logged(signal, number), store.seen(), RULES), number).intents
        )
        store.claim(order)
        if limit is None:
            store.fill(order)
        else:
            store.word(order, report(order, OrderStatus.OPEN))
    return store, store.intents[order.client_order_id]


def close(store: Store, number: int = 3) -> tuple[OrderIntent, ...]:
    signal = direct_signal(SignalKind.CLOSE, order_id=str(number), time=store.now)
    return store.write(decide(logged(signal, number), store.seen(), RULES), number).intents


@pytest.mark.req("ORD-7", "ORD-8")
def test_a_close_sells_what_is_held_and_cancels_what_rests() -> None:
    store, order = resting(SignalKind.BUY, 1)
    cancel, exit_order = close(store)
    assert (cancel.verb, cancel.target) == (Verb.CANCEL, order.client_order_id)
    assert cancel.target_order_id == order.broker_order_id
    assert (exit_order.order.side, exit_order.order.quantity) == (Side.SELL, 4)
    store.claim(exit_order, cancel)
    store.fill(exit_order)
    position = next(iter(store.positions.values()))
    assert position.status is PositionStatus.CLOSING
    store.word(cancel, carried(order, OrderStatus.CANCELLED))
    position = next(iter(store.positions.values()))
    assert position.status is PositionStatus.CLOSED
    assert store.intents[order.client_order_id].state is S.CANCELLED
    assert store.intents[cancel.client_order_id].state is S.DONE
    assert store.signals[3] == (SignalStatus.EXECUTED, None)
    store.check()


@pytest.mark.req("ORD-7", "ORD-8")
def test_what_a_resting_sell_holds_back_is_sold_as_soon_as_it_is_cancelled() -> None:
    store, order = resting(SignalKind.SELL, 3)
    cancel, exit_order = close(store)
    assert exit_order.order.quantity == 1
    store.claim(cancel, exit_order)
    store.fill(exit_order)
    assert continue_exits(store.seen(), RULES) is None
    store.word(cancel, carried(order, OrderStatus.CANCELLED))
    again = continue_exits(store.seen(), RULES)
    assert again is not None
    rest = only(store.write(again).intents)
    assert (rest.order.side, rest.order.quantity) == (Side.SELL, 3)
    store.claim(rest)
    store.fill(rest)
    assert next(iter(store.positions.values())).status is PositionStatus.CLOSED
    store.check()


@pytest.mark.req("ORD-8", "ORD-10")
@pytest.mark.parametrize("filled_first", [True, False])
def test_a_fill_that_overtakes_the_cancel_is_never_sold_twice(filled_first: bool) -> None:
    store, order = resting(SignalKind.SELL, 4)
    cancel = only(close(store))
    store.claim(cancel)
    whole = filled(order, 4)
    if filled_first:
        store.word(order, whole)
    store.word(cancel, Carried(report=replace(whole.report, quantity=d(4), price=d(50))))
    assert continue_exits(store.seen(), RULES) is None
    assert next(iter(store.positions.values())).is_flat
    assert store.signals[3] == (SignalStatus.EXECUTED, None)
    store.check()


@pytest.mark.req("ORD-7")
def test_a_cancel_in_doubt_is_looked_up_and_repeated_never_quarantined() -> None:
    store, order = resting(SignalKind.BUY, 1)
    cancel, _ = close(store)
    store.claim(cancel)
    store.word(cancel, Unknown(detail="timed out"))
    assert store.intents[cancel.client_order_id].state is S.IN_DOUBT
    store.word(cancel, Absent(conclusive=True, detail="the order is still open"))  # type: ignore[arg-type]
    assert store.intents[cancel.client_order_id].state is S.NEW
    store.claim(store.intents[cancel.client_order_id])
    store.word(cancel, carried(order, OrderStatus.CANCELLED))
    assert store.intents[cancel.client_order_id].state is S.DONE


@pytest.mark.req("ORD-7", "PF-12")
def test_a_cancel_that_was_refused_is_issued_again_with_the_next_round() -> None:
    store, _ = resting(SignalKind.SELL, 4)
    cancel = only(close(store))
    store.claim(cancel)
    store.word(cancel, NotPlaced(code="-1003", message="no"))
    assert continue_exits(store.seen(), RULES) is None
    store.advance(60)
    again = continue_exits(store.seen(), RULES)
    assert again is not None
    assert (only(again.intents).verb, only(again.intents).n) == (Verb.CANCEL, 2)


@pytest.mark.req("ORD-7", "ORD-10")
def test_a_change_gives_its_order_the_new_quantity() -> None:
    store, intent = buying(10)
    store.word(intent, report(intent, OrderStatus.OPEN))
    change = issue_modify(store.intents[intent.client_order_id], 1, quantity=d(15), price=d(90))
    store.intents[change.client_order_id] = change
    store.claim(change)
    # A poll sees fills of the larger order before we learn that the change took effect.
    store.word(intent, report(intent, OrderStatus.PARTIALLY_FILLED, quantity=10))
    assert store.intents[intent.client_order_id].state is S.FILLED
    seen = carried(intent, OrderStatus.PARTIALLY_FILLED, quantity=d(15), price=d(90))
    seen = Carried(report=replace(seen.report, filled_quantity=d(10), filled_value=d(1000)))
    store.word(change, seen)
    order = store.intents[intent.client_order_id]
    assert (order.order.quantity, order.order.price) == (15, 90)
    assert order.state is S.PARTIALLY_FILLED
    store.check()
    store.word(order, report(order, OrderStatus.FILLED, quantity=15))
    assert store.intents[intent.client_order_id].state is S.FILLED
    store.check()


@pytest.mark.req("ORD-7")
def test_a_change_down_to_what_has_filled_ends_its_order() -> None:
    store, intent = buying(10)
    store.word(intent, report(intent, OrderStatus.PARTIALLY_FILLED, quantity=4))
    change = issue_modify(store.intents[intent.client_order_id], 1, quantity=d(4), price=d(90))
    store.intents[change.client_order_id] = change
    store.claim(change)
    seen = carried(intent, OrderStatus.FILLED, quantity=d(4), price=d(90))
    seen = Carried(report=replace(seen.report, filled_quantity=d(4), filled_value=d(400)))
    store.word(change, seen)
    assert store.intents[intent.client_order_id].state is S.FILLED
    store.check()


def stopping(order_type: OrderType = OrderType.STOP_MARKET) -> tuple[Store, OrderIntent]:
    """A position with an order at the broker that waits for 95."""
    store, entry = buying(4)
    store.word(entry, filled(entry, 4))
    position = next(iter(store.positions.values()))
    cause = Cause(deployment="tst", source=position.id, action="stop")
    stop = issue_conditional(
        cause,
        position,
        position.legs[0],
        Side.SELL,
        d(4),
        order_type=order_type,
        trigger_price=d(95),
    )
    store.intents[stop.client_order_id] = stop
    store.claim(stop)
    return store, stop


@pytest.mark.req("ORD-7", "ORD-13")
def test_a_conditional_order_gets_a_new_trigger_price_by_a_change_that_may_be_repeated() -> None:
    store, stop = stopping()
    store.word(stop, report(stop, OrderStatus.OPEN))
    target = store.intents[stop.client_order_id]
    assert target.rests
    change = issue_modify(target, 1, quantity=d(4), trigger_price=d(97))
    assert (change.order.price, change.order.trigger_price) == (None, 97)
    seen = carried(stop, OrderStatus.OPEN, trigger_price=d(95))
    assert not is_carried_out(change, seen.report)
    seen = carried(stop, OrderStatus.OPEN, trigger_price=d(97))
    assert is_carried_out(change, seen.report)
    store.intents[change.client_order_id] = change
    store.claim(change)
    store.word(change, seen)
    assert store.intents[stop.client_order_id].order.trigger_price == 97
    assert store.intents[stop.client_order_id].order.order_type is OrderType.STOP_MARKET
    store.check()


@pytest.mark.req("ORD-12")
def test_a_stop_that_would_trigger_at_once_says_that_a_new_decision_is_wanted() -> None:
    store, stop = stopping()
    refused = NotPlaced(code="-2021", message="Order would…", denial=Denial.WOULD_TRIGGER)
    store.word(stop, refused)
    after = store.intents[stop.client_order_id]
    assert (after.state, after.denial) == (S.REJECTED, Denial.WOULD_TRIGGER)
    assert after.reason == "would_trigger: -2021: Order would…"
    assert replace(after, reason="-2019: margin").denial is None


def test_an_order_has_a_trigger_price_if_and_only_if_it_is_conditional() -> None:
    _, stop = stopping()
    with pytest.raises(Bug):
        replace(stop.order, trigger_price=None)
    with pytest.raises(Bug):
        replace(stop.order, order_type=OrderType.MARKET)


@pytest.mark.req("ORD-1")
def test_ids_of_changes_are_derived_from_their_order() -> None:
    _, intent = buying()
    ids = {issue_cancel(intent, 1).client_order_id, issue_cancel(intent, 2).client_order_id}
    ids.add(issue_modify(intent, 1, quantity=d(1), price=d(1)).client_order_id)
    assert len(ids) == 3
    assert issue_cancel(intent, 1) == issue_cancel(intent, 1)


@pytest.mark.req("ORD-7")
def test_a_repeat_waits_until_the_first_can_no_longer_arrive() -> None:
    store, intent = buying()
    cancel = replace(
        issue_cancel(intent, 1),
        send_by=store.now,
        expires_at=store.now + timedelta(seconds=5),
    )
    assert not may_be_repeated(cancel, store.now + timedelta(seconds=6))
    assert may_be_repeated(cancel, store.now + timedelta(seconds=8))
