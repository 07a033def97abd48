"""Instances are killed and paused while they trade; nobody doubles, loses, or waits for long."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import aiohttp
import pytest

from chaos.test_control_takeover import BOTH_MODES
from chaos.world import OPERATOR, World, direct, send_until_accepted, world
from onefill.ports.failpoints import Failpoint
from support import until

PAUSED_S = 3.0


async def leader_of(here: World, *names: str) -> str:
    """Who is active, as soon as anybody is."""

    async def found() -> str | None:
        for name in names:
            if here[name].is_running and (await here.status(name))["is_active"]:
                return name
        return None

    name = await until(found)
    assert name is not None
    return name


@pytest.mark.req("CTL-1", "CTL-3", "CTL-6")
@BOTH_MODES
async def test_a_paused_leader_is_succeeded_when_its_lease_ends_and_then_steps_down(
    database_url: str, tmp_path: Path, mode: str
) -> None:
    async with world(database_url, tmp_path, ONEFILL_MODE=mode) as here:
        await here.run("prod", "dev")
        await here.until_active("prod")
        here["prod"].pause()
        await here.until_active("dev")
        here["prod"].resume()
        await here.until_follows("prod", "dev")
        async with aiohttp.ClientSession() as session:
            await send_until_accepted(session, here["prod"].url, direct("one", "SIM001"))
        await here.judge(signals=1)


@pytest.mark.req("CTL-1", "CTL-6", "ORD-3")
@pytest.mark.parametrize(
    "point",
    [Failpoint.DECIDE_BEFORE_COMMIT, Failpoint.CLAIM_BEFORE_COMMIT, Failpoint.CLAIM_AFTER_COMMIT],
    ids=lambda point: point.value,
)
@BOTH_MODES
async def test_a_pause_inside_a_transaction_or_before_a_send_doubles_nothing(
    database_url: str, tmp_path: Path, mode: str, point: Failpoint
) -> None:
    async with world(database_url, tmp_path, ONEFILL_MODE=mode) as here:
        await here.run("prod", ONEFILL_FAILPOINT=f"{point.value}:1:stop")
        await here.until_active("prod")
        await here.run("dev", ONEFILL_ACTIVE_BY_DEFAULT="false")
        async with aiohttp.ClientSession() as session:
            await send_until_accepted(session, here["prod"].url, direct("one", "SIM001"))
            await here.until_active("dev")
            await send_until_accepted(session, here["dev"].url, direct("two", "SIM001"))
            await here.until_all_ended()  # the paused one holds nobody up
            here["prod"].resume()
        await here.judge(signals=2)


@pytest.mark.req("CTL-1", "CTL-18")
async def test_ten_changes_of_leader_in_a_row_are_all_in_the_history(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path) as here:
        names = ("prod", "dev")
        await here.run(*names)
        await here.until_active("prod")
        for change in range(10):
            active = names[change % 2]
            other = names[(change + 1) % 2]
            if change % 3 == 2:
                here[active].kill()
                await here.until_active(other)
                await here.run(active, ONEFILL_ACTIVE_BY_DEFAULT="false")
            else:
                assert (await here.ask(other, "/api/ginie/take-control", {}))[0] == 202
                await here.until_active(other)

        async def written() -> bool:
            return len(await here.reigns()) == 11

        await until(written)
        reigns = await here.reigns()
        assert [reign["instance"] for reign in reigns] == [names[n % 2] for n in range(11)]
        for before, after in itertools.pairwise(reigns):
            assert after["epoch"] == before["epoch"] + 1
            assert before["released_at"] == after["became_at"]
        _, shown = await here.ask("prod", "/coordinator/history")
        assert len(shown["history"]) == 11


@pytest.mark.req("CTL-18", "CTL-11")
async def test_a_history_that_can_not_be_written_holds_nobody_up_is_counted_and_written_later(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path) as here:
        await here.run("prod", "dev")
        await here.until_active("prod")
        await here.until_told()
        await here.rows("ALTER TABLE leadership_history RENAME TO mislaid")
        assert (await here.ask("dev", "/api/ginie/take-control", {}))[0] == 202
        await here.until_active("dev")
        async with aiohttp.ClientSession() as session:
            await send_until_accepted(session, here["dev"].url, direct("one", "SIM001"))
        await here.until_all_ended()
        await until(lambda: _has_failed_to_write(here, "prod"))
        await here.rows("ALTER TABLE mislaid RENAME TO leadership_history")
        await here.judge(signals=1)
        assert [reign["instance"] for reign in await here.reigns()] == ["prod", "dev"]


@pytest.mark.req("CTL-5", "CTL-18")
async def test_leaders_that_die_at_their_grant_one_after_the_other_are_all_in_the_history(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path) as here:
        await here.run("a")
        await here.until_active("a")
        await here.run(
            "b", "c", ONEFILL_ACTIVE_BY_DEFAULT="false", ONEFILL_FAILPOINT=Failpoint.LEASE_TAKEN
        )
        here["a"].kill()
        for name in ("b", "c"):
            await here[name].ended()
        await here.run("d")
        await here.until_active("d")
        await here.judge(signals=0)
        reigns = await here.reigns()
        assert [reign["instance"] for reign in reigns][0::3] == ["a", "d"]
        assert {reign["instance"] for reign in reigns[1:3]} == {"b", "c"}
        assert [reign["end_reason"] for reign in reigns] == ["failover"] * 3 + [None]


async def _has_failed_to_write(here: World, name: str) -> bool:
    """Whether that instance has counted a line of the history that it could not write."""
    headers = {"Authorization": f"Bearer {OPERATOR}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{here[name].url}/metrics") as answer,
    ):
        lines = (await answer.text()).splitlines()
    found = [x for x in lines if x.startswith("onefill_history_write_failures_total ")]
    return float(found[0].split()[-1]) > 0


@pytest.mark.req("CTL-5", "CTL-16", "SIG-3", "ORD-2", "Q-1")
async def test_three_share_sixty_busy_lanes_while_leaders_and_others_are_killed_and_paused(
    database_url: str, tmp_path: Path
) -> None:
    names, lanes, rounds = ("a", "b", "c"), 60, 4
    async with world(database_url, tmp_path, ONEFILL_MODE="active-active") as here:
        await here.run(*names)
        await leader_of(here, *names)
        sending = asyncio.create_task(_send(here, names, lanes, rounds))
        for _ in range(2):
            leader = await leader_of(here, *names)
            here[leader].kill()
            successor = await leader_of(here, *(name for name in names if name != leader))
            assert successor != leader
            await here.run(leader, ONEFILL_ACTIVE_BY_DEFAULT="false")
        leader = await leader_of(here, *names)
        idle = next(name for name in names if name != leader)
        here[idle].pause()
        await asyncio.sleep(PAUSED_S)
        here[idle].resume()
        await sending
        await here.judge(signals=lanes * rounds)
        took = await here.rows("SELECT DISTINCT processed_by_instance AS name FROM signal_log")
        assert len(took) > 1


async def _send(here: World, names: tuple[str, ...], lanes: int, rounds: int) -> None:
    """Each signal to one instance after the other, until one takes it, as a proxy does."""
    connector = aiohttp.TCPConnector(limit=8)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def send(n: int) -> None:
            body = direct(f"s{n}", f"SIM{n % lanes + 1:03d}")
            turns = itertools.count()

            async def is_taken() -> bool:
                turn = next(turns)
                url = here[names[(n + turn) % len(names)]].url
                timeout = aiohttp.ClientTimeout(total=1 + turn / 4)
                try:
                    async with session.post(f"{url}/webhook", data=body, timeout=timeout) as answer:
                        return answer.status < 300
                except (aiohttp.ClientError, TimeoutError):
                    return False

            await until(is_taken, 180)

        for start in range(0, lanes * rounds, 20):
            await asyncio.gather(*(send(n) for n in range(start, start + 20)))
            await asyncio.sleep(0.5)
