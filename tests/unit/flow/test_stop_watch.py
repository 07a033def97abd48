"""A stop is cancelled for what is missing at the broker, not for what is only late there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from makers import situation
from manual_clock import ManualClock
from onefill.core.book import Situation
from onefill.core.ids import ClientOrderId
from onefill.core.intent import IntentState, OrderIntent, OrderType, Side
from onefill.core.issue import STOP
from onefill.core.orders.report import Found, OrderReport, OrderStatus
from onefill.flow.stop_watch import StopWatch
from onefill.ports.hints import Inbox
from onefill.ports.recovery import Holdings
from unit.flow.test_resolver import in_doubt

EVERY_S = 10


class Store:
    """A position of one contract, and its stop, which waits."""

    def __init__(self) -> None:
        one = in_doubt("stop")
        order = replace(
            one.order,
            symbol="GOLDM",
            side=Side.SELL,
            order_type=OrderType.STOP_MARKET,
            trigger_price=Decimal(77_000),
            reduce_only=True,
        )
        self.stop = replace(one, state=IntentState.ACKED, action=STOP, order=order)

    async def working(self, limit: int) -> Sequence[OrderIntent]:
        return [self.stop]

    async def holdings(self, broker: str, account: str) -> Holdings:
        return Holdings(net={"GOLDM": Decimal(1)}, unsettled=frozenset())


class Broker:
    """Its orders are not reduce-only; held is what its book of positions says, late or not."""

    name, account = "sim", "paper"
    capabilities = SimpleNamespace(native_reduce_only=False)

    def __init__(self) -> None:
        self.held = Decimal(1)

    async def positions(self) -> dict[str, Decimal]:
        return {"GOLDM": self.held}

    async def look_up(self, intent: OrderIntent, rivals: object) -> Found:
        return Found(report=OrderReport(broker_order_id="1", status=OrderStatus.OPEN))


class Seen:
    """What the lanes are told of stops, and how often the whole comparison was asked for."""

    def __init__(self) -> None:
        self.store, self.broker, self.clock = Store(), Broker(), ManualClock()
        self.comparisons = 0
        self.watch = StopWatch(
            store=cast("Any", self.store),
            recovery=cast("Any", self.store),
            brokers=[cast("Any", self.broker)],
            lanes=Inbox(),
            soon=self._compare,
            clock=self.clock,
            every_s=EVERY_S,
        )

    def _compare(self) -> None:
        self.comparisons += 1

    async def look(self, held: int) -> frozenset[ClientOrderId]:
        """Look once while the broker says that so much is held; the stops that guard nothing."""
        self.broker.held = Decimal(held)
        await self.clock.advance(EVERY_S)
        told: list[frozenset[ClientOrderId]] = []

        def hear(informed: Situation) -> None:
            told.append(informed.bare_stops)

        self.watch.informed(hear)(situation())
        return told[0]


@asynccontextmanager
async def watching() -> AsyncIterator[Seen]:
    """A watch that has looked once, at a position that is held."""
    seen = Seen()
    running = asyncio.create_task(seen.watch.run())
    try:
        assert await seen.look(1) == frozenset()
        yield seen
    finally:
        running.cancel()


@pytest.mark.req("PF-11", "ORD-9")
async def test_a_book_of_positions_that_is_late_for_one_look_costs_no_stop() -> None:
    async with watching() as seen:
        assert await seen.look(0) == frozenset()
        assert await seen.look(1) == frozenset()
        assert await seen.look(0) == frozenset()
        assert seen.comparisons == 0


@pytest.mark.req("PF-11", "ORD-9")
async def test_a_stop_that_guards_nothing_at_two_looks_is_named_and_everything_compared() -> None:
    async with watching() as seen:
        assert await seen.look(0) == frozenset()
        assert await seen.look(0) == {seen.store.stop.client_order_id}
        assert seen.comparisons == 1
