"""The database dies or restarts under load; the instance stays, and nothing is lost or doubled."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chaos.strain import watched
from chaos.traffic import traffic
from chaos.world import World, direct, executions_by_order, send_until_accepted, world
from support import until

STREAMS = 4
AWAY_S = 6.0
"""Long enough for every back-off to have grown to its most."""
BACK_WITHIN_S = 2.0


@pytest.mark.req("OPS-3", "SIG-2", "ORD-3", "Q-1")
@pytest.mark.parametrize("how", ["crash", "restart"])
async def test_a_database_that_goes_and_comes_back_costs_time_only(
    own_server: Any, tmp_path: Path, how: str
) -> None:
    url = own_server.url_of(own_server.create_database())
    async with world(url, tmp_path, ONEFILL_ACTIVE_BY_DEFAULT="true") as here:
        here.start()
        await here.instance.up()
        pid = here.instance.pid
        over = asyncio.Event()
        sending = asyncio.create_task(_send_until(over, here))
        for _ in range(2):
            await asyncio.wait({sending}, timeout=0.5)
            await asyncio.to_thread(getattr(own_server, how))
        await asyncio.wait({sending}, timeout=0.5)
        over.set()
        sent = await sending
        await here.until_all_ended()

        assert (here.instance.is_running, here.instance.pid) == (True, pid)
        executed = executions_by_order(await here.ledger())
        assert len(executed) == sent
        assert set(executed.values()) == {1}
        (held,) = await here.rows("SELECT sum(bought_quantity) AS lots FROM position_legs")
        assert held["lots"] == sent


@pytest.mark.req("OPS-3", "CTL-10", "Q-1")
async def test_a_database_that_was_away_for_long_is_traded_on_within_two_seconds_of_its_return(
    own_server: Any, tmp_path: Path
) -> None:
    url = own_server.url_of(own_server.create_database())
    async with world(url, tmp_path) as here:
        await here.run("prod", "dev")
        await here.until_active("prod")
        async with watched() as machine, traffic(here, "prod", "dev") as sender:
            await asyncio.to_thread(own_server.halt)
            await asyncio.sleep(AWAY_S)
            await asyncio.to_thread(own_server.go)
            (back,) = await here.rows("SELECT clock_timestamp() AS at")
            ended = "SELECT min(ended_at) AS at FROM signal_log WHERE ended_at > $1"

            async def traded() -> bool:
                return (await here.rows(ended, back["at"]))[0]["at"] is not None

            await until(traded)
        await here.judge(signals=sender.sent, acknowledged=sender.acknowledged)
        (first,) = await here.rows(ended, back["at"])
        took = (first["at"] - back["at"]).total_seconds()
        assert took - machine.between(back["at"], first["at"]) < BACK_WITHIN_S


@pytest.mark.req("OPS-2", "CTL-14")
async def test_a_clean_stop_finishes_what_it_began_and_gives_the_lease_up(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path, ONEFILL_ACTIVE_BY_DEFAULT="true") as here:
        here.start()
        await here.instance.up()
        async with aiohttp.ClientSession() as session:
            for n in range(5):
                await send_until_accepted(session, here.instance.url, direct(f"s{n}", "SIM001"))
        assert await asyncio.to_thread(here.instance.stop) == 0
        await _judge_stopped(here)
        await here.restart()
        await here.until_all_ended()
        assert sorted(executions_by_order(await here.ledger()).values()) == [1] * 5


async def _judge_stopped(here: World) -> None:
    """No order on its way, and nobody holds the lease."""
    states = await here.rows("SELECT DISTINCT state FROM order_intents")
    assert {row["state"] for row in states} <= {"NEW", "FILLED"}
    (lease,) = await here.rows("SELECT holder FROM leases")
    assert lease["holder"] is None


async def _send_until(over: asyncio.Event, here: World) -> int:
    """A few senders, each with one signal after the other; how many were accepted."""

    async def stream(session: aiohttp.ClientSession, name: int) -> int:
        sent = 0
        while not over.is_set():
            body = direct(f"s{name}-{sent}", f"SIM{sent % 20 + 1:03d}")
            await send_until_accepted(session, here.instance.url, body)
            sent += 1
        return sent

    async with aiohttp.ClientSession() as session:
        return sum(await asyncio.gather(*(stream(session, name) for name in range(STREAMS))))
