"""A recording goes through webhook, sizing, two option legs and books; killed, it ends the same."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import support
from chaos.world import OPERATOR, SECRET, World, executions_by_order, world

HEAD = "Trade #,Type,Date/Time,Signal,Price INR,Position size (qty)\n"
CAMPAIGNS = 6
DEATHS = (
    "intake_after_commit:2",
    "decide_before_commit:2",
    "decide_after_commit:1",
    "claim_before_commit:2",
    "send_after:1",
    "settle_before_commit:3",
    "settle_after_commit:2",
    "send_after:3",
    "intake_before_commit:1",
)
"""Where the instance dies, one start after the other. Not between claim and send: there an order
at a broker without idempotency goes to a person, which the crash matrix shows."""


def recording(seed: int) -> str:
    """An export such as TradingView's: bases with pyramids, exits all at once; the last is open."""
    return HEAD + "".join(_rows(random.Random(seed)))


def _rows(dice: random.Random) -> Iterator[str]:
    at, price, trade = datetime(2024, 1, 8, 9, 15), 48_000, 0
    for campaign in range(CAMPAIGNS):
        entries = []
        for pyramid in range(dice.randint(1, 3)):
            name = f"PYR{pyramid}-2L" if pyramid else "ENTRY-5L"
            entries.append((at, price, name, 2 if pyramid else 5))
            at += timedelta(hours=1)
            price += dice.randint(300, 700)
        signal = "Open" if campaign == CAMPAIGNS - 1 else "EXIT - stop"
        for entered_at, entry, name, lots in entries:
            trade += 1
            yield f"{trade},Exit long,{at:%Y-%m-%d %H:%M},{signal},{price},{lots}\n"
            yield f"{trade},Entry long,{entered_at:%Y-%m-%d %H:%M},{name},{entry},{lots}\n"
        at += timedelta(days=dice.randint(1, 20))


@pytest.mark.timeout(900)
@pytest.mark.req("SIG-20", "PF-12", "PF-13", "PF-20", "ORD-13", "OPS-1")
@pytest.mark.parametrize("lots", ["file", "own"])
async def test_a_replay_under_kills_ends_like_one_without(
    postgres_server: Any, tmp_path: Path, lots: str
) -> None:
    file = tmp_path / "trades.csv"
    file.write_text(recording(seed=7))
    ends = []
    for deaths in ((), DEATHS):
        folder = tmp_path / f"deaths-{len(deaths)}"
        folder.mkdir()
        async with _fresh_world(postgres_server, folder) as here:
            await _replay(here, file, lots, list(deaths))
            ends.append(await _end_of(here))
    assert ends[0] == ends[1]
    assert ends[0]["signals"]["executed"] > 0


@asynccontextmanager
async def _fresh_world(postgres_server: Any, folder: Path) -> AsyncIterator[World]:
    name = postgres_server.create_database()
    async with world(postgres_server.url_of(name), folder) as here:
        yield here
    postgres_server.drop_database(name)


async def _replay(here: World, file: Path, lots: str, deaths: list[str]) -> None:
    """Run `onefill replay` to its end, through these deaths of the instance; it dies once too."""
    dies_too = bool(deaths)
    here.start(ONEFILL_FAILPOINT=deaths.pop(0) if deaths else "")
    await here.instance.up()
    process = await _start_replay(here, file, lots)
    while process.returncode is None:
        await _until_one_ends(here, process)
        if process.returncode is None:
            if dies_too:
                process.kill()
                await process.wait()
                process = await _start_replay(here, file, lots)
                dies_too = False
            here.start(ONEFILL_FAILPOINT=deaths.pop(0) if deaths else "")
            await here.instance.up()
    assert process.returncode == 0
    assert deaths == []


async def _until_one_ends(here: World, process: asyncio.subprocess.Process) -> None:
    await support.until(lambda: process.returncode is not None or not here.instance.is_running, 400)


async def _start_replay(here: World, file: Path, lots: str) -> asyncio.subprocess.Process:
    log = file.with_suffix(".log").open("ab")
    with log:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "onefill", "replay", str(file), "--lots", lots,
            "--url", here.instance.url,
            env=support.environment(
                ONEFILL_WEBHOOK_SECRET=SECRET,
                ONEFILL_OPERATOR_TOKEN=OPERATOR,
                ONEFILL_VENUE_URL=here.venue.url,
            ),
            stdout=log,
            stderr=log,
        )  # fmt: skip


async def _end_of(here: World) -> dict[str, Any]:
    """The end state, without times and ids that a run draws for itself; checked as it is read."""
    ledger = await here.ledger()
    executed = executions_by_order(ledger)
    assert set(executed.values()) == {1}
    held = await _held_at_venue(here)
    ours = await here.rows(
        "SELECT symbol, sum(bought_quantity - sold_quantity) AS net FROM position_legs "
        "GROUP BY symbol HAVING sum(bought_quantity - sold_quantity) <> 0"
    )
    assert {row["symbol"]: row["net"] for row in ours} == held
    signals = await here.rows("SELECT processing_status AS status FROM signal_log")
    fills = Counter(
        (e["symbol"], e["side"], e["quantity"], e["price"]) for e in ledger["executions"]
    )
    (money,) = await here.rows(
        "SELECT realised_pnl FROM portfolio_state WHERE portfolio = 'replay'"
    )
    return {
        "signals": Counter(row["status"] for row in signals),
        "fills": fills,
        "held": held,
        "realised": money["realised_pnl"],
    }


async def _held_at_venue(here: World) -> dict[str, Decimal]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{here.venue.url}/positions") as response,
    ):
        rows = json.loads(await response.text())["positions"]
    return {r["symbol"]: Decimal(r["quantity"]) for r in rows if Decimal(r["quantity"]) != 0}
