"""A year of real bars through the running system: deaths at random change nothing in the end."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import support
from chaos.breakout import read_bars, write_signals
from chaos.world import World, world
from conftest import PostgresServer
from support import ROOT

DATA = ROOT.parent / "shared" / "data" / "bank_nifty_1min_2024.csv.gz"
KILLS = int(os.environ.get("ONEFILL_TEST_KILLS", "25"))
BARS_MAX = int(os.environ.get("ONEFILL_TEST_BARS", "100000"))
NEVER_ROLL = {"ONEFILL_JOBS__ROLLOVER_EVERY_S": "1000000000"}
"""Rolls go by the wall clock of the scan, which two runs can't share."""

_STATE = {
    "signals": """
        SELECT encode(fingerprint, 'hex') AS id, kind, processing_status, reason
        FROM signal_log ORDER BY 1""",
    "positions": """
        SELECT position_id, slot, status, lots, strike, expiry, entry_price, initial_stop, stop,
               highest_close, limiter, reason, realised_pnl
        FROM portfolio_positions ORDER BY 1""",
    "fills": """
        SELECT i.position_id, i.leg, f.side, sum(f.quantity) AS quantity, sum(f.value) AS value
        FROM fills f JOIN order_intents i USING (client_order_id)
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3""",
    "equity": """
        SELECT portfolio, closed_equity, equity_high, margin_used, total_risk_amount
        FROM portfolio_state ORDER BY 1""",
}


async def _post(here: World, path: str, body: dict[str, Any]) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{here.venue.url}{path}", json=body) as response,
    ):
        assert response.status < 300, await response.text()


async def _replay(here: World, file: Path) -> None:
    """The product's own sender, through all restarts."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "onefill", "replay", str(file)),
        *("--url", here.instance.url, "--venue-url", here.venue.url, "--portfolio", "year"),
        *("--patience", "120", "--json"),
        env=support.environment(**here.environment),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()[-3000:]


async def _kill_now_and_then(here: World, seed: int) -> int:
    """Kill and restart at random moments until cancelled; the number of kills.

    An order that was claimed and not heard of yet is left alone: where the broker knows no ids
    (as this one), a death just there is a person's, as the crash matrix shows.
    """
    chance, kills = random.Random(seed), 0
    try:
        while kills < KILLS:
            await asyncio.sleep(chance.uniform(0.05, 0.8))
            if await here.rows("SELECT FROM order_intents WHERE state = 'SENDING'"):
                continue
            await here.restart(**NEVER_ROLL)
            kills += 1
    except asyncio.CancelledError:
        pass
    return kills


async def _run(
    url: str, folder: Path, file: Path, *, seed: int | None = None
) -> tuple[dict[str, list[dict[str, Any]]], int]:
    folder.mkdir()
    async with world(url, folder) as here:
        await _post(here, "/settings", {"volatility": "0.001"})  # no price runs away by seconds
        here.start(**NEVER_ROLL)
        await here.instance.up()
        killer: Awaitable[int] | None = None
        if seed is not None:
            killer = asyncio.create_task(_kill_now_and_then(here, seed))
        await _replay(here, file)
        kills = await _cancelled(killer) if killer is not None else 0
        if not here.instance.is_running:
            await here.restart(**NEVER_ROLL)
        await here.until_all_ended(60)
        state = {name: await here.rows(query) for name, query in _STATE.items()}
        await _check_the_venue(here)
        return state, kills


async def _cancelled(killer: Any) -> int:
    killer.cancel()
    return int(await killer)


async def _check_the_venue(here: World) -> None:
    """The venue's own ledger says the same as our fills, to the last unit and paisa."""
    executed = (await here.ledger())["executions"]
    bought = {"BUY": 0.0, "SELL": 0.0}
    for execution in executed:
        bought[execution["side"]] += float(execution["quantity"]) * float(execution["price"])
    ours = await here.rows("SELECT side, sum(value) AS value FROM fills GROUP BY side")
    assert {row["side"]: float(row["value"]) for row in ours} == pytest.approx(bought)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.req("OPS-1", "PF-10", "PF-13", "SIG-20", "ORD-13")
async def test_a_year_with_random_deaths_ends_as_one_without(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    if not DATA.exists():
        pytest.skip(f"there are no recorded bars at {DATA}")
    file = tmp_path / "signals.jsonl"
    count = write_signals(read_bars(DATA)[:BARS_MAX], file)
    calm_url, wild_url = (
        postgres_server.url_of(postgres_server.create_database()) for _ in range(2)
    )
    calm, _ = await _run(calm_url, tmp_path / "calm", file)
    wild, kills = await _run(wild_url, tmp_path / "wild", file, seed=20240101)
    print(f"{count} signals, {len(calm['positions'])} positions, {kills} kills, {calm['equity']}")
    assert kills >= min(KILLS, 3)
    assert len(calm["positions"]) > 0
    for name, rows in calm.items():
        assert wild[name] == rows, name
