"""What was traded by hand is booked on the book as it was compared, whoever writes meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from onefill.core.orders.adjusting import Adjustment, AdjustmentRefusal, Held
from onefill.core.orders.settlement import settle
from onefill.ports.trading import Settled
from support import until
from trading_desk import Desk
from trading_support import PostgresAuthority, decide_lanes, filled, holder, lead, log_all

pytestmark = pytest.mark.req("ORD-9", "Q-4")
ME = holder("a")
CLOSED_BY_HAND = Adjustment(
    broker="binance",
    account="paper",
    deployment="tst",
    holdings=(Held(symbol="SIM001", ours=Decimal(5), theirs=Decimal(0), price=Decimal(90)),),
    note="phoned",
)


@pytest.fixture
async def postgres(database_url: str) -> AsyncIterator[PostgresAuthority]:
    authority = PostgresAuthority(database_url)
    yield authority
    await authority.close()


@pytest.fixture
async def desk(postgres: PostgresAuthority) -> Desk:
    """Five are held."""
    desk = Desk(postgres, postgres.trading(ME), await lead(postgres, ME))
    signal = replace(await desk.signal("SIM001", "o"), quantity=Decimal(5))
    await log_all(desk.log, signal)
    (intent,) = await decide_lanes(desk.store, desk.epoch, [signal.lane])
    await desk.claim(intent)
    await desk.store.settle([filled(intent)], settle)
    return desk


async def adjusted_beside(
    postgres: PostgresAuthority, first: str, second: str = "SELECT 1"
) -> Settled | AdjustmentRefusal:
    """Somebody has done the first when the adjustment comes, and then the second, and commits."""
    other: Any = await asyncpg.connect(postgres.url)
    try:
        async with other.transaction():
            await other.execute(first)
            adjusting = asyncio.create_task(postgres.adjust(CLOSED_BY_HAND))

            async def waits() -> bool:
                query = "SELECT FROM pg_locks WHERE NOT granted"
                return bool(await postgres.rows(query))

            await until(waits)
            await other.execute(second)
        return await adjusting
    finally:
        await other.close()


async def test_a_fill_that_is_booked_meanwhile_has_moved_the_book(
    desk: Desk, postgres: PostgresAuthority
) -> None:
    lock = "SELECT FROM lanes FOR NO KEY UPDATE"
    fill = "UPDATE position_legs SET sold_quantity = 2, sold_value = 200"
    assert await adjusted_beside(postgres, lock, fill) is AdjustmentRefusal.MOVED
    assert not await postgres.rows("SELECT FROM order_intents WHERE action = 'adjust'")


async def test_an_order_that_is_claimed_meanwhile_is_under_way(
    desk: Desk, postgres: PostgresAuthority
) -> None:
    order = await desk.order("SIM001", "another")
    name = f"client_order_id = '{order.client_order_id}'"
    claim = f"UPDATE order_intents SET state = 'SENDING' WHERE {name}"
    assert await adjusted_beside(postgres, claim) is AdjustmentRefusal.UNDER_WAY
    assert not await postgres.rows("SELECT FROM order_intents WHERE action = 'adjust'")
