"""Two instances on one Redis: killed, handed over, and their Redis killed, emptied and put back."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path

import aiohttp
import pytest

from chaos.on_redis import UP_WITHIN_S, Shared, shared
from chaos.signals import bank_nifty
from chaos.world import direct
from onefill.ports.failpoints import Failpoint
from redis_servers import KINDS
from support import until
from wires import wire_to_redis

ON_THE_WAY = [
    Failpoint.INTAKE_BEFORE_COMMIT,
    Failpoint.INTAKE_AFTER_COMMIT,
    Failpoint.DECIDE_BEFORE_COMMIT,
    Failpoint.DECIDE_AFTER_COMMIT,
    Failpoint.CLAIM_BEFORE_COMMIT,
    Failpoint.CLAIM_AFTER_COMMIT,
    Failpoint.SEND_BEFORE,
    Failpoint.SEND_AFTER,
    Failpoint.SETTLE_BEFORE_COMMIT,
    Failpoint.SETTLE_AFTER_COMMIT,
]


@pytest.mark.req("CTL-21", "SIG-3", "SIG-23", "CTL-9")
async def test_the_active_trades_what_a_standby_took_in_and_portfolios_are_refused(
    tmp_path: Path,
) -> None:
    async with shared(tmp_path) as here:
        await here.run("prod", "dev")
        await here.here.until_active("prod", UP_WITHIN_S)
        await here.send("dev", direct("one", "SIM001"))
        await here.send("dev", bank_nifty("BASE_ENTRY", "Long_1", "two"))
        await here.until_all_ended()
        assert here.statuses() == {1: "executed", 2: "rejected"}
        assert list((await here.executions()).values()) == [1]
        assert here.held() == 1
        status, story = await here.here.ask("dev", "/api/signals/2")
        assert (status, story["signal"]["reason"]) == (200, "engine_not_available")


@pytest.mark.req("CTL-21", "ORD-3", "ORD-7", "Q-1", "OPS-1")
@pytest.mark.long
@pytest.mark.parametrize("point", ON_THE_WAY, ids=lambda point: point.value)
async def test_a_death_here_is_succeeded_and_neither_doubles_nor_loses(
    tmp_path: Path, point: Failpoint
) -> None:
    async with shared(tmp_path) as here:
        prod, dev = here.here["prod"], here.here["dev"]
        await here.run("prod", ONEFILL_FAILPOINT=point.value)
        await here.here.until_active("prod", UP_WITHIN_S)
        dev.start({**here.here.environment, "ONEFILL_ACTIVE_BY_DEFAULT": "false"})
        await dev.up(UP_WITHIN_S)
        body = direct("one", "SIM001")
        async with aiohttp.ClientSession() as session:
            with contextlib.suppress(aiohttp.ClientError):  # it may die before it can answer
                await session.post(f"{prod.url}/webhook", data=body)
        assert await prod.ended() == -9
        await here.send("dev", body)
        await here.until_all_ended()
        assert here.statuses() == {1: "executed"}
        assert list((await here.executions()).values()) == [1]
        assert here.held() == 1


@pytest.mark.req("CTL-11", "CTL-14", "CTL-18", "CTL-21")
async def test_control_goes_over_and_back_by_hand_and_the_history_says_so(tmp_path: Path) -> None:
    async with shared(tmp_path) as here:
        await here.run("prod", "dev")
        await here.here.until_active("prod", UP_WITHIN_S)
        for turn, name in enumerate(("dev", "prod")):
            status, answer = await here.here.ask(name, "/api/ginie/take-control", {})
            assert status == 202, answer
            await here.here.until_active(name, UP_WITHIN_S)
            await here.send("prod", direct(f"s{turn}", "SIM001"))
        await here.until_all_ended()
        assert sum((await here.executions()).values()) == 2
        path = "/coordinator/history"
        _, history = await here.here.ask("dev", path)
        reigns = [(each["instance"], each["reason"]) for each in history["history"]]
        assert reigns == [("prod", "election"), ("dev", "takeover"), ("prod", "takeover")]


@pytest.mark.req("CTL-21", "OPS-3", "Q-1", "SIG-2", "SIG-10")
@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS)
async def test_every_signal_fills_once_while_instances_and_their_redis_are_killed(
    tmp_path: Path, kind: str
) -> None:
    signals = 60
    async with shared(tmp_path, kind) as here:
        await here.run("prod", "dev")
        sending = asyncio.create_task(here.send_all(("prod", "dev"), signals, copies=3))
        victims = ["redis", "prod", "redis", "dev"]
        while not (await asyncio.wait({sending}, timeout=0.5))[0]:
            await _kill_and_start(here, victims[0])
            victims = victims[1:] + victims[:1]
        numbers = await sending
        await here.until_all_ended()
        assert set(here.statuses()) == numbers
        assert set(here.statuses().values()) == {"executed"}
        executions = await here.executions()
        assert (len(executions), set(executions.values())) == (signals, {1})
        assert here.held() == signals


@pytest.mark.req("CTL-21")
async def test_an_instance_does_not_start_on_a_redis_that_may_forget(tmp_path: Path) -> None:
    async with shared(tmp_path) as here:
        with contextlib.closing(here.redis.client()) as client:
            client.config_set("appendfsync", "everysec")
        prod = here.here["prod"]
        prod.start(here.here.environment)
        assert await prod.ended(UP_WITHIN_S) == 1
        assert prod.logged("Set appendfsync always")


@pytest.mark.req("CTL-10", "CTL-9", "CTL-16", "CTL-21", "Q-1")
async def test_an_active_that_alone_loses_redis_protects_only_while_the_other_one_trades(
    tmp_path: Path,
) -> None:
    async with shared(tmp_path) as here, wire_to_redis(here.redis.url) as (wire, url):
        prod = here.here["prod"]
        await here.run("prod", ONEFILL_REDIS_URL=url)
        await here.here.until_active("prod", UP_WITHIN_S)
        await here.run("dev", ONEFILL_ACTIVE_BY_DEFAULT="false")
        await here.send("dev", direct("before", "SIM001"))
        await here.until_all_ended()
        wire.cut()
        await until(lambda: here.state_of("prod", "PROTECT_ONLY"), UP_WITHIN_S)
        # This is learned on another connection than the leases, with a back-off of its own.
        line = r"\[REDIS\] Unavailable, using in-memory cache.*error"
        await until(lambda: prod.logged(line), UP_WITHIN_S)
        await until(lambda: _is_told_lost(here, "prod"), UP_WITHIN_S)
        await here.here.until_active("dev", UP_WITHIN_S)
        numbers = [await here.send("dev", direct(f"s{n}", "SIM001")) for n in range(3)]
        await here.until_all_ended()
        wire.mend()
        await until(lambda: here.state_of("prod", "STANDBY"), UP_WITHIN_S)
        await until(lambda: _is_told_back(here, "prod"), UP_WITHIN_S)
        assert sorted((await here.executions()).values()) == [1] * (1 + len(numbers))
        assert here.held() == 1 + len(numbers)


@pytest.mark.req("CTL-10", "CTL-21", "OPS-3", "SIG-16", "Q-1")
async def test_while_redis_is_paused_nobody_succeeds_and_what_was_spooled_fills_once_afterwards(
    tmp_path: Path,
) -> None:
    async with shared(tmp_path) as here:
        await here.run("prod", "dev")
        await here.here.until_active("prod", UP_WITHIN_S)
        await here.send("dev", direct("before", "SIM001"))
        await here.until_all_ended()
        here.redis.pause()
        await until(lambda: here.state_of("prod", "PROTECT_ONLY"), UP_WITHIN_S)
        body = direct("during", "SIM002")
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{here.here['dev'].url}/webhook", data=body) as response,
        ):
            assert response.status == 503
        assert await here.state_of("dev", "STANDBY")
        here.redis.resume()
        await here.until_executed(2)
        await here.send("prod", body)
        assert sorted((await here.executions()).values()) == [1, 1]
        _, history = await here.here.ask("dev", "/coordinator/history")
        epochs = [each["epoch"] for each in history["history"]]
        assert epochs == list(range(epochs[0], epochs[0] + len(epochs)))


@pytest.mark.req("CTL-8", "CTL-21", "Q-1")
@pytest.mark.parametrize("loss", ["emptied", "put back", "put back, and an instance started anew"])
async def test_a_redis_that_lost_commits_is_not_traded_by(tmp_path: Path, loss: str) -> None:
    async with shared(tmp_path) as here:
        prod = here.here["prod"]
        await here.run("prod")
        await here.here.until_active("prod", UP_WITHIN_S)
        copy = tmp_path / "copy"
        shutil.copytree(tmp_path / "redis" / "appendonlydir", copy)
        body = direct("one", "SIM001")
        await here.send("prod", body)
        await here.until_all_ended()
        assert list((await here.executions()).values()) == [1]
        await _lose(here, loss, copy, tmp_path / "redis" / "appendonlydir")
        await until(lambda: prod.logged("redis.lost_commits"), UP_WITHIN_S)
        async with aiohttp.ClientSession() as session:
            async with session.post(f"{prod.url}/webhook", data=body) as response:
                assert response.status == 503

            async def is_not_ready() -> bool:
                async with session.get(f"{prod.url}/ready") as response:
                    return response.status == 503

            await until(is_not_ready)
        assert list((await here.executions()).values()) == [1]


async def _is_told_lost(here: Shared, name: str) -> bool:
    return "Redis Disconnected" in await here.here.told(name, "status")


async def _is_told_back(here: Shared, name: str) -> bool:
    return not await _is_told_lost(here, name)


async def _lose(here: Shared, loss: str, copy: Path, files: Path) -> None:
    if loss == "emptied":
        here.redis.flush()
        return
    prod = here.here["prod"]
    if loss.endswith("anew"):
        # What it saw last is on its disk within a second or two.
        memory = here.here.folder / "prod" / "redis-seen.json"
        before = memory.read_text()
        await until(lambda: memory.read_text() != before)
        prod.kill()
    here.redis.kill()
    shutil.rmtree(files)
    shutil.copytree(copy, files)
    here.redis.start()
    await here.redis.up()
    if loss.endswith("anew"):
        prod.start(here.here.environment)
        await until(lambda: prod.logged("redis.lost_commits"), UP_WITHIN_S)


async def _kill_and_start(here: Shared, victim: str) -> None:
    if victim == "redis":
        here.redis.kill()
        here.redis.start()
        await here.redis.up()
        return
    here.here[victim].kill()
    await here.run(victim)
