"""The user stream of Binance's adapter at the real paper venue: heard whatever breaks between."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from broker_desk import Desk, desk
from broker_support import PaperVenue, paper_venues
from onefill.brokers.accounts import BinanceAccount
from onefill.brokers.binance import BinanceBroker
from onefill.core.intent import IntentState, OrderIntent, OrderType, Side
from onefill.core.orders.report import OrderReport, OrderStatus, Placed
from onefill.core.orders.stream_words import Connected, Disconnected, Nudge, Stirred, StreamWord
from onefill.ports.clock import RealClock
from support import until

__all__ = ["desk", "paper_venues"]

by_id = pytest.mark.parametrize(
    "desk", [("binance", "A"), ("binance", "B")], indirect=True, ids="-".join
)
class_b = pytest.mark.parametrize("desk", [("binance", "B")], indirect=True, ids="-".join)
class_c = pytest.mark.parametrize("desk", [("binance", "C")], indirect=True, ids="-".join)
silent = pytest.mark.parametrize("desk", [("openalgo", "C")], indirect=True, ids="-".join)


class Ears:
    """What was heard, in order."""

    def __init__(self) -> None:
        self.words: list[StreamWord] = []

    def of(self, intent: OrderIntent) -> list[OrderReport]:
        """The reports of this order."""
        mine = (word for word in self.words if isinstance(word, OrderReport))
        return [report for report in mine if report.client_order_id == intent.client_order_id]

    def times(self, kind: type) -> int:
        """How often a word of that kind was heard."""
        return sum(isinstance(word, kind) for word in self.words)

    async def connected(self, times: int = 1) -> None:
        """Wait until the stream was made so often."""
        await until(lambda: self.times(Connected) >= times)

    async def filled(self, intent: OrderIntent) -> OrderReport:
        """Wait for the report that it is filled."""

        def seen() -> OrderReport | None:
            ends = (r for r in self.of(intent) if r.status is OrderStatus.FILLED)
            return next(ends, None)

        return await until(seen)  # type: ignore[return-value]


@contextlib.asynccontextmanager
async def listening(desk: Desk) -> AsyncIterator[Ears]:
    ears = Ears()
    task = asyncio.create_task(desk.broker.watch(ears.words.append))
    try:
        await ears.connected()
        yield ears
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def resting(desk: Desk, **order: object) -> OrderIntent:
    wish = {"order_type": OrderType.LIMIT, "price": Decimal(90), **order}
    intent = desk.intent(**wish)
    _, outcome = await desk.place(intent)
    assert isinstance(outcome, Placed), outcome
    number = outcome.report.broker_order_id
    return replace(intent, state=IntentState.ACKED, broker_order_id=number)


def move_to(desk: Desk, price: int) -> None:
    desk.venue.call("POST", "/price", {"symbol": "SIM001", "price": str(price)})


@pytest.mark.req("ORD-10", "ORD-12")
@by_id
async def test_fills_are_heard_with_both_ids_and_exact_figures(desk: Desk) -> None:
    async with listening(desk) as ears:
        desk.venue.call("POST", "/settings", {"fill_at_most": "1"})
        order = await resting(desk)
        move_to(desk, 90)
        move_to(desk, 87)
        report = await ears.filled(order)
        assert report.broker_order_id == order.broker_order_id
        assert (report.filled_quantity, report.filled_value) == (2, 90 + 87)
        assert [trade.price for trade in report.trades] == [90, 87]
        assert len({trade.trade_id for trade in report.trades}) == 2
        assert [r.filled_quantity for r in ears.of(order)] == [0, 1, 2]


@pytest.mark.req("ORD-10", "ORD-12")
@by_id
async def test_a_conditional_order_is_heard_under_one_id_from_waiting_to_its_fill(
    desk: Desk,
) -> None:
    async with listening(desk) as ears:
        stop = {"order_type": OrderType.STOP_MARKET, "trigger_price": Decimal(95)}
        order = await resting(desk, price=None, side=Side.SELL, **stop)
        await until(lambda: ears.of(order))
        move_to(desk, 94)
        report = await ears.filled(order)
        assert report.filled_value == 2 * 94
        assert {r.broker_order_id for r in ears.of(order)} == {order.broker_order_id}
        assert Nudge(client_order_id=order.client_order_id) in ears.words


@pytest.mark.req("ORD-10")
@class_c
async def test_where_ids_are_not_passed_on_orders_are_named_by_the_brokers(desk: Desk) -> None:
    async with listening(desk) as ears:
        order = await resting(desk)
        move_to(desk, 90)

        def filled() -> bool:
            reports = (word for word in ears.words if isinstance(word, OrderReport))
            return (order.broker_order_id, OrderStatus.FILLED) in [
                (report.broker_order_id, report.status) for report in reports
            ]

        await until(filled)


@pytest.mark.req("ORD-10")
@class_b
async def test_a_stream_that_is_cut_is_made_again_and_says_that_it_was_deaf(desk: Desk) -> None:
    async with listening(desk) as ears:
        desk.venue.fault("stream_cut")
        order = await resting(desk)
        await ears.connected(2)
        assert ears.times(Disconnected) == 1
        move_to(desk, 90)
        await ears.filled(order)


@pytest.mark.req("ORD-10", "ORD-12")
@class_b
async def test_a_key_that_ends_is_followed_by_another_one(desk: Desk) -> None:
    async with listening(desk) as ears:
        desk.venue.call("POST", "/clock", {"offset_ms": 61 * 60 * 1_000})
        await ears.connected(2)
        assert Disconnected(detail="its key expired") in ears.words
        desk.venue.call("POST", "/clock", {"offset_ms": 0})


@pytest.mark.req("ORD-10", "ORD-12")
async def test_a_key_is_prolonged_for_as_long_as_somebody_listens(
    paper_venues: Callable[[str], PaperVenue],
) -> None:
    venue = paper_venues("B")
    account = BinanceAccount(base_url=venue.url, prolong_key_every_s=0.02)
    broker = BinanceBroker(account, RealClock())
    await broker.start()
    ears: list[StreamWord] = []
    task = asyncio.create_task(broker.watch(ears.append))
    try:
        await until(lambda: ears)
        for minutes in (50, 100, 150):
            venue.call("POST", "/clock", {"offset_ms": minutes * 60_000})
            # A fault that does nothing is spent by the next request of its path: the prolonging.
            path = {"kind": "query", "path": "/fapi/v1/listenKey"}
            venue.fault("latency", ms=0, match=path)
            await until(lambda: venue.call("GET", "/faults")["faults"] == [])
        assert [type(word) for word in ears] == [Connected]
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await broker.close()
        venue.reset()


@pytest.mark.req("ORD-10", "ORD-12")
@class_b
async def test_who_stops_listening_leaves_the_others_their_key(desk: Desk) -> None:
    async with listening(desk) as ears:
        async with listening(desk):
            pass
        order = await resting(desk)
        move_to(desk, 90)
        await ears.filled(order)
        assert ears.times(Disconnected) == 0


@pytest.mark.req("ORD-9", "ORD-10")
@class_b
async def test_what_others_trade_on_the_account_is_heard_as_a_stir(desk: Desk) -> None:
    async with listening(desk) as ears:
        stranger = replace(desk.intent(), client_order_id="by-hand-1")  # type: ignore[arg-type]
        await desk.place(stranger)
        await until(lambda: ears.times(Stirred))


@pytest.mark.req("ORD-6", "ORD-10")
@silent
async def test_a_broker_without_a_stream_says_so(desk: Desk) -> None:
    assert not desk.broker.capabilities.streams
    await desk.broker.watch(lambda _: None)
