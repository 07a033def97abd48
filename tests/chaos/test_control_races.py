"""Starts that race each other, quick changes, and three instances that share busy lanes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chaos.strain import watched
from chaos.traffic import traffic
from chaos.world import World, world
from onefill.core.control.succession import FIRST_COMER_WAITS_MS
from support import until

TAKE = "/api/ginie/take-control"
LONG = pytest.mark.long
HEAD_START_S = 3.0
"""Less than what others give the preferred instance."""


async def start(here: World, name: str, *, preferred: bool) -> None:
    """Start it, and don't wait."""
    wish = "true" if preferred else "false"
    here[name].start({**here.environment, "ONEFILL_ACTIVE_BY_DEFAULT": wish})


async def preferred_leads(here: World) -> None:
    """Fail when another one leads that has not waited for it as long as it should."""
    (reign,) = await here.reigns()
    if reign["instance"] == "prod":
        return
    (dev,) = await here.rows("SELECT started_at FROM instance_metadata WHERE instance = 'dev'")
    waited = (reign["became_at"] - dev["started_at"]).total_seconds() * 1000
    assert waited >= FIRST_COMER_WAITS_MS - 500
    pytest.skip(f"the machine is too busy: prod was not there after {waited:.0f} ms")


async def leader_of(here: World, *names: str) -> str:
    """Who is active, as soon as one is."""

    async def found() -> str | None:
        for name in names:
            if (await here.status(name))["is_active"]:
                return name
        return None

    name = await until(found)
    assert name is not None
    return name


@pytest.mark.req("CTL-15")
@pytest.mark.parametrize("preferred_late_s", [0.0, pytest.param(HEAD_START_S, marks=LONG)])
async def test_the_preferred_one_leads_an_empty_store_also_when_it_comes_later(
    database_url: str, tmp_path: Path, preferred_late_s: float
) -> None:
    async with world(database_url, tmp_path) as here:
        await start(here, "dev", preferred=False)
        if preferred_late_s:
            await here["dev"].up()
        await asyncio.sleep(preferred_late_s / 3)
        await start(here, "prod", preferred=True)
        for name in ("dev", "prod"):
            await here[name].up()
        await leader_of(here, "dev", "prod")
        await here.until_told()
        await preferred_leads(here)
        await here.judge()


@LONG
@pytest.mark.req("CTL-15")
@pytest.mark.parametrize("preferred", [True, False], ids=["all preferred", "none preferred"])
async def test_of_equals_that_start_at_once_one_leads_and_no_start_displaces_it(
    database_url: str, tmp_path: Path, preferred: bool
) -> None:
    names = ("a", "b", "c")
    async with world(database_url, tmp_path) as here:
        for name in names:
            await start(here, name, preferred=preferred)
        for name in names:
            await here[name].up()
        leader = await leader_of(here, *names)
        await here.until_told()
        (reign,) = await here.reigns()
        assert reign["instance"] == leader
        others = [name for name in names if name != leader]
        for name in others:
            here[name].kill()
            await start(here, name, preferred=True)
        for name in others:
            await here[name].up()
            await here.until_follows(name, leader)
        assert len(await here.reigns()) == 1
        await here.judge()


@LONG
@pytest.mark.req("CTL-1", "CTL-12", "CTL-18", "Q-1")
async def test_ten_changes_of_leader_in_a_row_while_heartbeats_race_them(
    database_url: str, tmp_path: Path
) -> None:
    names = ("a", "b", "c")
    async with world(database_url, tmp_path) as here:
        await here.run(*names)
        await here.until_active("a")
        expected = ["a"]
        async with traffic(here, *names) as sender:
            for change in range(1, 11):
                taker = names[change % 3]
                assert (await here.ask(taker, TAKE, {}))[0] == 202
                await here.until_active(taker)
                expected.append(taker)
        await here.judge(signals=sender.sent, acknowledged=sender.acknowledged)
        reigns = await here.reigns()
        assert [reign["instance"] for reign in reigns] == expected
        assert {reign["end_reason"] for reign in reigns[:-1]} == {"takeover"}

        async def told() -> bool:
            rows = await here.rows("SELECT instance FROM instance_metadata WHERE is_leader")
            return [row["instance"] for row in rows] == [expected[-1]]

        await until(told)  # whichever heartbeat came last, one instance says that it leads


@LONG
@pytest.mark.req("CTL-5", "CTL-16", "ORD-2", "Q-1")
@pytest.mark.parametrize("how", ["kill", "pause"])
async def test_sixty_lanes_of_three_instances_never_idle_whoever_is_killed_or_paused(
    database_url: str, tmp_path: Path, how: str
) -> None:
    names = ("a", "b", "c")
    async with world(
        database_url, tmp_path, is_patient=False, ONEFILL_MODE="active-active"
    ) as here:
        await here.run(*names)
        await here.until_active("a")
        async with watched() as machine, traffic(here, *names, lanes=60, a_second=30) as sender:
            for victim in names:
                await asyncio.sleep(2)
                getattr(here[victim], how)()
                await leader_of(here, *(name for name in names if name != victim))
                await asyncio.sleep(2)
                if how == "pause":
                    here[victim].resume()
                else:
                    await here.run(victim, ONEFILL_ACTIVE_BY_DEFAULT="false")
        await here.judge(
            signals=sender.sent,
            acknowledged=sender.acknowledged,
            idle_s_max=2.0,
            strained_s=machine.between,
        )
        took = await here.rows("SELECT DISTINCT processed_by_instance AS name FROM signal_log")
        assert {row["name"] for row in took} == set(names)
