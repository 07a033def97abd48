"""An order above what the exchange takes at once, while the instance dies between its slices."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest

from chaos.world import World, direct, executions_by_order, send_until_accepted, world
from onefill.ports.failpoints import Failpoint
from support import until

SLICED = "SIM100"
"""The venue takes 50 of it at once."""


async def sizes(here: World) -> list[tuple[str, Decimal]]:
    orders = (await here.ledger())["orders"]
    return sorted((row["side"], Decimal(row["filled_quantity"])) for row in orders)


@pytest.mark.req("ORD-15", "ORD-1", "OPS-1")
@pytest.mark.parametrize(
    "point",
    ["", f"{Failpoint.CLAIM_AFTER_COMMIT}:2", f"{Failpoint.SEND_AFTER}:2"],
)
async def test_slices_together_are_the_one_order_whoever_dies_between_them(
    database_url: str, tmp_path: Path, point: str
) -> None:
    async with world(database_url, tmp_path) as here:
        here.start(ONEFILL_FAILPOINT=point)
        await here.instance.up()
        async with aiohttp.ClientSession() as session:
            await send_until_accepted(
                session, here.instance.url, direct("one", SLICED, contracts=120)
            )
            if point:
                assert await here.instance.ended() == -9
                here.start()
                await here.instance.up()
            await here.until_all_ended()
            assert await sizes(here) == [("BUY", 20), ("BUY", 50), ("BUY", 50)]
            close = direct("two", SLICED, action="close")
            await send_until_accepted(session, here.instance.url, close)

            async def flat() -> bool:
                rows = await here.rows("SELECT status FROM portfolio_positions")
                return [row["status"] for row in rows] == ["closed"]

            await until(flat)
        sold = [("SELL", 20), ("SELL", 50), ("SELL", 50)]
        assert await sizes(here) == [("BUY", 20), ("BUY", 50), ("BUY", 50), *sold]
        assert set(executions_by_order(await here.ledger()).values()) == {1}


@pytest.mark.req("ORD-15")
async def test_a_refused_slice_ends_the_order_where_it_is(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path) as here:
        await here.fault(kind="reject", match={"quantity": "20"}, next=1)
        here.start()
        await here.instance.up()
        async with aiohttp.ClientSession() as session:
            await send_until_accepted(
                session, here.instance.url, direct("one", SLICED, contracts=120)
            )
        await here.until_all_ended()
        assert await sizes(here) == [("BUY", 50), ("BUY", 50)]
        (signal,) = await here.rows("SELECT processing_status, reason FROM signal_log")
        assert signal == {"processing_status": "executed", "reason": "partly_filled"}
