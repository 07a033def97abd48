"""Orders that wait for their trigger price, at the real paper venue, in every class of Binance's.

A conditional order becomes another order once triggered; whoever asks sees one order, filled once.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from broker_desk import WINDOW_MS, Desk, desk
from broker_support import in_doubt, paper_venues
from onefill.core.intent import Denial, IntentState, OrderIntent, OrderType, Side
from onefill.core.issue import issue_cancel, issue_modify
from onefill.core.orders.report import (
    Absent,
    Carried,
    Found,
    LookUp,
    NotPlaced,
    OrderReport,
    OrderStatus,
    Placed,
    Unknown,
)
from support import until

__all__ = ["desk", "paper_venues"]

STOP, PROFIT = OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET
binance = pytest.mark.parametrize(
    "desk", [("binance", name) for name in "ABC"], indirect=True, ids="-".join
)
class_b = pytest.mark.parametrize("desk", [("binance", "B")], indirect=True, ids="-".join)
by_id = pytest.mark.parametrize(
    "desk", [("binance", name) for name in "AB"], indirect=True, ids="-".join
)


def waiting_for(desk: Desk, trigger: int, kind: OrderType = STOP, **order: object) -> OrderIntent:
    return desk.intent(
        **{"side": Side.SELL, "order_type": kind, "trigger_price": Decimal(trigger)} | order
    )


async def placed(desk: Desk, intent: OrderIntent) -> OrderIntent:
    """The intent as the store has it once it was accepted."""
    _, outcome = await desk.place(intent)
    assert isinstance(outcome, Placed), outcome
    assert outcome.report.status is OrderStatus.OPEN
    number = outcome.report.broker_order_id
    desk.owners[number] = intent.client_order_id
    return replace(intent, state=IntentState.ACKED, broker_order_id=number)


def move_to(desk: Desk, price: int) -> None:
    desk.venue.call("POST", "/price", {"symbol": "SIM001", "price": str(price)})


async def shown(desk: Desk, order: OrderIntent) -> OrderReport:
    seen = await desk.broker.look_up(order, ())
    assert isinstance(seen, Found), seen
    return seen.report


async def ids_listed(desk: Desk) -> tuple[list[str], list[str]]:
    """Broker order ids of what works, and of all that is listed."""
    working = await desk.broker.open_orders()
    listed = await desk.broker.history({"SIM001"})
    return [r.broker_order_id for r in working], [r.broker_order_id for r in listed]


@pytest.mark.req("ORD-12", "ORD-13")
@binance
@pytest.mark.parametrize(
    ("side", "kind", "prices"),
    [
        (Side.SELL, STOP, (90, 91, 89)),
        (Side.BUY, STOP, (110, 109, 111)),
        (Side.SELL, PROFIT, (110, 109, 110)),
        (Side.BUY, PROFIT, (90, 91, 90)),
    ],
)
async def test_it_waits_for_its_price_and_then_its_fill_is_followed_once(
    desk: Desk, side: Side, kind: OrderType, prices: tuple[int, int, int]
) -> None:
    trigger, short_of, past = prices
    before = await ids_listed(desk)
    order = await placed(desk, waiting_for(desk, trigger, kind, side=side))
    move_to(desk, short_of)
    report = await shown(desk, order)
    assert (report.status, report.trigger_price) == (OrderStatus.OPEN, trigger)
    assert await ids_listed(desk) == (
        [*before[0], order.broker_order_id],
        [*before[1], order.broker_order_id],
    )
    move_to(desk, past)
    report = await shown(desk, order)
    assert (report.status, report.filled_quantity) == (OrderStatus.FILLED, order.order.quantity)
    assert report.filled_value == order.order.quantity * past
    assert report.broker_order_id == order.broker_order_id
    # What it became is not a second order, neither here nor for reconciliation.
    assert await ids_listed(desk) == (before[0], [*before[1], order.broker_order_id])
    assert desk.venue.executions(order) == 1


@pytest.mark.req("ORD-12")
@binance
async def test_a_triggered_order_that_fills_in_parts_is_one_order_that_works(desk: Desk) -> None:
    desk.venue.fault("partial_fill", quantity="1")
    order = await placed(desk, waiting_for(desk, 90))
    move_to(desk, 90)
    report = await shown(desk, order)
    assert (report.status, report.filled_quantity) == (OrderStatus.PARTIALLY_FILLED, 1)
    assert [r for r in await desk.broker.open_orders() if r.symbol == "SIM001"] == [report]
    move_to(desk, 89)
    report = await shown(desk, order)
    assert (report.status, report.filled_value) == (OrderStatus.FILLED, 90 + 89)


@pytest.mark.req("ORD-12")
@binance
async def test_one_that_would_trigger_at_once_asks_for_a_new_decision(desk: Desk) -> None:
    intent = waiting_for(desk, 101)
    _, outcome = await desk.place(intent)
    assert isinstance(outcome, NotPlaced)
    assert (outcome.code, outcome.retry) == ("-2021", False)
    assert outcome.denial is Denial.WOULD_TRIGGER
    assert desk.venue.executions(intent) == 0


@pytest.mark.req("ORD-12")
@binance
async def test_one_with_nothing_left_to_reduce_ends_without_a_fill(desk: Desk) -> None:
    held = desk.venue.call("GET", "/positions")["positions"]
    net = next((Decimal(p["quantity"]) for p in held if p["symbol"] == "SIM001"), Decimal(0))
    side = Side.SELL if net <= 0 else Side.BUY
    trigger = 90 if side is Side.SELL else 110
    order = await placed(desk, waiting_for(desk, trigger, side=side, reduce_only=True))
    move_to(desk, trigger)
    assert (await shown(desk, order)).status is OrderStatus.REJECTED
    assert desk.venue.executions(order) == 0


# In doubt


@pytest.mark.req("ORD-5", "ORD-7")
@binance
@pytest.mark.parametrize("kind", ["drop_reply", "error_after", "lying_400"])
async def test_one_with_a_bad_answer_is_unknown_and_then_found(desk: Desk, kind: str) -> None:
    desk.venue.fault(kind)
    prepared, outcome = await desk.place(waiting_for(desk, 90))
    assert isinstance(outcome, Unknown)
    report = (await desk.found(in_doubt(prepared))).report
    assert (report.status, report.quantity) == (OrderStatus.OPEN, Decimal(2))


@pytest.mark.req("ORD-5", "ORD-7")
@binance
async def test_one_that_shows_up_late_is_found_and_never_said_to_be_absent(desk: Desk) -> None:
    desk.venue.fault("late", ms=250)
    prepared, outcome = await desk.place(waiting_for(desk, 90))
    assert isinstance(outcome, Unknown)
    await desk.found(in_doubt(prepared))


@pytest.mark.req("ORD-7")
@class_b
async def test_its_absence_proves_something_only_after_expiry_and_lag(desk: Desk) -> None:
    desk.venue.fault("error_before", match={"path": "/fapi/v1/algoOrder"})
    prepared, _ = await desk.place(waiting_for(desk, 90))
    lost = in_doubt(prepared)
    seen = await desk.broker.look_up(lost, ())
    assert isinstance(seen, Absent)
    assert not seen.conclusive
    grace_ms = WINDOW_MS + desk.broker.capabilities.visibility_lag_ms
    desk.venue.call("POST", "/clock", {"offset_ms": grace_ms + 5_000})
    desk.broker.venue_clock.doubt()  # type: ignore[attr-defined]

    async def absent_for_good() -> LookUp | None:
        seen = await desk.broker.look_up(lost, ())
        return seen if isinstance(seen, Absent) and seen.conclusive else None

    await until(absent_for_good)


@pytest.mark.req("ORD-7")
@by_id
async def test_a_repeat_while_it_waits_adopts_the_first(desk: Desk) -> None:
    intent = waiting_for(desk, 90)
    first = await placed(desk, intent)
    _, second = await desk.place(replace(intent, attempt=1))
    assert isinstance(second, Placed)
    assert second.report.broker_order_id == first.broker_order_id


# Cancels and changes


@pytest.mark.req("ORD-7", "ORD-12")
@binance
async def test_it_is_cancelled_and_again_is_as_good(desk: Desk) -> None:
    order = await placed(desk, waiting_for(desk, 90))
    for n in (1, 2):
        _, outcome = await desk.place(issue_cancel(order, n))
        assert isinstance(outcome, Carried), outcome
        assert outcome.report.status is OrderStatus.CANCELLED
    move_to(desk, 80)
    assert desk.venue.executions(order) == 0


@pytest.mark.req("ORD-7", "ORD-12")
@binance
async def test_a_cancel_reaches_what_it_has_become(desk: Desk) -> None:
    desk.venue.fault("partial_fill", quantity="1")
    order = await placed(desk, waiting_for(desk, 90))
    move_to(desk, 90)
    _, outcome = await desk.place(issue_cancel(order, 1))
    assert isinstance(outcome, Carried), outcome
    assert (outcome.report.status, outcome.report.filled_quantity) == (OrderStatus.CANCELLED, 1)
    move_to(desk, 80)
    assert desk.venue.executions(order) == 1


@pytest.mark.req("ORD-12")
@class_b
async def test_a_change_is_refused_before_anything_is_sent(desk: Desk) -> None:
    assert desk.broker.capabilities.conditional == {STOP, PROFIT}
    assert not desk.broker.capabilities.changes_conditional
    order = await placed(desk, waiting_for(desk, 90))
    change = issue_modify(order, 1, quantity=Decimal(2), trigger_price=Decimal(91))
    _, outcome = await desk.place(change)
    assert isinstance(outcome, NotPlaced)
    assert "cancel it" in outcome.message
