"""Redis is stopped, paused, emptied or cut off, and control changes hands all the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from chaos.shared_redis import RedisWorld, redis_world
from chaos.test_control_takeover import steps
from chaos.traffic import traffic

TAKE = "/api/ginie/take-control"


def stopped(given: RedisWorld) -> None:
    given.redis.kill()


def paused(given: RedisWorld) -> None:
    given.redis.pause()


def emptied(given: RedisWorld) -> None:
    given.redis.flush()


def cut_off_from_all(given: RedisWorld) -> None:
    for wire in given.wires.values():
        wire.cut()


def cut_off_from_the_leader(given: RedisWorld) -> None:
    given.wires["prod"].cut()


def silent_for_the_standby(given: RedisWorld) -> None:
    given.wires["dev"].freeze()


async def mend(given: RedisWorld) -> None:
    """Whatever it was: a Redis is there again, and can be reached."""
    given.redis.kill()
    given.redis.start()
    await given.redis.up()
    for wire in given.wires.values():
        wire.cut()
        wire.mend()


LONG = pytest.mark.long
TROUBLES = [
    pytest.param(stopped, marks=LONG),
    paused,
    pytest.param(emptied, marks=LONG),
    pytest.param(cut_off_from_all, marks=LONG),
    cut_off_from_the_leader,
    pytest.param(silent_for_the_standby, marks=LONG),
]


@pytest.mark.req("CTL-10", "CTL-11", "CTL-5", "CTL-16", "Q-1")
@pytest.mark.parametrize("befalls", TROUBLES)
async def test_whatever_befalls_redis_control_is_handed_over_and_succeeded(
    database_url: str, tmp_path: Path, befalls: Callable[[RedisWorld], None]
) -> None:
    async with redis_world(database_url, tmp_path, "prod", "dev") as given:
        here = given.world
        await given.run("prod", "dev")
        await here.until_active("prod")
        await given.until_named("prod")
        async with traffic(here, "dev", "prod") as sender:
            befalls(given)
            assert (await here.ask("dev", TAKE, {}))[0] == 202
            await here.until_active("dev")
            assert "forced" not in steps(await here.status("dev"))
            here["dev"].kill()
            await here.until_active("prod")
            await mend(given)
            await given.until_named("prod")
        await here.judge(signals=sender.sent, acknowledged=sender.acknowledged)
        assert [reign["instance"] for reign in await here.reigns()] == ["prod", "dev", "prod"]
