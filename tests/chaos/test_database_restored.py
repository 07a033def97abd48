"""PostgreSQL is put back to an older state while instances live: nothing is executed twice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chaos.world import World, direct, executions_by_order, send_until_accepted, world
from postgres_server import PostgresServer
from support import until

NAMES = ("prod", "dev")


async def send(here: World, name: str, bodies: Sequence[bytes]) -> list[dict[str, Any]]:
    """Send each until it is accepted."""
    async with aiohttp.ClientSession() as session:
        return [await send_until_accepted(session, here[name].url, body) for body in bodies]


async def until_safe(here: World, *names: str) -> None:
    """Wait until each says SAFE."""

    async def safe() -> bool:
        states = [(await here.ask(name, "/api/status"))[1] for name in names]
        return all(one["state"] == "SAFE" for one in states)

    await until(safe, 20)


async def until_over(here: World, seconds: float = 40) -> None:
    """Wait until nobody is SAFE any more, and somebody is active."""

    async def over() -> bool:
        states = [(await here.ask(name, "/api/status"))[1]["state"] for name in NAMES]
        return "SAFE" not in states and "ACTIVE" in states

    await until(over, seconds)


async def until_held(here: World, lots: int) -> None:
    """Wait until our book holds so many."""

    async def held() -> bool:
        query = (
            "SELECT coalesce(sum(bought_quantity - sold_quantity), 0) AS lots FROM position_legs"
        )
        (row,) = await here.rows(query)
        return int(row["lots"]) == lots

    await until(held, 20)


def judge_once(ledger: dict[str, list[dict[str, Any]]], many: int) -> None:
    """The venue executed so many orders, each once."""
    assert sorted(executions_by_order(ledger).values()) == [1] * many


@pytest.mark.req("CTL-8", "OPS-7", "Q-1", "ORD-7")
@pytest.mark.timeout(180)
@pytest.mark.parametrize("mode", ["active-active", "active-standby"])
async def test_orders_of_a_lost_history_are_found_at_the_broker_and_never_sent_again(
    own_server: PostgresServer, tmp_path: Path, mode: str
) -> None:
    """The copy holds signals that were received, and not decided yet."""
    url = own_server.url_of(own_server.create_database())
    async with world(url, tmp_path, ONEFILL_MODE=mode) as here:
        bodies = [direct(f"s{n}", f"SIM{n + 1:03d}") for n in range(6)]
        await here.run("prod", ONEFILL_ROLE="intake")
        await send(here, "prod", bodies[:4])
        await asyncio.to_thread(here["prod"].stop)
        await asyncio.to_thread(own_server.copy_to, tmp_path / "copy")
        await here.run(*NAMES)
        await send(here, "prod", bodies[4:])
        await here.until_all_ended(20)
        judge_once(await here.ledger(), 6)

        await asyncio.to_thread(own_server.put_back, tmp_path / "copy")
        await send(here, "dev", bodies)  # the sender repeats what it is not sure of
        await until_held(here, 6)
        await until_over(here)
        await send(here, "prod", [direct("after", "SIM009")])
        await here.until_all_ended(20)
        judge_once(await here.ledger(), 7)
        assert all(here[name].logged("SAFE - The database lost commits") for name in NAMES)
        assert any(here[name].logged("SAFE ENDED") for name in NAMES)
