"""What changing hands uses up, it gives back: an instance that is never restarted goes on."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from chaos.shared_redis import redis_world
from chaos.traffic import traffic
from chaos.world import World
from support import until

TAKEOVERS = 24
SPARE = 12
"""Connections to senders and of the views' pool come and go; one a takeover is twice as many."""
NAMES = ("dev", "prod")


async def change_hands(here: World, times: int) -> None:
    """Take control from one another, so often."""
    for taker in itertools.islice(itertools.cycle(NAMES), times):
        status, answer = await here.ask(taker, "/api/ginie/take-control", {})
        assert status == 202, answer
        await here.until_active(taker)


async def sessions(here: World) -> int:
    """How many sessions PostgreSQL keeps for the instances."""
    query = """
        SELECT count(*) FROM pg_stat_activity
        WHERE application_name LIKE 'onefill:%' AND datname = current_database()"""
    return int((await here.rows(query))[0]["count"])


async def in_use(here: World) -> dict[str, int]:
    """Sessions, and each instance's open files and threads, by name."""
    found = {"sessions": await sessions(here)}
    for name in NAMES:
        process = Path("/proc") / str(here[name].pid)
        found[f"{name}'s files"] = len(list((process / "fd").iterdir()))
        found[f"{name}'s threads"] = len(list((process / "task").iterdir()))
    return found


@pytest.mark.req("CTL-11", "OPS-3")
async def test_after_many_takeovers_no_more_is_in_use_than_after_a_few(
    database_url: str, tmp_path: Path
) -> None:
    async with redis_world(database_url, tmp_path, "prod", "dev") as given:
        here = given.world
        await given.run("prod", "dev")
        async with traffic(here, "prod", "dev", lanes=20, a_second=10):
            await change_hands(here, 4)
        before = await in_use(here)
        async with traffic(here, "prod", "dev", lanes=20, a_second=10):
            await change_hands(here, TAKEOVERS)

        async def given_back() -> bool:
            now = await in_use(here)
            return all(now[what] <= before[what] + SPARE for what in before)

        await until(given_back)
