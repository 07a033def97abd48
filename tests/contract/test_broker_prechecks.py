"""Price bands and margin, asked before an order is sent, at the real paper venue (ORD-15).

The venue keeps to both itself: the same bytes, sent all the same, are refused by it.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from broker_desk import TARGETS, Desk, desk, resting
from broker_support import paper_venues
from onefill.core.intent import OrderIntent, OrderType, Side
from onefill.core.issue import issue_modify
from onefill.core.orders.report import NotPlaced, Outcome, Placed

__all__ = ["desk", "paper_venues"]

pytestmark = pytest.mark.req("ORD-15", "ORD-12")

each = pytest.mark.parametrize(
    "desk", [("binance", "B"), ("openalgo", "C")], indirect=True, ids="-".join
)
banded = pytest.mark.parametrize(
    "desk", [target for target in TARGETS if target[0] == "binance"], indirect=True, ids="-".join
)
SYMBOLS = iter(f"SIM{number:03d}" for number in range(60, 95))
STRIKES = iter(f"BANKNIFTY26FEB30{strike}CE" for strike in range(50_000, 60_000, 100))


def fresh(desk: Desk, **order: object) -> OrderIntent:
    """An order of a symbol that nobody holds."""
    names = SYMBOLS if desk.broker.name == "binance" else STRIKES
    return desk.intent(symbol=next(names), **order)


async def both(desk: Desk, intent: OrderIntent) -> tuple[Outcome, Outcome]:
    """What the adapter says of it, and what the venue says of the very bytes."""
    prepared = await desk.broker.prepare(intent)
    ours = await desk.broker.send(prepared)
    return ours, await desk.broker.send(replace(prepared, refusal=None))


@each
async def test_what_the_account_has_no_margin_for_is_not_sent(desk: Desk) -> None:
    desk.venue.call("POST", "/settings", {"funds": "5"})
    intent = fresh(desk)
    ours, theirs = await both(desk, intent)
    assert isinstance(ours, NotPlaced)
    assert not ours.retry
    assert "of margin is needed" in ours.message
    assert isinstance(theirs, NotPlaced)
    assert "argin" in theirs.message
    assert desk.venue.executions(intent) == 0


@each
async def test_with_margin_enough_it_goes(desk: Desk) -> None:
    desk.venue.call("POST", "/settings", {"funds": "900000"})
    _, outcome = await desk.place(fresh(desk))
    assert isinstance(outcome, Placed), outcome


@each
async def test_what_turns_a_position_needs_margin_for_what_it_opens_only(desk: Desk) -> None:
    buy = fresh(desk)
    size = buy.order.quantity
    _, outcome = await desk.place(buy)
    assert isinstance(outcome, Placed)
    desk.venue.call("POST", "/settings", {"funds": "5"})
    turn = desk.intent(symbol=buy.order.symbol, side=Side.SELL, quantity=2 * size)
    prepared = await desk.broker.prepare(turn)
    assert prepared.refusal is None


@each
async def test_getting_out_needs_no_margin(desk: Desk) -> None:
    buy = fresh(desk)
    await desk.place(buy)
    desk.venue.call("POST", "/settings", {"funds": "1"})
    out = {"symbol": buy.order.symbol, "side": Side.SELL, "reduce_only": True}
    _, outcome = await desk.place(replace(desk.intent(**out), adds_exposure=False))
    assert isinstance(outcome, Placed), outcome


@banded
@pytest.mark.parametrize(("side", "price", "code"), [("BUY", 301, -4016), ("SELL", 29, -4024)])
async def test_a_price_beyond_the_band_is_not_sent(
    desk: Desk, side: str, price: int, code: int
) -> None:
    limit = {"order_type": OrderType.LIMIT, "price": Decimal(price), "side": Side(side)}
    intent = fresh(desk, **limit)
    ours, theirs = await both(desk, intent)
    assert isinstance(ours, NotPlaced)
    assert f"the price {price} is" in ours.message
    assert isinstance(theirs, NotPlaced)
    assert theirs.code == str(code)
    inside = fresh(desk, **{**limit, "price": Decimal(300 if side == "BUY" else 30)})
    assert (await desk.broker.prepare(inside)).refusal is None


@banded
async def test_a_change_beyond_the_band_is_not_sent_either(desk: Desk) -> None:
    order = await resting(desk)
    change = issue_modify(order, 1, quantity=order.order.quantity, price=Decimal(301))
    outcome = await desk.broker.send(await desk.broker.prepare(change))
    assert isinstance(outcome, NotPlaced)
    assert "is above 300" in outcome.message


@each
async def test_what_can_not_be_asked_in_time_holds_no_order_up(desk: Desk) -> None:
    for path in ("/fapi/v3/balance", "/fapi/v1/premiumIndex", "/api/v1/margin", "/api/v1/funds"):
        fault = {"kind": "error_before", "probability": 1, "match": {"kind": "any", "path": path}}
        desk.venue.call("POST", "/faults", fault)
    _, outcome = await desk.place(fresh(desk))
    assert isinstance(outcome, Placed), outcome
