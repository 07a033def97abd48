"""The contract of Controls.adjust on each store: what was traded by hand, booked as executions."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from onefill.core.orders.adjusting import Adjustment, AdjustmentRefusal, Held
from onefill.core.orders.settlement import settle
from onefill.core.position import Position, PositionStatus
from onefill.ports.trading import Settled
from trading_desk import Desk, situation_of
from trading_support import Authority, decide_lanes, filled, log_all

pytestmark = pytest.mark.req("ORD-9", "Q-4")

SYMBOLS = ("SIM001", "SIM002")


def held(symbol: str, ours: int, theirs: int, *orders: str) -> Held:
    amounts = {"ours": Decimal(ours), "theirs": Decimal(theirs), "price": Decimal(90)}
    return Held(symbol=symbol, **amounts, orders=orders)


def wanted(*holdings: Held) -> Adjustment:
    return Adjustment(
        broker="binance", account="paper", deployment="tst", holdings=holdings, note="phoned"
    )


async def bought(desk: Desk, symbol: str) -> None:
    """Hold five of it, bought at 100."""
    signal = replace(await desk.signal(symbol, "o"), quantity=Decimal(5))
    await log_all(desk.log, signal)
    (intent,) = await decide_lanes(desk.store, desk.epoch, [signal.lane])
    await desk.claim(intent)
    await desk.store.settle([filled(intent)], settle)


async def position_of(desk: Desk, symbol: str) -> Position | None:
    """What is held of it."""
    here = (await situation_of(desk, (await desk.signal(symbol, "?")).lane)).here
    return here[0] if here else None


async def test_positions_follow_what_was_traded_by_hand_in_one_commit(
    desk: Desk, authority: Authority
) -> None:
    for symbol in SYMBOLS:
        await bought(desk, symbol)
    result = await authority.adjust(wanted(held("SIM001", 5, 0, "17"), held("SIM002", 5, 3)))
    assert isinstance(result, Settled)
    assert await position_of(desk, "SIM001") is None
    left = await position_of(desk, "SIM002")
    assert left is not None
    assert (left.status, left.legs[0].net, left.legs[0].sold_value) == (
        PositionStatus.OPEN,
        3,
        2 * 90,
    )
    assert {i.action for i in result.intents} == {"adjust"}
    assert await authority.broken_promises() == []
    assert await desk.store.working(9) == []


async def test_a_second_time_finds_the_book_moved_and_books_nothing(
    desk: Desk, authority: Authority
) -> None:
    await bought(desk, "SIM001")
    once = wanted(held("SIM001", 5, 3))
    assert isinstance(await authority.adjust(once), Settled)
    assert await authority.adjust(once) is AdjustmentRefusal.MOVED
    again = await authority.adjust(wanted(held("SIM001", 3, 0)))
    assert isinstance(again, Settled)
    assert await position_of(desk, "SIM001") is None
    assert await authority.broken_promises() == []


async def test_all_of_it_or_nothing(desk: Desk, authority: Authority) -> None:
    for symbol in SYMBOLS:
        await bought(desk, symbol)
    both = wanted(held("SIM001", 5, 0), held("SIM002", 4, 0))
    assert await authority.adjust(both) is AdjustmentRefusal.MOVED
    left = await position_of(desk, "SIM001")
    assert left is not None
    assert left.legs[0].net == 5


async def test_an_order_of_it_that_is_being_sent_holds_it_back(
    desk: Desk, authority: Authority
) -> None:
    await bought(desk, "SIM001")
    await desk.sent("SIM001", "another")
    found = await authority.adjust(wanted(held("SIM001", 5, 0)))
    assert found is AdjustmentRefusal.UNDER_WAY


async def test_what_is_bought_afterwards_is_a_position_of_its_own(
    desk: Desk, authority: Authority
) -> None:
    await bought(desk, "SIM001")
    await authority.adjust(wanted(held("SIM001", 5, 0)))
    intent = await desk.sent("SIM001", "next")
    await desk.store.settle([filled(intent)], settle)
    left = await position_of(desk, "SIM001")
    assert left is not None
    assert (left.id, left.legs[0].net) == (intent.position_id, 1)
    assert await authority.broken_promises() == []
