"""The contract of ports.trading.TradingStore: what brokers say, with the product's rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from onefill.core.book import Decision, Situation
from onefill.core.errors import Bug
from onefill.core.ids import ClientOrderId
from onefill.core.intent import IntentState, OrderType
from onefill.core.orders.hearing import resized
from onefill.core.orders.report import NotPlaced, OrderReport, OrderStatus, Placed
from onefill.core.orders.ruling import Ruling, RulingRefusal, Verdict
from onefill.core.orders.settlement import LaneBooks, Settlement, Told, Unsettled, settle
from onefill.core.signal import LoggedSignal, SignalStatus
from support import until
from trading_desk import Desk, situation_of
from trading_support import (
    TTL_MS,
    Authority,
    close,
    decide,
    decide_lanes,
    exits,
    filled,
    holder,
    log_all,
)

A, B = holder("a"), holder("b")
UNSETTLED = Unsettled(detail="two like it")
PRICE = Decimal(100)


@pytest.mark.req("ORD-4")
async def test_evidence_of_a_past_epoch_is_written_all_the_same(
    desk: Desk, authority: Authority
) -> None:
    intent = await desk.sent()
    assert await authority.leases(A).release("leader", desk.epoch, A)
    assert await authority.leases(B).acquire("leader", desk.epoch, B, TTL_MS)
    settled = await desk.store.settle([filled(intent)], settle)
    assert [i.state for i in settled.intents] == [IntentState.FILLED]


@pytest.mark.req("ORD-10")
async def test_fills_count_once_however_often_they_are_told(desk: Desk) -> None:
    signal = replace(await desk.signal("SIM001", "o"), quantity=Decimal(5))
    await log_all(desk.log, signal)
    (intent,) = await decide_lanes(desk.store, desk.epoch, [signal.lane])
    await desk.claim(intent)
    part, whole = filled(intent, quantity=Decimal(2)), filled(intent)
    for words in ([part], [part, part], [whole, part], [whole], [part]):
        await desk.store.settle(words, settle)
    (position,) = (await situation_of(desk, signal.lane)).here
    assert (position.legs[0].net, position.legs[0].bought_value) == (Decimal(5), Decimal(500))
    assert await desk.store.working(9) == []


@pytest.mark.req("ORD-10", "ORD-9")
async def test_orders_at_the_broker_are_known_by_the_brokers_id(desk: Desk) -> None:
    intent = await desk.sent()
    part = filled(intent, quantity=Decimal("0.5"))
    await desk.store.settle([part], settle)
    assert [i.client_order_id for i in await desk.store.working(9)] == [intent.client_order_id]
    name = f"b-{intent.client_order_id}"
    known = await desk.store.known_orders(intent.order.broker, [name, "a stranger"])
    assert known == {name: intent.client_order_id}


@pytest.mark.req("ORD-4")
async def test_the_venues_word_wins_over_a_signal_that_had_failed(desk: Desk) -> None:
    intent = await desk.sent()
    assert intent.signal_id is not None
    refused = NotPlaced(code="-2010", message="no")
    told = Told(client_order_id=intent.client_order_id, attempt=1, word=refused)
    await desk.store.settle([told], settle)
    assert await desk.statuses([intent.signal_id]) == [(SignalStatus.FAILED, "-2010: no")]
    settled = await desk.store.settle([filled(intent)], settle)
    assert await desk.statuses([intent.signal_id]) == [(SignalStatus.EXECUTED, None)]
    assert len(settled.alarms) == 1
    assert (await situation_of(desk, intent.lane)).blocked == "contradiction"


@pytest.mark.req("ORD-4")
async def test_a_lane_that_cannot_be_settled_is_blocked_and_the_others_are_written(
    desk: Desk,
) -> None:
    bad, good = await desk.sent("SIM001", "bad"), await desk.sent("SIM002", "good")

    def choosy(books: LaneBooks, told: Sequence[Told]) -> Settlement:
        if books.intents[0].lane == bad.lane:
            raise Bug("a rule that breaks")
        return settle(books, told)

    settled = await desk.store.settle([filled(bad), filled(good)], choosy)
    assert [i.client_order_id for i in settled.intents] == [good.client_order_id]
    assert len(settled.alarms) == 1
    assert (await situation_of(desk, bad.lane)).blocked == "settlement_failed"
    healed = await desk.store.settle([filled(bad)], settle)
    assert [i.state for i in healed.intents] == [IntentState.FILLED]


async def test_a_word_about_an_unknown_order_alarms_and_changes_nothing(desk: Desk) -> None:
    intent = await desk.sent()
    stranger = replace(filled(intent), client_order_id=ClientOrderId("of000000000000000000"))
    settled = await desk.store.settle([stranger], settle)
    assert (len(settled.alarms), settled.intents) == (1, ())


@pytest.mark.req("ORD-7", "ORD-13")
async def test_a_conditional_order_keeps_its_trigger_price_through_a_change(desk: Desk) -> None:
    stop = {"order_type": OrderType.STOP_MARKET, "trigger_price": Decimal("99.5")}

    def stopping(logged: LoggedSignal, situation: Situation) -> Decision:
        decision = decide(logged, situation)
        (intent,) = decision.intents
        return replace(decision, intents=(replace(intent, order=replace(intent.order, **stop)),))

    signal = await desk.signal("SIM001", "o")
    await log_all(desk.log, signal)
    decided = await desk.store.decide(desk.epoch, [signal.lane], stopping, exits)
    (intent,) = decided.intents
    await desk.claim(intent)
    opened = OrderReport(broker_order_id="algo-1", status=OrderStatus.OPEN)
    told = Told(client_order_id=intent.client_order_id, attempt=1, word=Placed(report=opened))
    await desk.store.settle([told], settle)
    (working,) = await desk.store.working(9)
    assert (working.order.order_type, working.order.trigger_price) == tuple(stop.values())
    moved = replace(opened, quantity=Decimal(1), trigger_price=Decimal(98))
    told = replace(told, word=Placed(report=moved))

    def raised(books: LaneBooks, _: Sequence[Told]) -> Settlement:
        (order,) = books.intents
        return Settlement(intents=(resized(order, Decimal(1), moved),))

    await desk.store.settle([told], raised)
    (working,) = await desk.store.working(9)
    assert working.order.trigger_price == Decimal(98)


@pytest.mark.req("PF-12", "ORD-8")
async def test_an_exit_that_ended_short_is_issued_again_when_it_is_due(desk: Desk) -> None:
    held = await desk.sent("SIM001", "1")
    await desk.store.settle([filled(held)], settle)
    await log_all(desk.log, close("SIM001", await desk.store.now(), "2"))
    (leaving,) = await decide_lanes(desk.store, desk.epoch, [held.lane])
    await desk.claim(leaving)
    refused = NotPlaced(code="-2010", message="no")
    told = Told(client_order_id=leaving.client_order_id, attempt=1, word=refused)
    await desk.store.settle([told], settle)

    async def is_due() -> bool:
        return list(await desk.store.lanes_with_work(9)) == [held.lane]

    await until(is_due)
    (again,) = await decide_lanes(desk.store, desk.epoch, [held.lane])
    assert (again.n, again.order.quantity) == (2, Decimal(1))
    await desk.claim(again)
    settled = await desk.store.settle([filled(again)], settle)
    assert [status for _, status, _ in settled.signals] == [SignalStatus.EXECUTED]
    assert await desk.store.lanes_with_work(9) == []


@pytest.mark.req("ORD-7")
async def test_of_two_that_look_alike_a_person_must_say_which_order_it_is(
    desk: Desk, authority: Authority
) -> None:
    signals = [await desk.signal("SIM001", "o")]
    signals.append(replace(signals[0], portfolio="other"))
    await log_all(desk.log, *signals)
    pair = await decide_lanes(desk.store, desk.epoch, [signal.lane for signal in signals])
    assert await desk.claim(*pair) == ["claimed"] * 2
    words = [Told(client_order_id=i.client_order_id, attempt=1, word=UNSETTLED) for i in pair]
    await desk.store.settle(words, settle)
    one, two = (intent.client_order_id for intent in pair)
    seen = Ruling(verdict=Verdict.PLACED, note="", filled_quantity=Decimal(1), average_price=PRICE)
    assert await authority.resolve(one, seen) is RulingRefusal.WHICH_ORDER
    assert await authority.resolve(one, replace(seen, broker_order_id="7")) is None
    assert await authority.resolve(two, replace(seen, broker_order_id="7")) is (
        RulingRefusal.ANOTHERS_ORDER
    )
    assert await authority.resolve(two, seen) is None
