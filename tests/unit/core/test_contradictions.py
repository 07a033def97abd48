from dataclasses import replace

import pytest

from makers import (
    buying,
    entering,
    filled,
    position_of,
    report,
    state_of,
    told,
)
from onefill.core.intent import IntentState
from onefill.core.orders.report import (
    NotSent,
    OrderStatus,
)
from onefill.core.position import PositionStatus
from onefill.core.signal import SignalStatus

S = IntentState
ACCEPTED = OrderStatus.OPEN


@pytest.mark.req("ORD-4")
@pytest.mark.parametrize("believed", [S.NEW, S.NOT_PLACED, S.EXPIRED, S.REJECTED])
@pytest.mark.parametrize("status", [OrderStatus.FILLED, OrderStatus.CANCELLED])
def test_an_execution_that_contradicts_our_book_is_believed_alarmed_and_blocks(
    believed: IntentState, status: OrderStatus
) -> None:
    store, intent = buying()
    now = store.intents[intent.client_order_id]
    store.intents[intent.client_order_id] = replace(now, state=believed)
    quantity = 10 if status is OrderStatus.FILLED else 4
    settled = store.tell(told(intent, report(intent, status, quantity=quantity)))
    assert state_of(store, intent).value == status.name
    assert settled.block == "contradiction"
    assert settled.alarms
    assert position_of(store).legs[0].net == quantity
    assert position_of(store).status is PositionStatus.OPEN
    store.check()


@pytest.mark.req("ORD-4")
def test_an_order_that_was_there_and_is_cancelled_is_not_sent_again() -> None:
    store, intent = buying()
    store.tell(told(intent, NotSent(detail="late")))
    settled = store.tell(told(intent, report(intent, OrderStatus.CANCELLED)))
    assert state_of(store, intent) is S.CANCELLED
    assert settled.block == "contradiction"


@pytest.mark.req("ORD-4")
def test_two_executed_orders_for_one_intent_alarm_and_block() -> None:
    store, intent = buying()
    store.tell(told(intent, report(intent, OrderStatus.FILLED, quantity=10, order_id="a")))
    settled = store.tell(
        told(intent, report(intent, OrderStatus.FILLED, quantity=10, order_id="b"))
    )
    assert settled.block == "two_orders"
    assert "a and b" in settled.alarms[0]
    assert (settled.fills, position_of(store).legs[0].net) == ((), 10)
    store.check()


@pytest.mark.req("ORD-4")
def test_of_two_orders_the_executed_one_is_booked_and_a_dead_one_is_no_news() -> None:
    store, intent = buying()
    store.tell(told(intent, report(intent, ACCEPTED, order_id="a")))
    dead = store.tell(told(intent, report(intent, OrderStatus.REJECTED, order_id="c")))
    assert (dead.intents, dead.block) == ((), None)
    settled = store.tell(
        told(intent, report(intent, OrderStatus.FILLED, quantity=10, order_id="b"))
    )
    assert settled.block == "two_orders"
    assert store.intents[intent.client_order_id].broker_order_id == "b"
    store.check()


@pytest.mark.req("ORD-4")
def test_an_acceptance_heard_after_the_refusal_of_the_same_order_is_only_late() -> None:
    store, intent = buying()
    store.tell(told(intent, report(intent, OrderStatus.REJECTED, message="margin")))
    settled = store.tell(told(intent, report(intent, ACCEPTED)))
    assert (settled.intents, settled.block) == ((), None)
    assert store.signals[1] == (SignalStatus.FAILED, "margin")


@pytest.mark.req("ORD-4")
def test_a_fill_that_overtook_our_cancel_opens_the_position_after_all() -> None:
    store, call, put = entering()
    store.tell(told(call, report(call, ACCEPTED)))
    store.tell(told(call, report(call, OrderStatus.CANCELLED)))
    assert position_of(store).status is PositionStatus.CLOSED
    assert state_of(store, put) is S.EXPIRED
    settled = store.tell(told(call, filled(call, call.order.quantity)))
    assert position_of(store).status is PositionStatus.PARTIAL
    assert "half built" in settled.alarms[0]
    store.check()


@pytest.mark.req("PF-8")
def test_a_late_fill_never_takes_a_slot_that_was_given_to_another() -> None:
    store, call, _ = entering()
    store.tell(told(call, report(call, ACCEPTED)))
    store.tell(told(call, report(call, OrderStatus.CANCELLED)))
    rival = replace(position_of(store), id="p2", status=PositionStatus.OPEN)  # type: ignore[arg-type]
    store.positions[rival.id] = rival
    settled = store.tell(told(call, filled(call, call.order.quantity)))
    assert settled.block == "slot_conflict"
    assert position_of(store).status is PositionStatus.CLOSED
    assert position_of(store).leg("ce").net == call.order.quantity
