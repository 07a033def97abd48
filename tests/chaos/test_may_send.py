"""Brokers take orders from one of two instances only: that one leads and sends (ORD-16)."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from chaos.world import World, direct, executions_by_order, send_until_accepted, world
from support import until

SOURCES = {"prod": "127.0.0.2", "dev": "127.0.0.3"}


async def let_in(here: World, *names: str, session: bool = True) -> None:
    """From now on the venue takes orders from these instances only."""
    async with aiohttp.ClientSession() as client:
        for dialect in ("binance", "openalgo"):
            wish = {
                "dialect": dialect,
                "addresses": [SOURCES[name] for name in names],
                "session": session or dialect == "binance",
            }
            async with client.post(f"{here.venue.url}/access", json=wish) as response:
                assert response.status == 200, await response.text()


async def start(here: World) -> None:
    """Both, each with an address of its own; dev comes first, and prod is preferred."""
    for name, source in reversed(SOURCES.items()):
        preferred = "true" if name == "prod" else "false"
        here[name].start(
            {
                **here.environment,
                "ONEFILL_ACTIVE_BY_DEFAULT": preferred,
                "ONEFILL_BROKERS__BINANCE__SOURCE_ADDRESS": source,
                "ONEFILL_BROKERS__OPENALGO__SOURCE_ADDRESS": source,
                "ONEFILL_ORDERS__MAY_SEND_EVERY_S": "1",
            }
        )
        await here[name].up()


async def buy(here: World, name: str, order_id: str, ticker: str) -> None:
    async with aiohttp.ClientSession() as client:
        await send_until_accepted(client, here[name].url, direct(order_id, ticker))


async def refused(here: World, name: str) -> dict[str, str]:
    """What an instance says of why it may not send."""
    async with (
        aiohttp.ClientSession() as client,
        client.get(f"{here[name].url}/health") as response,
    ):
        return dict((await response.json()).get("may_not_send", {}))


@pytest.mark.req("ORD-16", "CTL-14")
async def test_control_goes_to_whom_brokers_take_orders_from_and_follows_them(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path, ONEFILL_MODE="active-standby") as here:
        await let_in(here, "dev")
        await start(here)
        await here.until_active("dev")
        await until(lambda: refused(here, "prod"))
        assert "-2015" in (await refused(here, "prod"))["binance"]
        assert await refused(here, "dev") == {}
        status, answer = await here.ask("prod", "/api/ginie/take-control", {"force": False})
        await buy(here, "prod", "one", "SIM001")
        await here.until_all_ended()
        assert (await here.status("dev"))["is_active"], (status, answer)
        await here.until_told()
        assert {reign["instance"] for reign in await here.reigns()} == {"dev"}
        await until(lambda: here["prod"].logged("fitness.alarm"))

        await let_in(here, "prod")
        await here.until_active("prod")
        await buy(here, "dev", "two", "SIM002")
        await here.until_all_ended()
        assert list(executions_by_order(await here.ledger()).values()) == [1, 1]


@pytest.mark.req("ORD-16")
async def test_a_session_that_ends_alarms_and_its_orders_wait_for_the_next(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path) as here:
        await let_in(here, "prod", "dev")
        await start(here)
        await let_in(here, session=False)
        await until(lambda: refused(here, "prod"))
        assert set(await refused(here, "prod")) == {"openalgo"}
        await buy(here, "prod", "one", "SIM001")
        await here.until_all_ended()
        await let_in(here)

        async def well() -> bool:
            return not await refused(here, "prod") and not await refused(here, "dev")

        await until(well)
