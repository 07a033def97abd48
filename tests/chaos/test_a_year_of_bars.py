"""A year of bars through two instances: deaths at random change nothing in the end.

The bars are recorded ones where there is a recording, else made up from a seed. Played twice: by an
engine that sizes, enters and leaves; and held through every expiry.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import support
from chaos.breakout import Bar, made_up_bars, read_bars, write_held, write_signals
from chaos.world import World, world
from conftest import PostgresServer
from support import ROOT

_RECORDED = ROOT.parent / "shared" / "data" / "bank_nifty_1min_2024.csv.gz"
DATA = Path(os.environ.get("ONEFILL_TEST_RECORDING", str(_RECORDED)))
KILLS = int(os.environ.get("ONEFILL_TEST_KILLS", "25"))
BARS_MAX = int(os.environ.get("ONEFILL_TEST_BARS", "100000"))
INSTANCES = ("prod", "dev")
TELL_EVERY, PATIENCE_S, SEED = 50, 120, 20240110

# As text: not only equal, but the same to the last digit.
_STATE = {
    "signals": """
        SELECT encode(fingerprint, 'hex') AS id, kind, processing_status, reason
        FROM signal_log ORDER BY 1""",
    "positions": """
        SELECT position_id, slot, status, lots::text, strike, expiry, entry_price::text,
               initial_stop::text, stop::text, highest_close::text, limiter, reason,
               realised_pnl::text, rollover_status, rollover_count, rollover_pnl::text,
               rolled_from, original_expiry, original_strike, original_entry_price::text
        FROM portfolio_positions ORDER BY 1""",
    "fills": """
        SELECT i.position_id, i.leg, f.side, f.price::text, sum(f.quantity)::text AS quantity
        FROM fills f JOIN order_intents i USING (client_order_id)
        GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4""",
    "statistics": """
        SELECT instrument, trades, open_trades, wins, losses, win_rate_percent::text, profit::text,
               costs::text, average_win::text, average_loss::text, profit_factor::text,
               expectancy_r::text, drawdown_max::text, exposure_percent::text
        FROM trading_statistics WHERE portfolio = 'year' ORDER BY 1""",
    "equity": """
        SELECT portfolio, closed_equity::text, equity_high::text, margin_used::text,
               total_risk_amount::text
        FROM portfolio_state ORDER BY 1""",
}
State = dict[str, list[dict[str, Any]]]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Played:
    """A recording, how its lots are sized, and how many rollovers it has at the least."""

    write: Callable[[list[Bar], Path], int]
    lots: str
    rollovers: int


RUNS = {
    "sized": Played(write_signals, "own", 1),
    "held": Played(write_held, "file", 12),
}


async def _up(here: World, *names: str) -> None:
    """Start these, and wait, however busy the machine is."""
    for name in names:
        preferred = "true" if name == INSTANCES[0] else "false"
        here[name].start({**here.environment, "ONEFILL_ACTIVE_BY_DEFAULT": preferred})
    for name in names:
        await here[name].up(PATIENCE_S)


async def _post(here: World, path: str, body: dict[str, Any]) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{here.venue.url}{path}", json=body) as response,
    ):
        assert response.status < 300, await response.text()


async def _replay(here: World, file: Path, lots: str) -> None:
    """The product's own sender, through all restarts."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "onefill", "replay", str(file), "--lots", lots),
        *("--url", here.instance.url, "--venue-url", here.venue.url, "--portfolio", "year"),
        *("--patience", str(PATIENCE_S), "--json"),
        env=support.environment(**here.environment),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()[-3000:]


async def _rehearsed_equity(file: Path, lots: str) -> str:
    """What `--what-if` says that the whole recording ends with."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "onefill", "replay", str(file), "--lots", lots),
        *("--portfolio", "year", "--what-if", "--json"),
        env=support.environment(ONEFILL_MARKET_HOURS="off"),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    return str(json.loads(output)["sides"][0]["summary"]["closed equity ₹"])


async def _kill_now_and_then(here: World, seed: int, kills: list[str]) -> None:
    """Kill and restart one or the other at random moments until cancelled.

    An order that was claimed and not heard of yet is left alone: where the broker knows no ids
    (as this one), a death just there is a person's, as the crash matrix shows. So the victim is
    paused first, and let go when it holds one.
    """
    chance = random.Random(seed)
    while len(kills) < KILLS:
        await asyncio.sleep(chance.uniform(0.05, 0.8))
        name = chance.choice(INSTANCES)
        here[name].pause()
        if await here.rows("SELECT FROM order_intents WHERE state = 'SENDING'"):
            here[name].resume()
            continue
        here[name].kill()
        kills.append(name)
        await _up(here, name)


async def _tell_how_far(here: World, count: int, say: Say) -> None:
    told = 0
    while True:
        rows = await here.rows(
            "SELECT count(*) AS n, max(signal_time) AS at,"
            " (SELECT count(*) FROM rollovers) AS rolls FROM signal_log WHERE ended_at IS NOT NULL"
        )
        if rows[0]["n"] >= told + TELL_EVERY:
            told = rows[0]["n"]
            say(f"  {told} of {count} signals, {rows[0]['at']:%Y-%m-%d}, {rows[0]['rolls']} rolls")
        await asyncio.sleep(0.5)


async def _run(
    url: str, folder: Path, played: Played, bars: list[Bar], say: Say, *, seed: int | None = None
) -> tuple[State, list[str]]:
    folder.mkdir()
    file, kills = folder / "signals.jsonl", list[str]()
    count = played.write(bars, file)
    async with world(url, folder, ONEFILL_JOBS__STATISTICS_EVERY_S="5") as here:
        await _post(here, "/settings", {"volatility": "0.001"})  # no price runs away by seconds
        await _up(here, *INSTANCES)
        beside = [asyncio.create_task(_tell_how_far(here, count, say))]
        if seed is not None:
            beside.append(asyncio.create_task(_kill_now_and_then(here, seed, kills)))
        try:
            await _replay(here, file, played.lots)
        finally:
            for task in beside:
                task.cancel()
            ended = await asyncio.gather(*beside, return_exceptions=True)
        assert not [end for end in ended if isinstance(end, Exception)], ended
        for name in INSTANCES:
            here[name].kill()
        await _up(here, *INSTANCES)
        await here.until_all_ended()
        await _until_counted(here)
        state = {name: await here.rows(query) for name, query in _STATE.items()}
        await _check_the_venue(here)
        return state, kills


async def _until_counted(here: World) -> None:
    """Wait until the statistics are kept that count all there is."""

    async def counted() -> bool:
        rows = await here.rows(
            "SELECT FROM trading_statistics WHERE portfolio = 'year' AND instrument = 'ALL' "
            "AND computed_at > (SELECT max(booked_at) FROM fills)"
        )
        return bool(rows)

    await support.until(counted)


def _bars() -> tuple[str, list[Bar]]:
    """Whose bars they are, and they."""
    if DATA.exists():
        return "recorded", read_bars(DATA)
    return "made-up", made_up_bars(SEED)


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
@pytest.mark.req("OPS-1", "PF-10", "PF-13", "PF-24", "SIG-20", "ORD-13")
@pytest.mark.parametrize("name", RUNS)
async def test_a_year_with_random_deaths_ends_as_one_without(
    postgres_server: PostgresServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    def say(text: str) -> None:
        with capsys.disabled():
            print(text, flush=True)

    played, (whose, all_bars) = RUNS[name], _bars()
    bars = all_bars[:BARS_MAX]
    calm_url, wild_url = (
        postgres_server.url_of(postgres_server.create_database()) for _ in range(2)
    )
    say(f"\n{name}, {len(bars)} {whose} bars, without a death:")
    calm, _ = await _run(calm_url, tmp_path / "calm", played, bars, say)
    say(f"{name}, with deaths:")
    wild, kills = await _run(wild_url, tmp_path / "wild", played, bars, say, seed=SEED)
    rolled = [row for row in calm["positions"] if row["rolled_from"] is not None]
    say(f"{len(rolled)} rollovers, {len(kills)} deaths {kills}, {calm['equity'][0]}")
    assert len(kills) >= min(KILLS, 3)
    assert len(rolled) >= played.rollovers or len(all_bars) > BARS_MAX
    assert {row["rollover_status"] for row in calm["positions"]} <= {"none", "rolled"}
    rehearsed = await _rehearsed_equity(tmp_path / "calm" / "signals.jsonl", played.lots)
    assert rehearsed == calm["equity"][0]["closed_equity"]
    for table, rows in calm.items():
        assert wild[table] == rows, table
