"""An account in hedge mode: positions are opened, turned and closed, and each side ends flat."""

from __future__ import annotations

import hmac
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
import pytest

from chaos.acting import until_active
from chaos.world import World, direct, executions_by_order, send_until_accepted, world
from support import until


async def into_hedge_mode(here: World) -> None:
    """As a customer would, before anything is held."""
    async with aiohttp.ClientSession(headers={"X-MBX-APIKEY": "paper"}) as session:
        async with session.get(f"{here.venue.url}/fapi/v1/time") as answer:
            now = (await answer.json())["serverTime"]
        query = urlencode({"dualSidePosition": "true", "timestamp": now})
        signature = hmac.digest(b"paper", query.encode(), "sha256").hex()
        url = f"{here.venue.url}/fapi/v1/positionSide/dual?{query}&signature={signature}"
        async with session.post(url) as answer:
            assert answer.status == 200, await answer.text()


async def sides(here: World) -> dict[str, str]:
    """What the venue holds, by position side."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{here.venue.url}/positions") as answer,
    ):
        rows = (await answer.json())["positions"]
    return {row["position_side"]: row["quantity"] for row in rows}


@pytest.mark.req("ORD-12", "SIG-23")
async def test_a_position_that_turns_closes_its_side_before_it_opens_the_other(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path) as here:
        await into_hedge_mode(here)
        await here.restart()
        await until_active(here)

        async def trade(name: str, action: str, contracts: int, **held: str) -> None:
            body = direct(name, "SIM001", action=action, contracts=contracts)
            async with aiohttp.ClientSession() as session:
                await send_until_accepted(session, here.instance.url, body)
            await here.until_all_ended()

            async def so() -> bool:
                return await sides(here) == held

            await until(so)

        await trade("long", "buy", 3, LONG="3")
        await trade("less", "sell", 1, LONG="2")
        await trade("turned", "sell", 5, SHORT="-3")
        await trade("back", "buy", 4, LONG="1")
        await trade("out", "close", 1)
        assert set(executions_by_order(await here.ledger()).values()) == {1}
        rows = await here.rows("SELECT processing_status AS status, reason FROM signal_log")
        assert {(row["status"], row["reason"]) for row in rows} == {("executed", None)}
        assert await here.rows("SELECT FROM lanes WHERE blocked IS NOT NULL") == []
