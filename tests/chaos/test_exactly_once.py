"""Two hundred signals, five copies of each, all at once, while the instance is being killed."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import aiohttp
import pytest

from chaos.world import World, direct, executions_by_order, send_until_accepted, world
from support import until

SIGNALS, COPIES, CONNECTIONS = 200, 5, 32
LIVES_S, TAKES = 0.4, 30
"""From ready to the next SIGKILL; with its start, an instance dies about every second. On a slow
machine it lives until it has taken in so many: else it might never take any."""
SLOWLY_S = 900


@pytest.mark.timeout(1200)
@pytest.mark.req("SIG-2", "SIG-9", "SIG-10", "ORD-1", "ORD-2", "ORD-3", "Q-1", "OPS-2", "IF-13")
@pytest.mark.parametrize("order_class", ["A", "B"])
async def test_every_signal_fills_once_under_copies_and_kills(
    database_url: str, tmp_path: Path, order_class: str
) -> None:
    lasting = {"ONEFILL_MAX_AGE_S": "3600"}
    async with world(
        database_url, tmp_path, order_class=order_class, is_patient=False, **lasting
    ) as here:
        here.start()
        await here.instance.up()
        answers: list[dict[str, object]] = []
        sending = asyncio.create_task(_send_all(here, answers))
        enough = TAKES
        while not (await asyncio.wait({sending}, timeout=LIVES_S))[0]:
            await until(lambda n=enough: len(answers) >= n or sending.done(), SLOWLY_S)
            here.instance.kill()
            here.start()
            await here.instance.up()
            enough = len(answers) + TAKES
        await sending
        await here.restart()
        await here.until_all_ended()

        assert len(answers) == SIGNALS * COPIES
        logged = await here.rows("SELECT id, processing_status AS status FROM signal_log")
        assert {row["id"] for row in logged} == {int(a["signal_id"]) for a in answers}
        assert [row["status"] for row in logged] == ["executed"] * SIGNALS
        executed = executions_by_order(await here.ledger())
        assert len(executed) == SIGNALS
        assert set(executed.values()) == {1}


async def _send_all(here: World, answers: list[dict[str, object]]) -> None:
    bodies = [direct(f"s{n}", f"SIM{n % 100 + 1:03d}") for n in range(SIGNALS)] * COPIES
    random.Random(7).shuffle(bodies)
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        async def send(body: bytes) -> None:
            url = here.instance.url
            answers.append(await send_until_accepted(session, url, body, SLOWLY_S))

        await asyncio.gather(*map(send, bodies))
