"""A broker's adapter at the real paper venue, in each class, for the suites that judge adapters."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest

from broker_support import PaperVenue, intent_for, paper_venues
from onefill.brokers.accounts import BinanceAccount, OpenAlgoAccount
from onefill.brokers.registry import Account, build_brokers
from onefill.core.ids import ClientOrderId
from onefill.core.intent import IntentState, OrderIntent, OrderType
from onefill.core.orders.report import Absent, Found, LookUp, Outcome, Placed
from onefill.ports.broker import Broker, Prepared
from onefill.ports.clock import RealClock
from support import until

__all__ = ["paper_venues"]

TARGETS = [("binance", "A"), ("binance", "B"), ("binance", "C"), ("openalgo", "C")]
FINDS_BY_ID = [("binance", "A"), ("binance", "B")]
NAMELESS = [("binance", "C"), ("openalgo", "C")]
WINDOW_MS = 2_000
"""Within it a request of a busy machine arrives, too."""


@dataclass
class Desk:
    """A broker at a venue, and what the store would know of its orders."""

    broker: Broker
    venue: PaperVenue
    owners: dict[str, ClientOrderId]

    def intent(self, **order: Any) -> OrderIntent:
        return intent_for(self.broker.name, **order)

    async def place(self, intent: OrderIntent) -> tuple[Prepared, Outcome]:
        prepared = await self.broker.prepare(intent)
        return prepared, await self.broker.send(prepared)

    async def found(self, intent: OrderIntent) -> Found:
        async def look() -> LookUp | None:
            seen = await self.broker.look_up(intent, ())
            assert not (isinstance(seen, Absent) and seen.conclusive), "it is there"
            return seen if isinstance(seen, Found) else None

        seen = await until(look)
        assert isinstance(seen, Found)
        return seen


@contextlib.asynccontextmanager
async def desk_at(venue: PaperVenue, name: str, window_ms: int = WINDOW_MS) -> AsyncIterator[Desk]:
    owners: dict[str, ClientOrderId] = {}

    async def known(_: str, ids: Sequence[str]) -> Mapping[str, ClientOrderId]:
        return {number: owners[number] for number in ids if number in owners}

    accounts: dict[str, Account] = {
        "binance": BinanceAccount(
            base_url=venue.url, recv_window_ms=window_ms, send_within_ms=5_000
        ),
        "openalgo": OpenAlgoAccount(base_url=venue.url),
    }
    ((_, broker),) = build_brokers([accounts[name]], RealClock(), known).items()
    await broker.start()
    try:
        yield Desk(broker, venue, owners)
    finally:
        await broker.close()
        venue.reset()


@pytest.fixture
async def desk(
    request: pytest.FixtureRequest, paper_venues: Callable[[str], PaperVenue]
) -> AsyncIterator[Desk]:
    name, broker_class = request.param
    async with desk_at(paper_venues(broker_class), name) as desk:
        yield desk


async def resting(desk: Desk) -> OrderIntent:
    """A limit order far from the market, as the store has it once it was accepted."""
    intent = desk.intent(order_type=OrderType.LIMIT, price=Decimal(1))
    _, outcome = await desk.place(intent)
    assert isinstance(outcome, Placed)
    number = outcome.report.broker_order_id
    return replace(intent, state=IntentState.ACKED, broker_order_id=number)


everywhere = pytest.mark.parametrize("desk", TARGETS, indirect=True, ids="-".join)
