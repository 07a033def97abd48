"""A stop order at the real paper venue, in OpenAlgo's words: it waits, moves, and trades once."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from broker_desk import Desk, desk
from broker_support import paper_venues
from onefill.core.errors import ConfigurationError
from onefill.core.intent import SLICE_STRIDE, Denial, IntentState, OrderIntent, OrderType, Side
from onefill.core.issue import issue_market, issue_modify
from onefill.core.orders.report import Carried, NotPlaced, OrderReport, OrderStatus, Placed

__all__ = ["desk", "paper_venues"]

openalgo = pytest.mark.parametrize("desk", [("openalgo", "C")], indirect=True, ids="-".join)
GOLD = {"symbol": "GOLDM05JAN30FUT", "exchange": "MCX", "quantity": Decimal(100)}


async def waiting(desk: Desk) -> OrderIntent:
    """A stop below the market, as the store has it once it was accepted."""
    desk.venue.call("POST", "/price", {"symbol": "GOLDM", "price": "78000"})
    intent = desk.intent(
        side=Side.SELL,
        order_type=OrderType.STOP_MARKET,
        trigger_price=Decimal(77_500),
        **GOLD,
    )
    _, outcome = await desk.place(intent)
    assert isinstance(outcome, Placed)
    number = outcome.report.broker_order_id
    return replace(intent, state=IntentState.ACKED, broker_order_id=number)


async def changed(desk: Desk, change: OrderIntent) -> OrderReport:
    outcome = await desk.broker.send(await desk.broker.prepare(change))
    assert isinstance(outcome, Carried), outcome
    return outcome.report


@pytest.mark.req("PF-11", "ORD-12")
@openalgo
async def test_a_stop_waits_moves_and_trades_when_its_price_comes(desk: Desk) -> None:
    assert desk.broker.capabilities.conditional == {OrderType.STOP_MARKET}
    assert desk.broker.capabilities.changes_conditional
    stop = await waiting(desk)
    shown = (await desk.found(stop)).report
    assert (shown.status, shown.trigger_price) == (OrderStatus.OPEN, Decimal(77_500))
    move = issue_modify(stop, 1, quantity=Decimal(200), trigger_price=Decimal(77_800))
    moved = await changed(desk, move)
    assert (moved.quantity, moved.trigger_price) == (200, 77_800)
    desk.venue.call("POST", "/price", {"symbol": "GOLDM", "price": "77799"})
    filled = (await desk.found(stop)).report
    assert (filled.status, filled.filled_quantity) == (OrderStatus.FILLED, 200)
    assert filled.filled_value == 200 * 77_799


@pytest.mark.req("PF-11")
@openalgo
async def test_a_stop_can_be_made_to_trade_at_once_and_again_is_as_good(desk: Desk) -> None:
    stop = await waiting(desk)
    for n in (1, 2):
        report = await changed(desk, issue_market(stop, n))
        assert (report.status, report.filled_quantity) == (OrderStatus.FILLED, 100)
    assert desk.venue.executions(stop) == 1


@pytest.mark.req("PF-11", "ORD-9")
@openalgo
async def test_only_a_positions_first_stop_is_placed_without_a_look_at_what_is_held(
    desk: Desk,
) -> None:
    stop = await waiting(desk)
    order = replace(stop.order, reduce_only=True, quantity=Decimal(1_000_000))  # nobody has these
    fresh = replace(stop, order=order, state=IntentState.NEW, broker_order_id=None)
    sliced = replace(fresh, n=1 + SLICE_STRIDE)
    for intent, is_asked in ((fresh, False), (sliced, False), (replace(fresh, n=2), True)):
        prepared = await desk.broker.prepare(intent)
        assert (prepared.refusal is not None) is is_asked


@pytest.mark.req("PF-11", "ORD-9")
@openalgo
async def test_a_stop_is_not_made_to_trade_where_nothing_is_held(desk: Desk) -> None:
    waits = await waiting(desk)
    order = replace(waits.order, reduce_only=True, quantity=Decimal(1_000_000))
    stop = replace(waits, order=order)
    outcome = await desk.broker.send(await desk.broker.prepare(issue_market(stop, 1)))
    assert isinstance(outcome, NotPlaced)
    assert outcome.denial is Denial.NOTHING_TO_REDUCE
    assert (await desk.found(waits)).report.status is OrderStatus.OPEN
    trailing = issue_modify(stop, 2, quantity=Decimal(100), trigger_price=Decimal(77_600))
    assert (await desk.broker.prepare(trailing)).refusal is None


@pytest.mark.req("ORD-12")
@openalgo
async def test_a_take_profit_that_would_wait_is_not_sent(desk: Desk) -> None:
    wish = desk.intent(
        order_type=OrderType.TAKE_PROFIT_MARKET, trigger_price=Decimal(80_000), **GOLD
    )
    with pytest.raises(ConfigurationError):
        await desk.broker.prepare(wish)
