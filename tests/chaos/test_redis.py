"""A Redis beside the database is killed, paused, flushed and filled: no signal notices it."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import support
from chaos.processes import Server
from chaos.world import OPERATOR, World, direct, executions_by_order, send_until_accepted, world
from redis_servers import KINDS, RedisServer, redis_server_of
from strain import within

SIGNALS, COPIES = 120, 3
BACK_WITHIN_S = 2.0
CANCELS_AFTER_S = 3.0


@asynccontextmanager
async def pair(
    database_url: str, folder: Path, kind: str
) -> AsyncIterator[tuple[World, Server, RedisServer]]:
    """An instance that executes, one that only takes in, and a Redis between them."""
    with redis_server_of(kind, folder / "redis") as redis:
        await redis.up()
        async with world(database_url, folder, ONEFILL_REDIS_URL=redis.url) as here:
            port = support.free_port()
            other = Server(
                ["serve", "--port", str(port), "--instance-id", "dev", "--role", "intake"],
                f"http://127.0.0.1:{port}",
                "/ready",
                folder / "dev.log",
            )
            other.start({**here.environment, "ONEFILL_DATA": str(folder / "dev")})
            here.start()
            try:
                await here.instance.up()
                await other.up()
                yield here, other, redis
            finally:
                other.kill()


async def health(url: str) -> dict[str, Any]:
    """What an instance says of itself."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/health") as response:
        return dict(await response.json())


async def sees_redis(server: Server, up: bool) -> None:
    """Wait until the instance says that Redis is there, or is not."""

    async def says_so() -> bool:
        return (await health(server.url))["redis_connected"] is up

    await support.until(says_so)


async def post(url: str, body: bytes) -> tuple[int, dict[str, Any]]:
    """One webhook, as TradingView sends it: it gives up after 3 s, and never repeats a 2xx."""
    with within(CANCELS_AFTER_S):
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{url}/webhook", data=body) as response,
        ):
            return response.status, json.loads(await response.text())


async def duplicates_by_redis(server: Server) -> float:
    """How many duplicates were known by a neighbour's word."""
    async with (
        aiohttp.ClientSession(headers={"authorization": f"Bearer {OPERATOR}"}) as session,
        session.get(f"{server.url}/metrics") as response,
    ):
        assert response.status == 200
        lines = (await response.text()).splitlines()
    found = [line for line in lines if "signal_duplicates_total" in line and '"redis"' in line]
    return float(found[0].split()[-1]) if found else 0


async def killed(redis: RedisServer) -> None:
    redis.kill()
    await asyncio.sleep(0.5)
    redis.start()
    await redis.up()


async def paused(redis: RedisServer) -> None:
    redis.pause()
    await asyncio.sleep(1.0)
    redis.resume()
    await redis.up()


async def flushed(redis: RedisServer) -> None:
    redis.flush()


async def filled(redis: RedisServer) -> None:
    client = redis.client()
    client.config_set("maxmemory", "1")
    await asyncio.sleep(0.5)
    client.config_set("maxmemory", "0")
    client.close()


@pytest.mark.req("CTL-10", "SIG-10", "OPS-3", "Q-1")
@pytest.mark.parametrize("kind", KINDS)
async def test_whatever_befalls_redis_every_signal_fills_once(
    database_url: str, tmp_path: Path, kind: str
) -> None:
    troubles: list[Callable[[RedisServer], Awaitable[None]]] = [killed, paused, flushed, filled]
    async with pair(database_url, tmp_path, kind) as (here, other, redis):
        sending = asyncio.create_task(_send_all([here.instance.url, other.url]))
        rounds = 0
        while not sending.done() or rounds < len(troubles):
            await troubles[rounds % len(troubles)](redis)
            rounds += 1
        answers = await sending
        for server in (here.instance, other):
            with within(BACK_WITHIN_S):
                await sees_redis(server, True)
        await here.until_all_ended()

        assert len(answers) == SIGNALS * COPIES
        logged = await here.rows("SELECT processing_status AS status FROM signal_log")
        assert [row["status"] for row in logged] == ["executed"] * SIGNALS
        assert sum(answer["status"] != "duplicate" for answer in answers) == SIGNALS
        executed = executions_by_order(await here.ledger())
        assert (len(executed), set(executed.values())) == (SIGNALS, {1})


async def _send_all(urls: list[str]) -> list[dict[str, Any]]:
    """Each signal to each instance in turn, some copies at once, at a pace that lasts a while."""
    async with aiohttp.ClientSession() as session:
        answers: list[dict[str, Any]] = []
        for number in range(SIGNALS):
            body = direct(f"s{number}", f"SIM{number % 100 + 1:03d}")
            answers += await asyncio.gather(
                *(
                    send_until_accepted(session, urls[(number + copy) % 2], body)
                    for copy in range(COPIES)
                )
            )
            await asyncio.sleep(0.03)
        return answers


@pytest.mark.req("CTL-10", "SIG-2", "OPS-3")
@pytest.mark.parametrize("kind", KINDS)
async def test_a_webhook_is_answered_while_redis_is_paused_and_all_is_back_soon_after(
    database_url: str, tmp_path: Path, kind: str
) -> None:
    async with pair(database_url, tmp_path, kind) as (here, other, redis):
        servers = (here.instance, other)
        for server in servers:
            await sees_redis(server, True)
        redis.pause()
        for number in range(20):
            status, _ = await post(servers[number % 2].url, direct(f"p{number}", "SIM001"))
            assert status < 300
        for server in servers:
            await sees_redis(server, False)
            status, _ = await post(server.url, direct(f"late {server.url}", "SIM002"))
            assert status < 300
        redis.resume()
        for server in servers:
            with within(BACK_WITHIN_S):
                await sees_redis(server, True)


@pytest.mark.req("AP-1", "CTL-7")
async def test_redis_names_the_leader_while_it_leads_and_has_every_heartbeat(
    database_url: str, tmp_path: Path
) -> None:
    async with pair(database_url, tmp_path, "valkey") as (here, _, redis):
        client = redis.client()
        await support.until(lambda: client.get("ginie:active") == b"prod")
        [lease] = await here.rows("SELECT epoch FROM leases")
        assert client.get("ginie:epoch") == str(lease["epoch"]).encode()
        names = ("ginie:heartbeat:prod", "ginie:heartbeat:dev")
        await support.until(lambda: client.exists(*names) == 2)
        redis.flush()
        await support.until(lambda: client.get("ginie:active") == b"prod")
        assert here.instance.stop() == 0
        assert client.get("ginie:active") is None
        assert client.get("ginie:epoch") == str(lease["epoch"]).encode()
        client.close()


@pytest.mark.req("SIG-10")
async def test_what_one_instance_committed_its_neighbour_looks_up(
    database_url: str, tmp_path: Path
) -> None:
    async with pair(database_url, tmp_path, "valkey") as (here, other, _):
        for server in (here.instance, other):
            await support.until(lambda server=server: server.logged("ginie:commits"))

        async def known() -> bool:
            body = direct(f"n{next(tries)}", "SIM003")
            first = (await post(here.instance.url, body))[1]
            again = (await post(other.url, body))[1]
            assert (again["status"], again["signal_id"]) == ("duplicate", first["signal_id"])
            return await duplicates_by_redis(other) > 0

        tries = itertools.count()
        await support.until(known)
