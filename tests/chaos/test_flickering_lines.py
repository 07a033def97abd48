"""Lines that break again and again, at whatever moment they are used: a switch that dies slowly."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from chaos.judge import judge
from chaos.on_redis import UP_WITHIN_S, shared
from chaos.shared_redis import redis_world
from chaos.traffic import traffic
from wires import Wire, wire_to_postgres, wire_to_redis

BREAKS = int(os.environ.get("ONEFILL_CHAOS_BREAKS", "40"))
"""Of each line. The moments are by chance, so that more breaks meet rarer ones."""


async def flicker(lines: Sequence[Wire], chance: random.Random) -> None:
    """Break each line so often, for at most some milliseconds, one after the other."""
    for _ in range(BREAKS):
        for line in lines:
            line.cut()
            await asyncio.sleep(chance.uniform(0, 0.03))
            line.mend()
            await asyncio.sleep(chance.uniform(0, 0.15))


@pytest.mark.req("CTL-10", "OPS-3", "Q-1")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("mode", ["active-standby", "active-active"])
async def test_an_instance_whose_lines_flicker_stays_and_each_signal_fills_once(
    database_url: str, tmp_path: Path, mode: str
) -> None:
    async with (
        wire_to_postgres(database_url) as (database, url),
        redis_world(
            database_url, tmp_path, "prod", "dev", is_patient=False, ONEFILL_MODE=mode
        ) as given,
    ):
        here = given.world
        await given.run("prod", ONEFILL_DATABASE_URL=url)
        await given.run("dev", ONEFILL_ACTIVE_BY_DEFAULT="false")
        async with traffic(here, "prod", "dev", lanes=20, a_second=10) as sender:
            await flicker((database, given.wires["prod"]), random.Random(5))
        await here.until_all_ended()
        await here.until_told()
        assert here["prod"].is_running
        await judge(
            database_url,
            here.venue.url,
            signals=sender.sent,
            acknowledged=sender.acknowledged,
        )


@pytest.mark.req("CTL-10", "CTL-21", "OPS-3", "Q-1")
@pytest.mark.timeout(600)
async def test_the_same_where_redis_is_the_authority(tmp_path: Path) -> None:
    async with shared(tmp_path) as given, wire_to_redis(given.redis.url) as (line, url):
        here = given.here
        await given.run("prod", ONEFILL_REDIS_URL=url)
        await here.until_active("prod", UP_WITHIN_S)
        await given.run("dev", ONEFILL_ACTIVE_BY_DEFAULT="false")
        async with traffic(here, "prod", "dev", lanes=20, a_second=10) as sender:
            await flicker((line,), random.Random(5))
        await given.until_all_ended()
        assert here["prod"].is_running
        executions = await given.executions()
        assert sorted(executions.values()) == [1] * sender.sent
