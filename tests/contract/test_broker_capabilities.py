"""What each adapter declares that its broker can do, held against what the venue does (ORD-6)."""

from __future__ import annotations

import json
import urllib.error
from dataclasses import replace
from decimal import Decimal

import pytest

from broker_desk import FINDS_BY_ID, Desk, desk, everywhere, resting
from broker_support import in_doubt, paper_venues, signed
from contract.broker_answers import BINANCE, REFUSED, RETRY
from onefill.core.intent import Denial, OrderIntent, Side
from onefill.core.issue import issue_cancel, issue_modify
from onefill.core.orders.report import (
    Absent,
    Carried,
    Found,
    NoAnswer,
    NotPlaced,
    OrderStatus,
    Outcome,
    Placed,
    Unknown,
)
from onefill.ports.broker import OrderClass
from support import until

__all__ = ["desk", "paper_venues"]

pytestmark = pytest.mark.req("ORD-6", "Q-4")

HOUR_MS = 3_600_000
by_id = pytest.mark.parametrize("desk", FINDS_BY_ID, indirect=True, ids="-".join)
class_b = pytest.mark.parametrize("desk", [("binance", "B")], indirect=True, ids="-".join)


@everywhere
async def test_while_an_order_is_open_its_id_is_taken_unless_the_class_is_c(desk: Desk) -> None:
    order = await resting(desk)
    before = len(await desk.broker.open_orders())
    again = replace(order, broker_order_id=None, attempt=1)
    _, outcome = await desk.place(again)
    assert isinstance(outcome, Placed)
    is_new = outcome.report.broker_order_id != order.broker_order_id
    is_free = desk.broker.capabilities.order_class is OrderClass.C
    assert is_new is is_free
    assert len(await desk.broker.open_orders()) == before + is_free


@everywhere
async def test_after_a_fill_its_id_is_taken_for_ever_in_class_a_only(desk: Desk) -> None:
    intent = desk.intent()
    numbers = set()
    for attempt in range(3):
        _, outcome = await desk.place(replace(intent, attempt=attempt))
        assert isinstance(outcome, Placed)
        numbers.add(outcome.report.broker_order_id)
    is_for_ever = desk.broker.capabilities.order_class is OrderClass.A
    assert len(numbers) == desk.venue.executions(intent) == (1 if is_for_ever else 3)


@by_id
async def test_after_a_cancel_its_id_is_taken_for_ever_in_class_a_only(desk: Desk) -> None:
    order = await resting(desk)
    cancel = issue_cancel(order, 1)
    assert isinstance(await desk.broker.send(await desk.broker.prepare(cancel)), Carried)
    _, outcome = await desk.place(replace(order, broker_order_id=None, attempt=1))
    assert isinstance(outcome, Placed)
    is_for_ever = desk.broker.capabilities.order_class is OrderClass.A
    expected = OrderStatus.CANCELLED if is_for_ever else OrderStatus.OPEN
    assert outcome.report.status is expected


@everywhere
async def test_rivals_matter_only_where_nothing_is_found_by_our_id(desk: Desk) -> None:
    lost, rival = desk.intent(), desk.intent()
    desk.venue.fault("drop_reply")
    prepared, _ = await desk.place(lost)
    seen = await desk.broker.look_up(in_doubt(prepared), (rival,))
    if desk.broker.capabilities.finds_by_client_id:
        assert isinstance(seen, Found)
    else:
        assert isinstance(seen, NoAnswer)


@everywhere
async def test_a_request_expires_exactly_where_that_is_declared(desk: Desk) -> None:
    intent = desk.intent()
    prepared = await desk.broker.prepare(intent)
    desk.venue.call("POST", "/clock", {"offset_ms": HOUR_MS})
    outcome = await desk.broker.send(prepared)
    expires = desk.broker.capabilities.request_expiry_ms is not None
    assert isinstance(outcome, NotPlaced if expires else Placed)
    assert desk.venue.executions(intent) == (0 if expires else 1)


@everywhere
async def test_the_lag_is_the_venues_own_and_a_late_order_keeps_to_it(desk: Desk) -> None:
    declared_ms = desk.broker.capabilities.visibility_lag_ms
    assert declared_ms == desk.venue.call("GET", "/healthz")["lag_ms"]
    desk.venue.fault("late")
    intent = desk.intent()
    prepared, outcome = await desk.place(intent)
    assert isinstance(outcome, Unknown)
    await desk.found(in_doubt(prepared))
    assert desk.venue.executions(intent) == 1


@class_b
async def test_an_order_that_breaks_the_declared_lag_is_seen_when_it_appears(desk: Desk) -> None:
    desk.venue.fault("late", ms=8_000)
    intent = desk.intent()
    prepared, outcome = await desk.place(intent)
    assert isinstance(outcome, Unknown)
    doubtful = in_doubt(prepared)

    async def absent() -> bool:
        seen = await desk.broker.look_up(doubtful, ())
        return isinstance(seen, Absent) and seen.conclusive

    async def appeared() -> bool:
        return isinstance(await desk.broker.look_up(doubtful, ()), Found)

    await until(absent)
    await until(appeared)
    assert desk.venue.executions(intent) == 1


@everywhere
async def test_what_may_only_reduce_never_opens_and_is_the_venues_work_where_that_is_declared(
    desk: Desk,
) -> None:
    symbol = {} if desk.broker.name == "openalgo" else {"symbol": "SIM098"}
    before = (await desk.broker.positions()).get(desk.intent(**symbol).order.symbol, Decimal(0))
    held = max(before, Decimal(0))
    more = held + desk.intent().order.quantity
    sell = desk.intent(**symbol, side=Side.SELL, quantity=more, reduce_only=True)
    _, outcome = await desk.place(sell)
    net = (await desk.broker.positions()).get(sell.order.symbol, Decimal(0))
    assert isinstance(outcome, NotPlaced)
    assert (net, outcome.denial) == (before, Denial.NOTHING_TO_REDUCE)
    is_native = desk.broker.capabilities.native_reduce_only
    assert (outcome.code == "-2022") is is_native
    assert desk.venue.executions(sell) == 0


@everywhere
async def test_one_order_may_wait_to_close_a_whole_side_exactly_where_that_is_declared(
    desk: Desk,
) -> None:
    is_declared = desk.broker.capabilities.native_close_position
    assert is_declared is (desk.broker.name == "binance")
    if not is_declared:  # OpenAlgo has no such word; what it does not know, it refuses or drops
        return
    wish = {"algoType": "CONDITIONAL", "type": "STOP_MARKET", "side": "SELL", "symbol": "SIM097"}
    closing = {**wish, "closePosition": "true", "triggerPrice": 90}
    await desk.place(desk.intent(symbol="SIM097", quantity=Decimal(7)))
    signed(desk.venue, "POST", "/fapi/v1/algoOrder", **closing)
    with pytest.raises(urllib.error.HTTPError) as second:
        signed(desk.venue, "POST", "/fapi/v1/algoOrder", **closing)
    assert json.load(second.value)["code"] == -4130
    desk.venue.call("POST", "/price", {"symbol": "SIM097", "price": "89"})
    desk.venue.call("POST", "/price", {"symbol": "SIM097", "price": "100"})
    assert "SIM097" not in await desk.broker.positions()


@everywhere
async def test_an_order_is_changed_as_often_as_declared_and_not_once_more(desk: Desk) -> None:
    order = await resting(desk)
    most = desk.broker.capabilities.modifications_max
    for n in range(1, (most or 30) + 1):
        outcome = await change(desk, order, n)
        assert isinstance(outcome, Carried), f"change {n}: {outcome}"
    outcome = await change(desk, order, 31)
    assert isinstance(outcome, Carried) is (most is None)


async def change(desk: Desk, order: OrderIntent, n: int) -> Outcome:
    wish = issue_modify(order, n, quantity=order.order.quantity, price=Decimal(1 + n))
    return await desk.broker.send(await desk.broker.prepare(wish))


@everywhere
async def test_fills_are_told_at_once_exactly_where_that_is_declared(desk: Desk) -> None:
    _, outcome = await desk.place(desk.intent())
    assert isinstance(outcome, Placed)
    tells = desk.broker.capabilities.reports_fills_on_placing
    assert (outcome.report.filled_quantity > 0) is tells


@class_b
async def test_each_listed_refusal_of_the_table_is_declared(desk: Desk) -> None:
    definite = {
        str(row.body["code"])
        for row in BINANCE
        if isinstance(row.body, dict) and set(row.concluded.values()) <= {REFUSED, RETRY}
    }
    assert definite <= desk.broker.capabilities.definite_refusals
