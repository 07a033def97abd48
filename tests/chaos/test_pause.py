"""A person pauses trading: entries stop, exits go on, or rest too; whoever dies meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chaos.world import World, direct, send_until_accepted, world
from support import until


async def until_state(here: World, name: str, state: str) -> dict[str, Any]:
    """Wait until the instance says so; its status."""

    async def said() -> dict[str, Any] | None:
        status: dict[str, Any] = (await here.ask(name, "/api/status"))[1]
        return status if status["state"] == state else None

    found = await until(said)
    assert found is not None
    return found


async def until_status(here: World, number: int, status: str) -> None:
    """Wait until that signal has come to that status."""

    async def come() -> bool:
        query = "SELECT processing_status AS status FROM signal_log WHERE id = $1"
        return bool((await here.rows(query, number))[0]["status"] == status)

    await until(come)


@pytest.mark.req("CTL-9", "SIG-18", "IF-7")
async def test_a_pause_stops_entries_and_with_all_exits_too_whoever_dies_meanwhile(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path) as here, aiohttp.ClientSession() as session:
        await here.run("prod")
        await here.until_active("prod")

        async def send(order_id: str, ticker: str, action: str) -> int:
            body = direct(order_id, ticker, action=action)
            return int((await send_until_accepted(session, here["prod"].url, body))["signal_id"])

        for ticker in ("SIM001", "SIM002"):
            await until_status(here, await send(f"buy {ticker}", ticker, "buy"), "executed")
        assert (await here.ask("prod", "/api/trading/pause", {"note": "news"}))[0] == 200
        status = await until_state(here, "prod", "PAUSED")
        assert (status["is_active"], status["exits_paused"]) == (True, False)
        await until_status(here, await send("more", "SIM003", "buy"), "rejected")
        await until_status(here, await send("out", "SIM001", "sell"), "executed")

        assert (await here.ask("prod", "/api/trading/pause", {"exits": True}))[0] == 200
        waiting = await send("out too", "SIM002", "sell")
        await until_status(here, await send("no more", "SIM003", "buy"), "rejected")
        await here.restart()
        await until_state(here, "prod", "PAUSED")
        (kept,) = await here.rows("SELECT * FROM signal_log WHERE id = $1", waiting)
        assert kept["processing_status"] == "received"

        assert (await here.ask("prod", "/api/trading/resume", {}))[0] == 200
        await until_state(here, "prod", "ACTIVE")
        await until_status(here, waiting, "executed")
        await here.judge(signals=6)
