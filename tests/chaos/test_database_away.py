"""The database is away: 503 and a spool, nothing executed; and back by itself on its return."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chaos.world import (
    SECRET,
    World,
    direct,
    executions_by_order,
    send_until_accepted,
    world,
)
from postgres_server import PostgresServer
from strain import within
from support import until
from wires import wire_to_postgres

CANCELS_AFTER_S = 3.0
"""TradingView's limit: an answer that takes longer is none."""
WAYS = pytest.mark.parametrize(
    ("down", "up"),
    [
        pytest.param("kill", "go", id="killed"),
        pytest.param("halt", "go", id="stopped", marks=pytest.mark.long),
        pytest.param("pause", "resume", id="paused", marks=pytest.mark.long),
    ],
)


async def post(here: World, name: str, bodies: Sequence[bytes]) -> list[tuple[int, Any, str]]:
    """What each is answered, at once, within the sender's limit: status, document, Retry-After."""
    async with aiohttp.ClientSession() as session:

        async def one(body: bytes) -> tuple[int, Any, str]:
            async with session.post(f"{here[name].url}/webhook", data=body) as answer:
                return answer.status, await answer.json(), answer.headers.get("Retry-After", "")

        with within(CANCELS_AFTER_S):
            return list(await asyncio.gather(*(one(body) for body in bodies)))


async def spooled(here: World, name: str = "prod") -> int:
    """How many signals wait in an instance's spool."""
    status, document = await here.ask(name, "/api/status")
    assert status == 200
    return int(document["spooled"])


async def until_refused(here: World, name: str, probe: str) -> None:
    """Wait until a probe says no."""

    async def refused() -> bool:
        return (await here.ask(name, probe))[0] == 503

    await until(refused)


async def until_emptied(here: World, name: str = "prod") -> None:
    """Wait until all that was spooled is in the log."""

    async def emptied() -> bool:
        return await spooled(here, name) == 0

    await until(emptied)


def aged(order_id: str, ticker: str, action: str) -> bytes:
    """A signal of an hour ago."""
    body = json.loads(direct(order_id, ticker, action=action))
    body["timestamp"] = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    if action == "close":
        del body["contracts"]
    return json.dumps(body).encode()


@pytest.mark.req("SIG-16", "SIG-2", "CTL-10", "OPS-3")
@WAYS
async def test_what_comes_while_the_database_is_away_is_spooled_and_executed_once(
    own_server: PostgresServer, tmp_path: Path, down: str, up: str
) -> None:
    url = own_server.url_of(own_server.create_database())
    async with world(url, tmp_path) as here:
        await here.run("prod")
        await here.until_active("prod")
        async with aiohttp.ClientSession() as session:
            await send_until_accepted(session, here["prod"].url, direct("before", "SIM001"))
        await here.until_all_ended()

        await asyncio.to_thread(getattr(own_server, down))
        bodies = [direct(f"s{n}", f"SIM{n + 2:03d}") for n in range(8)]
        answers = await post(here, "prod", bodies)
        assert {status for status, _, _ in answers} == {503}
        assert all(int(retry_after) >= 1 for _, _, retry_after in answers)
        await until_refused(here, "prod", "/ready")
        await until_refused(here, "prod", "/primary")
        assert await spooled(here) == 8
        assert len(executions_by_order(await here.ledger())) == 1
        _judge_secret(tmp_path)

        await asyncio.to_thread(getattr(own_server, up))
        await until_emptied(here)
        await here.until_active("prod")
        resent = await post(here, "prod", bodies)
        assert {document["status"] for _, document, _ in resent} == {"duplicate"}
        await here.until_all_ended()
        assert sorted(executions_by_order(await here.ledger()).values()) == [1] * 9


@pytest.mark.req("SIG-16", "SIG-13", "CTL-10")
@pytest.mark.long
async def test_a_spool_outlives_its_process_and_only_what_is_still_worth_it_is_executed(
    own_server: PostgresServer, tmp_path: Path
) -> None:
    url = own_server.url_of(own_server.create_database())
    async with world(url, tmp_path) as here:
        await here.run("prod")
        async with aiohttp.ClientSession() as session:
            await send_until_accepted(session, here["prod"].url, direct("held", "SIM001"))
        await here.until_all_ended()

        await asyncio.to_thread(own_server.kill)
        bodies = [
            aged("exit", "SIM001", "close"),
            aged("old", "SIM002", "buy"),
            direct("fresh", "SIM003"),
        ]
        assert {status for status, _, _ in await post(here, "prod", bodies)} == {503}
        here["prod"].kill()
        here["prod"].start({**here.environment, "ONEFILL_ACTIVE_BY_DEFAULT": "true"})
        await _until_answers(here, bodies[2])
        await asyncio.to_thread(own_server.go)
        await here["prod"].up()
        await until_emptied(here)
        await here.until_all_ended()
        rows = await here.rows("SELECT payload, processing_status FROM signal_log")
        ends = {json.loads(row["payload"])["order_id"]: row["processing_status"] for row in rows}
        assert ends == {
            "held": "executed",
            "exit": "executed",
            "old": "expired",
            "fresh": "executed",
        }
        assert sorted(executions_by_order(await here.ledger()).values()) == [1] * 3


@pytest.mark.req("SIG-16", "SIG-2")
@pytest.mark.long
async def test_a_full_spool_is_still_a_503_and_is_told(
    own_server: PostgresServer, tmp_path: Path
) -> None:
    url = own_server.url_of(own_server.create_database())
    async with world(url, tmp_path, ONEFILL_SPOOL__BYTES_MAX="16384") as here:
        await here.run("prod")
        await here.until_active("prod")
        await asyncio.to_thread(own_server.halt)
        bodies = [direct(f"s{n}-{'x' * 100}", "SIM001") for n in range(100)]
        answers = await post(here, "prod", bodies)
        assert {status for status, _, _ in answers} == {503}
        kept = await spooled(here)
        assert 0 < kept < 100
        await until(lambda: here["prod"].logged("spool.full"))
        await asyncio.to_thread(own_server.go)
        await until_emptied(here)
        (logged,) = await here.rows("SELECT count(*) AS many FROM signal_log")
        assert logged["many"] == kept


@pytest.mark.req("CTL-10", "CTL-3", "CTL-18", "SIG-16", "SIG-3")
async def test_an_instance_that_alone_loses_the_database_spools_while_the_other_trades_on(
    own_server: PostgresServer, tmp_path: Path
) -> None:
    url = own_server.url_of(own_server.create_database())
    async with wire_to_postgres(url) as (line, line_url), world(url, tmp_path) as here:
        await here.run("prod", ONEFILL_DATABASE_URL=line_url)
        await here.until_active("prod")
        await here.run("dev", ONEFILL_ACTIVE_BY_DEFAULT="false")
        line.cut()
        bodies = [direct(f"s{n}", f"SIM{n + 1:03d}") for n in range(4)]
        assert {status for status, _, _ in await post(here, "prod", bodies)} == {503}
        await here.until_active("dev")
        await here.until_not_active("prod")
        resent = await post(here, "dev", bodies)
        assert {document["status"] for _, document, _ in resent} == {"accepted"}
        line.mend()
        await until_emptied(here)
        await here.until_all_ended()
        assert sorted(executions_by_order(await here.ledger()).values()) == [1] * 4
        (seen,) = await here.rows("SELECT count(*) AS many FROM signal_log")
        assert seen["many"] == 4

        async def told() -> bool:
            return (await here.reigns())[0]["end_reason"] == "deadline"

        await until(told)  # as soon as who stopped by itself can say so


async def _until_answers(here: World, body: bytes) -> None:
    """Wait until the instance answers again at all, which is 503."""

    async def answers() -> bool:
        try:
            return [status for status, _, _ in await post(here, "prod", [body])] == [503]
        except aiohttp.ClientError:
            return False

    await until(answers)


def _judge_secret(folder: Path) -> None:
    """The secret is nowhere on the disk."""
    files = [*folder.glob("prod/**/*"), folder / "prod.log"]
    assert any(file.suffix == ".spool" for file in files)
    assert not [f for f in files if f.is_file() and SECRET.encode() in f.read_bytes()]
