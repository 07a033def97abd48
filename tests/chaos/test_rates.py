"""Three instances with more to send than the broker takes: measured at the venue (ORD-11)."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import support
from chaos.strain import Strain, watched
from chaos.world import World, direct, executions_by_order, send_until_accepted, world

NAMES = ("prod", "b", "c")
MANY_S = 240


async def rule(here: World, *rates: dict[str, object] | str) -> None:
    """From now on the venue takes no more than this."""
    wish: object = "real" if rates == ("real",) else list(rates)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{here.venue.url}/rates", json={"rates": wish}) as response,
    ):
        assert response.status == 200, await response.text()


async def measured(here: World, counted: str) -> list[dict[str, Any]]:
    """What the venue counted of the account: one row for each rate."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{here.venue.url}/rates") as response,
    ):
        rows = (await response.json())["rates"]
    return [row for row in rows if row["counted"] == counted and row["dialect"] == "binance"]


async def send_all(here: World, count: int) -> None:
    """So many entries, each in a lane of its own, to whichever instance answers."""
    async with aiohttp.ClientSession() as session:
        sends = (
            send_until_accepted(
                session, here[NAMES[n % 2]].url, direct(f"s{n}", f"SIM{n % 100 + 1:03d}")
            )
            for n in range(count)
        )
        await asyncio.gather(*sends)


async def came_within_s(here: World, machine: Strain) -> float:
    """From the first to the last, less what the machine had no time for them."""
    times = [datetime.fromisoformat(row["received_at"]) for row in (await here.ledger())["orders"]]
    first, last = min(times), max(times)
    return (last - first).total_seconds() - machine.between(first, last)


async def judge(here: World, count: int) -> None:
    """Every signal filled once, and no window held more than the broker takes."""
    executed = executions_by_order(await here.ledger())
    assert len(executed) == count
    assert set(executed.values()) == {1}
    for counted in ("orders", "weight"):
        for row in await measured(here, counted):
            assert row["largest"] <= row["most"], row
            assert (row["refused"], row["bans"]) == (0, 0)


@pytest.mark.req("ORD-11")
async def test_three_instances_use_what_the_broker_takes_and_no_more_though_one_dies(
    database_url: str, tmp_path: Path
) -> None:
    count, most, seconds = 110, 30, 2  # far less than a busy machine can send
    async with world(database_url, tmp_path) as here, watched() as machine:
        await rule(
            here,
            {"dialect": "binance", "counted": "orders", "seconds": seconds, "most": most},
            {"dialect": "binance", "counted": "weight", "seconds": 2, "most": 400},
        )
        await here.run(*NAMES)
        await send_all(here, count)

        async def halfway() -> bool:
            return len((await here.ledger())["orders"]) >= count // 2

        await support.until(halfway, MANY_S)
        here["c"].kill()
        await here.until_all_ended(MANY_S)
        await judge(here, count)
        assert await came_within_s(here, machine) <= count / (0.6 * most / seconds)


@pytest.mark.req("ORD-11")
@pytest.mark.long
async def test_at_binances_own_rates_as_well(database_url: str, tmp_path: Path) -> None:
    count = 1_200
    async with world(database_url, tmp_path) as here, watched() as machine:
        await rule(here, "real")
        await here.run(*NAMES)
        await send_all(here, count)
        await here.until_all_ended(MANY_S)
        await judge(here, count)
        assert await came_within_s(here, machine) <= count / (0.75 * 300 / 10)
