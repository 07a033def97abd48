"""What `--what-if` says of a recording is what the running system decides on it, one by one."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import support
from chaos.breakout import read_bars, write_signals
from chaos.test_replay import recording
from chaos.world import World, world
from support import ROOT

DATA = ROOT.parent / "shared" / "data"
BARS, TRADES = DATA / "bank_nifty_1min_2024.csv.gz", DATA / "tradingview_trades_bank_nifty.csv"
BARS_TAKEN, ROWS_TAKEN = slice(140, 190), 60


def _made_up(folder: Path) -> Path:
    file = folder / "trades.csv"
    file.write_text(recording(seed=11))
    return file


def _real_trades(folder: Path) -> Path:
    if not TRADES.exists():
        pytest.skip(f"there are no recorded trades at {TRADES}")
    file = folder / "trades.csv"
    lines = TRADES.read_text(encoding="utf-8-sig").splitlines(keepends=True)
    file.write_text("".join(lines[: ROWS_TAKEN + 1]))
    return file


def _real_bars(folder: Path) -> Path:
    """Ten days of bars: a rollover is in them."""
    if not BARS.exists():
        pytest.skip(f"there are no recorded bars at {BARS}")
    file = folder / "signals.jsonl"
    write_signals(read_bars(BARS)[BARS_TAKEN], file)
    return file


async def _onefill(here: World, *arguments: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "onefill", *arguments, "--json"),
        env=support.environment(**here.environment),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()[-2000:]
    return dict(json.loads(output))


async def _decided_live(here: World) -> dict[str, tuple[object, ...]]:
    """By fingerprint: how it ended, why, with how many lots, limited by what."""
    rows = await here.rows(
        """
        SELECT encode(s.fingerprint, 'hex') AS fingerprint, s.processing_status AS status, s.reason,
               coalesce((SELECT sum(p.lots) FROM portfolio_positions p
                         WHERE p.entry_signal_id = s.id AND p.rolled_from IS NULL), 0) AS lots,
               (SELECT numbers::json ->> 'limiter' FROM signal_events e
                WHERE e.signal_id = s.id AND numbers IS NOT NULL ORDER BY at LIMIT 1) AS limiter
        FROM signal_log s"""
    )
    return {
        row["fingerprint"]: (row["status"], row["reason"], int(row["lots"]), row["limiter"])
        for row in rows
    }


@pytest.mark.req("SIG-20", "PF-1", "PF-3", "PF-5")
@pytest.mark.parametrize(
    "file_in",
    [
        _made_up,
        pytest.param(_real_trades, marks=pytest.mark.long),
        pytest.param(_real_bars, marks=pytest.mark.long),
    ],
)
async def test_each_decision_is_the_one_that_the_running_system_makes(
    database_url: str, tmp_path: Path, file_in: Callable[[Path], Path]
) -> None:
    file = str(file_in(tmp_path))
    async with world(database_url, tmp_path) as here:
        here.start()
        await here.instance.up()
        await _onefill(here, "replay", file, "--url", here.instance.url)
        live = await _decided_live(here)
        (money,) = await here.rows("SELECT closed_equity FROM portfolio_state")
        rolled = await here.rows("SELECT FROM rollovers WHERE status = 'rolled'")
    told = await _onefill(here, "replay", file, "--what-if")
    rehearsed = {
        each["fingerprint"]: tuple(
            each["ends"][0][name] for name in ("status", "reason", "lots", "limiter")
        )
        for each in told["signals"]
    }
    assert rehearsed == live
    assert sum(end[2] for end in live.values()) > 0
    assert Decimal(told["sides"][0]["summary"]["closed equity ₹"]) == money["closed_equity"]
    assert bool(rolled) == (file_in is _real_bars)
