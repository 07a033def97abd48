"""Cancels and changes at the real paper venue, in every class: absolute, so always repeatable."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from broker_desk import Desk, desk, everywhere, resting
from broker_support import in_doubt, paper_venues
from onefill.core.intent import OrderIntent
from onefill.core.issue import issue_cancel, issue_modify
from onefill.core.orders.changes import is_carried_out
from onefill.core.orders.report import (
    Carried,
    Found,
    NotPlaced,
    OrderStatus,
    Outcome,
    Placed,
    Unknown,
)

__all__ = ["desk", "paper_venues"]

HALF = {"binance": Decimal(1), "openalgo": Decimal(60)}


async def send(desk: Desk, change: OrderIntent) -> Outcome:
    return await desk.broker.send(await desk.broker.prepare(change))


async def shown(desk: Desk, order: OrderIntent) -> Found:
    seen = await desk.broker.look_up(order, ())
    assert isinstance(seen, Found)
    return seen


@pytest.mark.req("ORD-7", "ORD-12")
@everywhere
async def test_an_order_is_cancelled_and_again_is_as_good(desk: Desk) -> None:
    order = await resting(desk)
    for n in (1, 2):
        outcome = await send(desk, issue_cancel(order, n))
        assert isinstance(outcome, Carried)
        assert outcome.report.status is OrderStatus.CANCELLED
        assert outcome.report.broker_order_id == order.broker_order_id
    assert (await shown(desk, order)).report.status is OrderStatus.CANCELLED
    assert desk.venue.executions(order) == 0


@pytest.mark.req("ORD-7", "ORD-12")
@everywhere
async def test_an_order_gets_new_values_and_again_is_as_good(desk: Desk) -> None:
    order = await resting(desk)
    wanted = {"quantity": HALF[desk.broker.name], "price": Decimal(2)}
    for n in (1, 2):
        outcome = await send(desk, issue_modify(order, n, **wanted))
        assert isinstance(outcome, Carried), outcome
        assert (outcome.report.quantity, outcome.report.price) == (wanted["quantity"], Decimal(2))
    assert outcome.report.status is OrderStatus.OPEN


@pytest.mark.req("ORD-7")
@everywhere
@pytest.mark.parametrize("kind", ["drop_reply", "error_after", "lying_400"])
async def test_a_cancel_with_a_bad_answer_shows_in_its_order(desk: Desk, kind: str) -> None:
    order = await resting(desk)
    desk.venue.fault(kind, match={"kind": "cancel"})
    cancel = issue_cancel(order, 1)
    prepared = await desk.broker.prepare(cancel)
    outcome = await desk.broker.send(prepared)
    if isinstance(outcome, Unknown):
        seen = await desk.broker.look_up(in_doubt(prepared), ())
        assert isinstance(seen, Found)
        assert is_carried_out(cancel, seen.report)
    else:
        assert isinstance(outcome, Carried)


@pytest.mark.req("ORD-7")
@everywhere
async def test_a_cancel_that_never_arrived_leaves_its_order_and_may_be_repeated(
    desk: Desk,
) -> None:
    order = await resting(desk)
    desk.venue.fault("error_before", match={"kind": "cancel"})
    cancel = issue_cancel(order, 1)
    prepared = await desk.broker.prepare(cancel)
    outcome = await desk.broker.send(prepared)
    assert isinstance(outcome, Unknown) or (isinstance(outcome, NotPlaced) and outcome.retry)
    seen = await desk.broker.look_up(in_doubt(prepared), ())
    assert isinstance(seen, Found)
    assert not is_carried_out(cancel, seen.report)
    assert isinstance(await send(desk, replace(cancel, attempt=1)), Carried)


@pytest.mark.req("ORD-7", "ORD-10")
@everywhere
async def test_a_cancel_that_comes_after_the_fill_tells_of_the_fill(desk: Desk) -> None:
    intent = desk.intent()
    _, outcome = await desk.place(intent)
    assert isinstance(outcome, Placed)
    order = replace(intent, broker_order_id=outcome.report.broker_order_id)
    cancelled = await send(desk, issue_cancel(order, 1))
    assert isinstance(cancelled, Carried)
    assert cancelled.report.status is OrderStatus.FILLED
    assert cancelled.report.filled_quantity == intent.order.quantity
    assert desk.venue.executions(intent) == 1
