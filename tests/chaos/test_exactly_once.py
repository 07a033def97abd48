"""Two hundred signals, five copies of each, all at once, while the instance is being killed."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import aiohttp
import pytest

from chaos.world import World, direct, executions_by_order, send_until_accepted, world

SIGNALS, COPIES, CONNECTIONS = 200, 5, 32
LIVES_S = 0.4
"""From ready to the next SIGKILL; with its start, an instance dies about every second."""


@pytest.mark.req("SIG-2", "SIG-9", "SIG-10", "ORD-1", "ORD-2", "ORD-3", "Q-1", "OPS-2", "IF-13")
@pytest.mark.parametrize("order_class", ["A", "B"])
async def test_every_signal_fills_once_under_copies_and_kills(
    database_url: str, tmp_path: Path, order_class: str
) -> None:
    async with world(database_url, tmp_path, order_class=order_class, is_patient=False) as here:
        here.start()
        await here.instance.up()
        sending = asyncio.create_task(_send_all(here))
        while not (await asyncio.wait({sending}, timeout=LIVES_S))[0]:
            here.instance.kill()
            here.start()
            await here.instance.up()
        answers = await sending
        await here.restart()
        await here.until_all_ended()

        assert len(answers) == SIGNALS * COPIES
        logged = await here.rows("SELECT id, processing_status AS status FROM signal_log")
        assert {row["id"] for row in logged} == {int(a["signal_id"]) for a in answers}
        assert [row["status"] for row in logged] == ["executed"] * SIGNALS
        executed = executions_by_order(await here.ledger())
        assert len(executed) == SIGNALS
        assert set(executed.values()) == {1}


async def _send_all(here: World) -> list[dict[str, object]]:
    bodies = [direct(f"s{n}", f"SIM{n % 100 + 1:03d}") for n in range(SIGNALS)] * COPIES
    random.Random(7).shuffle(bodies)
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        sends = (send_until_accepted(session, here.instance.url, body) for body in bodies)
        return await asyncio.gather(*sends)
