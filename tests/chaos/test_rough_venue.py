"""Hundreds of orders at a venue that loses, delays, doubles and lies, while instances die.

ONEFILL_CHAOS_ORDERS sets how many; `make chaos` takes thousands.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from chaos.world import World, direct, executions_by_order, send_until_accepted, world
from support import until

ORDERS = int(os.environ.get("ONEFILL_CHAOS_ORDERS", "150"))
CONNECTIONS, KILL_EVERY_S = 16, 2.0
FAULTS: tuple[dict[str, object], ...] = (
    {"kind": "drop_reply", "probability": 0.06},
    {"kind": "error_after", "probability": 0.05},
    {"kind": "error_before", "probability": 0.05},
    {"kind": "lying_400", "probability": 0.05},
    {"kind": "late", "probability": 0.05, "ms": 600},
    {"kind": "late_fill", "probability": 0.05, "ms": 120},
    {"kind": "duplicate_fill", "probability": 0.2},
    {"kind": "latency", "probability": 0.1, "ms": 40},
    {"kind": "drop_reply", "probability": 0.05, "match": {"kind": "query"}},
    {"kind": "error_before", "probability": 0.05, "match": {"kind": "query"}},
)


@pytest.mark.slow
@pytest.mark.req("ORD-4", "ORD-5", "ORD-7", "ORD-10", "ORD-13", "Q-1")
@pytest.mark.timeout(120 + ORDERS)
@pytest.mark.parametrize("order_class", ["A", "B", "C"])
async def test_no_client_order_id_executes_twice_whatever_the_venue_does(
    database_url: str, tmp_path: Path, order_class: str
) -> None:
    more = {"ONEFILL_MAX_AGE_S": "3600"}
    async with world(database_url, tmp_path, order_class=order_class, **more) as here:
        for fault in FAULTS:
            await here.fault(**fault)
        here.start()
        await here.instance.up()
        sending = asyncio.create_task(_send_all(here))
        while not (await asyncio.wait({sending}, timeout=KILL_EVERY_S))[0]:
            here.instance.kill()
            here.start()
        await sending
        await here.restart()
        await _until_settled(here)
        await _judge(here, order_class)


async def _until_settled(here: World) -> None:
    """Wait until each signal has an end, or its lane waits for a person."""
    left = (
        "SELECT count(*) AS left FROM signal_log s WHERE s.ended_at IS NULL AND NOT EXISTS ("
        "SELECT FROM order_intents i WHERE i.lane = s.lane AND i.state = 'QUARANTINED')"
    )

    async def settled() -> bool:
        return (await here.rows(left))[0]["left"] == 0

    await until(settled, 60 + ORDERS / 10)


async def _judge(here: World, order_class: str) -> None:
    """The venue's ledger against the signal log; nothing else is believed."""
    executed = executions_by_order(await here.ledger())
    assert {name: times for name, times in executed.items() if times > 1} == {}
    rows = await here.rows(
        "SELECT s.processing_status AS status, i.client_order_id AS name, i.state "
        "FROM signal_log s LEFT JOIN order_intents i ON i.signal_id = s.id"
    )
    assert len(rows) == ORDERS
    statuses = Counter(str(row["status"]) for row in rows)
    done = {row["name"] for row in rows if row["status"] == "executed"}
    doubtful = {row["name"] for row in rows if row["status"] == "in_doubt"}
    assert done <= set(executed), "what is said to be executed was"
    assert set(executed) <= done | doubtful, "what was executed is known, or looked for"
    if order_class != "C":
        assert statuses == {"executed": ORDERS}
    held = await here.rows("SELECT sum(bought_quantity - sold_quantity) AS net FROM position_legs")
    assert held[0]["net"] == len(done), "each fill is booked once"


async def _send_all(here: World) -> None:
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    timeout = aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        places = asyncio.Semaphore(CONNECTIONS)

        async def send(number: int) -> None:
            async with places:
                body = direct(f"s{number}", f"SIM{number % 100 + 1:03d}")
                await send_until_accepted(session, here.instance.url, body)

        await asyncio.gather(*(send(number) for number in range(ORDERS)))
