"""Who polls for fills: no broker waits for another one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import cast

import pytest

from broker_support import intent_for
from onefill.core.intent import IntentState, OrderIntent
from onefill.core.orders.report import Found, LookUp, OrderReport, OrderStatus
from onefill.core.orders.settlement import Told
from onefill.flow.tracker import POLLS_AT_ONCE, Tracker
from onefill.ports.broker import Broker
from onefill.ports.clock import RealClock
from onefill.ports.trading import TradingStore
from support import until


class Nothing:
    """A store that knows of no work."""

    async def working(self, limit: int, *, mine: bool = False) -> Sequence[OrderIntent]:
        return ()


class Silent:
    """A broker that takes questions and never answers."""

    def __init__(self) -> None:
        self.asked = 0

    async def look_up(self, intent: OrderIntent, rivals: Sequence[OrderIntent]) -> LookUp:
        self.asked += 1
        await asyncio.Event().wait()
        raise AssertionError("it never answers")


class Filling:
    """A broker where everything is filled."""

    async def look_up(self, intent: OrderIntent, rivals: Sequence[OrderIntent]) -> LookUp:
        return Found(
            report=OrderReport(
                broker_order_id="7",
                status=OrderStatus.FILLED,
                filled_quantity=intent.order.quantity,
                filled_value=Decimal(100),
            )
        )


def working(broker: str) -> OrderIntent:
    return replace(intent_for(broker), state=IntentState.ACKED, broker_order_id="7")


@pytest.mark.req("ORD-10", "ORD-11")
async def test_fills_of_one_broker_are_heard_while_another_one_is_silent() -> None:
    told: list[Told] = []
    brokers = {"binance": Silent(), "openalgo": Filling()}
    tracker = Tracker(
        store=cast(TradingStore, Nothing()),
        broker_of=lambda intent: cast(Broker, brokers[intent.order.broker]),
        tell=told.append,
        clock=RealClock(),
    )
    running = asyncio.create_task(tracker.run())
    stuck = [working("binance") for _ in range(POLLS_AT_ONCE + 1)]
    tracker.settled(stuck)
    await until(lambda: cast(Silent, brokers["binance"]).asked == POLLS_AT_ONCE)
    filled = working("openalgo")
    tracker.settled([filled])
    await until(lambda: told)
    assert told[0].client_order_id == filled.client_order_id
    assert cast(Silent, brokers["binance"]).asked == POLLS_AT_ONCE
    running.cancel()
    await asyncio.wait({running})
