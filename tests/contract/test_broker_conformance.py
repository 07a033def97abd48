"""Every adapter against the real paper venue, in every class; the venue's ledger is the judge."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from broker_desk import FINDS_BY_ID, NAMELESS, TARGETS, WINDOW_MS, Desk, desk, everywhere
from broker_support import in_doubt, paper_venues
from onefill.brokers.binance import BinanceBroker
from onefill.core.errors import BrokerUnavailable
from onefill.core.intent import OrderType
from onefill.core.orders.report import (
    Absent,
    Found,
    NoAnswer,
    NotPlaced,
    OrderStatus,
    Placed,
    Unknown,
)
from support import until

__all__ = ["desk", "paper_venues"]

by_id = pytest.mark.parametrize("desk", FINDS_BY_ID, indirect=True, ids="-".join)
nameless = pytest.mark.parametrize("desk", NAMELESS, indirect=True, ids="-".join)
class_a = pytest.mark.parametrize("desk", [("binance", "A")], indirect=True, ids="-".join)
class_b = pytest.mark.parametrize("desk", [("binance", "B")], indirect=True, ids="-".join)


@pytest.mark.req("ORD-3", "ORD-5", "ORD-12")
@everywhere
async def test_a_market_order_is_placed_once_and_its_fill_is_reported_exactly(desk: Desk) -> None:
    intent = desk.intent()
    prepared, outcome = await desk.place(intent)
    assert isinstance(outcome, Placed)
    placed = replace(in_doubt(prepared), broker_order_id=outcome.report.broker_order_id)
    report = (await desk.found(placed)).report
    assert report.status is OrderStatus.FILLED
    assert report.filled_quantity == intent.order.quantity
    assert report.filled_value > 0
    assert desk.venue.executions(intent) == 1
    if desk.broker.capabilities.reports_fills_on_placing:
        assert outcome.report == report
    assert (await desk.broker.positions())[intent.order.symbol] > 0


@pytest.mark.req("ORD-7")
@class_a
async def test_a_duplicate_id_means_that_the_first_one_was_placed(desk: Desk) -> None:
    intent = desk.intent()
    _, first = await desk.place(intent)
    _, second = await desk.place(replace(intent, attempt=1))
    assert isinstance(first, Placed)
    assert second == first


@pytest.mark.req("ORD-5", "ORD-7")
@everywhere
@pytest.mark.parametrize("kind", ["drop_reply", "error_after", "lying_400"])
async def test_an_executed_order_with_a_bad_answer_is_unknown_and_then_found(
    desk: Desk, kind: str
) -> None:
    desk.venue.fault(kind)
    intent = desk.intent()
    prepared, outcome = await desk.place(intent)
    assert isinstance(outcome, Unknown)
    report = (await desk.found(in_doubt(prepared))).report
    assert (report.status, report.filled_quantity) == (OrderStatus.FILLED, intent.order.quantity)
    assert desk.venue.executions(intent) == 1


@pytest.mark.req("ORD-5")
@everywhere
async def test_an_order_that_shows_up_late_is_found_and_never_said_to_be_absent(
    desk: Desk,
) -> None:
    desk.venue.fault("late", ms=250)
    intent = desk.intent()
    prepared, outcome = await desk.place(intent)
    assert isinstance(outcome, Unknown)
    await desk.found(in_doubt(prepared))
    assert desk.venue.executions(intent) == 1


@pytest.mark.req("ORD-5")
@everywhere
async def test_a_listed_refusal_is_definite(desk: Desk) -> None:
    desk.venue.fault("reject")
    intent = desk.intent()
    _, outcome = await desk.place(intent)
    assert isinstance(outcome, NotPlaced)
    assert not outcome.retry
    assert desk.venue.executions(intent) == 0


@pytest.mark.req("ORD-5")
@by_id
async def test_an_error_before_executing_may_be_tried_again_once_a_look_up_saw_nothing(
    desk: Desk,
) -> None:
    desk.venue.fault("error_before")
    intent = desk.intent()
    _, outcome = await desk.place(intent)
    assert isinstance(outcome, NotPlaced)
    assert outcome.retry
    _, outcome = await desk.place(replace(intent, attempt=1))
    assert isinstance(outcome, Placed)
    assert desk.venue.executions(intent) == 1


@pytest.mark.req("ORD-5")
@nameless
async def test_without_look_ups_by_id_an_error_before_executing_stays_unknown(desk: Desk) -> None:
    desk.venue.fault("error_before")
    prepared, outcome = await desk.place(desk.intent())
    assert isinstance(outcome, Unknown)
    seen = await desk.broker.look_up(in_doubt(prepared), ())
    assert isinstance(seen, Absent)
    assert not seen.conclusive


@pytest.mark.req("ORD-7")
@class_b
async def test_absence_proves_something_only_after_expiry_and_lag(desk: Desk) -> None:
    assert isinstance(desk.broker, BinanceBroker)
    prepared = await desk.broker.prepare(desk.intent())
    doubtful = in_doubt(prepared)
    seen = await desk.broker.look_up(doubtful, ())
    assert isinstance(seen, Absent)
    assert not seen.conclusive

    async def conclusive() -> bool:
        seen = await desk.broker.look_up(doubtful, ())
        return isinstance(seen, Absent) and seen.conclusive

    await until(conclusive)
    assert prepared.expires_at is not None
    grace_ms = WINDOW_MS + desk.broker.capabilities.visibility_lag_ms
    now_ms = desk.venue.call("GET", "/healthz")["time_ms"]
    assert now_ms > prepared.signed_at.timestamp() * 1_000 + grace_ms


@pytest.mark.req("ORD-7")
@pytest.mark.parametrize(
    "desk", [target for target in TARGETS if target[1] != "B"], indirect=True, ids="-".join
)
async def test_absence_proves_nothing_where_requests_never_expire(desk: Desk) -> None:
    prepared = await desk.broker.prepare(desk.intent())
    assert prepared.expires_at is None
    seen = await desk.broker.look_up(in_doubt(prepared), ())
    assert isinstance(seen, Absent)
    assert not seen.conclusive


@pytest.mark.req("ORD-3", "ORD-5")
@class_b
async def test_a_request_past_its_window_is_refused_and_a_new_attempt_goes_through(
    desk: Desk,
) -> None:
    assert isinstance(desk.broker, BinanceBroker)
    intent = desk.intent()
    prepared = await desk.broker.prepare(intent)
    expires_ms = prepared.signed_at.timestamp() * 1_000 + WINDOW_MS

    async def is_past() -> bool:
        return bool(desk.venue.call("GET", "/healthz")["time_ms"] > expires_ms)

    await until(is_past)
    outcome = await desk.broker.send(prepared)
    assert isinstance(outcome, NotPlaced)
    assert (outcome.code, outcome.retry) == ("-1021", True)
    _, outcome = await desk.place(replace(intent, attempt=1))
    assert isinstance(outcome, Placed)
    assert desk.venue.executions(intent) == 1


@pytest.mark.req("ORD-3", "ORD-12")
@class_b
@pytest.mark.parametrize("step_ms", [3_600_000, -3_600_000])
async def test_a_step_of_the_venues_clock_costs_one_attempt_and_is_then_followed(
    desk: Desk, step_ms: int
) -> None:
    intent = desk.intent()
    prepared = await desk.broker.prepare(intent)
    desk.venue.call("POST", "/clock", {"offset_ms": step_ms})
    outcome = await desk.broker.send(prepared)
    assert isinstance(outcome, NotPlaced)
    assert (outcome.code, outcome.retry) == ("-1021", True)
    prepared, outcome = await desk.place(replace(intent, attempt=1))
    assert isinstance(outcome, Placed)
    assert isinstance(await desk.broker.look_up(in_doubt(prepared), ()), Found)
    assert desk.venue.executions(intent) == 1


@pytest.mark.req("ORD-7")
@class_b
async def test_questions_follow_a_step_of_the_venues_clock_by_themselves(desk: Desk) -> None:
    prepared, _ = await desk.place(desk.intent())
    desk.venue.call("POST", "/clock", {"offset_ms": 3_600_000})
    assert isinstance(await desk.broker.look_up(in_doubt(prepared), ()), Found)
    assert await desk.broker.positions()


@pytest.mark.req("ORD-12")
@everywhere
async def test_a_limit_order_rests_is_listed_and_cancels_nothing(desk: Desk) -> None:
    intent = desk.intent(order_type=OrderType.LIMIT, price=Decimal(1))
    prepared, outcome = await desk.place(intent)
    assert isinstance(outcome, Placed)
    assert outcome.report.status is OrderStatus.OPEN
    number = outcome.report.broker_order_id
    assert number in [report.broker_order_id for report in await desk.broker.open_orders()]
    seen = await desk.found(replace(in_doubt(prepared), broker_order_id=number))
    assert seen.report.filled_quantity == 0
    assert desk.venue.executions(intent) == 0


@pytest.mark.req("ORD-10")
@everywhere
async def test_a_partial_fill_is_reported_with_what_it_cost(desk: Desk) -> None:
    step = Decimal(1) if desk.broker.name == "binance" else Decimal(10)
    desk.venue.fault("partial_fill", quantity=str(step))
    prepared, outcome = await desk.place(desk.intent())
    assert isinstance(outcome, Placed)
    placed = replace(in_doubt(prepared), broker_order_id=outcome.report.broker_order_id)
    report = (await desk.found(placed)).report
    assert (report.status, report.filled_quantity) == (OrderStatus.PARTIALLY_FILLED, step)
    assert report.filled_value > 0


@pytest.mark.req("ORD-10")
@pytest.mark.parametrize("desk", [("openalgo", "C")], indirect=True, ids="-".join)
@pytest.mark.parametrize("duplicated", [False, True])
async def test_a_book_without_fills_and_prices_is_completed_by_the_trade_book(
    desk: Desk, duplicated: bool
) -> None:
    desk.venue.call("POST", "/settings", {"lean": True})
    if duplicated:
        desk.venue.fault("duplicate_fill")
    prepared, outcome = await desk.place(desk.intent())
    assert isinstance(outcome, Placed)
    placed = replace(in_doubt(prepared), broker_order_id=outcome.report.broker_order_id)
    report = (await desk.found(placed)).report
    if duplicated:  # no price can be had that is certain: nothing is said before it is
        assert (report.status, report.filled_quantity) == (OrderStatus.OPEN, Decimal(0))
    else:
        assert (report.status, report.filled_quantity) == (OrderStatus.FILLED, Decimal(30))
        assert report.filled_value > 0


@pytest.mark.req("ORD-7")
@nameless
async def test_of_two_orders_alike_neither_is_adopted(desk: Desk) -> None:
    intents = [desk.intent(), desk.intent()]
    prepared = [await desk.broker.prepare(intent) for intent in intents]
    for each in prepared:
        desk.venue.fault("drop_reply")
        await desk.broker.send(each)
    first, second = (in_doubt(each) for each in prepared)
    assert isinstance(await desk.broker.look_up(first, (second,)), NoAnswer)
    assert isinstance(await desk.broker.look_up(first, ()), NoAnswer)


@pytest.mark.req("ORD-7")
@nameless
async def test_a_rival_for_the_only_order_leaves_it_open_whose_it_is(desk: Desk) -> None:
    intents = [desk.intent(), desk.intent()]
    prepared = [await desk.broker.prepare(intent) for intent in intents]
    desk.venue.fault("drop_reply")
    await desk.broker.send(prepared[0])
    first, second = (in_doubt(each) for each in prepared)
    assert isinstance(await desk.broker.look_up(second, (first,)), NoAnswer)


@pytest.mark.req("ORD-7")
@nameless
async def test_orders_that_were_there_before_or_are_anothers_are_not_adopted(desk: Desk) -> None:
    before, during, lost = desk.intent(), desk.intent(), desk.intent()
    await desk.place(before)
    prepared_during = await desk.broker.prepare(during)
    prepared_lost = await desk.broker.prepare(lost)
    outcome = await desk.broker.send(prepared_during)
    assert isinstance(outcome, Placed)
    desk.owners[outcome.report.broker_order_id] = during.client_order_id
    seen = await desk.broker.look_up(in_doubt(prepared_lost), ())
    assert isinstance(seen, Absent)
    assert not seen.conclusive


@pytest.mark.req("ORD-5")
@everywhere
async def test_a_look_up_without_an_answer_says_so(desk: Desk) -> None:
    prepared, _ = await desk.place(desk.intent())
    desk.venue.call("POST", "/faults", {"kind": "error_before", "match": {"kind": "query"}})
    assert isinstance(await desk.broker.look_up(in_doubt(prepared), ()), NoAnswer)
    with pytest.raises(BrokerUnavailable):
        await desk.broker.positions()
