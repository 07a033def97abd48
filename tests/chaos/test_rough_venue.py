"""Hundreds of orders at a venue that loses, delays, doubles and lies, while instances die.

Two instances take signals in and take control from each other, by chance, by hand and by force.
ONEFILL_CHAOS_ORDERS sets how many orders a class gets; `make chaos` takes thousands.
ONEFILL_CHAOS_SEED repeats the enemy's plan.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest

from chaos.enemy import NAMES, Enemy
from chaos.judge import judge
from chaos.ledger_judge import complaints
from chaos.world import World, direct, send_until_accepted, world
from support import until

ORDERS = int(os.environ.get("ONEFILL_CHAOS_ORDERS", "40"))
SEED = int(os.environ.get("ONEFILL_CHAOS_SEED", "1"))
ORDERS_A_DEED, CONTRACTS = 20, 2
SYMBOLS = [f"SIM{number:03d}" for number in range(1, 101)]
FAULTS: tuple[dict[str, object], ...] = (
    {"kind": "drop_reply", "probability": 0.06},
    {"kind": "error_after", "probability": 0.05},
    {"kind": "error_before", "probability": 0.05},
    {"kind": "lying_400", "probability": 0.05},
    {"kind": "late", "probability": 0.05, "ms": 600},
    {"kind": "late_fill", "probability": 0.05, "ms": 120},
    {"kind": "duplicate_fill", "probability": 0.2},
    {"kind": "partial_fill", "probability": 0.1, "quantity": "1"},
    {"kind": "latency", "probability": 0.1, "ms": 40},
    {"kind": "drop_reply", "probability": 0.05, "match": {"kind": "query"}},
    {"kind": "error_before", "probability": 0.05, "match": {"kind": "query"}},
)


@pytest.mark.slow
@pytest.mark.req("ORD-4", "ORD-5", "ORD-7", "ORD-10", "ORD-13", "Q-1")
@pytest.mark.timeout(180 + ORDERS)
@pytest.mark.parametrize(
    ("order_class", "mode"),
    [
        ("A", "active-standby"),
        ("B", "active-active"),
        ("C", "active-active"),
        pytest.param("B", "active-standby", marks=pytest.mark.long),
    ],
)
async def test_no_client_order_id_executes_twice_whatever_the_venue_does(
    database_url: str,
    tmp_path: Path,
    order_class: str,
    mode: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    more = {"ONEFILL_MAX_AGE_S": "3600", "ONEFILL_MODE": mode}
    async with world(database_url, tmp_path, order_class=order_class, **more) as here:
        for fault in FAULTS:
            await here.fault(**fault)
        await here.run(*NAMES)
        enemy = Enemy(here, random.Random(SEED))
        async with _moving_market(here):
            for first in range(0, ORDERS, ORDERS_A_DEED):
                sending = asyncio.create_task(_send(here, first, first + ORDERS_A_DEED))
                await enemy.strike(sending)
                await sending
            for name in NAMES:
                here[name].kill()
            await here.run(*NAMES)
            await _until_settled(here)
        await _judge(here, order_class)
        reigns = len(await here.reigns())
    with capsys.disabled():
        print(f" {order_class} {mode}: {ORDERS} orders, {reigns} reigns, {dict(enemy.done)}")


async def _until_settled(here: World) -> None:
    """Wait until each signal has an end, or its lane waits for a person."""
    left = (
        "SELECT count(*) AS left FROM signal_log s WHERE s.ended_at IS NULL AND NOT EXISTS ("
        "SELECT FROM order_intents i WHERE i.lane = s.lane AND i.state = 'QUARANTINED')"
    )

    async def settled() -> bool:
        return bool((await here.rows(left))[0]["left"] == 0)

    await until(settled, 90 + ORDERS / 5)


async def _judge(here: World, order_class: str) -> None:
    """The venue's ledger alone against what was sent; then the whole story against the ledger."""
    ledger = await here.ledger()
    wished = Counter(_symbol(number) for number in range(ORDERS))
    wanted = {symbol: Decimal(times * CONTRACTS) for symbol, times in wished.items()}
    assert complaints(ledger, wanted, all_of_it=order_class != "C") == []
    is_c = order_class == "C"
    await judge(here.database_url, here.venue.url, signals=ORDERS, may_quarantine=is_c)


async def _send(here: World, begin: int, end: int) -> None:
    """Each signal to either instance until one takes it in, and one in ten to both."""
    timeout = aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(timeout=timeout) as session:

        async def send(number: int) -> None:
            body = direct(f"s{number}", _symbol(number), contracts=CONTRACTS)
            first, second = NAMES if number % 2 else reversed(NAMES)
            await send_until_accepted(session, here[first].url, body, 120)
            if number % 10 == 0:
                await send_until_accepted(session, here[second].url, body, 120)

        await asyncio.gather(*(send(number) for number in range(begin, min(end, ORDERS))))


@contextlib.asynccontextmanager
async def _moving_market(here: World) -> AsyncIterator[None]:
    """Each price is set again every second: what filled in part fills on."""

    async def move(ended: asyncio.Event) -> None:
        async with aiohttp.ClientSession() as session:
            while not ended.is_set():
                for symbol in SYMBOLS:
                    body = {"symbol": symbol, "price": "100"}
                    async with session.post(f"{here.venue.url}/price", json=body) as answer:
                        await answer.read()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), 1)

    ended = asyncio.Event()
    market = asyncio.create_task(move(ended))
    try:
        yield
    finally:
        ended.set()
        await market


def _symbol(number: int) -> str:
    return SYMBOLS[number % len(SYMBOLS)]
